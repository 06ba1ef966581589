"""The alerts of a session over HTTP: low batteries, lost links, drones too near each other, by chosen thresholds.

A motion stream of more than :data:`MOST_BYTES` is not searched as a whole: its begin is, and the reply says to where.
Not here: finding them (playback.alerts).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from marshmallow import Schema, fields, validate

from sessionstore.playback.alerts import LowBatteries, Record, lost_links, near_misses
from sessionstore.server.http.operations import Call, Operation
from sessionstore.server.http.reply import Reply, content_etag, encode
from sessionstore.server.routes import api_schemas
from sessionstore.session import Session, stream_names
from sessionstore.session.stream_reader import Tape

MOST_BYTES = 16 << 20
_MOST_ALERTS = 2000


class AlertQuery(api_schemas.Strict):
    """The thresholds."""

    battery = api_schemas.QueryNumber(
        load_default=0.25, validate=validate.Range(min=0, max=1), metadata={"description": "As a share of full."}
    )
    separation = api_schemas.QueryNumber(
        load_default=1.0, validate=validate.Range(min=0.01, max=10_000), metadata={"description": "In metres."}
    )


class AlertReply(Schema):
    """The alerts in the order of time."""

    alerts = fields.List(fields.Dict(), required=True, metadata={"description": "kind, t, end, drones, value, value_t"})
    searched_until = fields.Float(allow_none=True, required=True, metadata={"description": "null: all of it."})


def get_alerts(call: Call) -> Reply:
    """Return the alerts of a session."""
    session = call.context.find(call.path["session_id"])
    body = encode(alerts_of(session, call.query["battery"], call.query["separation"]))
    return Reply(body, etag=content_etag(body))


def alerts_of(session: Session, battery: float = 0.25, separation_m: float = 1.0) -> dict[str, Any]:
    """Return the alerts of a session, and to where a very long one was searched."""
    motion, messages = session.tape(stream_names.MOTION), session.tape(stream_names.COMMUNICATION)
    searched: list[float] = []
    batteries = LowBatteries(battery)
    near = near_misses(batteries.watch(_records(motion, searched)), separation_m)
    found = [*batteries.found, *near, *lost_links(_records(messages, searched))]
    found.sort(key=lambda each: (each.t, each.kind, each.drones))
    return {
        "alerts": [asdict(each) for each in found[:_MOST_ALERTS]],
        "searched_until": min(searched) if searched else None,
    }


def _records(tape: Tape, searched: list[float]) -> Iterator[Record]:
    size = tape.size()
    for line in tape.in_time():
        if line.offset > MOST_BYTES < size:
            searched.append(line.t_s)
            return
        yield line.t_s, line.data


def operations() -> list[Operation]:
    """Return the routes of this module."""
    return [
        Operation(
            "GET", "/api/sessions/{session_id}/alerts", get_alerts, "Find alerts in what was recorded", "replay",
            query=AlertQuery(), reply=AlertReply(), problems=(400, 404, 409),
        ),
    ]  # fmt: skip
