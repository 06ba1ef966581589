"""Values of real programs: any key, any time, any order; what another program or a person did to the file."""

from __future__ import annotations

import json
import random
import threading
import zlib
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstore.errors import Corrupt, InvalidRecord, TimeOrderError
from sessionstore.session.stream_reader import Remarks, Tape
from sessionstore.session.stream_record import payload_of
from sessionstore.session.stream_writer import StreamWriter
from sessionstore.store import SessionStore
from tests.small_stream import filled, values


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def shown(path: Path) -> list[tuple[int, str]]:
    return [(line.data["i"], line.remark) for line in Tape(path).read()]


# ---------------------------------------------------------------- keys and values


@pytest.mark.parametrize(
    "record",
    [{"n": 5, "t": 1.5, "c": "x"}, {"t": None}, {"c": {"n": 1}}, {"n": 1, "x": 2}, {"=": {"n": 1}}, {"=": 3},
     {"<": [1, 2, 3]}, {"<": {"session": "x"}}, {"=": {"=": {"t": 1}}, "n": 0}],
)  # fmt: skip
def test_a_record_with_the_keys_of_the_line_comes_back_under_its_own_names(path: Path, record: dict[str, Any]) -> None:
    writer = StreamWriter(path)
    writer.append(record, t_s=0.5)
    writer.extend([record, {"i": 1}], t_s=0.5)
    lines = list(Tape(path).read())
    assert [line.data for line in lines] == [record, record, {"i": 1}]
    assert [(line.n, line.t_s, line.verified) for line in lines] == [(0, 0.5, True), (1, 0.5, True), (2, 0.5, True)]
    assert Tape(path).check().whole and Tape(path).count() == 3
    again = json.loads(json.dumps(lines[0].to_json()))
    assert again["n"] == 0 and again["t"] == 0.5 and again["="] == record


@pytest.mark.parametrize("strange", [{}, {"n": 1}, {"v": float("nan")}, {"a": None}, {"z": (1, {2})}, {"k": "null"},
    {"s": "two\nlines"}, {5: "a number as key"}, MappingProxyType({"v": 1})])  # fmt: skip
def test_a_batch_is_the_same_bytes_as_its_records_one_by_one(path: Path, strange: Any) -> None:
    records = [{"x": 1.5, "on": True, "list": [1, {"deep": "ü"}]}, strange, {"y": -0.0}]
    with_one, with_many = StreamWriter(path), StreamWriter(path.with_name("many.jsonl"))
    for _ in range(2):
        for record in records:
            with_one.append(record, 0.25)
        with_many.extend(records, 0.25)
    with_one.close()
    with_many.close()
    assert path.read_bytes() == with_many.path.read_bytes()
    assert len(path.read_bytes().splitlines()) == 6


def test_a_batch_with_a_record_that_is_refused_leaves_none(path: Path) -> None:
    writer = StreamWriter(path)
    writer.extend([{"i": 0}])
    for wrong in ({"v": object()}, {"v": "\ud800"}, {"v": 10**5000}, {"v": "x" * (1 << 20)}, ["v"]):
        with pytest.raises(InvalidRecord):
            writer.extend([{"i": 1}, wrong, {"i": 2}])  # type: ignore[list-item]
    writer.extend([])
    writer.close()
    assert [line.data for line in Tape(path).read()] == [{"i": 0}]


def test_a_line_of_an_older_version_with_our_new_keys_reads_as_it_did(path: Path) -> None:
    heads = [b'{"n":0,"t":0.5,"<":7,"=":[1]', b'{"n":1,"t":0.5,"<":{"a":1}', b'{"n":2,"t":0.5,"=":"x"']
    path.write_bytes(b"".join(b'%b,"c":"%08x"}\n' % (head, zlib.crc32(head)) for head in heads))
    assert [line.data for line in Tape(path).read()] == [{"<": 7, "=": [1]}, {"<": {"a": 1}}, {"=": "x"}]


@pytest.mark.parametrize(
    "record",
    [{"v": {1: "a", "1": "b"}}, {1: "a", "1": "b"}, {"deep": [{"x": [{2.5: 1, "2.5": 2}]}]}, {"\x01": {1: 0, "1": 1}}],
)
def test_keys_that_collide_as_text_are_refused(path: Path, record: dict[Any, Any]) -> None:
    writer = StreamWriter(filled(path))
    before = path.read_bytes()
    with pytest.raises(InvalidRecord, match="two keys become the text"):
        writer.append(record)
    with pytest.raises(InvalidRecord):
        writer.extend([{"i": 5}, record])
    assert path.read_bytes() == before


def nested(levels: int, text: str = "") -> Any:
    value: Any = text
    for level in range(levels):
        value = [value] if level % 2 else {"k": value}
    return value


def test_nesting_has_one_limit_at_the_append_and_in_every_reader(path: Path) -> None:
    writer = StreamWriter(path)
    writer.append({"v": nested(199, "]}[{")})
    for levels in (200, 500, 985, 5000):
        with pytest.raises(InvalidRecord, match="nested beyond 200 levels"):
            writer.append({"v": nested(levels, '"]"')})
    writer.append({"v": nested(198), "t": 1})
    assert [len(line.data) for line in Tape(path).read()] == [1, 2] and Tape(path).check().whole
    with path.open("ab") as stream:
        stream.write(b'{"v":' + b"[" * 300 + b"]" * 300 + b"}\n")
    check = Tape(path).check()
    assert [each.kind for each in check.damaged] == ["nested"] and "nested" in check.remarks


@given(st.recursive(st.text(alphabet='[]{}"\\x', max_size=3), lambda inner: st.lists(inner, max_size=3), max_leaves=40))
def test_brackets_in_texts_are_not_levels(value: Any) -> None:
    assert json.loads(payload_of({"v": [value, "[{" * 300]}))["v"][0] == value


# ---------------------------------------------------------------- time


@pytest.mark.parametrize("seed", range(6))
def test_records_out_of_order_keep_their_place_and_are_sorted_when_read(path: Path, seed: int) -> None:
    random_numbers = random.Random(seed)
    moments = [round(tick / 10 + random_numbers.uniform(-2, 2) * (seed % 3), 3) for tick in range(400)]
    if seed > 3:  # three logs, one after another
        moments = [tick / 10 - 1 for _ in range(3) for tick in range(130)]
    half = len(moments) // 2
    for part in (range(half), range(half, len(moments))):  # a second writer goes on where the first one was
        writer = StreamWriter(path, "os")
        for number in part:
            writer.append({"i": number, "pad": "x" * random_numbers.randrange(300)}, moments[number])
        writer.close()
    tape = Tape(path)
    assert values(path) == list(range(len(moments))) and tape.check().whole
    wanted = sorted(range(len(moments)), key=lambda number: moments[number])
    assert [line.data["i"] for line in tape.in_time()] == wanted
    assert tape.bounds() == (min(moments), max(moments))
    for begin, end in [(-5.0, 0.0), (3.3, 3.4), (5.0, 20.0), (39.0, 99.0), (moments[7], moments[7])]:
        inside = [number for number in wanted if begin <= moments[number] <= end]
        assert [line.data["i"] for line in tape.in_time(begin, end)] == inside
        assert sorted(line.data["i"] for line in tape.read(from_s=begin, to_s=end)) == sorted(inside)


def test_a_long_stream_out_of_order_is_sorted_within_a_window(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sessionstore.session.stream_reader._SORTED_BYTES", 0)
    monkeypatch.setattr("sessionstore.session.stream_reader._SMALL_BYTES", 0)
    moments = [tick + (3 if tick % 7 == 0 else 0) for tick in range(500)]
    writer = StreamWriter(path, "os")
    for moment in moments:
        writer.append({"i": moment}, moment)
    assert [line.t_s for line in Tape(path).in_time()] == sorted(moments)
    assert [line.t_s for line in Tape(path).in_time(100, 120)] == [m for m in sorted(moments) if 100 <= m <= 120]


def test_a_stream_in_order_holds_nothing_about_its_order(path: Path) -> None:
    assert b'"<"' not in filled(path).read_bytes()
    StreamWriter(path).append({"i": 5}, t_s=1.0)
    assert path.read_bytes().count(b'"<":[0.0,2.0,1.0]') == 1


def test_eight_threads_with_times_of_their_own_lose_nothing(path: Path) -> None:
    writer = StreamWriter(path, "os")
    threads = [
        threading.Thread(target=lambda: [writer.append({"i": tick}, tick / 20) for tick in range(200)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tape = Tape(path)
    assert tape.count() == 1600
    assert [line.data["i"] for line in tape.in_time()] == [tick for tick in range(200) for _ in range(8)]


def test_sim_time_may_be_negative_and_never_a_text(path: Path) -> None:
    writer = StreamWriter(path)
    writer.append({"i": 0}, t_s=-2.5)
    with pytest.raises(TimeOrderError, match="not 'soon'"):
        writer.append({"i": 1}, t_s="soon")  # type: ignore[arg-type]
    writer.append({"i": 1})
    assert [line.t_s for line in Tape(path).read()] == [-2.5, -2.5]
    assert [line.n for line in Tape(path).read(from_s=-2.6, to_s=-2.4)] == [0, 1]


def test_a_follower_gets_records_in_the_order_of_their_arrival(path: Path) -> None:
    writer = StreamWriter(path)
    for moment in (5.0, 1.0, 3.0):
        writer.append({"i": moment}, moment)
    assert [line.t_s for line in Tape(path).follow(stop=lambda: True)] == [5.0, 1.0, 3.0]


# ---------------------------------------------------------------- attempts


def test_a_new_attempt_replaces_what_was_recorded_from_its_moment_on(path: Path) -> None:
    writer = StreamWriter(path)
    for moment in range(100):
        writer.append({"i": moment, "try": 1}, moment)
    writer.close()
    again = StreamWriter(path)
    again.begin_attempt(60)
    assert [line.data["i"] for line in Tape(path).in_time()] == list(range(60))  # before its first record, too
    again.append({"i": 60, "try": 2})
    for moment in range(61, 70):
        again.append({"i": moment, "try": 2}, moment)
    tape = Tape(path)
    assert tape.attempts() == [60.0] and tape.count() == 110 and len(list(tape.read())) == 110
    latest = [(line.data["i"], line.data["try"]) for line in tape.in_time()]
    assert latest == [(moment, 1) for moment in range(60)] + [(moment, 2) for moment in range(60, 70)]
    assert [line.data["try"] for line in tape.in_time(attempt=0)] == [1] * 100
    assert [line.data["i"] for line in tape.in_time(58, 62)] == [58, 59, 60, 61, 62]
    third = StreamWriter(path)
    third.begin_attempt(65)
    third.append({"i": 65, "try": 3})
    assert [line.data["try"] for line in tape.in_time(63)] == [2, 2, 3] and tape.attempts() == [60.0, 65.0]
    assert [line.data["try"] for line in tape.in_time(63, attempt=1)] == [2] * 7
    assert tape.check().whole


# ---------------------------------------------------------------- foreign programs and hands


def _crlf(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r\n")


def _without_last_newline(data: bytes) -> bytes:
    return data[:-1]


def _encoded(name: str, mark: bytes = b"") -> Any:
    return lambda data: mark + data.decode().encode(name)


FOREIGN = {
    "crlf": (_crlf, "line-ends"),
    "byte order mark": (lambda data: b"\xef\xbb\xbf" + data, "byte-order-mark"),
    "no last newline": (_without_last_newline, "no-last-newline"),
    "crlf, no last newline": (lambda data: _crlf(data)[:-2], "no-last-newline"),
    "utf-16 with mark": (_encoded("utf-16"), "encoding"),
    "utf-16-be": (_encoded("utf-16-be"), "encoding"),
    "utf-16 and crlf": (lambda data: b"\xff\xfe" + _crlf(data).decode().encode("utf-16-le"), "encoding"),
    "utf-32": (_encoded("utf-32"), "encoding"),
    "latin-1": (_encoded("latin-1"), "encoding"),
    "cp1252": (_encoded("cp1252"), "encoding"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_that_another_program_rewrote_reads_whole_and_is_appended_to(path: Path, name: str) -> None:
    change, kind = FOREIGN[name]
    writer = StreamWriter(path)
    for number in range(20):
        writer.append({"i": number, "text": "Ünï"}, number / 2)
    writer.close()
    path.write_bytes(change(path.read_bytes()))
    before, kept = path.read_bytes(), []
    lines = list(Tape(path).read())
    assert [line.data["i"] for line in lines] == list(range(20)) and all(line.verified for line in lines)
    assert all(line.data["text"] == "Ünï" for line in lines)
    check = Tape(path).check()
    assert kind in check.remarks and not check.damaged and not check.torn_bytes and not check.whole
    with_quarantine = StreamWriter(path, quarantine=lambda *what: kept.append(what))
    with_quarantine.append({"i": 20, "text": "Ünï"}, 10)
    with_quarantine.append({"i": 21, "text": "Ünï"}, 10.5)
    assert path.read_bytes().startswith(before) and kept == []
    assert values(path) == list(range(22)) and Tape(path).count() == 22
    assert [line.data["i"] for line in Tape(path).in_time(5, 6)] == [10, 11, 12]
    assert [line.n for line in Tape(path).read(Tape(path).last_lines(2))] == [20, 21]


def test_a_pointer_of_git_lfs_is_told_and_never_written_to(path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345\n"
    path.write_bytes(pointer)
    remarks = Remarks()
    assert list(Tape(path).read(damaged="skip", remarks=remarks)) == [] and remarks.hiding
    assert "git lfs pull" in str(remarks["lfs-pointer"]) and "lfs-pointer" in Tape(path).remarks()
    with pytest.raises(Corrupt, match="git lfs pull"):
        list(Tape(path).read())
    with pytest.raises(Corrupt, match="nothing was written"):
        StreamWriter(path).append({"i": 0})
    assert path.read_bytes() == pointer


def test_a_value_edited_by_hand_is_shown_and_marked(path: Path) -> None:
    filled(path)
    path.write_bytes(path.read_bytes().replace(b'"i":2', b'"i":77'))
    assert shown(path) == [(0, ""), (1, ""), (77, "edited"), (3, ""), (4, "")]
    assert [line.n for line in Tape(path).read() if line.edited] == [2]
    remarks = Remarks()
    list(Tape(path).in_time(remarks=remarks))
    assert [(each.kind, each.count) for each in remarks] == [("edited", 1)] and not remarks.hiding
    StreamWriter(path).append({"i": 5}, t_s=3)
    assert values(path) == [0, 1, 77, 3, 4, 5]


@pytest.mark.parametrize("place", range(5))
def test_an_edit_of_the_last_line_is_kept_by_the_next_writer(path: Path, place: int) -> None:
    filled(path)
    path.write_bytes(path.read_bytes().replace(b'"i":%d' % place, b'"i":90'))
    StreamWriter(path).append({"i": 5}, t_s=3)
    assert sorted(values(path))[-1] == 90 and Tape(path).count() == 6


def test_lines_deleted_inserted_blank_and_reordered_are_one_remark_for_each_kind(path: Path) -> None:
    lines = filled(path, 40).read_bytes().splitlines(keepends=True)
    moved = [*lines[:4], b"\n", b"  \n", *lines[7:12], lines[13], lines[12], lines[13], *lines[14:20], lines[21],
             lines[20], b'{"i": 99}\n', *lines[25:]]  # fmt: skip
    path.write_bytes(b"".join(moved))
    found = {each.kind: each.count for each in Tape(path).remarks()}
    assert found == {"blank": 2, "missing": 6, "reordered": 2, "repeated": 1, "unverified": 1}
    assert [line.t_s for line in Tape(path).in_time()] == sorted(line.t_s for line in Tape(path).read())
    StreamWriter(path).append({"i": 40}, t_s=30)
    assert Tape(path).count() == 41


@pytest.mark.parametrize("text", [b"[1, 2]\n", b'{\n  "n": 0,\n  "t": 0.0\n}', b"a note\n", b"a note"])
def test_what_is_not_a_torn_record_is_never_cut(path: Path, text: bytes) -> None:
    kept: list[Any] = []
    path.write_bytes(filled(path).read_bytes() + text)
    before = path.read_bytes()
    StreamWriter(path, quarantine=lambda *what: kept.append(what)).append({"i": 5}, t_s=9)
    assert path.read_bytes().startswith(before) and kept == []
    assert [line.data.get("i") for line in Tape(path).read(damaged="skip")][-1] == 5


def test_the_message_of_an_event_is_a_text(store: SessionStore) -> None:
    with store.record("x") as run:
        with pytest.raises(InvalidRecord, match="other values by name"):
            run.event("parcel", {"robot": "cart-2"})  # type: ignore[arg-type]
        run.event("parcel", "arrived", robot="cart-2")
    assert [line.data["robot"] for line in run.tape("events").read()] == ["cart-2"]
