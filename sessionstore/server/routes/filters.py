"""A filter in words: what the search field of the page shows as understood.

Not here: parsing, meaning and words (query), lists (server.routes.sessions).
"""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from sessionstore.model.row import FILTER_ALIASES, FILTER_FIELDS
from sessionstore.query import describe, parse
from sessionstore.server.http.operations import Call, Operation
from sessionstore.server.http.reply import Reply, json_reply
from sessionstore.server.routes import api_schemas


class FilterQuery(api_schemas.Strict):
    """Of an explanation."""

    where = fields.String(required=True, validate=validate.Length(max=4096))


class FilterReply(Schema):
    """A filter in words."""

    where = fields.String(required=True)
    understood = fields.String(required=True)


def explain_filter(call: Call) -> Reply:
    """Say how a filter is understood."""
    where = call.query["where"]
    return json_reply({"where": where, "understood": describe(parse(where, FILTER_FIELDS, FILTER_ALIASES))})


def operations() -> list[Operation]:
    """Return the routes of this module."""
    return [
        Operation(
            "GET", "/api/filter", explain_filter, "Say how a filter is understood", "sessions", query=FilterQuery(),
            reply=FilterReply(), problems=(400,),
        ),
    ]  # fmt: skip
