"""The tools as their user types them: doctor, verify, history, undo, import-legacy, export-legacy."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sessionstore import cli
from sessionstore.errors import SessionGone
from sessionstore.store import SessionStore
from tests.maintenance.test_doctor import crashed, recorded
from tests.old_folders import FIXTURES


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def run(
    store: SessionStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    monkeypatch.setenv("SESSIONSTORE_DIR", str(store.root.path))

    def call(*arguments: str) -> Result:
        code = 0
        try:
            cli.main(list(arguments))
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


def test_doctor_says_what_is_wrong_why_and_what_repairs_it_and_fix_does_so(
    run: Callable[..., Result], store: SessionStore
) -> None:
    recorded(store)
    store.find()
    assert (run("doctor").code, run("doctor").out) == (0, "")
    session_id = crashed(store)
    result = run("doctor")
    assert result.code == 12
    for part in ("interrupted", session_id, "is gone", "why: ", "repair: sessionstore doctor --fix"):
        assert part in result.out
    assert "not healthy: 0 error, 1 warning" in result.err
    fixed = run("doctor", "--fix")
    assert fixed.code == 0 and "repaired" in fixed.out and "healthy" in fixed.err
    assert run("doctor", "--quick").code == 0


def test_doctor_with_json_prints_nothing_but_data(run: Callable[..., Result], store: SessionStore) -> None:
    crashed(store)
    facts = json.loads(run("doctor", "--json").out)
    assert facts["healthy"] is False and facts["findings"][0]["data"]["last_events"]
    facts = json.loads(run("doctor", "--json", "--fix").out)
    assert facts["healthy"] and [
        repair["repaired"] for repair in facts["repairs"] if repair["code"] == "interrupted"
    ] == [True]
    assert run("doctor", "--salvage").code == 2


def test_doctor_opens_a_store_whose_format_nobody_can_read(run: Callable[..., Result], store: SessionStore) -> None:
    recorded(store)
    (store.root.private / "format.json").write_text("{")
    assert run("list").code == 9
    assert "format-unreadable" in run("doctor").out
    assert run("doctor", "--fix").code == 0
    assert run("list").code == 0


def test_verify_reads_the_sessions_that_are_named(run: Callable[..., Result], store: SessionStore) -> None:
    good, bad = recorded(store, "good"), recorded(store, "bad")
    path = store.root.folder(bad) / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b"landed", b"LANDED") + path.read_bytes())
    assert run("verify", "good").code == 0
    assert json.loads(run("verify", good, "--json").out)["sessions"] == 1
    result = run("verify")
    assert result.code == 12 and "checksum" in result.out
    assert run("verify", "nobody").code == 3


def test_verify_as_if_moved_proves_that_nothing_binds_a_session_to_its_place(
    run: Callable[..., Result], store: SessionStore
) -> None:
    session_id = recorded(store)
    before = store.get(session_id).record
    result = run("verify", "--as-if-moved")
    assert (result.code, result.out.split()) == (0, ["same", session_id])
    assert json.loads(run("verify", "--as-if-moved", "--json").out) == [
        {"session_id": session_id, "same": True, "differs": []}
    ]
    assert store.get(session_id).record == before and "verify_probe" not in store.get(session_id).tapes()


def test_edits_and_deletions_typed_by_hand_are_shown_and_taken_back(
    run: Callable[..., Result], store: SessionStore
) -> None:
    session_id = recorded(store, "x")
    assert run("history").err == "nothing was changed\n"
    run("set", "x", "--notes", "rough", "--meta", "wind=storm")
    table = run("history").out
    assert 'notes: "" -> "rough"' in table and "edit" in table and session_id in table
    assert "taken back: edit" in run("undo").err
    assert store.get("x").record.notes == ""
    assert session_id in run("history", "x").out
    missing = run("history", "nothing")
    assert missing.code == 3 and missing.err.startswith("SessionNotFound") and missing.out == ""
    run("delete", "x")
    assert "delete" in run("history", session_id).out  # also while it lies in the trash
    assert run("undo").code == 0 and store.get("x").session_id == session_id
    kinds = [change["kind"] for change in json.loads(run("history", "--json").out)]
    assert kinds == ["undo", "delete", "undo", "edit"]
    assert run("undo").code == 1 and run("undo", "no-such-change").code == 3
    run("set", "x", "--notes", "one")
    store.update("x", notes="theirs")
    assert run("undo").code == 5


def test_import_legacy_reports_each_folder(run: Callable[..., Result], store: SessionStore) -> None:
    dry = run("import-legacy", str(FIXTURES), "--dry-run")
    assert dry.code == 12 and "would import" in dry.out and store.find() == []
    result = run("import-legacy", str(FIXTURES), "--zone", "UTC")
    assert "48 points, 2 drones, 2 buildings" in result.out
    assert "imported      good -> 202512131946-Quadcopter" in result.out
    assert "unknown points" in result.out  # of the corrupt one: unknown is not none
    assert sorted(result.err.strip().split(", ")) == ["1 failed", "1 skipped", "5 imported"]
    again = json.loads(run("import-legacy", str(FIXTURES), "--zone", "UTC", "--json").out)
    assert again["counts"]["already there"] == 5
    assert run("import-legacy", str(FIXTURES / "good"), "--zone", "Mars").code == 6
    assert "merge" in run("history").out and "taken back: merge" in run("undo").err
    assert store.find() == [] and len(store.trash()) == 5


def test_export_legacy_writes_folders_that_import_again(
    run: Callable[..., Result], store: SessionStore, tmp_path: Path
) -> None:
    session_id = recorded(store)
    result = run("export-legacy", "latest", "--to", str(tmp_path / "old"), "--json")
    assert json.loads(result.out)[0]["session_id"] == session_id
    assert run("import-legacy", str(tmp_path / "old")).code == 0
    assert run("export-legacy", "flight", "--to", str(tmp_path / "old")).code == 4  # two fit by now
    assert run("export-legacy", session_id, "--to", str(tmp_path / "old")).code == 5


# ---------------------------------------------------------------- trash and quarantine


def command_in(text: str) -> list[str]:
    """Return the arguments of the command that a hint ends with, as a shell reads them."""
    return shlex.split(text.partition("sessionstore ")[2].splitlines()[0])


@pytest.fixture
def elsewhere(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Result], tmp_path: Path
) -> SessionStore:
    """A store that only --dir finds, under a name that a shell would take apart."""
    monkeypatch.delenv("SESSIONSTORE_DIR")
    monkeypatch.chdir("/")
    return SessionStore(tmp_path / "the store's; place")


def test_what_doctor_prints_can_be_pasted_though_the_store_was_named_by_an_option(
    run: Callable[..., Result], elsewhere: SessionStore
) -> None:
    session_id = recorded(elsewhere)
    with open(elsewhere.root.folder(session_id) / "events.jsonl", "ab") as stream:
        stream.write(b'{"n":1,"torn')
    named = ("--dir", str(elsewhere.root.path))
    told = run("doctor", *named)
    assert told.code == 12
    assert run(*command_in(told.out.partition("repair: ")[2])).code == 0
    told = run("doctor", *named)
    assert (told.code, "quarantine-size" in told.out) == (0, True)
    hint = command_in(told.out.partition("repair: ")[2])
    assert hint[:3] == ["quarantine", "empty", "--older-than"]
    assert "nothing to remove" in run(*hint).err


def test_what_doctor_says_of_a_place_names_it_from_the_root(
    run: Callable[..., Result], elsewhere: SessionStore
) -> None:
    recorded(elsewhere)
    old = elsewhere.root.folder("an old one")
    old.mkdir()
    (old / "motion_history.json").write_text('{"a": [{"position": [1, 2, 3], "sim_time": 1}]}')
    (found,) = json.loads(run("doctor", "--json", "--dir", str(elsewhere.root.path)).out)["findings"]
    arguments = shlex.split(found["repair"])[1:]
    assert arguments[:2] == ["import-legacy", str(old)]
    assert run(*arguments).code == 0


def test_a_password_in_an_index_url_is_in_no_hint() -> None:
    from sessionstore.maintenance.doctor import option_text

    assert "hunter2" not in option_text(None, "postgresql://me:hunter2@host/fleet")
    assert option_text(None, "sqlite:a b.db") == " --index 'sqlite:a b.db'"


def test_a_deletion_names_its_undo_and_a_name_brings_the_newest_back(
    run: Callable[..., Result], elsewhere: SessionStore
) -> None:
    named = ("--dir", str(elsewhere.root.path))
    for number in range(2):
        session_id = elsewhere.create("it's mine", metadata={"n": number}).session_id
        undo = command_in(run("delete", session_id, *named).err)
    assert run(*undo).code == 0
    assert [row.decoded_metadata() for row in elsewhere.find()] == [{"n": 1}]
    run("delete", "it's mine", *named)
    assert run("restore", "it's mine", *named).code == 0
    assert [row.decoded_metadata() for row in elsewhere.find()] == [{"n": 1}]
    assert run("restore", "it's mine", *named).code == 0
    assert {row.decoded_metadata()["n"] for row in elsewhere.find()} == {0, 1}
    assert run("restore", "it's mine", *named).code == 3
    assert run("restore", "", *named).code == 3


def test_a_session_that_runs_is_deleted_by_force_alone(run: Callable[..., Result], store: SessionStore) -> None:
    store.create("idle")
    recorder = store.record("busy")
    result = run("delete", "idle", "busy")
    assert result.code == 5
    assert "is running (process " in result.err and "--force" in result.err
    assert len(store.find()) == 2
    assert run("delete", "busy", "--force").code == 0
    with pytest.raises(SessionGone):
        recorder.finish()
    crash = crashed(store)
    assert run("delete", crash, "idle").code == 0
    assert store.find() == []


def test_the_quarantine_is_listed_with_what_each_piece_was_and_emptied_by_age(
    run: Callable[..., Result], store: SessionStore
) -> None:
    assert "the quarantine is empty" in run("trash", "quarantine").out
    session_id = recorded(store)
    path = store.root.folder(session_id) / "events.jsonl"
    size = path.stat().st_size
    with open(path, "ab") as stream:
        stream.write(b'{"n":1,"torn')
    index = store.root.path / "index.jsonl"
    index.write_bytes(b"#" + index.read_bytes()[1:])
    assert run("doctor", "--fix").code == 0
    assert f"{session_id}/events.jsonl" in run("trash", "quarantine").out
    pieces = {piece["source"]: piece for piece in json.loads(run("trash", "quarantine", "--json").out)}
    torn = pieces[f"{session_id}/events.jsonl"]
    assert (torn["offset"], torn["bytes"]) == (size, 12)
    assert pieces["index.jsonl"]["offset"] == 0
    assert Path(torn["file"]).read_bytes() == b'{"n":1,"torn'
    os.utime(torn["file"], (1, 1))
    removed = run("trash", "quarantine", "--empty", "--older-than", "30d", "--yes")
    assert "removed 1 piece (" in removed.err
    assert not Path(torn["file"]).exists() and Path(pieces["index.jsonl"]["file"]).exists()
    assert "removed 1 piece (" in run("trash", "quarantine", "--empty", "--yes").err
    assert list(store.root.quarantined()) == []
