"""Sparklines: one field of many sessions as small lines, for the rows that a list shows.

A line is the field thinned with minima and maxima kept; of a stream of more than :data:`MOST_BYTES` 60 records at even
distances are read instead, so that a screen of rows costs about the same for short and long recordings. Of a field with
a line for each drone the first few are given.
Not here: charts (field_series).
"""

from __future__ import annotations

import math
from typing import Any

from marshmallow import fields, validate

from sessionstore.errors import SessionStoreError
from sessionstore.playback.charts import extremes
from sessionstore.server.http.operations import Call, Operation
from sessionstore.server.http.reply import Reply, json_reply
from sessionstore.server.routes import api_schemas
from sessionstore.server.routes.field_series import sampled, under
from sessionstore.session import Session

MOST_BYTES = 1 << 20
_MOST_SESSIONS = 60
_MOST_LINES = 4
_POINTS = 60


class SparklinesBody(api_schemas.Strict):
    """Which field of which sessions."""

    ids = fields.List(api_schemas.text(300), required=True, validate=validate.Length(min=1, max=_MOST_SESSIONS))
    stream = api_schemas.text(64, required=True)
    field = api_schemas.text(200, required=True, metadata={"description": "A path such as battery or position.2."})


class SparklinesReply(api_schemas.Open):
    """The lines of each session: lists of [sim_time in seconds, value]; none where the session has no such field."""

    lines = fields.Dict(required=True)


def list_sparklines(call: Call) -> Reply:
    """Return a field of some sessions as small lines."""
    path = call.body["field"].split(".")
    found: dict[str, Any] = {}
    for session_id in dict.fromkeys(call.body["ids"]):
        try:
            found[session_id] = lines_of(call.context.exact(session_id), call.body["stream"], path)
        except SessionStoreError:  # a row that cannot be read says so itself
            found[session_id] = []
    return json_reply({"lines": found})


def lines_of(session: Session, stream: str, path: list[str]) -> list[list[list[float]]]:
    """Return the first lines of a field, each as [sim_time, value] pairs."""
    tape = session.tape(stream)
    bounds = tape.bounds() if tape.exists() else None
    if bounds is None:
        return []
    records = tape.in_time() if tape.size() <= MOST_BYTES else sampled(tape, 0.0, bounds[1], _POINTS)
    lines: dict[str, list[tuple[float, float]]] = {}
    for record in records:
        value = under(record.data, path)
        name = str(record.data.get("drone", ""))
        if (
            type(value) not in (int, float)
            or not math.isfinite(value)
            or (name not in lines and len(lines) == _MOST_LINES)
        ):
            continue
        lines.setdefault(name, []).append((record.t_s, value))
    return [[[round(t_s, 3), value] for t_s, value in extremes(line, _POINTS)] for line in lines.values()]


def operations() -> list[Operation]:
    """Return the routes of this module."""
    return [
        Operation(
            "POST", "/api/sessions/sparklines", list_sparklines, "Get a field of many sessions as small lines",
            "sessions", body=SparklinesBody(), body_optional=False, reply=SparklinesReply(), problems=(400,),
        ),
    ]  # fmt: skip
