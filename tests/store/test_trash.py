"""Deleting can be undone, emptying is for good, and what creators left behind is swept."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

import sessionstore
from sessionstore.errors import (
    Conflict,
    SessionGone,
    SessionNotFound,
)
from sessionstore.store import SessionStore
from tests.store.test_listing import ids


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


def test_abandoned_staging_is_swept_and_live_staging_is_not(store: SessionStore) -> None:
    store.root.prepare()
    for name, age_s in (("old", 3600), ("new", 0)):
        (store.root.staging / name).mkdir()
        moment = datetime.now(UTC).timestamp() - age_s
        os.utime(store.root.staging / name, (moment, moment))
    store.create("x")
    assert [path.name for path in store.root.staging.iterdir()] == ["new"]


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
