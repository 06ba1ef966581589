"""The store: ids, finding, folders against index, trash, hand edits, and what a listing never hides."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import sessionstore
from sessionstore import claims, jsontext, names, records
from sessionstore.documents import DocumentStorage
from sessionstore.errors import (
    AmbiguousSession,
    Conflict,
    Corrupt,
    IllegalTransition,
    InvalidName,
    InvalidRecord,
    LockTimeout,
    NewerFormat,
    SessionGone,
    SessionNotFound,
    UnsafeFile,
)
from sessionstore.root import StoreRoot, resolve
from sessionstore.session import Session
from sessionstore.store import SessionStore


def ids(store: SessionStore, where: str = "") -> list[str]:
    return sorted(row.session_id for row in store.find(where))


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """One minute that does not end while a test runs."""
    minute = datetime(2026, 11, 23, 14, 30, 15, tzinfo=UTC)

    class Frozen(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return minute

    monkeypatch.setattr("sessionstore.store.datetime", Frozen)
    return minute


# ---------------------------------------------------------------- create


def test_looking_at_a_store_makes_nothing(tmp_path: Path) -> None:
    with sessionstore.open(tmp_path / "nothing") as store:
        assert store.find() == [] and store.trash() == []
    assert not (tmp_path / "nothing").exists()


def test_a_session_is_a_folder_that_reads_by_hand(store: SessionStore, frozen: datetime) -> None:
    session = store.create("Butter fly", metadata={"pilot": "Ada"}, seed=7)
    assert session.session_id == "202611231430-Butter-fly"
    document = json.loads((session.folder / "session.json").read_text())
    record = document["session"]["1"]
    assert list(document) == ["session", "workflow"]
    assert (record["session_name"], record["status"], record["rev"]) == ("Butter fly", "created", 1)
    assert record["created_at"] == "2026-11-23T14:30:15.000000Z" and record["time_zone"] == "UTC"
    assert record["provenance"]["seed"] == 7 and record["provenance"]["packages"]["tinydb"]
    assert str(store.root.path) not in json.dumps({key: record[key] for key in record if key != "provenance"})


def test_ids_are_numbered_when_taken_also_by_twins_of_other_file_systems(store: SessionStore, frozen: datetime) -> None:
    typed = ["Foo", "foo", "FOO", None, None, "Fo\u0301o", "Fóo"]
    made = [store.create(name).session_id.removeprefix("202611231430") for name in typed]
    assert made == ["-Foo", "-foo-2", "-FOO-3", "", "-2", "-Fóo", "-Fóo-2"]
    assert len({names.collision_key(each) for each in made}) == len(made)


def test_a_folder_that_is_there_already_is_never_replaced(store: SessionStore, frozen: datetime) -> None:
    store.root.prepare()
    store.root.folder("202611231430-x").mkdir()
    store.root.folder("202611231430-x-2").symlink_to("nowhere")
    assert store.create("x").session_id == "202611231430-x-3"
    assert list(store.root.folder("202611231430-x").iterdir()) == []


def test_a_name_taken_between_choosing_and_naming_gives_the_next(
    store: SessionStore, frozen: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def claim_and_lose(root: StoreRoot, created: datetime, name: str | None) -> str:
        chosen = claims.claim(root, created, name)
        if chosen.endswith("-x"):
            root.folder(chosen).mkdir()
        return chosen

    monkeypatch.setattr("sessionstore.store.claim", claim_and_lose)
    session = store.create("x")
    assert session.session_id == session.record.session_id == "202611231430-x-2"
    assert list(store.root.staging.iterdir()) == []


def test_eight_threads_creating_one_name_get_eight_sessions(store: SessionStore, frozen: datetime) -> None:
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.append(store.create("same").session_id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 8 and ids(store) == sorted(made)


def test_uuids_are_ordered_by_time() -> None:
    made = [records.new_uuid() for _ in range(300)]
    assert made == sorted(made) and len(set(made)) == 300
    earlier = records.new_uuid(1_700_000_000_000_000_000)
    assert earlier < records.new_uuid(1_700_000_000_000_300_000) < records.new_uuid(1_700_000_000_001_000_000)


@pytest.mark.parametrize(
    "fields",
    [{"status": "flying"}, {"num_buildings": -1}, {"num_buildings": "5"}, {"base_position": [1, 2]}, {"colour": 1},
     {"metadata": {"x": float("nan")}}, {"metadata": {1: 2}}, {"rev": 5}, {"duration_planned_s": "300"},
     {"started_at": "2026-11-23 14:30"}, {"metadata": {"x": datetime(2026, 1, 1)}}],  # noqa: DTZ001
)  # fmt: skip
def test_what_breaks_the_rules_makes_nothing(store: SessionStore, fields: dict[str, object]) -> None:
    with pytest.raises(InvalidRecord):
        store.create("x", **fields)
    assert store.find() == [] and not store.root.path.exists()


def test_numbers_of_any_size_and_numpy_come_back_exact(store: SessionStore) -> None:
    session = store.create(
        "x", metadata={"big": 2**200, "array": np.eye(2), "scalar": np.int64(7), "pi": 3.141592653589793}
    )
    assert session.record.metadata == {
        "big": 2**200,
        "array": [[1.0, 0.0], [0.0, 1.0]],
        "scalar": 7,
        "pi": 3.141592653589793,
    }


def test_every_naughty_string_makes_a_session_and_finds_it_again(store: SessionStore, data: Path) -> None:
    typed = sorted(set(json.loads((data / "blns.json").read_text())))
    made = {}
    for name in typed:
        made[name] = store.create(name).session_id
    for name in typed:
        found = store.get(name)
        assert found.session_id == made[name] and found.record.session_name == name
        assert unicodedata.is_normalized("NFC", found.session_id)
    assert len(os.listdir(store.root.path)) == len(typed) + 2  # the index and .sessionstore


def test_a_name_that_cannot_be_stored_is_refused(store: SessionStore) -> None:
    with pytest.raises(InvalidName):
        store.create("\ud800")


# ---------------------------------------------------------------- find


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
    monkeypatch.setattr("sessionstore.files.os.open", _only_reading(refused))
    monkeypatch.setattr("sessionstore.files.os.mkdir", lambda *_: (_ for _ in ()).throw(refused))
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


# ---------------------------------------------------------------- change


def test_updates_count_revisions_and_keep_a_history(store: SessionStore) -> None:
    session = store.create("x")
    session.update(status="running", workflow_state="SCAN", reason="go", sim_time_s=0.5)
    record = session.update(status="completed", end_reason="completed", sim_time_s=9.5)
    assert record.rev == 3 and record.started_at and record.ended_at and record.duration_wall_s is not None
    moves = [
        (move["field"], move["old"], move["new"], move["reason"], move["sim_time"]) for move in session.transitions()
    ]
    assert moves == [
        ("status", "created", "running", "go", 0.5),
        ("workflow_state", "initializing", "SCAN", "go", 0.5),
        ("status", "running", "completed", "", 9.5),
    ]


@pytest.mark.parametrize(
    "path", [["completed"], ["running", "created"], ["running", "completed", "running"], ["paused"]]
)
def test_a_status_moves_only_as_allowed(store: SessionStore, path: list[str]) -> None:
    session = store.create("x")
    for status in path[:-1]:
        session.update(status=status)
    before = session.record
    with pytest.raises(IllegalTransition, match="allowed"):
        session.update(status=path[-1])
    assert session.record == before
    with pytest.raises(InvalidRecord):
        session.update(status="interrupted")


def test_replace_is_compare_and_set(store: SessionStore) -> None:
    session = store.create("x")
    record = session.record
    record.notes = "mine"
    assert session.replace(record, if_rev=1).rev == 2
    with pytest.raises(Conflict, match="revision 2, not 1"):
        store.replace("x", record, if_rev=1)
    assert session.record.rev == 2


def test_an_update_function_sees_the_newest_record_so_that_none_is_lost(store: SessionStore) -> None:
    session = store.create("x", metadata={"n": 0})

    def count_up(record: dict[str, dict[str, int]]) -> None:
        record["metadata"]["n"] += 1

    def work() -> None:
        for _ in range(25):
            session.update(count_up)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert session.record.metadata == {"n": 100} and session.record.rev == 101


def test_own_tables_are_kept_and_the_record_s_are_not_for_hand(store: SessionStore) -> None:
    session = store.create("x")
    session.table("notes").insert({"text": "hello"})
    session.update(notes="y")
    assert session.table("notes").all() == [{"text": "hello"}]
    with pytest.raises(InvalidName):
        session.table("session")


def test_keys_that_this_version_does_not_know_survive_an_update(store: SessionStore) -> None:
    session = store.create("x")
    path = session.folder / "session.json"
    path.write_text(path.read_text().replace('"notes": ""', '"notes": "", "colour": "blue"'))
    session.update(notes="y")
    assert session.record.extra == {"colour": "blue"} and '"colour": "blue"' in path.read_text()


def test_a_stopped_lock_holder_gives_a_timeout_and_is_not_robbed(store: SessionStore) -> None:
    session = store.create("x")
    impatient = SessionStore(store.root.path)
    impatient.root.locks = type(store.root.locks)(store.root.private / "locks", timeout_s=0.05)
    with store.root.locks.session(session.session_id):
        blocked: list[BaseException] = []

        def wait() -> None:
            try:
                impatient.get("x").update(notes="y")
            except LockTimeout as error:
                blocked.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        thread.join()
        assert len(blocked) == 1 and session.record.notes == ""
    assert impatient.get("x").update(notes="y").rev == 2


# ---------------------------------------------------------------- hand edits and damage


def edit(session: Session, old: str, new: str) -> Path:
    path = session.folder / "session.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_a_hand_edit_is_seen_by_the_next_read_and_the_next_listing(store: SessionStore) -> None:
    session = store.create("x")
    edit(session, '"notes": ""', '"notes": "by hand"')
    edit(session, '"session_name": "x"', '"session_name": "renamed"')
    assert session.record.notes == "by hand"
    assert ids(store, "name=renamed") == [session.session_id] and store.get("renamed").record.rev == 1


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"notes": ""', '"notes": ', r"session\.json:10:\d+: Expecting value"),
        ('"status": "created"', '"status": "flying"', r"session\.json:11:\d+: status: Must be one of"),
        ('"tags": []', '"tags": [1]', r"session\.json:9:\d+: tags"),
        ('"notes": ""', '"notes": "", "notes": "twice"', r"session\.json:10:\d+: the key 'notes' stands twice"),
        ('"rev": 1', '"rev": NaN', r"NaN is not JSON"),
        ('"session": {', '"sesion": {', "no table 'session'"),
    ],
)
def test_an_edit_that_does_not_hold_is_told_with_its_place_and_left_alone(
    store: SessionStore, old: str, new: str, reason: str
) -> None:
    good, broken = store.create("good"), store.create("broken")
    path = edit(broken, old, new)
    before = path.read_bytes()
    with pytest.raises(Corrupt, match=reason):
        _ = broken.record
    with pytest.raises(Corrupt, match=reason):
        broken.update(notes="overwritten")
    rows = {row.session_id: row for row in store.find()}
    assert rows[broken.session_id].status == "unreadable" and rows[good.session_id].status == "created"
    assert "session.json" in str(rows[broken.session_id].problem)
    good.update(notes="goes on")
    assert path.read_bytes() == before
    path.write_text(path.read_text().replace(new, old))
    assert {row.status for row in store.find()} == {"created"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"owner": null', '"owner": {"pid": "x", "host": 5}'),
        ('"performance_metrics": {}', '"performance_metrics": {"totals": [1]}'),
        ('"progress": {}', '"progress": {"points": 1e300, "distance_m": "far"}'),
        ('"drones": []', '"drones": [{"kind": 7}, {}]'),
        ('"metadata": {}', '"metadata": {"n": 123456789012345678901234567890}'),
    ],
)
def test_odd_but_valid_edits_stop_no_listing(store: SessionStore, old: str, new: str) -> None:
    session = store.create("x")
    session.update(status="running", owner=None)
    edit(session, old, new)
    assert [row.status for row in store.find()] == ["running"]
    with sessionstore.open(store.root.path) as again:
        assert [row.status for row in again.find("status=running")] == ["running"]
    assert session.update(notes="still fine").notes == "still fine"


@pytest.mark.parametrize("value", ["1e999", "NaN", "-Infinity", "9" * 5000])
def test_numbers_that_no_reader_agrees_on_are_refused(store: SessionStore, value: str) -> None:
    session = store.create("x")
    edit(session, '"metadata": {}', f'"metadata": {{"n": {value}}}')
    with pytest.raises(Corrupt):
        _ = session.record


def test_a_folder_that_is_no_session_is_not_listed_unless_it_is_named_like_one(store: SessionStore) -> None:
    store.create("x")
    (store.root.path / "plots").mkdir()
    (store.root.path / "202611230001-old").mkdir()
    rows = {row.session_id: row.problem for row in store.find("not name=x")}
    assert list(rows) == ["202611230001-old"] and "session.json is missing" in str(rows["202611230001-old"])


def test_the_index_stays_small_under_many_updates(store: SessionStore) -> None:
    session = store.create("x")
    index = store.root.path / "index.jsonl"
    line = index.read_bytes()
    index.write_bytes(line * 1500)
    assert [row.session_id for row in store.find()] == [session.session_id]
    assert index.read_bytes() == line


def test_a_damaged_index_is_kept_aside_before_it_is_made_anew(store: SessionStore) -> None:
    store.create("x")
    (store.root.path / "index.jsonl").write_bytes(b"garbage\n")
    with sessionstore.open(store.root.path) as again:
        assert len(again.find()) == 1
    assert [path.read_bytes() for path in store.root.quarantined()] == [b"garbage\n"]


def test_missing_empty_unparsable_and_newer_are_four_answers(store: SessionStore) -> None:
    session = store.create("x")
    path = session.folder / "session.json"
    answers = []
    for content in (b"", b"{", path.read_bytes().replace(b'"format": 1', b'"format": 99')):
        path.write_bytes(content)
        with pytest.raises((Corrupt, NewerFormat)) as caught:
            _ = session.record
        answers.append((caught.type, caught.value.reason))
    path.unlink()
    with pytest.raises(Corrupt) as caught:
        _ = session.record
    answers.append((caught.type, caught.value.reason))
    assert len(set(answers)) == 4 and answers[2][0] is NewerFormat


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_document_that_is_no_plain_file_is_refused(store: SessionStore, tmp_path: Path, kind: str) -> None:
    session, other = store.create("x"), store.create("y")
    path = session.folder / "session.json"
    path.rename(tmp_path / "real.json")
    if kind == "link":
        path.symlink_to(tmp_path / "real.json")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(UnsafeFile):
        _ = session.record
    assert {row.session_id: row.status for row in store.find()} == {
        session.session_id: "unreadable", other.session_id: "created",
    }  # fmt: skip


def test_a_store_of_a_newer_format_is_refused(store: SessionStore) -> None:
    store.create("x")
    (store.root.private / "format.json").write_text('{"format": 2}')
    with pytest.raises(NewerFormat):
        sessionstore.open(store.root.path)


# ---------------------------------------------------------------- trash


def test_a_deleted_session_can_be_brought_back(store: SessionStore) -> None:
    session = store.create("x")
    before = (session.folder / "session.json").read_bytes()
    entry = store.delete("x")
    assert ids(store) == [] and not session.folder.exists() and entry.size() == len(before)
    with pytest.raises(SessionNotFound):
        store.get("x")
    with pytest.raises(SessionGone):
        session.update(notes="too late")
    store.rebuild()
    assert ids(store) == []
    assert store.restore(session.session_id).record.session_name == "x"
    assert (session.folder / "session.json").read_bytes() == before and store.trash() == []
    with pytest.raises(SessionNotFound):
        store.restore(session.session_id)


def test_a_restore_never_replaces_what_took_its_place(store: SessionStore) -> None:
    session = store.create("x")
    store.delete("x")
    session.folder.mkdir()
    with pytest.raises(Conflict):
        store.restore(session.session_id)
    assert len(store.trash()) == 1


def test_writers_in_flight_learn_that_the_session_is_gone(store: SessionStore) -> None:
    session = store.create("x")
    writer = session.writer("log")
    writer.append({"i": 0})
    store.delete("x")
    with pytest.raises(SessionGone):
        writer.append({"i": 1})
    store.restore(session.session_id)
    writer.append({"i": 1})
    assert [line.data["i"] for line in session.tape("log").read()] == [0, 1]


def test_emptying_the_trash_keeps_what_is_younger_and_follows_no_link(store: SessionStore, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("keep")
    session = store.create("x")
    (session.folder / "link").symlink_to(tmp_path / "precious")
    store.delete("x")
    assert store.empty_trash(older_than_s=60) == []
    assert len(store.empty_trash()) == 1 and store.trash() == []
    assert (tmp_path / "precious" / "file").read_text() == "keep"


def test_a_link_to_a_folder_elsewhere_is_no_session(store: SessionStore, tmp_path: Path) -> None:
    store.create("x")
    with sessionstore.open(tmp_path / "other") as other:
        (store.root.path / "202611230000-linked").symlink_to(other.create("y").folder)
    assert [row.session_name for row in store.find()] == ["x"]
    with pytest.raises(SessionNotFound):
        store.get("202611230000-linked")


def test_a_recording_that_cannot_start_names_the_session_that_waits(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise LockTimeout("busy")

    monkeypatch.setattr(SessionStore, "start", refuse)
    with pytest.raises(LockTimeout) as caught:
        store.record("x")
    assert store.get("x").session_id in caught.value.__notes__[0]


# ---------------------------------------------------------------- where it is


def test_the_root_is_found_in_the_promised_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project" / "deep")
    assert resolve() == tmp_path / "project" / "deep" / "training_sessions"
    sessionstore.open(tmp_path / "project" / "training_sessions").create("x")
    assert resolve() == tmp_path / "project" / "training_sessions"
    monkeypatch.setenv("SESSIONSTORE_DIR", str(tmp_path / "named"))
    assert resolve() == tmp_path / "named"
    assert resolve("given") == tmp_path / "project" / "deep" / "given"


def test_the_working_directory_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = sessionstore.open("store")
    monkeypatch.chdir("/")
    assert store.create("x").folder.parent == tmp_path / "store"


def test_abandoned_staging_is_swept_and_live_staging_is_not(store: SessionStore) -> None:
    store.root.prepare()
    for name, age_s in (("old", 3600), ("new", 0)):
        (store.root.staging / name).mkdir()
        moment = datetime.now(UTC).timestamp() - age_s
        os.utime(store.root.staging / name, (moment, moment))
    store.create("x")
    assert [path.name for path in store.root.staging.iterdir()] == ["new"]


def test_the_layout_of_documents_is_canonical_and_fits_a_screen(store: SessionStore) -> None:
    value = {"a": [1, 2, 3], "b": {"c": "x" * 100, "d": [[1.5, 2.5], []]}, "e": {}}
    text = jsontext.layout(value).decode()
    assert json.loads(text) == value and jsontext.layout(json.loads(text)).decode() == text
    assert text.splitlines()[1] == '  "a": [1, 2, 3],'


def test_a_document_write_by_a_stale_reader_is_refused(store: SessionStore) -> None:
    session = store.create("x")
    storage = DocumentStorage(session.folder / "session.json")
    tables = storage.read()
    assert tables is not None
    session.update(notes="newer")
    with pytest.raises(Conflict):
        storage.write(tables)
    assert session.record.notes == "newer"


def test_the_one_deleted_last_comes_back_though_the_clock_was_set_back_meanwhile(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns()
    session = store.create("A", metadata={"n": 1})
    store.delete(session.session_id)
    other = store.create("A", metadata={"n": 2})
    os.rename(other.folder, session.folder)
    monkeypatch.setattr(time, "time_ns", lambda: now - 3600 * 10**9)
    store.delete(session.session_id)
    assert store.restore(session.session_id).record.metadata == {"n": 2}


def test_the_trash_is_emptied_whole_though_the_clock_was_ahead_when_it_was_filled(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = time.time_ns() + 86400 * 10**9
    with monkeypatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: ahead)
        store.delete(store.create("A").session_id)
    assert store.empty_trash(3600.0) == []
    assert len(store.empty_trash()) == 1 and store.trash() == []


def test_restoring_leaves_what_a_hand_put_beside_the_session_in_the_trash(store: SessionStore) -> None:
    entry = store.delete(store.create("A").session_id)
    (entry.folder.parent / "why.txt").write_text("it was the wrong city")
    other = store.create("B").folder
    os.rename(other, entry.folder.parent / other.name)
    store.restore(entry.session_id)
    assert (entry.folder.parent / "why.txt").read_text() == "it was the wrong city"
    assert store.restore(other.name).record.session_name == "B"


def test_staging_that_is_still_being_written_is_not_taken_for_left_behind(store: SessionStore) -> None:
    store.create("A")
    staged = store.root.staging / "a long import"
    staged.mkdir()
    (staged / "motion_history.jsonl").write_text("still growing")
    os.utime(staged, (1, 1))
    sessionstore.open(store.root.path).create("B")
    assert staged.is_dir()
    os.utime(staged / "motion_history.jsonl", (1, 1))
    sessionstore.open(store.root.path).create("C")
    assert not staged.exists()


def test_what_goes_into_history_and_provenance_is_checked_as_the_record_is(store: SessionStore) -> None:
    session = store.create("one", seed=np.int64(7))
    assert session.record.provenance["seed"] == 7
    session.update(status="running", sim_time_s=np.float64(1.5))
    for wrong in ({"sim_time_s": float("nan")}, {"reason": "\ud800"}):
        with pytest.raises(InvalidRecord, match="history"):
            session.update(workflow_state="SCAN", **wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidRecord, match="provenance"):
        store.create("two", seed=float("inf"))
    assert [each["sim_time"] for each in session.transitions()] == [1.5] and len(store.find()) == 1


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
    monkeypatch.setattr("sessionstore.root.SETTLED_S", -1.0)
    settled = root.session_ids()
    assert root.session_ids() is settled
    (root.path / "202611231430-two").rmdir()
    assert root.session_ids() == {made}


def test_a_store_at_rest_shows_new_copied_and_removed_sessions_without_comparing(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessionstore.root.SETTLED_S", -1.0)
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
