"""An index file of another store that is copied in: its sessions are not ours, and are not listed as missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import sessionstore
from sessionstore import SessionStore


@pytest.fixture
def two(tmp_path: Path) -> tuple[SessionStore, SessionStore]:
    stores = sessionstore.open(tmp_path / "a"), sessionstore.open(tmp_path / "b")
    for store, names in zip(stores, (("Moth", "Shared"), ("Wasp", "Shared")), strict=True):
        for name in names:
            store.create(name)
        store.find()
    shutil.copy2(tmp_path / "a" / "index.jsonl", tmp_path / "b" / "index.jsonl")
    return stores


def test_the_sessions_of_the_other_store_are_not_listed(two: tuple[SessionStore, SessionStore]) -> None:
    ours = two[1]
    for store in (ours, SessionStore(ours.root.path)):  # the process that wrote the index, and a new one
        assert {(row.session_name, row.status) for row in store.find()} == {("Wasp", "created"), ("Shared", "created")}
        assert {row.uuid for row in store.find()} == {store[key].uuid for key in store}


def test_the_index_is_the_same_as_one_made_anew(two: tuple[SessionStore, SessionStore]) -> None:
    ours = SessionStore(two[1].root.path)
    found = ours.find()
    ours.rebuild()
    assert ours.find() == found


def test_a_folder_that_was_removed_is_missing_although_another_was_copied_in(tmp_path: Path) -> None:
    store, other = sessionstore.open(tmp_path / "a"), sessionstore.open(tmp_path / "b")
    gone, _, new = store.create("Gone"), store.create("Stays"), other.create("New")
    store.find()
    shutil.rmtree(gone.folder)
    shutil.copytree(new.folder, tmp_path / "a" / new.session_id)
    assert {row.session_name: row.status for row in store.find()} == {
        "Gone": "missing", "Stays": "created", "New": "created",
    }  # fmt: skip
