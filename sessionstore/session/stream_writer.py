"""Append-only JSON Lines: ``{"n": number, "t": sim_time, ..., "c": crc}``, one record a line.

What was appended is read back whole or not at all, in order, and what a crash leaves is a prefix. Each line carries its
number and a CRC-32 of the bytes before ``,"c"``; a line written by hand may lack both and counts as unverified. Any
number of processes may append: the lock of the file is held for one write. ``append`` returns when the system has the
bytes (they survive the death of this process); what a power cut may take depends on the sync mode:

    full    nothing: every append waits for the disk
    batch   at most the last 200 ms, as a suffix (the default)
    os      what the system had not written yet

Not here: which streams a session has (session), positions and velocities (motion), reading them (tape).
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import msgspec

from sessionstore.disk import files
from sessionstore.disk.append_file import AppendFile, renewed_after_fork
from sessionstore.errors import InvalidRecord, OutcomeUnknown, StreamClosed, TimeOrderError
from sessionstore.model import json_text
from sessionstore.session.stream_reader import last_good_line

SyncMode = Literal["full", "batch", "os"]
MAX_RECORD_BYTES = 1 << 20  # a kill tears large appends: 27 of 40 at 8 MiB (measured)
_RESERVED_KEYS = frozenset(("n", "t", "c"))
_BATCH_S = 0.1  # half of what the promise allows, so that a slow fsync still keeps it

Quarantine = Callable[[Path, int, bytes], None]

_encode = msgspec.json.Encoder(enc_hook=json_text.foreign).encode


class StreamWriter:
    """Appends to one stream; safe for threads, for other writers of the same file, and across fork.

    Args:
        path: the file; made by the first append.
        sync: full, batch or os (see the module).
        quarantine: gets (path, offset, bytes) of a torn tail before it is cut; by default it is kept beside the file.
    """

    def __init__(self, path: Path, sync: SyncMode = "batch", quarantine: Quarantine | None = None) -> None:
        if sync not in ("full", "batch", "os"):
            raise InvalidRecord(f"the sync mode is full, batch or os, not {sync!r}")
        self.path = path
        self.sync = sync
        self._file = AppendFile(path, durable=sync != "os", pinned=True)
        self._quarantine = quarantine or keep_beside
        self._mutex = threading.Lock()
        self._seen = (0, -1)  # which file, and where our view of it ends; anything else: somebody else wrote
        self._next_n = 0
        self._last_t = 0.0
        self._failure: str | None = None
        self._closed = False
        self._waits_for_sync = False
        renewed_after_fork(self)

    def renew_after_fork(self) -> None:
        """Forget a lock that another thread of the parent held, and the parent's promise to sync soon."""
        self._mutex, self._waits_for_sync = threading.Lock(), False

    def __repr__(self) -> str:
        return f"StreamWriter({self.path.name!r}, sync={self.sync!r}, next={self._next_n})"

    @property
    def last_t_s(self) -> float:
        """The sim_time of the last record that this writer knows of, in seconds."""
        return self._last_t

    def append(self, record: Mapping[str, Any], t_s: float | None = None, at_least_s: float = 0.0) -> None:
        """Store one record.

        Args:
            record: text keys (not n, t, c), JSON values, numpy too; NaN and infinities become null, counted in "nan"
                (unless the record has a key of that name, which is kept).
            t_s: sim_time in seconds: finite, not below the last one of this stream; None repeats that one.
            at_least_s: used in place of the last one when t_s is None and this is later.

        Raises:
            InvalidRecord, TimeOrderError, StreamClosed, SessionGone, LockTimeout, StoreUnusable: nothing was written.
            OutcomeUnknown: it may or may not be there; this writer takes no more.
        """
        self._write([_payload(record)], t_s, at_least_s)

    def extend(self, records: Iterable[Mapping[str, Any]], t_s: float | None = None) -> None:
        """Store many records of one moment with one write: a reader sees a prefix of them, soon all.

        Raises: as :meth:`append`; what is refused leaves none of them.
        """
        payloads = [_payload(record) for record in records]
        if payloads:
            self._write(payloads, t_s, 0.0)

    def flush(self) -> None:
        """Return when all that was appended survives a power cut, whatever the sync mode.

        Raises: StreamClosed, OutcomeUnknown.
        """
        with self._mutex:
            self._check_usable()
            if self._file.descriptor >= 0:
                self._sync()

    def close(self) -> None:
        """Flush (unless sync is os) and let go of the file; closing twice is fine.

        Raises: OutcomeUnknown: the last records may not survive a power cut.
        """
        with self._mutex:
            if self._closed:
                return
            self._closed = True
            try:
                if self._file.descriptor >= 0 and self.sync != "os" and self._failure is None:
                    self._sync()
            finally:
                self._file.close()
            if self._failure is not None:
                raise OutcomeUnknown(self._failure)

    def _write(self, payloads: list[bytes], t_s: float | None, at_least_s: float) -> None:
        if t_s is not None:
            t_s = float(t_s)
            if not math.isfinite(t_s) or t_s < 0:
                raise TimeOrderError(f"{self.path.name}: the sim_time {t_s} is not a finite number from 0 on")
        with self._mutex:
            if self._closed or self._failure is not None:
                self._check_usable()
            size = self._file.lock()
            try:
                if (self._file.opened, size) != self._seen:
                    size = self._catch_up(size)
                if t_s is None:
                    t_s = max(self._last_t, at_least_s)
                elif t_s < self._last_t:
                    raise TimeOrderError(f"{self.path.name}: {t_s} s after {self._last_t} s")
                n, time_text = self._next_n, repr(t_s).encode()
                if len(payloads) == 1:
                    data = _line(payloads[0], n, time_text)
                else:
                    data = b"".join([_line(payload, n + i, time_text) for i, payload in enumerate(payloads)])
                self._seen = (self._file.opened, self._file.write(data, size))
                self._next_n, self._last_t = n + len(payloads), t_s
            except OutcomeUnknown as error:
                self._failure = str(error)
                raise
            finally:
                self._file.unlock()
            if self.sync == "full":
                self._sync()
            elif self.sync == "batch" and not self._waits_for_sync:
                self._waits_for_sync = True
                _syncer.soon(self)

    def _check_usable(self) -> None:
        if self._closed:
            raise StreamClosed(f"{self.path} is closed")
        if self._failure is not None:
            raise StreamClosed(f"{self.path} takes no more: {self._failure}")

    def _catch_up(self, size: int) -> int:
        """Continue behind what is there now: cut a torn tail into quarantine; return the size."""
        with files.refusals(self.path):
            last, torn = last_good_line(self._file.descriptor, size)
        if torn:
            size -= len(torn)
            self._quarantine(self.path, size, torn)
            try:
                files.truncate(self._file.descriptor, size, self.path)
            except OSError as error:
                raise files.refused(error, self.path) from error
        if last is not None:
            self._next_n, self._last_t = max(last.n + 1, self._next_n), last.t_s
        return size

    def _sync(self) -> None:
        try:
            self._file.sync()
        except OutcomeUnknown as error:
            # Linux marks the pages clean after a failed fsync: the next one would succeed and prove nothing.
            self._failure = str(error)
            raise

    def sync_in_background(self) -> None:
        """Make the appended records durable; a failure shows at the next append, flush or close."""
        with self._mutex:
            self._waits_for_sync = False
            usable = not self._closed and self._failure is None and not self._file.inherited()
            if usable and self._file.descriptor >= 0:
                with contextlib.suppress(OutcomeUnknown):  # it is in _failure, and every later call says so
                    self._sync()


def _line(payload: bytes, n: int, time_text: bytes) -> bytes:
    if len(payload) > 2:
        head = b'{"n":%d,"t":%b,%b' % (n, time_text, payload[1:-1])
    else:
        head = b'{"n":%d,"t":%b' % (n, time_text)
    return b'%b,"c":"%08x"}\n' % (head, crc32(head))


def _payload(record: Mapping[str, Any]) -> bytes:
    if type(record) is not dict and not isinstance(record, Mapping):
        raise InvalidRecord(f"a record is an object with text keys, not {type(record).__name__}")
    if not _RESERVED_KEYS.isdisjoint(record):
        key = next(key for key in record if key in _RESERVED_KEYS)
        raise InvalidRecord(f"the key {key!r} belongs to the stream; sim_time goes into t_s")
    try:
        payload = _encode(record if type(record) is dict else dict(record))
        if b"null" in payload and "nan" not in record and (count := _count_not_finite(record)):
            payload = _encode({**record, "nan": count})
    except (TypeError, ValueError, RecursionError) as error:  # UnicodeEncodeError is a ValueError
        raise InvalidRecord(f"a record cannot be stored: {error}") from error
    if len(payload) > MAX_RECORD_BYTES:
        raise InvalidRecord(f"a record has at most {MAX_RECORD_BYTES} bytes, this one {len(payload)}")
    return payload


def _count_not_finite(value: Any) -> int:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, Mapping):
        return sum(map(_count_not_finite, value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return sum(map(_count_not_finite, value))
    to_list = getattr(value, "tolist", None)
    return _count_not_finite(to_list()) if callable(to_list) else 0


def keep_beside(path: Path, offset: int, torn: bytes) -> None:
    """Keep a torn tail in a file beside the stream."""
    files.create(path.with_name(f"{path.stem}.torn-{offset}-{os.urandom(4).hex()}"), torn)
    files.sync_dir(path.parent)


class _Syncer:
    """One thread for all batch streams of this process: it syncs what was appended within the last 100 ms."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._working = threading.Lock()
        self._waiting: list[StreamWriter] = []
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def soon(self, stream: StreamWriter) -> None:
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


_syncer = _Syncer()
atexit.register(lambda: _syncer.sync_now())


def _after_fork() -> None:
    """A child has no threads but the one that forked."""
    global _syncer
    _syncer = _Syncer()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
