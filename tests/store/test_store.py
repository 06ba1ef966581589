"""The store: creating, changing, where it is."""

from __future__ import annotations

import enum
import errno
import gc
import json
import os
import threading
import unicodedata
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

import sessionstore
from sessionstore.errors import (
    Conflict,
    IllegalTransition,
    InvalidName,
    InvalidRecord,
    LockTimeout,
    StoreNotFound,
    StoreUnusable,
)
from sessionstore.layout import resolve
from sessionstore.model import json_text, names
from sessionstore.model.instants import new_uuid
from sessionstore.session.documents import DocumentStorage
from sessionstore.store import SessionStore
from sessionstore.store.id_reservations import IdReservations
from tests.store.test_listing import ids


def test_looking_at_a_store_makes_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with sessionstore.open(tmp_path / "empty") as store:
        assert store.find() == [] and store.trash() == []
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_named_store_that_does_not_exist_is_an_error_with_the_nearest_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sessionstore.open(tmp_path / "flights") as store:
        store.create("x")
    (tmp_path / "notes.txt").write_text("")
    for name, words in (("flight", "does not exist"), ("notes.txt", "is a file"), ("flights/a/b", "does not exist")):
        with sessionstore.open(tmp_path / name) as wrong:
            for question in (wrong.find, lambda: wrong.get("x")):
                with pytest.raises(StoreNotFound, match=f"{words}.*nearest store is {tmp_path / 'flights'}$"):
                    question()
    (tmp_path / "new").mkdir()
    monkeypatch.chdir(tmp_path / "new")
    monkeypatch.delenv("SESSIONSTORE_DIR", raising=False)
    with sessionstore.open() as store:  # nothing was named: the default folder may come later
        assert store.find() == []
    with sessionstore.open(tmp_path / "second") as store:
        store.create("y")
        assert len(store.find()) == 1


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
    claim = IdReservations.reserve

    def claim_and_lose(self: IdReservations, created: datetime, name: str | None, look: bool = True) -> str:
        chosen = claim(self, created, name, look)
        if chosen.endswith("-x"):
            store.root.folder(chosen).mkdir()
        return chosen

    monkeypatch.setattr(IdReservations, "reserve", claim_and_lose)
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
    made = [new_uuid() for _ in range(300)]
    assert made == sorted(made) and len(set(made)) == 300
    earlier = new_uuid(1_700_000_000_000_000_000)
    assert earlier < new_uuid(1_700_000_000_000_300_000) < new_uuid(1_700_000_000_001_000_000)


@pytest.mark.parametrize(
    "fields",
    [{"status": "flying"}, {"num_buildings": -1}, {"num_buildings": "5"}, {"base_position": [1, 2]}, {"colour": 1},
     {"metadata": {"x": object()}}, {"metadata": {1: 2, "1": 3}}, {"rev": 5}, {"duration_planned_s": "300"},
     {"started_at": "2026-11-23 14:30"}, {"gps": {"lat": float("nan")}}],
)  # fmt: skip
def test_what_breaks_the_rules_makes_nothing(store: SessionStore, fields: dict[str, object]) -> None:
    with pytest.raises(InvalidRecord):
        store.create("x", **fields)
    assert store.find() == [] and list(store.root.path.iterdir()) == []


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
    assert len(os.listdir(store.root.path)) == len(typed) + 4  # the index, .sessionstore, .gitignore, .gitattributes


def test_a_name_that_cannot_be_stored_is_refused(store: SessionStore) -> None:
    with pytest.raises(InvalidName):
        store.create("\ud800")


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
        ("workflow_state", "", "SCAN", "go", 0.5),
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


def test_a_recording_that_cannot_start_names_the_session_that_waits(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise LockTimeout("busy")

    monkeypatch.setattr(SessionStore, "start", refuse)
    with pytest.raises(LockTimeout) as caught:
        store.record("x")
    assert store.get("x").session_id in caught.value.__notes__[0]


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


def test_a_working_directory_that_was_removed_stops_no_creator(store: SessionStore, tmp_path: Path) -> None:
    here, gone = os.getcwd(), tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    try:
        gone.rmdir()
        assert store.create("x").record.provenance["git"] is None
    finally:
        os.chdir(here)


def test_a_descriptor_that_cannot_be_closed_well_fails_only_what_was_written_through_it(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Network and user-space file systems tell of a failed write when the file is closed."""
    session = store.create("x")
    session.update(notes="makes the lock file")
    close, turns, outcomes = os.close, [0], list[str]()
    gc.collect()  # what earlier tests left open is closed now, not in between
    here = threading.get_ident()

    def closed(descriptor: int) -> None:
        close(descriptor)
        if threading.get_ident() != here:  # the thread that syncs streams of earlier tests
            return
        turns[0] -= 1
        if turns[0] == 0:
            raise OSError(errno.EIO, "the disk has a bad day")

    gc.disable()
    request.addfinalizer(gc.enable)
    for failing in range(1, 20):
        before = session.record.rev
        monkeypatch.setattr(os, "close", closed)
        turns[0] = failing
        try:
            assert session.update(notes="y").rev == before + 1
            outcomes.append("done" if turns[0] <= 0 else "none failed")
        except StoreUnusable:
            outcomes.append("refused")
        monkeypatch.setattr(os, "close", close)
        assert session.record.rev == before + (outcomes[-1] != "refused")
    assert outcomes[:4] == ["done", "refused", "done", "done"] and outcomes[4:] == ["none failed"] * 15


class _Colour(str, enum.Enum):  # noqa: UP042  as many write it; unlike a StrEnum, str() gives its name
    RED = "red"


class _Odd(str):
    def __str__(self) -> str:
        return "\ud800"


def test_text_of_a_class_of_its_own_is_stored_as_the_text_that_it_is() -> None:
    given = {_Colour.RED: [_Colour.RED, _Odd("odd")]}
    assert json_text.layout(json_text.plain(given)) == b'{"red": ["red", "odd"]}\n'
    assert {type(text) for text in json_text.plain([*given, *given[_Colour.RED]])} == {str}


@pytest.mark.parametrize("value", [{1, "a"}, datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))])
def test_what_has_no_order_or_no_utc_is_refused_by_name(store: SessionStore, value: object) -> None:
    with pytest.raises(InvalidRecord, match=r"record\.metadata\.key: "):
        store.create("x", metadata={"key": value})
    assert store.find() == []


def test_what_is_laid_out_once_stands_in_documents_as_anything_else_does() -> None:
    for inner in ({}, {"a": 1}, {f"package-{number}": "1.0" for number in range(50)}):
        fixed = json_text.Fixed(inner)
        for made in (lambda each: each, lambda each: {"a": {"deep": [each, each]}}, lambda each: {"b": [{"c": each}]}):
            assert json_text.layout(made(fixed)) == json_text.layout(made(inner)) == json_text.layout(made(fixed))


def test_the_layout_of_documents_is_canonical_and_fits_a_screen(store: SessionStore) -> None:
    value = {"a": [1, 2, 3], "b": {"c": "x" * 100, "d": [[1.5, 2.5], []]}, "e": {}}
    text = json_text.layout(value).decode()
    assert json.loads(text) == value and json_text.layout(json.loads(text)).decode() == text
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
