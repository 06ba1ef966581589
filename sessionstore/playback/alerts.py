"""Alerts: stretches of a flight in which a battery was low, a link was lost, or two drones were too near each other.

They are found in what was recorded, by thresholds that the reader chooses; nothing is stored.
Not here: what the simulation itself reported (the events), showing them (server.routes.alerts, server.web).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

#: A battery alert ends when the charge is this much above the threshold (as a share of full): noise does not repeat it.
BATTERY_ABOVE = 0.02
#: Messages of a drone in a row that did not arrive: from this number on the link is lost.
LOST_MESSAGES = 3
#: Two positions are compared when they are at most this old, in seconds.
AGE_S = 1.0
#: A drone that stands where it was set up is no danger to its neighbours.
_AT_REST = frozenset(("docked", "charging", "landed", "parked", "off"))
_MOVED_M = 0.5

Record = tuple[float, dict[str, Any]]


@dataclass(slots=True)
class Alert:
    """One stretch: its kind, begin and end in seconds of sim_time, the drones, and the worst value with its moment."""

    kind: str
    t: float
    end: float
    drones: list[str]
    value: float
    value_t: float

    def worse(self, t_s: float, value: float) -> None:
        """Take in a value of the stretch."""
        self.end = t_s
        if value < self.value:
            self.value, self.value_t = value, t_s


@dataclass(slots=True)
class LowBatteries:
    """Finds the stretches in which a drone's battery (a share of full) was below a threshold, in records that pass."""

    below: float
    found: list[Alert] = field(default_factory=list)
    _open: dict[str, Alert] = field(default_factory=dict)

    def watch(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records as they are; one reading of a stream serves several searches."""
        for t_s, record in records:
            name, charge = record.get("drone"), record.get("battery")
            if isinstance(name, str) and isinstance(charge, int | float) and not isinstance(charge, bool):
                self._take(name, t_s, charge)
            yield t_s, record

    def _take(self, name: str, t_s: float, charge: float) -> None:
        alert = self._open.get(name)
        if alert is not None and charge >= self.below + BATTERY_ABOVE:
            del self._open[name]
        elif alert is not None:
            alert.worse(t_s, charge)
        elif charge < self.below:
            self._open[name] = Alert("battery", t_s, t_s, [name], charge, t_s)
            self.found.append(self._open[name])


def lost_links(records: Iterable[Record], messages: int = LOST_MESSAGES) -> list[Alert]:
    """Return the stretches in which no message of a drone arrived, from the first lost one to the next that did."""
    lost: dict[str, list[float]] = {}
    found: list[Alert] = []

    def close(name: str, end_s: float) -> None:
        times = lost.pop(name, [])
        if len(times) >= messages:
            found.append(Alert("link", times[0], end_s, [name], float(len(times)), times[0]))

    for t_s, record in records:
        name, delivered = record.get("from"), record.get("delivered")
        if not isinstance(name, str) or name == "base" or not isinstance(delivered, bool):
            continue
        if delivered:
            close(name, t_s)
        else:
            lost.setdefault(name, []).append(t_s)
    for name in list(lost):
        close(name, lost[name][-1])
    return sorted(found, key=lambda each: each.t)


@dataclass(slots=True)
class _Seen:
    t_s: float
    place: tuple[float, float, float]
    first: tuple[float, float, float]
    moved: bool = False
    at_rest: bool = False


@dataclass(slots=True)
class _Near:
    """The places of all drones, in cubes as wide as the threshold: a record is compared with neighbours only."""

    below_m: float
    seen: dict[str, _Seen] = field(default_factory=dict)
    cubes: dict[tuple[int, int, int], set[str]] = field(default_factory=dict)

    def cube(self, place: tuple[float, float, float]) -> tuple[int, int, int]:
        x, y, z = (math.floor(each / self.below_m) for each in place)
        return x, y, z

    def put(self, name: str, t_s: float, place: tuple[float, float, float], mode: Any) -> _Seen:
        """Take in where a drone is now."""
        before = self.seen.get(name)
        if before is not None:
            self.cubes[self.cube(before.place)].discard(name)
        first = place if before is None else before.first
        moved = before is not None and (before.moved or math.dist(place, first) > _MOVED_M)
        now = self.seen[name] = _Seen(t_s, place, first, moved, mode in _AT_REST)
        self.cubes.setdefault(self.cube(place), set()).add(name)
        return now

    def neighbours(self, name: str, now: _Seen) -> Iterator[tuple[str, float]]:
        """Yield the drones in the air that are nearer than the threshold, with their distance in metres."""
        if now.at_rest or not now.moved:
            return
        x, y, z = self.cube(now.place)
        for cube in ((x + i, y + j, z + k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)):
            for other in self.cubes.get(cube, ()):
                then = self.seen[other]
                if other == name or then.at_rest or not then.moved or now.t_s - then.t_s > AGE_S:
                    continue
                if (far := math.dist(now.place, then.place)) < self.below_m:
                    yield other, far


def near_misses(records: Iterable[Record], below_m: float) -> list[Alert]:
    """Return the stretches in which two drones in the air were nearer to each other than a threshold in metres.

    Drones that have not moved yet or whose mode says that they rest are left out; places older than a second too.
    """
    near = _Near(below_m)
    open_: dict[tuple[str, str], Alert] = {}
    found: list[Alert] = []
    for t_s, record in records:
        name, place = record.get("drone"), _place(record.get("position"))
        if not isinstance(name, str) or place is None:
            continue
        now = near.put(name, t_s, place, record.get("mode"))
        for other, far in near.neighbours(name, now):
            pair = (name, other) if name < other else (other, name)
            alert = open_.get(pair)
            if alert is not None and t_s - alert.end <= AGE_S:
                alert.worse(t_s, far)
            else:
                open_[pair] = Alert("separation", t_s, t_s, list(pair), far, t_s)
                found.append(open_[pair])
    return found


def _place(position: Any) -> tuple[float, float, float] | None:
    if not isinstance(position, list) or len(position) != 3:
        return None
    if not all(isinstance(each, int | float) for each in position):
        return None
    return position[0], position[1], position[2]
