"""A writer that keeps the lock of its stream while it appends, for recorders: less than half the time of an append.

The lock is kept from an append to the next one that comes within :data:`_BURST_S`. It is given back when the writer
pauses, when another writer asks for it (disk.bell), when the file is moved or replaced, at the end and in a forked
child; the system frees it when the process dies. After it was asked for, each append has a lock of its own for a while.
One thread of the process looks after all leases.
A lease sees at once what this process moves away and any change of size; a folder that another process moves away,
within :data:`_LOOK_S`: until then records go to where the folder is.
Not here: appending (stream_writer), locks between processes (disk.locks).
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from sessionstore.disk import bell, files, rename
from sessionstore.errors import OutcomeUnknown
from sessionstore.session.stream_line import line_bytes
from sessionstore.session.stream_record import payload_of
from sessionstore.session.stream_writer import StreamWriter

_BURST_S = 0.002  # appends that come so closely are worth a lease
_LOOK_S = 0.01
_SHARED_S = 5.0  # how long a stream that another writer asked for is locked for each append
_NEVER, _FOREVER = -math.inf, math.inf


class LeasedWriter(StreamWriter):
    """A :class:`StreamWriter` that may keep the lock of its stream between appends; others append when they ask."""

    _leased = False
    _appended_s = -math.inf  # by the monotonic clock, outside a lease
    _shared_until_s = -math.inf
    _moves = -1
    _looked_n = -1
    _text_of_s: float | None = None  # the sim_time that _time_text says
    _time_text = b""

    def __init__(self, path: Path, *given: Any, **more: Any) -> None:
        super().__init__(path, *given, **more)
        self._text_path = str(path)

    def append(self, record: Mapping[str, Any], t_s: float | None = None, at_least_s: float = _NEVER) -> None:
        """Store one record; see :meth:`StreamWriter.append`."""
        payload = payload_of(record)
        if self._leased and (t_s is None or type(t_s) is float) and self._append_leased(payload, t_s, at_least_s):
            return
        self._leased = False
        self._write([payload], t_s, at_least_s)

    def _append_leased(self, payload: bytes, t_s: float | None, at_least_s: float) -> bool:
        """Append a record in order to a stream whose lock is kept; False: it has to be locked and looked at anew."""
        with self._mutex:
            latest_s = self._latest_s
            if t_s is None:
                t_s = latest_s if latest_s > at_least_s else at_least_s if at_least_s > _NEVER else 0.0
            if not self._leased or not latest_s <= t_s < _FOREVER or self._order_text:
                return False
            descriptor, (opened, size) = self._file.descriptor, self._seen
            if self._moves != rename.moves or os.lseek(descriptor, 0, os.SEEK_END) != size:
                return False
            if t_s is not self._text_of_s:  # the records of one tick have one sim_time, the very same number
                self._text_of_s, self._time_text = t_s, repr(t_s).encode()
            data = line_bytes(payload, self._next_n, self._time_text, b"")
            try:
                files.write_all(descriptor, data, self._text_path)
            except OSError as error:
                self._undo(error, size)
            self._seen = opened, size + len(data)
            self._next_n += 1
            if t_s > latest_s:  # -0.0 is not above 0.0
                self._latest_s = t_s
            if not self._waits_for_sync:
                self._sync_as_asked()
            return True

    def _undo(self, error: OSError, size: int) -> NoReturn:
        """Cut what a failed write left. Raises: as :meth:`append`."""
        self._leased = False
        try:
            self._file.take_back(error, size)
        except OutcomeUnknown as unknown:
            self._failure = str(unknown)
            raise

    def _unlock(self) -> None:
        now_s = time.monotonic()
        quick, self._appended_s = now_s - self._appended_s < _BURST_S, now_s
        usable = self._encoding is None and self._failure is None and self._file.descriptor >= 0
        if not (quick and usable and self.sync != "full" and now_s >= self._shared_until_s and bell.AVAILABLE):
            self._leased = False
            super()._unlock()
            return
        try:
            leases.watch(self)  # first: what is not watched might be kept for ever
            self._moves, self._leased = rename.moves, True
        except BaseException:
            self._leased = False
            super()._unlock()
            raise

    def look(self) -> bool:
        """Give the lock back where the writer pauses or another one asks; return whether to look again."""
        idle, self._looked_n = self._next_n == self._looked_n, self._next_n
        if not idle:
            if self._file.is_in_place() and not bell.rings(os.path.dirname(self._text_path)):
                return True
            self._shared_until_s = time.monotonic() + _SHARED_S
        return not self._give_back(blocking=False)

    def _give_back(self, blocking: bool) -> bool:
        """Free the lock; False where another thread is appending. A child forked a moment ago may have the file open
        too, so that closing it would not do."""
        self._leased = False
        if not self._mutex.acquire(blocking=blocking):
            return False
        try:
            self._leased = False
            if self._file.descriptor >= 0 and not self._file.inherited():
                self._file.unlock()
        finally:
            self._mutex.release()
        return True

    def renew_after_fork(self) -> None:
        """Forget the lease, which is the parent's."""
        self._leased = False
        super().renew_after_fork()

    def rest(self) -> bool:
        """Sync and close the file until the next append; see :meth:`StreamWriter.rest`."""
        return self._give_back(blocking=False) and super().rest()

    def close(self) -> None:
        """Close the stream, and with it the lease; see :meth:`StreamWriter.close`."""
        self._give_back(blocking=True)
        super().close()


class Leases:
    """One thread that looks after the leases of this process, as long as there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: set[LeasedWriter] = set()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, writer: LeasedWriter) -> None:
        """Look after the lease of a writer, until it is given back."""
        with self._lock:
            self._held.add(writer)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sessionstore-lease", daemon=True)
                self._thread.start()
            self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            time.sleep(_LOOK_S)
            with self._lock:
                writers, self._held = list(self._held), set()
            again = [writer for writer in writers if writer.look()]  # one that takes a lease meanwhile is in _held
            with self._lock:
                self._held.update(again)
                if not self._held:
                    self._wake.clear()


leases = Leases()


def _after_fork() -> None:
    """A child has no threads but the one that forked, and no lease."""
    global leases
    leases = Leases()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
