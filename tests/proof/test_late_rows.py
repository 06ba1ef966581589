"""Rows that come late, and what a listing may do about it: the orders that kills and stops can only hope to hit."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore import layout
from sessionstore.errors import StoreUnusable
from sessionstore.index import SessionIndex, View
from sessionstore.model.row import SessionRow
from sessionstore.session import documents
from sessionstore.store import SessionStore, catalog


@pytest.mark.parametrize("late", ["deleted", "older"])
@pytest.mark.parametrize("trouble", ["a session that cannot be read now", "an index made anew"])
def test_a_row_that_comes_late_is_seen_through_whatever_else_is_wrong(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch, trouble: str, late: str
) -> None:
    session, other = store.create("A"), store.create("B")
    row = session.row()
    if late == "deleted":
        store.delete("A")
    else:
        session.update(tags=["acknowledged"])
    expected = [(found.session_id, found.rev, found.tags) for found in store.find()]
    look = catalog.look
    if trouble == "an index made anew":
        with open(store.root.path / "index.jsonl", "ab") as index:
            index.write(b"damaged\n")
    else:
        path, read = str(other.folder / "session.json"), documents.read
        with open(path, "ab") as edited:
            edited.write(b"\n")

        def fail_to_read(wanted: str) -> tuple[bytes, os.stat_result]:
            if wanted == path:
                raise StoreUnusable(errno.EIO, "the disk has a bad day", wanted)
            return read(wanted)

        monkeypatch.setattr(documents, "read", fail_to_read)
    late_ones: list[SessionRow] = []

    def put_before(index: SessionIndex) -> View:
        if reconciled and not late_ones:
            late_ones.append(row)
            store.index.put([row])
        return look(index)

    reconciled: list[int] = []
    after = "rebuild" if trouble == "an index made anew" else "reconcile"
    original = getattr(store.catalog, after)

    def told(*asked: Any) -> Any:
        result = original(*asked)
        reconciled.append(1)
        return result

    monkeypatch.setattr(store.catalog, after, told)
    monkeypatch.setattr(catalog, "look", put_before)
    shown = [(found.session_id, found.rev or 1, found.tags) for found in store.find()]
    assert shown == expected and late_ones == [row]


def test_listing_a_store_at_rest_takes_no_lock_though_a_folder_is_missing(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each listing waited for who holds it and is stopped, and who stopped a listing kept others from deleting."""
    session, _ = store.create("A"), store.create("B")
    shutil.rmtree(session.folder)
    store.find()
    monkeypatch.setattr(layout, "SETTLED_S", -1.0)
    shown = [row.status for row in store.find()]
    monkeypatch.setattr(store.root.locks, "store", None)
    assert [row.status for row in store.find()] == shown == ["created", "missing"]


def test_listing_a_store_that_was_moved_away_does_not_make_it_anew(tmp_path: Path) -> None:
    """Its index lies elsewhere, or is still open: what is made here would be found by who mounts or moves it back."""
    with sessionstore.open(tmp_path / "store", index=f"sqlite:///{tmp_path}/index.db") as store:
        session_id = store.create("A").session_id
        store.find()
        store.root.path.rename(tmp_path / "moved")
        assert [(row.session_id, row.status) for row in store.find()] == [(session_id, "missing")]
        assert not store.root.path.exists()
        (tmp_path / "moved").rename(store.root.path)
        assert [(row.session_id, row.status) for row in store.find()] == [(session_id, "created")]


@pytest.mark.parametrize("who", ["a writer", "a listing"])
def test_a_row_that_comes_after_the_trash_was_emptied_is_never_listed(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    """Who tells the index was stopped before, until its session was deleted for good."""
    session, put = store.create("A"), store.index.put
    with sessionstore.open(store.root.path) as other:

        def late(rows: Iterable[SessionRow], exact: bool = False) -> None:
            monkeypatch.undo()
            other.delete("A")
            other.empty_trash()
            put(rows, exact)

        if who == "a listing":
            (session.folder / "session.json").write_bytes((session.folder / "session.json").read_bytes() + b"\n")
        monkeypatch.setattr(store.index, "put", late)
        if who == "a writer":
            session.update(notes="acknowledged before it was deleted")
        assert [[row.session_id for row in each.find()] for each in (store, other, store)] == [[], [], []]
