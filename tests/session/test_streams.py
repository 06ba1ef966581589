"""Streams: whole records in order, torn tails cut into quarantine, damage told with its place."""

from __future__ import annotations

import contextlib
import json
import math
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstore.errors import (
    Corrupt,
    InvalidRecord,
    TimeOrderError,
)
from sessionstore.session.stream_reader import Tape
from sessionstore.session.stream_writer import MAX_RECORD_BYTES, StreamWriter, SyncMode
from tests.small_stream import filled, values


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.mark.parametrize("sync", ["full", "batch", "os"])
def test_what_was_appended_is_read_back_in_order(path: Path, sync: SyncMode) -> None:
    writer = StreamWriter(path, sync)
    writer.append({"i": 0, "text": "Ünï"}, t_s=0.1)
    writer.extend([{"i": 1}, {}], t_s=1 / 3)
    writer.append({"i": 3, "big": 2**80})
    lines = list(Tape(path).read())
    assert [(line.n, line.t_s) for line in lines] == [(0, 0.1), (1, 1 / 3), (2, 1 / 3), (3, 1 / 3)]
    assert lines[0].data == {"i": 0, "text": "Ünï"} and lines[3].data["big"] == 2**80
    assert all(line.verified for line in lines) and Tape(path).check().whole
    writer.close()


def test_a_line_is_json_with_number_time_and_checksum(path: Path) -> None:
    filled(path, 1)
    head = b'{"n":0,"t":0.0,"i":0'
    assert path.read_bytes() == head + b',"c":"%08x"}\n' % zlib.crc32(head)


@given(
    st.dictionaries(
        st.text(max_size=5) | st.sampled_from(["n", "t", "c", "<", "="]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=8,
        ),
        max_size=5,
    ).filter(lambda value: "nan" not in value)
)
def test_any_json_value_comes_back_equal(tmp_path_factory: pytest.TempPathFactory, record: dict[str, object]) -> None:
    path = tmp_path_factory.mktemp("any") / "s.jsonl"
    writer = StreamWriter(path, "os")
    writer.append(record, t_s=1.5)
    writer.close()
    (line,) = Tape(path).read()
    assert line.data == record


def test_numpy_is_taken_and_what_is_not_finite_becomes_null_and_is_counted(path: Path) -> None:
    writer = StreamWriter(path)
    writer.append({"a": np.array([1.0, np.nan]), "b": np.float32(0.5), "c2": [float("inf"), None], "d": np.int64(3)})
    (line,) = Tape(path).read()
    assert line.data == {"a": [1.0, None], "b": 0.5, "c2": [None, None], "d": 3, "nan": 2}


@pytest.mark.parametrize(
    ("record", "error"),
    [({(1, 2): 1}, InvalidRecord), ([1, 2], InvalidRecord), (None, InvalidRecord),
     ({"x": "\ud800"}, InvalidRecord), ({"x": object()}, InvalidRecord),
     ({"x": "y" * MAX_RECORD_BYTES}, InvalidRecord)],
)  # fmt: skip
def test_what_cannot_be_stored_leaves_nothing(path: Path, record: dict[str, object], error: type[Exception]) -> None:
    writer = StreamWriter(filled(path))
    before = path.read_bytes()
    for attempt in (lambda: writer.append(record), lambda: writer.extend([{"i": 9}, record])):
        with pytest.raises(error):
            attempt()
    assert path.read_bytes() == before


@pytest.mark.parametrize("t_s", [1.9, float("nan"), float("inf"), -1.0])
def test_time_never_goes_back_where_that_was_asked_for_and_is_always_a_number(path: Path, t_s: float) -> None:
    writer = StreamWriter(filled(path), order="stream")
    with pytest.raises(TimeOrderError):
        writer.append({"i": 9}, t_s)
    writer.append({"i": 5}, t_s=2.0)
    assert values(path) == [0, 1, 2, 3, 4, 5]


def test_two_writers_of_one_stream_number_on_from_each_other(path: Path) -> None:
    one, two = StreamWriter(path), StreamWriter(path)
    for number in range(6):
        (one, two)[number % 2].append({"i": number})
    assert [line.n for line in Tape(path).read()] == list(range(6)) and values(path) == list(range(6))


@pytest.mark.parametrize("torn", [b'{"n":5,"t":2.5,"i"', b"\0" * 300, b'{"n":5,"t"\0\0\0\n', b'{"n":5,\0\n{"n":6'])
def test_a_torn_tail_is_cut_into_quarantine_by_the_next_writer(path: Path, torn: bytes) -> None:
    filled(path)
    with path.open("ab") as stream:
        stream.write(torn)
    kept: list[tuple[Path, int, bytes]] = []
    size = path.stat().st_size - len(torn)
    StreamWriter(path, quarantine=lambda *what: kept.append(what)).append({"i": 5}, t_s=9)
    assert kept == [(path, size, torn)]
    assert values(path) == [0, 1, 2, 3, 4, 5] and Tape(path).check().whole


def test_readers_stop_at_the_last_whole_line_and_never_write(path: Path) -> None:
    filled(path)
    with path.open("ab") as stream:
        stream.write(b'{"n":5,"t":')
    before = path.read_bytes()
    assert values(path) == [0, 1, 2, 3, 4] and Tape(path).count() == 5
    check = Tape(path).check()
    assert (check.lines, check.torn_bytes, check.whole) == (5, 11, False)
    assert path.read_bytes() == before


def test_every_bit_flip_is_noticed_or_marked_unverified(path: Path) -> None:
    filled(path, 3)
    good = path.read_bytes()
    lines = [line.data for line in Tape(path).read()]
    for position in range(len(good) * 8):
        spoilt = bytearray(good)
        spoilt[position // 8] ^= 1 << position % 8
        path.write_bytes(bytes(spoilt))
        check = Tape(path).check()
        verified = [line.data for line in Tape(path).read(damaged="skip") if line.verified]
        assert not check.whole or check.unverified, f"bit {position} went unnoticed"
        assert all(data in lines for data in verified), f"bit {position} was believed"


def test_damage_in_the_middle_is_told_with_its_offset_and_can_be_passed(path: Path) -> None:
    filled(path)
    data = bytearray(path.read_bytes())
    offset = data.index(b'"i":2')
    data[offset + 3 : offset + 4] = b"="
    path.write_bytes(bytes(data))
    with pytest.raises(Corrupt) as caught:
        list(Tape(path).read())
    assert caught.value.offset == data.index(b'{"n":2')
    assert [line.data["i"] for line in Tape(path).read(damaged="skip")] == [0, 1, 3, 4]
    assert [damage.offset for damage in Tape(path).check().damaged] == [caught.value.offset]
    StreamWriter(path).append({"i": 5}, t_s=5)
    assert Tape(path).last() is not None and Tape(path).count() == 6


def test_a_missing_line_is_noticed(path: Path) -> None:
    filled(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))
    assert [damage.reason for damage in Tape(path).check().damaged] == ["number 3 where 2 was expected"]


def test_a_line_written_by_hand_counts_as_unverified(path: Path) -> None:
    filled(path)
    with path.open("ab") as stream:
        stream.write(b'{"i": 5}\n{"t": 7, "i": 6}\r\n')
    StreamWriter(path).append({"i": 7}, t_s=8)
    lines = list(Tape(path).read())
    assert [(line.n, line.t_s, line.verified) for line in lines[4:]] == [
        (4, 2.0, True), (5, 2.0, False), (6, 7.0, False), (7, 8.0, True),
    ]  # fmt: skip
    assert Tape(path).check().unverified == 2


@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_seeking_finds_the_first_line_that_is_late_enough(path: Path, count: int) -> None:
    writer = StreamWriter(path, "os")
    moments = [(number // 3) * 0.1 for number in range(count)]
    for number, moment in enumerate(moments):
        writer.append({"i": number, "pad": "x" * (number % 97)}, moment)
    tape = Tape(path)
    for wanted in (-1.0, 0.0, 0.05, 0.1, 3.3, 10.0, 33.3, 33.31, 1e9):
        expected = next((number for number, moment in enumerate(moments) if moment >= wanted), None)
        first = next(iter(tape.read(tape.seek(wanted))), None)
        assert (None if first is None else first.data["i"]) == expected
        window = [line.t_s for line in tape.read(from_s=wanted, to_s=wanted + 0.35)]
        assert window == [moment for moment in moments if wanted <= moment <= wanted + 0.35]


def test_the_last_lines_can_be_found_from_the_end(path: Path) -> None:
    filled(path, 30)
    tape = Tape(path)
    assert [line.n for line in tape.read(tape.last_lines(3))] == [27, 28, 29]
    assert len(list(tape.read(tape.last_lines(99)))) == 30 and tape.last_lines(0) == tape.size()


def test_a_follower_gets_every_line_once_while_it_is_written(path: Path) -> None:
    done = threading.Event()

    def write() -> None:
        writer = StreamWriter(path)
        for number in range(500):
            writer.append({"i": number}, t_s=number)
        writer.close()
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen = [line.data["i"] for line in Tape(path).follow(stop=done.is_set, poll_s=0.001)]
    thread.join()
    assert seen == list(range(500))


def test_the_lines_are_plain_json_for_any_other_program(path: Path) -> None:
    filled(path)
    assert [json.loads(line)["i"] for line in path.read_text().splitlines()] == [0, 1, 2, 3, 4]


def test_a_key_that_is_called_nan_is_the_programs_own_and_is_kept(tmp_path: Path) -> None:
    with contextlib.closing(StreamWriter(tmp_path / "s.jsonl")) as writer:
        writer.append({"nan": 5.5, "x": math.nan})
        writer.append({"nan": math.nan})
    assert [line.data for line in Tape(tmp_path / "s.jsonl").read()] == [{"nan": 5.5, "x": None}, {"nan": None}]
