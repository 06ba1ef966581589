"""A session as it flew: where every drone was at any moment, read in windows and thinned without losing extremes.

A window reads only the bytes between its two moments (bisected, see tape). Positions between two points are linear
interpolation in sim_time, headings turn the short way; before a drone's first point it is nowhere, after its last one
it stays. Thinning keeps the first and last point of each slice of time and the extremes of east, north and up within
it, all of them points that were recorded.
Not here: drawing (server.web), the file (session.stream_reader), following a run as it grows (server.live).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sessionstore.errors import InvalidQuery, InvalidRecord
from sessionstore.model import json_text
from sessionstore.model.instants import instant as instant_of
from sessionstore.session import Session
from sessionstore.session.handle import CLOCK_STREAM
from sessionstore.session.motion import MOTION_STREAM
from sessionstore.session.stream_reader import Damage, Line, Tape

Point = dict[str, Any]
History = dict[str, list[Point]]

#: What is kept of each slice when points are thinned: first, last, and the extremes of three axes.
KEPT_OF_A_SLICE = 8
#: Windows of more bytes than this are sampled by seeking instead of being read whole (about two seconds of reading).
MAX_BYTES_READ = 1 << 26
MAX_STEPS = 100_000
_ANGLES, _NOT_NUMBERS = ("orientation",), ("drone", "mode", "fix")
_LEAD_S = 1.0  # a drone that stands still is recorded once a second: what was before a window begins that early


@dataclass(slots=True)
class Window:
    """The points of one stretch of a session, and how they were come by.

    ``thinned`` is "no", "extremes" (recorded points, see the module), "step" (interpolated at multiples of the step)
    or "sampled" (recorded points at some moments, since the window is too large to be read whole).
    """

    start_s: float
    end_s: float
    history: History
    points_read: int = 0
    thinned: str = "no"
    offset: int = 0  # where reading stopped, in bytes: following goes on from here
    damaged: list[Damage] = field(default_factory=list)


class Replay:
    """Reads the motion of one session; holds nothing, so that it can be kept while the session still runs."""

    def __init__(self, session: Session, attempt: int | None = None) -> None:
        self.session = session
        self.attempt = attempt
        self.tape: Tape = session.tape(MOTION_STREAM)

    def __repr__(self) -> str:
        return f"Replay({self.session.session_id!r})"

    def bounds(self) -> tuple[float, float]:
        """Return the first and the last moment in seconds; (0, 0) before anything was recorded."""
        order = self.tape.order()
        if order.earliest_s is None or order.latest_s is None:
            return (0.0, 0.0)
        if not order.cuts:
            return (order.earliest_s, order.latest_s)
        moments = [line.t_s for line in self.tape.in_time(attempt=self.attempt)]
        return (moments[0], moments[-1]) if moments else (0.0, 0.0)

    def window(
        self,
        start_s: float | None = None,
        end_s: float | None = None,
        step_s: float | None = None,
        drones: Collection[str] | None = None,
        max_points: int | None = None,
        most_bytes: int = MAX_BYTES_READ,
    ) -> Window:
        """Return the points from one moment to another, both included.

        Args:
            start_s, end_s: sim_time in seconds; by default all there is.
            step_s: interpolate at multiples of this instead of returning what was recorded.
            drones: only these.
            max_points: the maximum for each drone, extremes kept; at least eight.
            most_bytes: windows of more bytes are sampled by seeking instead of being read whole.

        Raises:
            InvalidQuery: an end before the start, a step or number that is too small.
            UnsafeFile, StoreUnusable: damaged lines are passed over and returned in ``damaged``.
        """
        first_s, last_s = self.bounds()
        start_s = first_s if start_s is None else start_s
        end_s = max(start_s, last_s) if end_s is None else end_s
        check_window(start_s, end_s, min(end_s, last_s), step_s, max_points)
        lead_s = _LEAD_S if step_s is not None else 0.0
        low, high = self.tape.span(start_s - lead_s, end_s)
        window = Window(start_s, end_s, {}, offset=self._offset_after(end_s))
        if high - low > most_bytes:
            self._sample(window, min(end_s, last_s), step_s, drones, max_points)
            return window
        lines = self.tape.in_time(
            start_s - lead_s, end_s + lead_s, on_damage=window.damaged.append, attempt=self.attempt
        )
        window.history = self._collect(window, lines, drones)
        if step_s is not None:
            window.thinned = "step"
            moments = _multiples(start_s, min(end_s, last_s), step_s)
            window.history = {name: resample(points, moments) for name, points in window.history.items()}
        if max_points is not None and any(len(points) > max_points for points in window.history.values()):
            window.thinned = "extremes" if step_s is None else "step"
            window.history = {name: thin(points, max_points) for name, points in window.history.items()}
        return window

    def at(self, t_s: float) -> dict[str, Point]:
        """Return where every drone was at a moment, interpolated; one without a point within a second is left out.

        Raises: as :meth:`window`.
        """
        around = self.window(t_s - _LEAD_S, t_s + _LEAD_S).history
        found = {name: resample(points, [t_s]) for name, points in around.items()}
        return {name: points[0] for name, points in found.items() if points}

    def _offset_after(self, end_s: float) -> int:
        """Return where following goes on: no line that arrived from there on was missed, late ones may come twice."""
        last = self.tape.last()
        return 0 if last is None else min(last.end, self.tape.seek(math.nextafter(end_s, math.inf)))

    def _collect(self, window: Window, lines: Iterable[Line], drones: Collection[str] | None) -> History:
        history: History = {}
        for line in lines:
            point = point_of(line)
            if point is not None and (drones is None or point["drone"] in drones):
                history.setdefault(point.pop("drone"), []).append(point)
                window.points_read += 1
        return history

    def _sample(
        self, window: Window, last_s: float, step_s: float | None, drones: Collection[str] | None, most: int | None
    ) -> None:
        """Take the points of one moment every so often, found by seeking: the cost follows what is shown."""
        count = min(most or 1000, 1000)
        step_s = max(step_s or 0.0, (last_s - window.start_s) / count)
        for moment in _multiples(window.start_s, last_s, step_s):
            for point in self._round(moment, moment + min(step_s, _LEAD_S)):
                name = point.pop("drone")
                if drones is None or name in drones:
                    window.history.setdefault(name, []).append(point)
                    window.points_read += 1
        for points in window.history.values():
            points.sort(key=lambda point: float(point["sim_time"]))  # moments overlap in a stream out of order
        window.thinned = "sampled"

    def _round(self, from_s: float, to_s: float) -> Iterator[Point]:
        """Yield the next point of every drone, until one comes for the second time."""
        seen: set[str] = set()
        plain = self.tape.order().plain
        lines = self.tape.read(from_s=from_s, to_s=to_s, damaged="skip") if plain else self._in_time(from_s, to_s)
        for line in lines:
            point = point_of(line)
            if point is not None:
                if point["drone"] in seen:
                    return
                seen.add(point["drone"])
                yield point

    def _in_time(self, from_s: float, to_s: float) -> Iterator[Line]:
        return self.tape.in_time(from_s, to_s, attempt=self.attempt)


def last_moment_s(session: Session) -> float:
    """Return the latest sim_time of all streams in seconds, those of a program's own too; 0 before the first record."""
    bounds = [tape.bounds() for name, tape in session.tapes().items() if name != CLOCK_STREAM]
    return max((found[1] for found in bounds if found is not None), default=0.0)


class Clock:
    """The UTC instant of any sim_time, from the pairs that the recorder wrote once a second; None where unknown."""

    def __init__(self, session: Session) -> None:
        pairs: list[tuple[float, datetime]] = []
        for line in session.tape(CLOCK_STREAM).in_time():
            try:
                pairs.append((line.t_s, instant_of(str(line.data.get("utc")))))
            except InvalidRecord:
                continue  # written by hand; the neighbours do
        self._moments = [moment for moment, _ in pairs]
        self._instants = [instant for _, instant in pairs]

    def utc(self, t_s: float) -> str | None:
        """Return the instant as text; between two pairs by interpolation, outside them by the nearest one."""
        if not self._moments:
            return None
        right = bisect_right(self._moments, t_s)
        left = max(0, right - 1)
        instant, moment = self._instants[left], self._moments[left]
        if 0 < right < len(self._moments) and self._moments[right] > moment:
            share = (t_s - moment) / (self._moments[right] - moment)
            instant += timedelta(seconds=share * (self._instants[right] - instant).total_seconds())
        return json_text.utc_text(instant.astimezone(UTC))


# ---------------------------------------------------------------- points


def thin(points: list[Point], most: int) -> list[Point]:
    """Return at most ``count`` of the points, in order: of each slice of time its first, last and extreme ones."""
    if len(points) <= most:
        return points
    slices = max(1, most // KEPT_OF_A_SLICE)
    start_s, end_s = points[0]["sim_time"], points[-1]["sim_time"]
    width_s = (end_s - start_s) / slices or 1.0
    kept: list[Point] = []
    begin = 0
    for number in range(slices):
        edge = start_s + (number + 1) * width_s
        finish = len(points) if number == slices - 1 else _first_from(points, edge, begin)
        if finish > begin:
            kept += [points[index] for index in sorted(_extremes(points, begin, finish))]
        begin = finish
    return kept


def _first_from(points: list[Point], t_s: float, begin: int) -> int:
    low, high = begin, len(points)
    while low < high:
        middle = (low + high) // 2
        if points[middle]["sim_time"] < t_s:
            low = middle + 1
        else:
            high = middle
    return low


def _extremes(points: list[Point], begin: int, finish: int) -> set[int]:
    kept = {begin, finish - 1}
    for axis in range(3):
        order = range(begin, finish)
        kept.add(min(order, key=lambda index: points[index]["position"][axis]))
        kept.add(max(order, key=lambda index: points[index]["position"][axis]))
    return kept


def resample(points: list[Point], moments: list[float]) -> list[Point]:
    """Return the interpolated points at these moments (ascending); none before the first point."""
    found: list[Point] = []
    right = 0
    for moment in moments:
        while right < len(points) and points[right]["sim_time"] <= moment:
            right += 1
        if right:
            after = points[right] if right < len(points) else None
            found.append(between(points[right - 1], after, moment))
    return found


def between(before: Point, after: Point | None, t_s: float) -> Point:
    """Return the point at a moment between two others; what is not a number is the earlier one's."""
    if after is None or after["sim_time"] <= before["sim_time"]:
        return {**before, "sim_time": t_s}
    share = (t_s - before["sim_time"]) / (after["sim_time"] - before["sim_time"])
    mixed = {
        key: _mix(value, after[key], share, key in _ANGLES) if key in after and key not in _NOT_NUMBERS else value
        for key, value in before.items()
    }
    return {**mixed, "sim_time": t_s}


def _mix(one: Any, other: Any, share: float, angles: bool, counts: bool = True) -> Any:
    """Return a value between two; whole numbers on their own are counts, which jump, in vectors they are numbers."""
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [_mix(left, right, share, angles, counts=False) for left, right in zip(one, other, strict=True)]
    if not (_is_number(one) and _is_number(other)) or (counts and isinstance(one, int) and isinstance(other, int)):
        return one
    way = other - one
    if angles:
        way = (way + math.pi) % (2 * math.pi) - math.pi  # the short way round
    return one + share * way


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def point_of(line: Line) -> Point | None:
    """Return the point of a line: sim_time, drone, position ...; None for a line that is not one."""
    drone, position = line.data.get("drone"), line.data.get("position")
    if type(drone) is int:  # as an older version stored it
        return point_of(replace(line, data={**line.data, "drone": str(drone)}))
    if not isinstance(drone, str) or not isinstance(position, list) or len(position) != 3:
        return None
    if not all(map(_is_number, position)):
        return None
    return {**line.data, "sim_time": line.t_s}


def _multiples(start_s: float, end_s: float, step_s: float) -> list[float]:
    """Return the moments start, start + step ... up to the end; none when the end is before the start."""
    if end_s < start_s:
        return []  # and no division, which may overflow
    count = math.floor((end_s - start_s) / step_s + 1e-9) + 1 if step_s > 0 else 1
    return [start_s + number * step_s for number in range(count)]


def check_window(start_s: float, end_s: float, until_s: float, step_s: float | None, max_points: int | None) -> None:
    """Raises: InvalidQuery: an end before the start, a step or number that is too small."""
    if not (math.isfinite(start_s) and math.isfinite(end_s)) or end_s < start_s:
        raise InvalidQuery(f"a window goes from a moment to a later one, not from {start_s:g} to {end_s:g} s")
    if step_s is not None and (not math.isfinite(step_s) or step_s <= 0):
        raise InvalidQuery(f"a step is a positive number of seconds, not {step_s:g}")
    if step_s is not None and (until_s - start_s) / step_s > MAX_STEPS:
        raise InvalidQuery(f"a window has at most {MAX_STEPS:,} steps; take a longer step or a shorter window")
    if max_points is not None and max_points < KEPT_OF_A_SLICE:
        raise InvalidQuery(f"max_points is at least {KEPT_OF_A_SLICE}, so that the extremes fit")
