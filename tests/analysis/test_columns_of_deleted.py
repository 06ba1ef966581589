"""Columns of sessions that are deleted for good."""

from __future__ import annotations

import shutil

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

from sessionstore.analysis import columns
from sessionstore.store import SessionStore, column_files
from tests.analysis.test_columns import fly


def test_columns_go_when_the_trash_is_emptied_but_not_those_of_a_session_with_the_id_again(store: SessionStore) -> None:
    flights = [fly(store), fly(store)]
    assert all(columns.make(flight, "motion_history") for flight in flights)
    first, again = (flight.session_id for flight in flights)
    copy = store.root.path.parent / "copy"
    shutil.copytree(store.root.folder(again), copy)
    for session_id in (first, again):
        store.delete(session_id)
    assert (store.root.columns / first).is_dir()
    copy.rename(store.root.folder(again))
    store.empty_trash()
    assert not (store.root.columns / first).exists() and column_files.key_of(store.root, again, "motion_history")
