"""A stream in staging: the same lines as any stream has, whichever way they were written."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest

from sessionstore.errors import TimeOrderError
from sessionstore.formats import staged_stream
from sessionstore.formats.staged_stream import StagedStream
from sessionstore.session.stream_reader import Tape
from sessionstore.session.stream_writer import StreamWriter

VALUES = (0, -1, 2**63, 1.5, 1e-7, 1e300, math.nan, math.inf, 'é\n"x', "null", True, None, [1.0, math.nan], [[1]], "")


def rows_of(chance: random.Random, width: int, count: int) -> list[tuple[Any, ...]]:
    return [tuple(chance.choice(VALUES) for _ in range(width)) for _ in range(count)]


def read(path: Path) -> list[tuple[int, float, dict[str, Any], bool]]:
    return [(line.n, line.t_s, line.data, line.verified) for line in Tape(path).read()]


@pytest.mark.parametrize("names", [("a", "b c", 'd"é'), ("n", "t", "c"), ("x", "nan", "y"), ()])
@pytest.mark.parametrize("late", [False, True])
def test_rows_are_stored_as_a_stream_writer_stores_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], late: bool
) -> None:
    monkeypatch.setattr(staged_stream, "_ROWS_AT_ONCE", 7)
    monkeypatch.setattr(staged_stream, "_CHUNK_BYTES", 300)
    chance = random.Random(len(names) + late)
    rows = rows_of(chance, len(names), 40)
    times = sorted(chance.choice((-3.5, 0.0, 1e-7, 2.25, 1e9)) for _ in rows)
    if late:
        times[20] = -100.0
    ours, theirs = StagedStream(tmp_path / "ours.jsonl"), StreamWriter(tmp_path / "theirs.jsonl", "os")
    assert ours.extend_rows(names, rows, times) == 40
    ours.append({"last": 1})
    ours.flush()
    for t_s, row in zip(times, rows, strict=True):
        theirs.append(dict(zip(names, row, strict=True)), t_s)
    theirs.append({"last": 1})
    theirs.close()
    assert read(tmp_path / "ours.jsonl") == read(tmp_path / "theirs.jsonl")
    assert Tape(tmp_path / "ours.jsonl").order() == Tape(tmp_path / "theirs.jsonl").order()
    assert ours.count == 41 and all(line[3] for line in read(tmp_path / "ours.jsonl"))


def test_a_time_that_is_none_is_refused_and_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    stream = StagedStream(None)
    assert stream.extend_rows(("a",), [(1,), (2,)], [0.0, 1.0]) == 2
    with pytest.raises(TimeOrderError):
        stream.extend_rows(("a",), [(1,)], [math.nan])
    stream.flush()
    assert stream.count == 2 and not list(tmp_path.iterdir())
