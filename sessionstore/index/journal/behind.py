"""The lines of a journal behind its columns: the last state of each row that was put or removed since they were made.

Not here: the columns (index.journal.heads), reading a journal as a whole (index.journal.row_journal).
"""

from __future__ import annotations

from pathlib import Path

from sessionstore.index.journal.block import doc_id_of
from sessionstore.index.journal.column_file import Damaged
from sessionstore.index.journal.file import Journal
from sessionstore.index.journal.heads import Heads
from sessionstore.index.journal.raw_tables import TABLE_BLOCK, TABLE_EXISTS, RawTables, Tables
from sessionstore.index.journal.row_journal import Entry, decoded
from sessionstore.model.row import SessionRow


class LateRows:
    """The content: each row that was put or removed (None), by number; ``late`` is another dict after each change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._others = RawTables(path)
        self.late: dict[int, SessionRow | None] = {}
        self.lines = 0

    tables: Tables = {}  # noqa: RUF012  # no other table is read behind the columns
    last_ids: dict[str, int] = {}  # noqa: RUF012

    def begin(self) -> None:
        """Refuse to begin anew. Raises: Damaged."""
        raise Damaged("the journal is another file by now")

    def read_on(self, descriptor: int, offset: int) -> int:
        """Prepare for lines from an offset on."""
        self.late = self.late.copy()
        return offset

    def ingest(self, data: bytes, offset: int) -> None:
        """Take in whole lines. Raises: Corrupt, Damaged."""
        for entry in decoded(data, offset, self._path, self._others):
            self.lines += 1
            self._ingest_row(entry)

    def _ingest_row(self, entry: Entry) -> None:
        if entry.id in (TABLE_BLOCK, TABLE_EXISTS):
            return
        named = entry.session_id if entry.doc is None else entry.doc.session_id
        if entry.id < 1 or (named is not None and doc_id_of(named) != entry.id):
            raise Damaged("the rows were dropped, or numbered otherwise")
        self.late[entry.id] = entry.doc


class Behind:
    """Reads on behind the columns; it never writes."""

    def __init__(self, path: Path, heads: Heads, descriptor: int) -> None:
        """Begin behind the columns of an open journal."""
        self._rows = LateRows(path)
        self._file = Journal(path, False, content=self._rows)
        self._begin = heads.end
        self._file.go_on_behind(descriptor, heads.identity, heads.end, heads.last)

    @property
    def late(self) -> dict[int, SessionRow | None]:
        """The rows by number; None: removed."""
        return self._rows.late

    def refresh(self) -> None:
        """Read on. Raises: as ``Journal.refresh``; Damaged."""
        self._file.refresh()

    @property
    def bytes_behind(self) -> int:
        """How many bytes stand behind the columns."""
        return self._file.read_to - self._begin

    def close(self) -> None:
        """Close the file that is kept open."""
        self._file.close()
