"""An SQLite file that fails, or that several make at once, costs no session."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sessionstore.errors import IndexUnavailable
from sessionstore.index.sql.sqlite_schema import SCHEMA, ensure
from tests.outage import Outage, eventually

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
if sys.argv[2] == "all":
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
connection.execute("BEGIN EXCLUSIVE")
connection.execute("CREATE TABLE theirs (x)")
print("locked", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""


@contextlib.contextmanager
def another_program_locks(path: Path, whom: str) -> Iterator[None]:
    """Hold a lock in another process, against writers or against all."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), whom], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == "locked\n"
        try:
            yield
        finally:
            holder.stdin.close()


def test_an_sqlite_file_that_another_program_locks(tmp_path: Path) -> None:
    outage = Outage(tmp_path, "sqlite:")
    outage.before()
    outage.store.index.close()  # nobody gets such a lock while we look
    with another_program_locks(tmp_path / "index.sqlite", "all"):
        outage.during("locked")
    outage.after()


def test_an_sqlite_file_that_another_program_writes(tmp_path: Path) -> None:
    """Who only writes keeps writers out: the listing is right, and says what it could not tell."""
    outage = Outage(tmp_path, "sqlite:")
    outage.before()
    with another_program_locks(tmp_path / "index.sqlite", "writers"):
        outage.during("locked")
    outage.after()


def test_an_sqlite_file_of_a_newer_version(tmp_path: Path) -> None:
    outage = Outage(tmp_path, "sqlite:")
    outage.before()
    outage.store.index.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "index.sqlite", isolation_level=None)) as other:
        other.execute("PRAGMA user_version = 99")
        outage.during(f"schema 99, this version knows {SCHEMA}", refused_at_once=True)
        other.execute(f"PRAGMA user_version = {SCHEMA}")
    outage.after()


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    foreign = tmp_path / "theirs.db"
    with contextlib.closing(sqlite3.connect(foreign, isolation_level=None)) as other:
        other.execute("CREATE TABLE theirs (x)")
    before = foreign.read_bytes()
    outage = Outage(tmp_path / "store", f"sqlite:{foreign}")
    outage.during("another program")
    with pytest.raises(IndexUnavailable, match="another program"):
        outage.store.rebuild()
    assert foreign.read_bytes() == before and list(tmp_path.glob("theirs*")) == [foreign]


def test_a_damaged_sqlite_file_is_kept_aside_and_made_anew(tmp_path: Path) -> None:
    outage = Outage(tmp_path, "sqlite:")
    outage.before()
    outage.store.close()
    path = tmp_path / "index.sqlite"
    damaged = b"SQLite format 3\0" + b"\xff" * 8192
    path.write_bytes(damaged)
    for suffix in ("-wal", "-shm"):
        (tmp_path / f"index.sqlite{suffix}").unlink(missing_ok=True)
    assert [row.session_name for row in outage.store.find()] == ["before"]
    assert [kept.read_bytes() for kept in tmp_path.glob("index.sqlite.damaged-*")] == [damaged]
    assert outage.indexed() == outage.ids


def test_an_sqlite_file_that_is_removed_while_open_is_made_anew(tmp_path: Path) -> None:
    outage = Outage(tmp_path, "sqlite:")
    outage.before()
    for path in tmp_path.glob("index.sqlite*"):
        path.unlink()
    assert [row.session_name for row in outage.store.find()] == ["before"]
    assert (tmp_path / "index.sqlite").is_file() and outage.indexed() == outage.ids


@pytest.mark.slow
def test_an_sqlite_file_on_a_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(disk)], capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        outage = Outage(tmp_path / "store", f"sqlite:{disk / 'index.db'}")
        outage.before()
        with contextlib.suppress(OSError), open(disk / "filler", "wb") as filler:
            while True:
                filler.write(b"x" * 4096)
                filler.flush()
        box = outage.box
        reports: list[dict[str, Any]] = []
        eventually(lambda: bool(reports.append(box.create_session("fill")) or reports[-1]["index"]["status"] != "done"))
        assert reports[-1]["success"] and "disk is full" in reports[-1]["index"]["reason"]
        assert len(outage.store.find()) == len(reports) + 1 and outage.store.notice is not None
        (disk / "filler").unlink()
        outage.clock.run()
        eventually(lambda: box.create_session("after")["index"]["status"] == "done")
        assert len(outage.store.index.stamps()) == len(list(outage.store.root.session_ids()))
        outage.store.close()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


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
