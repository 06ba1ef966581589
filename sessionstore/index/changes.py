"""Waiting for changes of the index: notified by the engine where it can, polled everywhere.

PostgreSQL notifies at once, across hosts; where that does not arrive (a pooler between, a lost connection), and on
every other engine, the version of the index is polled.
Not here: what changed (a listing), changes of folders that have not reached the index (a listing finds them).
"""

from __future__ import annotations

import threading
import time

from sessionstore.errors import IndexUnavailable, NewerFormat, Unreadable
from sessionstore.index import Notifies, SessionIndex, Subscription


class Watch:
    """Wakes up when rows may have changed; for one thread.

    Args:
        poll_s: seconds between two polls of the version; a change that the engine notifies of ends a wait at once.
        push: False only polls.
    """

    def __init__(self, index: SessionIndex, poll_s: float = 1.0, push: bool = True) -> None:
        self._index, self._poll_s = index, poll_s
        self._notifier: Notifies | None = index if push and isinstance(index, Notifies) else None
        self._subscription: Subscription | None = None
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
            if self._notified_within(min(self._poll_s, left_s)):
                self._seen = self._version() or self._seen
                return True

    def close(self) -> None:
        """End a wait of another thread, and the subscription."""
        self._closed.set()
        if self._subscription is not None:
            self._subscription.close()

    def _version(self) -> tuple[object] | None:
        """Return the version in a tuple; None while the engine is away."""
        try:
            return (self._index.version(),)
        except (IndexUnavailable, Unreadable):
            self._seen = None
            return None

    def _notified_within(self, seconds: float) -> bool:
        subscription = self._subscribed()
        if subscription is None:
            self._closed.wait(seconds)
            return False
        return subscription.wait(seconds)

    def _subscribed(self) -> Subscription | None:
        if self._notifier is None or self._closed.is_set():
            return None
        if self._subscription is None or self._subscription.closed:
            try:
                self._subscription = self._notifier.subscribe()
            except (IndexUnavailable, NewerFormat):
                return None
        return self._subscription
