"""SQL over a store: tables, exact values, what is left out, which files are opened, and what a statement cannot do."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

from sessionstore.analysis import streams
from sessionstore.analysis.query import ask
from sessionstore.cli import main
from sessionstore.errors import InvalidQuery
from sessionstore.store import SessionStore


def fly(store: SessionStore, name: str, points: int = 3, **metadata: object) -> str:
    with store.record(name, metadata=metadata) as session:
        for number in range(points):
            session.motion.append("scout-1", t_s=number / 2, position_m=(number, 0, 5))
    return session.session_id


def rows(store: SessionStore, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in ask(store, sql).table().to_pylist()]


def test_streams_join_sessions_and_position_has_axes(store: SessionStore) -> None:
    fly(store, "One", 3, pilot="Ada", height=7)
    fly(store, "Two", 5, pilot="Bob")
    sql = "select metadata_pilot, count(*), max(x), max(sim_time) from motion_history join sessions using (session_id)"
    assert rows(store, f"{sql} group by 1 order by 1") == [("Ada", 3, 2.0, 1.0), ("Bob", 5, 4.0, 2.0)]
    assert rows(store, "select metadata ->> 'pilot', metadata_height from sessions order by 1") == [
        ("Ada", 7),
        ("Bob", None),
    ]
    assert store.sql("select count(*) from motion_history").fetchall() == [(8,)]
    assert rows(store, "select typeof(created_at) from sessions limit 1") == [("TIMESTAMP WITH TIME ZONE",)]


def test_an_empty_store_has_the_tables(store: SessionStore) -> None:
    for name in ("sessions", "drones", "buildings", "phases", "motion_history", "events"):
        assert rows(store, f"select count(*) from {name}") == [(0,)]


def test_values_are_exact(store: SessionStore) -> None:
    with store.record("Exact") as session:
        stream = session.stream("own")
        big = 1 << 70
        stream.append({"whole": 2**63 - 1, "big": big, "mixed": 2**53 + 1, "Name": 1, "n": 9, "t": 1}, t_s=0)
        stream.append({"whole": None, "big": 1, "mixed": 0.5, "name": 2, "n": 8, "t": 2}, t_s=0)
    found = rows(store, 'select whole, big, mixed, "Name", name_2, n_2, t from own order by n')
    assert found == [
        (2**63 - 1, str(big), str(2**53 + 1), 1, None, 9, 1),
        (None, "1", "0.5", None, 2, 8, 2),
    ]


def test_columns_of_different_types_in_two_sessions_are_united_exactly(store: SessionStore) -> None:
    for value in (2**53 + 1, 0.5):
        with store.record("Each") as session:
            session.stream("own").append({"value": value}, t_s=0)
    assert rows(store, "select value from own order by 1") == [("0.5",), (str(2**53 + 1),)]


def test_lines_that_cannot_be_trusted_are_left_out_and_counted(store: SessionStore) -> None:
    session_id = fly(store, "Odd", 4)
    path = store.root.folder(session_id) / "motion_history.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"position":[1', b'"position":[9')
    odd = [b"not json\n", b'{"position":[99,0,0]}\n', lines[0], b'{"n":5,"t":']
    path.write_bytes(b"".join(lines + odd))
    answer = ask(store, "select count(*) c, max(x) m from motion_history")
    assert answer.table().to_pylist() == [{"c": 3, "m": 3.0}]
    assert dict(answer.left_out.counts) == {
        ("motion_history", kind): 1 for kind in ("edited", "damaged", "unverified", "repeated", "torn")
    }
    with pytest.warns(UserWarning, match="1 left out: changed by hand"):
        store.sql("select 1 from motion_history")


def test_late_lines_and_replaced_lines_give_the_latest_attempt(store: SessionStore) -> None:
    with store.record("Late") as session:
        for t_s in (0.0, 2.0, 1.0):
            session.motion.append("scout-1", t_s=t_s, position_m=(t_s, 0, 0))
    assert rows(store, "select sim_time from motion_history order by 1") == [(0.0,), (1.0,), (2.0,)]
    path = store.root.folder(session.session_id) / "motion_history.jsonl"
    head = b'{"n":3,"t":1.5,"drone":"scout-1","position":[7.0,0.0,0.0],"<":[0.0,2.0,1.0,[[3,1.5]]]'
    with path.open("ab") as file:
        file.write(head + b',"c":"%08x"}\n' % zlib.crc32(head))
    answer = ask(store, "select x from motion_history order by n")
    assert answer.table().to_pylist() == [{"x": 0.0}, {"x": 1.0}, {"x": 7.0}]
    assert answer.left_out.counts == {("motion_history", "replaced"): 1}


NARROW = [
    "select count(*) from motion_history where session_id = '{0}'",
    "select count(*) from motion_history m where m.session_id in ('{0}') and x > 1",
    "select count(*) from motion_history join sessions s using (session_id) where s.session_name = 'One'",
    "select count(*) from sessions join motion_history using (session_id) where session_name like 'O%'",
]
WIDE = [
    "select count(*) from motion_history where session_id = '{0}' or x > 1",
    "select count(*) from motion_history left join sessions using (session_id) where session_name = 'One'",
    "select (select count(*) from motion_history) from motion_history where session_id = '{0}'",
]


@pytest.mark.parametrize(("sql", "files"), [*((sql, 1) for sql in NARROW), *((sql, 2) for sql in WIDE)])
def test_a_condition_on_the_session_opens_only_its_files(
    store: SessionStore, sql: str, files: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = fly(store, "One", 3), fly(store, "Two", 3)
    opened: list[str] = []
    before = streams.file_table

    def noted(path: Path, session_id: str, *rest: object) -> object:
        opened.append(session_id)
        return before(path, session_id, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(streams, "file_table", noted)
    ask(store, sql.format(first)).table()
    assert len(opened) == files and first in opened


HOSTILE = [
    "copy (select 1) to '{0}/out.csv'",
    "copy sessions to '{1}/index.jsonl'",
    "export database '{0}/all'",
    "attach '{0}/other.db'",
    "install httpfs",
    "load httpfs",
    "pragma database_list",
    "set memory_limit = '90GB'",
    "set enable_external_access = true",
    "reset lock_configuration",
    "call pragma_version()",
    "create table x as select 1",
    "insert into sessions select * from sessions",
    "drop view sessions",
    "select 1; select 2",
    "select 1; copy (select 1) to '{0}/out.csv'",
    "",
    "select * from read_text('{0}/secret.txt')",
    "select * from read_blob('{1}/index.jsonl')",
    "select * from read_csv('{0}/secret.txt')",
    "select * from read_json('{0}/secret.txt')",
    "select * from read_parquet('{0}/*')",
    "select * from '{0}/secret.txt'",
    "select * from '{0}/secret.csv'",
    "select * from glob('{0}/*')",
    "select * from secret",
    "select * from query('select * from read_text(''{0}/secret.txt'')')",
    "explain analyze copy (select 1) to '{0}/out.csv'",
    "explain analyze select * from read_text('{0}/secret.txt')",
    "select getenv('HOME')",
]


@pytest.mark.parametrize("sql", HOSTILE)
def test_no_statement_writes_a_file_or_reads_one(store: SessionStore, tmp_path: Path, sql: str) -> None:
    fly(store, "One")
    secret = "a variable of the program"
    (tmp_path / "secret.txt").write_text(secret)
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(InvalidQuery):
        ask(store, sql.format(tmp_path, store.root.path)).table()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_time_memory_and_rows_are_limited(store: SessionStore) -> None:
    with pytest.raises(InvalidQuery, match="took longer"):
        ask(store, "select sum(a.range * b.range % 7) from range(1000000) a, range(1000000) b").table(timeout_s=0.2)
    with pytest.raises(InvalidQuery, match="Out of Memory"):
        ask(store, "select list(range) from range(100000000)", memory_mb=64).table()
    with pytest.raises(InvalidQuery, match="more than 10 rows"):
        ask(store, "select * from range(10000000000)").table(max_rows=10)


def test_the_command_writes_each_format(
    store: SessionStore, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    fly(store, "One")
    sql = "select drone, max(x) as far, [1, 2] as pair from motion_history group by 1"
    place = ["--dir", str(store.root.path)]
    main(["sql", sql, *place, "--format", "json"])
    assert json.loads(capfdbinary.readouterr().out) == {"drone": "scout-1", "far": 2.0, "pair": [1, 2]}
    main(["sql", sql, *place, "--format", "csv"])
    assert capfdbinary.readouterr().out.splitlines()[1] == b'scout-1,2.0,"[1,2]"'
    main(["sql", sql, *place])
    assert b"scout-1" in capfdbinary.readouterr().out
    target = tmp_path / "out.parquet"
    main(["sql", sql, *place, "-o", str(target)])
    from pyarrow import parquet

    assert parquet.read_table(target).to_pylist() == [{"drone": "scout-1", "far": 2.0, "pair": [1, 2]}]
    with pytest.raises(SystemExit):
        main(["sql", sql, *place, "-o", str(target)])
