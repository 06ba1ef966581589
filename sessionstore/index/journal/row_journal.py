"""The journal's rows: lines of sessions become rows as they are read, and the file is compacted into a block.

Compaction keeps the file within twice its live bytes plus 8 MiB, by listings and by writers alike; it never changes an
answer. Other tables of the file stay raw.
Not here: answers and waiting (index.journal.engine), the file (index.journal.file), the block (index.journal.block).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from operator import attrgetter, itemgetter
from pathlib import Path
from zlib import crc32

import msgspec

from sessionstore.disk import filesystem
from sessionstore.errors import Corrupt, NotApplied, OutcomeUnknown
from sessionstore.index.journal.block import (
    NOT_WHOLE,
    block_of,
    block_of_lines,
    doc_id_of,
    end_of_block,
    end_of_whole_block,
    intern_rows,
    read_block,
)
from sessionstore.index.journal.file import Journal
from sessionstore.index.journal.raw_tables import SESSIONS, TABLE_BLOCK, TABLE_DROPPED, RawTables, Tables, is_whole
from sessionstore.index.lined import Line
from sessionstore.model.gc_pause import gc_paused
from sessionstore.model.row import SessionRow
from sessionstore.session.stream_writer import Quarantine

#: Compaction is worth it when this many lines are superseded, and more than there are rows.
_GARBAGE_LINES = 1000
#: Or when this many lines stand behind the block, and more than within.
_LINES_BEHIND = 10_000
#: Or when this many bytes stand behind the block, and more than within; writers keep this bound, too.
_BYTES_BEHIND = 8 << 20
_LINE_HEAD = b'{"table":"sessions","id":'


class Entry(msgspec.Struct, tag_field="table", tag=SESSIONS, gc=False):
    """One line of a session, or of its removal."""

    id: int
    doc: SessionRow | None
    c: str
    session_id: str | None = None  # of a row that is removed


_decoder = msgspec.json.Decoder(Entry)
_decode_entry, _decode_entries = _decoder.decode, _decoder.decode_lines


def by_creation(rows: Iterable[SessionRow]) -> list[SessionRow]:
    """Return rows by created_at, then by session_id: two sorts by texts take less than one by pairs."""
    return sorted(sorted(rows, key=attrgetter("session_id")), key=attrgetter("created_at"))


def decoded(data: bytes, offset: int, path: Path, others: RawTables) -> Iterable[Entry]:
    """Return the lines of sessions among whole lines, the first of which stands at an offset; others take in the rest.

    Raises: Corrupt: naming the line.
    """
    try:
        entries = _decode_entries(data)
        for raw, entry in zip(data.splitlines(), entries, strict=True):
            if crc32(raw[:-16]) != int(entry.c, 16):
                raise ValueError
    except NOT_WHOLE:  # another table is among them, or a line is damaged
        return _decoded_each(data, offset, path, others)
    intern_rows([entry.doc for entry in entries if entry.doc is not None])
    return entries


def _decoded_each(data: bytes, offset: int, path: Path, others: RawTables) -> Iterator[Entry]:
    for raw in data.splitlines():
        if raw.startswith(_LINE_HEAD):
            try:
                entry = _decode_entry(raw)
            except NOT_WHOLE as error:
                raise Corrupt(f"does not parse: {error}", path, offset) from error
            if not is_whole(raw):
                raise Corrupt("its checksum does not match", path, offset)
            intern_rows(() if entry.doc is None else (entry.doc,))
            yield entry
        else:
            others.ingest(raw, offset)
        offset += len(raw) + 1


class SessionRows:
    """The content of an index: rows of the lines of sessions, made in one pass; other tables stay raw.

    ``rows`` (by session id) is another dict after every reading that brought something: who was given it keeps it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._others = RawTables(path)
        self.passes_over_block = False  # all rows are about to be replaced
        self.begin()

    def begin(self) -> None:
        """Forget all."""
        self.rows: dict[str, SessionRow] = {}
        self._row_lines = 0
        self.block = 0  # how many of the lines were a block
        self.block_end = 0  # in bytes
        self._numbers: dict[int, str] = {}  # which session a number means; of a block, once that is asked
        self._all_numbered = False
        self._others.begin()

    @property
    def lines(self) -> int:
        """How many lines were read."""
        return self._row_lines + self._others.lines

    @property
    def tables(self) -> Tables:
        """The other tables, raw."""
        return self._others.tables

    @property
    def last_ids(self) -> dict[str, int]:
        """The highest number in each of the other tables."""
        return self._others.last_ids

    def compacted(self, rows: list[SessionRow], block_end: int) -> None:
        """Go on as if the file had been read that was just written of the same rows: true of the old file too, an
        interrupt in here leaves nothing half done."""
        self.rows = {row.session_id: row for row in rows}
        self._numbers, self._all_numbered = {}, False
        self._row_lines = len(rows)
        self._others.lines = sum(len(table) + 1 for name, table in self.tables.items() if name != SESSIONS)
        self.block, self.block_end = len(rows), block_end

    def read_on(self, descriptor: int, offset: int) -> int:
        """Take in the block at the beginning of a file; return where the lines behind it begin."""
        if offset == 0 and self.passes_over_block and (end := end_of_whole_block(descriptor)):
            return end
        if offset == 0 and (found := read_block(descriptor)) is not None:
            self.rows, offset = found
            self._row_lines = self.block = len(self.rows)
            self.block_end = offset
        else:
            self.rows = self.rows.copy()
        return offset

    def ingest(self, data: bytes, offset: int) -> None:
        """Take in whole lines. Raises: Corrupt."""
        for entry in decoded(data, offset, self._path, self._others):
            self._row_lines += 1
            self._ingest_row(entry)

    def _ingest_row(self, entry: Entry) -> None:
        row = entry.doc
        if row is not None:
            self.rows[row.session_id] = row
            self._numbers[entry.id] = row.session_id
        elif entry.id > 0:
            self.rows.pop(entry.session_id or self._named(entry.id), None)
        elif entry.id == TABLE_DROPPED:
            self.rows = {}
        elif entry.id == TABLE_BLOCK:  # of one that is not whole: no change that could be superseded
            self._row_lines -= 1

    def _named(self, number: int) -> str:
        """Return which session a number means; lines that remove a row did not say so in earlier versions."""
        if number not in self._numbers and not self._all_numbered:
            self._numbers = {**{doc_id_of(name): name for name in self.rows}, **self._numbers}
            self._all_numbered = True
        return self._numbers.get(number, "")


class RowJournal:
    """The file of an index, its rows, and when it is compacted."""

    def __init__(self, path: Path, quarantine: Quarantine | None) -> None:
        self.content = SessionRows(path)
        self.file = Journal(path, False, quarantine, self.content)
        self.check_from_bytes = _BYTES_BEHIND  # a write that makes the file larger calls keep_within_bound

    @property
    def rows(self) -> dict[str, SessionRow]:
        """The rows that were read last, by session id."""
        return self.content.rows

    def garbage(self) -> int:
        """Return how many lines are superseded."""
        return self.file.garbage() - len(self.rows)

    def is_block(self) -> bool:
        """Whether the rows are those of a block and nothing else, and thereby ordered."""
        return self.content.block == self.content.lines

    def is_worth_compacting(self) -> bool:
        """Whether reading would gain more than writing the file anew costs, over all the writes since the last time."""
        content = self.content
        return (
            self.garbage() > _GARBAGE_LINES + len(self.rows)
            or content.lines - content.block > _LINES_BEHIND + content.block
            or self.file.read_to - content.block_end > max(_BYTES_BEHIND, content.block_end)
        )

    def keep_within_bound(self, timeout_s: float) -> None:
        """Compact when more bytes stand behind the block than within: while no process lists, writers alone bound the
        file. The size of the block is in its first line, so that no row is read for the decision. What fails is left to
        a later write; a damaged file to the next listing, which reports and rebuilds it."""
        with contextlib.suppress(NotApplied, OutcomeUnknown, Corrupt, OSError), self.file.exclusive(timeout_s):
            block_end, size = end_of_block(self.file.descriptor), self.file.size
            self.check_from_bytes = block_end + max(_BYTES_BEHIND, block_end)
            if size <= self.check_from_bytes:
                return
            self.check_from_bytes = 2 * size  # if compacting fails
            if self.may_be_replaced(os.fstat(self.file.descriptor)):
                self._compact_unread()

    def _compact_unread(self) -> None:
        unread = self.file.nothing_read()
        try:
            filesystem.refuse_unsafe(self.file.path)
            self.compact()
        finally:
            if unread:  # this process only writes: free the rows
                self.file.forget()

    @staticmethod
    def may_be_replaced(found: os.stat_result) -> bool:
        """Whether the file is our own: replaced by root, its owner could no longer write to it."""
        return found.st_uid == getattr(os, "geteuid", lambda: found.st_uid)()

    def rewrite_rows(self, rows: Iterable[SessionRow]) -> None:
        """Replace the file by these rows as a block, and the other tables. Raises: as ``Journal.rewrite``."""
        self._rewrite_ordered(by_creation({row.session_id: row for row in rows}.values()))

    @contextlib.contextmanager
    def replacing(self) -> Iterator[None]:
        """Replace all rows in the block, with the file locked: it is read for its other tables, no row is decoded.

        A damaged file is kept aside. What was read is forgotten afterwards.
        """
        try:
            self.content.passes_over_block = True
            try:
                self.file.refresh()
            except Corrupt:
                self.file.keep_aside()
            yield
        finally:
            self.content.passes_over_block = False
            self.file.forget()

    def rewrite_lines(self, lines: list[Line]) -> None:
        """Replace the file by the rows of these lines, and the other tables. Raises: as ``Journal.rewrite``."""
        self._rewrite_block(block_of_lines(sorted(lines), itemgetter(2)))

    def _rewrite_ordered(self, rows: list[SessionRow]) -> tuple[os.stat_result, int]:
        """Write the file; return its status, and where the block ends."""
        return self._rewrite_block(block_of(rows))

    def _rewrite_block(self, block: list[bytes]) -> tuple[os.stat_result, int]:
        self.check_from_bytes = _BYTES_BEHIND
        tables = {name: table for name, table in self.file.tables.items() if name != SESSIONS}
        written = self.file.rewrite(tables, block)
        return written, sum(map(len, block))

    def compact(self) -> None:
        """Write all of it anew, the rows as a block, and go on from its end. Raises: as ``Journal.compact``."""
        with self.file.exclusive(), gc_paused():
            self.file.refresh()
            rows = by_creation(self.rows.values())
            written, block_end = self._rewrite_ordered(rows)
            self.content.compacted(rows, block_end)
            self.file.read_already(written)
