"""What all stream writers of a process share: one thread that syncs, and a bound on open files.

A stream in batch mode is synced within 200 ms of an append. At most a quarter of the descriptors that the process may
have are kept open for streams: the ones used longest ago are synced and closed, and opened again by their next append.
Not here: appending (stream_writer), the file itself (disk.append_file).
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import deque
from typing import Protocol

_BATCH_S = 0.1  # half of what the promise allows, so that a slow fsync still keeps it
_FEWEST, _MOST = 8, 256
_SHARE = 4  # one descriptor in four


class Shared(Protocol):
    """A stream writer, as the thread and the pool see it."""

    used: bool

    def sync_in_background(self) -> None:
        """Make the appended records durable."""
        ...

    def rest(self) -> bool:
        """Close the file until the next append; False when the writer is busy."""
        ...


def _limit() -> int:
    try:
        import resource
    except ImportError:  # Windows: 512 files by default
        return _MOST // 2
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else max(_FEWEST, min(_MOST, soft // _SHARE))


class Pool:
    """The writers whose files are open, by when they were opened; the ones not used since rest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: deque[Shared] = deque()

    def opened(self, writer: Shared) -> None:
        """Take in a writer that has opened its file; put others to rest when there are too many."""
        with self._lock:
            if writer not in self._open:
                self._open.append(writer)
            excess = len(self._open) - _limit()
        if excess > 0:
            self.make_room(excess, but=writer)

    def make_room(self, count: int, but: Shared) -> None:
        """Close the files of that many writers other than ``but``, as far as they are idle."""
        for _ in range(2 * len(self._open)):
            with self._lock:
                if count <= 0 or not self._open:
                    return
                other = self._open.popleft()
            if other is but or other.used or not other.rest():
                other.used = False
                with self._lock:
                    self._open.append(other)
            else:
                count -= 1

    def forget(self, writer: Shared) -> None:
        """Take out a writer that was closed."""
        with self._lock:
            if writer in self._open:
                self._open.remove(writer)


class Syncer:
    """One thread for all batch streams of this process: it syncs what was appended within the last 100 ms."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._working = threading.Lock()
        self._waiting: list[Shared] = []
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def soon(self, stream: Shared) -> None:
        """Sync this stream within 200 ms."""
        with self._lock:
            self._waiting.append(stream)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sessionstore-sync", daemon=True)
                self._thread.start()
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            time.sleep(_BATCH_S)
            self._wake.clear()
            self.sync_now()

    def sync_now(self) -> None:
        """Sync what waits; also called at the end of the program, which the thread does not outlive."""
        with self._working:  # the end waits for what the thread is at
            with self._lock:
                streams, self._waiting = self._waiting, []
            for stream in streams:
                stream.sync_in_background()


syncer, pool = Syncer(), Pool()
atexit.register(lambda: syncer.sync_now())


def _after_fork() -> None:
    """A child has no threads but the one that forked, and its parent's files are not its own."""
    global syncer, pool
    syncer, pool = Syncer(), Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
