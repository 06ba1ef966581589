"""Copies, renames and moves: each has its defined answer, and nothing in a session binds it to its place."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import sessionstore
from sessionstore.errors import NewerFormat, StoreUnusable
from sessionstore.layout import StoreRoot
from sessionstore.maintenance.checks.portability import _forbid, verify_moved
from sessionstore.maintenance.doctor import examine
from sessionstore.session import Session
from sessionstore.store import SessionStore
from tests.maintenance.test_doctor import recorded


def copied(session: Session, store: SessionStore, name: str) -> Session:
    shutil.copytree(session.folder, store.root.folder(name))
    return store.get(name)


def test_a_folder_copied_while_the_run_writes_opens_and_is_a_prefix(tmp_path: Path) -> None:
    source, target = sessionstore.open(tmp_path / "source"), sessionstore.open(tmp_path / "target")
    target.create("there already")
    with source.record("live") as recorder:
        for round_number in range(5):
            for step in range(40):
                t_s = round_number * 4 + step * 0.1
                recorder.motion.append("scout-1", t_s, (t_s, 0, 5))
            if round_number == 3:  # and a line that is being written at that very moment
                with open(recorder.folder / "motion_history.jsonl", "ab") as stream:
                    stream.write(b'{"n":160,"t":')
            copy = copied(recorder, target, f"copy-{round_number}")
            lines = list(copy.tape("motion_history").read())
            assert [line.n for line in lines] == list(range((round_number + 1) * 40))
            assert copy.record.session_name == "live"
        assert "copy-4" in {row.session_id for row in target.find()}
    assert [line.n for line in recorder.tape("motion_history").read()] == list(range(200))


def test_a_copy_of_a_running_session_can_be_written_on_its_own(store: SessionStore, tmp_path: Path) -> None:
    elsewhere = sessionstore.open(tmp_path / "elsewhere")
    elsewhere.create("there already")
    with store.record("live") as recorder:
        recorder.motion.append("scout-1", 0.1, (0, 0, 0))
        copy = copied(recorder, elsewhere, "copy")
        copy.update(notes="mine", status="stopped", end_reason="it is a copy")
        assert recorder.record.notes == "" and recorder.status == "running"
    assert store.get("live").status == "completed" and copy.status == "stopped"


def test_a_folder_from_a_newer_version_is_refused_and_every_other_goes_on(store: SessionStore) -> None:
    old, new = recorded(store, "old"), recorded(store, "new")
    path = store.root.folder(new) / "session.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 7'))
    with pytest.raises(NewerFormat, match="format 7"):
        _ = store.get(new).record
    with pytest.raises(NewerFormat):
        store.update(new, notes="lost")
    assert {row.session_id: row.status for row in store.find()} == {old: "completed", new: "unreadable"}
    assert '"format": 7' in path.read_text()


def test_a_store_that_was_moved_as_a_whole_works_as_before(store: SessionStore, tmp_path: Path) -> None:
    session_id, deleted = recorded(store, "kept"), recorded(store, "deleted")
    store.delete(deleted)
    rows = store.find()
    store.close()
    moved_to = tmp_path / "another disk" / "stöße"
    moved_to.parent.mkdir()
    shutil.move(store.root.path, moved_to)
    with sessionstore.open(moved_to) as moved:
        assert moved.find() == rows
        moved.update("kept", notes="after the move")
        moved.restore(deleted)
        assert {row.session_id for row in moved.find()} == {session_id, deleted}
        assert examine(moved_to).healthy
    assert not store.root.path.exists()


def test_nothing_in_a_store_names_its_place(store: SessionStore) -> None:
    recorded(store)
    (store.root.folder(recorded(store, "broken")) / "session.json").write_text("{")
    (store.root.folder(recorded(store, "linked")) / "session.json").unlink()
    (store.root.folder("202601011200-link")).mkdir()
    (store.root.folder("202601011200-link") / "session.json").symlink_to("/etc/passwd")
    problems = {row.problem for row in store.find() if row.status == "unreadable"}
    assert len(problems) == 3 and all(problem and "session.json" in problem for problem in problems)
    place = str(store.root.path).encode()
    # The command line and the working directory in the provenance are told, never needed: this one has none of them.
    named = [path for path in store.root.path.rglob("*") if path.is_file() and place in path.read_bytes()]
    assert named == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a disk read-only")
def test_a_store_on_a_read_only_disk_is_read_and_nothing_else(store: SessionStore, tmp_path: Path) -> None:
    session_id = recorded(store)
    mounted = tmp_path / "read-only"
    mounted.mkdir()
    steps = (["mount", "--bind", str(store.root.path), str(mounted)], ["mount", "-o", "remount,ro,bind", str(mounted)])
    for step in steps:
        if subprocess.run(step, check=False, capture_output=True).returncode:
            pytest.skip("needs mount --bind, which this machine does not allow")
    try:
        with sessionstore.open(mounted) as readable:
            assert [row.session_id for row in readable.find()] == [session_id]
            assert readable.get("latest").tape("motion_history").count() == 20
            with pytest.raises(StoreUnusable):
                readable.create("refused")
            with pytest.raises(StoreUnusable):
                readable.update("flight", notes="refused")
        codes = {finding.code for finding in examine(mounted).findings}
        assert codes == {"filesystem-read-only"} and examine(mounted).healthy
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


def test_moved_sessions_read_the_same_and_a_foreign_file_is_told(store: SessionStore) -> None:
    one, two = recorded(store, "one"), recorded(store, "two")
    (store.root.folder(two) / "secret.jsonl").symlink_to("/etc/hostname")
    results = {result.session_id: result for result in verify_moved(store.root, [one, two])}
    assert results[one].same and results[one].differs == []
    assert not results[two].same and "secret.jsonl: not a plain file" in results[two].differs[0]


def test_a_session_that_leans_on_its_place_is_found_out(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    session_id = recorded(store)
    from sessionstore.maintenance.checks import portability as moved

    honest = moved.describe

    def bound(session: Session) -> dict[str, object]:
        return {**honest(session), "record": str(session.folder)}

    monkeypatch.setattr(moved, "describe", bound)
    (result,) = verify_moved(store.root, [session_id])
    assert (result.same, result.differs) == (False, ["record"])


def test_a_process_elsewhere_is_stopped_when_it_opens_the_original(tmp_path: Path) -> None:
    original = tmp_path / "original"
    original.mkdir()
    (original / "file").write_text("x")
    for program in ("open(p + '/file')", "import os; os.listdir(p)", "import os; os.open(p + '/file', 0)"):
        guard = "from sessionstore.maintenance.checks.portability import _forbid; _forbid(p)"
        code = f"import sys; p = sys.argv[1]\n{guard}\n{program}"
        done = subprocess.run([sys.executable, "-c", code, str(original)], capture_output=True, text=True, check=False)
        assert done.returncode == 1 and "of the original" in done.stderr
    assert _forbid is not None


def test_a_folder_that_came_with_odd_times_is_listed_and_told(store: SessionStore) -> None:
    session_id = recorded(store)
    path = store.root.folder(session_id) / "session.json"
    for moment in (0, time.time() + 10 * 365 * 86400):
        os.utime(path, (moment, moment))
        assert [row.session_id for row in store.find()] == [session_id]
    assert "time-ahead" in {finding.code for finding in examine(store.root.path).findings}


def test_a_single_folder_opens_from_anywhere(store: SessionStore, tmp_path: Path) -> None:
    session_id = recorded(store)
    shutil.copytree(store.root.folder(session_id), tmp_path / "usb stick" / "flight")
    alone = Session(StoreRoot(tmp_path / "usb stick"), "flight")
    assert alone.record.session_name == "flight" and alone.tape("motion_history").count() == 20
    assert json.loads((tmp_path / "usb stick" / "flight" / "session.json").read_text())["session"]["1"]["uuid"]
