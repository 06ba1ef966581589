"""Motion points and what they add up to: distance, extent, speed per drone.

A point is stored in the stream ``motion_history`` as drone, position and velocity (metres, east-north-up from the
base), orientation (roll, pitch, yaw in radians) and further fields of the caller.
All of a point is checked before anything is written. Points may arrive out of order in sim_time; then the figures of
the end are computed from the stream, sorted.
Not here: files (stream_writer), when to store a point (recorder), axes and quaternions (frames), replay (playback).
"""

from __future__ import annotations

import logging
import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeGuard

from sessionstore.errors import InvalidRecord, TimeOrderError
from sessionstore.model import names
from sessionstore.model.values import Plain
from sessionstore.session import stream_names
from sessionstore.session.stream_line import Line
from sessionstore.session.stream_writer import StreamWriter

MOTION_STREAM = stream_names.MOTION
_logger = logging.getLogger("sessionstore")
#: "any": points may arrive out of order; "drone": for each drone sim_time never goes back.
PointOrder = Literal["any", "drone"]
#: Below this distance a drone counts as never having moved (the movement check of the users' scripts).
MOVED_M = 0.01
Vector = Sequence[float]


@dataclass(slots=True)
class Movement:
    """What the points of one drone add up to, updated point by point in constant memory."""

    points: int = 0
    distance_m: float = 0.0
    max_speed_mps: float = 0.0
    first_s: float = 0.0
    last_s: float = 0.0
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    last: Vector = ()

    def add(self, t_s: float, position: Vector, velocity: Vector | None) -> None:
        """Take in one point; the speed is the velocity's, or else that between two points.

        A point before the last one counts with its extent; its distance is known once all points are sorted.
        """
        step_m, late = 0.0, False
        if not self.points:
            self.first_s, self.low, self.high = t_s, list(position), list(position)
        else:
            late = t_s < self.last_s
            if not late:
                step_m = math.dist(position, self.last)
            self._widen(position)
        if velocity is not None:
            speed_mps = math.hypot(*velocity)
        else:
            speed_mps = step_m / (t_s - self.last_s) if self.points and t_s > self.last_s else 0.0
        if speed_mps > self.max_speed_mps:
            self.max_speed_mps = speed_mps
        self.distance_m += step_m
        self.points += 1
        if not late:
            self.last, self.last_s = tuple(position), t_s

    def _widen(self, position: Vector) -> None:
        x, y, z = position
        low_x, low_y, low_z = self.low
        if x < low_x or y < low_y or z < low_z:
            self.low = list(map(min, self.low, position))
        high_x, high_y, high_z = self.high
        if x > high_x or y > high_y or z > high_z:
            self.high = list(map(max, self.high, position))

    def add_many(
        self, times_s: Sequence[float], positions: Sequence[list[float]], velocities: Sequence[Any] | None
    ) -> None:
        """Take in many points, as :meth:`add` does one by one; a velocity that is no list counts as none."""
        usual = self.points and velocities is not None and set(map(type, velocities)) == {list}
        if (
            velocities is None
            or not usual
            or times_s[0] < self.last_s
            or not all(map(operator.le, times_s, times_s[1:]))
        ):
            for number, (t_s, position) in enumerate(zip(times_s, positions, strict=True)):
                velocity = velocities[number] if velocities is not None else None
                self.add(t_s, position, velocity if type(velocity) is list else None)
            return
        self.distance_m += sum(map(math.dist, [self.last, *positions], positions))
        self.max_speed_mps = max(self.max_speed_mps, *map(math.hypot, *zip(*velocities, strict=True)))
        axes = list(zip(*positions, strict=True))
        self.low = [min(low, *axis) for low, axis in zip(self.low, axes, strict=True)]
        self.high = [max(high, *axis) for high, axis in zip(self.high, axes, strict=True)]
        self.points += len(positions)
        self.last, self.last_s = positions[-1], times_s[-1]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for performance_metrics."""
        time_s = self.last_s - self.first_s
        return {
            "points": self.points,
            "distance_m": round(self.distance_m, 3),
            "extent_m": [round(high - low, 3) for low, high in zip(self.low, self.high, strict=True)],
            "mean_speed_mps": round(self.distance_m / time_s, 3) if time_s > 0 else None,
            "max_speed_mps": round(self.max_speed_mps, 3),
            "moved": self.distance_m > MOVED_M,
        }


def movement_totals(drones: Mapping[str, Mapping[str, Any]], similar: list[list[str]] | None = None) -> dict[str, Any]:
    """Return the sums over all drones, which of them never moved, and pairs of names that differ only in spelling."""
    return {
        **({"similar_names": similar} if similar else {}),
        "points": sum(drone["points"] for drone in drones.values()),
        "distance_m": round(sum(drone["distance_m"] for drone in drones.values()), 3),
        "never_moved": [name for name, drone in drones.items() if not drone["moved"]],
    }


class MotionWriter:
    """Appends motion points, and keeps the figures that every listing shows."""

    def __init__(self, stream: StreamWriter, order: PointOrder = "any") -> None:
        if order not in ("any", "drone"):
            raise InvalidRecord(f'the order of points is "any" or "drone", not {order!r}')
        self._stream = stream
        self._by_drone = order == "drone"
        self._spellings: dict[str, str] = {}
        self.movements: dict[str, Movement] = {}
        self.similar_names: list[list[str]] = []
        self.sorted = True  # whether the figures are those of the points in time order

    def append(
        self,
        drone: str | int,
        t_s: float,
        position_m: Vector,
        velocity_mps: Vector | None = None,
        orientation_rad: Vector | None = None,
        **more: Any,
    ) -> None:
        """Store one motion point.

        Args:
            drone: its stable id, a text; a whole number becomes one. ``Scout-1`` and ``scout-1`` are two drones, and a
                warning is logged.
            t_s: sim_time in seconds; finite.
            position_m: (east, north, up) in metres from the base; velocity_mps likewise.
            orientation_rad: (roll, pitch, yaw) in radians.
            more: further JSON values of this point, such as ``battery=0.93``.

        Raises:
            InvalidRecord, TimeOrderError, StreamClosed, SessionGone, StoreUnusable: nothing was written.
        """
        point: dict[str, Any] = {"drone": drone, "position": position_m}
        if velocity_mps is not None:
            point["velocity"] = velocity_mps
        if orientation_rad is not None:
            point["orientation"] = orientation_rad
        point, time_s = _checked({**point, **more}), _seconds(t_s)
        self._check_order([point], time_s)
        self._stream.append(point, time_s)
        self._take_in(point, time_s)

    def extend(self, points: Iterable[Mapping[str, Any]], t_s: float) -> None:
        """Store the points of many drones at one moment with one write; keys as stored (see the module).

        Raises: as :meth:`append`; what is refused leaves none of them.
        """
        kept, time_s = [_checked(point) for point in points], _seconds(t_s)
        self._check_order(kept, time_s)
        self._stream.extend(kept, time_s)
        for point in kept:
            self._take_in(point, time_s)

    def recompute(self, lines: Iterable[Line]) -> None:
        """Compute the figures anew from the lines of the stream, sorted by sim_time."""
        self.movements = {}
        for line in lines:
            take_point(self.movements, line.data, line.t_s)
        self.sorted = True

    def _check_order(self, points: list[dict[str, Any]], t_s: float) -> None:
        for point in points if self._by_drone else ():
            known = self.movements.get(point["drone"])
            if known is not None and t_s < known.last_s:
                raise TimeOrderError(f"{point['drone']}: {t_s} s after {known.last_s} s")

    def _take_in(self, point: Mapping[str, Any], t_s: float) -> None:
        drone = point["drone"]
        movement = self.movements.get(drone)
        if movement is None:
            movement = self.movements[drone] = Movement()
            self._note_spelling(drone)
        self.sorted = self.sorted and not (movement.points and t_s < movement.last_s)
        movement.add(t_s, point["position"], point.get("velocity"))

    def take_in_many(
        self,
        drones: Sequence[str],
        times_s: Sequence[float],
        positions: Sequence[list[float]],
        velocities: Sequence[Any] | None,
    ) -> None:
        """Add up points that were stored otherwise (an import); a velocity that is no list counts as none."""
        numbers: dict[str, list[int]] = {}
        for number, drone in enumerate(drones):
            numbers.setdefault(drone, []).append(number)
        for drone, mine in numbers.items():
            if drone not in self.movements:
                self.movements[drone] = Movement()
                self._note_spelling(drone)
            movement, times = self.movements[drone], [times_s[number] for number in mine]
            speeds = [velocities[number] for number in mine] if velocities is not None else None
            late = bool(movement.points) and times[0] < movement.last_s
            self.sorted = self.sorted and not late and all(map(operator.le, times, times[1:]))
            movement.add_many(times, [positions[number] for number in mine], speeds)

    def _note_spelling(self, drone: str) -> None:
        other = self._spellings.setdefault(names.collision_key(drone), drone)
        if other != drone:
            self.similar_names.append([other, drone])
            _logger.warning("two drones whose names differ only in spelling: %r and %r", other, drone)


def take_point(movements: dict[str, Movement], point: Mapping[str, Any], t_s: float) -> None:
    """Add one stored point; one without drone or position (written by hand) is passed over."""
    drone, position, velocity = point.get("drone"), point.get("position"), point.get("velocity")
    if type(drone) is int:  # as an older version stored it
        drone = str(drone)
    if isinstance(drone, str) and _is_vector(position):
        movement = movements.setdefault(drone, Movement())
        movement.add(t_s, list(position), list(velocity) if _is_vector(velocity) else None)


def _is_vector(value: Any) -> TypeGuard[list[float]]:
    return isinstance(value, list) and len(value) == 3 and all(type(each) in (int, float) for each in value)


def _checked(point: Mapping[str, Any]) -> dict[str, Any]:
    """Return a point as it is stored. Raises: InvalidRecord."""
    if type(point) is Plain:
        return point
    if not isinstance(point, Mapping):
        raise InvalidRecord(f"a motion point is an object, not {type(point).__name__}")
    missing = [key for key in ("drone", "position") if key not in point]
    if missing:
        raise InvalidRecord(f"a motion point has a {missing[0]}")
    found = {**point, "drone": drone_id(point["drone"]), "position": _vector(point["position"], "position")}
    for key in ("velocity", "orientation"):
        if found.get(key) is not None:
            found[key] = _vector(found[key], key)
        else:
            found.pop(key, None)
    return found


def drone_id(value: Any) -> str:
    """Return the id of a drone as text; whole numbers (numpy's too) become text. Raises: InvalidRecord."""
    if isinstance(value, str):
        return str(value)
    if not isinstance(value, bool):
        try:
            return str(operator.index(value))
        except TypeError:
            pass
    raise InvalidRecord(f"the id of a drone is a text or a whole number, not {value!r}")


def _seconds(t_s: Any) -> float:
    if isinstance(t_s, bool | str) or not hasattr(t_s, "__float__"):
        raise TimeOrderError(f"a sim_time is a number of seconds, not {t_s!r}")
    try:
        return float(t_s)
    except (TypeError, ValueError, OverflowError) as error:
        raise TimeOrderError(f"a sim_time is a number of seconds, not {t_s!r}") from error


def _vector(values: Any, name: str) -> list[float]:
    if type(values) is list and len(values) == 3:
        x, y, z = values
        if type(x) is type(y) is type(z) is float and math.isfinite(x + y + z):  # an infinite sum is looked at below
            return [x, y, z]
    to_list = getattr(values, "tolist", None)
    try:
        vector = to_list() if callable(to_list) else list(values)
        length = len(vector)
    except TypeError as error:
        raise InvalidRecord(f"{name} has three numbers, not {values!r}") from error
    if length != 3 or isinstance(values, str | bytes | Mapping):
        raise InvalidRecord(f"{name} has three numbers, not {values!r}"[:200])
    return [value if type(value) is float and math.isfinite(value) else _number(value, name) for value in vector]


def _number(value: Any, name: str) -> float:
    """Return a finite number; numpy's scalars and arrays without a dimension too. Raises: InvalidRecord."""
    to_list = getattr(value, "tolist", None)
    number = to_list() if callable(to_list) else value
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise InvalidRecord(f"{name}: {value!r} is not a finite number")
    return number
