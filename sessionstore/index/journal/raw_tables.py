"""The lines of a journal: their form and checksum, and the tables of raw documents that they make.

    {"table":"sessions","id":4611686018427387904,"doc":{...},"c":"crc"}       "doc":null removes

Not here: the file and its locks (file), the rows of sessions (row_journal), TinyDB's face (tinydb_storage).
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol
from zlib import crc32

import msgspec

from sessionstore.errors import Corrupt

SESSIONS = "sessions"
NO_DOCUMENT = b"null"
#: Ids below 1 speak of the table itself: 0 says that it exists, -1 that it was dropped, -2 that the lines behind it
#: can be read as one block.
TABLE_EXISTS, TABLE_DROPPED, TABLE_BLOCK = 0, -1, -2


class _Entry(msgspec.Struct, gc=False):
    table: str
    id: int
    doc: msgspec.Raw
    c: str


_decode_entry = msgspec.json.Decoder(_Entry).decode

Tables = dict[str, dict[int, bytes]]
Change = tuple[str, int, bytes]


def is_whole(raw: bytes) -> bool:
    """Whether a line holds the checksum of the bytes before it."""
    return raw[-16:-10] == b',"c":"' and b"%08x" % crc32(raw[:-16]) == raw[-10:-2]


class Content(Protocol):
    """What a journal makes of its lines as it reads them."""

    @property
    def lines(self) -> int:
        """How many lines were read."""
        ...

    @property
    def tables(self) -> Tables:
        """The raw tables: documents by number."""
        ...

    @property
    def last_ids(self) -> dict[str, int]:
        """The highest number in each of them."""
        ...

    def begin(self) -> None:
        """Forget all: the file is another one, or it was written anew."""
        ...

    def read_on(self, descriptor: int, offset: int) -> int:
        """Prepare for lines from an offset on; return where the first of them begins."""
        ...

    def ingest(self, data: bytes, offset: int) -> None:
        """Take in whole lines. Raises: Corrupt."""
        ...


class RawTables:
    """The tables as raw documents by number: the content of a journal that is read by TinyDB.

    Args:
        path: of the file, for errors.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.begin()

    def begin(self) -> None:
        """Forget all."""
        self.tables: Tables = {}
        self.last_ids: dict[str, int] = {}
        self.lines = 0

    def read_on(self, descriptor: int, offset: int) -> int:
        """Return the offset: each line is read."""
        return offset

    def ingest(self, data: bytes, offset: int) -> None:
        """Take in whole lines, the first of which stands at an offset. Raises: Corrupt."""
        tables, last_ids = self.tables, self.last_ids
        for raw in data.splitlines():
            try:
                entry = _decode_entry(raw)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise Corrupt(f"does not parse: {error}", self._path, offset) from error
            if not is_whole(raw):
                raise Corrupt("its checksum does not match", self._path, offset)
            offset += len(raw) + 1
            self.lines += 1
            table = tables.get(entry.table)
            if table is None:
                table = tables[entry.table] = {}
            if entry.id < 1:
                if entry.id == TABLE_DROPPED:
                    del tables[entry.table]
                    last_ids.pop(entry.table, None)
                continue
            document = bytes(entry.doc)
            if document == NO_DOCUMENT:
                table.pop(entry.id, None)
            else:
                table[entry.id] = document
                if entry.id > last_ids.get(entry.table, 0):
                    last_ids[entry.table] = entry.id
