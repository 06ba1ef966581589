"""MAVLink telemetry logs (.tlog): every message type of a system a stream, and the flight of each vehicle.

    GLOBAL_POSITION_INT; else LOCAL_POSITION_NED; else GPS_RAW_INT      motion points (east-north-up metres)
    ATTITUDE, ATTITUDE_QUATERNION                                       attitude (north-east-down, turned)
    SYS_STATUS, BATTERY_STATUS      battery        HEARTBEAT            modes (phases), armed, disarmed
    EXTENDED_SYS_STATE              landed         STATUSTEXT           the log
    PARAM_VALUE                     metadata       SYSTEM_TIME and the receiver's clock: clock

Streams keep MAVLink's units and axes. sim_time 0 is the first packet. The file is read twice, in constant memory.
Not here: packets (tlog_frames), points and phases (vehicle).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionstore.errors import InvalidRecord
from sessionstore.formats.byte_walk import ByteWalk
from sessionstore.formats.geodesy import Origin
from sessionstore.formats.protocol import ImportReport, Options
from sessionstore.formats.tlog_frames import packets
from sessionstore.formats.topic_streams import TopicStreams
from sessionstore.formats.vehicle import Vehicle, Vehicles, is_place
from sessionstore.session import frames, stream_names

if TYPE_CHECKING:
    from sessionstore.formats.draft import SessionDraft

#: By number, from https://mavlink.io/en/messages/common.html
_AUTOPILOTS = {3: "ardupilot", 12: "px4"}
_NOT_A_VEHICLE, _NO_AUTOPILOT = (
    {5, 6, 18, 26, 27, 30},
    8,
)  # antenna tracker, ground station, ... ; MAV_AUTOPILOT_INVALID
_ARMED = 128
_LEAST_FIX = 3
_SEVERITIES = ("critical", "critical", "critical", "error", "warning", "info", "info", "debug")
_ON_GROUND, _IN_AIR = 1, 2
_UNKNOWN_COURSE = 65_535
_POSITIONS = ("GLOBAL_POSITION_INT", "LOCAL_POSITION_NED", "GPS_RAW_INT")


class TelemetryLog:
    """A log of MAVLink packets; it can be read."""

    name = "tlog"
    about = "MAVLink telemetry logs (.tlog)"
    extensions = (".tlog",)
    requires = ("pymavlink",)

    def sniff(self, head: bytes, path: Path) -> float:
        """Return 0.9 for a time of this century with a packet behind it; 0.3 for the extension and a packet."""
        at_us = int.from_bytes(head[:8], "big")
        if len(head) > 10 and head[8] in (0xFD, 0xFE) and 946_684_800 * 10**6 < at_us < 4_102_444_800 * 10**6:
            return 0.9
        return 0.3 if path.suffix.lower() == ".tlog" and (b"\xfd" in head or b"\xfe" in head) else 0.0

    def read(self, path: Path, into: SessionDraft, options: Options) -> ImportReport:
        """Read a log. Raises: InvalidRecord: it holds no packets that can be read."""
        report = ImportReport(str(path), self.name)
        reading = _Reading(into, report, _Seen(path))
        walk = ByteWalk("packets")
        for at_us, message in packets(path, walk, _decoder()):
            reading.take(at_us, message)
        reading.finish()
        report.problems.extend(walk.problems())
        return report


def _decoder() -> Any:
    """Return pymavlink's decoder of one packet, of all dialects that ArduPilot and PX4 speak."""
    from pymavlink.dialects.v20 import ardupilotmega

    return ardupilotmega.MAVLink(None).decode


class _Seen:
    """What the first pass finds: which systems are vehicles, which messages each sends, when it begins, the origins."""

    def __init__(self, path: Path) -> None:
        self.start_us: int | None = None
        self.vehicles: dict[int, str] = {}
        self.counts: dict[int, Counter[str]] = {}
        self.origins: dict[int, Origin] = {}
        self.origin: Origin | None = None
        for at_us, message in packets(path, ByteWalk("packets"), _decoder()):
            self.start_us = at_us if self.start_us is None else self.start_us
            name, system = message.get_type(), message.get_srcSystem()
            self.counts.setdefault(system, Counter())[name] += 1
            if name == "HEARTBEAT" and _is_vehicle(message):
                self.vehicles.setdefault(system, _AUTOPILOTS.get(message.autopilot, "mav"))
            elif name == "GPS_GLOBAL_ORIGIN" and system not in self.origins:
                self._take_origin(system, message.latitude, message.longitude, message.altitude)
            elif name == "GLOBAL_POSITION_INT" and self.origin is None and is_place(message.lat, message.lon):
                self.origin = _place(message)
        if self.start_us is None:
            raise InvalidRecord(f"{path.name} holds no packets")
        self.origin = next(iter(self.origins.values()), self.origin)

    def _take_origin(self, system: int, latitude: int, longitude: int, altitude: int) -> None:
        if is_place(latitude / 1e7, longitude / 1e7):
            self.origins[system] = Origin(latitude / 1e7, longitude / 1e7, altitude / 1e3)

    def positions(self, system: int) -> str | None:
        """Return the message that the points of a vehicle come from."""
        return next((name for name in _POSITIONS if self.counts.get(system, Counter())[name]), None)


class _Reading:
    def __init__(self, into: SessionDraft, report: ImportReport, seen: _Seen) -> None:
        self._into, self._report, self._seen = into, report, seen
        self._start_us = seen.start_us or 0
        self._streams = TopicStreams()
        self._vehicles = Vehicles(into, seen.origin)
        self._positions = {system: seen.positions(system) for system in seen.vehicles}
        self._first = next(iter(seen.vehicles), next(iter(seen.counts), 1))
        self._parameters: dict[int, dict[str, float]] = {}
        self._changed: dict[tuple[int, str], float] = {}
        self._texts: dict[tuple[int, int], str] = {}
        self._unknown: Counter[str] = Counter()
        self._meanings: dict[str, Callable[[Vehicle, Any, float], object]] = {
            "HEARTBEAT": _heartbeat, "ATTITUDE": _attitude, "ATTITUDE_QUATERNION": _quaternion, "SYS_STATUS": _battery,
            "BATTERY_STATUS": _first_battery, "EXTENDED_SYS_STATE": _landed,
        }  # fmt: skip

    def take(self, at_us: int, message: Any) -> None:
        """Store one message."""
        t_s, name, system = (at_us - self._start_us) / 1e6, message.get_type(), message.get_srcSystem()
        self._vehicles.clock(t_s, datetime.fromtimestamp(at_us / 1e6, UTC))
        topic = name if system == self._first else f"{name}_{system}"
        if name.startswith("UNKNOWN") or name == "BAD_DATA":
            self._unknown[name] += 1
            self._report.count(topic, records_out=0, stream="")
        elif name == "STATUSTEXT":
            self._text(system, message, t_s)
            self._report.count(topic, stream=stream_names.LOG)
        elif name == "PARAM_VALUE":
            self._parameter(system, message, t_s)
            self._report.count(topic, records_out=0, stream="(metadata)")
        else:
            stream = self._streams.of(topic)
            self._into.stream(stream).append(_record(message), t_s)
            self._report.count(topic, stream=stream)
        if system in self._seen.vehicles:
            self._understand(name, system, message, t_s)

    def _understand(self, name: str, system: int, message: Any, t_s: float) -> None:
        kind = self._seen.vehicles[system]
        vehicle = self._vehicles.of(f"{kind}-{system}", kind)
        if (meaning := self._meanings.get(name)) is not None:
            meaning(vehicle, message, t_s)
        elif name == self._positions[system]:
            self._position(vehicle, system, name, message, t_s)

    def _position(self, vehicle: Vehicle, system: int, name: str, message: Any, t_s: float) -> None:
        if name == "GLOBAL_POSITION_INT":
            velocity = (message.vx / 100, message.vy / 100, message.vz / 100)
            vehicle.place(t_s, (message.lat / 1e7, message.lon / 1e7, message.alt / 1e3), velocity)
        elif name == "LOCAL_POSITION_NED":
            position, velocity = (message.x, message.y, message.z), (message.vx, message.vy, message.vz)
            own, shared = self._seen.origins.get(system), self._vehicles.origin
            if own is not None and shared is not None and own != shared:
                north, east, down = position
                vehicle.place(t_s, own.to_geographic(east, north, -down), velocity)
            else:
                vehicle.local_ned(t_s, position, velocity)
        elif message.fix_type >= _LEAST_FIX:
            vehicle.place(t_s, (message.lat / 1e7, message.lon / 1e7, message.alt / 1e3))

    def _text(self, system: int, message: Any, t_s: float) -> None:
        """Store a text; parts of one text (chunks of 50 bytes) are put together."""
        text, key = _plain_text(message.text), (system, getattr(message, "id", 0))
        if key[1]:
            text = self._texts.pop(key, "") + text if message.chunk_seq else text
            if len(_plain_text(message.text)) == 50:
                self._texts[key] = text
                return
        kind = self._seen.vehicles.get(system)
        more = {"drone": f"{kind}-{system}"} if kind else {"system": system}
        self._into.log(text, _SEVERITIES[min(message.severity, 7)], t_s, **more)

    def _parameter(self, system: int, message: Any, t_s: float) -> None:
        name, value = _plain_text(message.param_id), float(message.param_value)
        first = self._parameters.setdefault(system, {}).setdefault(name, value)
        before = self._changed.get((system, name), first)
        if before != value and math.isfinite(value):
            self._changed[system, name] = value
            self._into.event("parameter", f"{name} = {value:g}", t_s, name=name, value=value, old=before, system=system)

    def finish(self) -> None:
        """Set metadata, origin and phases; report what was left out."""
        for (system, _), text in self._texts.items():
            self._into.log(text, "info", None, system=system)
        self._vehicles.finish()
        found = {
            str(system): {name: value for name, value in values.items() if math.isfinite(value)}
            for system, values in self._parameters.items()
        }
        self._into.set(
            metadata={"mavlink": {"parameters": found, "vehicles": {str(a): b for a, b in self._seen.vehicles.items()}}}
        )
        self._report.count("(motion points of the vehicles)", 0, self._vehicles.points)
        for name, count in self._unknown.items():
            self._report.problems.append(
                f"{name}: {count} messages of a type that pymavlink does not know were left out"
            )


def _is_vehicle(message: Any) -> bool:
    return message.autopilot != _NO_AUTOPILOT and message.type not in _NOT_A_VEHICLE


def _place(message: Any) -> Origin:
    return Origin(message.lat / 1e7, message.lon / 1e7, message.alt / 1e3)


def _record(message: Any) -> dict[str, Any]:
    """Return the fields of a message; components other than the autopilot are named."""
    found = {name: _value(getattr(message, name)) for name in message.get_fieldnames()}
    component = message.get_srcComponent()
    return found if component == 1 else {**found, "component": component}


def _value(value: Any) -> Any:
    return _plain_text(value) if isinstance(value, bytes | str) else value


def _plain_text(value: bytes | str) -> str:
    text = value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")
    return text.partition("\0")[0]


def _heartbeat(vehicle: Vehicle, message: Any, t_s: float) -> None:
    if _is_vehicle(message):
        from pymavlink import mavutil

        vehicle.mode(t_s, mavutil.mode_string_v10(message).replace("_", " ").lower())
        vehicle.state(t_s, "armed", bool(message.base_mode & _ARMED), ("armed", "disarmed"))


def _attitude(vehicle: Vehicle, message: Any, t_s: float) -> None:
    vehicle.attitude_ned(message.roll, message.pitch, message.yaw)


def _quaternion(vehicle: Vehicle, message: Any, t_s: float) -> None:
    w, x, y, z = message.q1, message.q2, message.q3, message.q4
    if any((w, x, y, z)) and all(map(math.isfinite, (w, x, y, z))):
        vehicle.attitude_ned(*frames.from_quaternion(x, y, z, w))


def _battery(vehicle: Vehicle, message: Any, t_s: float) -> None:
    vehicle.battery(message.battery_remaining / 100)


def _first_battery(vehicle: Vehicle, message: Any, t_s: float) -> None:
    if message.id == 0:
        _battery(vehicle, message, t_s)


def _landed(vehicle: Vehicle, message: Any, t_s: float) -> None:
    if message.landed_state in (_ON_GROUND, _IN_AIR):
        vehicle.state(t_s, "landed", message.landed_state == _ON_GROUND, ("landed", "took_off"))
