"""Giving way: hulls never come nearer than half a metre, and nobody waits for ever."""

from __future__ import annotations

from math import dist

from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.drones.kinds import KINDS
from sessionstore.simulation.drones.separation import Separation, least_distance_m, segments_apart_m

spot = st.tuples(st.floats(-25, 25), st.floats(-25, 25), st.floats(5, 12))


@settings(max_examples=80)
@given(
    kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=2, max_size=14),
    starts=st.lists(spot, min_size=14, max_size=14),
    goals=st.lists(st.lists(spot, min_size=1, max_size=3), min_size=14, max_size=14),
    converge=st.booleans(),
)
def test_drones_on_collision_courses_keep_their_distance(
    kinds: list[str], starts: list[tuple[float, float, float]], goals: list[list[tuple[float, float, float]]],
    converge: bool,
) -> None:  # fmt: skip
    drones: list[Drone] = []
    for number, kind in enumerate(kinds):
        drone = Drone(f"d{number}", KINDS[kind], starts[number])
        drone.mode = "flying"
        if any(dist(d.position, drone.position) < least_distance_m(d, drone) for d in drones):
            continue
        drone.go([(0.0, 0.0, 8.0)] if converge else goals[number])
        drones.append(drone)
    rule = Separation()
    for _ in range(300):
        rule.separate(drones)
        for drone in drones:
            drone.advance()
        for i, one in enumerate(drones):
            for two in drones[i + 1 :]:
                assert dist(one.position, two.position) >= least_distance_m(one, two)


def test_at_a_crossing_it_is_the_junior_who_brakes_first() -> None:
    senior, junior = Drone("a", KINDS["climber"], (-10.0, 0.0, 8.0)), Drone("b", KINDS["scout"], (0.0, 13.0, 8.0))
    senior.go([(20.0, 0.0, 8.0)])
    junior.go([(0.0, -20.0, 8.0)])
    senior.mode = junior.mode = "flying"
    rule = Separation()
    for _ in range(400):
        rule.separate([senior, junior])
        if senior.brake or junior.brake:
            break
        senior.advance()
        junior.advance()
    assert junior.brake and not senior.brake
    assert junior.blocked_by is senior


def test_who_waits_for_a_second_is_returned_to_look_for_a_way_out() -> None:
    wall, flyer = Drone("wall", KINDS["climber"], (10.0, 0.0, 8.0)), Drone("x", KINDS["scout"], (0.0, 0.0, 8.0))
    wall.mode, flyer.mode = "wall", "flying"
    flyer.go([(20.0, 0.0, 8.0)])
    asked, rule = [], Separation()
    for _ in range(200):
        asked += rule.separate([wall, flyer])
        flyer.advance()
    assert asked and set(asked) == {flyer}
    assert flyer.blocked_by is wall


def test_lines_in_space_are_as_far_apart_as_their_nearest_points() -> None:
    assert segments_apart_m((0, 0, 0), (10, 0, 0), (5, -5, 3), (5, 5, 3)) == approx(3)
    assert segments_apart_m((0, 0, 0), (10, 0, 0), (12, 0, 0), (20, 0, 0)) == approx(2)
    assert segments_apart_m((0, 0, 0), (0, 0, 0), (3, 4, 0), (3, 4, 0)) == approx(5)
    assert segments_apart_m((0, 0, 0), (10, 0, 0), (0, 2, 0), (10, 2, 0)) == approx(2)


def test_drones_that_come_from_far_see_each_other_in_time() -> None:
    for ahead in ((1.0, 0.0), (0.0, 1.0), (0.7, 0.7), (0.7, -0.7)):
        crowd = [Drone(f"far{i}", KINDS["scout"], (500.0 + 10 * i, 500.0, 8.0)) for i in range(13)]
        pair = []
        for name, way in (("a", 1.0), ("b", -1.0)):
            start = (40.0 - 12.0 * way * ahead[0], 40.0 - 12.0 * way * ahead[1], 8.0)
            drone = Drone(name, KINDS["scout"], start)
            drone.mode = "flying"
            drone.go([(40.0 + 12.0 * way * ahead[0], 40.0 + 12.0 * way * ahead[1], 8.0)])
            pair.append(drone)
        rule = Separation()
        for _ in range(200):
            rule.separate([*crowd, *pair])
            for drone in pair:
                drone.advance()
            assert dist(pair[0].position, pair[1].position) >= least_distance_m(*pair)
