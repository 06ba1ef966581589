"""What differs between flights of different seeds and fleets: by role, beyond noise; faults first."""

from __future__ import annotations

import random
from typing import Any

from sessionstore.playback.comparison import compare
from sessionstore.session import Session
from sessionstore.store import SessionStore

FLEET = ("scout-1", "climber-1")


def fly(
    store: SessionStore, name: str, drones: tuple[str, ...] = FLEET, seed: int = 1, fault: Any = None, **more: Any
) -> Session:
    """Record drones that climb; ``bent`` leaves its path, ``hops`` for a while, ``lands`` changes its mode."""
    noise = random.Random(seed)
    fleet = [{"id": each, "kind": each.split("-")[0]} for each in drones]
    with store.start(store.create(name, drones=fleet).session_id) as run:
        for step in range(200):
            t_s = step / 10
            if fault and fault[0] == t_s:
                run.stream("events").append({"kind": "fault", "fault": fault[1], "drone": fault[2]}, t_s)
            for at, drone in enumerate(drones):
                east = 5.0 * at + noise.gauss(0, 0.05) + (3.0 if more.get("bent", {}).get(drone, 99) <= t_s else 0.0)
                since, until = more.get("hops", {}).get(drone, (99, 99))
                east += 3.0 if since <= t_s < until else 0.0
                gps = [east + noise.gauss(0, 0.3), noise.gauss(0, 0.3), t_s]
                mode = "landing" if more.get("lands", {}).get(drone, 99) <= t_s else "flying"
                run.motion.append(drone, t_s, [east, 0.0, t_s], mode=mode, battery=1.0, gps=gps)
    return store.get(run.session_id)


def first(sessions: list[Session]) -> dict[str, Any]:
    found: dict[str, Any] = compare(sessions)["first_difference"]
    return found


def test_noise_of_another_seed_is_no_first_difference(store: SessionStore) -> None:
    found = first([fly(store, "one"), fly(store, "two", seed=2, bent={"climber-1": 12.0})])
    assert (found["field"], found["drone"], found["role"]) == ("path", "climber-1", "climber")
    assert 11.9 <= found["sim_time"] <= 12.1
    assert found["apart_m"] > found["noise_m"] >= 1.0


def test_an_added_fault_is_named_for_another_fleet_and_seed(store: SessionStore) -> None:
    more = fly(store, "two", ("scout-1", "scout-2", "climber-1"), seed=2, fault=(8.0, "link_loss", "scout-1"))
    found = compare([fly(store, "one"), more])
    fault = found["first_difference"]
    assert (fault["field"], fault["sim_time"], fault["drone"]) == ("fault", 8.0, "scout-1")
    assert (fault["a"], fault["b"]) == (None, "link_loss")
    drones = [row for row in found["by_role"][0] if row["field"] == "drones"]
    assert [(row["role"], row["a"], row["b"]) for row in drones] == [("scout", 1, 2)]


def test_a_fault_that_changed_no_path_is_named_though_all_points_are_the_same(store: SessionStore) -> None:
    found = first([fly(store, "one"), fly(store, "two", fault=(8.0, "link_loss", "scout-1"))])
    assert (found["field"], found["sim_time"]) == ("fault", 8.0)


def test_the_same_fault_in_both_is_no_difference(store: SessionStore) -> None:
    fault = (8.0, "link_loss", "scout-1")
    found = first([fly(store, "one", fault=fault), fly(store, "two", seed=2, fault=fault, lands={"scout-1": 15.0})])
    assert (found["field"], found["a"], found["b"]) == ("mode", "flying", "landing")
    assert 14.9 <= found["sim_time"] <= 15.1


def test_the_same_fault_at_another_moment_struck_twice(store: SessionStore) -> None:
    one = fly(store, "one", fault=(8.0, "link_loss", "scout-1"))
    two = fly(store, "two", seed=2, fault=(12.0, "link_loss", "scout-1"))
    rows = [row for row in compare([one, two])["by_role"][0] if row["field"] == "fault"]
    assert [(row["sim_time"], row["a"], row["b"]) for row in rows] == [
        (8.0, "link_loss", None), (12.0, None, "link_loss"),
    ]  # fmt: skip


def test_a_drone_that_is_aside_for_less_than_a_second_flies_the_same_path(store: SessionStore) -> None:
    short, long = (
        fly(store, "two", seed=2, hops={"scout-1": (5.0, 5.5)}),
        fly(store, "three", seed=2, hops={"scout-1": (5.0, 7.0)}),
    )
    one = fly(store, "one")
    assert compare([one, short])["by_role"] == [[]]
    (row,) = compare([one, long])["by_role"][0]
    assert (row["field"], row["drone"]) == ("path", "scout-1") and 4.9 <= row["sim_time"] <= 5.1


def test_flights_of_one_seed_differ_at_their_first_other_record(store: SessionStore) -> None:
    found = first([fly(store, "one"), fly(store, "two", bent={"scout-1": 5.0})])
    assert (found["field"], found["sim_time"]) == ("position", 5.0)


def test_flights_that_differ_in_noise_alone_say_so(store: SessionStore) -> None:
    one, two = fly(store, "one"), fly(store, "two", seed=2)
    found = compare([one, two])
    assert found["by_role"] == [[]]
    assert found["first_difference"]["sim_time"] == 0.0, "nothing else is known: the record that differs"


def test_drones_without_a_kind_are_compared_with_their_namesakes(store: SessionStore) -> None:
    sessions = []
    for name, bent, far in (("one", 99, 0.0), ("two", 6, 0.1)):
        with store.record(name) as run:
            for step in range(200):
                for drone in ("alpha", "beta"):
                    east = far + (2.0 if drone == "beta" and step / 10 >= bent else 0.0)
                    run.motion.append(drone, t_s=step / 10, position_m=(east * (step > 0), 0.0, 0.0))
        sessions.append(store.get(run.session_id))
    rows = compare(sessions)["by_role"][0]
    assert [(row["role"], row["drone"], row["field"]) for row in rows] == [("beta", "beta", "path")]
