"""What the player draws: tracks of all drones as columns, thinned by the server, and the windows of the facades.

Columns of rounded numbers are a fifth of the points as they are stored: a minute of a hundred drones stays below a
megabyte before compression. Signal strength comes with them, from the messages of the same stretch.
Not here: reading and thinning (playback.downsample, playback.replay), events and other streams as they are
(stream_records), drawing (web).
"""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from sessionstore.playback import facade_windows
from sessionstore.playback.downsample import Columns, Find, stretch
from sessionstore.playback.replay import KEPT_OF_A_SLICE, Point, Replay
from sessionstore.server.http.operations import Call, Operation, split_names
from sessionstore.server.http.reply import Reply, content_etag, encode
from sessionstore.server.live.column_windows import flight_windows
from sessionstore.server.live.event_stream import cursor_text
from sessionstore.server.routes import api_schemas
from sessionstore.session import Session, stream_names

TAG = "replay"
DEFAULT_POINTS = 300
_MOST_MESSAGES = 20_000
_MOST_BYTES = 4 << 20  # a player waits for this: beyond, one pass keeps what stands out


class TrackQuery(api_schemas.Strict):
    """Of tracks."""

    start = api_schemas.QueryNumber(validate=validate.Range(min=0), metadata={"description": "sim_time in seconds."})
    end = api_schemas.QueryNumber(validate=validate.Range(min=0), metadata={"description": "sim_time in seconds."})
    points = fields.Integer(
        load_default=DEFAULT_POINTS,
        validate=validate.Range(min=KEPT_OF_A_SLICE, max=20_000),
        metadata={"description": "Maximum points for each drone; extremes are kept."},
    )
    drones = fields.String(validate=validate.Length(max=10_000), metadata={"description": "Only these."})
    attempt = api_schemas.attempt()


class TrackReply(Schema):
    """Columns for each drone: t, p (x, y, z one behind the other), yaw, battery, mode as [index, mode] changes.

    ``tilt`` has roll and pitch one behind the other, where any of them is not 0 (all angles are radians).
    """

    start = fields.Float(required=True)
    end = fields.Float(required=True)
    max_time = fields.Float(required=True)
    thinned = fields.String(required=True, metadata={"description": "How it was thinned, or no."})
    cursor = fields.String(required=True, metadata={"description": "Where the live view goes on."})
    drones = fields.Dict(required=True)


class FacadeReply(Schema):
    """The windows as they were first recorded, as rows."""

    columns = fields.List(fields.String(), required=True)
    windows = fields.List(fields.List(fields.Raw()), required=True)


class AttemptsReply(Schema):
    """The attempts of a run, the first one too."""

    attempts = fields.List(
        fields.Dict(), required=True, metadata={"description": "number, resumed_at (sim_time; null: the first one)."}
    )


def get_attempts(call: Call) -> Reply:
    """Return the attempts of a run: one, and one more for each time it was resumed from a checkpoint."""
    resumed = [None, *call.context.find(call.path["session_id"]).attempts()]
    return Reply(encode({"attempts": [{"number": number, "resumed_at": at_s} for number, at_s in enumerate(resumed)]}))


def get_tracks(call: Call) -> Reply:
    """Return the tracks of a stretch as columns."""
    query = call.query
    session = call.context.find(call.path["session_id"])
    start_s, end_s, drones = query.get("start"), query.get("end"), query.get("drones")
    find, attempt = call.context.summaries.find, query.get("attempt")
    return Reply(encode(tracks(session, start_s, end_s, query["points"], drones, find, attempt, flight_windows)))


def tracks(
    session: Session,
    start_s: float | None,
    end_s: float | None,
    points: int,
    drones: str | None = None,
    find: Find | None = None,
    attempt: int | None = None,
    columns: Columns | None = None,
) -> dict[str, Any]:
    """Return the columns of every drone between two moments. Raises: InvalidQuery."""
    slices = points // KEPT_OF_A_SLICE
    window = stretch(session, start_s, end_s, slices, split_names(drones), points, _MOST_BYTES, find, attempt, columns)
    found = {name: columns_of(history) for name, history in window.history.items()}
    for name, levels in _signal(session, window.start_s, window.end_s, attempt).items():
        if name in found:
            found[name]["rssi"] = levels
    return {
        "start": window.start_s,
        "end": window.end_s,
        "max_time": Replay(session, attempt).bounds()[1],
        "thinned": window.thinned,
        "cursor": cursor_text({stream_names.MOTION: window.offset}),
        "drones": found,
    }


def columns_of(points: list[Point]) -> dict[str, Any]:
    """Return one drone's points as columns."""
    modes: list[list[Any]] = []
    for index, point in enumerate(points):
        mode = str(point.get("mode", ""))
        if not modes or modes[-1][1] != mode:
            modes.append([index, mode])
    turned = [point.get("orientation") or (0.0, 0.0, 0.0) for point in points]
    tilt = [_rounded(angle) for angles in turned for angle in angles[:2]]
    return {
        "t": [round(point["sim_time"], 3) for point in points],
        "p": [round(value, 3) for point in points for value in point["position"]],
        "yaw": [_rounded(angles[-1]) for angles in turned],
        **({"tilt": tilt} if any(tilt) else {}),
        "battery": [_rounded(point.get("battery")) for point in points],
        "mode": modes,
    }


def _rounded(value: Any) -> float | None:
    return round(value, 3) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _signal(session: Session, start_s: float, end_s: float, attempt: int | None) -> dict[str, list[list[Any]]]:
    """Return (moment, dBm, arrived) of the messages of each drone; of a long stretch only the last ones."""
    tape = session.tape(stream_names.COMMUNICATION)
    found: dict[str, list[list[Any]]] = {}
    begin = max(tape.seek(max(0.0, start_s - 10.0)), tape.last_lines(_MOST_MESSAGES))
    order = tape.order()
    for line in tape.read(begin, to_s=end_s, damaged="skip"):
        if order.replaced(line, attempt):
            continue
        level = line.data.get("rssi_dbm")
        if isinstance(level, int | float):
            entry = [round(line.t_s, 2), level, bool(line.data.get("delivered", True))]
            for end in {line.data.get("from"), line.data.get("to")}:
                if isinstance(end, str) and end != "base":
                    found.setdefault(end, []).append(entry)
    return found


def get_facades(call: Call) -> Reply:
    """Return the windows of the buildings as they were at the start."""
    body = encode(facades(call.context.find(call.path["session_id"])))
    return Reply(body, etag=content_etag(body))


def facades(session: Session) -> dict[str, Any]:
    """Return the recorded windows as rows: name, centre, normal, size, dirt."""
    return {"columns": facade_windows.COLUMNS, "windows": list(facade_windows.facade_windows(session))}


def operations() -> list[Operation]:
    """Return the routes of this module."""
    one = "/api/sessions/{session_id}"
    return [
        Operation(
            "GET", one + "/attempts", get_attempts, "List the attempts of a resumed run", TAG,
            reply=AttemptsReply(), problems=(404, 409),
        ),
        Operation(
            "GET", one + "/track", get_tracks, "Get the tracks of a stretch as columns", TAG, query=TrackQuery(),
            reply=TrackReply(), problems=(400, 404, 409),
        ),
        Operation(
            "GET", one + "/facades", get_facades, "Get the windows of the buildings", TAG, reply=FacadeReply(),
            problems=(404, 409),
        ),
    ]  # fmt: skip
