"""Sessions set side by side in time: by their starts, their take-offs, or given moments; how far paths are apart.

A take-off is the first event ``took_off``; without one, the first moment at which a drone is half a metre above where
it began. Paths are compared from their own take-off positions, since two flights seldom have one origin.
Not here: what else differs (comparison).
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from typing import Any

from sessionstore.errors import InvalidQuery
from sessionstore.session import Session, stream_names

START, TAKEOFF = "start", "takeoff"
_CLIMB_M = 0.5
_STEP_S = 0.1
_MOST_POINTS = 500_000
_MOST_STEPS = 20_000


class Path:
    """The positions of one drone over time, interpolated."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.positions: list[Sequence[float]] = []

    def at(self, t_s: float) -> tuple[float, float, float]:
        """Return the position at a moment within the path."""
        after = min(max(1, bisect.bisect_right(self.times, t_s)), len(self.times) - 1)
        before = max(0, after - 1)
        a, b = self.positions[before], self.positions[after]
        span = self.times[after] - self.times[before]
        share = (t_s - self.times[before]) / span if span > 0 else 0.0
        x, y, z = (one + (other - one) * share for one, other in zip(a, b, strict=True))
        return x, y, z


def paths_of(session: Session) -> dict[str, Path]:
    """Return the path of each drone, up to half a million points of the session."""
    found: dict[str, Path] = {}
    for number, line in enumerate(session.tape(stream_names.MOTION).in_time()):
        drone, position = line.data.get("drone"), line.data.get("position")
        if isinstance(position, list) and len(position) == 3 and all(type(each) in (int, float) for each in position):
            path = found.setdefault(str(drone), Path())
            path.times.append(line.t_s)
            path.positions.append(position)
        if number >= _MOST_POINTS:
            break
    return found


def takeoff_s(session: Session, paths: dict[str, Path] | None = None) -> float | None:
    """Return the sim_time of the first take-off, in seconds; None when nothing took off."""
    for line in session.tape(stream_names.EVENTS).in_time():
        if line.data.get("kind") == "took_off":
            return line.t_s
    climbs = []
    for path in (paths_of(session) if paths is None else paths).values():
        ground = path.positions[0][2]
        climbs += [t for t, p in zip(path.times, path.positions, strict=True) if p[2] > ground + _CLIMB_M][:1]
    return min(climbs, default=None)


def aligned(sessions: Sequence[Session], align: str = START) -> dict[str, Any]:
    """Return how sessions are set side by side.

    Args:
        align: ``start``, ``takeoff``, or the sim_times that belong together, in seconds, such as ``0,12.5``.

    Returns: ``by``, ``moments_s`` (the sim_time in each session), and ``apart``: for each session after the first the
        two drones that are compared, for how long both flew, and their mean and greatest distance in metres.

    Raises: InvalidQuery: no such way, or a session in which nothing took off.
    """
    paths = [paths_of(session) for session in sessions] if align != START else [{} for _ in sessions]
    moments = _moments(sessions, paths, align)
    apart = [_apart(paths[0], other, moments[0], moment) for other, moment in zip(paths[1:], moments[1:], strict=True)]
    return {"by": align, "moments_s": moments, "apart": apart}


def _moments(sessions: Sequence[Session], paths: Sequence[dict[str, Path]], align: str) -> list[float]:
    if align == START:
        return [0.0] * len(sessions)
    if align == TAKEOFF:
        found = [takeoff_s(session, own) for session, own in zip(sessions, paths, strict=True)]
        if still := [each.session_id for each, t in zip(sessions, found, strict=True) if t is None]:
            raise InvalidQuery(f"nothing took off in {', '.join(still)}: give the moments, such as 0,12.5")
        return [t for t in found if t is not None]
    try:
        given = [float(each) for each in align.split(",")]
    except ValueError as error:
        raise InvalidQuery(f"align is start, takeoff, or a sim_time for each session, not {align!r}") from error
    if len(given) != len(sessions) or not all(map(math.isfinite, given)):
        raise InvalidQuery(f"align needs {len(sessions)} sim_times, one for each session, not {align!r}")
    return given


def _apart(one: dict[str, Path], other: dict[str, Path], zero_s: float, other_zero_s: float) -> dict[str, Any] | None:
    """Return how far two drones are apart: those of one name, else the first of each."""
    if not one or not other:
        return None
    name = next((each for each in one if each in other), next(iter(one)))
    other_name = name if name in other else next(iter(other))
    a, b = one[name], other[other_name]
    low = max(a.times[0] - zero_s, b.times[0] - other_zero_s)
    high = min(a.times[-1] - zero_s, b.times[-1] - other_zero_s)
    if high <= low:
        return {"drones": [name, other_name], "overlap_s": 0.0, "mean_m": None, "max_m": None}
    begin = min(max(0.0, low), high)
    from_a, from_b = a.at(begin + zero_s), b.at(begin + other_zero_s)
    steps = min(_MOST_STEPS, max(1, int((high - low) / _STEP_S)))
    distances = []
    for step in range(steps + 1):
        t_s = low + (high - low) * step / steps
        moved = [p - q for p, q in zip(a.at(t_s + zero_s), from_a, strict=True)]
        other_moved = [p - q for p, q in zip(b.at(t_s + other_zero_s), from_b, strict=True)]
        distances.append(math.dist(moved, other_moved))
    mean = sum(distances) / len(distances)
    return {
        "drones": [name, other_name],
        "overlap_s": round(high - low, 3),
        "mean_m": round(mean, 3),
        "max_m": round(max(distances), 3),
    }
