"""A process stopped while it holds the lock of the index delays no call of the store, on any engine."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore.disk import append_file
from sessionstore.disk.locks import lock_descriptor
from sessionstore.index import open_index
from sessionstore.index.journal import engine
from sessionstore.store import SessionStore
from tests.outage import at_most
from tests.postgres_server import with_settings
from tests.rows import a_row

HOLD = """
import sys
from pathlib import Path
from sessionstore.index.journal.file import Journal
with Journal(Path(sys.argv[1]), sync=False).exclusive():
    print("locked", flush=True)
    sys.stdin.read()
"""
pytestmark = pytest.mark.skipif(os.name == "nt", reason="this system has no SIGSTOP")


@contextlib.contextmanager
def stopped_holder(path: Path) -> Iterator[None]:
    """Hold the lock of a journal in another process, which is stopped."""
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdin=-1, stdout=-1, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "locked\n"
        holder.send_signal(signal.SIGSTOP)
        yield
    finally:
        holder.kill()
        holder.communicate()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each call has asked to wait for the lock of the journal: no clock that a busy machine moves."""
    asked: list[float] = []

    def lock(descriptor: int, path: str, timeout_s: float, **more: Any) -> None:
        if path.endswith("index.jsonl"):
            asked.append(timeout_s)
        lock_descriptor(descriptor, path, timeout_s, **more)

    monkeypatch.setattr(append_file, "lock_descriptor", lock)
    monkeypatch.setattr(engine, "BUSY_WAIT_S", 60.0)  # what waits for it goes past every limit here
    return asked


def stand_still(index: Any) -> None:
    """Stop the clock of the breaker: however slow the machine is, nothing is asked again until it is reset."""
    index._breaker._clock = lambda: 0.0


def seconds_of(calls: list[Callable[[], Any]]) -> list[float]:
    """Run each call in a thread of its own, all at once; return how long each took."""
    took = [0.0] * len(calls)

    def run(number: int) -> None:
        begun = time.monotonic()
        with contextlib.suppress(sessionstore.errors.IndexUnavailable):
            calls[number]()
        took[number] = time.monotonic() - begun

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def test_a_stopped_holder_of_the_journal_delays_one_call_by_a_fifth_of_a_second(
    store: SessionStore, patience: list[float]
) -> None:
    first = store.create("A")
    stand_still(store.index)
    with stopped_holder(store.root.path / "index.jsonl"):
        patience.clear()
        with at_most(10):
            _, steps = store.create_with_report("B")
        assert steps["index"].status == "pending" and "not free" in str(steps["index"].reason)
        assert 0.1 <= sum(patience) <= 0.21
        patience.clear()
        with at_most(20):  # the breaker is open: 10 updates took 100 s before
            for number in range(10):
                first.update(notes=f"{number}")
            assert [row.session_name for row in store.find("rev>10 or name=B")] == ["B", "A"]
            assert store.notice is not None
            assert [row.rev for row in store.find("name=A", verify=False)] == [11]  # as this process has updated it
            store.delete("B")
            assert [row.session_name for row in store.find()] == ["A"]
            assert store.index.health()["rows"] == 1
        assert patience == []
    store.index._breaker.reset()  # type: ignore[attr-defined]
    assert [row.rev for row in store.find()] == [11] and store.notice is None
    assert [row.rev for row in store.index.find()] == [11]


def test_no_handle_of_the_process_lists_a_state_older_than_its_updates(store: SessionStore) -> None:
    session, other = store.create("A"), SessionStore(store.root.path)
    assert [row.rev for row in other.find(verify=False)] == [1]
    with stopped_holder(store.root.path / "index.jsonl"):
        session.update(notes="x")
        assert [row.rev for row in other.find(verify=False)] == [2]
        with SessionStore(store.root.path) as third:
            assert [row.rev for row in third.find(verify=False)] == [2]


def test_a_listing_that_has_something_to_write_waits_a_fifth_of_a_second(
    store: SessionStore, patience: list[float]
) -> None:
    session = store.create("A")
    shutil.copytree(session.folder, store.root.path / "202611230000-copy")
    with stopped_holder(store.root.path / "index.jsonl"):
        patience.clear()
        with at_most(10):
            assert len(SessionStore(store.root.path).find()) == 2
        assert 0.1 <= sum(patience) <= 0.21


def test_threads_do_not_queue_behind_a_stopped_holder_of_the_journal(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eighteen calls at once: in a queue they would take 18 s, or 9."""
    monkeypatch.setattr(engine, "LOCK_WAIT_S", 1.0)
    sessions = [store.create(f"run {number}") for number in range(16)]
    with stopped_holder(store.root.path / "index.jsonl"):
        calls: list[Callable[[], Any]] = [lambda s=session: s.update(notes="x") for session in sessions]
        assert max(seconds_of([*calls, store.find, store.index.health])) < 7


def test_a_busy_lock_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers that make progress are waited for: only a holder that writes nothing counts as stopped."""
    monkeypatch.setattr(engine, "BUSY_WAIT_S", 60.0)
    path = tmp_path / "index.jsonl"
    index, other = open_index(None, tmp_path), open_index(None, tmp_path)
    index.put([a_row("a")])
    ready, end, looks = threading.Event(), threading.Event(), itertools.count(1)
    version = index.version

    def keep_busy() -> None:
        with other._journal.exclusive():  # type: ignore[attr-defined]
            ready.set()
            end.wait(60)

    def looked() -> Any:  # each look sees that the holder has gone on, however slowly it is served
        if (number := next(looks)) == 10:  # after five waits, each as long as one for a stopped holder
            end.set()
        os.utime(path, ns=(number, number))
        return version()

    monkeypatch.setattr(index, "version", looked)
    thread = threading.Thread(target=keep_busy)
    thread.start()
    ready.wait()
    index.put([a_row("b")])
    thread.join()
    assert next(looks) > 10 and sorted(index.stamps()) == ["a", "b"]


def test_a_stopped_writer_of_sqlite_delays_no_thread_past_the_limit(tmp_path: Path) -> None:
    index = open_index("sqlite:?timeout_s=1&retry_s=60", tmp_path)
    index.put([a_row("a")])
    with contextlib.closing(sqlite3.connect(tmp_path / "index.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        late: list[Callable[[], Any]] = [lambda: time.sleep(0.7), lambda: index.put([a_row("c")])]
        calls: list[Callable[[], Any]] = [lambda n=number: index.put([a_row(f"b{n}")]) for number in range(8)]
        took = seconds_of([*calls, *late, index.find])
        assert max(took) < 6, took  # eight in a queue take 8 s
        with at_most(10):  # twenty that wait take 20 s
            for number in range(20):
                with pytest.raises(sessionstore.errors.IndexUnavailable):
                    index.put([a_row(f"d{number}")])
        index._breaker.reset()  # type: ignore[attr-defined]
        assert [row.session_id for row in index.find()] == ["a"]  # readers wait for no writer
    index.close()


@pytest.mark.slow
def test_a_stopped_holder_of_a_postgresql_lock_delays_no_thread_past_the_limit(
    tmp_path: Path, postgres_url: str
) -> None:
    index: Any = open_index(with_settings(postgres_url, timeout_s=1, retry_s=60, pool=2), tmp_path)
    index.put([a_row("a")])
    other: Any = open_index(postgres_url, tmp_path)
    with other._pool.connection() as connection, connection.transaction():
        connection.execute(other._sql("LOCK TABLE {schema}.sessions IN EXCLUSIVE MODE"))
        calls: list[Callable[[], Any]] = [lambda n=number: index.put([a_row(f"b{n}")]) for number in range(8)]
        took = seconds_of(calls)
        assert max(took) < 6, took  # eight in a queue take 8 s, or 4 where two connections wait at once
    index.close()
    other.close()
