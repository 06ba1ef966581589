"""Rows as an SQLite file holds them: the fields that filters search as columns, the rest and the metadata as JSON.

A row is stored without its metadata, which stands in a column of its own: an index on a key of the metadata is touched
by a write that changes the metadata, and by no other. An update sets the columns that differ, and no others, since
SQLite writes every index that a column named in an UPDATE belongs to, whether its value differs or not.
Not here: tables and indexes (index.sql.sqlite_schema), connections (index.sql.sqlite).
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from sessionstore.errors import Corrupt
from sessionstore.index.sql.rows import encoded, revision
from sessionstore.model.row import SessionRow

#: Fields that hold only texts or only numbers, or null: each is a column of the same name.
TEXTS = (
    "status", "workflow_state", "session_name", "created_at", "updated_at", "started_at", "ended_at", "end_reason",
)  # fmt: skip
NUMBERS = ("duration_sim_s", "num_drones", "points", "distance_m", "windows_cleaned")
FIELDS = TEXTS + NUMBERS
#: The columns beside store and session_id.
NAMES = ("uuid", "rev", "size", "mtime_ns", "active", "plain", *FIELDS, "tags", "row", "metadata")
_NAMED = ", ".join(NAMES)
_IS_THERE = " WHERE store = ? AND session_id = ?"
INSERT = f"INSERT INTO sessions (store, session_id, {_NAMED}) VALUES (?, ?{', ?' * len(NAMES)})"
_COMPARE = f"SELECT id, ? >= rev, {', '.join(f'{name} IS ?' for name in NAMES)} FROM sessions{_IS_THERE}"
_LARGEST = 2**63
_KEY = b',"metadata":'

_fields = attrgetter(*FIELDS)
_encode = msgspec.json.Encoder().encode
_decode_all = msgspec.json.Decoder(list[SessionRow]).decode
_set = msgspec.structs.force_setattr


def columns_of(row: SessionRow) -> tuple[Any, ...]:
    """Return the values of all columns but store and session_id."""
    text, metadata = _parted(encoded(row), bytes(row.raw_metadata))
    tags = row.tags
    return (
        row.uuid, revision(row), row.size, row.mtime_ns, row.owner is not None,
        text.isascii() and metadata.isascii(), *map(_storable, _fields(row)),
        _encode(tags).decode() if tags else None, text.decode(), metadata.decode(),
    )  # fmt: skip


def _parted(text: bytes, metadata: bytes) -> tuple[bytes, bytes]:
    """Return the JSON of a row without its metadata, and the metadata."""
    begin = text.find(_KEY + metadata[:1])  # a text holds no quote unescaped, and the other objects hold no object
    end = begin + len(_KEY) + len(metadata)
    return text[:begin] + text[end:], metadata


def _storable(value: Any) -> Any:
    """Return a value as SQLite holds it: an integer beyond 64 bits as a float."""
    if type(value) is not int or -_LARGEST <= value < _LARGEST:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def insert(connection: sqlite3.Connection, store: int, rows: Iterable[SessionRow]) -> None:
    """Insert rows that are not there."""
    connection.executemany(INSERT, ((store, row.session_id, *columns_of(row)) for row in rows))


def put(connection: sqlite3.Connection, store: int, row: SessionRow, exact: bool) -> None:
    """Insert a row, or change what differs; unless ``exact``, an older revision does not replace a newer one."""
    columns = columns_of(row)
    found = connection.execute(_COMPARE, (columns[1], *columns, store, row.session_id)).fetchone()
    if found is None:
        connection.execute(INSERT, (store, row.session_id, *columns))
        return
    number, is_as_new, *same = found
    if not (exact or is_as_new or not same[0]):  # the uuid stands first
        return
    changed = [place for place, equal in enumerate(same) if not equal]
    if changed:
        names = ", ".join(f"{NAMES[place]} = ?" for place in changed)
        connection.execute(
            f"UPDATE sessions SET {names} WHERE id = ?", (*(columns[place] for place in changed), number)
        )


def decoded(found: Sequence[tuple[bytes, bytes]], place: str) -> list[SessionRow]:
    """Return the rows of (row, metadata) as they are stored. Raises: Corrupt."""
    try:
        rows = _decode_all(b"[%b]" % b",".join([text for text, _ in found]))
        raw = msgspec.Raw
        for row, (_, metadata) in zip(rows, found, strict=True):
            _set(row, "raw_metadata", raw(metadata))
    except (ValueError, TypeError) as error:  # of msgspec, of UTF-8, or another number of rows
        raise Corrupt(f"a row does not parse: {error}", place) from error
    return rows
