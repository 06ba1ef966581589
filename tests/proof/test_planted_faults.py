"""Tests of promises that a fault planted in the code used to pass; ``python -m tests.proof.mutants`` plants them."""

from __future__ import annotations

import contextlib
import errno
import hmac
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore.disk import files
from sessionstore.disk.append_file import AppendFile
from sessionstore.disk.locks import Locks
from sessionstore.errors import IndexUnavailable, StoreUnusable
from sessionstore.index import open_index
from sessionstore.server.http import security
from sessionstore.store import SessionStore
from tests.proof import mutants
from tests.rows import a_row


@contextlib.contextmanager
def waits_while(held: contextlib.AbstractContextManager[Any], deed: Callable[[], Any]) -> Iterator[None]:
    """Assert that a deed of another thread waits while this block's lock is held, and is done afterwards."""
    done = threading.Event()

    def work() -> None:
        deed()
        done.set()

    thread = threading.Thread(target=work)
    with held:
        thread.start()
        assert not done.wait(0.5), "it did not wait for the lock"
        yield
    thread.join(20)
    assert done.is_set()


def test_a_batch_is_synced_within_its_time(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = store.create("x").writer("events", "batch")
    synced, sync = threading.Event(), files.sync_file

    def noted(descriptor: int, path: Any, **more: Any) -> None:
        sync(descriptor, path, **more)
        if str(path).endswith("events.jsonl"):
            synced.set()

    monkeypatch.setattr(files, "sync_file", noted)
    writer.append({"v": 1})
    assert synced.wait(2.0)  # 0.2 s, and what a loaded machine adds
    writer.close()


def test_a_write_that_was_cut_short_is_taken_back_at_once(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    session = store.create("x")
    writer = session.writer("events", "os")
    writer.append({"v": 1})
    before, write, calls = session.stream_path("events").read_bytes(), os.write, list[int]()

    def cut_short(descriptor: int, data: Any) -> int:
        calls.append(descriptor)
        if len(calls) == 1:
            return write(descriptor, bytes(data)[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", cut_short)
        with pytest.raises(StoreUnusable):
            writer.append({"v": 2})
    assert len(calls) == 2
    assert session.stream_path("events").read_bytes() == before
    writer.close()


def test_who_waited_for_a_lock_file_that_was_deleted_by_hand_does_not_hold_it(tmp_path: Path) -> None:
    locks = Locks(tmp_path / "locks")
    inside, leave = threading.Event(), threading.Event()

    def work() -> None:
        with locks.session("a"):
            inside.set()
            leave.wait(20)

    thread = threading.Thread(target=work)
    with locks.session("a"):
        thread.start()
        time.sleep(0.3)  # so that it has opened the file
        for path in (tmp_path / "locks").iterdir():
            path.unlink()
    assert inside.wait(20)
    try:
        with pytest.raises(sessionstore.errors.LockTimeout), Locks(tmp_path / "locks", 0.2).session("a"):
            pass
    finally:
        leave.set()
        thread.join()


def test_the_trash_is_kept_while_the_rows_cannot_be_removed(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create("x")
    store.delete("x")

    def refuse(session_ids: Any) -> None:
        raise IndexUnavailable("it does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(store.index, "remove", refuse)
        with pytest.raises(IndexUnavailable):
            store.empty_trash()
    assert store.restore("x").name == "x"


def test_sqlite_syncs_each_transaction(tmp_path: Path) -> None:
    index: Any = open_index("sqlite:", tmp_path)
    index.put([a_row("a")])
    connection = index._connect(True)
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    connection.close()
    index.close()


def test_deleting_waits_for_the_session_s_lock(store: SessionStore) -> None:
    session = store.create("x")
    with waits_while(store.root.locks.session(session.session_id), lambda: store.delete("x")):
        assert session.folder.is_dir()
    assert not session.folder.exists()


def test_a_reservation_of_an_id_waits_for_the_lock_of_its_file(store: SessionStore) -> None:
    store.create("x")
    (claim,) = store.root.claims.iterdir()
    with contextlib.closing(AppendFile(claim, durable=False)) as file:

        @contextlib.contextmanager
        def held() -> Iterator[None]:
            file.lock()
            try:
                yield
            finally:
                file.unlock()

        created = store.get("x").record.created_at
        with waits_while(held(), lambda: store.free_id(sessionstore.model.records.instant(created), "x")):
            pass


def test_a_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared, compare = list[Any](), hmac.compare_digest

    def noted(one: Any, other: Any) -> bool:
        compared.append(one)
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    assert security._same("token", "token") and not security._same("tokem", "token")
    assert compared == [b"token", b"tokem"]


@pytest.mark.slow
def test_planted_faults_are_caught() -> None:
    """A sample that changes by the day; ``python -m tests.proof.mutants`` plants all."""
    day = int(time.time() // 86400)
    sample = [mutants.MUTANTS[(day + 3 * number) % len(mutants.MUTANTS)] for number in range(3)]
    assert [mutant.name for mutant in sample if not mutants.is_caught(mutant)] == []


def test_every_planted_fault_finds_its_place_in_the_code() -> None:
    for mutant in mutants.MUTANTS:
        assert (mutants.HERE / mutant.file).read_text("utf-8").count(mutant.code) == 1, mutant.name
        assert os.path.exists(mutants.HERE / mutant.test.partition("::")[0]), mutant.name
