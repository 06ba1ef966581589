"""T16: the loaders of documents, streams, indexes and old folders, fed with what nobody wrote: an answer, no crash.

Every input gives a value or one of our errors; what counts as verified was written. A bundle is a zip of a session's
folder for any unpacking program: nothing here reads one, so its files meet the same loaders as a copied folder's.
Mutations by a seeded generator reach the volumes; hypothesis aims at single fields and arbitrary bytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

import sessionstore
from sessionstore.errors import Corrupt, SessionStoreError, Unreadable
from sessionstore.index.journal.engine import JournalIndex
from sessionstore.legacy.importer import import_legacy
from sessionstore.model import json_text, records
from sessionstore.model.row import to_row
from sessionstore.session import documents
from sessionstore.session.stream_reader import Damage, Line, Tape, parse_line
from sessionstore.store import SessionStore
from tests.old_folders import FIXTURES
from tests.proof import operations
from tests.proof.mutations import mutated
from tests.proof.tally import tally
from tests.proof.volumes import fast_folder, volume

pytestmark = [pytest.mark.slow, pytest.mark.timeout(36000)]
#: What an import must never end with, though it would stop no other folder.
PROGRAM_ERRORS = ("TypeError", "ValueError", "KeyError", "IndexError", "AttributeError", "OverflowError", "Assertion")
ROW = "T16 fuzzed loaders: {}"


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[tuple[SessionStore, bytes, bytes]]:
    """A store in memory, the bytes of one document, and those of the index."""
    folder = fast_folder()
    operations.begin(folder / "store")
    store = sessionstore.open(folder / "store")
    document = store.get("A").folder / "session.json"
    yield store, document.read_bytes(), (store.root.path / "index.jsonl").read_bytes()
    shutil.rmtree(folder)


def test_mutated_documents_are_a_record_or_unreadable(fuzzed: tuple[SessionStore, bytes, bytes]) -> None:
    rng, path = random.Random(161), Path("folder") / "session.json"
    status, taken = os.stat(__file__), 0
    with tally(ROW.format("documents")) as count:
        for _ in range(volume(40_000, 4_000_000)):
            data = mutated(rng, fuzzed[1])
            count(inputs=1)
            try:
                tables = documents.check_tables(json_text.parse(data, str(path)), data, path)
                record = records.read_record(tables, data, path, "folder")
            except Unreadable:
                continue
            taken += 1
            row = to_row(record, status)
            assert row.session_id == "folder"
            assert json_text.parse(json_text.layout(tables), "") == tables  # what is read can be written again
    assert taken > 1_000


def test_mutated_streams_show_what_was_written_and_nothing_else(scratch: Path) -> None:
    rng, path = random.Random(162), scratch / "events.jsonl"
    heads = [b'{"n":%d,"t":%d.5,"v":"%s"' % (number, number, b"x" * (number % 40)) for number in range(20)]
    lines = [b'%s,"c":"%08x"}' % (head, crc32(head)) for head in heads]
    whole = b"\n".join([*lines, b""])
    shown = 0
    with tally(ROW.format("streams")) as count:
        for _ in range(volume(20_000, 2_000_000)):
            path.write_bytes(mutated(rng, whole))
            count(inputs=1)
            found = [line for line in Tape(path).read(damaged="skip") if line.verified]
            shown += len(found)
            assert all(json.loads(lines[line.n])["v"] == line.data["v"] for line in found)
            Tape(path).check()
            Tape(path).last()
    assert shown > 1_000


def test_mutated_indexes_give_rows_or_say_corrupt(fuzzed: tuple[SessionStore, bytes, bytes], scratch: Path) -> None:
    rng, path, told = random.Random(163), scratch / "index.jsonl", 0
    with tally(ROW.format("indexes")) as count:
        for _ in range(volume(20_000, 2_000_000)):
            path.write_bytes(mutated(rng, fuzzed[2]))
            count(inputs=1)
            index = JournalIndex(path)
            try:
                assert all(row.session_id for row in index.find())
            except Corrupt:
                told += 1
            finally:
                index.close()
    assert told > 1_000


def test_mutated_old_folders_are_imported_or_reported(scratch: Path) -> None:
    rng, folder = random.Random(164), scratch / "old"
    kept = {path.name: path.read_bytes() for path in (FIXTURES / "good").iterdir()}
    shutil.copytree(FIXTURES / "good", folder)
    states: set[str] = set()
    with sessionstore.open(scratch / "store") as store, tally(ROW.format("old folders")) as count:
        for _ in range(volume(4_000, 1_000_000)):
            name = rng.choice(sorted(kept))
            (folder / name).write_bytes(mutated(rng, kept[name]))
            count(inputs=1)
            (report,) = import_legacy(store, folder, "UTC", dry_run=True)
            states.add(report.state)
            assert report.reason is None or report.state in ("skipped", "failed")
            assert not (report.reason or "").startswith(PROGRAM_ERRORS), report
            (folder / name).write_bytes(kept[name])
    assert "would import" in states


def test_a_hundred_thousand_mutated_lines_are_never_taken_for_verified_ones_that_nobody_wrote() -> None:
    rng = random.Random(16)
    good = [b'{"n":%d,"t":%d.5,"v":"%s"' % (number, number, b"x" * (number % 40)) for number in range(100)]
    lines = [b'%s,"c":"%08x"}' % (head, crc32(head)) for head in good]
    taken = 0
    with tally(ROW.format("lines")) as count:
        for _ in range(volume(100_000, 10_000_000)):
            raw = bytearray(rng.choice(lines))
            for _ in range(rng.randrange(1, 4)):
                place = rng.randrange(len(raw))
                raw[place : place + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
            count(inputs=1)
            found = parse_line(bytes(raw), 0)
            if isinstance(found, Line) and found.verified:
                taken += 1
                assert bytes(raw) in lines
    assert taken > 100


@settings(max_examples=volume(5_000, 2_500_000), deadline=None)
@given(st.binary(max_size=200))
@example(b'{"n":0,"t":' + b"1" * 400 + b"}")
@example(b'{"n":0,"t":1e400,"c":"00000000"}')
@example(b'{"n":true,"t":1}')
def test_any_bytes_are_a_line_or_a_damage(raw: bytes) -> None:
    found = parse_line(raw, 0)
    assert isinstance(found, Line | Damage)
    assert not (isinstance(found, Line) and found.verified)


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=volume(500, 500_000), deadline=None)
@given(data=st.data())
def test_any_value_in_any_field_of_a_record_stops_no_listing(
    fuzzed: tuple[SessionStore, bytes, bytes], data: st.DataObject
) -> None:
    store, document, _ = fuzzed
    (path,) = store.root.path.glob("*-A/session.json")
    tables = json.loads(document)
    record = tables["session"]["1"]
    for field in data.draw(st.lists(st.sampled_from(sorted(record)), min_size=1, max_size=3)):
        value = data.draw(_values)
        if isinstance(record[field], dict) and data.draw(st.booleans()):
            keys = ["totals", "points", "pid", "host", "boot_id", "pid_started", "drones", "kind"]
            record[field] = {**record[field], data.draw(st.sampled_from(keys)): value}
        else:
            record[field] = value
    path.write_text(json.dumps(tables))
    rows = store.find()
    assert len(rows) == 2
    assert [row.status for row in rows if row.session_name == "B"] == ["created"]
    session = store.get(path.parent.name)
    with contextlib.suppress(SessionStoreError):
        session.update(notes="x")
        store.find()
    with contextlib.suppress(SessionStoreError):
        _ = session.status


@settings(max_examples=volume(500, 500_000), deadline=None)
@given(raw=st.binary(max_size=300), start=st.integers(0, 4000), end=st.integers(0, 4000))
def test_any_bytes_in_a_document_or_an_index_give_an_answer(
    fuzzed: tuple[SessionStore, bytes, bytes], raw: bytes, start: int, end: int
) -> None:
    store, document, index = fuzzed
    (path,) = store.root.path.glob("*-A/session.json")
    path.write_bytes(document[:start] + raw + document[end:])
    (store.root.path / "index.jsonl").write_bytes(index[:start] + raw + index[end:])
    with sessionstore.open(store.root.path) as other:
        rows = other.find()
        assert [row.status for row in rows if row.session_name == "B"] == ["created"]
        assert len(rows) == 2
        other.rebuild()
        assert len(other.find()) == 2
