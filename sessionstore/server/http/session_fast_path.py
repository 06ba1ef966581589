"""GET of one session, the most frequent request, answered from the cache before the routes are tried.

Input: a request that passed the gate. Output: the rendered record, if its files are unchanged.
Guarantees: three stats, no read, no thread; every other case goes on to the application.
Not here: rendering and remembering (server.live.record_cache), who may ask (security).
"""

from __future__ import annotations

from typing import Any

from sessionstore.server.http.responses import respond
from sessionstore.server.live.record_cache import DocumentCache

_PLACES = ("/api/sessions", "/api/sessions/db")


class Shortcut:
    """The ASGI application between the gate and the routes."""

    def __init__(self, app: Any, documents: DocumentCache) -> None:
        self.app = app
        self._documents = documents

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and not scope["query_string"]:
            place, _, name = scope["path"].rpartition("/")
            # A folder can be renamed to the word of another address ("events"); ids as given begin with a digit.
            if place in _PLACES and name[:1].isdigit() and (known := self._documents.known(name)) is not None:
                given = dict(scope["headers"])
                seen, accepted = given.get(b"if-none-match"), given.get(b"accept-encoding", b"")
                response = respond(known, seen and seen.decode("latin-1"), accepted.decode("latin-1"))
                await response(scope, receive, send)
                return
        await self.app(scope, receive, send)
