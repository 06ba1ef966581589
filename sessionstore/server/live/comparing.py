"""Comparing all files of a large store with its index in the background, while its list is being looked at.

A page compares the rows that it shows. A record that was edited by hand and is not shown is found here: the files are
watched where that can be, and a pass every ten minutes finds what is not seen so (an edit through a hard link
elsewhere). Where they cannot be watched: a pass over all files, then a pause of twenty times as long, at least a
second. Both as long as lists are asked for. What a search for a word and the usual groups are read from is made here
too, before they are asked for.
Not here: what a pass does (store.pages), what watching means (store.watching).
"""

from __future__ import annotations

import contextlib
import threading
import time

from sessionstore.errors import SessionStoreError
from sessionstore.store import SessionStore, column_groups

PAUSE = 20.0
SHORTEST_PAUSE_S = 1.0
WATCHED_PAUSE_S = 600.0
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
        self.was_wanted = False

    def wanted(self) -> None:
        """A list was asked for: begin to compare, or go on."""
        with self._mutex:
            self._wanted_at, self.was_wanted = time.monotonic(), True
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
                column_groups.prepare(self._store.catalog)
                self._store.watch_files()
                self._store.compare()
            if self._paused(max(SHORTEST_PAUSE_S, PAUSE * (time.monotonic() - began))):
                return
            with self._mutex:
                if time.monotonic() - self._wanted_at > IDLE_S:
                    self._thread = None
                    return

    def _paused(self, seconds: float) -> bool:
        """Wait between two passes, longer while the files are watched; return whether to end."""
        began, watched = time.monotonic(), self._store.catalog.watching.is_on
        while not self._closed.wait(SHORTEST_PAUSE_S):
            if watched and not self._store.catalog.watching.is_on:
                return False  # more happened than could be noted
            if time.monotonic() - began >= (WATCHED_PAUSE_S if watched else seconds):
                return False
        return True
