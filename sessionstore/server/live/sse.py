"""Server-sent events as bytes, and how often a silent connection is kept alive.

Not here: what is sent (event_stream, store_changes).
"""

from __future__ import annotations

KEEP_ALIVE_S = 10.0


def sse(event: str, data: bytes, event_id: str | None = None) -> bytes:
    """Return one event; the data is JSON, which holds no newline."""
    head = f"id: {event_id}\n" if event_id is not None else ""
    return f"{head}event: {event}\ndata: ".encode() + data + b"\n\n"
