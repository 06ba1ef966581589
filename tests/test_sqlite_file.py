"""The file of the SQLite engine while several make it at once."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from sessionstore.index.sqlite_tables import SCHEMA, ensure


def test_a_file_that_another_makes_meanwhile_is_not_taken_for_that_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"

    def make() -> None:
        other = sqlite3.connect(path, isolation_level=None)
        ensure(other, path, ())
        other.close()

    other = threading.Thread(target=make)

    class Overtaken(sqlite3.Connection):
        def execute(self, *args: Any) -> sqlite3.Cursor:
            if "application_id" in args[0] and other.ident is None:
                cursor = super().execute(*args)
                other.start()
                other.join(0.5)
                return cursor
            return super().execute(*args)

    connection = sqlite3.connect(path, isolation_level=None, factory=Overtaken)
    ensure(connection, path, ())
    other.join()
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
    connection.close()


def test_who_makes_a_file_waits_for_another_that_does(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection = sqlite3.connect(path, 5.0, isolation_level=None)

    done = threading.Timer(0.2, other.execute, ["COMMIT"])
    other.execute("BEGIN IMMEDIATE")
    other.execute("PRAGMA user_version = 0")
    done.start()
    ensure(connection, path, ())
    done.join()
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
    connection.close()
    other.close()


def test_a_file_that_somebody_reads_for_good_is_refused_after_the_timeout_of_the_connection(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("CREATE TABLE theirs (x)")
    reader.execute("DROP TABLE theirs")
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
    connection = sqlite3.connect(path, 0.1, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        ensure(connection, path, ())
    reader.execute("ROLLBACK")
    ensure(connection, path, ())
    reader.close()
    connection.close()
