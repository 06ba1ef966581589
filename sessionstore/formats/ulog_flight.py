"""The flight in a ULog: positions with attitude, battery and mode of that moment, phases, arming, origin, wall clock.

Positions come from the estimator (vehicle_local_position), else from GPS. Attitude and battery are the latest before.
Rows are turned by array, and wait in :mod:`kept_rows` until all of the log was read.
Not here: topics as they are, messages, parameters (ulog_topics).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from sessionstore.formats.geodesy import Origin
from sessionstore.formats.kept_rows import KeptRows, Latest
from sessionstore.formats.ulog_definitions import TIMESTAMP, Topic
from sessionstore.model import json_text

if TYPE_CHECKING:
    from sessionstore.formats.draft import SessionDraft

Rows = npt.NDArray[np.void]
Floats = npt.NDArray[np.float64]
#: vehicle_status.nav_state, by number (PX4 1.11 and later; earlier numbers keep their meaning).
MODES = {
    0: "manual", 1: "altitude", 2: "position", 3: "mission", 4: "hold", 5: "return", 6: "position slow", 8: "failure",
    10: "acro", 12: "descend", 13: "termination", 14: "offboard", 15: "stabilized", 16: "rattitude", 17: "takeoff",
    18: "land", 19: "follow", 20: "precision land", 21: "orbit", 22: "vtol takeoff",
}  # fmt: skip
_ARMED = 2
_LEAST_FIX = 3
_LOCAL, _ATTITUDE, _BATTERY = "vehicle_local_position", "vehicle_attitude", "battery_status"
_STATUS, _LANDED = "vehicle_status", "vehicle_land_detected"
_RECEIVERS = ("vehicle_gps_position", "sensor_gps")
_TIME, _VECTOR = ("t", "<u8"), ("<f8", (3,))
#: GPS times outside are not set, or not times: from 2000 to 2100.
_LEAST_UTC, _MOST_UTC = 946_684_800_000_000, 4_102_444_800_000_000


class Flight:
    """What a session shows of a log.

    Args:
        counts: the topics that have data; of several instances the first one flies.
        start_us: what becomes sim_time 0.
    """

    def __init__(self, counts: Iterable[tuple[str, int]], start_us: int) -> None:
        self._start_us = start_us
        first: dict[str, int] = {}
        for name, instance in sorted(counts):
            first.setdefault(name, instance)
        receiver = next((name for name in _RECEIVERS if name in first), None)
        handlers: dict[str | None, Any] = {
            _LOCAL: self._take_local, _ATTITUDE: self._take_attitude, _BATTERY: self._take_battery,
            _STATUS: self._take_status, _LANDED: self._take_landed, receiver: self._take_gps,
        }  # fmt: skip
        self._handlers = {(name, first[name]): take for name, take in handlers.items() if name in first}
        self._local = KeptRows([_TIME, ("position", *_VECTOR), ("velocity", *_VECTOR)])
        self._places = KeptRows([_TIME, ("place", *_VECTOR)])
        self._attitude = KeptRows([_TIME, ("q", "<f8", (4,))])
        self._battery = KeptRows([_TIME, ("remaining", "<f8")])
        self._utc = KeptRows([_TIME, ("utc", "<u8")])
        self._changes: dict[str, list[tuple[int, int]]] = {}
        self._origin: Origin | None = None
        self._first_fix: Origin | None = None
        self._has_local = False
        self._drone: str | None = None

    def take(self, topic: Topic, rows: Rows) -> None:
        """Take in rows of a topic."""
        if (handler := self._handlers.get(topic.key)) is not None:
            handler(rows)

    # ------------------------------------------------------------ what is kept of the topics

    def _take_local(self, rows: Rows) -> None:
        self._find_reference(rows)
        axes = [_column(rows, axis) for axis in ("y", "x", "z", "vy", "vx", "vz")]
        given = [axis for axis in axes if axis is not None]
        if len(given) < len(axes):
            return
        self._has_local = True
        table = np.stack(given, axis=1)
        table[:, [2, 5]] *= -1.0  # north-east-down to east-north-up
        finite = np.isfinite(table).all(axis=1)
        kept = np.zeros(int(finite.sum()), self._local.dtype)
        kept["t"], kept["position"], kept["velocity"] = rows[TIMESTAMP][finite], table[finite, :3], table[finite, 3:]
        self._local.append(kept)

    def _find_reference(self, rows: Rows) -> None:
        latitudes, longitudes, altitudes = (_column(rows, name) for name in ("ref_lat", "ref_lon", "ref_alt"))
        if self._origin is not None or latitudes is None or longitudes is None:
            return
        found = np.flatnonzero(_are_places(latitudes, longitudes))
        if len(found):
            at = int(found[0])
            altitude = float(altitudes[at]) if altitudes is not None else 0.0
            altitude = altitude if math.isfinite(altitude) else 0.0
            self._origin = Origin(float(latitudes[at]), float(longitudes[at]), altitude)

    def _take_gps(self, rows: Rows) -> None:
        newer = _column(rows, "latitude_deg") is not None
        names = ("latitude_deg", "longitude_deg", "altitude_msl_m") if newer else ("lat", "lon", "alt")
        angle, length = (1.0, 1.0) if newer else (1e-7, 1e-3)
        latitudes, longitudes, altitudes = (_column(rows, name) for name in names)
        if latitudes is not None and longitudes is not None and altitudes is not None:
            table = np.stack([latitudes * angle, longitudes * angle, altitudes * length], axis=1)
            right = _are_places(table[:, 0], table[:, 1]) & np.isfinite(table[:, 2])
            if (fixes := _column(rows, "fix_type")) is not None:
                right &= fixes >= _LEAST_FIX
            kept = np.zeros(int(right.sum()), self._places.dtype)
            kept["t"], kept["place"] = rows[TIMESTAMP][right], table[right]
            self._places.append(kept)
            if self._first_fix is None and len(kept):
                self._first_fix = Origin(*kept["place"][0].tolist())
        if "time_utc_usec" in (rows.dtype.names or ()) and rows.dtype["time_utc_usec"] == np.dtype("<u8"):
            utc = rows["time_utc_usec"]
            right = (utc > _LEAST_UTC) & (utc < _MOST_UTC)
            clock = np.zeros(int(right.sum()), self._utc.dtype)
            clock["t"], clock["utc"] = rows[TIMESTAMP][right], utc[right]
            self._utc.append(clock)

    def _take_attitude(self, rows: Rows) -> None:
        if "q" in (rows.dtype.names or ()) and rows.dtype["q"].shape == (4,):
            kept = np.zeros(len(rows), self._attitude.dtype)
            with np.errstate(invalid="ignore"):
                kept["t"], kept["q"] = rows[TIMESTAMP], rows["q"]
            self._attitude.append(kept)

    def _take_battery(self, rows: Rows) -> None:
        if (remaining := _column(rows, "remaining")) is not None:
            kept = np.zeros(len(rows), self._battery.dtype)
            kept["t"], kept["remaining"] = rows[TIMESTAMP], remaining
            self._battery.append(kept)

    def _take_status(self, rows: Rows) -> None:
        if self._drone is None:
            system = _column(rows, "system_id")
            self._drone = f"px4-{int(system[0]) if system is not None and np.isfinite(system[0]) else 1}"
        for name in ("nav_state", "arming_state", "failsafe"):
            self._note_changes(rows, name)

    def _take_landed(self, rows: Rows) -> None:
        self._note_changes(rows, "landed")

    def _note_changes(self, rows: Rows, name: str) -> None:
        """Keep the values of a field at their first moment and at each change."""
        if name not in (rows.dtype.names or ()) or rows.dtype[name].shape or rows.dtype[name].kind not in "iu":
            return
        known, values = self._changes.setdefault(name, []), rows[name]
        changed = np.append(not known or known[-1][1] != int(values[0]), values[1:] != values[:-1])
        known += zip(rows[TIMESTAMP][changed].tolist(), values[changed].tolist(), strict=True)

    # ------------------------------------------------------------ the flight

    def write(self, into: SessionDraft) -> int:
        """Write motion points, events, phases and clock; return the number of points."""
        drone = self._drone or "px4-1"
        started = self._write_clock(into)
        origin = self._origin or self._first_fix
        phases = [(t, _mode(state)) for t, state in self._changes.get("nav_state", ())]
        count = self._write_points(into, drone, origin, phases)
        self._write_status(into, drone, phases, started)
        if origin is not None:
            into.set(gps=origin.as_record())
        if count:
            into.set(drones=[{"id": drone, "kind": "px4"}], duration_sim_s=into.motion.movements[drone].last_s)
        return count

    def close(self) -> None:
        """Give back what was kept."""
        for kept in (self._local, self._places, self._attitude, self._battery, self._utc):
            kept.close()

    def _seconds(self, timestamp: int) -> float:
        return (timestamp - self._start_us) / 1e6

    def _write_points(
        self, into: SessionDraft, drone: str, origin: Origin | None, phases: list[tuple[int, str]]
    ) -> int:
        attitude, battery, mode = Latest(self._attitude), Latest(self._battery), _modes_by_time(phases)
        source = self._local if self._has_local else self._places
        if not self._has_local and origin is None:
            return 0
        for rows in source.blocks():
            times = rows["t"]
            if self._has_local:
                positions, velocities = rows["position"].tolist(), rows["velocity"].tolist()
            else:
                assert origin is not None
                positions, velocities = [list(origin.to_enu(*place)) for place in rows["place"].tolist()], None
            latest, known = battery.at(times)
            charge: Floats = latest["remaining"]
            into.points(
                [drone] * len(rows),
                [self._seconds(t) for t in times.tolist()],
                positions,
                velocities,
                orientation=_orientations(*attitude.at(times)),
                battery=_where(known & (charge >= 0) & (charge <= 1), charge.tolist()),
                mode=mode(times),
            )
        return source.count

    def _write_status(
        self, into: SessionDraft, drone: str, phases: list[tuple[int, str]], started: datetime | None
    ) -> None:
        before = "idle"
        rows: list[dict[str, Any]] = []
        for t, name in phases:
            t_s = self._seconds(t)
            into.event("mode", name, t_s, drone=drone)
            at = _instant(started, t_s)
            rows.append(
                {"field": "workflow_state", "old": before, "new": name, "sim_time": t_s, "reason": "PX4 mode", "at": at}
            )
            before = name
        for t, state in self._changes.get("arming_state", ()):
            into.event("armed" if state == _ARMED else "disarmed", "", self._seconds(t), drone=drone)
        for t, flag in self._changes.get("landed", ()):
            into.event("landed" if flag else "took_off", "", self._seconds(t), drone=drone)
        for t, flag in self._changes.get("failsafe", ()):
            if flag:
                into.event("failsafe", "", self._seconds(t), "warning", drone=drone)
        if rows:
            into.table("workflow", rows)
            into.set(workflow_state=before)

    def _write_clock(self, into: SessionDraft) -> datetime | None:
        """Write which instants moments had; return the instant of sim_time 0."""
        started = None
        for rows in self._utc.blocks():
            times: list[int] = rows["t"].tolist()
            instants: list[int] = rows["utc"].tolist()
            for t, utc in zip(times, instants, strict=True):
                instant = datetime.fromtimestamp(utc / 1e6, UTC)
                if started is None:
                    started = _minus(instant, self._seconds(t))
                into.clock(self._seconds(t), instant)
        if started is not None:
            into.created_at = started
            into.set(started_at=json_text.utc_text(started))
        return started


def _minus(instant: datetime, seconds: float) -> datetime | None:
    try:
        return instant - timedelta(seconds=seconds)
    except OverflowError:
        return None  # a damaged time: no calendar has it


def _instant(started: datetime | None, t_s: float) -> str | None:
    found = _minus(started, -t_s) if started is not None else None
    return json_text.utc_text(found) if found is not None else None


def _column(rows: Rows, name: str) -> Floats | None:
    """Return a field with one number a message, or None."""
    if name not in (rows.dtype.names or ()) or rows.dtype[name].shape:
        return None
    with np.errstate(invalid="ignore"):  # a signalling NaN of a damaged log
        found: Floats = rows[name].astype(np.float64)
    return found


def _modes_by_time(phases: list[tuple[int, str]]) -> Any:
    """Return a function from moments to the latest mode of each."""
    ordered = sorted(phases, key=lambda phase: phase[0])
    begins = np.array([t for t, _ in ordered], np.uint64)
    names: list[Any] = [msgspec.UNSET, *(name for _, name in ordered)]

    def at(times: npt.NDArray[np.uint64]) -> list[Any]:
        found: npt.NDArray[Any] = np.searchsorted(begins, times, "right")
        return [names[number] for number in found]

    return at


def _mode(state: int) -> str:
    return MODES.get(state, f"mode {state}")


def _where(right: npt.NDArray[np.bool_], values: list[Any]) -> list[Any]:
    if right.all():
        return values
    return [value if there else msgspec.UNSET for there, value in zip(right.tolist(), values, strict=True)]


def _orientations(rows: Rows, known: npt.NDArray[np.bool_]) -> list[Any]:
    """Return roll, pitch, yaw in east-north-up of quaternions in north-east-down, as ``session.frames`` does."""
    q = rows["q"]
    with np.errstate(over="ignore", invalid="ignore"):
        length = np.sqrt((q * q).sum(axis=1))
    right = known & np.isfinite(length) & (length > 0)
    unit: Floats = q / np.where(right, length, 1.0)[:, None]
    w, x, y, z = (unit[:, number] for number in range(4))
    with np.errstate(invalid="ignore"):
        roll = np.arctan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
        pitch = np.arcsin(np.clip(2 * (w * y - z * x), -1.0, 1.0))
        yaw = math.pi / 2 - np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
        turned = np.stack([roll, -pitch, math.pi - np.mod(math.pi - yaw, 2 * math.pi)], axis=1)
    return _where(right, turned.tolist())


def _are_places(latitudes: Floats, longitudes: Floats) -> npt.NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        right: npt.NDArray[np.bool_] = (np.abs(latitudes) <= 90) & (np.abs(longitudes) <= 180)
    right &= (latitudes != 0) | (longitudes != 0)
    return right
