"""The raw drivers doing what our engines do: one prepared upsert into the very same tables, columns ready-made.

What they do not do is encode rows, check the file or the server, and lend connections; as durable they are.
Not here: when they run (engines).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from sessionstore.index import SessionIndex
from sessionstore.model.row import SessionRow

Raw = tuple[Callable[[SessionRow], Callable[[], object]], Callable[[], None]]


def raw_sqlite(url: str, index: SessionIndex, folder: Path) -> Raw:
    from sessionstore.index.sql.sqlite_rows import INSERT, NAMES, columns_of

    path = index.path  # type: ignore[attr-defined]  # an SqliteIndex has it
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    store = connection.execute("SELECT id FROM stores WHERE path = ?", (str(folder),)).fetchone()[0]

    changes = ", ".join(f"{name} = excluded.{name}" for name in NAMES)
    upsert = f"{INSERT} ON CONFLICT (store, session_id) DO UPDATE SET {changes} WHERE excluded.rev >= sessions.rev"

    def prepare(row: SessionRow) -> Callable[[], object]:
        columns = (store, row.session_id, *columns_of(row))

        def work() -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(upsert, columns)
            connection.execute("COMMIT")

        return work

    return prepare, connection.close


def raw_postgres(url: str, index: SessionIndex, folder: Path) -> Raw:
    import psycopg

    from sessionstore.index.sql.postgres import columns_of
    from sessionstore.index.url import parse_url

    settings = parse_url(url)
    connection = psycopg.connect(driver_url(url), autocommit=True)
    connection.prepare_threshold = 0
    connection.execute(f"SET search_path = {settings.schema}")  # type: ignore[arg-type, unused-ignore]
    found = connection.execute("SELECT id FROM stores WHERE path = %s", [str(folder)]).fetchone()
    assert found is not None

    def prepare(row: SessionRow) -> Callable[[], object]:
        name, uuid, rev, size, mtime_ns, active, plain, odd, text = columns_of(row)
        given = [found[0], name, uuid, rev, size, mtime_ns, active, plain, odd, text, text]
        return lambda: connection.execute(_RAW_UPSERT, given)

    return prepare, connection.close


_RAW_UPSERT = """
INSERT INTO sessions (store, session_id, uuid, rev, size, mtime_ns, active, plain, odd, changed, row, doc)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, pg_current_xact_id()::text::bigint, %s,
  %s::jsonb - '{size,mtime_ns}'::text[])
ON CONFLICT (store, session_id) DO UPDATE SET uuid = excluded.uuid, rev = excluded.rev, size = excluded.size,
  mtime_ns = excluded.mtime_ns, active = excluded.active, plain = excluded.plain, odd = excluded.odd,
  changed = excluded.changed, row = excluded.row, doc = excluded.doc WHERE excluded.rev >= sessions.rev"""
RAW: dict[str, Callable[[str, SessionIndex, Path], Raw]] = {"sqlite": raw_sqlite, "postgresql": raw_postgres}


def driver_url(url: str) -> str:
    from urllib.parse import parse_qsl, urlencode

    base, _, query = url.partition("?")
    ours = ("schema", "keys", "timeout_s", "retry_s", "pool")
    kept = urlencode([(name, value) for name, value in parse_qsl(query) if name not in ours])
    return base + (f"?{kept}" if kept else "")
