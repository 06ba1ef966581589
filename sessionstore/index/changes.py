"""Waiting for changes of the index, whoever made them: told by the engine where it can, asked for everywhere.

PostgreSQL tells at once (LISTEN/NOTIFY), across hosts; where that does not get through (a pooler between, a connection
that broke) and on every other engine, the version of the index is looked at again and again.
Not here: what changed (a listing tells), changes of the folders that no index was told of (a listing finds them).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any

from sessionstore.errors import IndexUnavailable, NewerFormat, Unreadable
from sessionstore.index import SessionIndex

_KEEP_TELLING_S = 30.0


class Watch:
    """Wakes up when rows may have changed; for one thread.

    Args:
        poll_s: seconds between two looks at the version; a change that the engine tells of is heard at once.
        push: False asks only, and listens to nobody.
    """

    def __init__(self, index: SessionIndex, poll_s: float = 1.0, push: bool = True) -> None:
        self._index, self._poll_s = index, poll_s
        self._listen: Callable[[], Any] | None = getattr(index, "listen", None) if push else None
        self._connection: Any = None
        self._asked_at = 0.0
        self._closed = threading.Event()
        self._seen = self._version()

    def wait(self, timeout_s: float) -> bool:
        """Return True as soon as rows may have changed since the last call (or the beginning), False after the time.

        An engine that is away is waited for; when it is back, that counts as a change.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            found = self._version()
            if found is not None and found != self._seen:
                self._seen = found
                return True
            left_s = deadline - time.monotonic()
            if left_s <= 0 or self._closed.is_set():
                return False
            if self._told_within(min(self._poll_s, left_s)):
                self._seen = self._version() or self._seen
                return True

    def close(self) -> None:
        """End a wait of another thread, and let go of the connection."""
        self._closed.set()
        if self._connection is not None:
            self._connection.close()

    def _version(self) -> tuple[object] | None:
        """Return the version in a tuple; None while the engine is away."""
        try:
            return (self._index.version(),)
        except (IndexUnavailable, Unreadable):
            self._seen = None
            return None

    def _told_within(self, seconds: float) -> bool:
        connection = self._listening()
        if connection is None:
            self._closed.wait(seconds)
            return False
        import psycopg

        try:
            if time.monotonic() - self._asked_at > _KEEP_TELLING_S:
                self._asked_at = time.monotonic()
                self._index.keep_telling(connection)  # type: ignore[attr-defined]  # whoever listens has it
            limit_s, connection.limit_s = connection.limit_s, math.inf  # here, silence is no failure
            try:
                return any(True for _ in connection.notifies(timeout=seconds, stop_after=1))
            finally:
                connection.limit_s = limit_s
        except psycopg.Error:
            connection.close()
            return False

    def _listening(self) -> Any:
        if self._listen is None or self._closed.is_set():
            return None
        if self._connection is None or self._connection.closed:
            try:
                self._connection = self._listen()
                self._asked_at = time.monotonic()
            except (IndexUnavailable, NewerFormat):
                return None
        return self._connection
