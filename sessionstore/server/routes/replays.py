"""Replay over HTTP: windows of the motion, thinned for the eye, and what the players of old expect of ``select``.

Not here: reading and thinning (playback.replay), following a run (live).
"""

from __future__ import annotations

from typing import Any

import msgspec

from sessionstore.errors import InvalidQuery
from sessionstore.playback.replay import Clock, Replay, Window, last_moment_s
from sessionstore.server.context import Context
from sessionstore.server.http.operations import Call, Operation, split_names
from sessionstore.server.http.problems import ApiProblem
from sessionstore.server.http.reply import EVENT_STREAM, Reply, json_reply
from sessionstore.server.live.event_stream import DEFAULT_STREAMS, cursor_text, follow_session
from sessionstore.server.routes import api_schemas
from sessionstore.server.routes.stream_records import piece_of
from sessionstore.session import Session, stream_names, stream_source

TAG = "replay"
#: Streams that the format names: empty until they are begun. Any other name must exist.
KNOWN_STREAMS = (*DEFAULT_STREAMS, stream_names.DETECTIONS, stream_names.CLOCK, "figures")
#: What ``select`` returns for each drone at most: enough for a trail, small enough for a phone.
_SELECT_POINTS = 4000


def replay(call: Call) -> Reply:
    """Return a stretch of a session: the motion of each drone, and the scene."""
    query = call.query
    session = call.context.find(call.path["session_id"])
    reader = Replay(session)
    window = reader.window(
        query.get("start"),
        query.get("end"),
        query.get("step"),
        split_names(query.get("drones")),
        query.get("max_points"),
    )
    return json_reply(replay_data(call.context, session, window, query["scene"], query["utc"]))


def replay_data(context: Context, session: Session, window: Window, scene: bool, utc: bool) -> dict[str, Any]:
    """Return what a player needs; ``cursor`` is where following goes on behind this window."""
    if utc:
        clock = Clock(session)
        for points in window.history.values():
            for point in points:
                point["timestamp"] = clock.utc(point["sim_time"])
    first_s, last_s = Replay(session).bounds()
    found: dict[str, Any] = {
        "session_id": session.session_id,
        "success": True,
        "replay_available": session.replay_available,
        "start": window.start_s,
        "end": window.end_s,
        "first_sim_time": first_s,
        "max_time": last_s,
        "thinned": window.thinned,
        "points_read": window.points_read,
        stream_names.MOTION: window.history,
        "damaged": [{"offset": each.offset, "end": each.end, "reason": each.reason} for each in window.damaged],
        "cursor": cursor_text({stream_names.MOTION: window.offset}),
    }
    return {**found, **scene_of(context, session)} if scene else found


def scene_of(context: Context, session: Session) -> dict[str, Any]:
    """Return buildings, ground and base, and up to when anything was recorded: a session may have no motion."""
    record = session.record
    return {
        "end_time": last_moment_s(session),
        "buildings": context.buildings.list_buildings(session.session_id),
        "ground": context.buildings.list_ground(session.session_id),
        "base": context.buildings.get_base(session.session_id),
        "base_position": record.base_position,
        "base_orientation": record.base_orientation,
    }


def select_session(call: Call) -> Reply:
    """Return a session with its replay data in one reply."""
    context = call.context
    session = context.find(call.path["session_id"])
    window = Replay(session).window(max_points=_SELECT_POINTS)
    data = replay_data(context, session, window, scene=True, utc=True)
    detections = [line.data for line in session.tape(stream_names.DETECTIONS).read(damaged="skip")]
    record = msgspec.json.decode(context.documents.render(session).body)
    return json_reply(
        {
            "success": True,
            "session_id": session.session_id,
            "session": record,
            "replay_data": {**data, "detection_data": detections},
        }
    )


def list_streams(call: Call) -> Reply:
    """Return the streams of a session: title, unit and place on a page, how many records, how large, up to when."""
    session = call.context.find(call.path["session_id"])
    found = []
    for name, tape in session.tapes().items():
        last, kind = tape.last(), stream_names.kind_of(name)
        found.append(
            {
                "stream": name,
                "title": kind.title,
                "unit": kind.unit or None,
                "shown": "drawn" if kind.drawn else "tab" if kind.tab else "own tab",
                "thinned": kind.thinned,
                "records": 0 if last is None else last.n + 1,
                "bytes": tape.size(),
                "sealed": stream_source.is_sealed(tape.path),
                "end_offset": 0 if last is None else last.end,
                "last_sim_time": None if last is None else last.t_s,
            }
        )
    return json_reply({"session_id": session.session_id, "streams": found})


def read_stream(call: Call) -> Reply:
    """Return a piece of a stream."""
    session = call.context.find(call.path["session_id"])
    tape = session.tape(call.path["name"])
    if call.path["name"] not in KNOWN_STREAMS and not tape.exists():
        names = ", ".join(session.tapes()) or "none"
        raise ApiProblem(404, "no-stream", f"the session has no stream {call.path['name']!r} (it has: {names})")
    if "tail" in call.query and ({"start", "end"} & call.query.keys() or call.query["offset"]):
        raise InvalidQuery("tail goes alone, without offset, start and end")
    return piece_of(call.path["name"], tape, call.query)


def operations() -> list[Operation]:
    """Return the routes of this module."""
    one = "/api/sessions/{session_id}"
    return [
        Operation(
            "GET", one + "/replay", replay, "Get a stretch of the motion", TAG, query=api_schemas.REPLAY_QUERY,
            reply=api_schemas.REPLAY_REPLY, problems=(400, 404, 409),
            description="Without `step` and `max_points` all recorded points of the window.",
        ),
        Operation(
            "POST", one + "/select", select_session, "Get a session with its replay data", TAG,
            reply=api_schemas.ANY_REPLY, problems=(404, 409),
        ),
        Operation(
            "GET", one + "/streams", list_streams, "List the streams", TAG, reply=api_schemas.ANY_REPLY,
            problems=(404, 409),
        ),
        Operation(
            "GET", one + "/streams/{name}", read_stream, "Read a stream", TAG, query=api_schemas.STREAM_QUERY,
            reply=api_schemas.STREAM_REPLY, problems=(400, 404, 409),
        ),
        Operation(
            "GET", one + "/live", follow_session, "Follow a session (server-sent events)", TAG,
            query=api_schemas.LIVE_QUERY, content_type=EVENT_STREAM, event_schemas=api_schemas.LIVE_EVENTS,
            problems=(400, 404, 409),
            description=f"By default the streams {', '.join(DEFAULT_STREAMS)} from their beginning.",
        ),
    ]  # fmt: skip
