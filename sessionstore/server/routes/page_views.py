"""Layouts and list views that users of the page keep for each other, by name.

Not here: where they are kept (store.page_views), what a browser keeps for itself (web).
"""

from __future__ import annotations

from marshmallow import fields, validate

from sessionstore.server.http.operations import Call, Operation
from sessionstore.server.http.reply import Reply, content_etag, encode, json_reply
from sessionstore.server.routes import api_schemas
from sessionstore.store.page_views import KINDS, MOST_CHARACTERS, PageViews

TAG = "page"


class PageViewsReply(api_schemas.Open):
    """The texts by name."""

    layouts = fields.Dict(required=True, metadata={"description": "As in `layout=` of a session's page."})
    views = fields.Dict(required=True, metadata={"description": "As the query of the list's page."})


class PageViewBody(api_schemas.Strict):
    """One layout or view."""

    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    name = fields.String(required=True, validate=validate.Length(min=1, max=80))
    text = fields.String(
        required=True, allow_none=True, validate=validate.Length(max=MOST_CHARACTERS),
        metadata={"description": "null takes the name out."},
    )  # fmt: skip


def list_page_views(call: Call) -> Reply:
    """Return the layouts and views of this store."""
    body = encode(PageViews(call.context.store.root).read())
    return Reply(body, etag=content_etag(body))


def put_page_view(call: Call) -> Reply:
    """Keep a layout or view, or take it out; return all."""
    kept = PageViews(call.context.store.root)
    kept.put(call.body["kind"], call.body["name"], call.body["text"])
    return json_reply(kept.read())


def operations() -> list[Operation]:
    """Return the routes of this module."""
    return [
        Operation(
            "GET", "/api/page-views", list_page_views, "List layouts and views", TAG, reply=PageViewsReply(),
            problems=(409,),
        ),
        Operation(
            "POST", "/api/page-views", put_page_view, "Keep a layout or view", TAG, body=PageViewBody(),
            body_optional=False, reply=PageViewsReply(), problems=(400, 409, 503, 507),
        ),
    ]  # fmt: skip
