"""Buildings, facades and windows."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from sessionstore.simulation.drones.navigation import PATH_MARGIN_M
from sessionstore.simulation.world.buildings import Footprint
from sessionstore.simulation.world.city import random_city
from sessionstore.simulation.world.facades import STANDOFF_M
from sessionstore.simulation.world.world import World
from tests.simulation.cities import box, cities, courtyard, tower, world_of


@settings(max_examples=40)
@given(cities(), st.floats(-40, 40), st.floats(-40, 40), st.floats(0, 40))
def test_the_grid_finds_the_same_clearance_as_looking_at_every_building(
    footprints: list[Footprint], x: float, y: float, z: float
) -> None:
    world = world_of(*footprints)
    assert world.clearance_m((x, y, z)) == approx(world.clearance_m((x, y, z), among=world.buildings))


@settings(max_examples=40)
@given(cities(), st.tuples(st.floats(-60, 120), st.floats(-40, 40)), st.tuples(st.floats(-60, 120), st.floats(-40, 40)))
def test_blockers_of_a_way_are_those_that_some_point_of_it_is_too_near_to(
    footprints: list[Footprint], a: tuple[float, float], b: tuple[float, float]
) -> None:
    world = world_of(*footprints)
    found = {building.name for building in world.blockers(a, b, 5.0, PATH_MARGIN_M)}
    for building in world.buildings:
        near = min(
            building.distance_m(a[0] + (b[0] - a[0]) * i / 400, a[1] + (b[1] - a[1]) * i / 400) for i in range(401)
        )
        if building.roof_m + PATH_MARGIN_M > 5.0 and abs(near - PATH_MARGIN_M) > 0.3:
            assert (near < PATH_MARGIN_M) == (building.name in found)


def test_above_a_roof_the_clearance_is_the_height_over_it() -> None:
    world = world_of(tower("house", box(0, 0, 10, 10), 12.0))
    assert world.clearance_m((0.0, 0.0, 15.0)) == 3.0
    assert world.clearance_m((8.0, 0.0, 16.0)) == 5.0
    assert world.clearance_m((0.0, 0.0, 5.0)) == 0.0


def test_a_yard_is_outside_of_its_building() -> None:
    world = world_of(courtyard(side_m=40.0, wall_m=6.0))
    assert world.clearance_m((0.0, 0.0, 5.0), limit_m=50.0) == 14.0
    assert world.clearance_m((17.0, 0.0, 5.0)) == 0.0


def test_berths_are_far_from_walls_and_from_each_other_while_there_is_room() -> None:
    world = World(random_city("3", 8))
    berths = world.berths(100, 4.0, 5.0)
    assert len(set(berths)) == 100 and berths[0] == (0.0, 0.0, 5.0)
    for x, y, _ in berths[:30]:
        assert min(building.distance_m(x, y) for building in world.buildings) >= 7.0


def test_windows_lie_on_the_wall_between_ground_and_roof_and_face_outwards() -> None:
    world = world_of(courtyard(roof_m=20.0), tower("turned", box(60, 0, 12, 18, 30.0), 13.0, ground_m=-2.0))
    assert len(world.windows) > 50
    for window in world.windows:
        z = window.center_m[2]
        building = window.facade.building
        assert building.ground_m < z - 0.5 and z + 0.5 < building.roof_m
        outside = window.facade.off_wall(window.center_m, 0.2)
        assert building.distance_m(outside[0], outside[1]) == approx(0.2, abs=1e-6)
        assert 0.0 <= window.dirt <= 1.0


def test_a_party_wall_has_no_windows_and_an_alley_has_windows_that_nobody_reaches() -> None:
    one = tower("one", box(0, 0, 10, 10), 10.0)
    touching = world_of(one, tower("two", box(10, 0, 10, 10), 10.0))
    east = [w for w in touching.windows if w.facade.building.name == "one" and w.facade.normal[0] > 0.9]
    assert east == []
    alley = world_of(one, tower("two", box(12, 0, 10, 10), 10.0))
    east = [w for w in alley.windows if w.facade.building.name == "one" and w.facade.normal[0] > 0.9]
    assert east and not any(w.reachable for w in east)


def test_every_window_that_can_be_served_has_a_free_place_and_a_view() -> None:
    world = World(random_city("3", 8))
    served = [w for w in world.windows if w.reachable]
    assert len(served) > 200
    for window in served:
        assert world.free(window.standoff_m, PATH_MARGIN_M)
        assert any(window.facade.sees(viewpoint, window) for viewpoint in window.facade.viewpoints)
    for facade in world.facades:
        assert all(world.free(viewpoint, STANDOFF_M - 0.11) for viewpoint in facade.viewpoints)


def test_a_hidden_building_is_unknown_until_it_is_revealed() -> None:
    world = world_of(tower("ghost", box(0, 0, 10, 10), 12.0, hidden=True))
    assert world.free((0.0, 0.0, 5.0), PATH_MARGIN_M) and world.facades == []
    world.reveal(world.buildings[0])
    assert not world.free((0.0, 0.0, 5.0), PATH_MARGIN_M)


def test_the_random_city_depends_on_its_seed_only_and_leaves_the_base_free() -> None:
    one, two, other = random_city("5", 6), random_city("5", 6), random_city("6", 6)
    assert one.footprints == two.footprints != other.footprints
    assert World(one).clearance_m((0.0, 0.0, 0.0)) >= 12.0
