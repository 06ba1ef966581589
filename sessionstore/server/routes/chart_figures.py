"""The figures of a session over HTTP, as plotly writes them: one request for all charts of a stretch.

Not here: what is in them (playback.charts), drawing (web).
"""

from __future__ import annotations

from marshmallow import fields, validate

from sessionstore.playback.charts import DEFAULT_POINTS, FIGURES, figures
from sessionstore.server.http.operations import Call, Operation, split_names
from sessionstore.server.http.reply import Reply, json_reply
from sessionstore.server.live.column_windows import flight_windows
from sessionstore.server.routes import api_schemas


class FigureQuery(api_schemas.Strict):
    """Of figures."""

    start = api_schemas.QueryNumber(validate=validate.Range(min=0), metadata={"description": "sim_time in seconds."})
    end = api_schemas.QueryNumber(validate=validate.Range(min=0), metadata={"description": "sim_time in seconds."})
    points = fields.Integer(load_default=DEFAULT_POINTS, validate=validate.Range(min=8, max=5000))
    attempt = api_schemas.attempt()
    names = fields.String(
        validate=validate.Length(max=200), metadata={"description": f"Of {', '.join(FIGURES)}; by default all."}
    )


def get_figures(call: Call) -> Reply:
    """Return figures of a session."""
    query = call.query
    session = call.context.find(call.path["session_id"])
    names = split_names(query.get("names")) or FIGURES
    return json_reply(
        figures(
            session,
            query.get("start"),
            query.get("end"),
            query["points"],
            names,
            call.context.summaries.find,
            query.get("attempt"),
            flight_windows,
        )
    )


def operations() -> list[Operation]:
    """Return the routes of this module."""
    return [
        Operation(
            "GET", "/api/sessions/{session_id}/figures", get_figures, "Get charts as plotly figures", "replay",
            query=FigureQuery(), reply=api_schemas.ANY_REPLY, problems=(400, 404, 409),
        ),
    ]  # fmt: skip
