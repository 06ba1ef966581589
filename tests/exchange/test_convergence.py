"""Any order of merges over three stores ends with the same content in all of them."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import sessionstore
from sessionstore.exchange.compare import read_copy
from sessionstore.exchange.merge import merge
from sessionstore.exchange.trees import FolderTree
from sessionstore.store import SessionStore
from tests.exchange.test_merge import listed

STEPS = st.one_of(
    st.tuples(st.just("create"), st.integers(0, 2)),
    st.tuples(st.just("edit"), st.integers(0, 2), st.integers(0, 3), st.sampled_from("abc")),
    st.tuples(st.just("append"), st.integers(0, 2), st.integers(0, 3), st.sampled_from("xyz")),
    st.tuples(st.just("merge"), st.integers(0, 2), st.integers(0, 2)),
)

#: A branch that catches up with the copy beside it: both would stay where that happened, one arrives elsewhere.
CAUGHT_UP: list[tuple[object, ...]] = [
    ("create", 1),
    ("merge", 0, 1),
    ("append", 0, 0, "z"),
    ("edit", 1, 0, "z"),
    ("merge", 0, 1),
]
ORDER = [(2, 0), (1, 0), (0, 2), (2, 1), (1, 2), (0, 1)]


def content(store: SessionStore) -> list[tuple[str, str, tuple[tuple[str, bytes], ...]]]:
    """Return the contents of all sessions, without ids and notes of merges; what is there twice counts twice."""
    found = []
    for row in listed(store):
        copy = read_copy(FolderTree(store.root.folder(row.session_id)))
        streams = tuple(sorted((path.name, path.read_bytes()) for path in copy.tree.folder.glob("*.jsonl")))  # type: ignore[attr-defined]
        found.append((copy.root_uuid, copy.chain[-1], streams))
    return sorted(found)


def play(stores: list[SessionStore], steps: list[tuple[object, ...]]) -> None:
    for step in steps:
        store = stores[int(str(step[1]))]
        rows = sorted(listed(store), key=lambda row: row.uuid)
        if step[0] == "create":
            store.create("run")
        elif step[0] == "merge":
            merge(store, stores[int(str(step[2]))].root.path) if _begun(stores[int(str(step[2]))]) else None
        elif rows:
            session = store.get(rows[int(str(step[2])) % len(rows)].session_id)
            if step[0] == "edit":
                session.update(notes=session.record.notes + str(step[3]))
            else:
                writer = session.writer("own")
                writer.append({"text": step[3]})
                writer.close()


def _begun(store: SessionStore) -> bool:
    return store.root.private.is_dir()


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@example([*CAUGHT_UP, ("append", 0, 0, "z")], ORDER)
@example([*CAUGHT_UP, ("append", 0, 1, "z")], ORDER)
@given(st.lists(STEPS, max_size=14), st.permutations(list(itertools.permutations(range(3), 2))))
def test_any_order_of_merges_gives_the_same_content(
    steps: list[tuple[object, ...]], order: list[tuple[int, int]]
) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        stores = [sessionstore.open(Path(folder) / str(number), sync="os") for number in range(3)]
        play(stores, steps)
        others = [copied(store) for store in stores]
        first = converged(stores, order)
        assert converged(others, order[::-1]) == first
        for target, source in order:
            if _begun(stores[source]):
                report = merge(stores[target], stores[source].root.path)
                assert report.count("same", "ahead") == len(report.outcomes) and report.change_id is None
        assert content(stores[0]) == first


def copied(store: SessionStore) -> SessionStore:
    """Return a store with the same sessions."""
    path = store.root.path.with_name(f"{store.root.path.name}-copy")
    if store.root.path.is_dir():
        shutil.copytree(store.root.path, path)
    return sessionstore.open(path, sync="os")


def converged(stores: list[SessionStore], order: list[tuple[int, int]]) -> object:
    """Merge each store into each other one, twice; return the content that all of them have then."""
    for _ in range(2):
        for target, source in order:
            if _begun(stores[source]):
                merge(stores[target], stores[source].root.path)
    first, second, third = map(content, stores)
    assert first == second == third
    return first
