"""The block of a journal: read as quickly as may be, it says what its lines say, and no damage of it goes unnoticed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sessionstore
from sessionstore.bench.rows import a_row
from sessionstore.disk import append_file, files, filesystem
from sessionstore.disk.locks import lock_descriptor
from sessionstore.errors import Corrupt, NotApplied, StoreUnusable
from sessionstore.index.journal import engine, row_journal
from sessionstore.index.journal.block import block_of, doc_id_of, read_block
from sessionstore.index.journal.engine import JournalIndex, RowJournal, by_creation
from sessionstore.index.journal.file import Journal, line_of
from sessionstore.index.journal.raw_tables import SESSIONS, TABLE_DROPPED
from sessionstore.index.journal.tinydb_storage import JournalDatabase
from sessionstore.model.row import SessionRow
from sessionstore.store import SessionStore
from tests.rows import IDS, rows


def seen(index: JournalIndex) -> tuple[Any, ...]:
    """Return all that a reader learns: rows in their order, who runs, figures."""
    found = index.find()
    stamps = {name: (stamp.size, stamp.mtime_ns) for name, stamp in index.stamps().items()}
    return found, index.active(), stamps, index.health()["rows"], index.health()["lines"], index._journal.tables


def read(path: Path) -> tuple[Any, ...]:
    """Return what a newcomer learns of a file, or what it complains of."""
    index = JournalIndex(path)
    try:
        return seen(index)
    except Corrupt as error:
        return type(error), error.offset, str(error)
    finally:
        index.close()


def read_line_by_line(path: Path) -> tuple[Any, ...]:
    with pytest.MonkeyPatch.context() as slow:
        slow.setattr(row_journal, "read_block", lambda descriptor: None)
        return read(path)


# What was written by others too: a removal as earlier versions wrote it, TinyDB's tables, the whole table dropped.
lines = st.one_of(
    rows().map(lambda row: line_of(SESSIONS, doc_id_of(row.session_id), sessionstore_json(row))),
    st.sampled_from(IDS).map(lambda name: line_of(*engine._removal(name))),
    st.sampled_from(IDS).map(lambda name: line_of(SESSIONS, doc_id_of(name), b"null")),
    st.sampled_from([line_of("other", 1, b'{"a":1}'), line_of("other", 0, b"null"), line_of("other", -1, b"null")]),
    st.just(line_of(SESSIONS, TABLE_DROPPED, b"null")),
)


def sessionstore_json(row: SessionRow) -> bytes:
    return engine._encode(row)


@settings(deadline=None)
@given(
    first=st.lists(rows(), max_size=6),
    behind=st.lists(lines, max_size=6),
    later=st.lists(lines, max_size=3),
    compact=st.booleans(),
)
def test_a_block_and_the_lines_behind_it_read_like_lines(
    first: list[SessionRow],
    behind: list[bytes],
    later: list[bytes],
    compact: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("block") / "index.jsonl"
    JournalIndex(path).replace_all(first)
    index, known = JournalIndex(path), {row.session_id: row for row in first}
    assert index.find() == by_creation(known.values())
    for more in (behind, later):
        with path.open("ab") as stream:
            stream.writelines(more)
        assert seen(index) == read(path) == read_line_by_line(path)  # who reads on knows what a newcomer knows
        if compact:
            index.compact()
            assert seen(index) == read(path) == read_line_by_line(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    index = JournalIndex(tmp_path / "index.jsonl")
    index.replace_all([a_row(number) for number in range(3)])
    return tmp_path / "index.jsonl"


def damages(whole: bytes) -> Iterator[bytes]:
    for place in range(len(whole)):
        for flip in (0x01, 0x04, 0x20, 0x80):  # other digits, letters, cases; what is no UTF-8
            yield whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :]
        yield whole[:place]
        yield whole[:place] + whole[place + 1 :]


def test_every_damaged_byte_of_a_block_is_noticed_and_told_as_that_of_a_line(path: Path) -> None:
    whole = path.read_bytes()
    good = {row.session_id: row for row in read(path)[0]}
    assert len(good) == 3
    noticed = 0
    for number, spoilt in enumerate(damages(whole)):
        path.write_bytes(spoilt)
        found = read(path)
        if number % 7 == 0:
            assert found == read_line_by_line(path), spoilt
        if found[0] is Corrupt:
            noticed += 1
        else:  # cut: what is whole of it
            assert all(good[row.session_id] == row for row in found[0]), spoilt
    assert noticed > 4 * (len(whole) - 10)


def test_a_row_that_was_changed_behind_the_back_of_the_block_is_not_shown(path: Path) -> None:
    whole = path.read_bytes()
    other = a_row(1, rev=7)
    ours, theirs = (line_of(SESSIONS, doc_id_of(row.session_id), sessionstore_json(row)) for row in (a_row(1), other))
    path.write_bytes(whole.replace(ours, theirs))  # a whole line, with a checksum of its own
    assert len(ours) == len(theirs) and read(path) == read_line_by_line(path)


def test_a_block_is_shown_whole_or_not_at_all(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-30] + bytes([whole[-30] ^ 1]) + whole[-29:])
    reader = RowJournal(path, None).file
    with pytest.raises(Corrupt) as told:
        reader.refresh()
    assert told.value.offset == whole[:-1].rfind(b"\n") + 1


@pytest.mark.parametrize("place", [30, 300, -300, -30])
def test_a_store_heals_a_damaged_block_and_keeps_the_bytes(store: SessionStore, place: int) -> None:
    made = [store.create(f"run {number}", metadata={"number": number}).session_id for number in range(5)]
    store.rebuild()
    index = store.root.path / "index.jsonl"
    whole = bytearray(index.read_bytes())
    whole[place] ^= 1
    index.write_bytes(whole)
    with sessionstore.open(store.root.path) as again:
        assert sorted(row.session_id for row in again.find()) == sorted(made)
    assert [kept.read_bytes() for kept in store.root.quarantined()] == [bytes(whole)]
    assert index.read_bytes().startswith(b'{"table":"sessions","id":-2,')
    assert [row.decoded_metadata()["number"] for row in store.find(sort="created_at")] == list(range(5))


def test_a_block_cut_short_between_two_lines_loses_no_session(store: SessionStore) -> None:
    made = [store.create(f"run {number}").session_id for number in range(5)]
    store.rebuild()
    index = store.root.path / "index.jsonl"
    index.write_bytes(b"".join(index.read_bytes().splitlines(keepends=True)[:3]))
    assert sorted(row.session_id for row in store.find()) == sorted(made)
    store.create("one more")
    assert len(sessionstore.open(store.root.path).find()) == 6


def test_a_file_of_an_earlier_version_is_read_and_its_removals_too(tmp_path: Path) -> None:
    path = tmp_path / "index.jsonl"
    kept = [a_row(number) for number in range(4)]
    old = [line_of(SESSIONS, doc_id_of(row.session_id), sessionstore_json(row)) for row in kept]
    path.write_bytes(b"".join(old))
    index = JournalIndex(path)
    assert index.find() == by_creation(kept)
    with path.open("ab") as stream:
        stream.write(line_of(SESSIONS, doc_id_of(kept[0].session_id), b"null"))
    assert index.find() == by_creation(kept[1:])
    index.compact()
    with path.open("ab") as stream:
        stream.write(line_of(SESSIONS, doc_id_of(kept[2].session_id), b"null"))
    assert index.find() == JournalIndex(path).find() == by_creation([kept[1], kept[3]])


def test_an_earlier_version_and_tinydb_see_the_rows_and_nothing_else(path: Path) -> None:
    raw = Journal(path, sync=False)
    raw.refresh()
    numbers = [doc_id_of(a_row(number).session_id) for number in range(3)]
    assert raw.tables.keys() == {SESSIONS} and sorted(raw.tables[SESSIONS]) == sorted(numbers)
    database = JournalDatabase(path)
    table = database.table(SESSIONS)
    assert sorted(each["session_id"] for each in table.all()) == sorted(a_row(number).session_id for number in range(3))
    table.remove(doc_ids=[numbers[0]])
    assert len(JournalIndex(path).find()) == 2 == len(table)
    JournalIndex(path).remove([a_row(1).session_id])
    assert len(JournalIndex(path).find()) == 1 == len(table)
    raw.compact()
    assert JournalIndex(path).find() == [a_row(2)]
    database.close()


def test_two_rewrites_give_the_same_bytes_and_other_tables_stay_behind_the_block(path: Path) -> None:
    JournalDatabase(path).table("other").insert({"a": 1})
    index = JournalIndex(path)
    index.compact()
    once = path.read_bytes()
    index.compact()
    JournalIndex(path).replace_all(reversed(index.find()))
    assert path.read_bytes() == once
    assert once.startswith(b"".join(block_of([a_row(number) for number in range(3)])))
    assert JournalDatabase(path).table("other").all() == [{"a": 1}]


def test_what_was_handed_out_stays_as_it_was(path: Path) -> None:
    index = JournalIndex(path)
    stamps, found = index.stamps(), index.find()
    index.put([a_row(0, rev=2), a_row(9)])
    index.remove([a_row(1).session_id])
    assert len(index.find()) == 3 and len(index.stamps()) == 3
    assert (
        sorted(stamps) == sorted(row.session_id for row in found) == [a_row(number).session_id for number in range(3)]
    )


def test_no_listing_waits_for_a_thread_that_waits_for_a_stopped_writer(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, waiting = JournalIndex(path), threading.Event()

    def lock(descriptor: int, path: str, timeout_s: float, **_: bool) -> None:
        waiting.set()
        lock_descriptor(descriptor, path, timeout_s)

    with Journal(path, sync=False).exclusive():
        monkeypatch.setattr(append_file, "lock_descriptor", lock)
        writer = threading.Thread(target=index.put, args=([a_row(0, rev=2)], True))
        writer.start()
        assert waiting.wait(10)
        assert len(index.find()) == len(index.stamps()) == 3 and writer.is_alive()
    writer.join()
    assert index.find()[0].rev == 2


def _same_size(whole: bytes, last: bytes) -> bytes:
    return whole[: -len(last)] + line_of("t", 2, b'{"v":7}')


def _longer(whole: bytes, last: bytes) -> bytes:
    return line_of("t", 1, b'{"v":"%s"}' % (b"x" * len(whole)))


def _longer_with_a_line_ending_at_the_same_byte(whole: bytes, last: bytes) -> bytes:
    room = len(whole) - len(line_of("t", 1, b'{"v":""}'))
    return line_of("t", 1, b'{"v":"%s"}' % (b"x" * room)) + last


@pytest.mark.parametrize("copied", [_same_size, _longer, _longer_with_a_line_ending_at_the_same_byte])
def test_a_file_that_was_copied_over_in_place_is_read_anew_and_not_undone_by_compaction(
    copied: Callable[[bytes, bytes], bytes], path: Path
) -> None:
    path.unlink()
    database = JournalDatabase(path)
    table = database.table("t")
    table.insert_multiple([{"v": 1}, {"v": 2}])
    assert len(table.all()) == 2
    whole = path.read_bytes()
    path.write_bytes(copied(whole, line_of("t", 2, b'{"v":2}')))  # the same inode
    os.utime(path, ns=(0, os.stat(path).st_mtime_ns + 1))  # clocks tick every 4 ms
    expected = JournalDatabase(path).table("t").all()
    assert table.all() == expected and {"v": 1} not in expected[1:]
    database.storage.journal.compact()  # type: ignore[attr-defined]
    assert table.all() == expected == JournalDatabase(path).table("t").all()
    table.insert({"v": 3})
    assert len(JournalDatabase(path).table("t").all()) == len(expected) + 1


def test_a_listing_never_sees_rows_that_another_thread_is_still_reading(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, reading, listed = JournalIndex(path), threading.Event(), threading.Event()
    before = index.find()
    compact_when_due = index._compact_when_due

    def read_slowly(descriptor: int) -> Any:
        if threading.current_thread() is rebuild:
            reading.set()
            listed.wait(10)
        return read_block(descriptor)

    def others_go_on() -> None:  # between reading on and looking at what was read
        compact_when_due()
        JournalIndex(path).compact()
        rebuild.start()
        reading.wait(0.2)

    rebuild = threading.Thread(target=index.replace_all, args=(before,))
    monkeypatch.setattr(row_journal, "read_block", read_slowly)
    monkeypatch.setattr(index, "_compact_when_due", others_go_on)
    JournalIndex(path).put([a_row(1)])
    try:
        assert index.find() == before
    finally:
        listed.set()
        rebuild.join()


# ---------------------------------------------------------------- when a journal is written anew


def test_a_journal_of_creations_alone_becomes_a_block_when_it_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_journal, "_LINES_BEHIND", 20)
    path = tmp_path / "index.jsonl"
    index = JournalIndex(path)
    for number in range(100):
        index.put([a_row(number)])
        assert len(index.find()) == number + 1
    assert path.read_bytes().startswith(b'{"table":"sessions","id":-2,')
    assert read(path) == read_line_by_line(path)


def test_writing_anew_is_rare_however_many_sessions_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_journal, "_LINES_BEHIND", 20)
    index, times = JournalIndex(tmp_path / "index.jsonl"), []
    monkeypatch.setattr(files, "put", lambda *_, put=files.put: times.append(1) or put(*_))  # type: ignore[misc]
    for number in range(400):
        index.put([a_row(number)])
        index.find()
    assert 2 <= len(times) <= 5  # at 21, 63, 147, 315


@pytest.mark.parametrize("error", [StoreUnusable(28, "No space left on device"), StoreUnusable(30, "Read-only")])
def test_a_listing_that_cannot_compact_answers_all_the_same_and_does_not_try_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: NotApplied
) -> None:
    monkeypatch.setattr(row_journal, "_LINES_BEHIND", 20)
    index, tried = JournalIndex(tmp_path / "index.jsonl"), []

    def put(*_: object, **__: object) -> None:
        tried.append(1)
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(files, "put", put)
        for number in range(60):
            index.put([a_row(number)])
            assert len(index.find()) == number + 1
    assert len(tried) == 2  # at 21 lines and at 42
    index.put([a_row(number) for number in range(60, 100)])
    assert len(index.find()) == 100 and b'"id":-2,' in index._journal.path.read_bytes()


def test_a_listing_waits_for_no_stopped_writer_in_order_to_compact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_journal, "_LINES_BEHIND", 20)
    patience = []

    def lock(descriptor: int, path: str, timeout_s: float, **_: bool) -> None:
        if path == str(journal):  # a thread of an earlier test may append to a file of its own
            patience.append(timeout_s)
        lock_descriptor(descriptor, path, 0.0)

    path = journal = tmp_path / "index.jsonl"
    monkeypatch.setattr(append_file, "lock_descriptor", lock)
    JournalIndex(path).put([a_row(number) for number in range(50)])
    with Journal(path, sync=False).exclusive():
        before, patience[:] = os.stat(path).st_ino, []
        assert len(JournalIndex(path).find()) == 50
        assert os.stat(path).st_ino == before and len(patience) == 1 and patience[0] <= 0.2
    assert len(JournalIndex(path).find()) == 50
    assert os.stat(path).st_ino != before


def _of_another_user(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(os, "geteuid", lambda: -7)


def _where_locks_mean_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(filesystem, "_of_device", lambda *_: filesystem.FileSystem("nfs4", "/mnt", safe=False))


@pytest.mark.parametrize("lies", [_of_another_user, _where_locks_mean_nothing])
def test_a_listing_leaves_a_journal_as_it_is(
    lies: Callable[[pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_journal, "_LINES_BEHIND", 20)
    path = tmp_path / "index.jsonl"
    JournalIndex(path).put([a_row(number) for number in range(50)])
    before = os.stat(path)
    with monkeypatch.context() as patch:
        lies(patch)
        assert len(JournalIndex(path).find()) == 50
    assert (os.stat(path).st_ino, os.stat(path).st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert len(JournalIndex(path).find()) == 50 and os.stat(path).st_ino != before.st_ino


def _with_a_torn_end(store: SessionStore) -> None:
    with (store.root.path / "index.jsonl").open("ab") as stream:
        stream.write(b'{"table":"sess')
    assert len(store.find()) == 3


def _when_it_is_examined(store: SessionStore) -> None:
    assert store.doctor().findings == []


@pytest.mark.parametrize("read", [_with_a_torn_end, _when_it_is_examined])
def test_nothing_is_written_by_reading_a_journal(
    read: Callable[[SessionStore], None], store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [store.create(f"run {number}") for number in range(3)]
    for number in range(20):
        made[0].update(notes=f"{number}")
    monkeypatch.setattr(row_journal, "_LINES_BEHIND", 10)
    before, notes = os.stat(store.root.path / "index.jsonl").st_ino, list[str]()
    monkeypatch.setattr(files, "note", lambda operation, *_: notes.append(operation))
    read(store)
    assert notes == [] and os.stat(store.root.path / "index.jsonl").st_ino == before
    assert len(sessionstore.open(store.root.path).find()) == 3


def test_what_another_process_has_compacted_meanwhile_is_not_compacted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_journal, "_LINES_BEHIND", 20)
    path = tmp_path / "index.jsonl"
    JournalIndex(path).put([a_row(number) for number in range(50)])
    late = JournalIndex(path)
    late._journal.refresh()
    assert late._rows.is_worth_compacting() and len(JournalIndex(path).find()) == 50
    before = os.stat(path).st_ino
    late._compact_when_due()
    assert os.stat(path).st_ino == before and len(late.find()) == 50


def test_putting_nothing_makes_no_file(tmp_path: Path) -> None:
    JournalIndex(tmp_path / "index.jsonl").put([], exact=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("lists", [False, True])
def test_a_journal_that_no_process_lists_stays_within_a_bound(
    lists: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writers compact by bytes: 2,500 updates of a session of 117 KB took 250 MB before."""
    monkeypatch.setattr(row_journal, "_BYTES_BEHIND", 20_000)
    path = tmp_path / "index.jsonl"
    index, other = JournalIndex(path), JournalIndex(path)
    heavy, most = msgspec.structs.replace(a_row(1), raw_metadata=msgspec.Raw(b'{"x":"%s"}' % (b"y" * 2_000))), 0
    for number in range(200):
        (index if number % 3 else other).put([msgspec.structs.replace(heavy, rev=number), a_row(2)])
        most = max(most, path.stat().st_size)
        if lists:
            assert len(index.find()) == 2
    assert most < 40_000
    assert [(row.rev, row.session_name) for row in JournalIndex(path).find()][:1] == [(199, heavy.session_name)]
    if not lists:
        assert index._rows.rows == {}  # a process that only writes keeps no rows


def test_a_writer_leaves_the_journal_of_another_user_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_journal, "_BYTES_BEHIND", 1_000)
    path = tmp_path / "index.jsonl"
    JournalIndex(path).put([a_row(1)])
    before = path.stat().st_ino
    with monkeypatch.context() as patch:
        _of_another_user(patch)
        JournalIndex(path).put([a_row(1)] * 50)
    assert path.stat().st_ino == before
    JournalIndex(path).put([a_row(1)])
    assert path.stat().st_ino != before
