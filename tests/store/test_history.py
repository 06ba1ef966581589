"""Edits, deletions and merges can be taken back; what somebody changed since is never overwritten."""

from __future__ import annotations

import gc
import multiprocessing
import os
import shutil
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore.boxes.session_db_box import SessionDBBox
from sessionstore.disk import files
from sessionstore.disk.append_file import AppendFile
from sessionstore.errors import Conflict, IllegalTransition, InvalidRecord, NotApplied, StoreUnusable
from sessionstore.model.instants import new_uuid
from sessionstore.session.stream_reader import Tape
from sessionstore.store import SessionStore
from sessionstore.store.history import History
from sessionstore.store.trash import TrashEntry


@pytest.fixture
def history(store: SessionStore) -> History:
    return History(store)


def test_an_edit_is_noted_with_old_and_new_and_taken_back(store: SessionStore, history: History) -> None:
    session = store.create("x", metadata={"wind": "calm", "n": 1}, tags=["a"])
    history.edit("x", lambda record: record["metadata"].update(wind="storm"), notes="rough", reason="typed")
    (change,) = history.changes()
    assert (change.kind, change.sessions, change.reason) == ("edit", [session.session_id], "typed")
    assert change.before == {"notes": "", "metadata": {"wind": "calm", "n": 1}}
    assert change.after == {"notes": "rough", "metadata": {"wind": "storm", "n": 1}}
    assert session.record.notes == "rough" and session.record.rev == 2
    assert history.undo().change_id == change.change_id
    record = session.record
    assert (record.notes, record.metadata, record.rev) == ("", {"wind": "calm", "n": 1}, 3)
    assert [(each.kind, each.undone) for each in history.changes()] == [("undo", False), ("edit", True)]
    assert store.find("metadata.wind=calm") != []


def test_undo_goes_back_step_by_step_and_an_undo_can_be_undone(store: SessionStore, history: History) -> None:
    store.create("x")
    for notes in ("one", "two", "three"):
        history.edit("x", notes=notes)
    history.undo()
    history.undo()
    assert store.get("x").record.notes == "one"
    last = history.changes()[0]
    assert last.kind == "undo"
    history.undo(last.change_id)
    assert store.get("x").record.notes == "two"
    with pytest.raises(NotApplied, match="taken back before"):
        history.undo(last.change_id)


def test_what_somebody_changed_since_is_never_overwritten(store: SessionStore, history: History) -> None:
    session = store.create("x", tags=["a"])
    history.edit("x", notes="mine", tags=["a", "b"])
    session.update(notes="theirs")
    with pytest.raises(Conflict, match=r"notes of .* changed since"):
        history.undo()
    assert (session.record.notes, session.record.tags) == ("theirs", ["a", "b"])
    session.update(notes="mine", started_at=None)
    history.undo()
    assert (session.record.notes, session.record.tags) == ("", ["a"])


def test_a_status_moves_on_and_is_no_edit_to_take_back(store: SessionStore, history: History) -> None:
    session = store.create("x")
    history.edit("x", status="stopped", end_reason="by hand", notes="one")
    (change,) = history.changes()
    assert change.after.keys() == {"end_reason", "notes"}
    history.undo()
    assert (session.record.status, session.record.notes, session.record.end_reason) == ("stopped", "", None)
    history.edit("x", workflow_state="done")
    assert [each.kind for each in history.changes()] == ["undo", "edit"]


def test_a_renamed_folder_is_found_by_its_uuid(store: SessionStore, history: History) -> None:
    session = store.create("x")
    history.edit("x", notes="kept")
    store.find()
    session.folder.rename(store.root.folder("renamed"))
    history.undo()
    assert store.get("renamed").record.notes == ""


def test_a_deletion_is_taken_back_from_the_trash_even_one_that_nobody_noted(
    store: SessionStore, history: History
) -> None:
    one, two = store.create("one").session_id, store.create("two").session_id
    store.delete(one)
    store.delete(two)
    assert [(change.kind, change.sessions) for change in history.changes()] == [("delete", [two]), ("delete", [one])]
    history.undo()
    assert [row.session_id for row in store.find()] == [two]
    history.undo()
    assert {row.session_id for row in store.find()} == {one, two}
    assert [change.kind for change in history.changes()] == ["undo", "undo", "delete", "delete"]
    with pytest.raises(NotApplied, match="nothing to take back"):
        history.undo()


def test_a_merge_is_taken_back_into_the_trash(store: SessionStore, history: History) -> None:
    ids = [store.create(name).session_id for name in ("one", "two", "kept")]
    history.merged(ids[:2], "from the other lab")
    store.delete(ids[0])
    history.undo()  # the deletion
    history.undo()
    assert [row.session_id for row in store.find()] == [ids[2]]
    assert {entry.session_id for entry in store.trash()} == set(ids[:2])


def test_changes_can_be_asked_for_one_session(store: SessionStore, history: History) -> None:
    one = store.create("one").session_id
    store.create("two")
    history.edit("one", notes="1")
    history.edit("two", notes="2")
    store.delete("one")
    assert [change.kind for change in history.changes("two")] == ["edit"]
    assert [change.kind for change in history.changes(one)] == ["delete", "edit"]


def test_what_is_refused_is_not_noted_and_what_cannot_be_noted_is_not_done(
    store: SessionStore, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = store.create("x")
    with pytest.raises(InvalidRecord):
        history.edit("x", lambda record: record.update(tags="not a list"))
    with pytest.raises(Conflict):
        history.edit("x", notes="late", if_rev=7)
    with pytest.raises(IllegalTransition):
        history.edit("x", notes="late", status="completed")

    def refuse(record: dict[str, Any]) -> None:
        raise Conflict("somebody was faster")

    with pytest.raises(Conflict, match="faster"):
        history.edit("x", refuse, notes="late")
    history.edit("x", notes="")  # changes nothing
    assert history.changes() == []

    def full_disk(operation: str, path: str, payload: object) -> None:
        if operation == "write" and path.endswith("history.jsonl"):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "observer", full_disk)
    with pytest.raises(StoreUnusable):
        history.edit("x", notes="lost")
    assert session.record.notes == ""


def test_a_line_of_the_journal_that_a_hand_or_a_crash_broke_costs_only_itself(
    store: SessionStore, history: History
) -> None:
    store.create("x")
    history.edit("x", notes="one")
    history.edit("x", notes="two")
    path = store.root.private / "history.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0].replace(b"one", b"eno") + b'{"by": "hand"}\n' + lines[1] + b'{"torn')
    assert [change.after for change in history.changes()] == [{"notes": "two"}]
    history.edit("x", notes="three")
    assert [change.after["notes"] for change in history.changes()] == ["three", "two"]


def _edit_many(folder: Path, name: str, count: int) -> None:
    store = sessionstore.open(folder)
    for number in range(count):
        store.edit(name, notes=f"{name} {number}")


def test_two_processes_that_edit_at_once_lose_nothing_and_ids_stand_in_the_order_of_the_lines(tmp_path: Path) -> None:
    with sessionstore.open(tmp_path) as store:
        for name in "AB":
            store.create(name)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_edit_many, args=(tmp_path, name, 60)) for name in "AB"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    lines = list(Tape(tmp_path / ".sessionstore" / "history.jsonl").read())
    noted = [(line.data["sessions"][0][-1], line.data["after"]["notes"]) for line in lines]
    assert [line.n for line in lines] == list(range(120))
    for name in "AB":
        assert [notes for which, notes in noted if which == name] == [f"{name} {number}" for number in range(60)]
    ids = [line.data["id"] for line in lines]
    assert ids == sorted(set(ids))  # also when another process has noted one between the reading and the writing


def test_an_id_follows_the_last_line_that_stands_when_it_is_written(
    store: SessionStore, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create("x")
    history.edit("x", notes="one")
    other, lock, later_ns = sessionstore.open(store.root.path), AppendFile.lock, time.time_ns() + 60 * 10**9
    once = [True]

    def overtaken(file: AppendFile, timeout_s: float | None = None) -> int:
        if file.path.name == "history.jsonl" and once and once.pop():
            with monkeypatch.context() as later:  # by another process, whose clock goes ahead by a minute
                later.setattr("sessionstore.model.instants.time.time_ns", lambda: later_ns)
                History(other).restored(TrashEntry(new_uuid(), "y", datetime.now(UTC), Path("y")))
        return lock(file, timeout_s)

    monkeypatch.setattr(AppendFile, "lock", overtaken)
    history.edit("x", notes="two")
    assert history.changes()[0].after == {"notes": "two"}


def test_a_change_is_noted_though_the_private_folder_was_removed(store: SessionStore, history: History) -> None:
    store.create("x")
    history.edit("x", notes="one")
    shutil.rmtree(store.root.private)
    history.merged(["y"])
    assert [change.sessions for change in History(sessionstore.open(store.root.path)).changes()] == [["y"]]


def test_no_file_stays_open_after_an_edit(store: SessionStore, history: History) -> None:
    names = [store.create("x").session_id for _ in range(3)]
    store.edit(names[0], notes="0")
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("needs /proc")
    gc.collect()  # files that other tests left to the collector
    before = len(list(folder.iterdir()))
    for number in range(200):
        store.edit(names[number % 3], notes=str(number))
    assert len(list(folder.iterdir())) <= before
    assert not any(os.path.basename(os.path.realpath(each)) == "history.jsonl" for each in folder.iterdir())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, to kill an edit half-way")
def test_an_edit_or_undo_that_is_killed_before_any_step_can_still_be_undone(tmp_path: Path) -> None:
    with sessionstore.open(tmp_path / "origin") as store:
        store.create("x", notes="before")
        store.find()
    for step in range(1, 60):
        folder = tmp_path / str(step)
        shutil.copytree(tmp_path / "origin", folder)
        child = os.fork()
        if child == 0:
            _edit_and_die(folder, step)
        killed = os.waitpid(child, 0)[1] == signal.SIGKILL
        with sessionstore.open(folder) as store:
            notes, history = store.get("x").record.notes, History(store)
            assert notes in ("before", "edited")
            if notes == "edited":
                assert history.undo().after == {"notes": "edited"}
            assert store.get("x").record.notes == "before"
        if not killed:
            assert step > 3
            return
    raise AssertionError("no end of steps")


def _edit_and_die(folder: Path, step: int) -> None:
    left = [step]

    def count(*operation: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        store = sessionstore.open(folder)
        files.observer = count
        History(store).edit("x", notes="edited")
        History(store).undo()
    finally:
        os._exit(0)


def test_the_newest_change_is_the_one_made_last_though_the_clock_was_set_back(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    history, now = History(store), time.time_ns()
    store.create("A")
    store.create("B")
    history.edit("A", notes="first")
    store.delete("B")
    for hours, note in ((1, "second"), (2, "third")):
        monkeypatch.setattr(time, "time_ns", lambda hours=hours: now - hours * 3600 * 10**9)
        history.edit("A", tags=[note])
    assert [change.after.get("tags") for change in history.changes()[:2]] == [["third"], ["second"]]
    assert history.undo().after == {"tags": ["third"]}
    assert (store.get("A").record.tags, store.get("A").record.notes) == (["second"], "first")


def test_edits_of_python_and_of_the_box_can_be_undone(store: SessionStore) -> None:
    session = store.create("A", metadata={"a": 1})
    store.edit("A", notes="first", reason="typo")
    box = SessionDBBox(store=store)
    box.update_session("A", tags=["x"])
    box.update_session("A", merge=True, metadata={"b": 2}, notes="merged")
    assert session.record.metadata == {"a": 1, "b": 2} and session.record.notes == "merged"
    for _ in range(3):
        History(store).undo()
    assert (session.record.metadata, session.record.notes, session.record.tags) == ({"a": 1}, "", [])


def test_undo_after_the_clock_was_set_back_takes_the_last_change_back(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create("A")
    store.edit("A", notes="noted in the future")
    monkeypatch.setattr(time, "time_ns", lambda: 10**18)
    store.delete("A")
    assert [change.kind for change in History(store).changes()] == ["delete", "edit"]
    assert History(store).undo().kind == "delete" and store.get("A").record.notes == "noted in the future"


def test_every_way_to_restore_is_in_the_history(store: SessionStore, history: History) -> None:
    for name in ("python", "undone"):
        store.create(name)
        store.delete(name)
    history.undo()
    store.restore("python")
    assert [(change.kind, change.undone) for change in history.changes()] == [
        ("restore", False), ("undo", False), ("delete", True), ("delete", True),
    ]  # fmt: skip
    assert [change.kind for change in history.changes("python")] == ["restore", "delete"]
    history.undo(history.changes()[0].change_id)
    assert [row.session_name for row in store.find()] == ["undone"]


def test_what_was_removed_from_the_trash_stays_in_the_history_and_cannot_be_undone(
    store: SessionStore, history: History
) -> None:
    session_id = store.create("gone").session_id
    store.create("kept")
    history.edit("kept", notes="seen")
    store.delete("gone")
    store.empty_trash()
    store.empty_trash()  # nothing to note
    assert [(change.kind, change.sessions) for change in history.changes(session_id)] == [
        ("empty", [session_id]), ("delete", [session_id]),
    ]  # fmt: skip
    for change in history.changes(session_id):
        with pytest.raises(NotApplied, match="for good"):
            history.undo(change.change_id)
    assert history.undo().kind == "edit"


def test_a_large_trash_is_noted_in_lines_that_a_stream_takes(
    store: SessionStore, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessionstore.store.history._AT_ONCE", 2)
    ids = {store.create("x").session_id for _ in range(5)}
    for session_id in ids:
        store.delete(session_id)
    store.empty_trash()
    emptied = [change for change in history.changes() if change.kind == "empty"]
    assert [len(change.sessions) for change in emptied] == [1, 2, 2]
    assert {session for change in emptied for session in change.sessions} == ids
