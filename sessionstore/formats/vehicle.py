"""Vehicles of a log that is read message by message: points with the attitude, battery and mode of that moment.

    attitude, battery, mode      kept, and given to each position that follows
    position                     a motion point (ENU metres); the first vehicle's modes are the phases of the session
    armed, landed, failsafe      events, at each change

Numbers that are not finite (damage, a sensor that is off) are left out and counted by the caller.
Not here: what the messages of a log say (dataflash, tlog), ULog (ulog_flight).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sessionstore.formats.geodesy import Origin
from sessionstore.model import json_text
from sessionstore.session import frames
from sessionstore.session.frames import Vector3

if TYPE_CHECKING:
    from sessionstore.formats.draft import SessionDraft

_CLOCK_EVERY_S = 5.0


class Vehicles:
    """All vehicles of a log, their shared origin, and the wall clock."""

    def __init__(self, into: SessionDraft, origin: Origin | None) -> None:
        self.into, self.origin = into, origin
        self.points = 0
        self._vehicles: dict[str, Vehicle] = {}
        self._start_utc: datetime | None = None
        self._clock_s = -math.inf

    def of(self, drone: str, kind: str) -> Vehicle:
        """Return a vehicle by its name; the first one asked for gives the session its phases."""
        if drone not in self._vehicles:
            self._vehicles[drone] = Vehicle(self, drone, kind, leads=not self._vehicles)
        return self._vehicles[drone]

    def clock(self, t_s: float, utc: datetime) -> None:
        """Take in which instant a sim_time had; one in five seconds is stored."""
        if self._start_utc is None:
            self._start_utc = utc - timedelta(seconds=t_s)
        if t_s - self._clock_s >= _CLOCK_EVERY_S:
            self._clock_s = t_s
            self.into.clock(t_s, utc)

    def finish(self) -> None:
        """Set origin, drones, phases and instants of the session."""
        flown = [each for each in self._vehicles.values() if each.points]
        if flown:
            self.into.set(drones=[{"id": each.drone, "kind": each.kind} for each in flown])
        if self.origin is not None:
            self.into.set(gps=self.origin.as_record())
        if self._start_utc is not None:
            self.into.created_at = self._start_utc
            self.into.set(started_at=json_text.utc_text(self._start_utc))
        if rows := next((each.phases for each in self._vehicles.values() if each.phases), None):
            for row in rows:
                row["at"] = self._instant(row["sim_time"])
            self.into.table("workflow", rows)
            self.into.set(workflow_state=rows[-1]["new"])

    def _instant(self, t_s: float) -> str | None:
        if self._start_utc is None:
            return None
        try:
            return json_text.utc_text(self._start_utc + timedelta(seconds=t_s))
        except OverflowError:
            return None  # a damaged time: no calendar has it


class Vehicle:
    """One vehicle: what was last said of it, and its points."""

    def __init__(self, fleet: Vehicles, drone: str, kind: str, leads: bool) -> None:
        self._fleet, self._into = fleet, fleet.into
        self.drone, self.kind, self.leads = drone, kind, leads
        self.points = 0
        self.phases: list[dict[str, Any]] = []
        self._orientation: Vector3 | None = None
        self._more: dict[str, Any] = {}
        self._said: dict[str, Any] = {}

    def attitude_ned(self, roll_rad: float, pitch_rad: float, yaw_rad: float) -> None:
        """Take in an attitude in north-east-down (body forward-right-down), as autopilots log it."""
        if _finite((roll_rad, pitch_rad, yaw_rad)):
            self._orientation = frames.orientation_from_ned(roll_rad, pitch_rad, yaw_rad)

    def battery(self, fraction: float) -> None:
        """Take in the charge, 0 to 1; other numbers mean that it is not known."""
        if 0 <= fraction <= 1:
            self._more["battery"] = round(fraction, 4)

    def mode(self, t_s: float, name: str) -> None:
        """Take in the flight mode; a change is an event, and a phase of the session for the first vehicle."""
        before = self._said.get("mode")
        if before == name:
            return
        self._said["mode"] = self._more["mode"] = name
        self._into.event("mode", name, t_s, drone=self.drone)
        if self.leads:
            row = {"field": "workflow_state", "old": before or "idle", "new": name, "sim_time": t_s, "reason": "mode"}
            self.phases.append(row)

    def state(self, t_s: float, what: str, value: bool, kinds: tuple[str, str], level: str = "info") -> None:
        """Take in a state of two values; a change is an event of the first kind for true, else of the second one."""
        if self._said.get(what) is not value:
            self._said[what] = value
            if kind := kinds[0 if value else 1]:
                self._into.event(kind, "", t_s, level, drone=self.drone)

    def place(self, t_s: float, place: Sequence[float], velocity_ned: Sequence[float] | None = None) -> bool:
        """Store a point from latitude and longitude (degrees) and altitude (metres); whether it is one."""
        if not is_place(*place[:2]) or not _finite(place):
            return False
        if self._fleet.origin is None:
            self._fleet.origin = Origin(*place)
        return self._point(t_s, self._fleet.origin.to_enu(*place), velocity_ned)

    def local_ned(self, t_s: float, position: Sequence[float], velocity_ned: Sequence[float] | None = None) -> bool:
        """Store a point from north, east, down in metres; whether it is one."""
        return _finite(position) and self._point(t_s, frames.ned_to_enu(*position), velocity_ned)

    def _point(self, t_s: float, position: Vector3, velocity_ned: Sequence[float] | None) -> bool:
        velocity = frames.ned_to_enu(*velocity_ned) if velocity_ned is not None and _finite(velocity_ned) else None
        self._into.motion.append(self.drone, t_s, position, velocity, self._orientation, **self._more)
        self.points += 1
        self._fleet.points += 1
        return True


def _finite(values: Sequence[float]) -> bool:
    return all(map(math.isfinite, values))


def is_place(latitude_deg: float, longitude_deg: float) -> bool:
    """Whether these are degrees of a place; 0, 0 is what receivers say before their first fix."""
    return abs(latitude_deg) <= 90 and abs(longitude_deg) <= 180 and (latitude_deg != 0 or longitude_deg != 0)
