"""TinyDB's face of a journal file: every operation of TinyDB, where a write costs what it changes.

``Database(path, storage=JournalStorage)`` is a TinyDB on an append-only file: an insert into 10,000 documents
writes one line, not 10,000. Middleware and TinyDB's own ``TinyDB`` class work too: they hand over whole tables, and the
difference is found and written.
Not here: the file (index.journal), TinyDB on one JSON document (session.documents).
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any

import msgspec
from tinydb.storages import Storage

from sessionstore.disk import files
from sessionstore.errors import Corrupt
from sessionstore.index.journal.file import Journal
from sessionstore.index.journal.raw_tables import TABLE_DROPPED, TABLE_EXISTS, Change
from sessionstore.model import json_text
from sessionstore.session.documents import Database, SharedTable

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_GARBAGE_LINES = 1000


class Documents(MutableMapping[Any, dict[str, Any]]):
    """Raw documents by number, decoded when asked for; remembers which were given out, replaced or removed."""

    def __init__(self, raw: Mapping[int, bytes], key: Callable[[int], Any] = int) -> None:
        self._raw = raw
        self._key = key
        self._touched: dict[int, dict[str, Any] | None] = {}

    def __getitem__(self, key: Any) -> dict[str, Any]:
        number = _number(key)
        if number not in self._touched:
            self._touched[number] = _decode(self._raw[number])
        document = self._touched[number]
        if document is None:
            raise KeyError(key)
        return document

    def __setitem__(self, key: Any, document: Mapping[str, Any]) -> None:
        self._touched[int(key)] = dict(document)

    def __delitem__(self, key: Any) -> None:
        if key not in self:
            raise KeyError(key)
        self._touched[int(key)] = None

    def __contains__(self, key: object) -> bool:
        try:
            number = _number(key)
        except KeyError:
            return False
        return self._touched[number] is not None if number in self._touched else number in self._raw

    def __iter__(self) -> Iterator[Any]:
        for number in self._raw:
            if self._touched.get(number, self) is not None:
                yield self._key(number)
        for number, document in list(self._touched.items()):
            if document is not None and number not in self._raw:
                yield self._key(number)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def changes(self, table: str) -> list[Change]:
        """Return what must be written for the file to hold what this mapping holds."""
        found: list[Change] = []
        for number, document in self._touched.items():
            raw = self._raw.get(number)
            if document is None:
                if raw is not None:
                    found.append((table, number, b"null"))
            elif (encoded := _encode(json_text.plain(document, f"{table}.{number}"))) != raw:
                found.append((table, number, encoded))
        return found


def _number(key: object) -> int:
    """Return the number that a key means. Raises: KeyError: no document of a journal has such a key."""
    try:
        return int(str(key))
    except ValueError:
        raise KeyError(key) from None


#: The beginning of a document file of TinyDB: an object of tables. In a journal the first value is a text.
_DOCUMENT = re.compile(rb"\s*\{\s*(?:\"(?:[^\"\\\\]|\\\\.)*\"\s*:\s*\{|\}\s*$)")


def _refuse_document(path: Path) -> None:
    """Refuse a file that TinyDB wrote: it would be taken for a journal with a torn line. Raises: Corrupt."""
    try:
        with files.opened(path) as descriptor:
            start = os.read(descriptor, 4096)
    except FileNotFoundError:
        return
    if _DOCUMENT.match(start):
        reason = "a document file of TinyDB, not a journal: open it with Database(path), and copy its tables over"
        raise Corrupt(reason, path, 0)


class JournalStorage(Storage):
    """A TinyDB storage on a journal file.

    Args:
        path: made by the first write.
        sync: False gives up durability in a power cut for speed.
    """

    def __init__(self, path: str | Path, sync: bool = True) -> None:
        super().__init__()
        self.path = Path(path).absolute()
        _refuse_document(self.path)
        self.journal = Journal(self.path, sync)

    def __repr__(self) -> str:
        return f"JournalStorage({str(self.path)!r})"

    def exclusive(self) -> contextlib.AbstractContextManager[None]:
        """Hold the lock of the file; inside, read and write belong together."""
        return self.journal.exclusive()

    def read(self) -> dict[str, Any] | None:
        """Return all tables as they are now; None while there are none."""
        self.journal.refresh()
        return {name: Documents(dict(raw), str) for name, raw in self.journal.tables.items()} or None

    def write(self, data: Mapping[str, Any]) -> None:
        """Make the file hold these tables, by writing what differs."""
        with self.exclusive():
            self.journal.refresh()
            changes: list[Change] = []
            for name, table in data.items():
                changes += self._difference(name, table)
            changes += [(name, TABLE_DROPPED, b"null") for name in self.journal.tables if name not in data]
            self.commit(changes)

    def _difference(self, name: str, table: Mapping[Any, Any]) -> list[Change]:
        raw = self.journal.tables.get(name)
        changes: list[Change] = [(name, TABLE_EXISTS, b"null")] if raw is None else []
        wanted = Documents(raw or {})
        numbers = {int(key) for key in table}
        for key, document in table.items():
            wanted[key] = document
        for number in raw or {}:
            if number not in numbers:
                del wanted[number]
        return changes + wanted.changes(name)

    def commit(self, changes: list[Change]) -> None:
        """Write changes, and compact the file when most of it is superseded. Raises: as ``Journal.append``."""
        self.journal.append(changes)
        self.journal.refresh()
        live = sum(map(len, self.journal.tables.values()))
        if self.journal.garbage() > _GARBAGE_LINES + live:
            self.journal.compact_soon()

    def close(self) -> None:
        """Close the file."""
        self.journal.close()


class JournalTable(SharedTable):
    """A table that reads and writes single documents when it stands on a journal directly."""

    def _journal(self) -> JournalStorage | None:
        return self._storage if isinstance(self._storage, JournalStorage) else None

    def _read_table(self) -> Any:
        storage = self._journal()
        if storage is None:
            return super()._read_table()
        storage.journal.refresh()
        return Documents(storage.journal.tables.get(self.name, {}), str)

    def _update_table(self, updater: Callable[[Any], None]) -> None:
        storage = self._journal()
        if storage is None:
            super()._update_table(updater)
            return
        with storage.exclusive():
            storage.journal.refresh()
            raw = storage.journal.tables.get(self.name)
            documents = Documents(raw or {})
            updater(documents)
            begin: list[Change] = [(self.name, TABLE_EXISTS, b"null")] if raw is None else []
            storage.commit(begin + documents.changes(self.name))

    def _get_next_id(self) -> int:
        storage = self._journal()
        if storage is None:
            return int(super()._get_next_id())  # type: ignore[no-untyped-call]
        following: int | None = self._next_id
        if following is None:  # every operation begins with forgetting it
            storage.journal.refresh()
            following = storage.journal.content.last_ids.get(self.name, 0) + 1
        self._next_id = following + 1  # type: ignore[assignment]  # TinyDB leaves it untyped
        return following

    def truncate(self) -> None:
        """Remove all documents with two lines; numbers begin at 1 again."""
        storage = self._journal()
        if storage is None:
            super().truncate()
            return
        with storage.exclusive():
            storage.commit([(self.name, TABLE_DROPPED, b"null"), (self.name, TABLE_EXISTS, b"null")])
            self._next_id = None


class JournalDatabase(Database):
    """TinyDB on a journal file: ``JournalDatabase(path)``."""

    table_class = JournalTable
    default_storage_class: type[Storage] = JournalStorage
