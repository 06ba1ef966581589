"""The recorded values at a moment: what each drone, its link and the window counts said at or just before it.

Nothing here is interpolated or thinned: each value is that of the last record at or before the moment, so that a number
on the page is a number in the stream. A speed without a recorded velocity is the way between the last two points.
Not here: tracks for drawing (tracks), charts (playback.charts).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from marshmallow import Schema, fields, validate

from sessionstore.server.http.operations import Call, Operation
from sessionstore.server.http.reply import Reply, json_reply
from sessionstore.server.routes import api_schemas
from sessionstore.session import Session, stream_names
from sessionstore.session.stream_reader import Line, Tape

#: How far back the last record of a drone is searched, in seconds; the last look is for drones that rest.
LOOK_BACK_S = (1.0, 10.0, 120.0)
LINK_BACK_S = 60.0
_MOST_BYTES = 16 << 20  # a longer stretch is not searched for what a shorter one lacked


class MomentQuery(api_schemas.Strict):
    """Of the values at a moment."""

    t = api_schemas.QueryNumber(
        required=True, validate=validate.Range(min=0), metadata={"description": "sim_time in seconds."}
    )
    streams = fields.Boolean(
        load_default=False,
        metadata={"description": "Also the last record of each stream that the program made itself."},
    )
    attempt = api_schemas.attempt()


class MomentReply(Schema):
    """The values of the last records at or before a moment."""

    sim_time = fields.Float(required=True)
    drones = fields.Dict(required=True, metadata={"description": "By drone: sim_time, position, speed, battery, ..."})
    windows = fields.Dict(required=True, metadata={"description": "found and cleaned, where they were recorded."})
    streams = fields.Dict(
        metadata={"description": "By stream: sim_time and fields of its last record, of each drone that it names."}
    )


def get_moment(call: Call) -> Reply:
    """Return the recorded values at a moment."""
    session, t_s, attempt = call.context.find(call.path["session_id"]), call.query["t"], call.query.get("attempt")
    found = moment_of(session, t_s, attempt)
    return json_reply({**found, "streams": _last_records(session, t_s, attempt)} if call.query["streams"] else found)


def moment_of(session: Session, t_s: float, attempt: int | None = None) -> dict[str, Any]:
    """Return the values of the last records at or before a moment."""
    wanted = {str(drone.get("id")) for drone in session.record.drones}
    points: dict[str, list[Line]] = {}
    for back_s in _looks(session.tape(stream_names.MOTION), t_s):
        points = _last_points(session, t_s, back_s, attempt)
        if wanted and all(len(points.get(name, ())) == 2 for name in wanted):
            break
    links = _last_links(session, t_s, attempt)
    drones = {name: _values(lines, session, links.get(name)) for name, lines in points.items()}
    return {"sim_time": t_s, "drones": drones, "windows": _windows(session, t_s, attempt)}


def _last_points(session: Session, t_s: float, back_s: float, attempt: int | None) -> dict[str, list[Line]]:
    """Return the last two points of each drone in the seconds before a moment."""
    tape = session.tape(stream_names.MOTION)
    found: dict[str, list[Line]] = {}
    for line in tape.in_time(max(0.0, t_s - back_s), t_s, attempt=attempt):
        name, position = line.data.get("drone"), line.data.get("position")
        if isinstance(name, str) and isinstance(position, list) and len(position) == 3:
            found[name] = [*found.get(name, [])[-1:], line]
    return found


def _looks(tape: Tape, t_s: float) -> Iterator[float]:
    """Yield how far back to look: the first stretch however dense it is, longer ones while they are not too large."""
    for back_s in LOOK_BACK_S:
        low, high = tape.span(max(0.0, t_s - back_s), t_s)
        if back_s > LOOK_BACK_S[0] and high - low > _MOST_BYTES:
            return
        yield back_s


def _values(lines: list[Line], session: Session, link: Line | None) -> dict[str, Any]:
    last = lines[-1]
    position = last.data["position"]
    base = session.record.base_position or [0.0, 0.0, 0.0]
    found = {
        "sim_time": last.t_s,
        "position": position,
        "altitude": position[2] - base[2],
        "distance": math.dist(position, base),
        "speed": speed_of(lines),
        "battery": last.data.get("battery"),
        "mode": last.data.get("mode"),
    }
    if link is not None:
        found["link"] = {
            "sim_time": link.t_s, "rssi_dbm": link.data["rssi_dbm"],
            "delivered": bool(link.data.get("delivered", True)),
        }  # fmt: skip
    return found


def speed_of(lines: list[Line]) -> float | None:
    """Return the speed at the last of two points: recorded, or the way between them; None for a single point."""
    last = lines[-1]
    velocity = last.data.get("velocity")
    if isinstance(velocity, list) and len(velocity) == 3:
        return math.hypot(*velocity)
    if len(lines) < 2 or last.t_s <= lines[0].t_s:
        return None
    return math.dist(last.data["position"], lines[0].data["position"]) / (last.t_s - lines[0].t_s)


def _last_links(session: Session, t_s: float, attempt: int | None) -> dict[str, Line]:
    tape = session.tape(stream_names.COMMUNICATION)
    found: dict[str, Line] = {}
    for line in tape.in_time(max(0.0, t_s - LINK_BACK_S), t_s, attempt=attempt):
        if isinstance(line.data.get("rssi_dbm"), int | float):
            for end in (line.data.get("from"), line.data.get("to")):
                if isinstance(end, str) and end != "base":
                    found[end] = line
    return found


def _last_records(session: Session, t_s: float, attempt: int | None) -> dict[str, Any]:
    """Return the last record at or before a moment of each stream that is not shown as a table of ours."""
    passed = {stream_names.MOTION, stream_names.CLOCK, stream_names.WINDOWS, *stream_names.TABLED}
    found: dict[str, Any] = {}
    for name, tape in session.tapes().items():
        last = None if name in passed else _last_of(tape, t_s, attempt)
        if last:
            found[name] = last
    return found


def _last_of(tape: Tape, t_s: float, attempt: int | None) -> dict[str, Any]:
    """Return sim_time and fields of the last record; by drone where records name one."""
    for back_s in (*_looks(tape, t_s), *((t_s,) if tape.size() <= _MOST_BYTES else ())):
        found: dict[str, Any] = {}
        for line in tape.in_time(max(0.0, t_s - back_s), t_s, attempt=attempt):
            record, drone = {"sim_time": line.t_s, **line.data}, line.data.get("drone")
            found = {**found, drone: record} if isinstance(drone, str) else record
        if found:
            return found
    return {}


def _windows(session: Session, t_s: float, attempt: int | None) -> dict[str, Any]:
    tape = session.tape(stream_names.METRICS)
    found: dict[str, Any] = {}
    for line in tape.in_time(max(0.0, t_s - LINK_BACK_S), t_s, attempt=attempt):
        found |= {name: line.data[f"windows_{name}"] for name in ("found", "cleaned") if f"windows_{name}" in line.data}
    return found


def operations() -> list[Operation]:
    """Return the routes of this module."""
    return [
        Operation(
            "GET", "/api/sessions/{session_id}/moment", get_moment, "Get the recorded values at a moment", "replay",
            query=MomentQuery(), reply=MomentReply(), problems=(400, 404, 409),
        ),
    ]  # fmt: skip
