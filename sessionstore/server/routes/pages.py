"""What whole pages need at once: a comparison, and a session as one HTML file.

Not here: the comparison itself (playback.comparison), the file itself (server.routes.offline_page).
"""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from sessionstore.errors import Unreadable
from sessionstore.playback.comparison import compare
from sessionstore.server.http.operations import Call, Operation, split_names
from sessionstore.server.http.reply import Reply, json_reply
from sessionstore.server.routes import api_schemas
from sessionstore.server.routes.offline_page import page_of
from sessionstore.session import Session


class CompareQuery(api_schemas.Strict):
    """Of a comparison."""

    ids = fields.String(
        required=True, validate=validate.Length(max=2000), metadata={"description": "Two to six, comma-separated."}
    )
    align = fields.String(
        load_default="start",
        validate=validate.Length(max=200),
        metadata={"description": "start, takeoff, or the sim_times that belong together, such as 0,12.5."},
    )


class CompareReply(Schema):
    """What differs between sessions."""

    sessions = fields.List(fields.Dict(), required=True)
    parameters = fields.List(fields.Dict(), required=True)
    metrics = fields.List(fields.Dict(), required=True)
    first_difference = fields.Dict(allow_none=True)
    unreadable = fields.List(fields.Dict(), metadata={"description": "Sessions that were left out, and why."})
    alignment = fields.Dict(metadata={"description": "Which moments belong together, and how far paths are apart."})
    first_differences = fields.List(
        fields.Dict(allow_none=True), metadata={"description": "Of the first session to each of the others."}
    )
    by_role = fields.List(
        fields.List(fields.Dict()),
        metadata={"description": "Faults, paths beyond noise, modes and batteries that differ, by role of the drones."},
    )


def compare_sessions(call: Call) -> Reply:
    """Say what differs between sessions."""
    sessions: list[Session] = []
    unreadable: list[dict[str, str]] = []
    for session in [call.context.find(name) for name in split_names(call.query["ids"]) or []]:
        try:
            session.read()
            sessions.append(session)
        except Unreadable as error:
            unreadable.append({"session_id": session.session_id, "problem": str(error)})
            broken = error
    if unreadable and len(sessions) < 2:
        raise broken
    return json_reply({**compare(sessions, call.query["align"]), "unreadable": unreadable})


def export_page(call: Call) -> Reply:
    """Return a session as one HTML file that works offline; always as an attachment, never shown by this server."""
    session = call.context.find(call.path["session_id"])
    # A plain name: session ids are sanitised, but a folder may be called anything.
    name = "".join(each if each.isascii() and (each.isalnum() or each in "-_.") else "_" for each in session.session_id)
    headers = {
        "content-disposition": f'attachment; filename="{name}.html"',
        "content-security-policy": "sandbox; default-src 'none'",
    }
    return Reply(
        page_of(session, call.context.summaries.wait), content_type="text/html; charset=utf-8", headers=headers
    )


def operations() -> list[Operation]:
    """Return the routes of this module."""
    return [
        Operation(
            "GET", "/api/compare", compare_sessions, "Say what differs between sessions", "sessions",
            query=CompareQuery(), reply=CompareReply(), problems=(400, 404, 409),
        ),
        Operation(
            "GET", "/api/sessions/{session_id}/export.html", export_page, "Get a session as one HTML file", "files",
            content_type="text/html; charset=utf-8", problems=(404, 409),
        ),
    ]  # fmt: skip
