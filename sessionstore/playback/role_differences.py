"""What differs between two flights of different seeds or fleets: by role of the drones, and beyond noise.

Such flights differ in their first record already (noise of sensors, gusts), which says nothing. Compared are the k-th
drones of a role (``kind``; a drone without one is compared with its namesake): faults that struck one flight only, the
path from each one's own first place, the mode, the battery. A difference counts when it lasts. Paths differ beyond
noise when they are further apart than three times what 95 % of the GPS fixes deviate by (of the flight with the better
fixes: an outage in one is no noise), at least a metre.
Not here: flights that are the same for a while (comparison), other records (reruns.agreement).
"""

from __future__ import annotations

import math
import re
import statistics
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from itertools import islice, zip_longest
from typing import Any, NamedTuple

from sessionstore.playback.alignment import Path
from sessionstore.session import Session, stream_names

LEAST_APART_M = 1.0
NOISE_TIMES = 3.0
LASTING_S = 1.0
BATTERY_APART = 0.05
_STEP_S = 0.1
_SAME_FAULT_S = 0.5
_MOST_POINTS = 200_000
_MOST_STEPS = 20_000
_MOST_EVENT_BYTES = 64 << 20


class Fault(NamedTuple):
    """A fault that struck: its kind, the drone ("" for the run), its sim_time in seconds."""

    kind: str
    drone: str
    t_s: float


class Flown(Path):
    """The path of one drone with its modes and battery."""

    def __init__(self) -> None:
        super().__init__()
        self.modes: list[Any] = []
        self.batteries: list[float | None] = []
        self.deviations_m: list[float] = []

    def add(self, t_s: float, position: list[float], data: Mapping[str, Any]) -> None:
        """Keep one point."""
        self.times.append(t_s)
        self.positions.append(position)
        self.modes.append(data.get("mode"))
        battery = data.get("battery")
        self.batteries.append(battery if type(battery) in (int, float) else None)
        if _place(data.get("gps")):
            self.deviations_m.append(math.dist(data["gps"], position))

    def value(self, values: list[Any], t_s: float) -> Any:
        """Return the last value at or before a moment."""
        return values[max(0, bisect_right(self.times, t_s) - 1)]

    def moved(self, t_s: float) -> list[float]:
        """Return the position relative to the first one, in metres."""
        return [now - first for now, first in zip(self.at(t_s), self.positions[0], strict=True)]


class Flight(NamedTuple):
    """What is compared of a session: its drones by role in their order, and the faults that struck."""

    roles: dict[str, list[str]]
    paths: dict[str, Flown]
    faults: list[Fault] | None


def flight_of(session: Session) -> Flight:
    """Read what is compared, up to 200,000 points; faults are None where the events exceed 64 MB."""
    paths: dict[str, Flown] = {}
    for line in islice(session.tape(stream_names.MOTION).in_time(), _MOST_POINTS):
        position = line.data.get("position")
        if isinstance(position, list) and _place(position):
            paths.setdefault(str(line.data.get("drone")), Flown()).add(line.t_s, position, line.data)
    kinds = {str(each.get("id")): each.get("kind") for each in session.record.drones}
    roles: dict[str, list[str]] = {}
    for drone in sorted({*paths, *kinds}, key=_natural):
        roles.setdefault(str(kinds.get(drone) or drone), []).append(drone)
    return Flight(roles, paths, faults_of(session))


def faults_of(session: Session) -> list[Fault] | None:
    """Return the faults that struck; None where the events exceed 64 MB."""
    tape = session.tape(stream_names.EVENTS)
    if tape.size() > _MOST_EVENT_BYTES:
        return None
    return [
        Fault(str(line.data.get("fault", "unknown")), str(line.data.get("drone") or ""), line.t_s)
        for line in tape.read(damaged="skip")
        if line.data.get("kind") == "fault" and not line.data.get("over")
    ]


def role_differences(one: Flight, other: Flight, shift_s: float = 0.0) -> list[dict[str, Any]]:
    """Return what differs by role, earliest first; faults come before what follows from them.

    Args: shift_s: what is added to a sim_time of ``one`` for the moment of ``other`` that belongs to it, in seconds.

    Returns: ``role``, ``drone`` (of ``one``, or of the only one), ``field`` (``fault``, ``path``, ``mode``, ``battery``
        or ``drones``), ``sim_time`` in seconds of ``one`` (None: not of a moment), the values ``a`` and ``b``; of a
        path also ``apart_m`` and the limit ``noise_m``.
    """
    found = list(_faults(one, other, shift_s))
    for role in dict.fromkeys((*one.roles, *other.roles)):
        mine, others = one.roles.get(role, []), other.roles.get(role, [])
        rows = [row for a, b in zip_longest(mine, others) if a and b for row in _pair(one, other, (a, b), shift_s)]
        for field in ("path", "mode", "battery"):
            of_field = [row for row in rows if row["field"] == field]
            if of_field:
                found.append({"role": role, **min(of_field, key=lambda row: row["sim_time"])})
        if len(mine) != len(others):
            only = max(mine, others, key=len)[min(len(mine), len(others))]
            found.append(_row("drones", None, only, len(mine), len(others), role=role))
    return sorted(found, key=lambda row: (row["sim_time"] is None, row["sim_time"] or 0.0, row["field"] != "fault"))


def _faults(one: Flight, other: Flight, shift_s: float) -> Iterator[dict[str, Any]]:
    """Yield the faults that struck in one flight only: the same kind, on the same role, at the same moment, is one."""
    if one.faults is None or other.faults is None:
        return
    left = [(each, _role(other, each.drone), each.t_s - shift_s) for each in other.faults]
    for fault in one.faults:
        role = _role(one, fault.drone)
        same = next(
            (e for e in left if (e[0].kind, e[1]) == (fault.kind, role) and abs(e[2] - fault.t_s) < _SAME_FAULT_S), None
        )
        if same:
            left.remove(same)
        else:
            yield _row("fault", fault.t_s, fault.drone, fault.kind, None, role=role)
    for fault, role, t_s in left:
        yield _row("fault", t_s, fault.drone, None, fault.kind, role=role)


def _role(flight: Flight, drone: str) -> str:
    return next((role for role, drones in flight.roles.items() if drone in drones), "")


def _pair(one: Flight, other: Flight, names: tuple[str, str], shift_s: float) -> Iterator[dict[str, Any]]:
    a, b = one.paths.get(names[0]), other.paths.get(names[1])
    if a is None or b is None:
        return
    begin, end = max(a.times[0], b.times[0] - shift_s), min(a.times[-1], b.times[-1] - shift_s)
    if end <= begin:
        return
    step = max(_STEP_S, (end - begin) / _MOST_STEPS)
    moments = [begin + number * step for number in range(int((end - begin) / step) + 1)]
    noise_m = max(LEAST_APART_M, NOISE_TIMES * min(_typical(a.deviations_m), _typical(b.deviations_m)))

    def values(t_s: float, of: str) -> tuple[Any, Any]:
        return a.value(getattr(a, of), t_s), b.value(getattr(b, of), t_s + shift_s)

    def apart(t_s: float) -> float:
        return math.dist(a.moved(t_s), b.moved(t_s + shift_s))

    def drained(t_s: float) -> bool:
        mine, others = values(t_s, "batteries")
        return mine is not None and others is not None and abs(mine - others) > BATTERY_APART

    if (at := _lasting(moments, lambda t_s: apart(t_s) > noise_m)) is not None:
        places = [[round(each, 3) for each in place] for place in (a.at(at), b.at(at + shift_s))]
        yield _row("path", at, names[0], *places, apart_m=round(apart(at), 2), noise_m=round(noise_m, 2))
    if (at := _lasting(moments, lambda t_s: values(t_s, "modes")[0] != values(t_s, "modes")[1])) is not None:
        yield _row("mode", at, names[0], *values(at, "modes"))
    if (at := _lasting(moments, drained)) is not None:
        yield _row("battery", at, names[0], *values(at, "batteries"))


def _lasting(moments: list[float], differs: Callable[[float], bool]) -> float | None:
    """Return the first moment from which on a difference lasts for a second, or to the end."""
    since: float | None = None
    for t_s in moments:
        if not differs(t_s):
            since = None
        elif since is None:
            since = t_s
        elif t_s - since >= LASTING_S:
            break
    return since


def _row(field: str, t_s: float | None, drone: str, a: Any, b: Any, **more: Any) -> dict[str, Any]:
    at = None if t_s is None else round(t_s, 3)
    return {"drone": drone or None, "field": field, "sim_time": at, "a": a, "b": b, **more}


def _typical(deviations_m: list[float]) -> float:
    return statistics.quantiles(deviations_m, n=20)[-1] if len(deviations_m) > 1 else 0.0


def _place(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(type(each) in (int, float) for each in value)


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Order scout-10 behind scout-9."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", name)]
