"""SQL over HTTP: answers in each form, limits, and no hostile statement reads or writes a file."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

import pyarrow
from pyarrow import parquet

from sessionstore.server.routes import sql_queries
from tests.analysis.test_sql import HOSTILE
from tests.server.conftest import Running


@pytest.fixture(scope="module")
def site(shared: Running) -> Running:
    with shared.store.record("queried", metadata={"pilot": "Ada"}) as session:
        for number in range(5):
            session.motion.append("a-1", t_s=number, position_m=(number, 0, 5), battery=0.5)
        session.stream("own").append({"big": 2**60, "text": "1,5\n"}, t_s=0)
    return shared


def ask(site: Running, query: str, **more: Any) -> Any:
    return site.client.post("/api/sql", json={"query": query, **more})


MINE = "from motion_history join sessions using (session_id) where session_name = 'queried'"


def test_an_answer_has_columns_rows_and_what_was_left_out(site: Running) -> None:
    found = ask(site, f"select drone, sum(n) as total, max(x) as far {MINE} group by 1").json()
    assert found["rows"] == [["a-1", 10, 4.0]] and found["left_out"] == [] and not found["more"]
    assert [each["name"] for each in found["columns"]] == ["drone", "total", "far"]
    cut = ask(site, f"select n {MINE} order by n", limit=2).json()
    assert cut["rows"] == [[0], [1]] and cut["more"]


def test_a_whole_number_beyond_a_double_is_text(site: Running) -> None:
    assert ask(site, "select big from own").json()["rows"] == [[str(2**60)]]


def test_csv_arrow_and_parquet_hold_the_same_rows(site: Running) -> None:
    query = "select big, text from own"
    rows = list(csv.reader(io.StringIO(ask(site, query, format="csv").text, newline="")))
    assert rows == [["big", "text"], [str(2**60), "1,5\n"]]
    wanted = [{"big": 2**60, "text": "1,5\n"}]
    assert parquet.read_table(io.BytesIO(ask(site, query, format="parquet").content)).to_pylist() == wanted
    assert pyarrow.ipc.open_stream(ask(site, query, format="arrow").content).read_all().to_pylist() == wanted


@pytest.mark.parametrize("sql", HOSTILE)
def test_no_statement_writes_or_reads_a_file(site: Running, tmp_path: Path, sql: str) -> None:
    (tmp_path / "secret.txt").write_text("a variable of the program")
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    reply = ask(site, sql.format(tmp_path, site.store.root.path))
    assert reply.status_code == 400 and "a variable" not in reply.text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.csv", "secret.txt"]


def test_time_memory_and_rows_have_limits(site: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = "select sum(a.range * b.range % 7) from range(1000000) a, range(1000000) b"
    assert "took longer" in ask(site, slow, timeout=0.3).json()["detail"]
    monkeypatch.setattr(sql_queries, "MEMORY_MB", 64)
    assert "Memory" in ask(site, "select list(range) from range(100000000)").json()["detail"]
    found = ask(site, "select * from range(10000000000)", limit=3).json()
    assert len(found["rows"]) == 3 and found["more"]
    assert ask(site, "select 1", limit=10_000_000).status_code == 400
    assert ask(site, "x" * 30_000).status_code == 400


def test_reading_lines_counts_into_the_time(site: Running) -> None:
    reply = ask(site, "select count(*) from motion_history", timeout=1e-6)
    assert reply.status_code == 400 and "took longer" in reply.json()["detail"]


def test_a_query_that_waits_for_its_turn_is_refused_in_the_end(site: Running) -> None:
    for _ in range(2):
        sql_queries._AT_ONCE.acquire()
    try:
        reply = ask(site, "select 1", timeout=0.1)
    finally:
        for _ in range(2):
            sql_queries._AT_ONCE.release()
    assert reply.status_code == 503 and reply.json()["type"].endswith("busy")


def test_the_tables_are_listed_for_completion(site: Running) -> None:
    tables = {each["name"]: each["columns"] for each in site.client.get("/api/sql/tables").json()["tables"]}
    assert "metadata_pilot" in tables["sessions"] and "z" in tables["motion_history"] and "big" in tables["own"]


def test_a_plan_can_be_asked_for(site: Running) -> None:
    assert "SCAN" in str(ask(site, f"explain select n {MINE}").json()["rows"])


def test_a_page_of_another_origin_cannot_ask(site: Running) -> None:
    reply = site.client.post("/api/sql", json={"query": "select 1"}, headers={"origin": "https://elsewhere.example"})
    assert reply.status_code == 403
