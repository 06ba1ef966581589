"""The flight in a ULog: positions with attitude, battery and mode of that moment, phases, arming, origin, wall clock.

Positions come from the estimator (vehicle_local_position), else from GPS. Attitude and battery are the latest before.
Not here: topics as they are, messages, parameters (ulog).
"""

from __future__ import annotations

import bisect
import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sessionstore.formats.geodesy import Origin
from sessionstore.model import json_text
from sessionstore.session import frames

if TYPE_CHECKING:
    from sessionstore.formats.draft import SessionDraft

Columns = dict[str, list[Any]]
#: vehicle_status.nav_state, by number (PX4 1.11 and later; earlier numbers keep their meaning).
MODES = {
    0: "manual", 1: "altitude", 2: "position", 3: "mission", 4: "hold", 5: "return", 6: "position slow", 8: "failure",
    10: "acro", 12: "descend", 13: "termination", 14: "offboard", 15: "stabilized", 16: "rattitude", 17: "takeoff",
    18: "land", 19: "follow", 20: "precision land", 21: "orbit", 22: "vtol takeoff",
}  # fmt: skip
_ARMED = 2
_LEAST_FIX = 3


class Flight:
    """What a session shows of a log.

    Args:
        topics: columns by topic and instance, without empty ones.
        start_us: what becomes sim_time 0.
    """

    def __init__(self, topics: dict[tuple[str, int], Columns], start_us: int) -> None:
        self._topics, self._start_us = topics, start_us
        systems = self._topic("vehicle_status").get("system_id") or [1]
        self.drone = f"px4-{systems[0]}"
        self.origin = self._origin()

    def write(self, into: SessionDraft) -> int:
        """Write motion points, events, phases and clock; return the number of points."""
        phases = self._changes("vehicle_status", "nav_state")
        count = self._write_points(into, phases)
        self._write_status(into, phases)
        self._write_clock(into)
        if self.origin is not None:
            into.set(gps=self.origin.as_record())
        if count:
            into.set(
                drones=[{"id": self.drone, "kind": "px4"}], duration_sim_s=into.motion.movements[self.drone].last_s
            )
        return count

    def _topic(self, name: str) -> Columns:
        found = next((key for key in sorted(self._topics) if key[0] == name), None)
        return self._topics[found] if found is not None else {}

    def _seconds(self, timestamp: int) -> float:
        return (timestamp - self._start_us) / 1e6

    def _origin(self) -> Origin | None:
        local = self._topic("vehicle_local_position")
        if "ref_lat" in local:
            for latitude, longitude, altitude in zip(
                local["ref_lat"], local["ref_lon"], local.get("ref_alt", [0.0] * len(local["ref_lat"])), strict=True
            ):
                if _is_place(latitude, longitude):
                    return Origin(latitude, longitude, altitude if math.isfinite(altitude) else 0.0)
        return next((Origin(*place) for _, place in self._gps()), None)

    def _gps(self) -> list[tuple[int, tuple[float, float, float]]]:
        """Return timestamps and places of the GPS receiver while it had a fix."""
        gps = self._topic("vehicle_gps_position") or self._topic("sensor_gps")
        newer = "latitude_deg" in gps
        latitudes, longitudes = (
            gps.get("latitude_deg" if newer else "lat"),
            gps.get("longitude_deg" if newer else "lon"),
        )
        altitudes = gps.get("altitude_msl_m" if newer else "alt")
        if latitudes is None or longitudes is None or altitudes is None:
            return []
        angle, length = (1.0, 1.0) if newer else (1e-7, 1e-3)
        fixes = gps.get("fix_type") or [_LEAST_FIX] * len(latitudes)
        rows = zip(gps["timestamp"], latitudes, longitudes, altitudes, fixes, strict=True)
        return [
            (t, (latitude * angle, longitude * angle, altitude * length))
            for t, latitude, longitude, altitude, fix in rows
            if fix >= _LEAST_FIX and _is_place(latitude * angle, longitude * angle) and math.isfinite(altitude)
        ]

    def _positions(self) -> list[tuple[int, list[float], list[float] | None]]:
        local = self._topic("vehicle_local_position")
        if all(axis in local for axis in ("x", "y", "z", "vx", "vy", "vz")):
            rows = zip(*(local[each] for each in ("timestamp", "x", "y", "z", "vx", "vy", "vz")), strict=True)
            return [
                (t, list(frames.ned_to_enu(x, y, z)), list(frames.ned_to_enu(vx, vy, vz)))
                for t, x, y, z, vx, vy, vz in rows
                if all(map(math.isfinite, (x, y, z, vx, vy, vz)))
            ]
        origin = self.origin
        return [(t, list(origin.to_enu(*place)), None) for t, place in self._gps()] if origin is not None else []

    def _write_points(self, into: SessionDraft, phases: list[tuple[int, int]]) -> int:
        attitude, battery = self._topic("vehicle_attitude"), self._topic("battery_status")
        turned = _Latest(attitude.get("timestamp"), attitude.get("q"))
        charge = _Latest(battery.get("timestamp"), battery.get("remaining"))
        mode = _Latest([t for t, _ in phases], [_mode(state) for _, state in phases])
        points = sorted(self._positions(), key=lambda point: point[0])
        for t, position, velocity in points:
            more = {}
            if (left := charge.at(t)) is not None and math.isfinite(left) and 0 <= left <= 1:
                more["battery"] = left
            if (name := mode.at(t)) is not None:
                more["mode"] = name
            into.motion.append(self.drone, self._seconds(t), position, velocity, _orientation(turned.at(t)), **more)
        return len(points)

    def _changes(self, topic: str, field: str) -> list[tuple[int, Any]]:
        """Return the values of a field at their first moment and at each change."""
        columns = self._topic(topic)
        changes: list[tuple[int, Any]] = []
        for t, value in zip(columns["timestamp"], columns[field], strict=True) if field in columns else ():
            if not changes or changes[-1][1] != value:
                changes.append((t, value))
        return changes

    def _write_status(self, into: SessionDraft, phases: list[tuple[int, int]]) -> None:
        before = "idle"
        rows: list[dict[str, Any]] = []
        for t, state in phases:
            name = _mode(state)
            into.event("mode", name, self._seconds(t), drone=self.drone)
            rows.append({"field": "workflow_state", "old": before, "new": name, "sim_time": self._seconds(t)})
            before = name
        for t, state in self._changes("vehicle_status", "arming_state"):
            into.event("armed" if state == _ARMED else "disarmed", "", self._seconds(t), drone=self.drone)
        for t, flag in self._changes("vehicle_land_detected", "landed"):
            into.event("landed" if flag else "took_off", "", self._seconds(t), drone=self.drone)
        for t, flag in self._changes("vehicle_status", "failsafe"):
            if flag:
                into.event("failsafe", "", self._seconds(t), "warning", drone=self.drone)
        if rows:
            started = self._start_utc()
            for row in rows:
                at = json_text.utc_text(started + timedelta(seconds=row["sim_time"])) if started else None
                row.update(reason="PX4 mode", at=at)
            into.table("workflow", rows)
            into.set(workflow_state=before)

    def _start_utc(self) -> datetime | None:
        pairs = self._clock()
        return pairs[0][1] - timedelta(seconds=self._seconds(pairs[0][0])) if pairs else None

    def _clock(self) -> list[tuple[int, datetime]]:
        from sessionstore.formats.ulog import utc_of

        gps = self._topic("vehicle_gps_position") or self._topic("sensor_gps")
        if "time_utc_usec" not in gps:
            return []
        pairs = [(t, utc_of(utc)) for t, utc in zip(gps["timestamp"], gps["time_utc_usec"], strict=True)]
        return [(t, utc) for t, utc in pairs if utc is not None]

    def _write_clock(self, into: SessionDraft) -> None:
        for t, utc in self._clock():
            into.clock(self._seconds(t), utc)
        if (started := self._start_utc()) is not None:
            into.created_at = started
            into.set(started_at=json_text.utc_text(started))


class _Latest:
    """The latest value before a moment."""

    def __init__(self, times: list[int] | None, values: list[Any] | None) -> None:
        pairs = sorted(zip(times or [], values or [], strict=False), key=lambda pair: pair[0])
        self._times, self._values = [t for t, _ in pairs], [value for _, value in pairs]

    def at(self, t: int) -> Any:
        number = bisect.bisect_right(self._times, t)
        return self._values[number - 1] if number else None


def _mode(state: int) -> str:
    return MODES.get(state, f"mode {state}")


def _orientation(q: list[float] | None) -> frames.Vector3 | None:
    if q is None or len(q) != 4 or not all(map(math.isfinite, q)) or not any(q):
        return None
    w, x, y, z = q
    return frames.orientation_from_ned(*frames.from_quaternion(x, y, z, w))


def _is_place(latitude: float, longitude: float) -> bool:
    return abs(latitude) <= 90 and abs(longitude) <= 180 and (latitude != 0 or longitude != 0)
