"""Replies as HTTP: 304 when the entity tag matches, gzip when the client accepts it.

Not here: what a reply says (operations), the headers that every reply bears (security).
"""

from __future__ import annotations

from starlette.responses import Response

from sessionstore.server.http.reply import Reply

GZIP_SUFFIX = "-gzip"


def respond(reply: Reply, if_none_match: str | None, accept_encoding: str) -> Response:
    """Return the response to a request with these two headers."""
    headers = dict(reply.headers)
    if reply.etag is not None:
        headers["etag"] = reply.etag
        if if_none_match is not None and has_it(if_none_match, reply.etag):
            if coded(reply.etag) in if_none_match:
                headers["etag"] = coded(reply.etag)
            return Response(status_code=304, headers=headers)
    body = reply.body
    if reply.packed is not None and "gzip" in accept_encoding:
        body = reply.packed
        headers |= {"content-encoding": "gzip", "vary": "accept-encoding"}
        if reply.etag is not None:
            headers["etag"] = coded(reply.etag)
    if reply.status == 204:
        return Response(status_code=204, headers=headers)
    return Response(body, reply.status, {**headers, "content-type": reply.content_type})


def coded(etag: str) -> str:
    """Return the strong entity tag of the gzip form: other bytes have another tag (RFC 9110, 8.8.3.3)."""
    return f'{etag[:-1]}{GZIP_SUFFIX}"'


def plain_tag(tag: str) -> str:
    """Return the tag of the plain form that a tag of any form stands for."""
    tag = tag.strip().removeprefix("W/")
    return f'{tag[: -len(GZIP_SUFFIX) - 1]}"' if tag.endswith(f'{GZIP_SUFFIX}"') else tag


def has_it(if_none_match: str, etag: str) -> bool:
    """Whether a client that sent this header has what the entity tag stands for."""
    tags = [plain_tag(tag) for tag in if_none_match.split(",")]
    return etag in tags or "*" in tags
