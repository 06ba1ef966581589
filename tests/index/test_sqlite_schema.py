"""The schema of the SQLite engine: what an earlier version left is brought up to date, and what a write touches."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import sessionstore
from sessionstore.index import open_index
from sessionstore.index.sql import sqlite_indexes
from sessionstore.index.sql.rows import encoded
from sessionstore.index.sql.sqlite_conditions import SqliteNarrowing, exact
from sessionstore.index.sql.sqlite_schema import SCHEMA
from sessionstore.model.row import FILTER_FIELDS, SessionRow
from sessionstore.query import parse
from tests.rows import a_row
from tests.sqlite_versions import as_version

KEYED = "sqlite:?keys=metadata.site"
ASKED = ("status=failed", "points>2", "points=null", "metadata.site=3", "tags=night", "session_name!=null", "points<9")


def _indexes(path: Path) -> dict[str, str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        return dict(found.fetchall())


def some_rows() -> list[SessionRow]:
    return [
        a_row(
            f"s{n}", status="failed" if n % 3 else "completed", points=n or None, tags=["night"], metadata={"site": n},
            session_name="Ö" if n % 2 else None,
        )
        for n in range(10)
    ]  # fmt: skip


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_an_earlier_schema_opens_with_its_rows_and_is_that_of_a_new_one(version: int, tmp_path: Path) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    new.mkdir(), old.mkdir()
    with contextlib.closing(open_index(KEYED, new)) as index:
        index.put(some_rows())
        wanted = {text: index.find(parse(text, FILTER_FIELDS)) for text in ASKED}
    as_version(version, old / "index.sqlite", some_rows())
    with contextlib.closing(open_index("sqlite:", old)) as index:
        assert {text: index.find(parse(text, FILTER_FIELDS)) for text in ASKED} == wanted
        assert [encoded(row) for row in index.find()] == [encoded(row) for row in some_rows()]
        index.put([a_row("s1", rev=2, status="completed", tags=["day"])])
        assert [row.rev for row in index.find(parse("session_id=s1", FILTER_FIELDS))] == [2]
        assert [row.session_id for row in index.find(parse("tags=day", FILTER_FIELDS))] == ["s1"]
    assert _indexes(old / "index.sqlite") == _indexes(new / "index.sqlite")  # the named key among them
    with contextlib.closing(sqlite3.connect(old / "index.sqlite")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_file_of_an_earlier_schema_with_a_damaged_row_is_set_aside_and_made_anew(tmp_path: Path) -> None:
    with sessionstore.open(tmp_path) as store:
        store.create("kept")
    as_version(2, tmp_path / "index.sqlite", some_rows())
    with contextlib.closing(sqlite3.connect(tmp_path / "index.sqlite")) as connection, connection:
        connection.execute("DROP INDEX sessions_status")
        connection.execute('DROP INDEX "sessions_metadata.site"')
        connection.execute("UPDATE sessions SET row = '{' WHERE session_id = 's4'")
    with sessionstore.open(tmp_path, "sqlite:") as store:
        assert [row.session_name for row in store.find()] == ["kept"] and store.notice is None
    assert len(list(tmp_path.glob("index.sqlite.damaged-*"))) == 1


KILLED = """
import sqlite3, sys
from pathlib import Path
from sessionstore.index.sql import sqlite_schema
real = sqlite_schema.sqlite_rows.columns_of
def columns_of(row):
    if row.session_id == sys.argv[2]:
        import os
        os.kill(os.getpid(), 9)
    return real(row)
sqlite_schema.sqlite_rows.columns_of = columns_of
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
sqlite_schema.ensure(connection, Path(sys.argv[1]), ())
"""


def test_a_process_killed_while_it_brings_a_file_up_to_date_leaves_the_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    as_version(2, path, some_rows())
    before = _indexes(path)
    assert subprocess.run([sys.executable, "-c", KILLED, str(path), "s7"]).returncode == -9
    assert _indexes(path) == before
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    with contextlib.closing(open_index("sqlite:", tmp_path)) as index:
        assert [encoded(row) for row in index.find()] == [encoded(row) for row in some_rows()]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows are enough for indexes and pages."""
    monkeypatch.setattr(sqlite_indexes, "MIN_ROWS", 2)


@pytest.mark.parametrize(
    "text", ["points>2", "points=3", "session_name=b", "created_at>2026-01-01T00:00:00Z", "metadata.Site=3"]
)
def test_the_first_filter_on_a_value_makes_its_index_and_later_ones_use_it(
    tmp_path: Path, text: str, few: None
) -> None:
    with contextlib.closing(open_index("sqlite:", tmp_path)) as index:
        index.put([a_row(f"s{n}", points=n, metadata={"Site": n}) for n in range(3)])
        made = _indexes(tmp_path / "index.sqlite")
        assert not any(name.startswith("sessions_m") and "metadata" in name for name in made)
        tree = parse(text, FILTER_FIELDS)
        index.find(tree)
        (name,) = _indexes(tmp_path / "index.sqlite").keys() - made.keys()
        index.find(tree)
        assert len(_indexes(tmp_path / "index.sqlite")) == len(made) + 1
    condition = exact(tree) or SqliteNarrowing().of(tree)
    assert condition is not None
    with contextlib.closing(sqlite3.connect(tmp_path / "index.sqlite")) as connection:
        query = f'EXPLAIN QUERY PLAN SELECT row FROM sessions INDEXED BY "{name}" WHERE {condition[0]}'
        steps = " ".join(step[3] for step in connection.execute(query, condition[1]).fetchall())
    assert f"{name} (" in steps, steps


def test_who_examines_a_store_makes_no_index(tmp_path: Path, few: None) -> None:
    with contextlib.closing(open_index("sqlite:", tmp_path)) as index:
        index.put([a_row(f"s{n}", points=n) for n in range(3)])
    made = _indexes(tmp_path / "index.sqlite")
    with contextlib.closing(open_index("sqlite:", tmp_path, read_only=True)) as index:
        assert len(index.find(parse("points>0", FILTER_FIELDS))) == 2
    assert _indexes(tmp_path / "index.sqlite") == made


def test_a_filter_does_not_wait_for_a_writer_to_make_its_index(tmp_path: Path, few: None) -> None:
    with contextlib.closing(open_index("sqlite:", tmp_path)) as index:
        index.put([a_row(f"s{n}", points=n) for n in range(3)])
        made = _indexes(tmp_path / "index.sqlite")
        with contextlib.closing(sqlite3.connect(tmp_path / "index.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert len(index.find(parse("points>0", FILTER_FIELDS))) == 2
            assert _indexes(tmp_path / "index.sqlite") == made
        index.find(parse("points>0", FILTER_FIELDS))
        assert _indexes(tmp_path / "index.sqlite").keys() - made.keys() == {"sessions_points"}


def pages_written(path: Path, put: Callable[[], None]) -> int:
    """Return how many pages a write adds to the log."""
    log = path.with_name(path.name + "-wal")
    before = log.stat().st_size
    put()
    return (log.stat().st_size - before) // (4096 + 24)


def test_a_new_session_writes_two_pages_and_an_update_one(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    with contextlib.closing(open_index("sqlite:", tmp_path)) as index:
        index.put([a_row("s0")])
        assert pages_written(path, lambda: index.put([a_row("s1")])) == 2
        assert pages_written(path, lambda: index.put([a_row("s1", rev=2, status="failed")])) == 1
        assert pages_written(path, lambda: index.put([a_row("s1", rev=2, status="failed")])) == 0


def test_an_update_writes_the_indexes_of_what_it_changes_alone(tmp_path: Path, few: None) -> None:
    path = tmp_path / "index.sqlite"
    with contextlib.closing(open_index("sqlite:", tmp_path)) as index:
        index.put([a_row(f"s{n}", points=n, status="failed", metadata={"site": n}) for n in range(3)])
        for text in ("points>0", "status=failed", "metadata.site>0", "created_at>2026", "session_name=a"):
            index.find(parse(text, FILTER_FIELDS))
        row = a_row("s1", rev=2, points=1, status="failed", metadata={"site": 1}, workflow_state="SCAN")
        assert pages_written(path, lambda: index.put([row])) == 1
        row = msgspec.structs.replace(row, rev=3, status="completed")
        assert pages_written(path, lambda: index.put([row])) == 2


def test_a_second_store_in_a_file_gets_the_index_that_finds_copies(tmp_path: Path) -> None:
    one, two = (open_index(f"sqlite:{tmp_path / 'shared.db'}", tmp_path / name) for name in ("one", "two"))
    with contextlib.closing(one), contextlib.closing(two):
        one.put([a_row("a")])
        assert "sessions_uuid" not in _indexes(tmp_path / "shared.db")
        two.put([a_row("a", rev=3)])
        assert "sessions_uuid" in _indexes(tmp_path / "shared.db")
        assert [len(row.copies) for row in one.find(parse("session_id=a", FILTER_FIELDS))] == [2]
