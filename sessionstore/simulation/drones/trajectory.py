"""A trajectory: where one drone has to be, and when. Way points with times, a circle, a CSV, or a recorded flight.

Points are (seconds, east, north, up), times strictly rising, in metres of the local frame. Between two points the
drone flies straight at an even speed. Refused, with the place and the reason: fewer than two points, what is not
finite, times that do not rise, a file without the columns.
Not here: whether a drone can fly it and where buildings are (course), flying it (tracking), reading a session
(simulation.running.recordings).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil, cos, dist, isfinite, pi, sin
from pathlib import Path

from sessionstore.simulation.errors import ScenarioError
from sessionstore.simulation.world.geometry import Vec3

TimedPoint = tuple[float, float, float, float]
CHORD_M = 0.5  # a circle is flown as a polygon with sides of this length at most
COLUMNS = (
    ("t", "t_s", "time", "time_s", "sim_time", "sim_time_s"),
    ("x", "x_m", "east", "east_m"),
    ("y", "y_m", "north", "north_m"),
    ("z", "z_m", "up", "up_m", "altitude", "altitude_m"),
)


@dataclass(frozen=True)
class Trajectory:
    """The trajectory of one drone.

    Args:
        recorded: a flight that was flown: where the drone is slower it flies later, and near walls it flies around.
        recording: SESSION:DRONE, a flight that is still to be read (simulation.running.recordings).
        at_s: when the first point is due; None: when its own time says.
        source: where it comes from, for messages and the record.
    """

    drone: str
    points: tuple[TimedPoint, ...] = ()
    recorded: bool = False
    recording: str = ""
    at_s: float | None = None
    source: str = "waypoints"

    @classmethod
    def waypoints(cls, drone: str, points: Iterable[Sequence[float]], at_s: float | None = None) -> Trajectory:
        """Way points, each (seconds, east, north, up). Raises: ScenarioError."""
        return cls(drone, checked(points, "waypoints"), at_s=at_s).shifted()

    @classmethod
    def circle(
        cls,
        drone: str,
        center_m: Vec3,
        radius_m: float,
        speed_mps: float,
        turns: float = 1.0,
        at_s: float = 0.0,
        clockwise: bool = False,
    ) -> Trajectory:
        """A level circle, begun at its eastern end at `at_s`. Raises: ScenarioError."""
        for name, value in (("radius_m", radius_m), ("speed_mps", speed_mps), ("turns", turns)):
            if not (isfinite(value) and value > 0):
                raise ScenarioError("circle", name, f"{value} is not above 0")
        sides = max(24, ceil(2 * pi * radius_m / CHORD_M))
        total = max(1, round(sides * turns))
        step_s = 2 * pi * radius_m / speed_mps / sides
        points = []
        for number in range(total + 1):
            angle = (-1 if clockwise else 1) * 2 * pi * number / sides
            east, north = center_m[0] + radius_m * cos(angle), center_m[1] + radius_m * sin(angle)
            points.append((at_s + number * step_s, east, north, center_m[2]))
        return cls(drone, checked(points, "circle"), source="circle")

    @classmethod
    def from_csv(cls, drone: str, path: str | Path, at_s: float | None = None) -> Trajectory:
        """A CSV file with a heading: t, x, y, z (or t_s, time, sim_time; east, north, up; each with or without _m).

        Other columns are ignored. Raises: ScenarioError: naming the file, the line and the reason.
        """
        path = Path(path)
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                points = list(_rows(path, csv.reader(file)))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ScenarioError(str(path), "file", getattr(error, "strerror", None) or str(error)) from error
        return cls(drone, checked(points, str(path)), at_s=at_s, source=path.name).shifted()

    def shifted(self) -> Trajectory:
        """The same one with the first point at `at_s`."""
        if self.at_s is None or not self.points:
            return self
        by_s = self.at_s - self.points[0][0]
        return replace(self, points=tuple((t + by_s, x, y, z) for t, x, y, z in self.points))


def _rows(path: Path, lines: Iterable[list[str]]) -> Iterable[TimedPoint]:
    reader = iter(lines)
    heading = [name.strip().lower() for name in next(reader, [])]
    places = [next((heading.index(name) for name in names if name in heading), None) for names in COLUMNS]
    if None in places:
        missing = COLUMNS[places.index(None)]
        raise ScenarioError(str(path), "heading", f"no column {missing[0]!r} (or {', '.join(missing[1:])})")
    for number, row in enumerate(reader, 2):
        if not any(cell.strip() for cell in row):
            continue
        try:
            t, x, y, z = (float(row[place]) for place in places if place is not None)
        except (ValueError, IndexError) as error:
            raise ScenarioError(str(path), f"line {number}", f"not four numbers: {','.join(row)[:100]}") from error
        yield (t, x, y, z)


def checked(points: Iterable[Sequence[float]], source: str) -> tuple[TimedPoint, ...]:
    """Return points as tuples of floats.

    Raises:
        ScenarioError: fewer than two, not four finite numbers each, or times that do not rise.
    """
    found: list[TimedPoint] = []
    for number, point in enumerate(points):
        values = tuple(float(value) for value in point)
        if len(values) != 4 or not all(isfinite(value) for value in values):
            raise ScenarioError(
                source, f"point {number}", f"four finite numbers (t, x, y, z) are needed, not {point!r}"
            )
        t, x, y, z = values
        if found and t <= found[-1][0]:
            raise ScenarioError(source, f"point {number}", f"its time {t:g} s is not after {found[-1][0]:g} s")
        found.append((t, x, y, z))
    if len(found) < 2:
        raise ScenarioError(source, "points", "a trajectory has at least two points")
    return tuple(found)


def simplified(points: Sequence[TimedPoint], tolerance_m: float) -> list[TimedPoint]:
    """Drop points that the rest passes within the tolerance at their own times (Douglas-Peucker in space and time)."""
    keep = [False] * len(points)
    keep[0] = keep[-1] = True
    stack = [(0, len(points) - 1)]
    while stack:
        first, last = stack.pop()
        worst, where = tolerance_m, 0
        t0, *p0 = points[first]
        t1, *p1 = points[last]
        for i in range(first + 1, last):
            share = (points[i][0] - t0) / (t1 - t0)
            off = dist(points[i][1:], [a + (b - a) * share for a, b in zip(p0, p1, strict=True)])
            if off > worst:
                worst, where = off, i
        if where:
            keep[where] = True
            stack += [(first, where), (where, last)]
    return [point for point, kept in zip(points, keep, strict=True) if kept]


def too_fast(points: Sequence[TimedPoint], cruise_mps: float, climb_mps: float) -> str | None:
    """Why a drone of these limits cannot keep the times, or None."""
    for one, two in pairwise(points):
        seconds = two[0] - one[0]
        for name, length, limit in (
            ("fly", dist(one[1:], two[1:]), cruise_mps),
            ("climb or sink", abs(two[3] - one[3]), climb_mps),
        ):
            if length / seconds > limit * (1 + 1e-6):
                speed = f"{length / seconds:.1f} m/s; its limit is {limit:g}"
                return f"from {one[0]:g} to {two[0]:g} s it would {name} {speed}"
    return None
