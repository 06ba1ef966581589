"""The lines of a journal behind its columns: the last state of each row that was put or removed since they were made.

Not here: the columns (index.journal.heads), reading a journal as a whole (index.journal.row_journal).
"""

from __future__ import annotations

import os
from pathlib import Path

from sessionstore.index.journal.block import doc_id_of
from sessionstore.index.journal.column_file import Damaged
from sessionstore.index.journal.file import TABLE_BLOCK, TABLE_EXISTS
from sessionstore.index.journal.heads import Heads
from sessionstore.index.journal.row_journal import Entry, RowJournal
from sessionstore.model.records import SessionRow


class Behind(RowJournal):
    """Reads on behind the columns; it never writes. ``late`` is another dict after each change."""

    def __init__(self, path: Path, heads: Heads, descriptor: int) -> None:
        """Begin behind the columns of an open journal."""
        super().__init__(path, None)
        self.late: dict[int, SessionRow | None] = {}
        self._begin = heads.end
        self._read_to, self._read_end = (heads.identity, heads.end), heads.last
        found = os.fstat(descriptor)
        if found.st_size == heads.end:  # nothing is behind: read when it changes
            self._read_at = found.st_mtime_ns
        self._keep_open(descriptor)

    def _start_over(self, identity: tuple[int, int]) -> None:
        raise Damaged("the journal is another file by now")

    def _read_lines(self, descriptor: int, offset: int) -> int:
        self.late = self.late.copy()
        return super()._read_lines(descriptor, offset)

    def _ingest_row(self, entry: Entry) -> None:
        if entry.id in (TABLE_BLOCK, TABLE_EXISTS):
            return
        named = entry.session_id if entry.doc is None else entry.doc.session_id
        if entry.id < 1 or (named is not None and doc_id_of(named) != entry.id):
            raise Damaged("the rows were dropped, or numbered otherwise")
        self.late[entry.id] = entry.doc

    @property
    def bytes_behind(self) -> int:
        """How many bytes stand behind the columns."""
        return self.read_to - self._begin

    def close(self) -> None:
        """Close the file that is kept open."""
        self._file.close()
        self._let_go()
