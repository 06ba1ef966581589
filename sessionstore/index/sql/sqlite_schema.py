"""The tables in an SQLite file, made and brought up to date in one commit.

Only what every store needs is there from the beginning: a new session is one page of the table and one of its key. What
filters ask for gets an index when it is first asked for (index.sql.sqlite_indexes).
Not here: connections and transactions (index.sql.sqlite), the columns of a row (index.sql.sqlite_rows).
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import msgspec

from sessionstore.errors import Corrupt, IndexUnavailable, NewerFormat
from sessionstore.index.sql import sqlite_rows
from sessionstore.index.sql.sqlite_indexes import index_names, index_on, name_of
from sessionstore.model.row import SessionRow
from sessionstore.query import Path as Keys

SCHEMA = 3
_POLL_S = 0.002
_APPLICATION = 0x53455353  # "SESS": marks our files
_CHUNK = 1000
_STORES = """
CREATE TABLE stores (id INTEGER PRIMARY KEY, host TEXT NOT NULL, path TEXT NOT NULL, token TEXT NOT NULL DEFAULT '',
  removed INTEGER NOT NULL DEFAULT 0, UNIQUE (host, path))"""
_SESSIONS = f"""
CREATE TABLE sessions (
  id INTEGER PRIMARY KEY, store INTEGER NOT NULL REFERENCES stores, session_id TEXT NOT NULL, uuid TEXT NOT NULL,
  rev INTEGER NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, active INTEGER NOT NULL,
  plain INTEGER NOT NULL, {", ".join(sqlite_rows.FIELDS)}, tags TEXT, row TEXT NOT NULL, metadata TEXT NOT NULL,
  UNIQUE (store, session_id))"""
_BESIDE = (
    "CREATE INDEX sessions_active ON sessions (store) WHERE active",
    "CREATE INDEX sessions_missing ON sessions (store) WHERE status = 'missing'",
    "CREATE TABLE tags (tag TEXT NOT NULL, session INTEGER NOT NULL, PRIMARY KEY (tag, session)) WITHOUT ROWID",
    """CREATE TRIGGER tags_added AFTER INSERT ON sessions WHEN new.tags IS NOT NULL BEGIN
      INSERT INTO tags SELECT DISTINCT value, new.id FROM json_each(new.tags); END""",
    """CREATE TRIGGER tags_changed AFTER UPDATE OF tags ON sessions BEGIN
      DELETE FROM tags WHERE session = old.id AND tag IN (SELECT value FROM json_each(old.tags));
      INSERT INTO tags SELECT DISTINCT value, new.id FROM json_each(new.tags); END""",
    """CREATE TRIGGER tags_removed AFTER DELETE ON sessions WHEN old.tags IS NOT NULL BEGIN
      DELETE FROM tags WHERE session = old.id AND tag IN (SELECT value FROM json_each(old.tags)); END""",
)


def ensure(connection: sqlite3.Connection, path: Path, keys: tuple[Keys, ...]) -> None:
    """Bring a file up to date, and index the metadata keys that were named; one commit or none.

    Raises: NewerFormat; IndexUnavailable: it belongs to another program; Corrupt: a row of an earlier version does not
        parse; sqlite3.Error.
    """
    with _one_state(connection):
        version = _version_of(connection, path)
        missing = {name_of(key) for key in keys} - index_names(connection) if keys else set()
    if version == SCHEMA and not missing:
        return
    _turn_to_wal(connection)
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version_of(connection, path)
        if version == 0:
            for statement in (_STORES, _SESSIONS, *_BESIDE):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        elif version < SCHEMA:
            _migrate(connection, path)
        if version < SCHEMA:
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
        for key in keys:
            index_on(connection, key)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Turn the tables of versions 1 and 2, whose rows were JSON alone, into those of this one; within a transaction.

    The named metadata keys keep their indexes; those of fields, which every file had, are made when they are asked for.
    """
    dropped = connection.execute(
        "SELECT type, name FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
    ).fetchall()
    named = [(_text(kind), _text(name)) for kind, name in dropped]
    for kind, name in named:
        connection.execute(f'DROP {kind.upper()} "{name}"')
    connection.execute("DROP TABLE tags")
    connection.execute("ALTER TABLE sessions RENAME TO sessions_before")
    connection.execute("ALTER TABLE stores ADD COLUMN token TEXT NOT NULL DEFAULT ''")
    connection.execute("ALTER TABLE stores ADD COLUMN removed INTEGER NOT NULL DEFAULT 0")
    connection.execute("UPDATE stores SET token = hex(randomblob(8))")
    connection.execute(_SESSIONS)
    before = connection.execute("SELECT store, row FROM sessions_before ORDER BY id")
    while chunk := before.fetchmany(_CHUNK):
        connection.executemany(sqlite_rows.INSERT, chain.from_iterable(_migrated(each, path) for each in chunk))
    connection.execute("DROP TABLE sessions_before")
    for statement in _BESIDE[:3]:
        connection.execute(statement)
    connection.execute("INSERT INTO tags SELECT DISTINCT value, sessions.id FROM sessions, json_each(sessions.tags)")
    for statement in _BESIDE[3:]:
        connection.execute(statement)
    for _, name in named:
        if name.startswith("sessions_metadata."):
            index_on(connection, tuple(name.removeprefix("sessions_").split(".")))


def _migrated(found: tuple[int, bytes | str], path: Path) -> Iterator[tuple[object, ...]]:
    store, text = found
    try:
        row = msgspec.json.decode(text, type=SessionRow)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Corrupt(f"a row does not parse: {error}", path) from error
    yield store, row.session_id, *sqlite_rows.columns_of(row)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _turn_to_wal(connection: sqlite3.Connection) -> None:
    """Let readers and one writer go on at once. SQLite waits for a transaction, but not for this: several that make a
    file at once would refuse one another."""
    until = time.monotonic() + connection.execute("PRAGMA busy_timeout").fetchone()[0] / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(_POLL_S)


@contextlib.contextmanager
def _one_state(connection: sqlite3.Connection) -> Iterator[None]:
    """Let everything read inside be of one moment: a file that is being made is empty or whole."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _version_of(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of the schema, 0 in a new file. Raises: NewerFormat, IndexUnavailable."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != _APPLICATION and (
        version or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    ):
        raise IndexUnavailable(f"{path} is the database of another program")
    if version > SCHEMA:
        raise NewerFormat(f"schema {version}, this version knows {SCHEMA}", path)
    return version
