"""The tables in an SQLite file, the expressions on them, and what a filter implies in them.

Rows are JSON; indexes stand on ``json_extract`` of the record's fields, and of the metadata keys that the user named.
A row that lacks a value stands in no index of it: a new session has none of most fields, and each index that it stands
in is a page written. So what asks for a missing value looks at all rows.
Not here: connections and transactions (index.sqlite), the walk over a filter (index.narrowing).
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from sessionstore.errors import IndexUnavailable, NewerFormat
from sessionstore.index.sql.prefilter import Condition, Narrowing
from sessionstore.query import Path as Keys

SCHEMA = 2
_POLL_S = 0.002
_APPLICATION = 0x53455353  # "SESS": marks our files
_FIELDS = (
    "status", "workflow_state", "session_name", "created_at", "started_at", "ended_at", "end_reason",
    "duration_sim_s", "num_drones", "points", "distance_m", "windows_cleaned",
)  # fmt: skip
_TABLES = """
CREATE TABLE stores (id INTEGER PRIMARY KEY, host TEXT NOT NULL, path TEXT NOT NULL, UNIQUE (host, path));
CREATE TABLE sessions (
  id INTEGER PRIMARY KEY, store INTEGER NOT NULL REFERENCES stores, session_id TEXT NOT NULL, uuid TEXT NOT NULL,
  rev INTEGER NOT NULL,
  size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, active INTEGER NOT NULL, plain INTEGER NOT NULL, row TEXT NOT NULL,
  UNIQUE (store, session_id));
CREATE INDEX sessions_uuid ON sessions (uuid);
CREATE INDEX sessions_active ON sessions (store) WHERE active;
CREATE INDEX sessions_odd ON sessions (store) WHERE NOT plain;
CREATE TABLE tags (tag TEXT NOT NULL, session INTEGER NOT NULL, PRIMARY KEY (tag, session)) WITHOUT ROWID;
CREATE INDEX tags_session ON tags (session);
CREATE TRIGGER tags_added AFTER INSERT ON sessions WHEN json_extract(new.row, '$.tags') IS NOT NULL BEGIN
  INSERT INTO tags SELECT DISTINCT value, new.id FROM json_each(new.row, '$.tags'); END;
CREATE TRIGGER tags_changed AFTER UPDATE OF row ON sessions
  WHEN json_extract(new.row, '$.tags') IS NOT json_extract(old.row, '$.tags') BEGIN
  DELETE FROM tags WHERE session = new.id;
  INSERT INTO tags SELECT DISTINCT value, new.id FROM json_each(new.row, '$.tags'); END;
CREATE TRIGGER tags_removed AFTER DELETE ON sessions BEGIN DELETE FROM tags WHERE session = old.id; END;
"""


def ensure(connection: sqlite3.Connection, path: Path, keys: tuple[Keys, ...]) -> None:
    """Bring a file up to date, and index the metadata keys that were named; one commit or none.

    Raises: NewerFormat; IndexUnavailable: it belongs to another program; sqlite3.Error.
    """
    with _one_state(connection):
        version = _version_of(connection, path)
        missing = [key for key in keys if f"sessions_{'.'.join(key)}" not in _index_names(connection)]
    if version == SCHEMA and not missing:
        return
    _turn_to_wal(connection)
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version_of(connection, path)
        if version == 0:
            for statement in _TABLES.split(";\nCREATE "):
                connection.execute(statement if statement.lstrip().startswith("CREATE") else f"CREATE {statement}")
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        if version < SCHEMA:
            _make_indexes(connection)
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
        for key in missing:
            _index_on(connection, key)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


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


def analyse(connection: sqlite3.Connection) -> None:
    """Let SQLite count what its indexes hold: without, it takes the status for as selective as a key."""
    connection.execute("PRAGMA analysis_limit = 4000")
    connection.execute("ANALYZE")


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


def _index_names(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'").fetchall()
    return {name.decode() for (name,) in rows}


def _make_indexes(connection: sqlite3.Connection) -> None:
    """Make the indexes of the fields, and anew those of an earlier version, which held every row."""
    expressions = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '%json_extract%'"
    )
    names = [name.decode() if isinstance(name, bytes) else name for (name,) in expressions.fetchall()]
    for name in names:
        connection.execute(f'DROP INDEX "{name}"')
    for keys in [(field,) for field in _FIELDS] + [tuple(name.removeprefix("sessions_").split(".")) for name in names]:
        _index_on(connection, keys)


def _index_on(connection: sqlite3.Connection, keys: Keys) -> None:
    name = '"sessions_' + ".".join(keys) + '"'  # fields are ours, keys hold no quotes (index.url)
    value = _value(keys)
    connection.execute(f"CREATE INDEX IF NOT EXISTS {name} ON sessions ({value}) WHERE {value} IS NOT NULL")


def _value(keys: Keys) -> str:
    """Return the expression of a value; keys that need care are not addressable."""
    return "json_extract(row, '$" + "".join(f'."{key}"' for key in keys).replace("'", "''") + "')"


class SqliteNarrowing(Narrowing):
    """SQLite compares by kind: null, then numbers (true is 1), then text by bytes; a list is the text of its JSON."""

    def addressable(self, path: Keys) -> bool:
        """Keys that SQLite finds: without quotes, backslashes and control characters, which JSON escapes."""
        return all(key and not any(char in '"\\' or char < " " for char in key) for key in path)

    def number(self, path: Keys, low: Decimal | None, high: Decimal | None) -> Condition | None:
        """Numbers lie below the empty text."""
        value = _value(path)
        tests = [f"{value} >= ?"] if low is not None else []
        tests += [f"{value} <= ?"] if high is not None else [f"{value} < ''"]
        bounds = [float(bound) for bound in (low, high) if bound is not None]
        return self._or_list(path, " AND ".join(tests), bounds)

    def text(self, path: Keys, low: str | None, high: str | None) -> Condition | None:
        """Text sorts from the empty one on."""
        if path == ("tags",):
            return _tagged(low, high)
        value = _value(path)
        tests = [f"{value} >= ?"] + ([f"{value} <= ?"] if high is not None else [])
        return self._or_list(path, " AND ".join(tests), [low or "", *([high] if high is not None else [])])

    def equal(self, path: Keys, value: str | int | float | bool) -> Condition | None:
        """One value, or the text of a list; a tag has a table of its own."""
        if path == ("tags",) and isinstance(value, str):
            return _tagged(value, value)
        if isinstance(value, float) and not value.is_integer():
            slack = Decimal(abs(value)) * Decimal("1e-12") + Decimal("1e-300")
            return self.number(path, Decimal(value) - slack, Decimal(value) + slack)
        return self._or_list(path, f"{_value(path)} = ?", [value])

    def _or_list(self, path: Keys, test: str, parameters: list[Any]) -> Condition:
        if path[0] not in ("tags", "metadata"):
            return test, parameters
        value = _value(path)  # "\" follows "[" : the text of a list is between the two
        # Without a word on it, the planner expects many lists that it prefers another index.
        return f"({test}) OR ({value} >= '[' AND likelihood({value} < '\\', 0.0001))", parameters

    def empty(self, path: Keys) -> Condition | None:
        """SQL's NULL is both."""
        return f"{_value(path)} IS NULL", []

    def present(self, path: Keys) -> Condition | None:
        """The kind of JSON's null is the word "null"."""
        return _value(path).replace("json_extract", "json_type", 1) + " IS NOT NULL", []

    def holds(self, path: Keys | None, word: str) -> Condition | None:
        """lower() folds ASCII; rows with other letters are all looked at."""
        return f"NOT plain OR instr(lower({_value(path) if path else 'row'}), ?)", [word]


def _tagged(low: str | None, high: str | None) -> Condition:
    tests = (["tag >= ?"] if low is not None else []) + (["tag <= ?"] if high is not None else [])
    bounds = [bound for bound in (low, high) if bound is not None]
    return f"id IN (SELECT session FROM tags WHERE {' AND '.join(tests)})", bounds
