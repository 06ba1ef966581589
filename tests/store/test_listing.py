"""Listing and finding: every session that is there, as it is now, whatever became of the index."""

from __future__ import annotations

import gc
import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore.disk import files
from sessionstore.errors import (
    AmbiguousSession,
    SessionGone,
    SessionNotFound,
)
from sessionstore.index import look
from sessionstore.index.lined import Line
from sessionstore.layout import StoreRoot
from sessionstore.session import Session
from sessionstore.store import SessionStore, row_lines


def ids(store: SessionStore, where: str = "") -> list[str]:
    return sorted(row.session_id for row in store.find(where))


def test_sessions_are_found_by_id_prefix_uuid_name_and_latest(store: SessionStore) -> None:
    first, second = store.create("Butterfly"), store.create("Storm")
    for key in (first.session_id, first.record.uuid, "Butterfly"):
        assert store.get(key).session_id == first.session_id
    assert store.get("latest").session_id == second.session_id
    assert store.get(second.session_id[:-2]).session_id == second.session_id
    with pytest.raises(AmbiguousSession, match="2 sessions"):
        store.get("20")
    store.create("Storm")
    with pytest.raises(AmbiguousSession, match="Storm"):
        store.get("Storm")
    for key in ("nothing", "../store", "", ".", "a/b"):
        with pytest.raises(SessionNotFound):
            store.get(key)


def test_filters_sorting_and_paging(store: SessionStore) -> None:
    for number in range(6):
        store.create(f"run {number}", metadata={"n": number % 3, "text": "ab"[number % 2]} if number else {})
    names_of = lambda *given, **options: [row.session_name for row in store.find(*given, **options)]  # noqa: E731
    assert names_of() == [f"run {number}" for number in range(5, -1, -1)]
    assert names_of("metadata.n>1", sort="created_at") == ["run 2", "run 5"]
    assert names_of(sort="metadata.n")[-1] == "run 0"
    assert names_of(sort="-metadata.n")[0] in ("run 2", "run 5") and names_of(sort="-metadata.n")[-1] == "run 0"
    assert names_of(limit=2, offset=1) == ["run 4", "run 3"]


def test_a_copied_folder_is_listed_without_being_told(store: SessionStore, tmp_path: Path) -> None:
    session = store.create("x", metadata={"a": 1})
    session.writer("log").append({"message": "hello"})
    with sessionstore.open(tmp_path / "other") as other:
        mine = other.create("y").session_id
        shutil.copytree(session.folder, other.root.folder(session.session_id))
        assert ids(other) == sorted([mine, session.session_id])
        copy = other.get(session.session_id)
        assert copy.update(notes="changed in the copy").rev == 2
        assert [line.data for line in copy.tape("log").read()] == [{"message": "hello"}]
    assert session.record.notes == ""


def test_a_renamed_folder_goes_by_its_new_name(store: SessionStore) -> None:
    session = store.create("x")
    store.find()
    session.folder.rename(store.root.folder("My best run (copy)"))
    rows = {row.session_id: row.status for row in store.find()}
    assert rows == {"My best run (copy)": "created"}  # its uuid lives on: nothing is missing
    renamed = store.get("My best run (copy)")
    assert renamed.record.session_id == "My best run (copy)"
    with pytest.raises(SessionGone):
        session.update(notes="lost")


def test_a_session_that_cannot_be_read_is_listed_with_what_was_known_of_it(store: SessionStore) -> None:
    session = store.create("Butterfly", metadata={"pilot": "Ada"}, tags=["kept"])
    (session.folder / "session.json").write_text("{")
    (row,) = store.find("metadata.pilot=Ada")
    assert (row.status, row.session_name, row.tags) == ("unreadable", "Butterfly", ["kept"])
    assert row.problem is not None and "session.json:1:2" in row.problem


def test_a_folder_opens_on_its_own(store: SessionStore, tmp_path: Path) -> None:
    session = store.create("x")
    shutil.copytree(session.folder, tmp_path / "alone" / "anything")
    alone = Session(StoreRoot(tmp_path / "alone"), "anything")
    assert alone.update(notes="hello").notes == "hello"


def test_a_deleted_index_comes_back_byte_identical(store: SessionStore) -> None:
    for number in range(20):
        store.create(f"run {number}").update(notes="edited")
    store.delete("run 7")
    store.rebuild()
    index = store.root.path / "index.jsonl"
    before = index.read_bytes()
    store.rebuild()
    assert index.read_bytes() == before
    index.unlink()
    with sessionstore.open(store.root.path) as again:
        assert len(again.find()) == 19
    assert index.read_bytes() == before


@pytest.mark.parametrize(
    "spoilt", [b"garbage\n", b"", b'{"table":"sessions","id":1,"doc":{},"c":"00000000"}\n', b"\0" * 99]
)
def test_a_damaged_index_costs_nothing_but_a_rebuild(store: SessionStore, spoilt: bytes) -> None:
    made = [store.create(f"run {number}").session_id for number in range(3)]
    index = store.root.path / "index.jsonl"
    index.write_bytes(spoilt + index.read_bytes()[:200] + spoilt)
    with sessionstore.open(store.root.path) as again:
        assert ids(again) == sorted(made)
        again.get("run 1").update(notes="fine")
        assert ids(again, "rev=2") == [made[1]]


def test_a_torn_end_of_the_index_is_cut_by_the_next_write_and_kept_aside(store: SessionStore) -> None:
    store.create("one")
    index = store.root.path / "index.jsonl"
    with index.open("ab") as stream:
        stream.write(b'{"table":"sessions","id":12')
    store.create("two")
    assert all(json.loads(line) for line in index.read_bytes().splitlines())
    assert [path.read_bytes() for path in store.root.quarantined()] == [b'{"table":"sessions","id":12']
    assert len(ids(store)) == 2


def test_another_store_sees_every_write_at_once(store: SessionStore) -> None:
    with sessionstore.open(store.root.path) as other:
        session = store.create("x")
        assert ids(other) == [session.session_id]
        session.update(status="running")
        assert ids(other, "status=running") == [session.session_id]
        other.delete("x")
        assert ids(store) == [] and len(store.trash()) == 1


def test_a_store_on_a_read_only_disk_can_be_read(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    session = store.create("x")
    (store.root.path / "index.jsonl").unlink()
    refused = OSError(30, "Read-only file system")
    monkeypatch.setattr("sessionstore.disk.files.os.open", _only_reading(refused))
    monkeypatch.setattr("sessionstore.disk.files.os.mkdir", lambda *_: (_ for _ in ()).throw(refused))
    with sessionstore.open(store.root.path) as other:
        assert ids(other) == [session.session_id] and ids(other, "name=x") == [session.session_id]
        assert other.get("x").record.session_name == "x"


def _only_reading(error: OSError):  # type: ignore[no-untyped-def]
    real = os.open

    def opener(path: str, flags: int, *rest: int, **more: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise error
        return real(path, flags, *rest, **more)

    return opener


def test_a_link_to_a_folder_elsewhere_is_no_session(store: SessionStore, tmp_path: Path) -> None:
    store.create("x")
    with sessionstore.open(tmp_path / "other") as other:
        (store.root.path / "202611230000-linked").symlink_to(other.create("y").folder)
    assert [row.session_name for row in store.find()] == ["x"]
    with pytest.raises(SessionNotFound):
        store.get("202611230000-linked")


def test_a_folder_at_rest_is_not_read_again_and_no_change_is_missed(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = store.create("one").session_id
    root = store.root
    first = root.session_ids()
    status = os.stat(root.path)
    (root.path / "202611231430-two").mkdir()
    os.utime(root.path, ns=(status.st_atime_ns, status.st_mtime_ns))  # as if within one tick of the clock
    assert root.session_ids() == {made, "202611231430-two"} != first
    monkeypatch.setattr("sessionstore.layout.SETTLED_S", -1.0)
    settled = root.session_ids()
    assert root.session_ids() is settled
    (root.path / "202611231430-two").rmdir()
    assert root.session_ids() == {made}


def test_a_store_at_rest_shows_new_copied_and_removed_sessions_without_comparing(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessionstore.layout.SETTLED_S", -1.0)
    first = store.create("one").session_id
    seen = [len(store.find(verify=False)) for _ in range(3)]
    sessionstore.open(store.root.path).create("two")
    seen += [len(store.find(verify=False)) for _ in range(2)]
    shutil.copytree(store.root.path / first, store.root.path / "202611231430-copy")
    seen += [len(store.find(verify=False)) for _ in range(2)]
    shutil.rmtree(store.root.path / "202611231430-copy")
    assert [*seen, *(row.status for row in store.find(verify=False))] == [
        1, 1, 1, 2, 2, 3, 3, "created", "created"
    ]  # fmt: skip


def _edit(store: SessionStore) -> None:
    store.get("x").update(notes="edited", tags=["meanwhile"])


def _copy_in(store: SessionStore) -> None:
    shutil.copytree(store.get("x").folder, store.root.folder("copied"))


def _take_away(store: SessionStore) -> None:
    shutil.rmtree(store.get("y").folder)


@pytest.mark.parametrize("happens", [_edit, _copy_in, _take_away])
def test_what_happens_while_the_folders_are_read_is_not_covered_by_a_rebuild(
    happens: Callable[[SessionStore], None], store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create("x")
    store.create("y")

    def late(*given: Any) -> list[Line]:
        lines = row_lines.read_lines(*given)
        happens(store)  # all folders have been read
        return lines

    monkeypatch.setattr("sessionstore.store.catalog.read_lines", late)
    assert store.rebuild() == 2
    known = {row.session_id: (row.status, row.rev, row.tags) for row in store.index.find()}
    with sessionstore.open(store.root.path) as other:
        assert known == {row.session_id: (row.status, row.rev, row.tags) for row in other.find()}
    assert len(known) == (3 if happens is _copy_in else 2)


def test_a_rebuild_that_nobody_disturbs_does_not_read_what_it_wrote(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create("x")
    monkeypatch.setattr(store.index, "stamps", None)
    assert store.rebuild() == 1
    assert gc.isenabled()


def test_at_rest_the_names_of_the_folders_are_not_gone_through(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Names(frozenset[str]):
        def __eq__(self, other: object) -> bool:
            raise AssertionError("100,000 names were compared")

        __hash__ = frozenset.__hash__

    made = Names(store.create(name).session_id for name in "AB")
    monkeypatch.setattr(store.root, "session_ids", lambda known=frozenset(): made)
    store.catalog._at_rest = look(store.index).version, made
    assert len(store.find(verify=False)) == 2


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("index", ["journal:", "sqlite:"])
def test_a_session_whose_record_went_before_its_folder_is_missing(index: str, verify: bool, tmp_path: Path) -> None:
    """rm -rf takes the record first: a listing in between must not leave "unreadable" behind for ever."""
    with sessionstore.open(tmp_path, index) as store:
        session, _ = store.create("A"), store.create("B")
        assert len(store.find()) == 2
        (session.folder / "events.jsonl").touch()
        (session.folder / "session.json").unlink()
        assert [row.status for row in store.find("name=A")] == ["unreadable"]
        shutil.rmtree(session.folder)
        for _ in range(3):
            assert [row.status for row in store.find("name=A", verify=verify)] == ["missing"]
        with pytest.raises(SessionNotFound):
            store.get("A")
        assert store.notice is None


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("index", ["journal:", "sqlite:"])
def test_a_session_whose_folder_was_emptied_is_missing_and_is_found_again(
    index: str, verify: bool, tmp_path: Path
) -> None:
    """rm -rf beside an update leaves an empty folder: there is nothing in it to be unreadable."""
    with sessionstore.open(tmp_path, index) as store:
        session, _ = store.create("A"), store.create("B")
        assert len(store.find()) == 2
        kept = (session.folder / "session.json").read_bytes()
        (session.folder / "session.json").unlink()
        (session.folder / ".tmp-1-00000000").touch()
        for _ in range(3):
            assert [row.status for row in store.find("name=A")] == ["missing"]
            assert [row.status for row in store.find("name=A", verify=verify)] == ["missing"]
        with pytest.raises(SessionNotFound):
            store.get("A")
        with pytest.raises(SessionGone):
            session.update(notes="x")
        assert store.notice is None and len(store.find()) == 2
        (session.folder / "session.json").write_bytes(kept)
        assert [row.status for row in store.find("name=A", verify=verify)] == ["created"]


def test_an_update_brings_nothing_back_that_was_removed_meanwhile(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = store.create("A")

    def remove(operation: str, path: str, payload: object) -> None:
        if operation == "fsync" and "tmp" in path:
            (session.folder / "session.json").unlink(missing_ok=True)

    monkeypatch.setattr(files, "observer", remove)
    with pytest.raises(SessionGone, match="was removed"):
        session.update(notes="x")
    assert list(session.folder.iterdir()) == []
    assert [row.status for row in store.find()] == ["missing"]


def test_rm_rf_during_updates_ends_as_missing(store: SessionStore) -> None:
    for _ in range(5):
        session, stop = store.create("A"), threading.Event()
        failures: list[str] = []

        def update(session: Session = session, stop: threading.Event = stop, failures: list[str] = failures) -> None:
            while not stop.is_set():
                try:
                    session.update(notes="x")
                except SessionGone:
                    return
                except Exception as error:  # noqa: BLE001 the test compares what came
                    failures.append(repr(error))
                    return

        thread = threading.Thread(target=update)
        thread.start()
        while session.folder.exists():
            shutil.rmtree(session.folder, ignore_errors=True)
        thread.join(60)
        stop.set()
        assert not thread.is_alive() and failures == []
        assert {row.status for row in store.find()} == {"missing"} and not session.folder.exists()


@pytest.mark.parametrize("index", ["journal:", "sqlite:"])
def test_what_a_program_does_to_a_row_reaches_no_other_reader(index: str, tmp_path: Path) -> None:
    with sessionstore.open(tmp_path, index) as store:
        store.create("A", tags=["night"], metadata={"deep": {"a": 1}}, drones=[{"id": "scout-1", "kind": "scout"}])
        (row,) = store.find()
        row.tags.append("changed")
        row.drones["scout"] = 99
        row.metadata["deep"]["a"] = 2
        row["tags"].append("changed")
        for again in (row, *store.find(), *store.find("tags=night and has drones.scout and metadata.deep.a=1")):
            assert (again.tags, again.drones, again.metadata) == (["night"], {"scout": 1}, {"deep": {"a": 1}})
        assert store.find("tags=changed") == []
        with pytest.raises(AttributeError):
            row.status = "failed"
