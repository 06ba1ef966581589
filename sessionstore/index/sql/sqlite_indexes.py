"""Indexes that an SQLite file gets when filters first ask for them.

Each index that a row stands in is a page that writing the row writes, so a store without filters has none. The
first filter on a field, or on a key of the metadata, makes an index of it; it stays in the file, where SQLite keeps it
right for every process and version. With few rows a look at all of them is as quick. An index holds the moment of
creation and the id beside the value, so that a page, newest first, and the number of rows that fit are read from it
alone; it holds no row that lacks the value.
Not here: which paths a filter asks for (index.sql.sqlite_conditions), the tables (index.sql.sqlite_schema).
"""

from __future__ import annotations

import re
import sqlite3
import zlib
from collections.abc import Iterable

from sessionstore.index.sql.sqlite_conditions import value_of
from sessionstore.query import Path as Keys

#: The fewest rows that get an index, and the most keys of the metadata that do.
MIN_ROWS = 1000
MOST_KEYS = 16
CREATED = ("created_at",)
_PLAIN = re.compile("[a-z0-9_ -]+")
UUID = "CREATE INDEX IF NOT EXISTS sessions_uuid ON sessions (uuid)"


def name_of(keys: Keys) -> str:
    """Return the name of the index of a path. SQLite takes names that differ in case for the same."""
    name = "sessions_" + ".".join(keys)
    return name if all(map(_PLAIN.fullmatch, keys)) else f"{name}#{zlib.crc32(repr(keys).encode()):08x}"


def index_names(connection: sqlite3.Connection) -> set[str]:
    """Return the names of the indexes that a file has."""
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'").fetchall()
    return {name.decode() if isinstance(name, bytes) else name for (name,) in rows}


def index_on(connection: sqlite3.Connection, keys: Keys) -> None:
    """Make the index of a path, unless it is there."""
    value, name = value_of(keys), name_of(keys).replace('"', '""')
    columns, rows = f"{value}, created_at, session_id", f" WHERE {value} IS NOT NULL"
    if keys == CREATED:  # the order of every list
        columns, rows = "created_at, session_id", ""
    connection.execute(f'CREATE INDEX IF NOT EXISTS "{name}" ON sessions ({columns}){rows}')


def has_few_rows(connection: sqlite3.Connection) -> bool:
    """Whether looking at all rows is as quick as an index."""
    (last,) = connection.execute("SELECT max(id) FROM sessions").fetchone()
    return last is None or last < MIN_ROWS


def make(connection: sqlite3.Connection, asked: Iterable[Keys]) -> None:
    """Make the indexes of paths that have none, in one commit. Raises: sqlite3.Error: none was made."""
    if not _lacking(connection, asked):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for keys in _lacking(connection, asked):
            index_on(connection, keys)
        analyse(connection)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _lacking(connection: sqlite3.Connection, asked: Iterable[Keys]) -> list[Keys]:
    present = index_names(connection)
    room = MOST_KEYS - sum(name.startswith("sessions_metadata.") for name in present)
    found = []
    for keys in (each for each in asked if name_of(each) not in present):
        room -= keys[0] == "metadata"
        if keys[0] != "metadata" or room >= 0:
            found.append(keys)
    return found


def analyse(connection: sqlite3.Connection) -> None:
    """Let SQLite count what its indexes hold: without, it takes the status for as selective as a key."""
    connection.execute("PRAGMA analysis_limit = 4000")
    connection.execute("ANALYZE")
