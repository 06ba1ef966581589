"""Alerts: stretches of low battery, lost links and near misses, out of records of any program."""

from __future__ import annotations

import math
import random

from sessionstore.playback.alerts import LowBatteries, Record, lost_links, near_misses


def test_a_low_battery_is_one_stretch_though_its_value_is_noisy() -> None:
    charges = [0.3, 0.249, 0.251, 0.24, 0.255, 0.2, 0.4, 0.1]
    records: list[Record] = [(float(i), {"drone": "a", "battery": each}) for i, each in enumerate(charges)]
    records += [(9.0, {"drone": "b"}), (9.0, {"battery": True, "drone": "b"})]
    watched = LowBatteries(0.25)
    assert list(watched.watch(records)) == records
    first, second = watched.found
    assert (first.t, first.end, first.value, first.value_t) == (1.0, 5.0, 0.2, 5.0)
    assert (second.t, second.value) == (7.0, 0.1)


def test_a_link_is_lost_after_three_messages_in_a_row() -> None:
    arrived = [True, False, False, True, False, False, False, True, False, False, False]
    records: list[Record] = [(float(i), {"from": "a", "delivered": each}) for i, each in enumerate(arrived)]
    records += [(20.0, {"from": "base", "delivered": False})] * 5
    assert [(each.t, each.end, each.value) for each in lost_links(records)] == [(4.0, 7.0, 3.0), (8.0, 10.0, 3.0)]


def test_near_misses_are_those_that_comparing_all_pairs_finds() -> None:
    random.seed(5)
    places = {f"d{n}": [random.uniform(-6, 6) for _ in range(3)] for n in range(12)}
    records: list[Record] = []
    for step in range(200):
        for name, place in places.items():
            for axis in range(3):
                place[axis] += random.uniform(-0.8, 0.8)
            records.append((step / 10, {"drone": name, "position": list(place)}))
    found: dict[tuple[str, ...], tuple[float, float]] = {}
    for each in near_misses(records, 1.5):
        first_s, least_m = found.get(tuple(each.drones), (each.t, each.value))
        found[tuple(each.drones)] = min(first_s, each.t), min(least_m, each.value)
    expected: dict[tuple[str, ...], tuple[float, float]] = {}
    last: dict[str, tuple[float, list[float], list[float], bool]] = {}
    for t_s, record in records:
        name, place = record["drone"], record["position"]
        first = last[name][2] if name in last else place
        moved = name in last and (last[name][3] or math.dist(place, first) > 0.5)
        last[name] = (t_s, place, first, moved)
        for other, (other_t, other_place, _, other_moved) in last.items():
            if other != name and moved and other_moved and t_s - other_t <= 1 and math.dist(place, other_place) < 1.5:
                pair, far = tuple(sorted((name, other))), math.dist(place, other_place)
                first_s, least_m = expected.get(pair, (t_s, far))
                expected[pair] = first_s, min(least_m, far)
    assert found == expected and expected


def test_drones_at_rest_beside_each_other_are_no_near_miss() -> None:
    records: list[Record] = []
    for step in range(50):
        records.append((step / 10, {"drone": "a", "position": [step / 10, 0, 0], "mode": "docked"}))
        records.append((step / 10, {"drone": "b", "position": [step / 10, 0.2, 0], "mode": "flying"}))
        records.append((step / 10, {"drone": "still", "position": [1.0, 0.1, 0]}))
    assert near_misses(records, 1.0) == []
