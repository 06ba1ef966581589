"""Rows of a table into a draft: motion points, modes as phases, messages, the clock, and all other columns as a stream.

Positions become metres east-north-up; places in degrees are counted from the first one, which becomes the origin.
Not here: which column is what (plan), files (delimited, jsonl, parquet).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sessionstore.errors import InvalidRecord
from sessionstore.formats.geodesy import Origin
from sessionstore.formats.tables import cells, times
from sessionstore.formats.tables.plan import Craft, Plan, Row
from sessionstore.model import json_text
from sessionstore.session import frames, stream_names

if TYPE_CHECKING:
    from sessionstore.formats.draft import SessionDraft
    from sessionstore.formats.protocol import ImportReport

#: The drone of a table that names none, and the stream of the columns without a role.
DRONE, REST = "drone-1", "telemetry"
_CLOCK_EVERY_S = 5.0
_MOST_LINES = 10
_MOST_PHASES = 1000
_LEVELS = {"warn": "warning", "err": "error", "fatal": "critical", "emergency": "critical", "notice": "info"}


class TableFlight:
    """Takes the rows of one table; each is counted.

    Args:
        rest: the stream of the columns without a role.
    """

    def __init__(self, into: SessionDraft, report: ImportReport, plan: Plan, rest: str = REST) -> None:
        self._into, self._report, self._plan = into, report, plan
        self._used = plan.used()
        self._rest = rest
        self._origin: Origin | None = None
        self._clock_s = -math.inf
        self._modes: dict[str | None, str] = {}
        self._phases: list[dict[str, Any]] = []
        self._bad: dict[str, tuple[int, list[int]]] = {}
        self.points = 0

    def take(self, row: Row, line: int) -> None:
        """Store one row: its points, message and other values."""
        plan = self._plan
        t_s = plan.time.seconds(row.get(plan.time.name)) if plan.time is not None else None
        if t_s is None:
            self._refuse("without a time", line)
            self._report.count("rows", records_out=0, stream="")
            return
        drone = self._drone(row)
        stored = sum([self._point(craft, row, t_s, craft.name or drone, line) for craft in plan.crafts])
        self._mode(row, t_s, drone)
        if plan.crafts:
            self._report.count("rows", 1, stored)
        self._message(row, t_s)
        self._others(row, t_s, drone, line)
        self._tick(row, t_s)

    # ------------------------------------------------------------ parts of a row

    def _drone(self, row: Row) -> str:
        plan = self._plan
        if "drone" in plan.constant:
            return plan.constant["drone"]
        column = plan.one.get("drone")
        value = row.get(column.name) if column is not None else None
        if cells.is_missing(value):
            return DRONE
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()

    def _point(self, craft: Craft, row: Row, t_s: float, drone: str, line: int) -> int:
        try:
            position = self._position(craft, row)
            if position is None:
                self._refuse("without a position", line)
                return 0
            more: dict[str, Any] = {}
            charge = self._number(craft, row, "battery")
            if charge is not None and 0 <= charge <= 1.0001:
                more["battery"] = min(charge, 1.0)
            mode = self._text(row, craft.columns["mode"].name) if "mode" in craft.columns else None
            if mode is not None:
                more["mode"] = mode
            self._into.motion.append(
                drone, t_s, position, self._velocity(craft, row), self._orientation(craft, row), **more
            )
        except (InvalidRecord, ValueError, OverflowError) as error:
            self._refuse(f"refused ({error})"[:200], line)
            return 0
        self.points += 1
        return 1

    def _position(self, craft: Craft, row: Row) -> frames.Vector3 | None:
        if not craft.is_local:
            return self._place(craft, row)
        names = ("x", "y") if craft.has("x", "y") else ("east", "north")
        first, second = (self._number(craft, row, name) for name in names)
        height = self._height(craft, row)
        if first is None or second is None or height is None:
            return None
        if self._plan.frame == "ned" and names == ("x", "y"):
            position = frames.ned_to_enu(first, second, height if "z" in craft.columns else -height)
        else:
            position = (float(first), float(second), float(height))
        if self._origin is None and craft.has("lat", "lon"):
            self._begin(craft, row, position)
        return position

    def _height(self, craft: Craft, row: Row) -> float | None:
        for name, sign in (("z", 1.0), ("up", 1.0), ("down", -1.0), ("alt", 1.0)):
            if name in craft.columns:
                found = self._number(craft, row, name)
                return None if found is None else sign * found
        return 0.0

    def _degrees(self, craft: Craft, row: Row) -> tuple[float, float, float] | None:
        latitude, longitude = self._number(craft, row, "lat"), self._number(craft, row, "lon")
        if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 360:
            return None
        if not latitude and not longitude:
            return None  # what receivers give before the first fix
        height = self._height(craft, row)
        return None if height is None else (latitude, longitude, height)

    def _place(self, craft: Craft, row: Row) -> frames.Vector3 | None:
        place = self._degrees(craft, row)
        if place is None:
            return None
        if self._origin is None:
            self._set_origin(Origin(place[0], place[1] - 360 * (place[1] > 180) + 360 * (place[1] < -180), place[2]))
        assert self._origin is not None
        return self._origin.to_enu(*place)

    def _begin(self, craft: Craft, row: Row, position: frames.Vector3) -> None:
        place = self._degrees(craft, row)
        if place is not None and abs(place[1]) <= 180:
            altitude = self._number(craft, row, "alt")
            here = Origin(place[0], place[1], altitude if altitude is not None else position[2])
            east, north, up = position
            self._set_origin(Origin(*here.to_geographic(-east, -north, -up)))

    def _set_origin(self, origin: Origin) -> None:
        self._origin = origin
        self._into.set(gps=origin.as_record())

    def _velocity(self, craft: Craft, row: Row) -> frames.Vector3 | None:
        if craft.has("ve", "vn"):
            east, north = self._number(craft, row, "ve"), self._number(craft, row, "vn")
            up = self._number(craft, row, "vu") if "vu" in craft.columns else 0.0
            if "vd" in craft.columns and (down := self._number(craft, row, "vd")) is not None:
                up = -down
            return None if east is None or north is None or up is None else (east, north, up)
        if not craft.has("vx", "vy") or self._plan.frame == "wgs84":
            return None
        x, y = self._number(craft, row, "vx"), self._number(craft, row, "vy")
        z = self._number(craft, row, "vz") if "vz" in craft.columns else 0.0
        if x is None or y is None or z is None:
            return None
        return frames.ned_to_enu(x, y, z) if self._plan.frame == "ned" else (float(x), float(y), float(z))

    def _orientation(self, craft: Craft, row: Row) -> frames.Vector3 | None:
        if craft.has("qx", "qy", "qz", "qw"):
            parts = [self._number(craft, row, name) for name in ("qx", "qy", "qz", "qw")]
            if None in parts or not any(parts):
                return None
            angles = frames.from_quaternion(*(float(part or 0.0) for part in parts))
            return frames.orientation_from_ned(*angles) if self._plan.frame == "ned" else angles
        roll, pitch, yaw, heading = (self._number(craft, row, name) for name in ("roll", "pitch", "yaw", "heading"))
        if heading is not None and (yaw is None or self._plan.frame != "enu"):
            return frames.orientation_from_ned(roll or 0.0, pitch or 0.0, heading)
        if yaw is None and roll is None and pitch is None:
            return None
        if self._plan.frame == "enu":
            return float(roll or 0.0), float(pitch or 0.0), float(yaw or 0.0)
        return frames.orientation_from_ned(roll or 0.0, pitch or 0.0, yaw or 0.0)

    def _number(self, craft: Craft, row: Row, role: str) -> float | None:
        column = craft.columns.get(role)
        if column is None:
            return None
        found = cells.number(row.get(column.name), self._plan.decimal)
        return found if found is None or column.scale == 1.0 else found * column.scale

    def _text(self, row: Row, column: str) -> str | None:
        value = row.get(column)
        return None if cells.is_missing(value) else str(value).strip()

    # ------------------------------------------------------------ what happened

    def _mode(self, row: Row, t_s: float, drone: str) -> None:
        if (column := self._plan.one.get("mode")) is not None:  # one for all drones of a wide table
            self._change_mode(None, self._text(row, column.name), t_s)
        for craft in self._plan.crafts:
            if (column := craft.columns.get("mode")) is not None:
                self._change_mode(craft.name or drone, self._text(row, column.name), t_s)

    def _change_mode(self, drone: str | None, mode: str | None, t_s: float) -> None:
        before = self._modes.get(drone)
        if mode is None or mode == before:
            return
        self._modes[drone] = mode
        self._into.event("mode", mode, t_s, **({"drone": drone} if drone is not None else {}))
        self._report.count("(changes of mode)", stream=stream_names.EVENTS)
        if len(self._modes) == 1 and len(self._phases) < _MOST_PHASES:
            old = before or "idle"
            self._phases.append({"field": "workflow_state", "old": old, "new": mode, "sim_time": t_s})

    def _message(self, row: Row, t_s: float) -> None:
        column = self._plan.one.get("message")
        text = self._text(row, column.name) if column is not None else None
        if not text:
            return
        level = self._text(row, self._plan.one["level"].name) if "level" in self._plan.one else None
        name = _LEVELS.get((level or "info").lower(), (level or "info").lower())
        if name not in ("debug", "info", "warning", "error", "critical"):
            name = "info"
        self._into.log(text, name, t_s)
        self._report.count("(messages)", stream=stream_names.LOG)

    def _others(self, row: Row, t_s: float, drone: str, line: int) -> None:
        decimal = self._plan.decimal
        record = {
            str(name): value
            for name, cell in row.items()
            if name not in self._used and (value := cells.value(cell, decimal)) is not None
        }
        if not record:
            return
        if (
            "step" in self._plan.one
            and (step := cells.value(row.get(self._plan.one["step"].name), decimal)) is not None
        ):
            record["step"] = step
        if self._plan.one.get("drone") is not None or (self._plan.crafts and "drone" not in record):
            record = {"drone": drone, **record}
        try:
            self._into.stream(self._rest).append(record, t_s)
        except InvalidRecord as error:
            self._refuse(f"with values that no stream can hold ({error})"[:200], line)
            self._report.count("other columns", records_out=0, stream=self._rest)
            return
        self._report.count("other columns", stream=self._rest)

    def _tick(self, row: Row, t_s: float) -> None:
        if t_s - self._clock_s < _CLOCK_EVERY_S:
            return
        column, clock = self._plan.one.get("utc"), self._plan.time
        at = self._instant(row.get(column.name)) if column is not None else None
        if at is None and clock is not None and (start := clock.started()) is not None:
            at = start + timedelta(seconds=t_s)
        if at is None:
            return
        if self._clock_s == -math.inf:
            self._into.created_at = at - timedelta(seconds=t_s)
            self._into.set(started_at=json_text.utc_text(self._into.created_at))
        self._clock_s = t_s
        self._into.clock(t_s, at)

    def _instant(self, cell: Any) -> datetime | None:
        number = cells.number(cell, self._plan.decimal)
        if number is not None:
            ticks = times.epoch_ticks(number)
            return times.instant_of(number, ticks) if ticks is not None else None
        return cells.instant(cell, self._plan.time.zone if self._plan.time is not None else UTC)

    # ------------------------------------------------------------ the end

    def _refuse(self, reason: str, line: int) -> None:
        count, lines = self._bad.get(reason, (0, []))
        if len(self._bad) < 50 or reason in self._bad:
            self._bad[reason] = (count + 1, [*lines, line] if len(lines) < _MOST_LINES else lines)

    def end(self) -> None:
        """Write the phases, and say which rows were not stored."""
        for reason, (count, lines) in self._bad.items():
            more = ", ..." if count > len(lines) else ""
            self._report.notes.append(f"{count} rows {reason}: rows {', '.join(map(str, lines))}{more}")
        if self._phases and len(self._modes) == 1:
            started = self._into.created_at
            for phase in self._phases:
                at = json_text.utc_text(started + timedelta(seconds=phase["sim_time"])) if started else None
                phase.update(reason="mode", at=at)
            self._into.table("workflow", self._phases)
            self._into.set(workflow_state=self._phases[-1]["new"])
        if not self.points and not self._into.records_out:
            raise InvalidRecord("no row holds a time and a value")


def stream_of(stem: str, plan: Plan) -> str:
    """Return the stream of the columns without a role: of a table without positions it has the name of the file."""
    if plan.crafts:
        return REST
    if "step" in plan.one:
        return stream_names.METRICS
    name = stream_names.suggestion(re.sub(r"\W+", "_", stem)) or REST
    reserved = (stream_names.MOTION, stream_names.EVENTS, stream_names.LOG, stream_names.CLOCK)
    return f"{name}_table" if name in reserved else name


def flattened(record: Any, prefix: str = "", depth: int = 0) -> Iterable[tuple[str, Any]]:
    """Yield the values of nested objects and of short lists of numbers, as ``pose.position.x`` and ``position.0``."""
    for key, value in record.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value and depth < 6:
            yield from flattened(value, f"{name}.", depth + 1)
        elif isinstance(value, list) and 0 < len(value) <= 4 and all(type(each) in (int, float) for each in value):
            yield from ((f"{name}.{number}", each) for number, each in enumerate(value))
        else:
            yield name, value
