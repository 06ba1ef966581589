"""Sessions as Parquet and CSV: one file, or a folder partitioned by session that other programs read as one table."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

import duckdb
from pyarrow import parquet

from sessionstore.cli import main
from sessionstore.errors import Conflict
from sessionstore.store import SessionStore


def fly(store: SessionStore, name: str, points: int) -> str:
    with store.record(name) as session:
        for number in range(points):
            session.motion.append("a-1", t_s=number, position_m=(number, 0, 5))
        session.event("take_off", "up, and away", data={"kg": 1})
    return session.session_id


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_folder_of_several_sessions_is_one_table_for_duckdb(store: SessionStore, tmp_path: Path, form: str) -> None:
    ids = [fly(store, "One", 3), fly(store, "Two", 5)]
    out = tmp_path / "out"
    main(["export", *ids, "--to", form, "--out", str(out), "--dir", str(store.root.path)])
    source = f"read_{form}('{out}/motion_history/*/*.{form}', hive_partitioning = true)"
    found = duckdb.sql(f"select session_id, count(*), max(x) from {source} group by 1 order by 1").fetchall()
    assert found == [(ids[0], 3, 2.0), (ids[1], 5, 4.0)]
    sessions = duckdb.sql(f"select session_name from read_{form}('{out}/sessions/*/*') order by 1").fetchall()
    assert sessions == [("One",), ("Two",)]
    with pytest.raises(SystemExit):
        main(["export", ids[0], "--to", form, "--out", str(out), "--dir", str(store.root.path)])


def test_pandas_reads_the_folder(store: SessionStore, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    ids = [fly(store, "One", 3), fly(store, "Two", 5)]
    main(["export", *ids, "--to", "parquet", "--out", str(tmp_path / "out"), "--dir", str(store.root.path)])
    frame: Any = pandas.read_parquet(tmp_path / "out" / "motion_history")
    assert frame.groupby("session_id", observed=True).size().to_dict() == dict(zip(ids, (3, 5), strict=True))


def test_one_file_holds_a_stream_of_one_or_several_sessions(store: SessionStore, tmp_path: Path) -> None:
    ids = [fly(store, "One", 3), fly(store, "Two", 5)]
    store.get(ids[0]).export(tmp_path / "one.parquet")
    assert parquet.read_table(tmp_path / "one.parquet").num_rows == 3
    main(["export", *ids, "--file", str(tmp_path / "both.csv"), "--dir", str(store.root.path)])
    with (tmp_path / "both.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["session_id"] for row in rows] == [ids[0]] * 3 + [ids[1]] * 5
    assert json.loads(rows[-1]["position"]) == [4, 0, 5]
    with pytest.raises(Conflict):
        store.get(ids[0]).export(tmp_path / "one.parquet")
