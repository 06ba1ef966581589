"""ArduPilot DataFlash logs (.bin): every message type a stream, and the flight of the vehicle.

    XKF1, NKF1 with ORGN; else POS; else GPS; else AHR2     motion points (east-north-up metres, from the origin)
    ATT, else AHR2                                          attitude (degrees in north-east-down, turned)
    BAT, CURR     battery: RemPct, else CurrTot of the parameter BATT_CAPACITY
    MODE          phases and events      ARM, EV, ERR     events
    MSG           the log                PARM             metadata; changes are events

Streams keep ArduPilot's units and axes, by name in ``metadata.ardupilot.units``; sim_time 0 is the first message.
The file is read twice, in constant memory. Not here: bytes (dataflash_records), points and phases (vehicle).
"""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionstore.errors import InvalidRecord
from sessionstore.formats import dataflash_records as records
from sessionstore.formats.dataflash_records import Kind, Walk
from sessionstore.formats.geodesy import Origin
from sessionstore.formats.protocol import ImportReport, Options
from sessionstore.formats.topic_streams import TopicStreams
from sessionstore.formats.vehicle import Vehicles, is_place
from sessionstore.session import stream_names

if TYPE_CHECKING:
    from sessionstore.formats.draft import SessionDraft

_GPS_EPOCH = datetime(1980, 1, 6, tzinfo=UTC)
_LEAP_S = 18  # between GPS time and UTC since 2017: https://www.ietf.org/timezones/data/leap-seconds.list
_LEAST_WEEK, _LEAST_FIX = 1_000, 3
#: A message whose time is further from the one before is damaged.
_MOST_APART_US = 30 * 86_400 * 10**6
_DEFINITIONS = {"FMT", "FMTU", "UNIT", "MULT"}
#: Columns of the time since boot, in microseconds; in GPS messages before 2015 TimeMS is the receiver's.
_TIMES = (("TimeUS", 1), ("T", 1000), ("TimeMS", 1000))
#: Events of EV by number: https://github.com/ArduPilot/ardupilot/blob/master/libraries/AP_Logger/LogStructure.h
_EV = {10: ("armed", True), 11: ("armed", False), 18: ("landed", True), 28: ("landed", False)}
_STATES = {"armed": ("armed", "disarmed"), "landed": ("landed", "took_off")}
_FIRMWARES = {"Copter": 2, "Plane": 1, "Rover": 10, "Sub": 12, "Blimp": 7, "Tracker": 5}  # MAV_TYPE of its modes


class DataFlash:
    """An ArduPilot log; it can be read."""

    name = "dataflash"
    about = "ArduPilot DataFlash logs (.bin)"
    extensions = (".bin",)
    requires = ("pymavlink",)

    def sniff(self, head: bytes, path: Path) -> float:
        """Return 1.0 for a definition at the start; less for another message."""
        if head.startswith(records.HEAD + bytes([records.FMT])):
            return 1.0
        return 0.5 if head.startswith(records.HEAD) and path.suffix.lower() == ".bin" else 0.0

    def read(self, path: Path, into: SessionDraft, options: Options) -> ImportReport:
        """Read a log. Raises: InvalidRecord: it holds no messages that can be read."""
        report = ImportReport(str(path), self.name)
        seen = _Seen(path)
        reading = _Reading(into, report, seen)
        walk = Walk()
        for kind, data, offset in records.messages(path, walk):
            reading.take(kind, kind.values(data, offset))
        reading.finish(walk)
        report.problems.extend(walk.problems())
        return report


class _Seen:
    """What the first pass finds: which types there are, when the log begins, the origin, units, the firmware."""

    def __init__(self, path: Path) -> None:
        self.counts: Counter[str] = Counter()
        self.origin: Origin | None = None
        self.has_ekf_origin = False
        self.firmware: int | None = None
        self._fix: Origin | None = None
        self._times: list[int] = []
        for kind, data, offset in records.messages(path, Walk()):
            self.counts[kind.name] += 1
            take = (
                getattr(self, f"_{kind.name.lower()}", None)
                if kind.name in ("ORGN", "POS", "GPS", "MSG", "VER")
                else None
            )
            if take is not None:
                take(kind.values(data, offset))
            if len(self._times) < 64 and (at_us := _time_us(kind, data, offset)) is not None:
                self._times.append(at_us)
        if not sum(count for name, count in self.counts.items() if name not in _DEFINITIONS):
            raise InvalidRecord(f"{path.name} holds no messages")
        pairs = zip(self._times, [*self._times[1:], *self._times[-1:]], strict=True)
        self.start_us = next((one for one, other in pairs if abs(one - other) < _MOST_APART_US), 0)
        self.origin = self.origin or self._fix

    @property
    def positions(self) -> str | None:
        """The type of message that motion points come from; estimates of a known origin first."""
        local = [name for name in ("XKF1", "NKF1", "EKF1") if self.counts[name] and self.has_ekf_origin]
        return next((name for name in (*local, "POS", "GPS", "AHR2") if self.counts[name]), None)

    def _orgn(self, values: dict[str, Any]) -> None:
        if values.get("Type", 0) == 0 and not self.has_ekf_origin and (place := _place(values)) is not None:
            self.origin, self.has_ekf_origin = Origin(*place), True

    def _pos(self, values: dict[str, Any]) -> None:
        if self._fix is None and (place := _place(values)) is not None:
            self._fix = Origin(*place)

    def _gps(self, values: dict[str, Any]) -> None:
        if values.get("Status", _LEAST_FIX) >= _LEAST_FIX:
            self._pos(values)

    def _msg(self, values: dict[str, Any]) -> None:
        text = str(values.get("Message", ""))
        known = (number for name, number in _FIRMWARES.items() if name in text and ("Ardu" in text or " V" in text))
        self.firmware = next(known, None) if self.firmware is None else self.firmware

    def _ver(self, values: dict[str, Any]) -> None:
        self._msg({"Message": values.get("FWS", "")})


class _Reading:
    def __init__(self, into: SessionDraft, report: ImportReport, seen: _Seen) -> None:
        from pymavlink import mavutil

        self._into, self._report, self._seen = into, report, seen
        self._streams = TopicStreams()
        self._vehicles = Vehicles(into, seen.origin)
        self._vehicle = self._vehicles.of("ardupilot-1", "ardupilot")
        self._modes: dict[int, str] = mavutil.mode_mapping_bynumber(seen.firmware) or {} if seen.firmware else {}
        self._positions = seen.positions
        self._parameters: dict[str, float] = {}
        self._changed: dict[str, float] = {}
        self._labels: dict[str, str] = {}
        self._unit_ids: dict[int, str] = {}
        self._latest_us, self._bad_times, self._bad_values = seen.start_us, 0, 0
        self._meanings: dict[str, Callable[[dict[str, Any], float], None]] = {
            "ATT": self._att, "BAT": self._bat, "CURR": self._bat, "MODE": self._mode, "ARM": self._arm,
            "EV": self._ev, "ERR": self._err, "PARM": self._parm, "GPS": self._gps, "AHR2": self._ahr2,
            "POS": self._pos, "XKF1": self._ekf, "NKF1": self._ekf, "EKF1": self._ekf,
        }  # fmt: skip

    def take(self, kind: Kind, values: dict[str, Any]) -> None:
        """Store one message; definitions are metadata."""
        if kind.name in _DEFINITIONS:
            self._define(kind.name, values)
            self._report.count("(definitions)", records_out=0, stream="(metadata)")
            return
        t_s = self._sim_time(values)
        if t_s is None:
            self._report.count(kind.name, records_out=0, stream="")
            return
        if kind.name == "MSG":
            self._into.log(str(values.get("Message", "")), t_s=t_s)
            self._report.count(kind.name, stream=stream_names.LOG)
        elif kind.name == "PARM":
            self._report.count(kind.name, records_out=0, stream="(metadata)")
        else:
            stream = self._streams.of(kind.name)
            self._into.stream(stream).append(_json(values) if kind.binary else values, t_s)
            self._report.count(kind.name, stream=stream)
        if (meaning := self._meanings.get(kind.name)) is not None:
            try:
                meaning(values, t_s)
            except (KeyError, TypeError):
                self._bad_values += 1  # a type of this name with other fields

    def _sim_time(self, values: dict[str, Any]) -> float | None:
        """Return the sim_time of a message, that of the one before if it has none; None for a damaged one."""
        for column, scale in _TIMES:
            if isinstance(value := values.get(column), int):
                at_us = value * scale
                if abs(at_us - self._latest_us) > _MOST_APART_US:
                    self._bad_times += 1
                    return None
                self._latest_us = at_us
                del values[column]
                break
        return (self._latest_us - self._seen.start_us) / 1e6

    def finish(self, walk: Walk) -> None:
        """Set metadata, origin and phases; report what was left out."""
        self._vehicles.finish()
        units = self._units_of(walk)
        plain = {name: value for name, value in self._parameters.items() if math.isfinite(value)}
        self._into.set(metadata={"ardupilot": {"parameters": plain, "units": units, "start_us": self._seen.start_us}})
        self._report.count("(motion points of the vehicle)", 0, self._vehicles.points)
        if self._bad_times:
            self._report.problems.append(f"damaged: {self._bad_times} messages of other months were left out")
        if self._bad_values:
            self._report.problems.append(f"{self._bad_values} messages lack the fields that their name promises")

    def _units_of(self, walk: Walk) -> dict[str, str]:
        found: dict[str, str] = {}
        for number, unit_ids in self._unit_ids.items():
            if (kind := walk.kinds.get(number)) is not None:
                labels = zip(kind.columns, map(self._label, unit_ids), strict=False)
                found |= {f"{kind.name}.{column}": label for column, label in labels if label}
        return found

    def _label(self, unit_id: str) -> str:
        return self._labels.get(unit_id, "")

    def _define(self, name: str, values: dict[str, Any]) -> None:
        if name == "UNIT" and isinstance(values.get("Id"), int):
            self._labels[chr(values["Id"] & 0xFF)] = str(values.get("Label", ""))
        elif name == "FMTU":
            self._unit_ids[values.get("FmtType", -1)] = str(values.get("UnitIds", ""))

    # ------------------------------------------------------------ what messages mean

    def _att(self, values: dict[str, Any], t_s: float) -> None:
        self._vehicle.attitude_ned(*(math.radians(values[each]) for each in ("Roll", "Pitch", "Yaw")))

    def _ahr2(self, values: dict[str, Any], t_s: float) -> None:
        if not self._seen.counts["ATT"]:
            self._att(values, t_s)
        if self._positions == "AHR2":
            self._vehicle.place(t_s, (values["Lat"], values["Lng"], values["Alt"]))

    def _bat(self, values: dict[str, Any], t_s: float) -> None:
        if not _is_first(values):
            return
        capacity = self._parameters.get("BATT_CAPACITY", 0)
        if isinstance(left := values.get("RemPct"), int | float):
            self._vehicle.battery(left / 100)
        elif capacity > 0:
            self._vehicle.battery(1 - values["CurrTot"] / capacity)

    def _mode(self, values: dict[str, Any], t_s: float) -> None:
        number = int(values["ModeNum"] if "ModeNum" in values else values["Mode"])
        self._vehicle.mode(t_s, self._modes.get(number, f"mode {number}").replace("_", " ").lower())

    def _arm(self, values: dict[str, Any], t_s: float) -> None:
        self._vehicle.state(t_s, "armed", bool(values["ArmState"]), _STATES["armed"])

    def _ev(self, values: dict[str, Any], t_s: float) -> None:
        if values["Id"] in _EV:
            what, value = _EV[values["Id"]]
            self._vehicle.state(t_s, what, value, _STATES[what])

    def _err(self, values: dict[str, Any], t_s: float) -> None:
        subsystem, code = values["Subsys"], values["ECode"]
        about = {"subsystem": subsystem, "code": code, "drone": self._vehicle.drone}
        self._into.event("error", f"subsystem {subsystem}, code {code}", t_s, "error" if code else "info", **about)

    def _parm(self, values: dict[str, Any], t_s: float) -> None:
        name, value = str(values["Name"]), float(values["Value"])
        before = self._changed.get(name, self._parameters.setdefault(name, value))
        if before != value and math.isfinite(value):
            self._changed[name] = value
            self._into.event("parameter", f"{name} = {value:g}", t_s, name=name, value=value, old=before)

    def _gps(self, values: dict[str, Any], t_s: float) -> None:
        if not _is_first(values):
            return
        week, ms = values.get("GWk", values.get("Week")), values.get("GMS", values.get("TimeMS"))
        if isinstance(week, int) and isinstance(ms, int) and _LEAST_WEEK < week < 9_999:
            self._vehicles.clock(t_s, _GPS_EPOCH + timedelta(weeks=week, milliseconds=ms, seconds=-_LEAP_S))
        if self._positions == "GPS" and values.get("Status", _LEAST_FIX) >= _LEAST_FIX and (place := _place(values)):
            course, speed = math.radians(values.get("GCrs", 0.0)), values.get("Spd", math.nan)
            velocity = (speed * math.cos(course), speed * math.sin(course), values.get("VZ", math.nan))
            self._vehicle.place(t_s, place, velocity)

    def _pos(self, values: dict[str, Any], t_s: float) -> None:
        if self._positions == "POS":
            self._vehicle.place(t_s, (values["Lat"], values["Lng"], values["Alt"]))

    def _ekf(self, values: dict[str, Any], t_s: float) -> None:
        if _is_first(values) and (name := self._positions) is not None and name[-3:] == "KF1":
            position = values["PN"], values["PE"], values["PD"]
            self._vehicle.local_ned(t_s, position, (values["VN"], values["VE"], values["VD"]))


def _time_us(kind: Kind, data: bytes, offset: int) -> int | None:
    """Return the time of a message without unpacking the rest."""
    if kind.columns[:1] == ["TimeUS"] and kind.formats[0] in "Qq":
        return int.from_bytes(data[offset : offset + 8], "little")
    if kind.columns[:1] == ["TimeMS"] and kind.formats[0] == "I":
        return int.from_bytes(data[offset : offset + 4], "little") * 1000
    return None


def _is_first(values: dict[str, Any]) -> bool:
    """Whether a message is of the first of several instances (receivers, batteries, filters)."""
    return next((values[key] == 0 for key in ("I", "Inst", "Instance", "C") if key in values), True)


def _place(values: dict[str, Any]) -> tuple[float, float, float] | None:
    place = tuple(values.get(each) for each in ("Lat", "Lng", "Alt"))
    if not all(isinstance(each, int | float) and math.isfinite(each) for each in place) or not is_place(*place[:2]):  # type: ignore[arg-type]
        return None
    return place  # type: ignore[return-value]


def _json(values: dict[str, Any]) -> dict[str, Any]:
    """Return a piece of a file with its bytes as base64."""
    return {
        name: {"base64": base64.b64encode(each).decode()} if isinstance(each, bytes) else each
        for name, each in values.items()
    }
