"""What a sweep comes to is read from figures that are kept; the sessions stay the truth of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore.session import Session
from sessionstore.store import SessionStore
from sessionstore.sweeps import snapshot
from sessionstore.sweeps.definition import Definition, Point, numbered
from sessionstore.sweeps.figures import FiguresOfRun
from sessionstore.sweeps.folder import SweepFolder
from sessionstore.sweeps.sweep import Sweep

WANTED = Definition(name="glider", program="glide", fingerprint="f", maximise="height_m", grid={"wind": [0, 5, 10]})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SessionStore]:
    with sessionstore.open(tmp_path / "store") as store:
        SweepFolder(store.root, "glider").keep(WANTED, numbered(WANTED.parameter_sets(), "f"))
        yield store


def mark_of(point: Point) -> dict[str, Any]:
    return {"sweep": {"id": "glider", "number": point.number, "point": point.key, "parameters": point.parameters}}


def flown(store: SessionStore, point: Point, status: str = "completed") -> str:
    with store.record(f"glider {point.number}", metadata=mark_of(point)) as run:
        totals = {"height_m": 90 - point.parameters["wind"], "kinds": {"a": 2}}
        run.finish(status, None if status == "completed" else "no battery", performance_metrics={"totals": totals})
    return run.session_id


def heights(store: SessionStore) -> list[float | None]:
    return [row.values.get("height_m") for row in Sweep(store, "glider").results().rows]


def test_figures_are_kept_while_a_sweep_runs_and_no_document_is_read_again(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = SweepFolder(store.root, "glider")
    run = FiguresOfRun(store, folder)
    for point, status in zip(folder.points(), ("completed", "failed", "completed"), strict=True):
        run.note(flown(store, point, status))
    run.note("nobody")
    run.flush()
    store.find()

    def refused(*_: Any) -> None:
        raise AssertionError("a document is read")

    monkeypatch.setattr(Session, "record", property(refused))
    monkeypatch.setattr("sessionstore.sweeps.figures._glance", refused)
    rows = Sweep(store, "glider").results().rows
    assert [(row.status, row.reason) for row in rows] == [
        ("completed", ""),
        ("failed", "no battery"),
        ("completed", ""),
    ]
    assert rows[2].values["height_m"] == 80.0 == rows[2].values["objective"] and rows[2].values["kinds.a"] == 2.0


@pytest.mark.parametrize("damage", ["gone", "torn", "foreign"])
def test_figures_that_are_lost_are_read_from_the_sessions(store: SessionStore, damage: str) -> None:
    folder = SweepFolder(store.root, "glider")
    for point in folder.points():
        flown(store, point)
    before = heights(store)
    data = folder.figures.read_bytes()
    if damage == "gone":
        folder.figures.unlink()
    else:
        folder.figures.write_bytes(data[: len(data) // 2] if damage == "torn" else b"\x00{}\nnull\n")
    assert heights(store) == before == [90.0, 85.0, 80.0]
    assert folder.figures.read_bytes().count(b"session_id") >= 3


def test_a_session_that_was_edited_counts_as_it_is_now(store: SessionStore) -> None:
    points = SweepFolder(store.root, "glider").points()
    first = flown(store, points[0])
    assert heights(store) == [90.0, None, None]
    document = store.root.folder(first) / "session.json"
    data = json.loads(document.read_text())
    data["session"]["1"]["performance_metrics"]["totals"]["height_m"] = 7
    document.write_text(json.dumps(data))
    store.find()  # a listing that compares files
    assert heights(store) == [7.0, None, None]


def test_what_is_kept_at_rest_is_dropped_with_every_change(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "LEAST_ROWS", 1)
    folder = SweepFolder(store.root, "glider")
    points = folder.points()
    first = flown(store, points[0])
    for _ in range(2):
        assert Sweep(store, "glider").status().counts == {"completed": 1, "waiting": 2}
        assert heights(store) == [90.0, None, None]
    assert snapshot.read(store, folder) and snapshot.read_counts(store, folder)
    flown(store, points[1], "failed")
    assert snapshot.read(store, folder) is None and snapshot.read_counts(store, folder) is None
    assert Sweep(store, "glider").status().counts == {"completed": 1, "failed": 1, "waiting": 1}
    assert heights(store) == [90.0, 85.0, None]
    store.delete(first)
    assert Sweep(store, "glider").status().counts == {"failed": 1, "waiting": 2}
    (folder.path / "counts.json").write_bytes(b"{")
    assert Sweep(store, "glider").status().done == 1


def test_a_run_whose_process_dies_is_seen_though_no_file_changes(
    store: SessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "LEAST_ROWS", 1)
    (point, *_) = SweepFolder(store.root, "glider").points()
    code = f"import sessionstore, sys; run = sessionstore.open({str(store.root.path)!r}).record('g', metadata={mark_of(point)!r}).start(); print(flush=True); sys.stdin.read()"  # noqa: E501
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert process.stdout is not None and process.stdin is not None
    process.stdout.readline()
    assert Sweep(store, "glider").status().counts == {"running": 1, "waiting": 2}
    assert Sweep(store, "glider").results().rows[0].status == "running"
    os.kill(process.pid, 9)
    process.communicate()
    assert Sweep(store, "glider").status().counts == {"interrupted": 1, "waiting": 2}
    assert Sweep(store, "glider").results().rows[0].status == "interrupted"
