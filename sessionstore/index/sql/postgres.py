"""The PostgreSQL engine: one database for the stores of many hosts, rows as JSONB with GIN, one upsert a change.

    postgresql://user@host:5432/fleet?timeout_s=2&keys=metadata.num_drones

A row belongs to a store (host and folder) and is keyed by its folder there; the same uuid in two stores is shown as one
session with two copies. The schema makes and migrates itself (index.sql.postgres_schema). No call waits longer than
``timeout_s`` without a sign of life, and after a failure none asks again for ``retry_s``. No message has the password.
Not here: connections (index.sql.postgres_pool), filters in SQL (index.sql.prefilter), waiting (index.changes).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import psycopg
from psycopg import errors, sql

from sessionstore.errors import IndexUnavailable
from sessionstore.index import FileStamp, RowStamp
from sessionstore.index.circuit_breaker import CircuitBreaker
from sessionstore.index.sql.postgres_notify import KEEP_NOTIFYING, Notifications
from sessionstore.index.sql.postgres_pool import Connection, Pool, Silence
from sessionstore.index.sql.postgres_schema import ensure, number_of, text_of, version_of
from sessionstore.index.sql.prefilter import Condition, Narrowing
from sessionstore.index.sql.rows import Found, SqlIndex, encoded, newest, revision
from sessionstore.index.sql.store_copies import Place
from sessionstore.index.url import IndexUrl, show_url
from sessionstore.model.row import SessionRow
from sessionstore.query import Path as Keys

_PUT = """
WITH put AS (
  INSERT INTO {schema}.sessions (store, session_id, uuid, rev, size, mtime_ns, active, plain, odd, row, changed, doc)
  {rows}
  ON CONFLICT (store, session_id) DO UPDATE SET uuid = excluded.uuid, rev = excluded.rev, size = excluded.size,
    mtime_ns = excluded.mtime_ns, active = excluded.active, plain = excluded.plain, odd = excluded.odd,
    row = excluded.row, changed = excluded.changed, doc = excluded.doc
  {guard}
) SELECT until > now() FROM {schema}.watch"""
#: JSONB refuses some rows: those are odd, and looked at by every search.
_DOC = "pg_current_xact_id()::text::bigint, CASE WHEN odd THEN '{{}}' ELSE row::jsonb - '{{size,mtime_ns}}'::text[] END"
_ONE = f"""SELECT given.*, {_DOC} FROM (VALUES (%s::bigint, %s::text, %s::text, %s::bigint, %s::bigint, %s::bigint,
    %s::bool, %s::bool, %s::bool, %s::text)) AS given (store, i, u, r, s, m, a, p, odd, row)"""
_MANY = f"""SELECT %s, given.*, {_DOC} FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::bool[], %s::bool[], %s::bool[], %s::text[]) AS given (i, u, r, s, m, a, p, odd, row)"""
_UNLESS_OLDER = "WHERE excluded.rev >= sessions.rev OR excluded.uuid <> sessions.uuid"
_REMOVE = """
WITH gone AS (DELETE FROM {schema}.sessions WHERE store = %s AND session_id = ANY(%s) RETURNING 1)
UPDATE {schema}.watch SET removed = removed + (SELECT count(*) FROM gone) RETURNING until > now()"""
_REGISTER = """
INSERT INTO {schema}.stores (host, path) VALUES (%s, %s)
ON CONFLICT (host, path) DO UPDATE SET seen_at = now() RETURNING id"""
_VERSION = """
SELECT (SELECT max(changed) FROM {schema}.sessions), (SELECT removed FROM {schema}.watch),
  (SELECT string_agg(x::text, ',' ORDER BY x) FROM pg_snapshot_xip(pg_current_snapshot()) AS x)"""
_STORES = """
SELECT host, path, seen_at, (SELECT count(*) FROM {schema}.sessions WHERE store = stores.id)
FROM {schema}.stores ORDER BY host, path"""
_CHUNK = 500
#: The server went away under a connection: its end, 08... (SQLSTATE), or shutting down, crashed, starting up.
_LOST = (None, "08000", "08003", "08006", "57P01", "57P02", "57P03")
Result = TypeVar("Result")


class PostgresIndex(SqlIndex):
    """The index in a PostgreSQL database; see the module and :class:`~sessionstore.index.SessionIndex`."""

    def __init__(self, url: IndexUrl, text: str, root: Path) -> None:
        super().__init__(root)
        self._url, self._text = url, show_url(text)
        self._narrowing = _PostgresNarrowing()
        self._breaker = CircuitBreaker(url.retry_s)
        self._pool = Pool(self._connect, url.pool, url.timeout_s)
        self._statements: dict[tuple[str, str, str], bytes] = {}
        self._number: int | None = None
        self._ensured = False

    def __repr__(self) -> str:
        return f"PostgresIndex({self.url!r})"

    @property
    def url(self) -> str:
        """The URL without its secrets."""
        return self._text

    # ------------------------------------------------------------ writing

    def put(self, rows: Iterable[SessionRow], exact: bool = False) -> None:
        """Insert or replace rows: one statement, one commit, for up to 500 of them."""
        ordered = iter(newest(rows, exact))
        while chunk := list(islice(ordered, _CHUNK)):
            self._write(partial(self._insert, rows=chunk, exact=exact))

    def remove(self, session_ids: Iterable[str]) -> None:
        """Remove rows with one statement."""
        gone = list(session_ids)
        if gone:
            self._write(lambda connection, store: self._changed(connection, self._sql(_REMOVE), [store, gone]))

    def replace_all(self, rows: Iterable[SessionRow]) -> None:
        """Hold exactly these rows of this store, in one transaction."""
        wanted = newest(rows, True)

        def swap(connection: Connection, store: int) -> bool:
            with connection.transaction():
                connection.execute(self._sql("DELETE FROM {schema}.sessions WHERE store = %s"), [store])
                for start in range(0, len(wanted), _CHUNK):
                    self._insert(connection, store, wanted[start : start + _CHUNK], True)
                return self._changed(
                    connection, self._sql("UPDATE {schema}.watch SET removed = removed + 1 RETURNING until > now()"), []
                )

        self._write(swap)

    def _insert(self, connection: Connection, store: int, rows: list[SessionRow], exact: bool) -> bool:
        guard = "" if exact else _UNLESS_OLDER
        if len(rows) == 1:  # lists cost the driver five times what single values do
            return self._changed(connection, self._sql(_PUT, _ONE, guard), [store, *columns_of(rows[0])])
        columns = [list(column) for column in zip(*map(columns_of, rows), strict=True)]
        return self._changed(connection, self._sql(_PUT, _MANY, guard), [store, *columns])

    @staticmethod
    def _changed(connection: Connection, text: bytes, parameters: list[Any]) -> bool:
        """Run a change; return whether a watcher listens."""
        found = connection.execute(text, parameters).fetchone()
        return found is not None and bool(found[0])

    def _write(self, work: Callable[[Connection, int], bool]) -> None:
        def change(connection: Connection) -> None:
            if not self._ensured:
                ensure(connection, self._url.schema, self._url.keys)
                self._ensured = True
            if self._number is None:
                place = [self._place.host, self._place.path]
                found = connection.execute(self._sql(_REGISTER), place).fetchone()
                assert found is not None
                self._number = int(found[0])
            if work(connection, self._number):
                # Apart from the change: a commit with a notification in it waits for every other such commit.
                connection.execute("SELECT pg_notify(%s, '')", [self.channel])

        try:
            self._run(change)
        except _Changed:  # the schema was dropped, or this store unregistered
            self._number, self._ensured = None, False
            try:
                self._run(change)
            except _Changed as error:
                raise IndexUnavailable(str(error)) from error

    # ------------------------------------------------------------ reading

    def stamps(self) -> Mapping[str, RowStamp]:
        """Return the state of each row's file, by session id."""
        rows = self._own("SELECT session_id, size, mtime_ns FROM {schema}.sessions")
        return {name: FileStamp(size, mtime_ns) for name, size, mtime_ns in rows}

    def active(self) -> list[SessionRow]:
        """Return this store's rows that say they run."""
        return self._decoded(row for (row,) in self._own("SELECT row FROM {schema}.sessions", " AND active"))

    def _own(self, text: str, also: str = "") -> list[tuple[Any, ...]]:
        text += " WHERE store = (SELECT id FROM {schema}.stores WHERE host = %s AND path = %s)" + also
        return self._rows(self._sql(text), [self._place.host, self._place.path])

    def _places(self) -> dict[int, Place]:
        rows = self._rows(self._sql("SELECT id, host, path FROM {schema}.stores"))
        return {number: Place(host, path) for number, host, path in rows}

    def _where(self, condition: Condition | None, also: Collection[str]) -> list[Found]:
        select = "SELECT store, session_id, row FROM {schema}.sessions"
        if condition is None:
            return self._rows(self._sql(select))
        rest = self._sql(f" UNION ALL {select} WHERE odd UNION ALL {select} WHERE session_id = ANY(%s)")
        text = self._sql(select + " WHERE ") + condition[0].encode() + rest
        return self._rows(text, [*condition[1], list(also)])

    def _of_uuids(self, uuids: list[str]) -> list[Found]:
        return self._rows(
            self._sql("SELECT store, session_id, row FROM {schema}.sessions WHERE uuid = ANY(%s)"), [uuids]
        )

    def health(self) -> dict[str, Any]:
        """Return engine, url, server, rows and stores. Raises: as :meth:`find`."""
        rows = self._rows(self._sql(_STORES))
        server = self._run(lambda connection: connection.info.server_version)
        return {
            "engine": "postgresql",
            "url": self.url,
            "server": f"{server // 10000}.{server % 10000}",
            "rows": sum(row[3] for row in rows),
            "stores": len(rows),
        }

    def stores(self) -> list[dict[str, Any]]:
        """Return the stores that are registered: host, path, when it first wrote in a process, rows."""
        rows = self._rows(self._sql(_STORES))
        return [{"host": host, "path": path, "seen_at": seen, "rows": count} for host, path, seen, count in rows]

    def forget(self, host: str, path: str) -> int:
        """Unregister a store that no longer exists, with its rows; return the number of stores removed."""
        text = self._sql("DELETE FROM {schema}.stores WHERE host = %s AND path = %s")
        return self._run(lambda connection: connection.execute(text, [host, path]).rowcount)

    def version(self) -> object:
        """Return what differs once a change is committed: the last change, the removals, and the open transactions."""
        rows = self._rows(self._sql(_VERSION))
        return rows[0] if rows else None

    def _shown_place(self) -> str:
        return self.url

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    # ------------------------------------------------------------ notifications

    @property
    def channel(self) -> str:
        """The channel of change notifications."""
        return f"sessionstore_{self._url.schema}"[:63]

    def subscribe(self) -> Notifications:
        """Return notifications of changes over a connection of their own. Raises: IndexUnavailable, NewerFormat."""
        with self._translated():
            return Notifications(self._connect(), self.channel, self._sql(KEEP_NOTIFYING))

    # ------------------------------------------------------------ connections

    def _rows(self, text: bytes, parameters: list[Any] | None = None) -> list[Any]:
        def work(connection: Connection) -> list[Any]:
            return connection.execute(text, parameters).fetchall()

        try:
            return self._run(work)
        except _Changed:
            return []  # no schema yet: nothing was written

    def _run(self, work: Callable[[Connection], Result]) -> Result:
        with self._breaker.guard() as check, self._translated():
            borrowed: list[Connection] = []
            try:
                with self._pool.connection(check=check) as connection:
                    borrowed.append(connection)
                    return work(connection)
            except psycopg.OperationalError as error:
                if not borrowed or not borrowed[0].kept or isinstance(error, Silence) or error.sqlstate not in _LOST:
                    raise
            with self._pool.connection(fresh=True) as connection:  # the server was restarted since the last call
                return work(connection)

    def _connect(self) -> Connection:
        url, timeout_ms = self._url, int(self._url.timeout_s * 1000)
        arguments = {
            "host": url.host, "port": url.port, "dbname": url.path or None, "user": url.user, "password": url.password,
            "client_encoding": "UTF8", "application_name": "sessionstore", "tcp_user_timeout": timeout_ms,
        }  # fmt: skip
        given = {name: value for name, value in arguments.items() if value is not None} | dict(url.driver)
        connection = Connection.open(url.timeout_s, **given)
        try:
            connection.execute(f"SET statement_timeout = {timeout_ms}; SET lock_timeout = {timeout_ms}")
            version_of(connection, url.schema)
        except BaseException:
            connection.close()
            raise
        return connection

    def _sql(self, text: str, rows: str = "", guard: str = "") -> bytes:
        """Return a statement with the names of this schema; made once, since that takes as long as sending it."""
        key = (text, rows, guard)
        if key not in self._statements:
            schema = f'"{self._url.schema}"'  # a lower-case name (index.url)
            text = text.format(schema=schema, rows=rows.format(), guard=guard)
            self._statements[key] = text.encode()
        return self._statements[key]

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (errors.UndefinedTable, errors.InvalidSchemaName, errors.ForeignKeyViolation) as error:
            raise _Changed(self._message(error)) from None
        except psycopg.Error as error:
            # "from None": a traceback would show the driver's own text, which may repeat what it was given
            raise IndexUnavailable(self._message(error)) from None

    def _message(self, error: psycopg.Error) -> str:
        reason = " ".join(str(error).split()) or type(error).__name__
        return self._url.hide(f"{self.url}: {reason}")


class _Changed(Exception):
    """What a statement needs is not there (any more): the schema, or the number of this store."""


def columns_of(row: SessionRow) -> tuple[Any, ...]:
    """Return a row as the columns that are given."""
    text = encoded(row)
    odd = b"\\u0000" in text  # JSONB refuses it: such a row is looked at by every search
    return (
        row.session_id, row.uuid, revision(row), row.size, row.mtime_ns, row.owner is not None, text.isascii(), odd,
        text.decode(),
    )  # fmt: skip


class _PostgresNarrowing(Narrowing):
    """Equality by containment (GIN), order by expressions (numeric; text by bytes); a list is the text of its JSON."""

    def addressable(self, path: Keys) -> bool:
        """Every key is."""
        return True

    def number(self, path: Keys, low: Decimal | None, high: Decimal | None) -> Condition | None:
        """As numeric, which is exact."""
        return self._or_list(path, *_between(_text(number_of(path)), low, high))

    def text(self, path: Keys, low: str | None, high: str | None) -> Condition | None:
        """By the first 200 characters."""
        bounds = (None if bound is None else bound[:200] for bound in (low, high))
        return self._or_list(path, *_between(_text(text_of(path)), *bounds))

    def equal(self, path: Keys, value: str | int | float | bool) -> Condition | None:
        """The document contains the value, or a list with it."""
        forms = [value, [value]] if path[0] in ("metadata", "tags") else [value]
        return " OR ".join(["doc @> %s::jsonb"] * len(forms)), [_nested(path, form) for form in forms]

    def _or_list(self, path: Keys, test: str, parameters: list[Any]) -> Condition:
        if path[0] not in ("tags", "metadata"):
            return test, parameters
        value = _text(text_of(path))  # "\" follows "[" : the text of a list is between the two
        return f"({test}) OR ({value} >= '[' AND {value} < '\\')", parameters

    def empty(self, path: Keys) -> Condition | None:
        """Both have no text."""
        return f"{_text(text_of(path))} IS NULL", []

    def present(self, path: Keys) -> Condition | None:
        """JSON's null is not SQL's."""
        return _text(sql.SQL("(doc #> {}) IS NOT NULL").format(sql.Literal(list(path)))), []

    def holds(self, path: Keys | None, word: str) -> Condition | None:
        """lower() of collation C folds ASCII; rows with other letters are all looked at."""
        where = sql.SQL('((doc #>> {}) COLLATE "C")').format(sql.Literal(list(path))) if path else sql.SQL("row")
        return f"NOT plain OR position(%s in lower({_text(where)})) > 0", [word]


def _between(value: str, low: Any, high: Any) -> tuple[str, list[Any]]:
    tests = ([f"{value} >= %s"] if low is not None else []) + ([f"{value} <= %s"] if high is not None else [])
    return " AND ".join(tests), [bound for bound in (low, high) if bound is not None]


def _text(expression: sql.Composable) -> str:
    return expression.as_string(None).replace("%", "%%")


def _nested(path: Keys, value: Any) -> str:
    for key in reversed(path):
        value = {key: value}
    return msgspec.json.encode(value).decode()
