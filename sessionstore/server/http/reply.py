"""What a handler returns: bytes with an entity tag, or a stream that is made while it is sent.

Nothing of the store or the routes is known here, so that every part of the server may import it.
Not here: routes (operations), the response on the wire (responses).
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

JSON = "application/json"
NDJSON = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"
_GZIP_FROM_BYTES = 1400  # what fits one network packet does not get quicker
_GZIP_LEVEL = 4
encode = msgspec.json.Encoder(enc_hook=str).encode


@dataclass(slots=True)
class Reply:
    """Bytes to be sent; with an etag, a client that has them already gets 304 instead."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    etag: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    packed: bytes | None = None

    def pack(self) -> None:
        """Compress the body, once, when that is worth it; done in the worker thread."""
        if self.packed is None and len(self.body) >= _GZIP_FROM_BYTES and "content-encoding" not in self.headers:
            self.packed = gzip.compress(self.body, _GZIP_LEVEL, mtime=0)


@dataclass(slots=True)
class Stream:
    """A reply that is made while it is sent; a plain iterator is advanced in worker threads."""

    parts: AsyncIterator[bytes] | Iterator[bytes]
    content_type: str
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200


def json_reply(value: Any, status: int = 200, etag: str | None = None, **headers: str) -> Reply:
    """Return plain data as JSON."""
    return Reply(encode(value), status, JSON, etag, dict(headers))


def content_etag(body: bytes) -> str:
    """Return an entity tag made of the content itself."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
