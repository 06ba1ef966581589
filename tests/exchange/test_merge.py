"""Merging: nothing is doubled, nothing is overwritten, and running it again completes or changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import sessionstore
from sessionstore.errors import NotApplied, SessionNotFound
from sessionstore.exchange import merge as merge_module
from sessionstore.exchange.compare import Comparison, Copy
from sessionstore.exchange.merge import merge
from sessionstore.exchange.trees import FolderTree
from sessionstore.exchange.verify import Bundle
from sessionstore.model.row import SessionRow
from sessionstore.session import Session
from sessionstore.store import SessionStore
from sessionstore.store.history import History


def flown(store: SessionStore, name: str = "Butterfly", points: int = 20) -> Session:
    with store.record(name, metadata={"pilot": "Ada"}) as session:
        for number in range(points):
            session.motion.append("scout-1", t_s=number / 20, position_m=(number, 0.0, 5.0))
    return store.get(session.session_id)


def appended(session: Session) -> None:
    writer = session.writer("log")
    writer.append({"level": "info", "message": "later"})
    writer.close()


def listed(store: SessionStore) -> list[SessionRow]:
    """Return the rows of a store; none before its first write."""
    return store.find() if store.root.private.is_dir() else []


def contents(store: SessionStore) -> dict[str, dict[str, bytes]]:
    """Return the bytes of all files of a store's sessions."""
    return {
        row.session_id: {
            str(path.relative_to(store.root.folder(row.session_id))): path.read_bytes()
            for path in sorted(store.root.folder(row.session_id).rglob("*"))
            if path.is_file()
        }
        for row in listed(store)
    }


@pytest.fixture
def here(tmp_path: Path) -> SessionStore:
    return sessionstore.open(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> SessionStore:
    return sessionstore.open(tmp_path / "there")


def actions(here: SessionStore, there: SessionStore, **more: object) -> list[tuple[str, str | None]]:
    report = merge(here, there.root.path, **more)  # type: ignore[arg-type]
    return [(outcome.action, outcome.session_id) for outcome in report.outcomes]


def test_a_new_session_is_copied_byte_for_byte_and_listed(here: SessionStore, there: SessionStore) -> None:
    session = flown(there)
    session.artifacts.put("plot.txt", b"a plot")
    assert actions(here, there) == [("copied", session.session_id)]
    assert contents(here) == contents(there)
    assert here.get("Butterfly").record.uuid == session.record.uuid


def test_a_second_merge_writes_not_one_byte(here: SessionStore, there: SessionStore) -> None:
    session = flown(there)
    merge(here, there.root.path)
    before = {path: path.stat().st_mtime_ns for path in here.root.path.rglob("*") if path.is_file()}
    assert actions(here, there) == [("same", session.session_id)]
    after = {path: path.stat().st_mtime_ns for path in here.root.path.rglob("*") if path.is_file()}
    before = {path: stamp for path, stamp in before.items() if "locks" not in path.parts}
    assert {path: stamp for path, stamp in after.items() if "locks" not in path.parts} == before


def test_the_side_that_went_on_is_taken_and_the_other_direction_changes_nothing(
    here: SessionStore, there: SessionStore
) -> None:
    session = flown(there)
    merge(here, there.root.path)
    session.update(notes="landed hard")
    appended(session)
    session.artifacts.put("late.txt", b"late")
    assert actions(there, here) == [("ahead", session.session_id)]
    assert actions(here, there) == [("updated", session.session_id)]
    assert contents(here) == contents(there)
    assert actions(here, there) == [("same", session.session_id)]


def test_diverged_copies_are_both_kept_and_their_branches_go_on(here: SessionStore, there: SessionStore) -> None:
    session = flown(there)
    merge(here, there.root.path)
    here.get("Butterfly").update(notes="here")
    session.update(notes="there")
    report = merge(here, there.root.path)
    (outcome,) = report.outcomes
    assert outcome.action == "diverged" and outcome.session_id != session.session_id and not report.clean
    other = here.get(str(outcome.session_id))
    assert (here.get(session.session_id).record.notes, other.record.notes) == ("here", "there")
    assert other.record.merged_from == {"session_id": session.session_id, "uuid": session.record.uuid, "rev": 4}
    assert other.record.uuid != session.record.uuid
    assert actions(here, there) == [("same", outcome.session_id)]
    session.update(notes="there again")
    assert actions(here, there) == [("updated", outcome.session_id)]
    assert here.get(str(outcome.session_id)).record.notes == "there again"
    assert here.get(str(outcome.session_id)).record.uuid == other.record.uuid


def test_a_stream_that_was_changed_diverges_although_the_record_is_the_same(
    here: SessionStore, there: SessionStore
) -> None:
    session = flown(there)
    merge(here, there.root.path)
    path = here.root.folder(session.session_id) / "motion_history.jsonl"
    path.write_bytes(path.read_bytes().replace(b"scout-1", b"scout-2", 1))
    assert [action for action, _ in actions(here, there)] == ["diverged"]


def test_an_id_that_another_session_has_gets_the_next_one_and_the_old_one_is_findable(
    here: SessionStore, there: SessionStore
) -> None:
    theirs = flown(there)
    folder = here.root.path / theirs.session_id
    other = flown(here, "Moth")
    shutil.move(here.root.folder(other.session_id), folder)
    here.rebuild()
    ((action, new_id),) = actions(here, there)
    assert action == "copied" and new_id not in (None, theirs.session_id)
    assert here.get(theirs.record.uuid).session_id == new_id
    assert [row.session_id for row in here.find(f'merged_from="{theirs.session_id}"')] == [new_id]
    assert actions(here, there) == [("same", new_id)]


def test_a_running_session_is_taken_up_to_a_whole_line_and_continued_later(
    here: SessionStore, there: SessionStore
) -> None:
    recorder = there.record("Butterfly")
    for number in range(10):
        recorder.motion.append("scout-1", t_s=number, position_m=(number, 0, 5))
    recorder.stream("motion_history").flush()
    path = recorder.folder / "motion_history.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"n":10,"t":')  # a line that is being written
    ((action, session_id),) = actions(here, there)
    path.write_bytes(whole)
    copy = here.get(str(session_id))
    assert action == "copied" and (copy.record.merged_from or {})["running"] is True
    assert (copy.folder / "motion_history.jsonl").read_bytes() == whole
    recorder.motion.append("scout-1", t_s=11, position_m=(11, 0, 5))
    recorder.finish()
    assert actions(here, there) == [("updated", session_id)]
    ended = here.get(str(session_id)).record
    assert ended.status == "completed" and "running" not in (ended.merged_from or {})
    assert actions(here, there) == [("same", session_id)]


def test_one_undo_takes_a_whole_merge_back(here: SessionStore, there: SessionStore) -> None:
    session = flown(there)
    merge(here, there.root.path)
    kept = contents(here)
    session.update(notes="later")
    appended(session)
    session.artifacts.put("late.txt", b"late")
    flown(there, "Moth")
    report = merge(here, there.root.path)
    assert (report.count("updated"), report.count("copied")) == (1, 1)
    History(here).undo()
    assert contents(here) == kept
    assert [action for action, _ in actions(here, there)] == ["updated", "copied"]


def test_what_is_damaged_or_unsafe_is_left_out_with_its_reason_and_the_rest_goes_on(
    here: SessionStore, there: SessionStore
) -> None:
    broken, linked, whole = flown(there, "Broken"), flown(there, "Linked"), flown(there, "Whole")
    (broken.folder / "session.json").write_text("{")
    (linked.folder / "secret.jsonl").symlink_to("/etc/passwd")
    report = merge(here, there.root.path)
    reasons = {outcome.source_id: outcome.reason for outcome in report.outcomes if outcome.action == "skipped"}
    assert "Corrupt" in reasons[broken.session_id] and "secret.jsonl" in reasons[linked.session_id]
    assert {row.session_id for row in here.find()} == {linked.session_id, whole.session_id}
    assert not (here.root.folder(linked.session_id) / "secret.jsonl").exists()


def test_a_filter_and_a_dry_run(here: SessionStore, there: SessionStore) -> None:
    flown(there, "Moth")
    session = flown(there)
    assert actions(here, there, where="name=Butterfly", dry_run=True) == [("copied", session.session_id)]
    assert not here.root.path.exists()
    assert actions(here, there, where="name=Butterfly") == [("copied", session.session_id)]


def test_a_session_folder_alone_is_a_source_and_nothing_is_not(
    here: SessionStore, there: SessionStore, tmp_path: Path
) -> None:
    session = flown(there)
    shutil.copytree(session.folder, tmp_path / "usb" / session.session_id)
    assert merge(here, tmp_path / "usb" / session.session_id).count("copied") == 1
    for nothing in (tmp_path / "mistyped", tmp_path):
        with pytest.raises(SessionNotFound):
            merge(here, nothing)


def test_a_session_that_runs_here_is_left_alone(here: SessionStore, there: SessionStore) -> None:
    recorder = here.record("Butterfly")
    merge(there, here.root.path)
    copy = there.get("Butterfly")
    copy.update(notes="edited in the copy", status="stopped")
    assert [action for action, _ in actions(here, there)] == ["skipped"]
    recorder.finish()


def branched(here: SessionStore, there: SessionStore) -> tuple[Session, Session]:
    """Return two copies in one store: one got a line, the other, which a merge put beside it, a note."""
    first = flown(there)
    merge(here, there.root.path)
    appended(here.get("Butterfly"))
    first.update(notes="there")
    branch = next(each for each in merge(here, there.root.path).outcomes if each.action == "diverged")
    return here.get(first.record.uuid), here.get(str(branch.session_id))


def test_a_copy_of_which_another_one_here_has_all_is_moved_to_the_trash_of_the_merge(
    here: SessionStore, there: SessionStore
) -> None:
    ours, branch = branched(here, there)
    appended(branch)
    kept = contents(here)
    trial = merge(here, there.root.path, dry_run=True)
    assert trial.count("superseded") == 1 and contents(here) == kept
    report = merge(here, there.root.path)
    superseded = [(each.source_id, each.session_id) for each in report.outcomes if each.action == "superseded"]
    assert superseded == [(ours.session_id, branch.session_id)] and report.clean
    assert contents(here) == {branch.session_id: kept[branch.session_id]}
    assert merge(here, there.root.path).change_id is None
    History(here).undo(report.change_id)
    assert contents(here) == kept and here.get(ours.session_id).record.uuid == ours.record.uuid


def test_a_copy_that_a_person_made_stays_beside_its_original(here: SessionStore, there: SessionStore) -> None:
    session = flown(there)
    merge(here, there.root.path)
    folder = here.root.folder(session.session_id)
    shutil.copytree(folder, folder.with_name(f"{folder.name}-backup"))
    assert len(here.find()) == 2
    assert merge(here, there.root.path).change_id is None and len(here.find()) == 2


def test_a_copy_that_runs_is_not_moved_away(here: SessionStore, there: SessionStore) -> None:
    _, branch = branched(here, there)
    here.update(branch.session_id, tags=["kept"])
    ours = here.get(branch.session_id)
    tables = ours.folder / "session.json"
    assert '"completed"' in tables.read_text()
    appended(branch)
    older = next(row for row in here.find() if row.session_id != branch.session_id)
    place = here.root.folder(older.session_id) / "session.json"
    place.write_text(place.read_text().replace('"completed"', '"running"', 1))
    report = merge(here, there.root.path)
    assert older.session_id in {row.session_id for row in here.find()} and report.count("superseded") == 0


def test_an_added_and_a_retired_session_of_one_merge_are_taken_back_together(
    here: SessionStore, there: SessionStore, tmp_path: Path
) -> None:
    ours, branch = branched(here, there)
    shutil.copytree(branch.folder, tmp_path / "usb" / branch.session_id)
    appended(branch)
    flown(there, "Moth")
    kept = contents(here)
    report = merge(here, [there.root.path, tmp_path / "usb" / branch.session_id])
    assert (report.count("copied"), report.count("superseded")) == (1, 1)
    History(here).undo()
    assert contents(here) == kept and ours.session_id in kept


def while_it_is_read(monkeypatch: pytest.MonkeyPatch, file: str, happens: Callable[[], object]) -> None:
    """Let something happen at the source when a file of it is about to be read."""
    real, once = FolderTree.chunks, [happens]

    def chunks(self: FolderTree, name: str, *args: int) -> Iterator[bytes]:
        if name.endswith(file) and once and "there" in str(self.folder):
            once.pop()()
        return real(self, name, *args)

    monkeypatch.setattr(FolderTree, "chunks", chunks)


def test_a_session_that_changes_while_it_is_copied_is_left_for_the_next_merge(
    here: SessionStore, there: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = flown(there)
    other = flown(there, "Moth")
    while_it_is_read(monkeypatch, "motion_history.jsonl", lambda: session.update(notes="meanwhile"))
    report = merge(here, there.root.path)
    assert [(each.action, each.source_id) for each in report.outcomes] == [
        ("skipped", session.session_id),
        ("copied", other.session_id),
    ]
    assert "changed at the source" in report.outcomes[0].reason and len(here.find()) == 1
    assert merge(here, there.root.path).count("copied") == 1 and contents(here) == contents(there)


@pytest.mark.parametrize("update", [False, True])
def test_a_source_that_disappears_meanwhile_leaves_nothing_half_visible(
    here: SessionStore, there: SessionStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, update: bool
) -> None:
    session = flown(there)
    if update:
        merge(here, there.root.path)
        appended(session)
        session.update(notes="later")
    before = contents(here)
    away = tmp_path / "unplugged"
    while_it_is_read(monkeypatch, ".jsonl", lambda: there.root.path.rename(away))
    report = merge(here, there.root.path)
    assert report.count("skipped") == 1 and "disappeared" in report.outcomes[0].reason
    assert contents(here) == before and not list(here.root.staging.iterdir())
    away.rename(there.root.path)
    merge(here, there.root.path)
    assert contents(here) == contents(there)


def test_a_bundle_that_is_replaced_after_it_was_verified_is_not_taken(
    here: SessionStore, there: SessionStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    flown(there)
    there.pack(tmp_path / "fleet.zip")
    flown(there, "Moth")
    there.pack(tmp_path / "other.zip")
    real = Bundle.verify

    def verify(self: Bundle, *args: object) -> int:
        found = real(self, *args)  # type: ignore[arg-type]
        (tmp_path / "other.zip").replace(tmp_path / "fleet.zip")
        return found

    monkeypatch.setattr(Bundle, "verify", verify)
    report = merge(here, tmp_path / "fleet.zip")
    assert report.count("skipped") == 1 and "changed" in report.outcomes[0].reason and here.find() == []


def test_two_undos_take_two_merges_back(here: SessionStore, there: SessionStore) -> None:
    flown(there)
    merge(here, there.root.path)
    flown(there, "Moth")
    merge(here, there.root.path)
    history = History(here)
    history.undo()
    assert [row.session_name for row in here.find()] == ["Butterfly"]
    history.undo()
    assert here.find() == []
    with pytest.raises(NotApplied, match="nothing to take back"):
        history.undo()


def test_an_id_that_differs_in_case_only_is_taken(here: SessionStore, there: SessionStore) -> None:
    first, second = flown(here, "scan"), flown(there, "Scan")
    if first.session_id.lower() == second.session_id.lower():  # in one minute
        ((action, session_id),) = actions(here, there)
        assert (action, session_id) == ("copied", f"{second.session_id}-2")


def test_what_was_recorded_since_a_merge_is_not_undone_with_it(here: SessionStore, there: SessionStore) -> None:
    session = flown(there)
    here.merge(there.root.path)
    appended(session)
    session.update(notes="later")
    here.merge(there.root.path)
    appended(here.get(session.session_id))  # acknowledged here, behind what the merge took
    before = contents(here)
    with pytest.raises(NotApplied, match="since the merge"):
        History(here).undo()
    assert contents(here) == before and here.get(session.session_id).tape("log").count() == 2


@pytest.mark.parametrize("change", ["record", "stream"])
def test_a_change_while_a_merge_compares_is_not_replaced(
    here: SessionStore, there: SessionStore, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    session = flown(there)
    here.merge(there.root.path)
    appended(session)
    session.update(notes="later")
    compare = merge_module.compare

    def compared(ours: Copy, theirs: Copy) -> Comparison:
        found = compare(ours, theirs)
        if change == "record":
            here.update(session.session_id, notes="meanwhile")
        else:
            appended(here.get(session.session_id))
        return found

    monkeypatch.setattr(merge_module, "compare", compared)
    report = here.merge(there.root.path)
    monkeypatch.undo()
    assert [outcome.action for outcome in report.outcomes] == ["skipped"]
    assert "changed here since it was compared" in report.outcomes[0].reason
    ours = here.get(session.session_id)
    assert ours.record.notes == ("meanwhile" if change == "record" else "")
    assert ours.tape("log").count() == (0 if change == "record" else 1) and here.doctor().findings == []
    action = "diverged" if change == "record" else "updated"  # the line is the one that theirs has
    assert [outcome.action for outcome in here.merge(there.root.path).outcomes] == [action]
