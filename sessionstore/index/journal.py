"""The journal index: ``index.jsonl``, one line a change, one line a session once compacted.

A damaged file is made anew from the folders by the store; the damaged bytes are kept in quarantine. The id of a
session's line is a hash of the session id, so that writing needs no reading and a rebuilt file is the same.
Not here: the file and its lines (index.journalfile), TinyDB's face of the same file (index.tables).
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from pathlib import Path
from sys import intern
from typing import Any
from zlib import crc32

import msgspec

from sessionstore.appending import renewed_after_fork
from sessionstore.errors import Corrupt, IndexUnavailable, NotApplied, OutcomeUnknown, SessionGone
from sessionstore.index import RowStamp
from sessionstore.index.journalfile import NO_DOCUMENT, SESSIONS, TABLE_DROPPED, Change, Journal, is_whole
from sessionstore.query import Filter
from sessionstore.records import SessionRow, as_interrupted
from sessionstore.selection import select
from sessionstore.streams import Quarantine

#: Compaction is worth it when this many lines are superseded, and more than there are rows.
_GARBAGE_LINES = 1000
_LINE_HEAD = b'{"table":"sessions","id":'


class _Entry(msgspec.Struct, tag_field="table", tag=SESSIONS, gc=False):
    id: int
    doc: SessionRow | None
    c: str


_decoder = msgspec.json.Decoder(_Entry)
_decode_entry, _decode_entries = _decoder.decode, _decoder.decode_lines
_encode = msgspec.json.Encoder().encode
_NOT_WHOLE = (msgspec.MsgspecError, ValueError, RecursionError)


def by_creation(rows: Iterable[SessionRow]) -> list[SessionRow]:
    """Return rows by created_at, then by session_id: two sorts by texts take less than one by pairs."""
    return sorted(sorted(rows, key=attrgetter("session_id")), key=attrgetter("created_at"))


class RowJournal(Journal):
    """A journal that makes rows of the lines of sessions as it reads them, in one pass; other tables stay raw."""

    def __init__(self, path: Path, quarantine: Quarantine | None) -> None:
        super().__init__(path, sync=False, quarantine=quarantine)
        self.rows: dict[int, SessionRow] = {}

    def garbage(self) -> int:
        """Return how many lines are superseded."""
        return super().garbage() - len(self.rows)

    def _start_over(self, identity: tuple[int, int]) -> None:
        super()._start_over(identity)
        self.rows = {}

    def _take_in(self, data: bytes, offset: int) -> None:
        try:
            entries = _decode_entries(data)
            for raw, entry in zip(data.splitlines(), entries, strict=True):
                if crc32(raw[:-16]) != int(entry.c, 16):
                    raise ValueError
        except _NOT_WHOLE:  # another table is among them, or a line is damaged
            self._take_each(data, offset)
            return
        self.lines += len(entries)
        for entry in entries:
            self._take_row(entry)

    def _take_each(self, data: bytes, offset: int) -> None:
        """Take in line by line, and say which one is damaged."""
        for raw in data.splitlines():
            if raw.startswith(_LINE_HEAD):
                try:
                    entry = _decode_entry(raw)
                except _NOT_WHOLE as error:
                    raise Corrupt(f"does not parse: {error}", self.path, offset) from error
                if not is_whole(raw):
                    raise Corrupt("its checksum does not match", self.path, offset)
                self.lines += 1
                self._take_row(entry)
            else:
                super()._take_in(raw, offset)
            offset += len(raw) + 1

    def _take_row(self, entry: _Entry) -> None:
        row = entry.doc
        if row is not None:
            row.metadata = row.metadata.copy()  # as it comes it keeps the whole piece in memory
            row.status, row.workflow_state = intern(row.status), intern(row.workflow_state)  # a few texts for all rows
            self.rows[entry.id] = row
        elif entry.id == TABLE_DROPPED:
            self.rows = {}
        else:
            self.rows.pop(entry.id, None)


@contextlib.contextmanager
def _collector_resting() -> Iterator[None]:
    """Let nobody look for garbage among rows being made: it is half of the time at 100,000 of them."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def doc_id_of(session_id: str) -> int:
    """Return the number of a session's line: 63 bits of a hash, the same in every store."""
    return (int.from_bytes(hashlib.blake2b(session_id.encode(), digest_size=8).digest(), "big") >> 1) or 1


class JournalIndex:
    """The default engine; see the module and :class:`~sessionstore.index.SessionIndex`."""

    def __init__(self, path: Path, quarantine: Quarantine | None = None) -> None:
        self._journal = RowJournal(path, quarantine)
        self._sorted: list[SessionRow] = []
        self._active: list[SessionRow] = []
        self._mutex = threading.RLock()
        renewed_after_fork(self)

    def __repr__(self) -> str:
        return f"JournalIndex({str(self._journal.path)!r})"

    @property
    def url(self) -> str:
        """``journal:`` and the path."""
        return f"journal:{self._journal.path}"

    def put(self, rows: Iterable[SessionRow], exact: bool = False) -> None:
        """Append one line a row; the last one counts."""
        self._append((SESSIONS, doc_id_of(row.session_id), _encode(row)) for row in rows)

    def remove(self, session_ids: Iterable[str]) -> None:
        """Append one line an id, durably: a row that came back would outlive the folder and the trash."""
        self._append(((SESSIONS, doc_id_of(session_id), NO_DOCUMENT) for session_id in session_ids), durable=True)

    def _append(self, changes: Iterable[Change], durable: bool = False) -> None:
        try:
            self._journal.append(changes, durable)
        except SessionGone as error:
            raise IndexUnavailable(f"{self._journal.path}: the folder is gone") from error

    def replace_all(self, rows: Iterable[SessionRow]) -> None:
        """Write the file anew, ordered by creation: the same rows give the same bytes."""
        ordered = by_creation(rows)
        with self._journal.exclusive():
            try:
                self._journal.refresh()
            except Corrupt:
                self._journal.keep_aside()
            encoded = {doc_id_of(row.session_id): _encode(row) for row in ordered}
            self._journal.rewrite({SESSIONS: encoded, **self._journal.tables})

    def stamps(self) -> Mapping[str, RowStamp]:
        """Return (size, mtime_ns) of each row's file, by session id."""
        return {row.session_id: (row.size, row.mtime_ns) for row in self._current()}

    def active(self) -> list[SessionRow]:
        """Return the rows that say they run (they alone name an owner)."""
        self._current()
        return list(self._active)

    def find(self, tree: Filter | None = None, interrupted: Mapping[str, str] | None = None) -> list[SessionRow]:
        """Return the rows that fit, oldest first; a snapshot."""
        rows = self._current()
        if interrupted:
            rows = [
                as_interrupted(row, interrupted[row.session_id]) if row.session_id in interrupted else row
                for row in rows
            ]
        return select(rows, tree)

    def health(self) -> dict[str, Any]:
        """Return engine, url, rows, lines and how many of them are superseded."""
        rows = len(self._current())
        return {
            "engine": "journal",
            "url": self.url,
            "rows": rows,
            "lines": self._journal.lines,
            "superseded": self._journal.garbage(),
        }

    def renew_after_fork(self) -> None:
        """Forget a lock that another thread of the parent held."""
        self._mutex = threading.RLock()

    def version(self) -> object:
        """Return which file this is, how long and how old: a file that was written anew can get an old number."""
        try:
            status = os.stat(self._journal.path, follow_symlinks=False)
        except OSError:
            return None
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

    def compact(self) -> None:
        """Drop what is superseded, ordered by creation as after a rebuild. Raises: as :meth:`put`."""
        with self._mutex, self._journal.exclusive():
            self._journal.refresh()
            self.replace_all(self._journal.rows.values())

    def close(self) -> None:
        """Let go of the file."""
        self._journal.close()

    def _current(self) -> list[SessionRow]:
        """Return all rows, oldest first, reading on first."""
        with self._mutex, _collector_resting():
            if self._journal.refresh() or not self._sorted:
                self._sorted = by_creation(self._journal.rows.values())
                self._active = [row for row in self._sorted if row.owner is not None]
                if self._journal.garbage() > _GARBAGE_LINES + len(self._sorted):
                    with contextlib.suppress(NotApplied, OutcomeUnknown):  # not needed for a right answer
                        self.compact()
            return self._sorted
