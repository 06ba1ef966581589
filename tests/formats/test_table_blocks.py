"""Rows taken by blocks become what rows taken one by one become."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from sessionstore.formats import ImportReport
from sessionstore.formats.tables import blocks
from sessionstore.formats.tables.blocks import BlockFlight
from sessionstore.formats.tables.flight import TableFlight
from sessionstore.store import SessionStore

HEADS = (
    "time,drone,x,y,z,vx,vy,vz,battery,wind,count",
    "time,x,y,z,roll,pitch,yaw,mode,message,level,note",
    "time_ms;lat;lon;alt;heading;battery;temp",
    "time,a_x,a_y,a_z,b_x,b_y,b_z,gust",
    "epoch,loss,accuracy",
    "time,north,east,down,vd,ve,vn,nan,n",
    "unix,speed,ok,text",
)
ODD = (
    "",
    "nan",
    "-",
    "1,5",
    "1_0",
    "text",
    "inf",
    "+7",
    "-7",
    " 8 ",
    ".5",
    "9" * 25,
    "true",
    "Ünï",
    "007",
    "1e3",
    "5.",
)


def table(head: str, chance: random.Random, odd: float) -> str:
    delimiter = ";" if ";" in head else ","
    rows = [head]
    for number in range(120):
        cells = []
        for name in head.split(delimiter):
            if "time" in name or name in ("epoch", "unix"):
                cells.append(str(number * 20 + (1_790_000_000 if name == "unix" else 0)))
            elif name in ("drone", "mode", "message", "level", "text", "note"):
                cells.append(chance.choice(("alpha", "beta", "info", "3")))
            elif name in ("lat", "lon"):
                cells.append(f"{50 + number / 1e5}")
            else:
                cells.append(chance.choice((f"{chance.uniform(-1, 1):.5f}", str(chance.randint(-3, 9)))))
            if chance.random() < odd:
                text = chance.choice(ODD)
                cells[-1] = f'"{text}"' if delimiter in text else text
        rows.append(delimiter.join(cells))
    return "\n".join(rows) + "\n"


def found(store: SessionStore, path: Path, report: ImportReport) -> Any:
    if report.session_id is None:
        return report.state, report.reason
    session = store.get(report.session_id)
    record = session.record
    lines = {name: [(line.t_s, line.data) for line in tape.read()] for name, tape in session.tapes().items()}
    kinds = {
        name: [{key: type(value) for key, value in data.items()} for _, data in each] for name, each in lines.items()
    }
    figures = record.performance_metrics, record.gps, record.started_at, record.drones, record.workflow_state
    return lines, kinds, figures, report.topics, report.notes, report.problems


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("odd", [0.0, 0.002, 0.05])
def test_rows_by_blocks_become_what_rows_one_by_one_become(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: str, odd: float
) -> None:
    path = tmp_path / "flight.csv"
    path.write_text(table(head, random.Random(f"{head}{odd}"), odd), encoding="utf-8")
    monkeypatch.setattr("sessionstore.formats.tables.reading.AT_ONCE", 16)
    taken: list[int] = []
    store_rows = BlockFlight._store

    def counted(self: BlockFlight, rows: list[Any], *more: Any) -> None:
        taken.append(len(rows))
        store_rows(self, rows, *more)

    monkeypatch.setattr(BlockFlight, "_store", counted)
    with SessionStore(tmp_path / "blocks") as store:
        by_blocks = found(store, path, store.import_file(path))
    assert odd > 0.0 or sum(taken) == 120 or "lat" in head

    def one_by_one(self: TableFlight, rows: list[Any]) -> None:
        for line, row in rows:
            self.take(row, line)

    monkeypatch.setattr(blocks.BlockFlight, "take_many", one_by_one)
    with SessionStore(tmp_path / "rows") as store:
        assert by_blocks == found(store, path, store.import_file(path))
