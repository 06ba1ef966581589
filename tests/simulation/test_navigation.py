"""Paths: never through a building, never nearer than the margin; no way is a typed failure."""

from __future__ import annotations

from itertools import pairwise
from math import hypot

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sessionstore.simulation.drones.navigation import PATH_MARGIN_M, PLANNER_MARGIN_M, plan_path
from sessionstore.simulation.errors import NoPath
from sessionstore.simulation.world.buildings import Footprint
from sessionstore.simulation.world.city import open_city
from sessionstore.simulation.world.geometry import Vec3
from sessionstore.simulation.world.world import World
from tests.simulation.cities import box, cities, courtyard, tower, world_of


def least_clearance_m(world: World, start: Vec3, path: list[Vec3], step_m: float = 0.25) -> float:
    """The nearest that a straight flight along a path comes to any building."""
    least = float("inf")
    here = start
    for point in path:
        parts = max(1, int(hypot(*(point[i] - here[i] for i in range(3))) / step_m))
        for k in range(parts + 1):
            spot = tuple(here[i] + (point[i] - here[i]) * k / parts for i in range(3))
            least = min(least, world.clearance_m((spot[0], spot[1], spot[2]), among=world.buildings))
        here = point
    return least


altitudes = st.one_of(st.floats(2.5, 10.0), st.floats(2.5, 40.0))
points = st.tuples(st.floats(-60, 140), st.floats(-60, 60), altitudes)


def near_wall(footprints: list[Footprint], which: int, away_m: float, altitude_m: float) -> Vec3:
    """A point so far out from the middle of a building's first wall."""
    ring = footprints[which % len(footprints)].rings[0]
    (ax, ay), (bx, by) = ring[0], ring[1]
    length = hypot(bx - ax, by - ay)
    return (
        (ax + bx) / 2 + (by - ay) / length * away_m,
        (ay + by) / 2 - (bx - ax) / length * away_m,
        altitude_m,
    )


@settings(max_examples=150)
@given(
    footprints=cities(),
    start=points,
    goal=points,
    hug=st.booleans(),
    which=st.integers(0, 6),
    away_m=st.sampled_from([PATH_MARGIN_M, PATH_MARGIN_M + 1e-6, PATH_MARGIN_M + 0.1, 3.0]),
    level=st.sampled_from([5.0, 12.0, 18.0]),
    ceiling=st.sampled_from([None, 30.0, 12.0, 12.0]),
)
def test_a_path_keeps_the_margin_from_every_building(
    footprints: list[Footprint],
    start: Vec3,
    goal: Vec3,
    hug: bool,
    which: int,
    away_m: float,
    level: float,
    ceiling: float | None,
) -> None:
    world = world_of(*footprints, ceiling_m=ceiling)
    if hug:
        start = near_wall(footprints, which, away_m, min(start[2], 11.0))
        goal = near_wall(footprints, which + 1, away_m, min(goal[2], 11.0))
    assume(world.clearance_m(start) >= PLANNER_MARGIN_M)
    try:
        path = plan_path(world, start, goal, level)
    except NoPath:
        return
    assert path[-1] == goal
    allowed = min(PATH_MARGIN_M, world.clearance_m(start)) - 1e-6
    assert least_clearance_m(world, start, path) >= allowed


street = st.tuples(st.floats(-40, 100), st.floats(-35, 35), st.just(5.0))


@settings(max_examples=40)
@given(footprints=cities(low=4, high=9), start=street, goal=street)
def test_in_streets_below_the_roofs_a_path_keeps_the_margin_too(
    footprints: list[Footprint], start: Vec3, goal: Vec3
) -> None:
    tall = [Footprint(f.name, f.rings, f.ground_m, f.roof_m + 20.0) for f in footprints]
    world = world_of(*tall, ceiling_m=12.0)
    assume(world.free(start, PATH_MARGIN_M) and world.free(goal, PATH_MARGIN_M))
    try:
        path = plan_path(world, start, goal, 5.0)
    except NoPath:
        return
    assert least_clearance_m(world, start, path) >= PATH_MARGIN_M - 1e-6


@settings(max_examples=60)
@given(footprints=cities(), start=points, goal=points)
def test_under_an_open_sky_there_is_always_a_way_between_free_points(
    footprints: list[Footprint], start: Vec3, goal: Vec3
) -> None:
    world = world_of(*footprints)
    assume(world.free(start, PATH_MARGIN_M) and world.free(goal, PATH_MARGIN_M))
    assert plan_path(world, start, goal, 10.0)[-1] == goal


def test_a_goal_a_rounding_error_below_the_level_of_flight_is_reached_to_the_last_digit() -> None:
    goal = (0.0, 0.0, 9.999999999999998)
    world = world_of(tower("b0", box(-28, -18, 4, 4), 3.0))
    assert plan_path(world, (0.0, 14.0, 3.0), goal, 10.0)[-1] == goal


def test_a_yard_is_reached_from_above_when_the_ceiling_allows_it() -> None:
    world = world_of(courtyard(roof_m=20.0))
    path = plan_path(world, (50.0, 0.0, 5.0), (0.0, 0.0, 5.0), 10.0)
    assert max(point[2] for point in path) > 22.0
    assert least_clearance_m(world, (50.0, 0.0, 5.0), path) >= PATH_MARGIN_M - 1e-6


def test_an_enclosed_yard_under_a_low_ceiling_is_a_typed_failure() -> None:
    world = world_of(courtyard(roof_m=20.0), ceiling_m=21.0)
    with pytest.raises(NoPath, match="walled in"):
        plan_path(world, (50.0, 0.0, 5.0), (0.0, 0.0, 5.0), 10.0)


def test_under_a_low_ceiling_the_way_goes_around() -> None:
    world = world_of(tower("wall", box(0, 0, 4, 40), 30.0), ceiling_m=20.0)
    path = plan_path(world, (-15.0, 0.0, 5.0), (15.0, 0.0, 5.0), 10.0)
    assert max(point[2] for point in path) <= 20.0
    assert max(abs(point[1]) for point in path) > 22.0
    assert least_clearance_m(world, (-15.0, 0.0, 5.0), path) >= PATH_MARGIN_M - 1e-6


def test_an_alley_narrower_than_two_margins_is_no_way() -> None:
    walls = (tower("left", box(-12.2, 0, 20, 40), 30.0), tower("right", box(12.2, 0, 20, 40), 30.0))
    narrow = world_of(*walls, ceiling_m=20.0)  # 4.4 m between them
    path = plan_path(narrow, (0.0, -30.0, 8.0), (0.0, 30.0, 8.0), 8.0)
    assert max(abs(point[0]) for point in path) > 20.0


def test_a_goal_too_near_to_a_wall_is_refused_with_the_distance() -> None:
    world = world_of(tower("house", box(0, 0, 10, 10), 10.0))
    with pytest.raises(NoPath, match=r"1\.0 m from a building"):
        plan_path(world, (20.0, 0.0, 5.0), (6.0, 0.0, 5.0), 10.0)
    with pytest.raises(NoPath, match="above the ceiling"):
        plan_path(world, (20.0, 0.0, 5.0), (20.0, 0.0, 500.0), 10.0)
    with pytest.raises(NoPath, match="under the ground"):
        plan_path(world, (20.0, 0.0, 5.0), (30.0, 0.0, -5.0), 10.0)


def test_real_cities_are_flown_through_with_the_margin(data) -> None:  # type: ignore[no-untyped-def]
    for name in ("rotterdam_subset.json", "delft.json"):
        world = World(open_city(data / name))
        spots = [window.standoff_m for window in world.windows if window.reachable][::23]
        for start, goal in pairwise(spots):
            path = plan_path(world, start, goal, 12.0)
            assert least_clearance_m(world, start, path, 1.0) >= PATH_MARGIN_M - 1e-6
