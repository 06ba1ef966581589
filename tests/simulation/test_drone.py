"""Motion within limits, at 240 Hz."""

from __future__ import annotations

from math import dist

from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from sessionstore.simulation.drones.drone import DT_S, TICK_S, Drone
from sessionstore.simulation.drones.kinds import KINDS

kinds = st.sampled_from(sorted(KINDS))
spot = st.tuples(st.floats(-80, 80), st.floats(-80, 80), st.floats(0, 60))


@settings(max_examples=40)
@given(
    kind=kinds,
    path=st.lists(spot, min_size=1, max_size=4),
    turns=st.lists(st.integers(1, 1500), max_size=4),
    brakes=st.lists(st.booleans(), max_size=40),
)
def test_speed_climb_and_acceleration_never_exceed_their_limits(
    kind: str, path: list[tuple[float, float, float]], turns: list[int], brakes: list[bool]
) -> None:
    drone = Drone("d", KINDS[kind], (0.0, 0.0, 5.0))
    drone.mode = "flying"
    drone.go(path)
    limits = drone.kind
    due = set(turns)
    for step in range(700 * len(path)):
        if step in due:
            drone.go([(-drone.x, drone.y + 5.0, 30.0)])  # a change of mind at full speed
        drone.brake = brakes[step % len(brakes)] if brakes else False
        before = (drone.vx, drone.vy, drone.vz)
        place = drone.position
        drone.advance(1)  # every single physics step counts
        after = (drone.vx, drone.vy, drone.vz)
        assert drone.speed <= limits.cruise_mps * (1 + 1e-9)
        assert abs(drone.vz) <= limits.climb_mps * (1 + 1e-9)
        assert dist(before, after) <= limits.accel_mps2 * DT_S * (1 + 1e-9)
        assert dist(place, drone.position) <= limits.cruise_mps * DT_S * (1 + 1e-9)


@given(kind=kinds, goal=spot)
def test_a_drone_arrives_and_stands_still_there(kind: str, goal: tuple[float, float, float]) -> None:
    drone = Drone("d", KINDS[kind], (0.0, 0.0, 5.0))
    drone.mode = "flying"
    drone.go([goal])
    for _ in range(20 * 200):
        drone.advance()
        if not drone.path and drone.speed == 0.0:
            break
    assert not drone.path
    assert drone.distance_to(goal) < 0.05
    assert drone.speed == 0.0


def test_twelve_single_steps_are_one_tick() -> None:
    one, many = (Drone("d", KINDS["scout"], (0.0, 0.0, 5.0)) for _ in range(2))
    for drone in (one, many):
        drone.mode = "flying"
        drone.go([(30.0, 10.0, 20.0), (0.0, 0.0, 9.0)])
    for _ in range(100):
        one.advance()
        for _ in range(12):
            many.advance(1)
    assert one.position == many.position


def test_a_stuck_drone_does_not_move() -> None:
    drone = Drone("d", KINDS["scout"], (0.0, 0.0, 5.0))
    drone.stuck, drone.mode = True, "flying"
    drone.go([(30.0, 0.0, 5.0)])
    for _ in range(100):
        drone.advance()
    assert drone.position == (0.0, 0.0, 5.0)


def test_a_lost_drone_falls_to_the_ground_and_stays_there() -> None:
    drone = Drone("d", KINDS["scout"], (3.0, 4.0, 20.0))
    drone.mode, drone.path = "lost", [(3.0, 4.0, 1.5)]
    heights = []
    for _ in range(100):
        drone.advance()
        heights.append(drone.z)
    assert heights == sorted(heights, reverse=True)
    assert drone.position == (3.0, 4.0, 1.5)
    # free fall: 18.5 m take 1.94 s
    assert sum(1 for z in heights if z > 1.5) * TICK_S == approx(1.94, abs=0.1)


def test_the_distance_that_is_counted_is_the_way_that_was_flown() -> None:
    drone = Drone("d", KINDS["quadcopter"], (0.0, 0.0, 5.0))
    drone.mode = "flying"
    drone.go([(40.0, 0.0, 5.0)])
    while drone.path:
        drone.advance()
    assert drone.day.distance_m == approx(40.0, rel=0.01)
    assert drone.day.max_speed_mps == approx(10.0, rel=0.01)
