"""Database takes the arguments of TinyDB; a store remembers its engine; no workflow word that was not set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tinydb import TinyDB

import sessionstore
from sessionstore.boxes.session_creator_box import SessionCreatorBox
from sessionstore.errors import Corrupt, InvalidRecord, StoreUnusable


def test_the_arguments_of_tinydb_are_taken_and_mean_the_same(tmp_path: Path) -> None:
    rows = [{"b": 1, "a": "ä"}]
    form = {"indent": 4, "sort_keys": True, "separators": (",", ": "), "ensure_ascii": True, "encoding": "utf-8"}
    for database, name in ((TinyDB, "theirs.json"), (sessionstore.Database, "ours.json")):
        with database(tmp_path / "deep" / name, create_dirs=True, **form) as db:
            db.insert_multiple(rows)
    ours, theirs = (tmp_path / "deep" / name for name in ("ours.json", "theirs.json"))
    assert ours.read_bytes() == theirs.read_bytes()
    with sessionstore.Database(theirs, access_mode="r") as db:
        assert db.all() == rows
        with pytest.raises(StoreUnusable, match="for reading only"):
            db.insert({"c": 1})
    assert json.loads(theirs.read_text()) == {"_default": {"1": rows[0]}}


def test_arguments_that_cannot_be_kept_are_refused(tmp_path: Path) -> None:
    for wrong in ({"encoding": "latin-1"}, {"access_mode": "w"}):
        with pytest.raises(InvalidRecord):
            sessionstore.Database(tmp_path / "x.json", **wrong)


def test_a_tinydb_file_is_refused_by_the_journal_database_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    with TinyDB(path) as db:
        db.insert({"a": 1})
    before = path.read_bytes()
    with pytest.raises(Corrupt), sessionstore.JournalDatabase(path) as journal:
        journal.insert({"b": 2})
    assert path.read_bytes() == before


def test_a_store_remembers_the_engine_that_it_was_made_with(tmp_path: Path) -> None:
    with sessionstore.open(tmp_path / "store", index="sqlite:") as store:
        store.create("x")
    with sessionstore.open(tmp_path / "store") as again:
        assert again.index.url == store.index.url and again.index.url.startswith("sqlite:")
        assert [row.session_name for row in again.find()] == ["x"]
    assert not (tmp_path / "store" / "index.jsonl").exists()
    with sessionstore.open(tmp_path / "plain") as plain:
        plain.create("x")
    with sessionstore.open(tmp_path / "plain", index="sqlite:") as once:
        once.create("y")
    assert sessionstore.open(tmp_path / "plain").index.url.startswith("journal:")


def test_a_recording_has_no_workflow_word_that_the_program_did_not_set(tmp_path: Path) -> None:
    with sessionstore.open(tmp_path).record("x") as session:
        assert session.record.workflow_state == ""
        session.workflow("SCAN")
    assert [(move["old"], move["new"]) for move in session.transitions() if move["field"] == "workflow_state"] == [
        ("", "SCAN")
    ]
    box = SessionCreatorBox(training_sessions_dir=tmp_path)
    made = box.create_session("y")
    assert box.session_db_box.get_session(made["session_id"])["workflow_state"] == "initializing"
