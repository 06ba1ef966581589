"""Appending to a stream: JSON Lines, one record a line, numbered and with a checksum (see stream_line).

What was appended is read back whole or not at all, and what a crash leaves is a prefix of the appends. Any number of
processes may append: the lock of the file is held for one write. Records may arrive out of order in sim_time unless the
writer was asked to refuse that. ``append`` returns when the system has the bytes (they survive the death of this
process); what a power cut may take depends on the sync mode:

    full    nothing: every append waits for the disk
    batch   at most the last 200 ms, as a suffix (the default)
    os      what the system had not written yet

Refused, with nothing written: what is not a record (stream_record), a sim_time that is not finite, a pointer of Git LFS
in the stream's place. A file that another program changed is appended to as it is; a sealed one is unsealed first.
Not here: which streams a session has (session), positions and velocities (motion), reading them (stream_reader).
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from sessionstore.disk import files
from sessionstore.disk.append_file import AppendFile, renewed_after_fork
from sessionstore.errors import Corrupt, InvalidRecord, OutcomeUnknown, StoreUnusable, StreamClosed, TimeOrderError
from sessionstore.session import stream_sync
from sessionstore.session.sealing import file_to_append
from sessionstore.session.stream_check import KINDS
from sessionstore.session.stream_line import Line, line_bytes, lines_bytes, mark_bytes
from sessionstore.session.stream_order import ATTEMPT, StreamOrder
from sessionstore.session.stream_reader import order_of_source
from sessionstore.session.stream_record import MAX_RECORD_BYTES, payload_of, payloads_of
from sessionstore.session.stream_source import Source
from sessionstore.session.stream_tail import Tail, tail_of

__all__ = ["MAX_RECORD_BYTES", "Quarantine", "StreamWriter", "SyncMode", "TimeOrder", "keep_beside"]

SyncMode = Literal["full", "batch", "os"]
#: "any": a sim_time may lie below the last one of the stream; "stream": such a record is refused.
TimeOrder = Literal["any", "stream"]

_NEVER = -math.inf
Quarantine = Callable[[Path, int, bytes], None]


class StreamWriter:
    """Appends to one stream; safe for threads, for other writers of the same file, and across fork.

    Args:
        path: the file; made by the first append.
        sync: full, batch or os (see the module).
        quarantine: gets (path, offset, bytes) of a torn tail before it is cut; by default it is kept beside the file.
        order: whether records may arrive out of order ("any"), or are refused ("stream").
        pooled: whether it is a stream of a session, whose file counts among those that are kept open and may be sealed.
    """

    def __init__(
        self,
        path: Path,
        sync: SyncMode = "batch",
        quarantine: Quarantine | None = None,
        order: TimeOrder = "any",
        pooled: bool = True,
    ) -> None:
        if sync not in ("full", "batch", "os"):
            raise InvalidRecord(f"the sync mode is full, batch or os, not {sync!r}")
        if order not in ("any", "stream"):
            raise InvalidRecord(f'the order is "any" or "stream", not {order!r}')
        self.path = path
        self.sync = sync
        self.used = True  # since the pool last looked
        make = file_to_append if pooled else AppendFile
        self._file = make(path, durable=sync != "os", pinned=True)
        self._quarantine = quarantine or keep_beside
        self._strict = order == "stream"
        self._pooled = pooled
        self._mutex = threading.Lock()
        self._seen = (0, -1)  # which file, and where our view of it ends; anything else: another process wrote
        self._next_n = 0
        self._last: Line | None = None  # the last record when the file was opened, or another had written
        self._order = StreamOrder()
        self._order_text = b""
        self._latest_s = _NEVER  # the latest sim_time so far
        self._encoding: str | None = None  # of a file that another program rewrote
        self._failure: str | None = None
        self._closed = False
        self._waits_for_sync = False
        renewed_after_fork(self)

    def renew_after_fork(self) -> None:
        """Close the inherited file, or this process would hold its parent's lock; forget another thread's mutex."""
        self._mutex, self._waits_for_sync = threading.Lock(), False
        self._file.close()

    def __repr__(self) -> str:
        return f"StreamWriter({self.path.name!r}, sync={self.sync!r}, next={self._next_n})"

    @property
    def last_t_s(self) -> float:
        """The latest sim_time that this writer knows of, in seconds; 0 before the first record."""
        return self._latest_s if self._latest_s > _NEVER else 0.0

    def append(self, record: Mapping[str, Any], t_s: float | None = None, at_least_s: float = _NEVER) -> None:
        """Store one record.

        Args:
            record: text keys, JSON values, numpy too; NaN and infinities become null, counted in "nan"
                (unless the record has a key of that name, which is kept).
            t_s: sim_time in seconds: finite; None repeats the latest one of this stream.
            at_least_s: used in place of the latest one when t_s is None and this is later.

        Raises:
            InvalidRecord, TimeOrderError, StreamClosed, SessionGone, LockTimeout, StoreUnusable, Corrupt: nothing was
                written.
            OutcomeUnknown: it may or may not be there; this writer takes no more.
        """
        self._write([payload_of(record)], t_s, at_least_s)

    def extend(self, records: Iterable[Mapping[str, Any]], t_s: float | None = None) -> None:
        """Store many records of one moment with one write: a reader sees a prefix of them, soon all.

        Raises: as :meth:`append`; what is refused leaves none of them.
        """
        payloads = payloads_of(records if type(records) is list else list(records))
        if payloads:
            self._write(payloads, t_s, _NEVER)

    def append_behind(self, make: Callable[[Line | None], Mapping[str, Any]]) -> None:
        """Store the record that ``make`` returns when it is given the last one; no other writer comes in between.

        The sim_time is the latest one of the stream.

        Raises: as :meth:`append`; what ``make`` raises: nothing was written.
        """
        with self._mutex:
            self._seen = (0, -1)  # the last record is read anew
        with self._writing() as size:
            payload, t_s = payload_of(make(self._last)), self.last_t_s
            self._put(line_bytes(payload, self._next_n, repr(t_s).encode(), self._order_text), size)
            self._next_n += 1

    def begin_attempt(self, resume_at_s: float) -> None:
        """Begin a new attempt: records up to now count as replaced from this sim_time on (nothing is deleted).

        Raises: as :meth:`append`.
        """
        resume_at_s = _time(resume_at_s, self.path.name)
        with self._writing() as size:
            if self._next_n:
                self._known_order().attempt(self._next_n, resume_at_s)
                self._put(mark_bytes({ATTEMPT: resume_at_s}), size)
                self._order_text = self._order.text()
                self._latest_s = resume_at_s  # what repeats the latest sim_time repeats that of this attempt

    def mark(self, content: Mapping[str, Any]) -> None:
        """Store a line that is not a record: what the stream says about itself. Raises: as :meth:`append`."""
        with self._writing() as size:
            self._put(mark_bytes(dict(content)), size)

    def flush(self) -> None:
        """Return when all that was appended survives a power cut, in every sync mode.

        Raises: StreamClosed, OutcomeUnknown.
        """
        with self._mutex:
            self._check_usable()
            if self._file.descriptor >= 0:
                self._sync()

    def close(self) -> None:
        """Sync what mode batch has not synced yet, and close the file; closing twice is fine.

        Raises: OutcomeUnknown: the last records may not survive a power cut.
        """
        with self._mutex:
            if self._closed:
                return
            self._closed = True
            try:
                if self._file.descriptor >= 0 and self.sync == "batch" and self._failure is None:
                    self._sync()  # in mode full each append was
            finally:
                self._file.close()
                if self._pooled:
                    stream_sync.pool.forget(self)
            if self._failure is not None:
                raise OutcomeUnknown(self._failure)

    def _write(self, payloads: list[bytes], t_s: float | None, at_least_s: float) -> None:
        if t_s is not None:
            t_s = _time(t_s, self.path.name)
        with self._mutex:
            if self._closed or self._failure is not None:
                self._check_usable()
            file = self._file
            try:
                size = file.lock()
            except StoreUnusable as error:
                size = self._lock_with_room(error)
            try:
                if (self._file.opened, size) != self._seen:
                    size = self._catch_up(size)
                if t_s is None:
                    t_s = self._latest_s if self._latest_s > at_least_s else at_least_s if at_least_s > _NEVER else 0.0
                if t_s < self._latest_s or self._order_text:
                    self._take_out_of_order(t_s)
                n, time_text = self._next_n, repr(t_s).encode()
                if len(payloads) == 1:
                    data = line_bytes(payloads[0], n, time_text, self._order_text)
                else:
                    data = lines_bytes(payloads, n, time_text, self._order_text)
                if self._encoding is not None:
                    data = data.decode().encode(self._encoding)
                self._seen = (file.opened, file.write(data, size))
                self._next_n = n + len(payloads)
                if t_s > self._latest_s:  # -0.0 is not above 0.0
                    self._latest_s = t_s
            except OutcomeUnknown as error:
                self._failure = str(error)
                raise
            finally:
                self._unlock()
            if self.sync == "full" or not self._waits_for_sync:
                self._sync_as_asked()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[int]:
        """Hold the lock of the file for one write that is not a record; gives its size."""
        with self._mutex:
            self._check_usable()
            try:
                size = self._file.lock()
            except StoreUnusable as error:
                size = self._lock_with_room(error)
            try:
                yield self._catch_up(size) if (self._file.opened, size) != self._seen else size
            finally:
                self._unlock()
            self._sync_as_asked()

    def _unlock(self) -> None:
        self._file.unlock()

    def _put(self, data: bytes, size: int) -> None:
        try:
            data = data if self._encoding is None else data.decode().encode(self._encoding)
            self._seen = (self._file.opened, self._file.write(data, size))
        except OutcomeUnknown as error:
            self._failure = str(error)
            raise

    def _sync_as_asked(self) -> None:
        self.used = True
        if self.sync == "full":
            self._sync()
        elif not self._waits_for_sync:
            self._waits_for_sync = True  # in mode os it stays so
            if self.sync == "batch":
                stream_sync.syncer.soon(self)

    def _lock_with_room(self, error: StoreUnusable) -> int:
        """Close other streams' files and lock again, where the process has no descriptor left."""
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise error
        stream_sync.pool.make_room(8, but=self)
        return self._file.lock()

    def _take_out_of_order(self, t_s: float) -> None:
        """Take in a sim_time below the latest, and each one after it. Raises: TimeOrderError: where that is refused."""
        if self._strict and t_s < self._latest_s:
            raise TimeOrderError(f"{self.path.name}: {t_s} s after {self._latest_s} s")
        order = self._known_order()
        order.take(t_s)
        self._order_text = order.text()

    def _known_order(self) -> StreamOrder:
        """Return the order up to the last line; it is not read while the stream is in order."""
        if self._order.earliest_s is None and self._next_n:
            self._order = order_of_source(Source(self._file.descriptor))
        return self._order

    def _check_usable(self) -> None:
        if self._closed:
            raise StreamClosed(f"{self.path} is closed")
        if self._failure is not None:
            raise StreamClosed(f"{self.path} takes no more: {self._failure}")

    def _catch_up(self, size: int) -> int:
        """Continue behind what is there now: cut a torn tail into quarantine; return the size.

        Raises: Corrupt: the content is not here (a pointer of Git LFS); nothing was written.
        """
        if self._pooled:
            stream_sync.pool.opened(self)
        with files.refusals(self.path):
            source = Source(self._file.descriptor)
            tail = tail_of(source)
        if source.pointer:
            raise Corrupt(f"{KINDS['lfs-pointer']}; nothing was written", self.path, 0)
        self._encoding = source.encoding
        if tail.torn:
            size -= len(tail.torn)
            self._quarantine(self.path, size, tail.torn)
            try:
                files.truncate(self._file.descriptor, size, self.path)
            except OSError as error:
                raise files.refused(error, self.path) from error
        elif tail.newline_missing:
            self._put(b"\n", size)
            size = self._seen[1]
        self._continue_behind(tail, source)
        return size

    def _continue_behind(self, tail: Tail, source: Source) -> None:
        self._last = last = tail.lines[-1] if tail.lines else None
        if last is None:
            return
        self._next_n = max(last.n + 1, self._next_n)
        order = StreamOrder()
        if tail.marks or any(line.order is not None or not line.verified for line in tail.lines):
            order = order_of_source(source, tail)
        self._order, self._order_text = order, order.text()
        self._latest_s = last.t_s if order.latest_s is None or order.cuts else order.latest_s

    def _sync(self) -> None:
        try:
            self._file.sync()
        except OutcomeUnknown as error:
            # Linux marks the pages clean after a failed fsync: the next one would succeed and prove nothing.
            self._failure = str(error)
            raise

    def rest(self) -> bool:
        """Sync and close the file until the next append; False when another thread is appending."""
        if not self._mutex.acquire(blocking=False):
            return False
        try:
            if self._file.descriptor >= 0 and self.sync != "os" and self._failure is None and not self._closed:
                with contextlib.suppress(OutcomeUnknown):  # it is in _failure, and every later call says so
                    self._sync()
            self._file.close()
            return True
        finally:
            self._mutex.release()

    def sync_in_background(self) -> None:
        """Make the appended records durable; a failure shows at the next append, flush or close."""
        with self._mutex:
            self._waits_for_sync = False
            usable = not self._closed and self._failure is None and not self._file.inherited()
            if usable and self._file.descriptor >= 0:
                with contextlib.suppress(OutcomeUnknown):  # it is in _failure, and every later call says so
                    self._sync()


def append_once(
    path: Path, make: Callable[[Line | None], Mapping[str, Any]], quarantine: Quarantine | None = None
) -> None:
    """Store one record behind the last one, durably; the file is not kept open. Raises: as ``append_behind``."""
    writer = StreamWriter(path, sync="full", quarantine=quarantine, pooled=False)
    try:
        writer.append_behind(make)
    finally:
        writer.close()


def _time(t_s: Any, name: str) -> float:
    """Return a sim_time in seconds; a text is not a number, also when it looks like one. Raises: TimeOrderError."""
    try:
        if isinstance(t_s, bool | str | bytes):
            raise TypeError
        time_s = float(t_s)
    except (TypeError, ValueError, OverflowError) as error:
        raise TimeOrderError(f"{name}: a sim_time is a number of seconds, not {t_s!r}") from error
    if not math.isfinite(time_s):
        raise TimeOrderError(f"{name}: the sim_time {time_s} is not a finite number")
    return time_s


def keep_beside(path: Path, offset: int, torn: bytes) -> None:
    """Keep a torn tail in a file beside the stream."""
    files.create(path.with_name(f"{path.stem}.torn-{offset}-{os.urandom(4).hex()}"), torn)
    files.sync_dir(path.parent)
