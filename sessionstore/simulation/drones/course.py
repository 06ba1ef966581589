"""A trajectory made flyable for one kind of drone in one town: a smooth line with a speed limit at every place.

The line is sampled each 0.25 m and rounded at corners (by 0.2 m at most). Its speed limit holds the kind's limits:
cruise, climb, and the acceleration that bends, braking and starting need together; and wherever the drone brakes
straight on, it stops before the planner's margin of a building. `blocked` names the stretches that come too near to
a known building; they are not flown. Not here: following the line (tracking), reading trajectories (trajectory).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, dist, sqrt

from sessionstore.simulation.drones.kinds import Kind
from sessionstore.simulation.drones.navigation import PATH_MARGIN_M, PLANNER_MARGIN_M
from sessionstore.simulation.drones.trajectory import TimedPoint
from sessionstore.simulation.world.geometry import Vec3
from sessionstore.simulation.world.world import World

STEP_M = 0.25
KEEP_M = PLANNER_MARGIN_M + 0.1  # of the line from buildings: the drone keeps to the line within 0.1 m there
NEAR_M = 12.0  # as far as the world knows its distances
SLOWEST_MPS = 0.1  # at the tightest bend, and where it has to stand: the tracker stops there by the clock
PASSES = 2  # of smoothing


@dataclass(frozen=True)
class Stretch:
    """A part of a course, in metres from its beginning."""

    from_m: float
    to_m: float
    building: str
    clearance_m: float


class Course:
    """The line, its limits, and its timetable. `length_m` is the end."""

    def __init__(self, points: Sequence[TimedPoint], kind: Kind, world: World) -> None:
        self.kind, self.world = kind, world
        self._line = _smooth(_sampled(points))
        self.length_m = STEP_M * (len(self._line) - 1)
        self.knots_s, self.knots_m = _timetable(points, self.length_m)
        self.start_s, self.end_s = points[0][0], points[-1][0]
        self._bends = _bends(self._line)
        self.limits = self._limits()
        self.planned = self._planned()

    # --- geometry

    def at(self, s_m: float) -> Vec3:
        """The place at a length."""
        number, share = self._place(s_m)
        (ax, ay, az), (bx, by, bz) = self._line[number], self._line[number + 1]
        return (ax + (bx - ax) * share, ay + (by - ay) * share, az + (bz - az) * share)

    def direction(self, s_m: float) -> Vec3:
        """The unit vector along the line."""
        number, _ = self._place(s_m)
        return _unit(self._line[number], self._line[number + 1])

    def _place(self, s_m: float) -> tuple[int, float]:
        steps = min(max(s_m, 0.0), self.length_m) / STEP_M
        number = min(int(steps), len(self._line) - 2)
        return number, steps - number

    def bend(self, s_m: float) -> float:
        """The curvature at a length, 1/m."""
        return self._bends[self._place(s_m)[0]]

    def limit_mps(self, s_m: float) -> float:
        return _between(self.limits, *self._place(s_m))

    def planned_mps(self, s_m: float) -> float:
        """The speed of the timetable, as far as the limits allow it."""
        return _between(self.planned, *self._place(s_m))

    # --- the timetable

    def due_m(self, t_s: float) -> float:
        """How far the drone should be at a time."""
        return _look_up(self.knots_s, self.knots_m, t_s)

    def due_s(self, s_m: float) -> float:
        """When the drone should be at a place."""
        return _look_up(self.knots_m, self.knots_s, s_m)

    # --- buildings

    def free(self) -> list[tuple[float, float]]:
        """The parts that can be flown, from and to in metres."""
        parts, begin = [], 0.0
        for stretch in self.blocked():
            if stretch.from_m - STEP_M > begin:
                parts.append((begin, stretch.from_m - STEP_M))
            begin = stretch.to_m
        if begin <= self.length_m:
            parts.append((begin, self.length_m))
        return parts

    def blocked(self) -> list[Stretch]:
        """The stretches too near to a building that is known by now, each to where it can be joined again."""
        found: list[Stretch] = []
        entered: tuple[float, str, float] | None = None
        for number, place in enumerate(self._line):
            limit = PATH_MARGIN_M if entered or number == 0 else KEEP_M  # the planner flies to where it begins
            clearance = self.world.clearance_m(place, limit_m=PATH_MARGIN_M)
            if clearance < limit and entered is None:
                entered = (number * STEP_M, _nearest(self.world, place), clearance)
            elif entered is not None and clearance >= limit:
                found.append(Stretch(entered[0], number * STEP_M, entered[1], entered[2]))
                entered = None
            elif entered is not None and clearance < entered[2]:
                entered = (entered[0], _nearest(self.world, place), clearance)
        if entered is not None:
            found.append(Stretch(entered[0], float("inf"), entered[1], entered[2]))
        return found

    def reason_against(self, margin_m: float) -> str | None:
        """Why the line cannot be flown: the first place too near to a building, under the ground, or too high."""
        for number, place in enumerate(self._line):
            at = f"at {self.due_s(number * STEP_M):.1f} s, ({', '.join(f'{c:.1f}' for c in place)}),"
            if place[2] > self.world.ceiling_m:
                return f"{at} it is above the ceiling of {self.world.ceiling_m:.0f} m"
            if place[2] < self.world.ground_m(place[0], place[1]):
                return f"{at} it is under the ground"
            clearance = self.world.clearance_m(place, limit_m=max(margin_m, 0.01))
            if clearance < margin_m or clearance == 0.0:
                near = _nearest(self.world, place)
                where = f"inside {near}" if clearance == 0.0 else f"{clearance:.1f} m from {near}"
                return f"{at} it is {where}; {max(margin_m, PLANNER_MARGIN_M):g} m are needed"
        return None

    # --- speed limits

    def _limits(self) -> array[float]:
        kind = self.kind
        accel = 0.95 * kind.accel_mps2
        bends = self._bends
        limits = array("d")
        for number, bend in enumerate(bends):
            ahead = _unit(
                self._line[min(number, len(self._line) - 2)], self._line[min(number + 1, len(self._line) - 1)]
            )
            speed = min(kind.cruise_mps, kind.climb_mps / abs(ahead[2])) if ahead[2] else kind.cruise_mps
            if bend > 0.0:
                speed = min(speed, sqrt(0.9 * accel / bend))
                speed = self._safe_to_brake(self._line[number], ahead, speed)
            limits.append(max(speed, SLOWEST_MPS))
        return _reachable(limits, bends, accel)

    def _safe_to_brake(self, place: Vec3, ahead: Vec3, speed: float) -> float:
        """The speed at which straight braking from here ends before a building's margin."""
        clearance = self.world.clearance_m(place, limit_m=NEAR_M)
        while speed > 0.5:
            way = speed * speed / (2 * self.kind.accel_mps2) + 0.2
            if clearance > way + KEEP_M:
                break
            end = (place[0] + ahead[0] * way, place[1] + ahead[1] * way)
            low = min(place[2], place[2] + ahead[2] * way)
            if not self.world.blockers(place[:2], end, low, min(KEEP_M, clearance) - 0.05):
                break
            speed *= 0.8
        return speed

    def _planned(self) -> array[float]:
        """The timetable's own speeds under the limits; near 0 where it has to stand."""
        planned = array("d", self.limits)
        for (m0, t0), (m1, t1) in pairwise(zip(self.knots_m, self.knots_s, strict=True)):
            speed = (m1 - m0) / (t1 - t0)
            first, last = int(m0 / STEP_M), ceil(m1 / STEP_M)
            for number in range(first, min(last, len(planned) - 1) + 1):
                planned[number] = min(planned[number], max(speed, SLOWEST_MPS))
        return _reachable(planned, self._bends, 0.95 * self.kind.accel_mps2)


def _sampled(points: Sequence[TimedPoint]) -> list[Vec3]:
    """The straight legs, sampled at equal lengths; a trajectory without any length is two equal places."""
    places: list[Vec3] = [points[0][1:]]
    left = STEP_M
    for one, two in pairwise(points):
        a, b = one[1:], two[1:]
        length = dist(a, b)
        along = left
        while along <= length:
            k = along / length
            places.append((a[0] + (b[0] - a[0]) * k, a[1] + (b[1] - a[1]) * k, a[2] + (b[2] - a[2]) * k))
            along += STEP_M
        left = along - length
    if left < STEP_M - 1e-9 or len(places) < 2:
        places.append(points[-1][1:])
    return places


def _smooth(places: list[Vec3]) -> list[Vec3]:
    """Round the corners: two passes of (1, 2, 1) / 4; both ends stay."""
    for _ in range(PASSES):
        inner = [
            ((a[0] + 2 * b[0] + c[0]) / 4, (a[1] + 2 * b[1] + c[1]) / 4, (a[2] + 2 * b[2] + c[2]) / 4)
            for a, b, c in zip(places, places[1:], places[2:], strict=False)
        ]
        places = [places[0], *inner, places[-1]]
    return places


def _timetable(points: Sequence[TimedPoint], length_m: float) -> tuple[list[float], list[float]]:
    times, lengths = [points[0][0]], [0.0]
    for one, two in pairwise(points):
        times.append(two[0])
        lengths.append(lengths[-1] + dist(one[1:], two[1:]))
    scale = length_m / lengths[-1] if lengths[-1] > 0.0 else 0.0
    return times, [length * scale for length in lengths]


def _bends(line: Sequence[Vec3]) -> array[float]:
    """The curvature at every sample, 1/m."""
    bends = array("d", [0.0]) * len(line)
    for number in range(1, len(line) - 1):
        one, two = _unit(line[number - 1], line[number]), _unit(line[number], line[number + 1])
        bends[number] = dist(one, two) / STEP_M
    for number, bend in enumerate(array("d", bends)):  # a sample feels the bend of its neighbours, too
        for near in (number - 1, number + 1):
            if 0 <= near < len(bends):
                bends[near] = max(bends[near], 0.7 * bend)
    return bends


def _reachable(limits: array[float], bends: array[float], accel_mps2: float) -> array[float]:
    """Lower limits so that each can be reached from its neighbours with the acceleration that the bends leave."""
    for order in (range(1, len(limits)), range(len(limits) - 2, -1, -1)):
        back = -1 if order.step > 0 else 1
        for number in order:
            before = limits[number + back]
            across = before * before * max(bends[number], bends[number + back])
            along = sqrt(max(0.1, accel_mps2**2 - min(across, accel_mps2) ** 2))
            limits[number] = min(limits[number], sqrt(before * before + 2 * along * STEP_M))
    return limits


def _nearest(world: World, place: Vec3) -> str:
    buildings = world.near(place[0], place[1])
    found = min(buildings, key=lambda b: world.clearance_m(place, [b]), default=None)
    return found.name if found else "a building"


def _unit(a: Vec3, b: Vec3) -> Vec3:
    length = dist(a, b)
    if length < 1e-9:
        return (0.0, 0.0, 0.0)
    return ((b[0] - a[0]) / length, (b[1] - a[1]) / length, (b[2] - a[2]) / length)


def _between(values: Sequence[float], number: int, share: float) -> float:
    return values[number] + (values[number + 1] - values[number]) * share


def _look_up(keys: Sequence[float], values: Sequence[float], key: float) -> float:
    """Linear interpolation between rising keys; the ends hold beyond them."""
    if key <= keys[0]:
        return values[0]
    if key >= keys[-1]:
        return values[-1]
    number = bisect_right(keys, key) - 1
    share = (key - keys[number]) / (keys[number + 1] - keys[number])
    return values[number] + (values[number + 1] - values[number]) * share
