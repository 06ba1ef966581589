"""Columns hold what the lines hold, fit one state of the stream, and can be lost, damaged or cut off at any moment."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import sessionstore
from sessionstore.analysis import columns, streams
from sessionstore.analysis import verified_chunks as reading
from sessionstore.analysis.query import ask
from sessionstore.analysis.streams import LeftOut, file_table
from sessionstore.analysis.verified_chunks import Rules, chunks
from sessionstore.cli import main
from sessionstore.disk import files
from sessionstore.errors import NotApplied, StoreUnusable
from sessionstore.maintenance.doctor import examine
from sessionstore.maintenance.repairs.plan import repair
from sessionstore.session import Session
from sessionstore.session.stream_line import line_bytes
from sessionstore.session.verified_blocks import Tally
from sessionstore.store import SessionStore, column_files
from tests.proof.crash_states import Disk, lay_out, tree_of

SQL = "select n, sim_time, drone, position, x, y, z, battery from motion_history order by n"


@pytest.fixture(autouse=True)
def _small_streams_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "WORTH_BYTES", 1)


def fly(store: SessionStore, points: int = 40) -> Session:
    with store.record("flight") as session:
        for number in range(points):
            session.motion.append("a", t_s=number / 2, position_m=(number, 0.5, 5), battery=1 - number / 100)
    return store.get(session.session_id)


def answer(store: SessionStore, sql: str = SQL) -> list[Any]:
    return list(ask(store, sql).table().to_pylist())


def by_lines(store: SessionStore, sql: str = SQL) -> list[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(column_files, "find", lambda *_: None)
        patch.setattr(columns, "made_by_queries", lambda _: False)
        return answer(store, sql)


def opened_lines(store: SessionStore, sql: str = SQL) -> int:
    """Return how many streams a query reads line by line."""
    count = 0
    with pytest.MonkeyPatch.context() as patch:

        def counted(*arguments: Any) -> Any:
            nonlocal count
            count += 1
            return file_table(*arguments)

        patch.setattr(streams, "file_table", counted)
        answer(store, sql)
    return count


# ---------------------------------------------------------------- the same values

numbers = st.one_of(st.integers(-(2**70), 2**70), st.integers(-3, 3), st.floats(allow_nan=False, allow_infinity=False))
texts = st.one_of(
    st.sampled_from(["", "2026-01-01T00:00:00Z", "2026-01-01 00:00:00", "a\n\\u00e9", "5"]), st.text(max_size=4)
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abnt"), inner, max_size=2)),
    max_leaves=4,
)
#: Records of a stream are alike: a few forms, each several times with other values, and now and then an odd one.
records = st.one_of(
    st.fixed_dictionaries({"v": st.floats(-1e6, 1e6), "d": st.sampled_from(["a-1", "b-2"])}),
    st.fixed_dictionaries({"v": st.integers(-9, 9), "p": st.lists(st.floats(-9, 9), min_size=3, max_size=3)}),
    st.dictionaries(st.sampled_from(["v", "d", "p", "n", "t", "c", "<", "=", "x", "N", "", "s"]), values, max_size=4),
)


@hypothesis_settings(max_examples=40)
@given(st.lists(records, min_size=1, max_size=12), st.integers(0, 3))
def test_lines_parsed_at_once_have_the_values_of_lines_parsed_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, content: list[dict[str, Any]], ragged: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "lines.jsonl"
    lines = []
    for n, record in enumerate(content):
        own = {"=": record} if {"n", "t", "c", "<", "="} & set(record) else record
        lines.append(
            line_bytes(json.dumps(own, ensure_ascii=False).encode(), n, b"%d.5" % n if n % 2 else b"%d" % n, b"")
        )
    path.write_bytes(b"".join(lines))
    small = max(1, len(lines[0]) * ragged)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "CHUNK_BYTES", small)
        patch.setattr(reading.chunks, "__defaults__", (small,))
        by_arrow = file_table(path, "id", "own", LeftOut())
        patch.setattr(reading, "SMALL_BYTES", 0)
        quick = file_table(path, "id", "own", LeftOut())
        patch.setattr(reading, "is_plain", lambda block: False)
        careful = file_table(path, "id", "own", LeftOut())
    assert sorted(quick.column_names) == sorted(careful.column_names)
    for name in careful.column_names:
        for other in (quick, by_arrow):
            assert other[name].type == careful[name].type, name
            assert repr(other[name].to_pylist()) == repr(careful[name].to_pylist()), name


def test_columns_and_lines_give_the_same_answer_and_columns_open_no_line(store: SessionStore) -> None:
    fly(store)
    assert answer(store) == by_lines(store) and len(answer(store)) == 40
    assert opened_lines(store) == 0
    frame = store["latest"].frame(form="arrow")
    assert frame.column_names[:5] == ["session_id", "n", "sim_time", "drone", "position"]
    assert frame["position"].to_pylist()[7] == [7.0, 0.5, 5.0]


def test_columns_of_sessions_with_other_types_are_united(store: SessionStore) -> None:
    for value in (1, 0.5, None, [1], 2**53 + 1):
        with store.record("each") as session:
            session.stream("own").append({"value": value, "list": [value] if value else []}, t_s=0)
    sql = 'select value, "list" from own order by session_id'
    assert answer(store, sql) == by_lines(store, sql)
    some = "select value from own where session_id in (select session_id from sessions order by 1 limit 3) order by 1"
    assert answer(store, some) == by_lines(store, some)


def test_a_type_that_changes_in_the_middle_of_a_long_stream(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.record("late") as session:
        for n in range(300):
            late = {"only_late": n} if n > 250 else {}
            value: Any = "text" if n == 290 else 0.5 if n == 200 else n
            session.stream("own").append({"number": n if n < 280 else n / 2, "mixed": value, **late}, t_s=n)
    monkeypatch.setattr(reading.chunks, "__defaults__", (500,))
    monkeypatch.setattr(columns, "ROWS", 16)
    sql = "select n, number, mixed, only_late from own order by n"
    assert answer(store, sql) == by_lines(store, sql)
    assert opened_lines(store, sql) == 0
    assert answer(store, sql)[3]["mixed"] == "3"  # not 3.0: the whole column is text


def test_a_position_that_is_not_three_numbers_stays_as_it_was(store: SessionStore) -> None:
    with store.record("odd") as session:
        for position in ([1.0, 2.0, 3.0], [1.5], None, [1.0, None, 2.0]):
            session.stream("own").append({"position": position}, t_s=0)
    sql = "select position, x, y, z from own order by n"
    assert answer(store, sql) == by_lines(store, sql)


# ---------------------------------------------------------------- when they fit


def test_an_edit_of_the_same_size_with_the_time_set_back_makes_them_void(store: SessionStore) -> None:
    session = fly(store)
    answer(store)
    path = session.stream_path("motion_history")
    before, data = path.stat(), path.read_bytes()
    path.write_bytes(data.replace(b'"position":[3,', b'"position":[9,', 1))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size and path.stat().st_mtime_ns == before.st_mtime_ns
    assert column_files.find(store.root, session.session_id, "motion_history") is None
    assert len(answer(store)) == 39
    with pytest.warns(UserWarning, match="changed by hand"):  # the new columns keep what they leave out
        store.sql(SQL)


def test_a_running_session_has_none_and_every_whole_line_counts(store: SessionStore) -> None:
    with store.record("runs") as session:
        for number in range(30):
            session.motion.append("a", t_s=number, position_m=(number, 0, 0), battery=1)
        session.stream("motion_history").flush()
        assert len(answer(store)) == 30
        assert list(column_files.cached(store.root)) == []
        with pytest.raises(NotApplied):
            columns.make(store.get(session.session_id), "motion_history")


@pytest.mark.parametrize("kind", ["cut", *range(1, 10), "footer", "key", "empty", "folder"])
def test_damaged_columns_are_not_read(store: SessionStore, kind: Any) -> None:
    session = fly(store)
    truth = answer(store)
    column_files._verified.clear()
    path = store.root.columns / session.session_id / "motion_history.parquet"
    data = bytearray(path.read_bytes())
    if kind == "folder":
        shutil.rmtree(store.root.columns)
    elif kind == "key":
        path.with_suffix(".key").write_bytes(path.with_suffix(".key").read_bytes().replace(b'"rows":40', b'"rows":41'))
    else:
        place = len(data) * kind // 10 if isinstance(kind, int) else len(data) - 60
        data[place] ^= 1
        path.write_bytes(data[: len(data) // 2] if kind == "cut" else b"" if kind == "empty" else data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "make", _refuse)
        assert answer(store) == truth
    assert answer(store) == truth and opened_lines(store) == 0  # made again


def _refuse(*_: Any) -> None:
    raise StoreUnusable(30, "read-only file system", "somewhere")


def test_a_store_that_cannot_be_written_answers_without(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fly(store)
    monkeypatch.setattr(files, "put", _refuse)
    assert len(answer(store)) == 40
    assert not list(column_files.cached(store.root))


# ---------------------------------------------------------------- crashes


class Died(BaseException):
    """What the process dies of."""


def test_a_process_that_dies_at_any_step_leaves_every_answer_right(store: SessionStore) -> None:
    session = fly(store)
    truth, steps = by_lines(store), 0

    def die(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Died

    while True:
        left = steps
        files.observer = die
        try:
            columns.make(session, "motion_history")
        except Died:
            steps += 1
        else:
            break
        finally:
            files.observer = None
        assert answer(store) == truth
        shutil.rmtree(store.root.columns, ignore_errors=True)
    assert steps > 6
    assert column_files.find(store.root, session.session_id, "motion_history") is not None


def test_a_power_cut_at_any_moment_leaves_every_answer_right(
    store: SessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = fly(store, 6)
    truth = by_lines(store)
    monkeypatch.setattr(column_files, "stamp_of", _content_of)  # a copied disk has other times
    disk = Disk(store.root.path)
    files.observer = disk.hear
    try:
        columns.make(session, "motion_history")
    finally:
        files.observer = None
    seen, used = set(), 0
    for upto in range(disk.events + 1):
        for nodes in disk.states(upto, random.Random(upto)):
            tree = tree_of(nodes)
            if hash(tree) in seen or len(seen) > 60:
                continue
            seen.add(hash(tree))
            lay_out(tree, tmp_path / "state")
            with sessionstore.open(tmp_path / "state") as after, monkeypatch.context() as patch:
                patch.setattr(columns, "made_by_queries", lambda _: False)
                used += column_files.find(after.root, session.session_id, "motion_history") is not None
                assert answer(after) == truth
    assert len(seen) > 5 and 0 < used < len(seen)


def _content_of(path: str | Path) -> column_files.Stamp | None:
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        return None
    return column_files.Stamp(len(data), zlib.crc32(data), 0)


def test_a_process_killed_while_it_makes_them_loses_nothing(store: SessionStore) -> None:
    session = fly(store)
    truth = by_lines(store)
    program = (
        "import os, sys, sessionstore\n"
        "from sessionstore.analysis import columns\n"
        "from sessionstore.disk import files\n"
        "session = sessionstore.open(sys.argv[1]).get(sys.argv[2])\n"
        "files.observer = lambda operation, *_: os.kill(os.getpid(), 9) if operation == 'replace' else None\n"
        "columns.make(session, 'motion_history')\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(store.root.path), session.session_id], timeout=60)
    assert done.returncode == -9
    left = list(store.root.columns.rglob(".tmp-*"))
    assert left and answer(store) == truth
    for path in left:
        os.utime(path, (0, 0))
    assert {"temp-left"} <= {finding.code for finding in examine(store.root.path).findings}
    repair(examine(store.root.path).findings, store.root.path)
    assert not list(store.root.columns.rglob(".tmp-*"))


# ---------------------------------------------------------------- doctor, command, copies


def codes(store: SessionStore, deep: bool = True) -> set[str]:
    return {finding.code for finding in examine(store.root.path, deep=deep).findings}


def test_the_doctor_names_what_does_not_fit_and_fix_removes_it(store: SessionStore) -> None:
    ids = [fly(store).session_id for _ in range(4)]
    answer(store)
    assert "columns-size" in codes(store) and not codes(store) & {"columns-stale", "columns-orphan", "columns-damaged"}
    (store.root.folder(ids[0]) / "motion_history.jsonl").open("ab").close()
    with (store.root.folder(ids[1]) / "motion_history.jsonl").open("ab") as file:
        file.write(b"\n")
    shutil.rmtree(store.root.folder(ids[2]))
    damaged = store.root.columns / ids[3] / "motion_history.parquet"
    data = bytearray(damaged.read_bytes())
    data[50] ^= 1
    damaged.write_bytes(data)
    assert {"columns-stale", "columns-orphan"} <= codes(store, deep=False)
    assert {"columns-stale", "columns-orphan", "columns-damaged"} <= codes(store)
    done = repair(examine(store.root.path).findings, store.root.path)
    assert all(outcome.repaired for outcome in done if outcome.finding.code.startswith("columns-"))
    assert not codes(store) & {"columns-stale", "columns-orphan", "columns-damaged"}


def test_the_command_makes_lists_and_deletes_and_the_setting_is_kept(
    store: SessionStore, capsys: pytest.CaptureFixture[str]
) -> None:
    session, place = fly(store), ["--dir", str(store.root.path)]
    main(["columns", *place, "--json"])
    shown = json.loads(capsys.readouterr().out)
    (row,) = [each for each in shown if each["stream"] == "motion_history"]
    assert row["fits"] and row["records"] == 40 and row["session_id"] == session.session_id
    main(["columns", *place, "--delete"])
    assert not list(column_files.cached(store.root))
    main(["columns", *place, "--when", "never"])
    answer(store)
    assert not list(column_files.cached(store.root))
    main(["columns", *place, "--when", "end"])
    ended = fly(store)
    assert column_files.find(store.root, ended.session_id, "motion_history") is not None


def test_bundles_and_merged_stores_do_not_hold_them(store: SessionStore, tmp_path: Path) -> None:
    fly(store)
    answer(store)
    store.pack(tmp_path / "all.zip")
    assert not [name for name in zipfile.ZipFile(tmp_path / "all.zip").namelist() if "columns" in name]
    with sessionstore.open(tmp_path / "other") as other:
        other.merge(store.root.path)
        assert not list(column_files.cached(other.root))
        assert answer(other, "select count(*) c from motion_history") == [{"c": 40}]


def test_a_run_ends_well_where_columns_cannot_be_made(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.root.configure(columns="end")
    monkeypatch.setitem(sys.modules, "sessionstore.analysis.columns", None)
    assert fly(store).record.status == "completed"


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    column_files._verified.clear()


def test_a_long_stream_is_counted_and_checked_as_a_whole(store: SessionStore) -> None:
    session = fly(store)
    path = session.stream_path("motion_history")
    tally = Tally(crc32=0)
    assert sum(len(chunk.n) for chunk in chunks(path, tally, Rules(), 300)) == 40
    assert tally.crc32 == zlib.crc32(path.read_bytes())
