"""Logs of one flight in a circle, written by pymavlink: a DataFlash .bin and a telemetry .tlog."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

LATITUDE, LONGITUDE, ALTITUDE_M = 47.397742, 8.545594, 488.0
RADIUS_M, SPEED_MPS, HEIGHT_M = 20.0, 5.0, 15.0
START_UNIX_S = 1_790_000_000
#: Name, formats, fields of each message type.
TYPES = {
    "UNIT": ("QbZ", "TimeUS,Id,Label"),
    "FMTU": ("QBNN", "TimeUS,FmtType,UnitIds,MultIds"),
    "PARM": ("QNff", "TimeUS,Name,Value,Default"),
    "MSG": ("QZ", "TimeUS,Message"),
    "ORGN": ("QBLLe", "TimeUS,Type,Lat,Lng,Alt"),
    "GPS": ("QBBIHBcLLeffffB", "TimeUS,I,Status,GMS,GWk,NSats,HDop,Lat,Lng,Alt,Spd,GCrs,VZ,Yaw,U"),
    "ATT": ("QccccCCBff", "TimeUS,DesRoll,Roll,DesPitch,Pitch,DesYaw,Yaw,AEKF,ErrRP,ErrYaw"),
    "XKF1": ("QBccCfffffffccce", "TimeUS,C,Roll,Pitch,Yaw,VN,VE,VD,dPD,PN,PE,PD,GX,GY,GZ,OH"),
    "BAT": ("QBfffffcfBB", "TimeUS,Inst,Volt,VoltR,Curr,CurrTot,EnrgTot,Temp,Res,RemPct,H"),
    "MODE": ("QMBB", "TimeUS,Mode,ModeNum,Rsn"),
    "EV": ("QB", "TimeUS,Id"),
    "ERR": ("QBB", "TimeUS,Subsys,ECode"),
    "IMU": ("QBffffff", "TimeUS,I,GyrX,GyrY,GyrZ,AccX,AccY,AccZ"),
    "ISBD": ("QHa", "TimeUS,N,x"),
}


def circle(t_s: float) -> tuple[tuple[float, float, float], tuple[float, float, float], float]:
    """Return position and velocity (north, east, down) and the heading in degrees at a moment of the flight."""
    angle = SPEED_MPS * t_s / RADIUS_M
    position = RADIUS_M * math.sin(angle), RADIUS_M * (1 - math.cos(angle)), -min(HEIGHT_M, 2 * t_s)
    velocity = SPEED_MPS * math.cos(angle), SPEED_MPS * math.sin(angle), -2.0 if 2 * t_s < HEIGHT_M else 0.0
    return position, velocity, math.degrees(angle) % 360


def write_bin(path: Path, seconds: float = 20.0, types: tuple[str, ...] = tuple(TYPES)) -> dict[str, int]:
    """Write a DataFlash log of a copter, 10 positions a second; return how many messages of each type it holds."""
    log = _Bin(types)
    gps_ms = (START_UNIX_S + 18 - 315_964_800) * 1000
    log.put("UNIT", 0, ord("d"), b"deg")
    log.put("FMTU", 0, log.kinds["ATT"].type, b"sdddddd", b"F------")
    log.put("MSG", 0, b"ArduCopter V4.5.7 (2a3dc4b7)")
    for name, value in (("SYSID_THISMAV", 1.0), ("BATT_CAPACITY", 5200.0), ("WPNAV_SPEED", 500.0)):
        log.put("PARM", 0, name.encode(), value, value)
    log.put("ORGN", 0, 0, _angle(LATITUDE), _angle(LONGITUDE), int(ALTITUDE_M * 100))
    log.put("MODE", 0, 5, 5, 0)
    log.put("EV", 0, 10)
    log.put("ISBD", 0, 1, struct.pack("<32h", *range(-16, 16)))
    for step in range(int(seconds * 10)):
        t_s, at = step / 10, step * 100_000
        position, velocity, heading = circle(t_s)
        if step == 10:
            log.put("EV", at, 28)
            log.put("MODE", at, 3, 3, 1)
        if step % 2 == 0:
            week, ms = divmod(gps_ms + step * 100, 604_800_000)
            north, east, down = position
            place = (
                _angle(LATITUDE + north / 111_187.2),
                _angle(LONGITUDE + east / 75_492.8),
                int((ALTITUDE_M - down) * 100),
            )
            log.put("GPS", at, 0, 3, ms, week, 14, 80, *place, SPEED_MPS, heading, velocity[2], 0.0, 1)
        log.put("IMU", at, 0, 0.01, 0.02, 0.03, 0.1, 0.2, -9.81)
        log.put("IMU", at, 1, 0.01, 0.02, math.nan, 0.1, 0.2, -9.81)
        log.put("ATT", at, 0, 1000, 0, -500, 0, int(heading * 100), 3, 0.01, 0.01)
        log.put("XKF1", at + 1000, 0, 1000, -500, int(heading * 100), *velocity, 0.0, *position, 0, 0, 0, 0)
        log.put("XKF1", at + 1000, 1, 0, 0, 0, *velocity, 0.0, 999.0, 999.0, -999.0, 0, 0, 0, 0)
        log.put("BAT", at, 0, 15.1, 15.2, 12.0, 5.0 * step, 1.0, 2500, 0.01, max(0, 100 - step // 4), 1)
    log.put("PARM", int(seconds * 1e6), b"WPNAV_SPEED", 300.0, 500.0)
    log.put("ERR", int(seconds * 1e6), 6, 1)
    log.put("EV", int(seconds * 1e6), 18)
    log.put("EV", int(seconds * 1e6), 11)
    path.write_bytes(bytes(log.data))
    return log.counts


class _Bin:
    """Messages as pymavlink's DFReader_binary makes them."""

    def __init__(self, types: tuple[str, ...]) -> None:
        from pymavlink.DFReader import DFFormat, DFReader_binary

        self._maker: Any = DFReader_binary
        base = DFFormat(0x80, "FMT", 89, "BBnNZ", "Type,Length,Name,Format,Columns")
        self._self = SimpleNamespace(formats={0x80: base})
        self.kinds = {name: DFFormat(0x81 + number, name, 0, *TYPES[name]) for number, name in enumerate(TYPES)}
        self.types, self.data, self.counts = types, bytearray(), dict.fromkeys(types, 0)
        for kind in (base, *(self.kinds[name] for name in types)):
            self.data += self._maker.make_format_msgbuf(self._self, kind)
        self.counts["FMT"] = len(types) + 1

    def put(self, name: str, at_us: int, *values: Any) -> None:
        if name in self.types:
            self.data += self._maker.make_msgbuf(self._self, self.kinds[name], [at_us, *values])
            self.counts[name] += 1


def _angle(degrees: float) -> int:
    return round(degrees * 1e7)


def write_tlog(path: Path, seconds: float = 20.0, systems: tuple[int, ...] = (1,)) -> dict[tuple[int, str], int]:
    """Write a telemetry log of PX4 multirotors and a ground station; return how many messages of each type it holds."""
    from pymavlink.dialects.v20 import ardupilotmega as mav

    data, counts = bytearray(), {}
    speakers = {system: mav.MAVLink(None, srcSystem=system, srcComponent=1) for system in (*systems, 255)}

    def put(system: int, t_s: float, message: Any) -> None:
        data.extend(struct.pack(">Q", int((START_UNIX_S + t_s) * 1e6)) + message.pack(speakers[system]))
        key = (system, message.get_type())
        counts[key] = counts.get(key, 0) + 1

    for system in systems:
        put(system, 0, mav.MAVLink_param_value_message(b"MPC_XY_VEL_MAX", 12.0, 9, 1, 0))
        put(system, 0, mav.MAVLink_statustext_message(4, b"Preflight: GPS fix lost"))
    for step in range(int(seconds * 10)):
        t_s = step / 10
        for system in systems:
            for message in _said(mav, step, t_s, system):
                put(system, t_s, message)
        if step % 10 == 0:
            put(255, t_s, mav.MAVLink_heartbeat_message(6, 8, 0, 0, 4, 3))
    path.write_bytes(bytes(data))
    return counts


def _said(mav: Any, step: int, t_s: float, system: int) -> list[Any]:
    position, velocity, heading = circle(t_s)
    ms, shift = int(t_s * 1000), (system - 1) * 10.0
    said = []
    if step % 10 == 0:
        mode = 4 << 16 | (4 if step >= 10 else 2) << 24  # auto: mission, takeoff
        said.append(mav.MAVLink_heartbeat_message(2, 12, 81 | (128 if step >= 5 else 0), mode, 4, 3))
        left = max(0, 90 - step // 20)
        said.append(mav.MAVLink_sys_status_message(0, 0, 0, 300, 15000, 1000, left, 0, 0, 0, 0, 0, 0))
        said.append(mav.MAVLink_extended_sys_state_message(0, 2 if step >= 10 else 1))
    said.append(mav.MAVLink_attitude_message(ms, 0.1, -0.05, math.radians(heading), 0, 0, 0))
    place = (
        round((LATITUDE + (position[0] + shift) / 111_187.2) * 1e7),
        round((LONGITUDE + position[1] / 75_492.8) * 1e7),
    )
    heights = round((ALTITUDE_M - position[2]) * 1000), round(-position[2] * 1000)
    said.append(mav.MAVLink_global_position_int_message(ms, *place, *heights, *(round(v * 100) for v in velocity), 0))
    return said
