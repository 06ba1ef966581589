"""The list of neighbours misses nobody, whatever the drones do between two ticks; and rounding is `round`."""

from __future__ import annotations

from math import dist
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.drones.kinds import KINDS
from sessionstore.simulation.drones.neighbours import Neighbours, spot_of
from sessionstore.simulation.drones.rounding import rounded
from sessionstore.simulation.drones.separation import NEAR_M, Separation, rank


def crowd(random: Random, count: int) -> list[Drone]:
    drones = []
    for number in range(count):
        place = (random.uniform(-60, 60), random.uniform(-60, 60), random.uniform(5, 20))
        drones.append(Drone(f"d{number}", KINDS[random.choice(sorted(KINDS))], place))
    return drones


def disturb(random: Random, drone: Drone) -> None:
    """Something that may happen to a drone between two ticks."""
    what = random.randrange(12)
    if what == 0:
        drone.mode = random.choice(["docked", "flying", "wall"])
    elif what == 1:
        drone.path = [] if drone.path else [(random.uniform(-60, 60), random.uniform(-60, 60), 12.0)]
    elif what == 2:
        drone.x += random.uniform(-8, 8)  # the wind, or a test
    elif what == 3:
        drone.vx, drone.vy = random.uniform(-8, 8), random.uniform(-8, 8)
    elif what == 4:
        drone.vx = drone.vy = drone.vz = 0.0
    elif what == 5:
        drone.accel_mps2 = drone.kind.accel_mps2 / 2
    drone.x += drone.vx * 0.05
    drone.y += drone.vy * 0.05


def within_reach(drones: list[Drone]) -> list[tuple[Drone, Drone]]:
    """The same by looking at all pairs."""
    ranked = sorted((drone for drone in drones if drone.active), key=rank)
    found = []
    for i, senior in enumerate(ranked):
        for junior in ranked[i + 1 :]:
            (*here, reach, moves), (*there, other, goes) = spot_of(senior), spot_of(junior)
            if (moves or goes) and dist(here, there) <= reach + other + NEAR_M - 1e-9:
                found.append((senior, junior))
    return found


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 24))
def test_all_who_may_meet_are_found_in_the_order_of_ranks_whatever_happens_between_two_ticks(
    seed: int, count: int
) -> None:
    random = Random(seed)
    drones, near = crowd(random, count), Neighbours(rank, NEAR_M)
    for _ in range(12):
        for drone in random.sample(drones, random.randrange(1 + count)):
            disturb(random, drone)
        if random.random() < 0.1:
            random.choice(drones).mode = "lost"
        if random.random() < 0.1:
            drones.append(Drone(f"new{len(drones)}", KINDS["scout"], (random.uniform(-60, 60), 0.0, 8.0)))
        pairs = [(near.ranked[i], near.ranked[j]) for i, j in near.pairs(drones)]
        expected = within_reach(drones)
        assert [pair for pair in pairs if pair in expected] == expected
        assert all(dist(a.position, b.position) < 2 * (spot_of(a)[3] + spot_of(b)[3] + NEAR_M) for a, b in pairs)


def test_the_list_of_a_fleet_in_flight_serves_several_ticks() -> None:
    drones = [Drone(f"d{i}", KINDS["scout"], (8.0 * (i % 8), 8.0 * (i // 8), 8.0 + i % 3)) for i in range(40)]
    for i, drone in enumerate(drones):
        drone.mode = "flying"
        drone.go([(200.0 + 8.0 * i, 300.0, 40.0)])
    rule = Separation()
    for _ in range(200):
        rule.separate(drones)
        for drone in drones:
            drone.advance()
    assert 2 <= rule.neighbours.made <= 60


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)), st.integers(0, 5))
def test_many_numbers_are_rounded_as_round_does_it(values: list[float], digits: int) -> None:
    assert repr(rounded(values, digits)) == repr([round(value, digits) for value in values])


@pytest.mark.parametrize("digits", [3, 4])
def test_numbers_next_to_a_half_are_rounded_as_round_does_it(digits: int) -> None:
    random = Random(digits)
    halves = [(random.randrange(-(10**9), 10**9) + 0.5) / 10**digits for _ in range(3000)]
    near = [value * (1 + random.uniform(-1, 1) * 10.0 ** -random.randrange(9, 17)) for value in halves]
    edges = [0.0, -0.0, 1e-5, -1e-5, 5e-5, 0.00005, 1e22, -1e22, 1e8, 12345678.00005]
    numbers = [*halves, *near, *edges, *(random.uniform(-300, 300) for _ in range(3000))]
    assert repr(rounded(numbers, digits)) == repr([round(number, digits) for number in numbers])
