"""The journal index: ``index.jsonl``, one line a change, one line a session once compacted.

A damaged file is made anew from the folders by the store; the damaged bytes are kept in quarantine. The id of a
session's line is a hash of the session id, so that writing needs no reading and a rebuilt file is the same. A file that
was written anew begins with a block, which is read twice as fast as lines; when more lines stand behind than in it,
whoever lists writes the file anew, where that can be done at once.
Not here: the block (index.block), the file and its lines (index.journalfile), TinyDB's face of it (index.tables).
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec

from sessionstore.disk import files, filesystem
from sessionstore.disk.append_file import renewed_after_fork
from sessionstore.errors import Corrupt, IndexUnavailable, NotApplied, OutcomeUnknown, SessionGone
from sessionstore.index import RowStamp
from sessionstore.index.filtering import select
from sessionstore.index.gc_pause import gc_paused
from sessionstore.index.journal.block import NOT_WHOLE, block_of, doc_id_of, intern_rows, read_block
from sessionstore.index.journal.file import SESSIONS, TABLE_BLOCK, TABLE_DROPPED, Change, Journal, is_whole
from sessionstore.model.records import SessionRow, as_interrupted
from sessionstore.query import Filter
from sessionstore.session.stream_writer import Quarantine

#: Compaction is worth it when this many lines are superseded, and more than there are rows.
_GARBAGE_LINES = 1000
#: Or when this many lines stand behind the block, and more than within.
_LINES_BEHIND = 10_000
#: How long a listing waits for the lock in order to compact: compaction can wait for a later listing.
COMPACT_LOCK_WAIT_S = 0.2
_LINE_HEAD = b'{"table":"sessions","id":'


class _Entry(msgspec.Struct, tag_field="table", tag=SESSIONS, gc=False):
    id: int
    doc: SessionRow | None
    c: str
    session_id: str | None = None  # of a row that is removed


_decoder = msgspec.json.Decoder(_Entry)
_decode_entry, _decode_entries = _decoder.decode, _decoder.decode_lines
_encode = msgspec.json.Encoder().encode


def by_creation(rows: Iterable[SessionRow]) -> list[SessionRow]:
    """Return rows by created_at, then by session_id: two sorts by texts take less than one by pairs."""
    return sorted(sorted(rows, key=attrgetter("session_id")), key=attrgetter("created_at"))


class RowJournal(Journal):
    """A journal that makes rows of the lines of sessions as it reads them, in one pass; other tables stay raw.

    ``rows`` (by session id) is another dict after every reading that brought something: who was given it keeps it.
    """

    def __init__(self, path: Path, quarantine: Quarantine | None) -> None:
        super().__init__(path, sync=False, quarantine=quarantine)
        self._forget()

    def _forget(self) -> None:
        self.rows: dict[str, SessionRow] = {}
        self._block = 0  # how many of the lines were a block
        self._numbers: dict[int, str] = {}  # which session a number means; of a block, once that is asked
        self._all_numbered = False

    def garbage(self) -> int:
        """Return how many lines are superseded."""
        return super().garbage() - len(self.rows)

    def is_block(self) -> bool:
        """Whether the rows are those of a block and nothing else, and thereby ordered."""
        return self._block == self.lines

    def is_worth_compacting(self) -> bool:
        """Whether reading would gain more than writing the file anew costs, over all the writes since the last time."""
        return (
            self.garbage() > _GARBAGE_LINES + len(self.rows) or self.lines - self._block > _LINES_BEHIND + self._block
        )

    def rewrite_rows(self, rows: Iterable[SessionRow]) -> None:
        """Replace the file by these rows as a block, and the other tables. Raises: as ``Journal.rewrite``."""
        self._rewrite_ordered(by_creation({row.session_id: row for row in rows}.values()))

    def _rewrite_ordered(self, rows: list[SessionRow]) -> os.stat_result:
        return self.rewrite({name: self.tables[name] for name in self.tables if name != SESSIONS}, block_of(rows))

    def compact(self) -> None:
        """Write all of it anew, the rows as a block, and go on from its end. Raises: as ``Journal.compact``."""
        with self.exclusive():
            self.refresh()
            rows = by_creation(self.rows.values())
            written = self._rewrite_ordered(rows)
            # The same rows as before, and true of either file: an interrupt in here leaves nothing half done.
            self.rows = {row.session_id: row for row in rows}
            self._numbers, self._all_numbered = {}, False
            self.lines = len(rows) + sum(len(table) + 1 for name, table in self.tables.items() if name != SESSIONS)
            self._block = len(rows)
            self._read_already(written)

    def _start_over(self, identity: tuple[int, int]) -> None:
        self._forget()  # first: once the file counts as begun anew, nobody forgets any more
        super()._start_over(identity)

    def _read_lines(self, descriptor: int, offset: int) -> int:
        if offset == 0 and (found := read_block(descriptor)) is not None:
            self.rows, offset = found
            self.lines = self._block = len(self.rows)
        else:
            self.rows = self.rows.copy()
        return super()._read_lines(descriptor, offset)

    def _ingest(self, data: bytes, offset: int) -> None:
        try:
            entries = _decode_entries(data)
            for raw, entry in zip(data.splitlines(), entries, strict=True):
                if crc32(raw[:-16]) != int(entry.c, 16):
                    raise ValueError
        except NOT_WHOLE:  # another table is among them, or a line is damaged
            self._ingest_each(data, offset)
            return
        self.lines += len(entries)
        intern_rows([entry.doc for entry in entries if entry.doc is not None])
        for entry in entries:
            self._ingest_row(entry)

    def _ingest_each(self, data: bytes, offset: int) -> None:
        """Take in line by line, and say which one is damaged."""
        for raw in data.splitlines():
            if raw.startswith(_LINE_HEAD):
                try:
                    entry = _decode_entry(raw)
                except NOT_WHOLE as error:
                    raise Corrupt(f"does not parse: {error}", self.path, offset) from error
                if not is_whole(raw):
                    raise Corrupt("its checksum does not match", self.path, offset)
                self.lines += 1
                intern_rows(() if entry.doc is None else (entry.doc,))
                self._ingest_row(entry)
            else:
                super()._ingest(raw, offset)
            offset += len(raw) + 1

    def _ingest_row(self, entry: _Entry) -> None:
        row = entry.doc
        if row is not None:
            self.rows[row.session_id] = row
            self._numbers[entry.id] = row.session_id
        elif entry.id > 0:
            self.rows.pop(entry.session_id or self._named(entry.id), None)
        elif entry.id == TABLE_DROPPED:
            self.rows = {}
        elif entry.id == TABLE_BLOCK:  # of one that is not whole: no change that could be superseded
            self.lines -= 1

    def _named(self, number: int) -> str:
        """Return which session a number means; lines that remove a row did not say so in earlier versions."""
        if number not in self._numbers and not self._all_numbered:
            self._numbers = {**{doc_id_of(name): name for name in self.rows}, **self._numbers}
            self._all_numbered = True
        return self._numbers.get(number, "")


class JournalIndex:
    """The default engine; see the module and :class:`~sessionstore.index.SessionIndex`."""

    def __init__(self, path: Path, quarantine: Quarantine | None = None) -> None:
        self._journal = RowJournal(path, quarantine)
        self._rows: dict[str, SessionRow] | None = None  # those that are sorted
        self._sorted: list[SessionRow] = []
        self._active: list[SessionRow] = []
        self._compact_at = 0.0  # lines: since compacting failed
        self._mutex = threading.RLock()
        renewed_after_fork(self)

    def __repr__(self) -> str:
        return f"JournalIndex({str(self._journal.path)!r})"

    @property
    def url(self) -> str:
        """``journal:`` and the path."""
        return f"journal:{self._journal.path}"

    def put(self, rows: Iterable[SessionRow], exact: bool = False) -> None:
        """Append one line a row; the last one counts. A file that holds nothing gets what the folders hold as a block:
        an index that was deleted comes back the same."""
        if not exact or not self._begun_with(rows := list(rows)):
            self._append((SESSIONS, doc_id_of(row.session_id), _encode(row)) for row in rows)

    def _begun_with(self, rows: list[SessionRow]) -> bool:
        if not rows:
            return True
        if (found := files.status(self._journal.path)) is not None and found.st_size:
            return False  # as nearly always, and no listing waits for it
        with self._mutex, self._translated(), self._journal.exclusive():  # who lists must not see it being read
            if self._journal.holds_something():
                return False
            self._journal.refresh()
            self._journal.rewrite_rows(rows)
            return True

    def remove(self, session_ids: Iterable[str]) -> None:
        """Append one line an id, durably: a row that came back would outlive the folder and the trash."""
        self._append((_removal(session_id) for session_id in session_ids), durable=True)

    def _append(self, changes: Iterable[Change], durable: bool = False) -> None:
        with self._translated():
            self._journal.append(changes, durable)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except SessionGone as error:
            raise IndexUnavailable(f"{self._journal.path}: the folder is gone") from error

    def replace_all(self, rows: Iterable[SessionRow]) -> None:
        """Write the file anew, ordered by creation: the same rows give the same bytes."""
        with self._mutex, self._journal.exclusive():  # who lists must not see it being read
            try:
                self._journal.refresh()
            except Corrupt:
                self._journal.keep_aside()
            self._journal.rewrite_rows(rows)

    def stamps(self) -> Mapping[str, RowStamp]:
        """Return the rows themselves, by session id: they hold the state of their files. A snapshot."""
        with self._mutex:
            self._current()
            return self._journal.rows

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
            self._journal.compact()

    def leave_as_it_is(self) -> None:
        """Write nothing by reading any more: who examines a store changes nothing in it."""
        self._compact_at = math.inf

    def close(self) -> None:
        """Let go of the file."""
        self._journal.close()

    def _current(self) -> list[SessionRow]:
        """Return all rows, oldest first, reading on first."""
        with self._mutex, gc_paused():
            self._journal.refresh()
            if self._rows is not self._journal.rows:
                self._compact_when_due()
                rows = self._journal.rows
                self._sorted = list(rows.values()) if self._journal.is_block() else by_creation(rows.values())
                self._active = [row for row in self._sorted if row.owner is not None]
                self._rows = rows  # last: who is interrupted while sorting sorts again
            return self._sorted

    def _compact_when_due(self) -> None:
        """Write the file anew where that is worth it and can be done at once: no answer depends on it."""
        if self._journal.lines < self._compact_at or not self._journal.is_worth_compacting() or not self._may_write():
            return
        try:
            filesystem.refuse_unsafe(self._journal.path)  # what others write meanwhile would be lost
            with self._journal.exclusive(COMPACT_LOCK_WAIT_S):
                self._journal.refresh()
                if self._journal.is_worth_compacting():  # nobody else has done it meanwhile
                    self._journal.compact()
            self._compact_at = 0
        except (NotApplied, OutcomeUnknown, FileNotFoundError):  # a full disk, a stopped writer, a store just removed
            self._compact_at = 2 * self._journal.lines

    def _may_write(self) -> bool:
        """Whether the file is whole and our own: else, once root has listed, its owner could write to it no more."""
        found = files.status(self._journal.path)
        if found is None or found.st_size != self._journal.read_to:
            return False
        return found.st_uid == getattr(os, "geteuid", lambda: found.st_uid)()


def _removal(session_id: str) -> Change:
    """Return the change that takes a row out; the id stands beside, since the number is a hash of it."""
    return SESSIONS, doc_id_of(session_id), b'null,"session_id":%s' % _encode(session_id)
