"""The schema of the SQLite engine: what an earlier version left is brought up to date, and what a write touches."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from sessionstore.index import open_index
from sessionstore.index.sql.sqlite_schema import _FIELDS, SCHEMA, _value
from sessionstore.model.row import FILTER_FIELDS
from sessionstore.query import parse
from tests.rows import a_row

KEYED = "sqlite:?keys=metadata.site"
ASKED = ("status=failed", "points>2", "points=null", "metadata.site=3", "tags=night", "session_name!=null", "points<9")


def _as_version_1(path: Path) -> None:
    """Give a file the indexes that version 1 made: each holds every row."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for keys in [*((field,) for field in _FIELDS), ("metadata", "site")]:
            name = '"sessions_' + ".".join(keys) + '"'
            connection.execute(f"DROP INDEX {name}")
            connection.execute(f"CREATE INDEX {name} ON sessions ({_value(keys)})")
        connection.execute("PRAGMA user_version = 1")


def _indexes(path: Path) -> dict[str, str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        return dict(found.fetchall())


def test_a_file_of_the_first_schema_opens_with_its_rows_and_gets_the_new_indexes(tmp_path: Path) -> None:
    rows = [
        a_row(
            f"s{n}", status="failed" if n % 3 else "completed", points=n or None, tags=["night"], metadata={"site": n}
        )
        for n in range(10)
    ]
    with contextlib.closing(open_index(KEYED, tmp_path)) as index:
        index.put(rows)
        wanted = {text: index.find(parse(text, FILTER_FIELDS)) for text in ASKED}
    path = tmp_path / "index.sqlite"
    new = _indexes(path)
    _as_version_1(path)
    assert _indexes(path) != new
    with contextlib.closing(open_index(KEYED, tmp_path)) as index:
        assert {text: index.find(parse(text, FILTER_FIELDS)) for text in ASKED} == wanted
        index.put([a_row("s1", rev=2, status="completed")])
        assert [row.rev for row in index.find(parse("session_id=s1", FILTER_FIELDS))] == [2]
    assert _indexes(path) == new
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("text", ["points>2", "points=3", "session_name=b", "created_at>2026-01-01T00:00:00Z"])
def test_a_condition_on_a_value_is_found_by_an_index_without_the_rows_that_lack_it(tmp_path: Path, text: str) -> None:
    from sessionstore.index.sql.sqlite_schema import SqliteNarrowing

    with contextlib.closing(open_index("sqlite:", tmp_path)) as index:
        index.put([a_row("s1")])
    condition = SqliteNarrowing().of(parse(text, FILTER_FIELDS))
    assert condition is not None
    with contextlib.closing(sqlite3.connect(tmp_path / "index.sqlite")) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN SELECT row FROM sessions WHERE {condition[0]}", condition[1])
        steps = " ".join(step[3] for step in plan.fetchall())
    assert f"sessions_{text.split('>')[0].split('=')[0]}" in steps, steps


def test_a_row_without_values_stands_in_few_indexes(tmp_path: Path) -> None:
    """Each index that a row stands in is a page written: of twelve fields a new session has four."""
    with contextlib.closing(open_index("sqlite:", tmp_path)) as index:
        index.put([a_row(f"s{n}") for n in range(3)])
    with contextlib.closing(sqlite3.connect(tmp_path / "index.sqlite")) as connection:
        connection.execute("ANALYZE")
        held = {name for (name,) in connection.execute("SELECT idx FROM sqlite_stat1 WHERE idx LIKE 'sessions_%'")}
    assert not held & {f"sessions_{name}" for name in ("points", "distance_m", "ended_at", "end_reason")}, held
    assert held >= {"sessions_status", "sessions_created_at"}
