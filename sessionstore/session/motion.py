"""Motion points and what they add up to: distance, extent, speed per drone.

A point is stored in the stream ``motion_history`` as drone, position and velocity (metres, east-north-up from the
base), orientation (roll, pitch, yaw in radians) and whatever more the caller gives.
Not here: files (streams), when to store a point (recorder), interpolation (replay).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sessionstore.errors import InvalidRecord, TimeOrderError
from sessionstore.session.stream_writer import StreamWriter

MOTION_STREAM = "motion_history"
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
    last: list[float] = field(default_factory=list)

    def add(self, t_s: float, position: list[float], velocity: list[float] | None) -> None:
        """Take in one point; the speed is the velocity's, or else that between two points."""
        step_m = math.dist(position, self.last) if self.points else 0.0
        if velocity is not None:
            self.max_speed_mps = max(self.max_speed_mps, math.hypot(*velocity))
        elif self.points and t_s > self.last_s:
            self.max_speed_mps = max(self.max_speed_mps, step_m / (t_s - self.last_s))
        if not self.points:
            self.first_s, self.low, self.high = t_s, list(position), list(position)
        self.low = list(map(min, self.low, position))
        self.high = list(map(max, self.high, position))
        self.distance_m += step_m
        self.points += 1
        self.last, self.last_s = position, t_s

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


def movement_totals(drones: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sums over all drones, and which of them never moved."""
    return {
        "points": sum(drone["points"] for drone in drones.values()),
        "distance_m": round(sum(drone["distance_m"] for drone in drones.values()), 3),
        "never_moved": [name for name, drone in drones.items() if not drone["moved"]],
    }


class MotionWriter:
    """Appends motion points, and keeps the figures that every listing shows."""

    def __init__(self, stream: StreamWriter) -> None:
        self._stream = stream
        self.movements: dict[str, Movement] = {}

    def append(
        self,
        drone: str,
        t_s: float,
        position_m: Vector,
        velocity_mps: Vector | None = None,
        orientation_rad: Vector | None = None,
        **more: Any,
    ) -> None:
        """Store one motion point.

        Args:
            drone: its stable id; ``Scout-1`` and ``scout-1`` would be two drones, so choose one spelling.
            t_s: sim_time in seconds; finite, not below the last one stored in this session.
            position_m: (east, north, up) in metres from the base; velocity_mps likewise.
            orientation_rad: (roll, pitch, yaw) in radians.
            more: further JSON values of this point, such as ``battery=0.93``.

        Raises:
            InvalidRecord, TimeOrderError, StreamClosed, SessionGone, StoreUnusable: nothing was written.
        """
        position = _vector(position_m, "position_m")
        velocity = None if velocity_mps is None else _vector(velocity_mps, "velocity_mps")
        point: dict[str, Any] = {"drone": drone, "position": position}
        if velocity is not None:
            point["velocity"] = velocity
        if orientation_rad is not None:
            point["orientation"] = _vector(orientation_rad, "orientation_rad")
        self._stream.append({**point, **more}, _seconds(t_s))
        self._take_in(drone, t_s, position, velocity)

    def extend(self, points: Iterable[Mapping[str, Any]], t_s: float) -> None:
        """Store the points of many drones at one moment with one write; keys as stored (see the module).

        Raises: as :meth:`append`; what is refused leaves none of them.
        """
        kept = list(points)
        vectors = [(_vector(point["position"], "position"), point.get("velocity")) for point in kept]
        self._stream.extend(kept, _seconds(t_s))
        for point, (position, velocity) in zip(kept, vectors, strict=True):
            self._take_in(point["drone"], t_s, position, velocity)

    def _take_in(self, drone: str, t_s: float, position: list[float], velocity: list[float] | None) -> None:
        movement = self.movements.get(drone)
        if movement is None:
            movement = self.movements[drone] = Movement()
        movement.add(t_s, position, velocity)


def _seconds(t_s: Any) -> float:
    if isinstance(t_s, bool) or not hasattr(t_s, "__float__"):
        raise TimeOrderError(f"a sim_time is a number of seconds, not {t_s!r}")
    return float(t_s)


def _vector(values: Any, name: str) -> list[float]:
    to_list = getattr(values, "tolist", None)
    vector = to_list() if callable(to_list) else list(values)
    if len(vector) != 3:
        raise InvalidRecord(f"{name} has three numbers, not {len(vector)}")
    for value in vector:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise InvalidRecord(f"{name}: {value!r} is not a finite number")
    return vector
