"""Guards of the hot paths: how many calls an operation makes, counted by the interpreter, whatever the machine does.

A count does not depend on load or clock, so that a bound can be tight: what an operation does twice, or once a session
too often, shows at once. Rates and ratios to the limit are measured by ``sessionstore bench``.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import sessionstore
from sessionstore.bench.generate import fill_store
from sessionstore.index.journal.engine import JournalIndex
from sessionstore.model import records, row_from_bytes
from sessionstore.session import known_texts
from sessionstore.session.stream_reader import Tape
from sessionstore.session.stream_writer import StreamWriter
from sessionstore.store import SessionStore, folder_rows


def calls(operation: Callable[[], object], of: Callable[[object], bool] = lambda function: True) -> int:
    """Return how many functions, of Python and of C, an operation calls; it runs twice before, to warm up.

    Args:
        of: count only these; it is asked for each function of C, and not for those of Python.
    """
    operation()
    operation()
    count = 0

    def seen(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        if event == "c_call":
            count += of(argument)
        elif event == "call":
            count += of(None)

    gc.collect()
    gc.disable()  # what other tests left is not collected, and counted, meanwhile
    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        operation()
    finally:
        sys.setprofile(before)
        gc.enable()
    return count


def _is_system_call(function: object) -> bool:
    return getattr(function, "__module__", "") == os.name


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SessionStore:
    """A store of 20 sessions whose provenance does not depend on what is installed here."""
    monkeypatch.setattr(
        "sessionstore.model.provenance.gather", lambda *_, **__: {"python": "3.11", "packages": {"a": "1.0"}}
    )
    fill_store(tmp_path / "small", 20)
    return sessionstore.open(tmp_path / "small")


def _updater(store: SessionStore) -> Callable[[], object]:
    session = store.get("latest")
    return lambda: session.update(notes="again")


#: Measured calls, and a quarter more; a change that is worth its calls raises the bound in the same commit.
# update: 6 of them since the ctime counts (one lstat after the rename)
# rebuild: 3 of them since rows cannot be changed, so that interning sets fields by a function
BOUNDS = {"create": 560, "update": 490, "append": 42, "get": 94, "rebuild": 60}


def test_creating_makes_no_more_calls_than_it_did(small: SessionStore) -> None:
    assert calls(lambda: small.create("Butterfly", metadata={"pilot": "Ada"})) <= BOUNDS["create"]


def test_updating_makes_no_more_calls_than_it_did(small: SessionStore) -> None:
    assert calls(_updater(small)) <= BOUNDS["update"]


def test_getting_makes_no_more_calls_than_it_did(small: SessionStore) -> None:
    key = small.get("latest").session_id
    assert calls(lambda: small.get(key).record) <= BOUNDS["get"]


def test_appending_makes_no_more_calls_than_it_did(tmp_path: Path) -> None:
    writer = StreamWriter(tmp_path / "log.jsonl", "os")
    assert calls(lambda: writer.append({"message": "scanned", "data": {"x": 1.5}})) <= BOUNDS["append"]


def test_a_planted_slowdown_is_noticed(small: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_texts, "is_known", lambda data: False)  # all is checked and laid out anew
    monkeypatch.setattr(records, "keeps_rules", lambda values, partial=False: False)  # marshmallow at every read
    assert calls(_updater(small)) > BOUNDS["update"]


@pytest.mark.parametrize("operation", ["create", "update", "get"])
def test_an_operation_on_one_session_does_not_grow_with_the_store(
    operation: str, small: SessionStore, tmp_path: Path
) -> None:
    ids = fill_store(tmp_path / "large", 600)
    counts = []
    for store, key in ((small, small.get("latest").session_id), (sessionstore.open(tmp_path / "large"), ids[300])):
        operations: dict[str, Callable[[], object]] = {
            "create": lambda s=store: s.create("Moth"),  # type: ignore[misc]
            "update": lambda s=store, k=key: s.get(k).update(notes="again"),  # type: ignore[misc]
            "get": lambda s=store, k=key: s.get(k).record,  # type: ignore[misc]
        }
        counts.append(calls(operations[operation]))
    assert counts[1] <= counts[0] * 1.1


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Two stores at rest, by how many sessions they have."""
    folder = tmp_path_factory.mktemp("listed")
    for size in (100, 1100):
        fill_store(folder / str(size), size)
    return {size: folder / str(size) for size in (100, 1100)}


def calls_a_row(listed: dict[int, Path], verify: bool) -> float:
    """Return how many calls a cold list makes for each session more."""

    def cold(folder: Path) -> object:
        with sessionstore.open(folder) as store:
            return store.find(verify=verify)

    small, large = (calls(lambda f=folder: cold(f)) for folder in listed.values())  # type: ignore[misc]
    return (large - small) / 1000


#: Without and with a look at every file: three for its texts, four to set them in a row that is immutable otherwise
#: (0.2 us), two for its folder, one for its file.
A_ROW = {False: 9.2, True: 10.2}


@pytest.mark.parametrize("verify", [False, True])
def test_listing_makes_no_more_calls_a_session_than_it_did(listed: dict[int, Path], verify: bool) -> None:
    assert calls_a_row(listed, verify) <= A_ROW[verify]


def test_an_index_that_is_read_line_by_line_is_noticed(
    listed: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessionstore.index.journal.row_journal.read_block", lambda descriptor: None)
    assert calls_a_row(listed, verify=False) > A_ROW[False]


def most_memory(folder: Path) -> float:
    """Return the memory of a cold list at its most, as a multiple of the index file."""
    with sessionstore.open(folder) as store:
        tracemalloc.start()
        try:
            rows = store.find(verify=False)
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert len(rows) == 1100
    return most / (folder / "index.jsonl").stat().st_size


def test_listing_takes_less_than_twice_the_memory_of_the_index(listed: dict[int, Path]) -> None:
    assert most_memory(listed[1100]) < 2.3  # 1.8 where there are many: a piece that is being read is a tenth here


def test_rows_that_keep_the_bytes_they_came_from_are_noticed(
    listed: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessionstore.index.journal.block.intern_rows", lambda rows: None)
    assert most_memory(listed[1100]) > 2.5


def _rebuilder(folder: Path, size: int) -> Callable[[], object]:
    fill_store(folder / str(size), size)

    def rebuild() -> object:
        with sessionstore.open(folder / str(size)) as store:
            return store.rebuild()

    return rebuild


def test_rebuilding_costs_a_few_calls_a_session(tmp_path: Path) -> None:
    counts = [calls(_rebuilder(tmp_path, size)) for size in (100, 600)]
    assert (counts[1] - counts[0]) / 500 <= BOUNDS["rebuild"]


def test_rebuilding_asks_the_system_four_times_a_session(tmp_path: Path) -> None:
    counts = [calls(_rebuilder(tmp_path, size), _is_system_call) for size in (100, 600)]
    assert (counts[1] - counts[0]) / 500 < 4.2  # open, fstat, read, close


def test_a_rebuild_that_goes_the_long_way_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (row_from_bytes, folder_rows):
        monkeypatch.setattr(module, "row_of", lambda *_: None)
    counts = [calls(_rebuilder(tmp_path, size)) for size in (10, 60)]
    assert (counts[1] - counts[0]) / 50 > 1.2 * BOUNDS["rebuild"]


def test_an_index_reads_on_from_where_it_stopped(tmp_path: Path) -> None:
    fill_store(tmp_path / "store", 600)
    index = JournalIndex(tmp_path / "store" / "index.jsonl")
    (row, *_) = index.find()

    def one_more() -> None:
        index.put([row])
        index.find()

    assert calls(one_more) < 250  # reading all of it anew would be thousands


def test_seeking_and_appending_do_not_grow_with_the_stream(tmp_path: Path) -> None:
    counts = []
    for size in (1000, 50_000):
        path = tmp_path / f"{size}.jsonl"
        path.write_text("".join(json.dumps({"n": n, "t": n / 20, "x": 1}) + "\n" for n in range(size)))
        tape, writer = Tape(path), StreamWriter(path, "os")
        counts.append(calls(lambda t=tape, s=size: t.seek(s / 40)) + calls(lambda w=writer: w.append({"x": 2})))  # type: ignore[misc]
    assert counts[1] <= counts[0] * 2.5  # the logarithm of the bytes
