"""An index made anew holds what the folders hold, byte for byte, however many processes read them, and whoever dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import sessionstore
from sessionstore.model import row_from_bytes
from sessionstore.model.provenance_text import DIGITS, place_of
from sessionstore.store import SessionStore, row_lines
from sessionstore.store.folder_rows import FolderRows

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")


def _plain(record: Path) -> None:
    pass


def _double_key(record: Path) -> None:
    record.write_bytes(record.read_bytes().replace(b'"notes": ""', b'"notes": "", "notes": "b"'))


def _not_a_number(record: Path) -> None:
    record.write_bytes(record.read_bytes().replace(b'"metadata": {"a": 1', b'"metadata": {"a": NaN'))


def _too_deep(record: Path) -> None:
    record.write_bytes(
        record.read_bytes().replace(b'"metadata": {"a": 1', b'"metadata": {"a": ' + b"[" * 300 + b"]" * 300)
    )


def _cut_off(record: Path) -> None:
    record.write_bytes(record.read_bytes()[:-40])


def _emptied(record: Path) -> None:
    record.write_bytes(b"")


def _gone(record: Path) -> None:
    (record.parent / "events.jsonl").touch()
    record.unlink()


def _linked(record: Path) -> None:
    os.replace(record, record.with_name("elsewhere.json"))
    record.symlink_to("elsewhere.json")


def _a_pipe(record: Path) -> None:
    record.unlink()
    os.mkfifo(record)


def _renamed(record: Path) -> None:
    os.replace(record.parent, record.parent.with_name("my flight " + record.parent.name[-4:]))


def _another_provenance(record: Path) -> None:
    record.write_bytes(record.read_bytes().replace(b'"python": "', b'"python": "0.'))


def _double_key_in_the_provenance(record: Path) -> None:
    record.write_bytes(record.read_bytes().replace(b'"python": "', b'"python": "1", "python": "'))


def _with_provenance_in_the_metadata(record: Path, own: bytes) -> None:
    """The metadata holds what the provenance was, laid out as it was there."""
    data = record.read_bytes()
    begin, end = place_of(data) or (0, 0)
    moved = b'"metadata": {\n      "provenance": ' + data[begin:end] + b', "a": 1'
    record.write_bytes((data[:begin] + own + data[end:]).replace(b'"metadata": {"a": 1', moved))


def _provenance_in_the_metadata(record: Path) -> None:
    _with_provenance_in_the_metadata(record, b"{}")


def _provenance_in_the_metadata_and_its_stand_in(record: Path) -> None:
    _with_provenance_in_the_metadata(record, b'{"": %s}' % DIGITS)


def _by_hand(record: Path) -> None:
    tables = json.loads(record.read_bytes())
    tables["session"]["1"] |= {"rating": 5, "notes": 'half "a" \\ sentence', "created_at": "2026-11-23 14:30:00+01:00"}
    record.write_text(json.dumps(tables))


SPOILERS = [
    _double_key, _not_a_number, _too_deep, _cut_off, _emptied, _gone, _linked, _a_pipe, _renamed,
    _another_provenance, _double_key_in_the_provenance, _provenance_in_the_metadata,
    _provenance_in_the_metadata_and_its_stand_in, _by_hand,
]  # fmt: skip
OTHERS = ("notes", "lost+found", "20261123 plans")


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many processes read, as the only item of a list."""
    count = [1]
    monkeypatch.setattr(row_lines, "_processes", lambda sessions: count[0])
    monkeypatch.setattr(row_lines, "_AT_ONCE", 3)
    forked, fork = [], os.fork

    def noted() -> int:
        forked.append(fork())
        return forked[-1]

    monkeypatch.setattr(os, "fork", noted)
    yield count
    for pid in forked:
        with pytest.raises(ChildProcessError):  # it has ended, and was waited for
            os.waitpid(pid, os.WNOHANG)


def index_of(store: SessionStore) -> bytes:
    return (store.root.path / "index.jsonl").read_bytes()


def row_by_row(store: SessionStore) -> bytes:
    """Return the index that is made of rows which were read one by one, each by the long way."""
    folders = store.catalog.folders
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(row_from_bytes, "row_of", lambda *_: None)
        store.index.replace_all([row for name in folders.names() if (row := folders._closely(name)) is not None])
    return index_of(store)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@example(spoilt=SPOILERS)
@given(spoilt=st.lists(st.sampled_from(SPOILERS), min_size=1, max_size=24))
def test_however_many_processes_read_the_index_is_the_same(
    spoilt: list, tmp_path_factory: pytest.TempPathFactory, processes: list[int]
) -> None:
    spoilt = [_plain, *spoilt, _plain]  # the provenance is known from the first
    with sessionstore.open(tmp_path_factory.mktemp("store"), sync="os") as store:
        for number, spoil in enumerate(spoilt):
            session = store.create(f"{number:04}", metadata={"a": 1, "number": number})
            spoil(session.folder / "session.json")
        for name in OTHERS:
            store.root.folder(name).mkdir()
        expected = row_by_row(store)
        for processes[0] in (1, 2, 3):
            assert store.rebuild() == len(spoilt)
            assert index_of(store) == expected
            assert store.rebuild() == len(spoilt)
            assert index_of(store) == expected
        processes[0] = 1


def test_a_store_of_nothing_gets_an_index_of_nothing(store: SessionStore, processes: list[int]) -> None:
    processes[0] = 3
    assert store.rebuild() == 0
    assert store.find() == []


def test_what_a_process_that_fails_did_not_read_is_read_here(
    store: SessionStore, processes: list[int], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for number in range(20):
        store.create(str(number))
    expected, parent, whole = row_by_row(store), os.getpid(), row_lines._in_pieces

    def failing(*given):  # type: ignore[no-untyped-def]
        for number, lines in enumerate(whole(*given)):
            if number == 1 and os.getpid() != parent:
                raise MemoryError
            yield lines

    monkeypatch.setattr(row_lines, "_in_pieces", failing)
    processes[0] = 3
    assert store.rebuild() == 20
    assert index_of(store) == expected
    assert capfd.readouterr() == ("", "")


def test_an_interrupt_ends_every_process_and_leaves_the_index_as_it_was(
    store: SessionStore, processes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        store.create(str(number))
    store.rebuild()
    before, parent, whole = index_of(store), os.getpid(), row_lines._in_pieces

    def interrupted(*given):  # type: ignore[no-untyped-def]
        if os.getpid() == parent:
            raise KeyboardInterrupt
        time.sleep(60)
        yield from whole(*given)

    monkeypatch.setattr(row_lines, "_in_pieces", interrupted)
    processes[0] = 3
    with pytest.raises(KeyboardInterrupt):
        store.rebuild()
    assert index_of(store) == before
    monkeypatch.undo()
    assert store.rebuild() == 20


_KILLED = """
import os, signal, sys, time
import sessionstore
from sessionstore.store import row_lines
parent, whole = os.getpid(), row_lines._in_pieces
def slowly(*given):
    for lines in whole(*given):
        if os.getpid() == parent:
            time.sleep(0.2)
            os.kill(parent, signal.SIGKILL)
        time.sleep(0.02)
        yield lines
row_lines._in_pieces, row_lines._AT_ONCE, row_lines._processes = slowly, 1, lambda sessions: 3
with sessionstore.open(sys.argv[1]) as store:
    store.rebuild()
"""


def test_a_killed_rebuild_leaves_the_index_as_it_was_and_the_store_free(store: SessionStore) -> None:
    for number in range(60):
        store.create(str(number))
    store.rebuild()
    before = index_of(store)
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(store.root.path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert index_of(store) == before
    begin = time.monotonic()
    assert store.rebuild() == 60  # the children held the lock of the store with their parent's file
    assert time.monotonic() - begin < 5
    assert index_of(store) == before


def test_a_process_of_several_threads_is_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = os.listdir
    for tasks, expected in (["1"], True), (["1", "2"], False):
        monkeypatch.setattr(os, "listdir", lambda path, found=tasks: found if "task" in str(path) else listed(path))
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
        assert (row_lines._processes(10_000) == 2) is expected
        assert row_lines._processes(10) == 1


def test_lines_come_from_the_folders_alone(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rebuild that passed the fast reading by would be right and slow: the long way is for what is odd."""
    store.create("A")
    monkeypatch.setattr(FolderRows, "_closely", None)
    assert store.rebuild() == 1
