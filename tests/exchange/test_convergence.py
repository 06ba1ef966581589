"""Any order of merges over three stores ends with the same content in all of them."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sessionstore
from sessionstore.exchange.compare import compare, read_copy
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


def content(store: SessionStore) -> set[tuple[str, str, tuple[tuple[str, bytes], ...]]]:
    """Return the newest contents that a store holds, without ids and the notes of merges.

    A copy that is a mere ancestor of another copy of its session in the same store is not counted: a store that took
    the branches one by one may still hold it.
    """
    copies = [read_copy(FolderTree(store.root.folder(row.session_id))) for row in listed(store)]
    found = set()
    for copy in copies:
        family = [other for other in copies if other is not copy and other.root_uuid == copy.root_uuid]
        if any(compare(copy, other).relation == "behind" for other in family):
            continue
        streams = tuple(sorted((path.name, path.read_bytes()) for path in copy.tree.folder.glob("*.jsonl")))  # type: ignore[attr-defined]
        found.add((copy.root_uuid, copy.chain[-1], streams))
    return found


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
@given(st.lists(STEPS, max_size=14), st.permutations(list(itertools.permutations(range(3), 2))))
def test_any_order_of_merges_gives_the_same_content(
    steps: list[tuple[object, ...]], order: list[tuple[int, int]]
) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        stores = [sessionstore.open(Path(folder) / str(number), sync="os") for number in range(3)]
        play(stores, steps)
        for _ in range(3):  # each state reaches each store, whatever the order
            for target, source in order:
                if _begun(stores[source]):
                    merge(stores[target], stores[source].root.path)
        first, second, third = map(content, stores)
        assert first == second == third
        for target, source in order:
            if _begun(stores[source]):
                report = merge(stores[target], stores[source].root.path)
                assert report.count("same", "ahead") == len(report.outcomes)
        assert content(stores[0]) == first
