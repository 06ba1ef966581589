"""Comparing all files of a large store with its index in the background, while its list is being looked at.

A page compares the rows that it shows. A record that was edited by hand and is not shown is found here: a pass over
all files, then a pause of twenty times as long, at least a second, as long as lists are asked for.
Not here: what a pass does (store.pages).
"""

from __future__ import annotations

import contextlib
import threading
import time

from sessionstore.errors import SessionStoreError
from sessionstore.store import SessionStore

PAUSE = 20.0
SHORTEST_PAUSE_S = 1.0
#: A list that was asked for this long ago is no longer looked at.
IDLE_S = 60.0


class Comparing:
    """One thread at most; safe for threads."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._mutex = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._wanted_at = 0.0

    def wanted(self) -> None:
        """A list was asked for: begin to compare, or go on."""
        with self._mutex:
            self._wanted_at = time.monotonic()
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._run, name="sessionstore-comparing", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End it after the pass that is running."""
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.is_set():
            began = time.monotonic()
            with contextlib.suppress(SessionStoreError):  # lists say what is wrong; the next pass tries again
                self._store.compare()
            if self._closed.wait(max(SHORTEST_PAUSE_S, PAUSE * (time.monotonic() - began))):
                return
            with self._mutex:
                if time.monotonic() - self._wanted_at > IDLE_S:
                    self._thread = None
                    return
