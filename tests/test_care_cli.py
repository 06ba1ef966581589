"""The tools as their user types them: doctor, verify, history, undo, import-legacy, export-legacy."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sessionstore import cli
from sessionstore.store import SessionStore
from tests.test_doctor import crashed, recorded
from tests.test_legacy import FIXTURES


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


def test_doctor_says_what_is_wrong_why_and_what_mends_it_and_fix_does_so(
    run: Callable[..., Result], store: SessionStore
) -> None:
    recorded(store)
    store.find()
    assert (run("doctor").code, run("doctor").out) == (0, "")
    session_id = crashed(store)
    result = run("doctor")
    assert result.code == 12
    for part in ("interrupted", session_id, "is gone", "why: ", "mend: sessionstore doctor --fix"):
        assert part in result.out
    assert "not healthy: 0 error, 1 warning" in result.err
    fixed = run("doctor", "--fix")
    assert fixed.code == 0 and "mended" in fixed.out and "healthy" in fixed.err
    assert run("doctor", "--quick").code == 0


def test_doctor_with_json_prints_nothing_but_data(run: Callable[..., Result], store: SessionStore) -> None:
    crashed(store)
    facts = json.loads(run("doctor", "--json").out)
    assert facts["healthy"] is False and facts["findings"][0]["data"]["last_events"]
    facts = json.loads(run("doctor", "--json", "--fix").out)
    assert facts["healthy"] and [
        repair["mended"] for repair in facts["repairs"] if repair["code"] == "interrupted"
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
    assert run("history").err == "nothing was changed by hand\n"
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
    assert kinds == ["undo", "undo", "edit"]
    assert run("undo").code == 1
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
