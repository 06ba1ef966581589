"""T1, T2 for an SQLite index of an earlier version: killed or refused at any system call while it is updated.

What is left is the earlier file or the new one, whole, each row as it was, and the next opening ends with the new.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import sessionstore
from sessionstore.errors import SessionStoreError
from sessionstore.index import open_index
from sessionstore.index.filtering import select
from sessionstore.index.sql.rows import encoded
from sessionstore.index.sql.sqlite_schema import SCHEMA
from sessionstore.model.row import FILTER_FIELDS, SessionRow
from sessionstore.query import parse
from tests.proof import operations, oracle
from tests.proof.syscalls import ALSO_FAILING, HARNESS_CALLS, MUTATING, Server, Trial, allowed_after, calls_of
from tests.proof.tally import CONTROLS, Tally, tally
from tests.proof.volumes import PROOF, chosen, need, need_root
from tests.rows import a_row
from tests.sqlite_versions import as_version

pytestmark = [pytest.mark.proof, pytest.mark.slow, pytest.mark.timeout(36000)]
MIGRATE = ("migrate",)
FILTERS = ("status=failed", "tags=night", "metadata.site>12", "points>7")
COUNT = 20
VERSIONS = [2] if PROOF == "ci" else [1, 2]


@dataclass
class Bench:
    """A store with an index of an earlier version, to migrate copies of, again and again."""

    server: Server
    scratch: Path
    version: int
    count: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        store = self.scratch / "store"  # an index knows its store by the path
        self.begin = operations.begin(store)
        with sessionstore.open(store) as opened:
            self.rows = [*opened.find(), *_others()]
        as_version(self.version, store / "index.sqlite", self.rows)
        oracle.copy_tree(store, self.scratch / "base")

    def run(self, options: list[str], attempts: int = 1) -> Trial:
        return self.server.run(
            MIGRATE, oracle.copy_tree(self.scratch / "base", self.scratch / "store"), self.begin, options, attempts
        )

    def calls(self, which: str) -> list[tuple[str, int]]:
        trial = self.run(["-e", f"trace={which}"])
        assert [words[0] for words in trial.said] == ["begin", "done"], trial.said
        assert _version_of(self.scratch / "store") == SCHEMA
        return [call for call in calls_of(trial, which) if call[0] not in HARNESS_CALLS]

    def kill(self, call: str, nth: int) -> None:
        trial = self.run(["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={nth}"])
        if trial.killed:
            self.count(kills=1)
            self.count.within("migrate", kills=1)
            self.judge(trial, f"killed before {call} {nth}")

    def refuse(self, call: str, nth: int, error: str) -> None:
        trial = self.run(["-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={nth}"], attempts=2)
        if any("INJECTED" in line for line in trial.calls):
            self.count(errors=1)
            self.count.within("migrate", errors=1)
            fault = f"{call} {nth} failed with {error}"
            if trial.said[-1][0] == "refused":
                self.count.wrong.append(f"version {self.version}: {fault}: a second attempt was refused: {trial.said}")
            self.judge(trial, fault)

    def judge(self, trial: Trial, fault: str) -> None:
        wrong = [" ".join(words) for words in trial.said if words[0] == "untyped"]
        done = any(words[0] == "done" for words in trial.said)
        wrong += judged(self.scratch / "store", self.rows, {SCHEMA} if done else {self.version, SCHEMA})
        wrong += oracle.judge(self.scratch / "store", allowed_after(trial, MIGRATE, self.begin)[0], power=False)
        self.count.wrong += [f"version {self.version}: {fault}: {each}" for each in wrong]


def _others() -> list[SessionRow]:
    return [
        a_row(
            f"s{number}", status="failed" if number % 3 else "completed", points=number % 11 or None,
            tags=["night"] if number % 2 else [], metadata={"site": number, "text": "ü" * 40},
        )
        for number in range(COUNT)
    ]  # fmt: skip


def _version_of(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path / "index.sqlite")) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def judged(path: Path, rows: list[SessionRow], versions: set[int]) -> list[str]:
    """Return what is wrong with the index as it was left, and as the next process has it."""
    wrong = []
    try:
        with contextlib.closing(sqlite3.connect(path / "index.sqlite")) as connection:
            if (version := connection.execute("PRAGMA user_version").fetchone()[0]) not in versions:
                wrong.append(f"it is of version {version}")
            if (found := connection.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
                wrong.append(f"SQLite says {found}")
        with contextlib.closing(open_index("sqlite:", path)) as index:
            if [encoded(row) for row in index.find()] != [encoded(row) for row in sorted(rows, key=_order)]:
                wrong.append("its rows differ")
            for text in FILTERS:
                tree = parse(text, FILTER_FIELDS)
                ids = {row.session_id for row in index.find(tree)}
                if ids != {row.session_id for row in select(rows, tree)}:
                    wrong.append(f"{text} gives {sorted(ids)}")
        if _version_of(path) != SCHEMA:
            wrong.append("the next process left it as it was")
        wrong += [f"{each.name} is left" for each in path.glob("index.sqlite.*")]
        with sessionstore.open(path, "sqlite:") as store:
            if sorted(row.session_name or "" for row in store.find("status=created")) != ["A", "B"]:
                wrong.append("a listing differs")
    except (SessionStoreError, sqlite3.Error) as error:
        wrong.append(f"{type(error).__name__}: {error}")
    return wrong


def _order(row: SessionRow) -> tuple[object, ...]:
    return row.created_at, row.session_id


@pytest.fixture
def server(scratch: Path) -> Iterator[Server]:
    need_root()
    need("strace")
    started = Server(scratch / "server")
    yield started
    started.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_process_killed_before_any_syscall_of_a_migration_leaves_the_earlier_file_or_the_new_one(
    server: Server, scratch: Path, version: int
) -> None:
    with tally(
        "T1 SIGKILL before each syscall while an SQLite index of an earlier version is brought up to date"
    ) as count:
        bench = Bench(server, scratch, version, count)
        for call, nth in chosen(bench.calls("all"), version):
            bench.kill(call, nth)
    assert count.counts["kills"] >= 10


@pytest.mark.parametrize("version", VERSIONS)
def test_an_error_at_any_syscall_of_a_migration_is_told_and_a_second_attempt_ends_with_the_new_file(
    server: Server, scratch: Path, version: int
) -> None:
    errors = {"pwrite64": "ENOSPC", "openat": "EMFILE"}
    with tally(
        "T2 an error at each syscall while an SQLite index of an earlier version is brought up to date"
    ) as count:
        bench = Bench(server, scratch, version, count)
        for call, nth in chosen(bench.calls(f"{MUTATING},{ALSO_FAILING},fcntl"), version):
            bench.refuse(call, nth, errors.get(call, "EIO"))
    assert count.counts["errors"] >= 10


@pytest.mark.parametrize("fault", ["kill", "refuse"])
def test_a_migration_in_two_commits_is_noticed(fault: str, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_root()
    need("strace")
    monkeypatch.setenv("PROOF_BREAK", "two_commits")
    server = Server(scratch / "server")
    monkeypatch.delenv("PROOF_BREAK")
    try:
        control = Bench(server, scratch, 2)
        for call, nth in reversed(control.calls("pwrite64,fdatasync")):
            control.kill(call, nth) if fault == "kill" else control.refuse(call, nth, "EIO")
            if control.count.wrong:
                break
    finally:
        server.close()
    with tally(CONTROLS) as count:
        count(controls=1)
        count.wrong += [] if control.count.wrong else [f"nobody noticed a migration in two commits ({fault})"]
