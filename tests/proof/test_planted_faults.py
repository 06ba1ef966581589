"""Tests of promises that a fault planted in the code used to pass; ``python -m tests.proof.mutants`` plants them."""

from __future__ import annotations

import contextlib
import errno
import hmac
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore.disk import files
from sessionstore.disk.append_file import AppendFile
from sessionstore.disk.locks import Locks
from sessionstore.errors import Conflict, Corrupt, IndexUnavailable, LockTimeout, StoreUnusable
from sessionstore.exchange.merge import merge
from sessionstore.index import open_index
from sessionstore.maintenance.doctor import examine
from sessionstore.maintenance.repairs import stream_repair
from sessionstore.maintenance.repairs.plan import repair
from sessionstore.model import liveness
from sessionstore.model.instants import instant
from sessionstore.server.context import Settings
from sessionstore.server.http import security
from sessionstore.session import stream_sync
from sessionstore.store import SessionStore
from sessionstore.store.history import History
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
        reserve = store._creator._reservations.reserve
        with waits_while(held(), lambda: reserve(instant(created), "x")):
            pass


def test_a_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared, compare = list[Any](), hmac.compare_digest

    def noted(one: Any, other: Any) -> bool:
        compared.append(one)
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    assert security._same("token", "token") and not security._same("tokem", "token")
    assert compared == [b"token", b"tokem"]


@contextlib.contextmanager
def operations_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """Give the operations of this block as (operation, path), in their order."""
    found = list[tuple[str, str]]()
    with monkeypatch.context() as patch:
        patch.setattr(files, "observer", lambda operation, path, payload: found.append((operation, path)))
        yield found


def test_the_first_record_of_a_stream_makes_its_name_durable(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = store.create("x")
    writer = session.writer("events", "full")
    with operations_of(monkeypatch) as seen:
        writer.append({"v": 1})
    path = str(session.stream_path("events"))
    assert [each for each in seen if each[0] != "write"] == [
        ("open", path),
        ("fsync_dir", str(session.folder)),
        ("fsync", path),
    ]
    writer.close()


def test_closing_a_stream_syncs_what_was_appended(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_sync.syncer, "soon", lambda writer: None)
    session = store.create("x")
    writer = session.writer("events", "batch")
    writer.append({"v": 1})
    with operations_of(monkeypatch) as seen:
        writer.close()
    assert seen == [("fsync", str(session.stream_path("events")))]


def test_a_write_that_the_system_ends_early_is_continued(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    session = store.create("x")
    writer, write = session.writer("events", "os"), os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:7]))
        writer.append({"v": "a text of more than seven bytes"})
    writer.close()
    assert [line.data for line in session.tape("events").read()] == [{"v": "a text of more than seven bytes"}]


def test_a_write_that_fails_leaves_no_temporary_file(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    session = store.create("x")
    before = {path.name: path.read_bytes() for path in session.folder.iterdir()}

    def full(descriptor: int, path: Any, **more: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "sync_file", full)
        with pytest.raises(StoreUnusable):
            session.update(notes="new")
    assert {path.name: path.read_bytes() for path in session.folder.iterdir()} == before


def test_an_update_waits_for_the_session_s_lock(store: SessionStore) -> None:
    session = store.create("x")
    with waits_while(store.root.locks.session(session.session_id), lambda: session.update(notes="new")):
        assert session.record.notes != "new"
    assert session.record.notes == "new"


def test_a_transaction_of_sqlite_keeps_other_writers_out_from_its_beginning(tmp_path: Path) -> None:
    one: Any = open_index("sqlite:", tmp_path)
    other: Any = open_index("sqlite:", tmp_path)
    one.put([a_row("a")])
    connection = one._connect(True)

    @contextlib.contextmanager
    def transaction() -> Iterator[None]:
        one._begin(connection, 10.0)
        yield
        connection.execute("COMMIT")

    with waits_while(transaction(), lambda: other.put([a_row("b")])):
        pass
    assert len(one.find()) == 2
    connection.close()
    one.close()
    other.close()


def test_an_edit_that_keeps_size_and_time_of_the_file_is_listed(store: SessionStore) -> None:
    session = store.create("x")
    store.find()
    path = session.folder / "session.json"
    stamp = path.stat()
    path.write_bytes(path.read_bytes().replace(b'"session_name": "x"', b'"session_name": "y"'))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert [row.session_name for row in store.find()] == ["y"]


def test_a_cookie_ends_after_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = security.Gate(None, Settings(token="a secret token"))
    cookie = gate._new_cookie().partition(";")[0].encode()
    headers = security._Headers([(b"cookie", cookie)])
    assert gate._cookie_is_ours(headers)
    now = time.time() + 86_401
    monkeypatch.setattr(security.time, "time", lambda: now)
    assert not gate._cookie_is_ours(headers)


def test_an_append_in_mode_full_returns_after_its_sync(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    session = store.create("x")
    writer, path = session.writer("events", "full"), str(session.stream_path("events"))
    writer.append({"v": 1})
    with operations_of(monkeypatch) as seen:
        writer.append({"v": 2})
    assert seen == [("write", path), ("fsync", path)]
    writer.close()


def test_a_rename_replaces_no_empty_folder(tmp_path: Path) -> None:
    for name in ("new", "there"):
        (tmp_path / name).mkdir()
    with pytest.raises(FileExistsError):
        files.rename_new(tmp_path / "new", tmp_path / "there")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "there"]


def test_a_lock_is_waited_for_no_longer_than_asked(tmp_path: Path) -> None:
    with Locks(tmp_path / "locks").session("a"):
        start = time.monotonic()
        with pytest.raises(LockTimeout), Locks(tmp_path / "locks", 0.2).session("a"):
            pass
    assert 0.2 <= time.monotonic() - start < 8  # and not the 10 s of every other lock


def test_an_sqlite_file_that_another_replaced_is_opened_anew(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        index: Any = open_index("sqlite:", tmp_path)
        index.path = tmp_path / name / "index.sqlite"
        index.put([a_row(name)])
        if name == "new":
            index.close()  # and with it its log
    kept: Any = open_index("sqlite:", tmp_path)
    kept.path = tmp_path / "old" / "index.sqlite"
    assert [row.session_id for row in kept.find()] == ["old"]
    for path in (tmp_path / "old").glob("index.sqlite-*"):
        path.unlink()
    os.replace(tmp_path / "new" / "index.sqlite", kept.path)
    assert [row.session_id for row in kept.find()] == ["new"]
    kept.close()


def test_a_replacement_in_postgresql_that_fails_half_way_leaves_the_rows(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index: Any = open_index(postgres_url, tmp_path)
    index.put([a_row("a")])

    def fail(*arguments: Any) -> bool:
        raise RuntimeError("half-way")

    with monkeypatch.context() as patch:
        patch.setattr(index, "_insert", fail)
        with pytest.raises(RuntimeError):
            index.replace_all([a_row("b")])
    assert [row.session_id for row in index.find()] == ["a"]
    index.close()


def test_a_message_of_postgresql_that_repeats_the_password_is_shown_without_it(tmp_path: Path) -> None:
    psycopg = pytest.importorskip("psycopg")
    index: Any = open_index("postgresql://ada:open-sesame@127.0.0.1:1/fleet", tmp_path)
    shown = index._message(psycopg.OperationalError('connection "password=open-sesame" failed'))
    assert "open-sesame" not in shown and "failed" in shown


def test_a_reservation_behind_an_incomplete_line_is_seen_by_others(store: SessionStore, frozen: datetime) -> None:
    ids = [store._creator._reservations.reserve(frozen, "x")]
    (file,) = store.root.claims.iterdir()
    file.write_bytes(file.read_bytes() + b"abc")
    for _ in range(2):
        with sessionstore.open(store.root.path) as other:
            ids.append(other._creator._reservations.reserve(frozen, "x"))
    assert len(set(ids)) == 3


@pytest.mark.parametrize("way", ["put", "replace_all"])
def test_a_row_of_the_journal_whose_value_was_changed_is_damage(tmp_path: Path, way: str) -> None:
    """As a line, and in a block under one checksum."""
    with contextlib.closing(open_index("journal:", tmp_path)) as index:
        getattr(index, way)([a_row("a")])
    path = tmp_path / "index.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"session_id":"a"', b'"session_id":"b"'))
    with contextlib.closing(open_index("journal:", tmp_path)) as index, pytest.raises(Corrupt):
        index.find()


# ---------------------------------------------------------------- merging, and the repair of a stream


def two_merges(store: SessionStore, there: SessionStore) -> None:
    """Merge a session, and then what was recorded of it later."""
    session = there.create("x")
    for number in range(2):
        writer = session.writer("events", "full")
        writer.append({"v": number})
        writer.close()
        session.update(notes=f"note {number}")
        merge(store, there.root.path)


def test_a_merged_session_is_synced_before_it_gets_its_name(
    store: SessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sessionstore.open(tmp_path / "there") as there:
        session = there.create("x")
        with operations_of(monkeypatch) as seen:
            merge(store, there.root.path)
    staged, parts = str(store.root.staging), [(operation, Path(path)) for operation, path in seen]
    named = next(n for n, (operation, path) in enumerate(parts) if operation == "rename" and str(path.parent) == staged)
    synced = [(operation, path.name) for operation, path in parts[:named] if parts[named][1] in (path, path.parent)]
    assert ("fsync", "session.json") in synced and ("fsync_dir", parts[named][1].name) in synced
    assert store.get("x").uuid == session.uuid


def test_a_merge_is_not_taken_back_where_the_session_changed_since(store: SessionStore, tmp_path: Path) -> None:
    with sessionstore.open(tmp_path / "there") as there:
        two_merges(store, there)
    store.get("x").update(notes="mine")
    with pytest.raises(Conflict):
        History(store).undo()
    assert store.get("x").record.notes == "mine" and store.get("x").tape("events").count() == 2


def test_records_that_the_undo_of_a_merge_cuts_are_in_quarantine(store: SessionStore, tmp_path: Path) -> None:
    with sessionstore.open(tmp_path / "there") as there:
        two_merges(store, there)
    cut = store.get("x").stream_path("events").read_bytes().splitlines(keepends=True)[1]
    History(store).undo()
    assert store.get("x").tape("events").count() == 1
    assert cut in [path.read_bytes() for path in store.root.quarantine_folder.iterdir()]


def test_a_stream_that_changes_during_its_repair_is_left_as_it_is(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = store.create("x")
    writer = session.writer("events", "full")
    writer.extend([{"v": number} for number in range(4)])
    writer.close()
    path = session.stream_path("events")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"{damaged\n", *lines[2:]]))
    changed = b"".join([lines[0], b"{damaged\n", b"{this one too\n", lines[3]])
    monkeypatch.setattr(stream_repair.notes, "note", lambda *arguments: path.write_bytes(changed))
    with pytest.raises(Conflict):
        stream_repair.cut_damaged_lines(store.root, session, path)
    assert path.read_bytes() == changed


def test_copies_that_went_on_in_different_files_are_both_kept(store: SessionStore, tmp_path: Path) -> None:
    with sessionstore.open(tmp_path / "there") as there:
        two_merges(store, there)
        store.get("x").update(notes="mine")
        writer = there.get("x").writer("events", "full")
        writer.append({"v": 2})
        writer.close()
        assert [outcome.action for outcome in merge(store, there.root.path).outcomes] == ["diverged"]
    assert len(store.find()) == 2


def test_a_lost_record_is_rebuilt_after_its_bytes_are_kept(store: SessionStore) -> None:
    session = store.create("x")
    store.find()
    path = session.folder / "session.json"
    damaged = path.read_bytes()[:-20]
    path.write_bytes(damaged)
    outcomes = repair(examine(store.root.path).findings, store.root.path, salvage_records=True)
    assert all(outcome.repaired for outcome in outcomes) and session.record.session_name == "x"
    assert damaged in [piece.read_bytes() for piece in store.root.quarantine_folder.iterdir()]


def test_a_run_that_ended_before_its_repair_is_left_as_it_is(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = store.record("x")
    with monkeypatch.context() as patch:
        patch.setattr(liveness, "why_interrupted", lambda *facts: "its process is gone")
        findings = [each for each in examine(store.root.path).findings if each.code == "interrupted"]
    recorder.finish()
    before = (recorder.folder / "session.json").read_bytes()
    (outcome,) = repair(findings, store.root.path)
    assert outcome.repaired and outcome.what == "it is completed by now"
    assert (recorder.folder / "session.json").read_bytes() == before


# ---------------------------------------------------------------- the list itself


HARMLESS = mutants.Mutant(
    "a comment is another",
    "sessionstore/session/stream_sync.py",
    "# one descriptor in four",
    "# a quarter of the descriptors",
    "tests/proof/test_planted_faults.py::test_a_token_is_compared_in_constant_time",
)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_sample_of_the_planted_faults_is_caught_and_a_harmless_change_is_not() -> None:
    """Another sample for each commit; ``python -m tests.proof.mutants`` plants all."""
    chosen = mutants.sample(3, mutants.seed_of_commit())
    outcomes = {outcome.mutant.name: outcome.verdict for outcome in mutants.plant([*chosen, HARMLESS])}
    assert outcomes.pop(HARMLESS.name) == "missed"
    assert [name for name, verdict in outcomes.items() if verdict == "missed"] == []


def test_a_sample_is_the_same_for_the_same_commit_and_another_for_the_next() -> None:
    samples = [[mutant.name for mutant in mutants.sample(5, seed)] for seed in ("one", "one", "two")]
    assert samples[0] == samples[1] != samples[2]
    assert len(set(samples[0])) == 5


def test_the_list_names_each_fault_once_and_covers_every_room() -> None:
    names = [mutant.name for mutant in mutants.MUTANTS]
    rooms = {mutant.file.split("/")[1] for mutant in mutants.MUTANTS}
    assert len(names) == len(set(names)) >= 44
    assert f"lists {len(names)} faults" in (mutants.HERE / "sessionstore/docs/promises.md").read_text("utf-8")
    assert rooms >= {"disk", "index", "session", "store", "maintenance", "server", "exchange"}
