"""Typed columns of a stream: the values of its verified records, exactly, from lines and from Parquet alike."""

from __future__ import annotations

import sys
import warnings
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sessionstore
from sessionstore.errors import InvalidQuery
from sessionstore.session import stream_columns
from sessionstore.session.stream_line import line_bytes
from sessionstore.session.stream_reader import Tape
from sessionstore.session.stream_writer import StreamWriter
from sessionstore.store import SessionStore


def written(path: Path, records: list[dict[str, Any]]) -> Tape:
    writer = StreamWriter(path, "os")
    for number, record in enumerate(records):
        writer.append(record, number / 2)
    writer.close()
    return Tape(path)


def plain(values: Any) -> list[Any]:
    """Return a column as JSON values; NaN stands for null there."""
    found = values.tolist() if isinstance(values, np.ndarray) else list(values)
    return [None if value != value else value for value in found]


def test_points_become_typed_arrays(tmp_path: Path) -> None:
    records = [{"drone": f"d{n % 2}", "position": [n, 0.5, 2], "hits": n, "up": n > 1} for n in range(4)]
    found = written(tmp_path / "points.jsonl", records).columns("t", "n", "drone", "position", "hits", "up")
    assert list(found) == ["t", "n", "drone", "position", "hits", "up"]
    assert found["t"].dtype == np.float64 and found["t"].tolist() == [0, 0.5, 1, 1.5]
    assert found["position"].dtype == np.float64 and found["position"].shape == (4, 3)
    assert found["position"][3].tolist() == [3, 0.5, 2]
    assert found["hits"].dtype == np.int64 and found["n"].tolist() == [0, 1, 2, 3]
    assert found["up"].dtype == np.bool_ and found["up"].tolist() == [False, False, True, True]
    assert found["drone"].tolist() == ["d0", "d1", "d0", "d1"] and found["drone"][0] is found["drone"][2]


def test_a_value_that_is_not_there_is_nan_or_none(tmp_path: Path) -> None:
    records = [{}, {"x": 1, "p": [1.5, 2], "s": "a"}, {"x": None, "p": None}, {"x": 2.5, "p": [3, None], "b": True}]
    found = written(tmp_path / "gaps.jsonl", records).columns("x", "p", "s", "b")
    assert plain(found["x"]) == [None, 1, None, 2.5] and found["x"].dtype == np.float64
    np.testing.assert_array_equal(found["p"], [[np.nan, np.nan], [1.5, 2], [np.nan, np.nan], [3, np.nan]])
    assert found["s"].tolist() == [None, "a", None, None] and found["b"].tolist() == [None, None, None, True]


def test_without_numpy_there_are_arrays_and_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    tape = written(tmp_path / "bare.jsonl", [{"p": [n, 1, 2], "k": n, "s": "a", "b": True} for n in range(3)])
    found = tape.columns("t", "p", "k", "s", "b")
    assert found["t"] == array("d", [0, 0.5, 1]) and found["k"] == array("q", [0, 1, 2])
    assert found["p"] == [[0, 1, 2], [1, 1, 2], [2, 1, 2]] and found["s"] == ["a"] * 3 and found["b"] == [True] * 3


def test_a_window_holds_what_lies_in_it_also_out_of_order(tmp_path: Path) -> None:
    writer = StreamWriter(tmp_path / "late.jsonl", "os")
    for t_s in (0, 1, 4, 2, 3, 5, 2.5):
        writer.append({"at": t_s}, t_s)
    writer.close()
    tape = Tape(writer.path)
    assert tape.columns("at", from_s=2, to_s=3)["at"].tolist() == [2, 3, 2.5]
    assert tape.columns("at", to_s=1)["at"].tolist() == [0, 1]
    assert len(tape.columns("at", from_s=9)["at"]) == 0


def test_what_cannot_be_trusted_is_left_out_and_counted(tmp_path: Path) -> None:
    tape = written(tmp_path / "edited.jsonl", [{"v": n} for n in range(4)])
    lines = tape.path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"v":1', b'"v":7')
    tape.path.write_bytes(b"".join([*lines[:3], b'{"v":9}\n', lines[2], lines[3], b'{"n":4,"t":2.0,"v":']))
    with pytest.warns(UserWarning, match=r"edited: 1 left out: changed by hand.*repeated|edited: .*") as said:
        assert tape.columns("v")["v"].tolist() == [0, 2, 3]
    text = str(said[0].message)
    for part in ("1 left out: changed by hand", "written by hand", "the number of another line", "interrupted"):
        assert part in text
    assert said[0].filename == __file__


def test_of_a_resumed_run_only_the_latest_attempt_counts(tmp_path: Path) -> None:
    writer = StreamWriter(tmp_path / "again.jsonl", "os")
    for t_s in (0, 1, 2):
        writer.append({"v": t_s}, t_s)
    writer.begin_attempt(1)
    writer.append({"v": 10}, 1)
    writer.close()
    with pytest.warns(UserWarning, match="2 left out: replaced by a later attempt"):
        assert Tape(writer.path).columns("v")["v"].tolist() == [0, 10]


def test_names_are_checked(tmp_path: Path) -> None:
    tape = written(tmp_path / "few.jsonl", [{"v": 1}])
    with pytest.raises(InvalidQuery, match="no record of few has w"):
        tape.columns("v", "w")
    with pytest.raises(InvalidQuery, match="the columns are named"):
        tape.columns()
    assert Tape(tmp_path / "none.jsonl").columns("v")["v"].shape == (0,)


VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**66), 2**66)
    | st.sampled_from([2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63)])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3)
    | st.lists(st.integers(-3, 3) | st.floats(-1, 1) | st.none(), min_size=2, max_size=3)
    | st.dictionaries(st.sampled_from("ab"), st.integers(0, 2), max_size=2)
)


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "n", "<"]), VALUES), min_size=1, max_size=6), st.booleans())
def test_columns_hold_what_single_lines_hold(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]], as_one: bool
) -> None:
    tape = written(tmp_path_factory.mktemp("any") / "any.jsonl", records)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream_columns, "_CHUNK_BYTES", 1 << 20 if as_one else 60)
        for key in ("a", "b"):
            wanted = [line.data.get(key) for line in tape.read()]
            try:
                found = tape.columns(key, "t", "n")
            except InvalidQuery:
                assert wanted == [None] * len(records)
                continue
            assert same(found[key], wanted), (found[key], wanted)
            assert len(found["t"]) == len(found["n"]) == len(records)


def same(column: Any, wanted: list[Any]) -> bool:
    """Whether a column holds these values; a list of nulls may stand for null, and the other way round."""

    def nulls(value: Any) -> Any:
        return None if value is None or (isinstance(value, list) and not [v for v in value if v is not None]) else value

    found = [[None if v != v else v for v in row] for row in column.tolist()] if column.ndim == 2 else plain(column)
    exact = all(type(a) is type(b) or not isinstance(a, bool) for a, b in zip(found, wanted, strict=True))
    return exact and [nulls(value) for value in found] == [nulls(value) for value in wanted]


def test_parquet_gives_what_the_lines_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = pytest.importorskip("sessionstore.analysis.columns")
    store = sessionstore.open(tmp_path / "store", sync="os")
    kinds: list[dict[str, Any]] = [
        {
            "f": 0.5,
            "i": 3,
            "s": "a",
            "b": True,
            "l": [1, 2],
            "m": 1,
            "o": {"k": 1},
            "g": 1,
            "at": "2026-01-02T03:04:05Z",
        },
        {"f": 1.5, "i": 4, "s": "b", "b": False, "l": [3, 4], "m": "x", "o": {}, "at": "2027-01-02T03:04:05Z"},
        {"f": 2.5, "i": 5, "s": "a", "b": True, "l": [5, 6], "m": None, "o": {"j": [1]}, "at": "2028-01-02T03:04:05Z"},
    ]
    with store.record("both") as session:
        for number, record in enumerate(kinds):
            session.motion.append("d", t_s=number, position_m=(number, 1, 2), **record)
    tape = store["both"].tape("motion_history")
    names = ["t", "n", "drone", "position", *kinds[0]]
    by_lines = tape.columns(*names)
    monkeypatch.setattr(columns, "WORTH_BYTES", 1)
    assert columns.make(store["both"], "motion_history") is not None
    with monkeypatch.context() as patch:  # a column that Parquet cannot answer sends all of them to the lines
        patch.setattr(stream_columns, "_of_lines", None)
        for name in ("t", "n", "drone", "position", "f", "i", "s", "b", "l", "g", "at"):
            assert_same(tape.columns(name)[name], by_lines[name])
            assert_same(tape.columns(name, from_s=0, to_s=1)[name], by_lines[name][:2])
    for name in names:
        assert_same(tape.columns(name)[name], by_lines[name])


def assert_same(found: Any, wanted: Any) -> None:
    assert found.dtype == wanted.dtype
    assert str(found.tolist()) == str(wanted.tolist())


def test_a_checksum_is_compared_also_when_lines_are_read_together(tmp_path: Path) -> None:
    data = b"".join(line_bytes(b'{"v":%d}' % n, n, b"%d.5" % n, b"") for n in range(9))
    path = tmp_path / "turned.jsonl"
    wrong = 0
    for place in range(data.index(b"\n") + 1, 2 * (data.index(b"\n") + 1) - 1):  # each byte of the second line
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            assert Tape(path).columns("v")["v"].tolist() == [0, 2, 3, 4, 5, 6, 7, 8], place
        wrong += bool(said)
    assert wrong == data.index(b"\n")


def test_an_open_store_answers_while_the_run_goes_on(tmp_path: Path) -> None:
    store = SessionStore(tmp_path / "store", sync="os")
    with store.record("live") as session:
        for number in range(3):
            session.motion.append("d", t_s=number, position_m=(number, 0, 0))
            assert session.tape("motion_history").columns("t")["t"].tolist() == list(range(number + 1))
