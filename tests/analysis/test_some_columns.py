"""A question over lines converts only the columns that it names, and answers as if it had read all of them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hypothesis")
pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sessionstore.analysis import engines, query, some_columns, verified_chunks
from sessionstore.analysis.query import ask
from sessionstore.analysis.referenced import column_names
from sessionstore.analysis.streams import LeftOut, file_table
from sessionstore.errors import InvalidQuery
from sessionstore.session.stream_line import Line, line_bytes
from sessionstore.session.verified_blocks import Block, Tally, trusted
from sessionstore.store import SessionStore


def wanted(sql: str, table: str = "m") -> frozenset[str] | None:
    return column_names(query._parsed(engines.reader(), sql), table)


def test_names_are_those_that_may_be_columns() -> None:
    assert wanted("select count(*) from m") == frozenset()
    assert wanted("select avg(a) A from m where B > 1 group by c order by d") == {"a", "b", "c", "d"}
    assert wanted("select m.a, n.b from m join n using (k) where n.c = m.d") == {"a", "m", "k", "d"}
    within = "with q as (select a from m) select max(b) from q where exists (select 1 from m x where x.e = 1)"
    assert wanted(within) == {"a", "b", "x", "e"}
    assert wanted("select x.m, m.k from m x, n as m") == {"x", "m"}
    assert wanted("select a, sum(b) over (order by c) from m order by a limit 3") == {"a", "b", "c"}


@pytest.mark.parametrize(
    "sql",
    [
        "select * from m", "from m", "select m from m", "select count(x) from m x",
        "select m.* from m", "select columns('a.*') from m", "select #1 from m", "select a from m natural join n",
        "select * exclude (a) from m", "unpivot m on a, b", "summarize m", "select a from m as t(a, b)",
        "select a from (from m)", "select a from m union from m", "select struct_extract(m, 'a') from m",
    ],
)  # fmt: skip
def test_what_may_need_every_column_reads_all(sql: str) -> None:
    assert wanted(sql) is None


value = st.one_of(
    st.floats(-1e6, 1e6), st.integers(-9, 9), st.booleans(), st.none(), st.sampled_from(["a", "1.5", "é", "true", ""]),
    st.lists(st.floats(-9, 9), min_size=3, max_size=3), st.sampled_from([2**53 + 1, [1, 2], [0.5, None], {}, {"x": 1}]),
)  # fmt: skip
regular = st.fixed_dictionaries(
    {"v": st.floats(-9, 9), "w": st.integers(-9, 9), "d": st.sampled_from(["a", "b"]), "b": st.booleans(),
     "position": st.lists(st.floats(-9, 9), min_size=3, max_size=3)}
)  # fmt: skip
KEYS = ["v", "w", "d", "b", "position", "x", "Y", "V", "late"]
odd = st.dictionaries(st.sampled_from(KEYS), value, max_size=4)


@hypothesis_settings(max_examples=60)
@given(
    st.lists(regular, min_size=1, max_size=6), st.lists(st.one_of(regular, odd), max_size=4),
    st.sets(st.sampled_from(["v", "w", "d", "b", "position", "x", "y", "z", "late", "sim_time", "session_id"])),
    st.integers(1, 400), st.integers(1, 9),
)  # fmt: skip
def test_some_columns_are_those_of_all(
    tmp_path_factory: pytest.TempPathFactory,
    content: list[dict[str, Any]],
    more: list[dict[str, Any]],
    names: set[str],
    chunk_bytes: int,
    looked_at: int,
) -> None:
    path = tmp_path_factory.getbasetemp() / "some.jsonl"
    lines = [
        line_bytes(json.dumps(record, ensure_ascii=False).encode(), n * n, b"%d.5" % n, b"")
        for n, record in enumerate([*content, *more])
    ]
    path.write_bytes(b"".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(some_columns, "SMALL_BYTES", 0)
        patch.setattr(some_columns, "_CHUNK_BYTES", chunk_bytes)
        patch.setattr(some_columns, "_LOOKED_AT", looked_at)
        some = some_columns.some_columns(frozenset(names), path, "id", Tally())
    whole = file_table(path, "id", "own", LeftOut())
    if some is None:
        assert more or len(content) > looked_at or names & {"x", "y", "late"} or "V" in whole.column_names
        return
    there = {name for name in whole.column_names if name.lower() in names}
    assert there <= set(some.column_names)
    for name in there | {"n"}:
        assert some[name].type == whole[name].type, name
        assert repr(some[name].to_pylist()) == repr(whole[name].to_pylist()), name


def recorded(store: SessionStore, records: list[dict[str, Any]]) -> Path:
    with store.record("own") as session:
        for number, record in enumerate(records):
            session.stream("own").append(record, t_s=number)
    return session.stream_path("own")


@pytest.mark.parametrize(
    "other",
    [{"v": "1.5"}, {"v": True}, {"v": 1}, {"w": 2.5}, {"w": "2"}, {"w": 1e3}, {"d": 5}, {"d": 'a"b'}, {"b": 1},
     {"b": "true"}, {"v": [0.5]}, {"position": ["1.5", 0.5, 0.5]}, {"position": {"x": 1}}, {"position": None},
     {"position": [0.5]}, {"v": 2**60}, {"w": 2**63}, {"late": 1}, {"Late": 1}, {"x": 1}, {"X": 1}, {}],
)  # fmt: skip
def test_a_later_record_of_another_kind_gives_the_answer_of_all_columns(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch, other: dict[str, Any]
) -> None:
    plain = {"v": 0.5, "w": 7, "d": "one", "b": True, "position": [0.5, 1.5, 2.5]}
    recorded(store, [plain] * 3 + [{**plain, **other}, plain])
    monkeypatch.setattr(some_columns, "_LOOKED_AT", 2)

    def answer(columns: str) -> str:
        try:
            return repr(ask(store, f"select {columns}").table())
        except InvalidQuery as error:
            return str(error)

    questions = ["v, w from own", "d, b from own", "z, position from own", "late from own", "max(n), sum(v) from own"]
    questions.append("v * 0 as late, count(*) from own group by late order by 1")  # a column comes before an alias
    all_columns = [answer(each) for each in questions]
    monkeypatch.setattr(some_columns, "SMALL_BYTES", 0)
    assert [answer(each) for each in questions] == all_columns


def test_edited_lines_are_left_out_and_a_torn_end_is_counted(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(some_columns, "SMALL_BYTES", 0)
    path = recorded(store, [{"v": number / 2} for number in range(5)])
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"n":5,"t":')
    answer = ask(store, "select sum(v) s from own")
    assert answer.table().to_pylist() == [{"s": 5.0}] and dict(answer.left_out.counts) == {("own", "torn"): 1}
    path.write_bytes(whole.replace(b'"v":2.0', b'"v":9.0'))
    answer = ask(store, "select sum(v) s from own")
    assert answer.table().to_pylist() == [{"s": 3.0}] and dict(answer.left_out.counts) == {("own", "edited"): 1}


def test_one_edited_line_of_many_is_looked_for_in_a_part_of_them(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recorded(store, [{"v": number / 2} for number in range(400)])
    path.write_bytes(path.read_bytes().replace(b'"v":25.0,', b'"v":99.0,'))
    one_by_one: list[Line] = []

    def counted(block: Block, counts: Counter[str]) -> list[Line]:
        one_by_one.extend(found := trusted(block, counts))
        return found

    monkeypatch.setattr(verified_chunks, "_PART_BYTES", 1000)
    monkeypatch.setattr(verified_chunks, "trusted", counted)
    left_out = LeftOut()
    table = file_table(path, "id", "own", left_out)
    assert table["n"].to_pylist() == [n for n in range(400) if n != 50] and 0 < len(one_by_one) < 40
    assert dict(left_out.counts) == {("own", "edited"): 1}
