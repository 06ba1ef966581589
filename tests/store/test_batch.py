"""Many sessions at once: all durable at the end, whole ones only in between, none after an error."""

from __future__ import annotations

import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

import sessionstore
from sessionstore.disk import bulk_sync, files
from sessionstore.errors import InvalidRecord, OutcomeUnknown, StoreUnusable, StreamClosed
from sessionstore.model.instants import new_uuid
from sessionstore.model.json_text import layout
from sessionstore.model.record import SessionRecord
from sessionstore.store import SessionStore, batch, trash


def test_a_batch_makes_its_sessions_at_the_end_of_the_block(store: SessionStore) -> None:
    with store.batch() as block:
        made = [block.create(f"run {number}", metadata={"n": number}, tags=["night"]) for number in range(5)]
        assert store.find() == [] and block.session_ids == []
    assert block.session_ids == made == list(reversed(store.keys()))
    assert [row.metadata["n"] for row in store.find("tags=night", sort="created_at")] == [0, 1, 2, 3, 4]
    assert list(store.root.staging.iterdir()) == [] and store.doctor().findings == []


def test_create_many_returns_the_sessions_in_their_order(store: SessionStore) -> None:
    found = store.create_many({"name": f"run {number}", "seed": number} for number in range(3))
    assert [session.record.provenance["seed"] for session in found] == [0, 1, 2]
    assert store.create_many([]) == []


def test_an_error_in_the_block_leaves_none(store: SessionStore) -> None:
    with pytest.raises(ZeroDivisionError), store.batch() as block:
        block.create("one")
        raise ZeroDivisionError
    assert store.find() == [] and list(store.root.staging.iterdir()) == [] and block.session_ids == []


def test_a_refused_session_does_not_end_the_block(store: SessionStore) -> None:
    with store.batch() as block:
        block.create("one")
        with pytest.raises(InvalidRecord):
            block.create("two", tags=7)
        block.create("three")
    assert [row.session_name for row in store.find()] == ["three", "one"]


def test_groups_are_named_as_they_are_full_or_old(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "GROUP", 2)
    with pytest.raises(ZeroDivisionError), store.batch() as block:
        for number in range(5):
            block.create(f"run {number}")
        raise ZeroDivisionError
    assert len(store) == len(block.session_ids) == 4
    monkeypatch.setattr(batch, "LONGEST_S", -1.0)
    with store.batch() as block:
        block.create("old")
        assert len(store) == 5


def test_a_name_that_is_taken_meanwhile_gives_the_next_id(store: SessionStore, frozen: datetime) -> None:
    with store.batch() as block:
        wanted = block.create("run")
        shutil.copytree(store.create("other").folder, store.root.folder(wanted))
    assert block.session_ids == [f"{wanted}-2"]
    assert store.get(f"{wanted}-2").record.session_name == "run"


def test_what_was_swept_from_staging_meanwhile_is_built_again(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.batch() as block:
        block.create("one")
        monkeypatch.setattr(trash, "_ABANDONED_S", -1.0)
        with sessionstore.open(store.root.path) as other:
            other.create("two")
        assert list(store.root.staging.iterdir()) == []
    assert sorted(str(row.session_name) for row in store.find()) == ["one", "two"]


@pytest.mark.parametrize("trusted", [True, False])
def test_contents_are_synced_before_names_and_names_before_the_end(
    trusted: bool, store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not trusted:
        monkeypatch.setattr(bulk_sync, "_syncfs", lambda: None)
    store.root.prepare()
    heard: list[tuple[str, str]] = []
    monkeypatch.setattr(files, "observer", lambda operation, path, payload: heard.append((operation, path)))
    store.create_many({"name": f"run {number}"} for number in range(3))
    operations = [operation for operation, path in heard if str(store.root.claims) not in path]
    first, last = operations.index("rename"), len(operations) - operations[::-1].index("rename") - 1
    assert operations[:first].count("fsync") == operations[:first].count("fsync_dir") == 3
    assert operations[first : last + 1] == ["rename"] * 3
    assert operations[last + 1] == "fsync_dir"


def test_a_sync_that_fails_leaves_none(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(folders: object) -> None:
        raise StoreUnusable(5, "Input/output error", "here")

    monkeypatch.setattr(batch, "sync_trees", fails)
    with pytest.raises(StoreUnusable):
        store.create_many({"name": f"run {number}"} for number in range(3))
    assert store.find() == [] and list(store.root.staging.iterdir()) == []


def test_names_that_are_not_proven_are_listed_and_said_to_be_unknown(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OutcomeUnknown(5, "Input/output error", "here")

    store.root.prepare()
    monkeypatch.setattr(files, "prove_renamed", fails)
    with pytest.raises(OutcomeUnknown):
        store.create_many({"name": f"run {number}"} for number in range(2))
    assert len(store.find()) == 2


def test_a_folder_built_in_staging_is_named_with_the_others(store: SessionStore) -> None:
    with store.batch() as block:
        block.create("one")
        record = SessionRecord.new("202611231430-two", new_uuid(), session_name="two")
        built = store.root.staging / "import-of-two"
        built.mkdir()
        (built / "log.jsonl").write_text('{"n":0,"message":"hello"}\n')
        (built / "session.json").write_bytes(layout({"session": {"1": record.to_dict()}, "workflow": {}}))
        assert block.adopt(built, record, {}) == "202611231430-two"
    assert store.get("two").tape("log").count() == 1 and len(store) == 2


def test_a_store_that_does_not_wait_for_the_disk_syncs_nothing(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "sync_trees", None)
    with sessionstore.open(store.root.path, sync="os") as other:
        assert len(other.create_many({"name": f"run {number}"} for number in range(3))) == 3


def test_threads_may_share_a_batch(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "GROUP", 3)
    with store.batch() as block, ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda number: block.create(f"n{number}"), range(40)))
    assert sorted(block.session_ids) == sorted(made) == sorted(row.session_id for row in store.find())


def test_a_session_is_refused_when_the_block_has_ended(store: SessionStore) -> None:
    with store.batch() as block, block:
        block.create("inner")
    with pytest.raises(StreamClosed, match="has ended"):
        block.create("late")
    assert [row.session_name for row in store.find()] == ["inner"]
    assert not list(store.root.staging.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")
def test_a_forked_child_that_leaves_the_block_takes_nothing_of_its_parent(store: SessionStore) -> None:
    with store.batch() as block:
        block.create("mine")
        child = os.fork()
        if child == 0:
            block.__exit__(ValueError, ValueError(), None)
            block.flush()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    assert [row.session_name for row in store.find()] == ["mine"]
