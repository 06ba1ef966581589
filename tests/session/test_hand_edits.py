"""What a hand does to a session: an edit is seen, a mistake is told with its place, nothing is overwritten."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import sessionstore
from sessionstore.errors import (
    Corrupt,
    NewerFormat,
    UnsafeFile,
)
from sessionstore.session import Session
from sessionstore.store import SessionStore
from tests.store.test_listing import ids


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
    assert [row.session_name for row in store.find()] == ["x"], "an empty folder holds nothing of a session"
    (store.root.path / "202611230001-old" / "events.jsonl").touch()
    rows = {row.session_id: row.problem for row in store.find("not name=x")}
    assert list(rows) == ["202611230001-old"] and "session.json is missing" in str(rows["202611230001-old"])


def test_the_index_stays_small_under_many_updates(store: SessionStore) -> None:
    session = store.create("x")
    index = store.root.path / "index.jsonl"
    line = index.read_bytes()
    index.write_bytes(line * 1500)
    assert [row.session_id for row in store.find()] == [session.session_id]
    head, kept = index.read_bytes().splitlines(keepends=True)  # written anew, as a block of one row
    assert kept == line and b'"bytes":%d,' % len(line) in head


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
    (session.folder / "events.jsonl").touch()
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
