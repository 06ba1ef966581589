"""Files of the SQLite engine as earlier versions made them."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from sessionstore.index.sql.rows import encoded
from sessionstore.index.sql.store_copies import this_place
from sessionstore.model.row import SessionRow

#: The tables as version 2 made them.
TABLES_2 = """
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
CREATE TRIGGER tags_removed AFTER DELETE ON sessions BEGIN DELETE FROM tags WHERE session = old.id; END;
CREATE INDEX sessions_status ON sessions (json_extract(row, '$.status'));
CREATE INDEX "sessions_metadata.site" ON sessions (json_extract(row, '$."metadata"."site"'));
PRAGMA application_id = 1397052243;
"""


def as_version(version: int, path: Path, rows: Sequence[SessionRow]) -> None:
    """Make a file as an earlier version did (the second one left rows without a value out of its indexes)."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(f"PRAGMA journal_mode = WAL; {TABLES_2} PRAGMA user_version = {version};")
        place = this_place(path.parent)
        connection.execute("INSERT INTO stores VALUES (1, ?, ?)", [place.host, place.path])
        text = "INSERT INTO sessions VALUES (NULL, 1, ?, ?, ?, ?, ?, ?, ?, ?)"
        for row in rows:
            raw = encoded(row).decode()
            given = [row.session_id, row.uuid, row.rev, row.size, row.mtime_ns, row.owner is not None, raw.isascii()]
            connection.execute(text, [*given, raw])
