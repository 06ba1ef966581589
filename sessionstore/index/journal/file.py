"""The file of a journal: tables of numbered JSON documents, one line a change, many writers.

    {"table":"sessions","id":4611686018427387904,"doc":{...},"c":"crc"}       "doc":null removes
    {"table":"sessions","id":-2,"doc":null,"bytes":700,"crc":"...","c":"crc"}   one sum over the 700 bytes behind it

A write costs the line it writes, at any size of the file; a reader reads on from where it stopped, so that what other
processes wrote is seen at once. Lines carry a CRC-32; the next writer cuts a torn end, damage elsewhere is Corrupt.
Compaction writes a new file beside and renames it.
Not here: the rows of sessions (index.journal), the block that they stand in (index.block), TinyDB's face of the same
file (index.tables).
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from zlib import crc32

import msgspec

from sessionstore.disk import files
from sessionstore.disk.append_file import AppendFile, renewed_after_fork
from sessionstore.errors import LockTimeout, NotApplied, OutcomeUnknown, SessionGone, SessionStoreError
from sessionstore.index.journal.raw_tables import (
    NO_DOCUMENT,
    SESSIONS,
    TABLE_EXISTS,
    Change,
    Content,
    RawTables,
    Tables,
)
from sessionstore.session.stream_writer import Quarantine, keep_beside

_END = 16  # bytes of a line that hold its checksum
_CHUNK_BYTES = 1 << 18  # the whole file at once would stand in memory beside all that is made of it
_encode = msgspec.json.Encoder().encode


def line_of(table: str, doc_id: int, document: bytes) -> bytes:
    """Return a line with its checksum; what follows a document after a comma, readers pass over."""
    head = b'{"table":%s,"id":%d,"doc":%s' % (_encode(table), doc_id, document)
    return b'%s,"c":"%08x"}\n' % (head, crc32(head))


class Journal:
    """The file: what :meth:`refresh` saw last of it is its ``content``. Safe for threads and processes.

    Args:
        sync: whether a write waits for the disk (an index that can be rebuilt need not).
        content: takes the lines in; raw tables by default.
    """

    def __init__(
        self,
        path: Path,
        sync: bool,
        quarantine: Quarantine | None = None,
        content: Content | None = None,
    ) -> None:
        self.path = path
        self.content: Content = RawTables(path) if content is None else content
        self._file = AppendFile(path, durable=sync)
        self._sync = sync
        self._quarantine = quarantine or keep_beside
        self._mutex = threading.RLock()  # what was read
        self._writing = threading.RLock()  # the file; taken before the other
        self._depth = 0
        self.size = 0  # of the file, when it was locked or written last
        self._whole = (0, 0)  # which open file, and its size when it ended with a whole line of our own
        self._compaction_due = False
        self._replaced = False  # by this process, within the present exclusive block
        renewed_after_fork(self)
        self._kept = -1  # holds the file that was read last
        self._read_to: tuple[tuple[int, int], int] = ((0, 0), 0)  # which file, and up to which byte
        self._read_at, self._read_end = 0, b""  # of which time it was, and what stands before that byte

    def __repr__(self) -> str:
        return f"Journal({str(self.path)!r})"

    # ------------------------------------------------------------ reading

    @property
    def tables(self) -> Tables:
        """The tables of raw documents, by number."""
        return self.content.tables

    @property
    def lines(self) -> int:
        """How many lines were read."""
        return self.content.lines

    @property
    def read_to(self) -> int:
        """Where the last whole line ends that was read, in bytes."""
        return self._read_to[1]

    def refresh(self) -> bool:
        """Read on to the last whole line; return whether anything had changed.

        Raises: Corrupt: with the offset of the line; UnsafeFile, StoreUnusable.
        """
        with self._mutex:
            found = files.status(self.path)
            if found is None:
                changed = self._read_to != ((0, 0), 0)
                self._start_over((0, 0))
                return changed
            identity, offset = self._read_to
            if (*identity, offset, self._read_at) == (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns):
                return False
            return self._read_on()

    def _start_over(self, identity: tuple[int, int]) -> None:
        self.content.begin()  # first: once the file counts as begun anew, nothing is forgotten any more
        self._read_to = (identity, 0)

    def _read_on(self) -> bool:
        try:
            with files.opened(self.path) as descriptor:
                found = os.fstat(descriptor)
                identity, offset = (found.st_dev, found.st_ino), self._read_to[1]
                # Not longer, or another end: it was overwritten in place, and compacting would undo that.
                anew = (
                    identity != self._read_to[0] or found.st_size <= offset or self._end(descriptor) != self._read_end
                )
                if anew:
                    self._keep_open(descriptor)
                    self._start_over(identity)
                    offset = 0
                end = self._read_lines(descriptor, offset)
                self._remember(descriptor, end)
        except (FileNotFoundError, NotADirectoryError):
            self._start_over((0, 0))
            return True
        return anew or end > offset

    def _remember(self, descriptor: int, end: int) -> None:
        """Go on from here, as long as it is the same file."""
        found = os.fstat(descriptor)
        self._read_end, self._read_at = self._end(descriptor, end), found.st_mtime_ns
        self._read_to = ((found.st_dev, found.st_ino), end)

    def _end(self, descriptor: int, end: int | None = None) -> bytes:
        """Return the checksum of the line that ends where reading stopped."""
        end = self._read_to[1] if end is None else end
        os.lseek(descriptor, max(0, end - _END), os.SEEK_SET)
        return os.read(descriptor, min(_END, end))

    def _read_lines(self, descriptor: int, offset: int) -> int:
        """Take in every whole line from an offset on; return where the last of them ends."""
        offset = self.content.read_on(descriptor, offset)
        os.lseek(descriptor, offset, os.SEEK_SET)
        parts: list[bytes] = []
        while part := os.read(descriptor, _CHUNK_BYTES):
            cut = part.rfind(b"\n") + 1
            parts.append(part[:cut] if cut else part)
            if cut:
                data = b"".join(parts)
                self.content.ingest(data, offset)
                offset, parts = offset + len(data), [part[cut:]]
        return offset

    def _keep_open(self, descriptor: int) -> None:
        """Keep the file that was read from being forgotten by the system: else one of two compactions later could have
        its number (and its size), and be taken for it."""
        self._let_go()
        if os.name != "nt":  # numbers of NTFS are not used again, and an open file cannot be replaced there
            self._kept = os.dup(descriptor)

    def _let_go(self) -> None:
        if self._kept >= 0:
            kept, self._kept = self._kept, -1  # first: closed twice, the number could be another file by then
            os.close(kept)

    # ------------------------------------------------------------ writing

    @contextlib.contextmanager
    def exclusive(self, timeout_s: float | None = None) -> Iterator[None]:
        """Keep every other writer out, threads and processes; may be nested.

        Args:
            timeout_s: the limit for both together, the other threads and the other processes.

        Raises: LockTimeout, StoreUnusable.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        # Two locks between threads, so that a writer that waits for a stopped process blocks no reader.
        if not self._writing.acquire(timeout=-1 if timeout_s is None else timeout_s):
            raise LockTimeout(f"{self.path} was being written by another thread for {timeout_s:.3g} s")
        try:
            if self._depth:
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1
                return
            size = self._lock(None if deadline is None else max(0.0, deadline - time.monotonic()))
            try:
                with self._mutex:
                    if (self._file.opened, size) != self._whole:  # others wrote since
                        with files.refusals(self.path):
                            size = self._cut_torn_end(size)
                    self.size = size
                    self._depth = 1
                    yield
                    if self._compaction_due:  # last of all: what is written after it would go into the old file
                        self._compaction_due = False
                        self._compact_after_write()
            finally:
                self._depth, self._replaced = 0, False
                self._file.unlock()
        finally:
            self._writing.release()

    def _compact_after_write(self) -> None:
        with contextlib.suppress(NotApplied, OutcomeUnknown):  # a later writer tries again
            self.compact()

    def _lock(self, timeout_s: float | None) -> int:
        try:
            return self._file.lock(timeout_s)
        except SessionGone:  # the folder is not there (yet)
            files.make_dirs(self.path.parent)
            return self._file.lock(timeout_s)

    def append(self, changes: Iterable[Change], durable: bool = False, timeout_s: float | None = None) -> None:
        """Write changes as (table, id, raw document or ``null``), all with one write.

        Args:
            durable: wait for the disk, even in a journal that does not.
            timeout_s: the longest wait for other writers, if not the usual one.

        Raises: LockTimeout, StoreUnusable: nothing was written; OutcomeUnknown: on a failed fsync.
        """
        data = b"".join(line_of(*change) for change in changes)
        if not data:
            return
        with self.exclusive(timeout_s):
            if self._replaced:  # by ourselves, in this very block
                self.size, self._replaced = self._file.lock(), False
            self.size = self._file.write(data, self.size)
            self._whole = (self._file.opened, self.size)
            if self._sync or durable:
                self._file.sync()

    def holds_something(self) -> bool:
        """Whether there is a line in the file, for who keeps the others out."""
        return self.size > 0 or self._replaced

    def _cut_torn_end(self, size: int) -> int:
        """Cut what a killed writer left behind the last newline; return the size of the locked file."""
        window = 1
        while size:
            window = min(size, window)
            os.lseek(self._file.descriptor, size - window, os.SEEK_SET)
            tail = os.read(self._file.descriptor, window)
            newline = tail.rfind(b"\n")
            if newline < 0 and window < size:
                window *= 4096
                continue
            torn = tail[newline + 1 :]
            if torn:
                self._quarantine(self.path, size - len(torn), torn)
                files.truncate(self._file.descriptor, size - len(torn), self.path)
            return size - len(torn)
        return 0

    def garbage(self) -> int:
        """Return how many lines are superseded."""
        return self.lines - sum(map(len, self.tables.values()))

    def compact(self) -> None:
        """Write the file anew, one line a document, in order of ids within the table; readers see no change.

        Raises: Corrupt, LockTimeout, StoreUnusable, OutcomeUnknown: the old file is still there.
        """
        with self.exclusive():
            self.refresh()
            self.rewrite(self.tables)

    def rewrite(self, tables: Mapping[str, Mapping[int, bytes]], first: Iterable[bytes] = ()) -> os.stat_result:
        """Replace the file by exactly these documents, in the order given; return its status.

        Raises: as :meth:`compact`.

        Args:
            first: what stands in front of them, whole lines in pieces.
        """
        lines = []
        for name, documents in tables.items():
            if name != SESSIONS:
                lines.append(line_of(name, TABLE_EXISTS, NO_DOCUMENT))
            lines += [line_of(name, doc_id, document) for doc_id, document in documents.items()]
        with self.exclusive():
            # Who waits for the lock sees that the path has another file now.
            written = files.put(self.path, [part for part in (*first, b"".join(lines)) if part])
            self._replaced = True
            return written

    def go_on_behind(self, descriptor: int, identity: tuple[int, int], end: int, last: bytes) -> None:
        """Read from a place on that is known from elsewhere: which file, up to which byte, and the bytes before it."""
        self._read_to, self._read_end = (identity, end), last
        found = os.fstat(descriptor)
        if found.st_size == end:  # nothing is behind: read when it changes
            self._read_at = found.st_mtime_ns
        self._keep_open(descriptor)

    def read_already(self, written: os.stat_result) -> None:
        """Go on from the end of a file that was just written, since what is in it is known.

        Where it cannot be opened, or is another one by now, it is read anew, which says why.
        """
        with contextlib.suppress(OSError, SessionStoreError), files.opened(self.path) as descriptor:
            found = os.fstat(descriptor)
            if (found.st_dev, found.st_ino, found.st_size) == (written.st_dev, written.st_ino, written.st_size):
                self._keep_open(descriptor)
                self._remember(descriptor, found.st_size)

    def compact_soon(self) -> None:
        """Compact at the end of the exclusive block that this stands in; what was written in it is safe either way."""
        self._compaction_due = True

    def renew_after_fork(self) -> None:
        """Forget a lock that another thread of the parent held: it is never released here.

        Nor keep the parent's file open: it would stay locked when the parent was killed with it.
        """
        self._file.close()
        self._mutex, self._writing, self._depth = threading.RLock(), threading.RLock(), 0

    @property
    def descriptor(self) -> int:
        """The open file, in an exclusive block."""
        return self._file.descriptor

    def nothing_read(self) -> bool:
        """Whether nothing of the file was read by this process."""
        return self._read_to == ((0, 0), 0)

    def forget(self) -> None:
        """Drop what was read; the next :meth:`refresh` reads it anew."""
        self._start_over((0, 0))

    def keep_aside(self) -> None:
        """Keep the bytes of a damaged file in quarantine, before it is written anew; the tables are empty then."""
        with self._mutex:
            self._quarantine(self.path, 0, files.read(self.path)[0])
            self._start_over((0, 0))

    def close(self) -> None:
        """Close the file."""
        with self._writing, self._mutex:
            self._file.close()
            self._let_go()
            self._read_to = ((0, 0), 0)

    def __del__(self) -> None:
        self._let_go()
