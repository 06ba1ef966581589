"""The journal's rows: lines of sessions become rows as they are read, and the file is compacted into a block.

Compaction keeps the file within twice its live bytes plus 8 MiB, by listings and by writers alike; it never changes an
answer. Other tables of the file stay raw.
Not here: answers and waiting (index.journal.engine), the file (index.journal.file), the block (index.journal.block).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from operator import attrgetter
from pathlib import Path
from zlib import crc32

import msgspec

from sessionstore.disk import filesystem
from sessionstore.errors import Corrupt, NotApplied, OutcomeUnknown
from sessionstore.index.journal.block import NOT_WHOLE, block_of, doc_id_of, end_of_block, intern_rows, read_block
from sessionstore.index.journal.file import SESSIONS, TABLE_BLOCK, TABLE_DROPPED, Journal, is_whole
from sessionstore.model.gc_pause import gc_paused
from sessionstore.model.records import SessionRow
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


class RowJournal(Journal):
    """A journal that makes rows of the lines of sessions as it reads them, in one pass; other tables stay raw.

    ``rows`` (by session id) is another dict after every reading that brought something: who was given it keeps it.
    """

    def __init__(self, path: Path, quarantine: Quarantine | None) -> None:
        super().__init__(path, sync=False, quarantine=quarantine)
        self._check_from_bytes = 0
        self._forget()

    def _forget(self) -> None:
        self.rows: dict[str, SessionRow] = {}
        self._block = 0  # how many of the lines were a block
        self._block_end = 0  # in bytes
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
            self.garbage() > _GARBAGE_LINES + len(self.rows)
            or self.lines - self._block > _LINES_BEHIND + self._block
            or self.read_to - self._block_end > max(_BYTES_BEHIND, self._block_end)
        )

    def _check_size(self) -> None:
        """Compact after this write when more bytes stand behind the block than within: while no process lists, writers
        alone bound the file. The size of the block is in its first line, so that no row is read for the decision."""
        try:
            block_end = end_of_block(self._file.descriptor)
        except OSError:  # the row is written; a later write looks again
            return
        self._check_from_bytes = block_end + max(_BYTES_BEHIND, block_end)
        if self._size > self._check_from_bytes:
            self._check_from_bytes = 2 * self._size  # if compacting fails
            if self.may_be_replaced(os.fstat(self._file.descriptor)):
                self.compact_soon()

    def _compact_after_write(self) -> None:
        """Compact; a damaged file is left to the next listing, which reports and rebuilds it."""
        unread = self._read_to == ((0, 0), 0)
        with contextlib.suppress(NotApplied, OutcomeUnknown, Corrupt, FileNotFoundError):
            filesystem.refuse_unsafe(self.path)
            self.compact()
        if unread:  # this process only writes: free the rows
            self._start_over((0, 0))

    @staticmethod
    def may_be_replaced(found: os.stat_result) -> bool:
        """Whether the file is our own: replaced by root, its owner could no longer write to it."""
        return found.st_uid == getattr(os, "geteuid", lambda: found.st_uid)()

    def rewrite_rows(self, rows: Iterable[SessionRow]) -> None:
        """Replace the file by these rows as a block, and the other tables. Raises: as ``Journal.rewrite``."""
        self._rewrite_ordered(by_creation({row.session_id: row for row in rows}.values()))

    def _rewrite_ordered(self, rows: list[SessionRow]) -> tuple[os.stat_result, int]:
        """Write the file; return its status, and where the block ends."""
        block = block_of(rows)
        self._check_from_bytes = 0
        written = self.rewrite({name: self.tables[name] for name in self.tables if name != SESSIONS}, block)
        return written, sum(map(len, block))

    def compact(self) -> None:
        """Write all of it anew, the rows as a block, and go on from its end. Raises: as ``Journal.compact``."""
        with self.exclusive(), gc_paused():
            self.refresh()
            rows = by_creation(self.rows.values())
            written, block_end = self._rewrite_ordered(rows)
            # The same rows as before, and true of either file: an interrupt in here leaves nothing half done.
            self.rows = {row.session_id: row for row in rows}
            self._numbers, self._all_numbered = {}, False
            self.lines = len(rows) + sum(len(table) + 1 for name, table in self.tables.items() if name != SESSIONS)
            self._block, self._block_end = len(rows), block_end
            self._read_already(written)

    def _start_over(self, identity: tuple[int, int]) -> None:
        self._forget()  # first: once the file counts as begun anew, nothing is forgotten any more
        super()._start_over(identity)

    def _read_lines(self, descriptor: int, offset: int) -> int:
        if offset == 0 and (found := read_block(descriptor)) is not None:
            self.rows, offset = found
            self.lines = self._block = len(self.rows)
            self._block_end = offset
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
            self.lines -= 1

    def _named(self, number: int) -> str:
        """Return which session a number means; lines that remove a row did not say so in earlier versions."""
        if number not in self._numbers and not self._all_numbered:
            self._numbers = {**{doc_id_of(name): name for name in self.rows}, **self._numbers}
            self._all_numbered = True
        return self._numbers.get(number, "")
