"""Races, each played in the order that once lost something: the order is forced, nothing is left to luck."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import sessionstore
from sessionstore.disk import files
from sessionstore.errors import InvalidRecord, SessionGone
from sessionstore.index.journal.tinydb_storage import JournalDatabase, JournalStorage
from sessionstore.layout import StoreRoot
from sessionstore.model.row import SessionRow
from sessionstore.session.stream_writer import StreamWriter
from sessionstore.store import SessionStore, folder_rows, trash


def row_of(store: SessionStore, session_id: str) -> SessionRow:
    """Return the row that the index holds, without a look at the folder."""
    return next(row for row in store.index.find() if row.session_id == session_id)


def test_a_reader_that_read_the_older_record_does_not_cover_the_newer_row(store: SessionStore) -> None:
    session = store.create("A", metadata={"v": 1})
    older = session.row()
    session.update(metadata={"v": 2})
    store.catalog.delivery.put([older], exact=True)  # a listing in another process was between reading and putting
    assert row_of(store, session.session_id).decoded_metadata() == {"v": 2}


def test_a_row_that_comes_late_makes_no_listing_older_than_what_was_acknowledged(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that was stopped between its file and its row goes on while a listing is between looking and reading."""
    session = store.create("A", metadata={"v": 1})
    older = session.row()
    session.update(metadata={"v": 2})
    active = store.index.active

    def late_row() -> list[SessionRow]:
        store.index.put([older])
        return active()

    monkeypatch.setattr(store.index, "active", late_row)
    assert [row.decoded_metadata() for row in store.find()] == [{"v": 2}]


def before_looking_again(store: SessionStore, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> None:
    """Let something happen once, when a listing has held the index against the folders and has not read it yet."""
    active = store.index.active

    def late() -> list[SessionRow]:
        monkeypatch.undo()
        happens()
        return active()

    monkeypatch.setattr(store.index, "active", late)


@pytest.mark.parametrize("verify", [True, False])
def test_a_row_that_comes_after_its_session_was_deleted_is_not_listed(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch, verify: bool
) -> None:
    """Who restored it was stopped before telling the index, and somebody else deleted it again."""
    session, other = store.create("A"), store.create("B")
    row = session.row()
    store.delete(session.session_id)
    before_looking_again(store, monkeypatch, lambda: store.index.put([row]))
    assert [row.session_id for row in store.find(verify=verify)] == [other.session_id]


@pytest.mark.parametrize("verify", [True, False])
def test_a_row_that_is_dropped_after_its_session_was_restored_is_listed(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch, verify: bool
) -> None:
    """Who deleted it was stopped before telling the index, and somebody else restored it."""
    session = store.create("A")
    before_looking_again(store, monkeypatch, lambda: store.index.remove([session.session_id]))
    assert [(row.session_id, row.status) for row in store.find(verify=verify)] == [(session.session_id, "created")]


def test_a_row_that_says_missing_after_its_session_was_deleted_is_not_listed(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing looked while it was on its way back from the trash, and was stopped until it was there again."""
    session = store.create("A")
    missing = folder_rows.as_missing(session.row())
    store.delete(session.session_id)
    before_looking_again(store, monkeypatch, lambda: store.index.put([missing]))
    assert store.find() == []


@pytest.mark.parametrize("again", [False, True])
def test_a_session_between_folder_and_trash_is_never_called_missing(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """It is in the trash when the folders are read, restored when the trash is, and (again) in the trash after that."""
    session = store.create("A")
    row, entries, turns = session.row(), trash.entries, iter([1])
    store.delete(session.session_id)
    store.index.put([row])  # the row is dropped after the move: a listing in between

    def others_move_it(root: StoreRoot) -> list[trash.TrashEntry]:
        if not next(turns, 0):
            return list(entries(root))
        store.restore(session.session_id)
        found = list(entries(root))
        if again:
            store.delete(session.session_id)
            store.index.put([row])
        return found

    monkeypatch.setattr(trash, "entries", others_move_it)
    assert [found.status for found in store.find()] == ([] if again else ["created"])


def test_two_states_of_one_size_in_one_tick_of_the_clock_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kernels since 6.13 tell states within a tick apart by themselves; others give all of them the same time."""
    write, path, stamps = files.write_all, tmp_path / "document", []

    def within_one_tick(descriptor: int, data: bytes, place: str | Path) -> None:
        write(descriptor, data, place)
        os.utime(place, ns=(1_700_000_000_000_000_000, 1_700_000_000_000_000_000))

    monkeypatch.setattr(files, "write_all", within_one_tick)
    for number in range(200):
        status = files.put(path, b"%03d" % number, sync=False)
        stamps.append(status.st_mtime_ns)
    assert stamps == sorted(set(stamps))
    assert path.stat().st_mtime_ns == stamps[-1]


def test_a_clock_that_was_set_back_makes_no_older_file(tmp_path: Path) -> None:
    path = tmp_path / "document"
    path.write_bytes(b"one")
    future = time.time_ns() + 10**18
    os.utime(path, ns=(future, future))
    assert files.put(path, b"two").st_mtime_ns == future + 1


def test_what_follows_a_compaction_in_one_exclusive_block_is_kept(tmp_path: Path) -> None:
    storage = JournalStorage(tmp_path / "index.jsonl", sync=False)
    database = JournalDatabase(storage=lambda: storage)
    with storage.exclusive():
        number = database.insert({"v": 0})
        for value in range(1, 2_500):
            database.update({"v": value}, doc_ids=[number])
        storage.journal.compact()
        database.insert({"last": True})
    database.close()
    assert JournalDatabase(tmp_path / "index.jsonl").all() == [{"v": 2_499}, {"last": True}]
    assert len((tmp_path / "index.jsonl").read_bytes().splitlines()) < 10


def test_a_journal_that_was_rewritten_twice_is_not_taken_for_the_one_a_reader_knows(tmp_path: Path) -> None:
    reader, writer = JournalDatabase(tmp_path / "j.jsonl"), JournalDatabase(tmp_path / "j.jsonl")
    first, second = writer.insert({"v": 1}), writer.insert({"v": 1})
    journal = writer.storage.journal
    journal.compact()
    assert reader.get(doc_id=first) == {"v": 1}
    for number in (first, second):
        writer.update({"v": 2}, doc_ids=[number])
        journal.compact()
    assert reader.all() == [{"v": 2}, {"v": 2}]


def test_an_index_that_was_made_anew_without_rows_shows_none(tmp_path: Path) -> None:
    with sessionstore.open(tmp_path) as store:
        store.create("A")
        assert len(store.index.find()) == 1
        with sessionstore.open(tmp_path) as other:
            other.index.replace_all([])
        assert store.index.find() == []


def test_a_writer_does_not_go_on_in_another_session_of_the_same_name(store: SessionStore) -> None:
    with pytest.raises(SessionGone), store.record("A") as run:
        run.event("begin")
        folder = run.folder
        other = store.create("B").folder
        os.rename(folder, folder.with_name("moved"))
        os.rename(other, folder)
        run.event("end")
    assert [path.name for path in folder.iterdir()] == ["session.json"]
    assert store.get(folder.name).record.status == "created"


def test_a_session_that_comes_back_from_missing_is_listed_as_it_is(store: SessionStore) -> None:
    session = store.create("A")
    away = store.root.private / "away"
    os.rename(session.folder, away)
    assert [row.status for row in store.find()] == ["missing"]
    os.rename(away, session.folder)
    assert [row.status for row in store.find(verify=False)] == ["created"]


def test_a_missing_session_that_comes_back_under_another_name_is_listed_once(store: SessionStore) -> None:
    """A listing between two renames, or one that could not read the new folder, has called it missing by then."""
    session = store.create("A")
    away = store.root.private / "away"
    os.rename(session.folder, away)
    assert [row.status for row in store.find()] == ["missing"]
    os.rename(away, store.root.folder("renamed"))
    assert [(row.session_id, row.status) for row in store.find()] == [("renamed", "created")]
    assert [row.session_id for row in store.index.find()] == ["renamed"]


def test_a_folder_that_a_copying_program_brought_is_seen_though_it_put_the_time_back(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rsync -a and tar give a directory the time that it had elsewhere, once all is in it."""
    monkeypatch.setattr("sessionstore.layout.SETTLED_S", -1.0)
    folder = store.create("A").folder
    assert len(store.find()) == len(store.find()) == 1
    status = os.stat(store.root.path)
    shutil.copytree(folder, store.root.folder("copy"))
    os.utime(store.root.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert len(store.find()) == 2


@pytest.mark.parametrize("meanwhile", ["updated", "deleted"])
def test_who_waits_for_the_disk_holds_no_lock_and_is_right_whatever_happens_meanwhile(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    session = store.create("A", metadata={"v": 0})
    session.update(notes="makes the folder of the locks")
    sync, turns = files._Directory.sync, iter([1])

    def others_go_on(self: files._Directory) -> None:
        if next(turns, 0):
            if meanwhile == "updated":
                store.get("A").update(lambda record: record["metadata"].update(v=record["metadata"]["v"] + 1))
            else:
                store.delete("A")
        sync(self)

    monkeypatch.setattr(files._Directory, "sync", others_go_on)
    assert session.update(metadata={"v": 1}).rev == 3
    if meanwhile == "deleted":
        assert store.find() == []
        assert store.restore("A").record.metadata == {"v": 1}
    assert [row.decoded_metadata() for row in store.find()] == [{"v": 2 if meanwhile == "updated" else 1}]


def test_an_edit_by_hand_during_an_update_is_not_lost(store: SessionStore) -> None:
    session = store.create("A", metadata={"v": 1})
    path, edits = session.folder / "session.json", iter([b'"notes": "by hand"'])

    def change(record: dict) -> None:
        for edit in edits:
            text = path.read_bytes().replace(b'"notes": ""', edit)
            path.with_name("editor").write_bytes(text)
            os.replace(path.with_name("editor"), path)
        record["metadata"]["v"] += 1

    record = session.update(change)
    assert (record.notes, record.metadata) == ("by hand", {"v": 2})


@pytest.mark.parametrize(
    "table", [{"a": {}}, {"1": 5}, {"1": {"v": float("nan")}}, {"1": {"v": object()}}, {"1": {"v": 10**5000}}, 7]
)
def test_tables_that_could_not_be_read_again_are_refused(store: SessionStore, table: object) -> None:
    session = store.create("A")
    before = (session.folder / "session.json").read_bytes()
    with pytest.raises(InvalidRecord):
        session.update(edit_tables=lambda tables: tables.update(x=table))
    assert (session.folder / "session.json").read_bytes() == before


def test_a_child_goes_on_though_a_thread_of_the_parent_held_every_lock_at_the_fork(store: SessionStore) -> None:
    session = store.create("A")
    writer = StreamWriter(session.stream_path("events"))
    writer.append({"v": 1})
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with writer._mutex, store.index._mutex, store.index._journal.exclusive():  # type: ignore[attr-defined]
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            writer.append({"v": 2})
            writer.flush()
            status = 0 if [row.status for row in store.index.find()] == ["created"] else 2
        finally:
            os._exit(status)
    deadline = time.monotonic() + 30
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    if ended == (0, 0):
        os.kill(child, 9)
        os.waitpid(child, 0)
    done.set()
    thread.join()
    assert ended[1] == 0 and ended[0] == child
    assert [line.data["v"] for line in session.tape("events").read()] == [1, 2]


def test_the_lock_of_a_parent_outlives_a_child_that_had_inherited_it(tmp_path: Path) -> None:
    storage = JournalStorage(tmp_path / "j.jsonl", sync=False)
    with storage.exclusive():
        child = os.fork()
        if child == 0:
            storage.journal._file.unlock()
            os._exit(0)
        os.waitpid(child, 0)
        other = JournalStorage(tmp_path / "j.jsonl", sync=False)
        other.journal._file._timeout_s = 0.05
        with pytest.raises(TimeoutError), other.exclusive():
            pass


def test_sweeping_takes_nothing_from_a_creator_that_was_stopped_for_long(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweeper is between finding a staging folder old and removing it when its creator goes on."""
    store.create("A")
    staged = store.root.staging / "slow"
    staged.mkdir()
    (staged / "session.json").write_bytes(b"{}")
    for each in (staged / "session.json", staged):
        os.utime(each, (1, 1))
    final = store.root.path / "202611231430-slow"
    removing = shutil.rmtree

    def creator_goes_on(path: str | Path, *more: object) -> None:
        try:
            files.rename_new(staged, final)
        except FileNotFoundError:
            pass
        else:
            raise AssertionError("the creator named what the sweeper is removing")
        removing(path)

    monkeypatch.setattr(shutil, "rmtree", creator_goes_on)
    sessionstore.open(store.root.path).create("B")
    assert not staged.exists() and not final.exists()


def test_an_index_that_is_no_plain_file_or_cannot_be_read_stops_no_listing(store: SessionStore) -> None:
    session = store.create("A")
    path = store.root.path / "index.jsonl"
    path.unlink()
    path.mkdir()
    assert [row.session_id for row in sessionstore.open(store.root.path).find()] == [session.session_id]
    path.rmdir()
    os.mkfifo(path)
    assert [row.session_id for row in sessionstore.open(store.root.path).find()] == [session.session_id]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("locked", ["claims", "index.jsonl"])
def test_who_is_killed_with_a_lock_frees_it_though_a_child_that_does_nothing_lives_on(
    store: SessionStore, locked: str
) -> None:
    """A pool of processes that were forked earlier holds the descriptors that were open then."""
    reading, writing = os.pipe()
    parent = os.fork()
    if parent == 0:
        os.close(writing)
        store.create("opens the files")
        if os.fork() == 0:
            os.read(reading, 1)  # until the test has ended
            os._exit(0)

        def killed(operation: str, path: str, payload: object) -> None:
            if operation == "write" and locked in path:
                os.kill(os.getpid(), signal.SIGKILL)

        files.observer = killed
        store.create("dies with the lock")
        os._exit(1)
    os.close(reading)
    try:
        assert os.waitpid(parent, 0)[1] == signal.SIGKILL
        with sessionstore.open(store.root.path) as other:
            assert {step.status for step in other.create_with_report("x")[1].values()} == {"done"}
    finally:
        os.close(writing)
