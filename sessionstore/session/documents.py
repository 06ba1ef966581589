"""One JSON document file as a TinyDB database that many processes may write: ``session.json``.

A reader sees the old file or the new one, as it is now: nothing is remembered between two calls. Every operation
that writes holds the lock, reads afresh inside it and replaces the file durably. A program with TinyDB's own ``TinyDB``
class on :class:`DocumentStorage` cannot lose an update either: its write is refused (Conflict) when the file changed
since it read.
Not here: what the tables mean (model.records), the index file (index.journal), streams.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from tinydb import TinyDB
from tinydb.storages import Storage
from tinydb.table import Table

from sessionstore.disk import files
from sessionstore.disk.locks import Locks
from sessionstore.disk.reading import is_emptied, stamp_of
from sessionstore.errors import Conflict, Corrupt, InvalidRecord, SessionGone, StoreUnusable
from sessionstore.model import json_text
from sessionstore.session import known_texts, shared_parts

Tables = dict[str, dict[str, Any]]
Stamp = tuple[int, int, int, int]
Result = TypeVar("Result")
_MAX_TRIES = 100
_LARGE_BYTES = 1 << 16  # from here on, what was laid out is kept for the next change
#: The bytes of a document; parsing takes up to five times as much memory. Larger data belongs in streams, artifacts.
MAX_DOCUMENT_BYTES = 32 << 20


class DocumentStorage(Storage):
    """A TinyDB storage on one JSON file: atomic, durable, safe for many processes.

    Args:
        path: the file; a missing or empty one is an empty database, and is made by the first write.
        lock: gives the lock of this file; by default a lock file beside it.
        sync: False gives up durability in a power cut for speed.
        must_exist: a missing or empty file is an error (SessionGone, Corrupt), never a fresh database.
        create_dirs, encoding, access_mode: as of TinyDB's JSONStorage (``r``: writing is refused; UTF-8 only).
        form: ``indent``, ``sort_keys``, ``separators``, ``ensure_ascii`` for :func:`json.dumps`, in place of the
            layout of this package.
        evolve: called before :meth:`write` with the tables before and after, to note the change in the latter.
    """

    def __init__(
        self,
        path: str | Path,
        lock: Callable[[], contextlib.AbstractContextManager[None]] | None = None,
        sync: bool = True,
        must_exist: bool = False,
        evolve: Callable[[Tables, Tables], None] | None = None,
        create_dirs: bool = False,
        encoding: str | None = None,
        access_mode: str = "r+",
        **form: Any,
    ) -> None:
        super().__init__()
        if encoding is not None and encoding.lower() not in ("utf-8", "utf8"):
            raise InvalidRecord(f"a document is UTF-8, not {encoding!r}")
        if access_mode not in ("r", "rb", "r+", "rb+"):
            raise InvalidRecord(f"the access mode is r, rb, r+ or rb+, not {access_mode!r}")
        if create_dirs:
            files.make_dirs(Path(path).absolute().parent)
        self._read_only, self._form = "+" not in access_mode, form
        self._text_path = path if isinstance(path, str) and os.path.isabs(path) else str(Path(path).absolute())
        self._lock = lock or Locks(self.path.parent / f".{self.path.name[:200]}.locks").store
        self._sync = sync
        self._layouts: json_text.Layouts | None = None  # of a large document
        self._must_exist, self._evolve = must_exist, evolve
        self._mine = threading.local()  # per thread: what it read last, and how often it holds the lock

    def __repr__(self) -> str:
        return f"DocumentStorage({self._text_path!r})"

    @property
    def path(self) -> Path:
        """The file, absolute."""
        return Path(self._text_path)

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock of this file; inside, read and write belong together. It may be nested.

        Raises: LockTimeout: nothing changed.
        """
        if getattr(self._mine, "depth", 0):
            yield
            return
        with self._lock():
            self._mine.depth = 1
            try:
                yield
            finally:
                self._mine.depth = 0

    def stamp(self) -> Stamp | None:
        """Return what identifies the file's present state; None while there is no file."""
        found = files.status(self._text_path)
        return None if found is None else stamp_of(found)

    def read(self) -> Tables | None:
        """Return all tables, or None for a missing or empty file.

        Raises:
            Corrupt, UnsafeFile: the file was not touched.
        """
        if self._must_exist:
            tables, _, status = self.load()
            self._mine.stamp = stamp_of(status)
            return tables
        try:
            data, status = files.read(self._text_path, MAX_DOCUMENT_BYTES)
        except FileNotFoundError:
            self._mine.stamp = None
            return None
        self._mine.stamp = stamp_of(status)
        return tables_of(data, self._text_path) if data else None

    def load(self) -> tuple[Tables, bytes, os.stat_result]:
        """Return the tables, the bytes they came from and the status of that very file.

        Raises:
            SessionGone: the folder is gone.
            Corrupt, UnsafeFile, StoreUnusable: the file is missing, damaged, of the wrong kind, or not to be read.
        """
        return load(self._text_path)

    def write(self, data: Tables) -> None:
        """Replace all tables, durably.

        Raises:
            Conflict: the file changed since this thread read it; nothing changed.
            InvalidRecord, StoreUnusable: nothing changed.
            OutcomeUnknown: visible, not proven durable.
        """
        if self._read_only:
            raise StoreUnusable(f"{self.path} was opened for reading only")
        tables = _plain_tables(data)
        with self.exclusive():
            if self.stamp() != getattr(self._mine, "stamp", None):
                raise Conflict(f"{self.path} was changed by another program since it was read")
            if self._evolve is not None:
                self._evolve(self.load()[0], tables)
            encoded = encode(tables, self._form)
            try:
                self._mine.stamp = stamp_of(files.put(self._text_path, encoded, sync=self._sync))
            except FileNotFoundError as error:
                raise SessionGone(f"there is no folder {self.path.parent}") from error

    def update(self, change: Callable[[Tables, bytes], Result]) -> tuple[Result, os.stat_result]:
        """Read, let ``change`` edit the tables in place, and replace the file, in one exclusive step.

        Waiting for the directory is left for after the lock: the next one may begin meanwhile, and the disk takes both
        at once.

        Args:
            change: gets the tables and the bytes they came from; when it raises, nothing changed.

        Returns: what ``change`` returned, and the status of the new file.

        Raises:
            as :meth:`load` and :func:`sessionstore.disk.files.put`; SessionGone: it was deleted meanwhile; Conflict.
        """
        if getattr(self._mine, "depth", 0):
            result, written, proof = self._replace(change)
        else:
            with self._lock():
                self._mine.depth = 1
                try:
                    result, written, proof = self._replace(change)
                finally:
                    self._mine.depth = 0
        if proof is not None:
            proof.complete()
        return result, written

    def _replace(self, change: Callable[[Tables, bytes], Result]) -> tuple[Result, os.stat_result, files.Proof | None]:
        for _ in range(_MAX_TRIES):
            data, status = read(self._text_path)
            own = known_texts.is_known(data)
            tables = check_tables(shared_parts.parse(data, self._text_path, own), data, self._text_path)
            before = known_texts.KnownText(data, tables) if own else None
            result = change(tables, data)
            changed = None if before is None else before.changed(tables)
            encoded = self._encoded(tables, len(data)) if changed is None else _limited(changed)
            try:
                written, proof = files.put_visible(self._text_path, encoded, sync=self._sync, seen=status)
                known_texts.remember(encoded)
                return result, written, proof
            except Conflict:  # it was edited by hand meanwhile, or the lock file was removed
                continue
            except FileNotFoundError as error:
                raise SessionGone(f"{self.path.parent} was removed; nothing was changed") from error
        raise Conflict(f"{self.path} is changed again and again by a program that takes no lock")

    def _encoded(self, tables: Tables, size: int) -> bytes:
        if size <= _LARGE_BYTES:
            return encode(tables)
        if self._layouts is None:
            self._layouts = json_text.Layouts()
        return encode(tables, layouts=self._layouts)


def _plain_tables(tables: Mapping[Any, Any]) -> Tables:
    return {
        str(name): {str(doc_id): json_text.plain(document, f"{name}.{doc_id}") for doc_id, document in table.items()}
        for name, table in tables.items()
    }


def numbered(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the rows of a new table by their numbers, as plain data. Raises: InvalidRecord."""
    return {str(number): json_text.plain(row, "tables") for number, row in enumerate(rows, 1)}


def encode(tables: Tables, form: Mapping[str, Any] | None = None, layouts: json_text.Layouts | None = None) -> bytes:
    """Return the bytes of a document. Raises: InvalidRecord: they would be more than can be read.

    Args:
        form: arguments of :func:`json.dumps` in place of the layout of this package.
        layouts: what was laid out of this document before.
    """
    return _limited(json.dumps(tables, **form).encode() if form else (layouts or json_text).layout(tables))


def _limited(data: bytes) -> bytes:
    if len(data) > MAX_DOCUMENT_BYTES:
        raise InvalidRecord(
            f"the document would have {len(data):,} bytes; at most {MAX_DOCUMENT_BYTES:,} are stored: "
            "put large data into a stream or an artifact"
        )
    return data


def encode_new(record: dict[str, Any], tables: Tables) -> bytes:
    """Return the bytes of the document of a new session: its record, no history yet, and further tables.

    Raises: InvalidRecord: as :func:`encode`.
    """
    if not tables and "\n" in (text := json_text.laid_out(record, "\n    ")):  # longer than a line, as what holds it
        return _limited(f'{{\n  "session": {{\n    "1": {text}\n  }},\n  "workflow": {{}}\n}}\n'.encode())
    return encode({"session": {"1": record}, "workflow": {}, **tables})


def load(path: str) -> tuple[Tables, bytes, os.stat_result]:
    """Return the tables of a document file; see :meth:`DocumentStorage.load`."""
    data, status = read(path)
    return tables_of(data, path), data, status


def tables_of(data: bytes, path: str) -> Tables:
    """Return the tables that the bytes of a document file hold. Raises: Corrupt: with line and column."""
    return check_tables(json_text.parse(data, path), data, path)


def read(path: str) -> tuple[bytes, os.stat_result]:
    """Return the bytes of a document file and the status of that very file. Raises: as :meth:`DocumentStorage.load`."""
    try:
        return files.read(path, MAX_DOCUMENT_BYTES)
    except (FileNotFoundError, NotADirectoryError) as error:
        folder, name = os.path.split(path)
        if not files.is_folder(folder):
            raise SessionGone(f"there is no folder {folder}") from error
        if is_emptied(folder):
            raise SessionGone(f"the folder {folder} is empty") from error
        raise Corrupt(f"{name} is missing", folder) from error


def check_tables(value: Any, data: bytes, path: str) -> Tables:
    """Return ``value`` when it has the shape of a TinyDB file: tables of numbered objects.

    Raises: Corrupt: with line and column.
    """

    def refuse(reason: str, keys: list[str | int]) -> Corrupt:
        return Corrupt(reason, path, None, *json_text.locate(data, keys))

    if not isinstance(value, dict):
        raise refuse("expected an object of tables", [])
    for name, table in value.items():
        if not isinstance(table, dict):
            raise refuse(f"the table {name!r} is not an object", [name])
        for doc_id, document in table.items():
            if not (doc_id.isascii() and doc_id.isdigit()):
                raise refuse(f"the document id {doc_id!r} is not a number", [name, doc_id])
            if not isinstance(document, dict):
                raise refuse(f"document {doc_id} of table {name!r} is not an object", [name, doc_id])
    return value


# ---------------------------------------------------------------- TinyDB's own face


class SharedTable(Table):
    """A TinyDB table whose every operation sees what other processes wrote, and excludes them while it writes."""

    def _exclusive(self) -> contextlib.AbstractContextManager[None]:
        lock: Callable[[], contextlib.AbstractContextManager[None]] = self._storage.exclusive  # type: ignore[attr-defined]
        return lock()

    def _forget(self) -> None:
        """Drop what TinyDB remembers between calls: it is right for one process only."""
        self._next_id = None
        self.clear_cache()

    def _update_table(self, updater: Callable[[dict[int, Mapping[str, Any]]], None]) -> None:
        with self._exclusive():
            super()._update_table(updater)

    def search(self, cond: Any) -> Any:
        self._forget()
        return super().search(cond)


def _excluding(name: str) -> Callable[..., Any]:
    original = getattr(Table, name)

    def operation(self: SharedTable, *args: Any, **kwargs: Any) -> Any:
        with self._exclusive():
            self._forget()
            return original(self, *args, **kwargs)

    operation.__name__, operation.__doc__ = name, original.__doc__
    return operation


for _name in ("insert", "insert_multiple", "update", "update_multiple", "upsert", "remove", "truncate"):
    setattr(SharedTable, _name, _excluding(_name))


class Database(TinyDB):
    """TinyDB on one of our storages: everything that TinyDB offers, safe for many processes.

    ``Database(path)`` opens or makes a document file; ``storage=`` takes any class that TinyDB takes, also middleware
    around ours (``storage=CachingMiddleware(DocumentStorage)`` gives up the sharing for speed, never an update).
    """

    table_class = SharedTable
    default_storage_class: type[Storage] = DocumentStorage  # type: ignore[assignment]  # TinyDB names its own class

    def drop_table(self, name: str) -> None:
        with self._storage.exclusive():  # type: ignore[attr-defined]
            super().drop_table(name)

    def drop_tables(self) -> None:
        with self._storage.exclusive():  # type: ignore[attr-defined]
            self._storage.read()  # what is dropped must be what was seen
            super().drop_tables()


__all__ = [
    "Database",
    "DocumentStorage",
    "SharedTable",
    "Stamp",
    "Tables",
    "check_tables",
    "load",
    "read",
    "stamp_of",
    "tables_of",
]
