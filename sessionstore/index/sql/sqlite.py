"""The SQLite engine: one file, WAL, every commit durable; filters get the indexes that they ask for.

    sqlite:                                    index.sqlite in the store
    sqlite:/var/lib/fleet/index.db?keys=metadata.site,metadata.num_drones

Several stores of this host may share a file; each has its own rows. Readers do not wait; a writer waits for another
one at most ``timeout_s``. Reading a file that does not exist creates nothing.
Not here: tables and expressions (index.sql.sqlite_schema), rows of several stores (index.sql.store_copies).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from sessionstore.disk import files
from sessionstore.disk.append_file import renewed_after_fork
from sessionstore.errors import Corrupt, IndexUnavailable
from sessionstore.index import FileStamp, RowStamp
from sessionstore.index.circuit_breaker import CircuitBreaker
from sessionstore.index.filtering import select
from sessionstore.index.sql import sqlite_indexes, sqlite_rows
from sessionstore.index.sql.fork_gate import gate
from sessionstore.index.sql.prefilter import Condition
from sessionstore.index.sql.rows import Found, SqlIndex, newest
from sessionstore.index.sql.sqlite_conditions import SqliteNarrowing, exact, searched
from sessionstore.index.sql.sqlite_connection import Connection, NoFile, translated
from sessionstore.index.sql.sqlite_pages import SqlitePageView
from sessionstore.index.sql.sqlite_schema import ensure
from sessionstore.index.sql.store_copies import Place
from sessionstore.index.url import IndexUrl
from sessionstore.model.gc_pause import gc_paused
from sessionstore.model.row import SessionRow, as_interrupted
from sessionstore.query import Filter
from sessionstore.query import Path as Keys

_CHUNK = 1000
_CREATION = attrgetter("created_at", "session_id")
_OWN = "store = (SELECT id FROM stores WHERE host = ? AND path = ?)"
Result = TypeVar("Result")


class SqliteIndex(SqlIndex):
    """The index in an SQLite file; see the module and :class:`~sessionstore.index.SessionIndex`."""

    def __init__(self, url: IndexUrl, root: Path, read_only: bool = False) -> None:
        super().__init__(root)
        self._read_only = read_only
        self.path = Path(url.path).expanduser().absolute() if url.path else root / "index.sqlite"
        self._keys, self._timeout_s = url.keys, url.timeout_s
        self._narrowing = SqliteNarrowing()
        self._breaker = CircuitBreaker(url.retry_s)
        self._idle: list[Connection] = []
        self._writing = threading.Lock()
        self._observer: Connection | None = None
        self._of_parents: list[object] = []
        renewed_after_fork(self)

    def renew_after_fork(self) -> None:
        """Replace the lock, which another thread of the parent may hold, and keep the parent's connections unused: a
        connection must not cross a fork, not even to be closed."""
        self._of_parents.append((self._idle, self._observer))
        self._writing, self._idle, self._observer = threading.Lock(), [], None

    def __repr__(self) -> str:
        return f"SqliteIndex({str(self.path)!r})"

    @property
    def url(self) -> str:
        """``sqlite:`` and the path."""
        keys = ",".join(".".join(key) for key in self._keys)
        return f"sqlite:{self.path}" + (f"?keys={keys}" if keys else "")

    # ------------------------------------------------------------ writing

    def put(self, rows: Iterable[SessionRow], exact: bool = False) -> None:
        """Insert or replace rows, a thousand in one durable transaction."""
        ordered = iter(newest(rows, exact))
        while chunk := list(islice(ordered, _CHUNK)):
            self._write(partial(self._insert, rows=chunk, exact=exact))
            if len(chunk) == _CHUNK:
                self._run(sqlite_indexes.analyse)

    def remove(self, session_ids: Iterable[str]) -> None:
        """Remove rows in one transaction."""
        gone = list(session_ids)

        def drop(connection: sqlite3.Connection, store: int) -> None:
            text = "DELETE FROM sessions WHERE store = ? AND session_id = ?"
            if connection.executemany(text, [(store, each) for each in gone]).rowcount:
                self._count_removal(connection, store)

        if gone and self.path.exists():
            self._write(drop)

    def replace_all(self, rows: Iterable[SessionRow]) -> None:
        """Hold exactly these rows of this store, in one transaction; a damaged file is set aside first."""
        wanted = newest(rows, True)

        def swap(connection: sqlite3.Connection, store: int) -> None:
            connection.execute("DELETE FROM sessions WHERE store = ?", (store,))
            self._count_removal(connection, store)
            sqlite_rows.insert(connection, store, wanted)

        try:
            self._write(swap)
        except Corrupt:
            self._set_aside()
            self._write(swap)
        self._run(sqlite_indexes.analyse)

    @staticmethod
    def _count_removal(connection: sqlite3.Connection, store: int) -> None:
        """Let a number differ that was given to a row that is gone, and is given again."""
        connection.execute("UPDATE stores SET removed = removed + 1 WHERE id = ?", (store,))

    @staticmethod
    def _insert(connection: sqlite3.Connection, store: int, rows: list[SessionRow], exact: bool) -> None:
        for row in rows:
            sqlite_rows.put(connection, store, row, exact)

    def _write(self, work: Callable[[sqlite3.Connection, int], object]) -> None:
        deadline = time.monotonic() + self._timeout_s

        def transaction(connection: Connection) -> None:
            if not self._writing.acquire(timeout=max(0.0, deadline - time.monotonic())):
                raise IndexUnavailable(f"{self.path}: other threads wrote for {self._timeout_s:g} s")
            try:
                self._begin(connection, deadline - time.monotonic())
                number = connection.store or self._own_number(connection)
                work(connection, number)
                connection.execute("COMMIT")
                connection.store = number
            finally:
                if connection.in_transaction:
                    with contextlib.suppress(sqlite3.Error):  # the first error is being raised already
                        connection.execute("ROLLBACK")
                self._writing.release()

        self._run(transaction, to_write=True)

    def _begin(self, connection: sqlite3.Connection, left_s: float) -> None:
        """Begin to write within what is left of the limit: a thread that queued behind another one must not wait for
        the other process all over again."""
        queued = left_s < 0.9 * self._timeout_s
        if queued:
            connection.execute(f"PRAGMA busy_timeout = {max(1, int(left_s * 1000))}")
        connection.execute("BEGIN IMMEDIATE")
        if queued:
            connection.execute(f"PRAGMA busy_timeout = {int(self._timeout_s * 1000)}")

    def _own_number(self, connection: sqlite3.Connection) -> int:
        place = (self._place.host, self._place.path)
        text = "SELECT id FROM stores WHERE host = ? AND path = ?"
        found = connection.execute(text, place).fetchone()
        if found is None:
            insert = "INSERT INTO stores (host, path, token) VALUES (?, ?, hex(randomblob(8)))"
            connection.execute(insert, place)
            if connection.execute("SELECT count(*) FROM stores").fetchone()[0] > 1:  # copies are found by it
                connection.execute(sqlite_indexes.UUID)
            found = connection.execute(text, place).fetchone()
        return int(found[0])

    # ------------------------------------------------------------ reading

    def stamps(self) -> Mapping[str, RowStamp]:
        """Return the state of each row's file, by session id."""
        rows = self._own(f"SELECT session_id, size, mtime_ns FROM sessions WHERE {_OWN}")
        return {name.decode(): FileStamp(size, mtime_ns) for name, size, mtime_ns in rows}

    def active(self) -> list[SessionRow]:
        """Return this store's rows that say they run."""
        return self._decoded(self._own(f"SELECT row, metadata FROM sessions WHERE {_OWN} AND active"))

    def _own(self, text: str) -> list[Any]:
        place = (self._place.host, self._place.path)
        return self._read(lambda connection: connection.execute(text, place).fetchall(), [])

    def find(self, tree: Filter | None = None, interrupted: Mapping[str, str] | None = None) -> list[SessionRow]:
        """Return the rows that fit, oldest first; those of other stores in the file with where they are."""
        why = interrupted or {}
        nothing: list[SessionRow] | None = []
        found = self._read(lambda connection: self._find_alone(connection, tree, why), nothing)
        return super().find(tree, interrupted) if found is None else found

    def _find_alone(
        self, connection: Connection, tree: Filter | None, why: Mapping[str, str]
    ) -> list[SessionRow] | None:
        """Return the rows that fit where the file is of this store alone, else None."""
        certain = exact(tree)
        condition = self._narrowing.of(tree) if certain is None else certain
        if tree is not None and condition is not None:
            self._ask_for_indexes(connection, searched(tree))
        store = self._alone(connection)
        if store is None:
            return None
        text, given = condition or ("1", [])
        select_rows = "SELECT row, metadata FROM sessions WHERE"
        late: list[SessionRow] = []
        if why:
            names = msgspec.json.encode(list(why)).decode()
            within = f"{select_rows} store = ? AND session_id IN (SELECT value FROM json_each(?))"
            gone = self._decoded(connection.execute(within, [store, names]).fetchall())
            late = select([as_interrupted(row, why[row.session_id]) for row in gone], tree)
            text, given = f"({text}) AND session_id NOT IN (SELECT value FROM json_each(?))", [*given, names]
        # "+": the key of the store is no better than an index of the condition
        found = connection.execute(f"{select_rows} +store = ? AND ({text})", [store, *given]).fetchall()
        with gc_paused():
            rows = self._decoded(found)
            rows = (rows if certain is not None else select(rows, tree)) + late
            rows.sort(key=_CREATION)
        return rows

    def _alone(self, connection: sqlite3.Connection) -> int | None:
        """Return the number of this store where the file has rows of no other one."""
        places = self._stores(connection)
        return next(iter(places)) if list(places.values()) == [self._place] else None

    def _ask_for_indexes(self, connection: Connection, paths: Iterable[Keys]) -> None:
        """Make the indexes that a filter lacks, where that can be done at once; without, all rows are looked at."""
        asked = set(paths) - connection.settled
        if not asked or self._read_only or sqlite_indexes.has_few_rows(connection):
            return
        if not self._writing.acquire(blocking=False):
            return
        try:
            connection.execute("PRAGMA busy_timeout = 0")
            sqlite_indexes.make(connection, asked)
            connection.settled |= asked
        except sqlite3.OperationalError:
            return  # a writer is busy, the disk is full or read-only: the next filter asks again
        finally:
            connection.execute(f"PRAGMA busy_timeout = {int(self._timeout_s * 1000)}")
            self._writing.release()

    def _places(self) -> dict[int, Place]:
        return self._read(self._stores, {})

    @staticmethod
    def _stores(connection: sqlite3.Connection) -> dict[int, Place]:
        rows = connection.execute("SELECT id, host, path FROM stores").fetchall()
        return {number: Place(host.decode(), path.decode()) for number, host, path in rows}

    def _where(self, condition: Condition | None, also: Collection[str]) -> list[Found]:
        text, parameters = condition or ("1", [])
        select = "SELECT store, session_id, row, metadata FROM sessions WHERE"
        text = f"{select} {text}"
        if condition is not None and also:
            text += f" UNION ALL {select} {_OWN} AND session_id IN (SELECT value FROM json_each(?))"
            names = msgspec.json.encode(list(also)).decode()
            parameters = [*parameters, self._place.host, self._place.path, names]
        return self._found(text, parameters)

    def _of_uuids(self, uuids: list[str]) -> list[Found]:
        text = "SELECT store, session_id, row, metadata FROM sessions WHERE uuid IN (SELECT value FROM json_each(?))"
        return self._found(text, [msgspec.json.encode(uuids).decode()])

    def _found(self, text: str, parameters: list[Any]) -> list[Found]:
        rows: list[Any] = self._read(lambda connection: connection.execute(text, parameters).fetchall(), [])
        return [(store, session_id, (row, metadata)) for store, session_id, row, metadata in rows]

    def _decoded(self, rows: Iterable[Any]) -> list[SessionRow]:
        return sqlite_rows.decoded(list(rows), str(self.path))

    def page_view(self) -> SqlitePageView | None:
        """Return a view that gives pages; None while there are few rows, or rows of several stores."""

        def state(connection: sqlite3.Connection) -> str | None:
            store = self._alone(connection)
            text = "SELECT (SELECT max(id) FROM sessions), token, removed FROM stores WHERE id = ?"
            last, token, removed = (None, b"", 0) if store is None else connection.execute(text, [store]).fetchone()
            few = last is None or last < sqlite_indexes.MIN_ROWS
            return None if few else f"{token.decode()}-{last}-{removed}"

        found = self._read(state, None)
        return None if found is None else SqlitePageView(self, self._read, self._ask_for_indexes, found)

    def health(self) -> dict[str, Any]:
        """Return engine, url, rows, stores and the bytes of the file."""
        counts = self._read(
            lambda connection: connection.execute(
                "SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM stores)"
            ).fetchone(),
            (0, 0),
        )
        size = self.path.stat().st_size if self.path.exists() else 0
        return {"engine": "sqlite", "url": self.url, "rows": counts[0], "stores": counts[1], "bytes": size}

    def version(self) -> object:
        """Return SQLite's data_version, which an observing connection sees change with every commit of another."""
        if not self.path.exists():
            return None
        with self._breaker.guard(), gate.inside(), translated(self.path):
            if self._observer is None or not self._same_file(self._observer):
                self._observer = self._connect(to_write=False)
            return self._observer.identity, self._observer.execute("PRAGMA data_version").fetchone()[0]

    def close(self) -> None:
        """Close the connections."""
        with gate.inside():
            while self._idle:
                self._idle.pop().close()
            if self._observer is not None:
                self._observer.close()
                self._observer = None

    def _shown_place(self) -> str:
        return str(self.path)

    # ------------------------------------------------------------ connections

    def _read(self, work: Callable[[Connection], Result], empty: Result) -> Result:
        try:
            return self._run(work)
        except NoFile:
            return empty

    def _run(self, work: Callable[[Connection], Result], to_write: bool = False) -> Result:
        with self._breaker.guard(), gate.inside(), translated(self.path):
            connection = self._take(to_write)
            try:
                result = work(connection)
            except BaseException:
                connection.close()
                raise
            self._idle.append(connection)
            return result

    def _take(self, to_write: bool) -> Connection:
        with contextlib.suppress(IndexError):  # there is none (any more: another thread took it)
            while True:
                connection = self._idle.pop()
                if self._same_file(connection):
                    return connection
                connection.close()
        return self._connect(to_write)

    def _same_file(self, connection: Connection) -> bool:
        """Whether the file was not removed or replaced since: SQLite would go on using the unlinked file."""
        try:
            status = os.stat(self.path)
        except OSError:
            return False
        return connection.identity == (status.st_dev, status.st_ino)

    def _connect(self, to_write: bool) -> Connection:
        if to_write:
            files.make_dirs(self.path.parent)
            if files.status(self.path, follow=True) is None:  # with the mode that a shared folder needs
                os.close(files.open_to_append(self.path, durable=False))
        elif not self.path.exists():
            raise NoFile
        uri = f"{self.path.as_uri()}?mode={'rwc' if to_write else 'rw'}"
        connection = sqlite3.connect(
            uri, self._timeout_s, isolation_level=None, check_same_thread=False, factory=Connection, uri=True
        )
        try:
            connection.text_factory = bytes
            connection.execute("PRAGMA synchronous = FULL")
            ensure(connection, self.path, self._keys)
            status = os.stat(self.path)
            connection.identity = status.st_dev, status.st_ino
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_aside(self) -> None:
        """Rename a damaged file; its log is removed, since it belongs to that file only."""
        self.close()
        with translated(self.path):
            files.rename_new(self.path, self.path.with_name(f"{self.path.name}.damaged-{os.urandom(4).hex()}"))
            for suffix in ("-wal", "-shm"):
                files.remove(f"{self.path}{suffix}")
