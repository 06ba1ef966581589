"""Old folders become sessions: what they say is kept, what they do not say stays unknown, nothing stops the batch."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from sessionstore.errors import Conflict
from sessionstore.legacy.exporter import export_legacy
from sessionstore.legacy.importer import import_legacy
from sessionstore.maintenance.doctor import examine
from sessionstore.store import SessionStore
from tests.old_folders import FIXTURES, imported, motion, old_folder


def test_every_fixture_has_its_answer_and_none_stops_the_batch(store: SessionStore) -> None:
    reports = imported(store, FIXTURES)
    assert {name: report.state for name, report in reports.items()} == {
        "good": "imported",
        "minimal": "imported",
        "torn": "imported",
        "corrupt": "imported",
        "foreign": "skipped",
        "naive": "skipped",
        "hopeless": "failed",
    }
    assert (reports["good"].points, reports["good"].drones, reports["good"].buildings) == (48, 2, 2)
    assert reports["good"].problems == []
    assert "--zone" in str(reports["naive"].reason)
    assert "not a folder of the old system: 2 other files" in str(reports["foreign"].reason)
    assert examine(store.root.path).healthy
    assert all(row.status != "unreadable" for row in store.find())


def test_a_good_folder_is_all_there(store: SessionStore) -> None:
    session = store.get(str(imported(store, FIXTURES / "good")["good"].session_id))
    record = session.record
    assert session.session_id == "202512131946-Quadcopter"
    assert (record.session_name, record.status) == ("Quadcopter", "completed")
    assert record.created_at == "2025-12-13T19:46:00.000000Z"
    assert (record.started_at, record.ended_at) == ("2025-12-13T19:46:00.000000Z", "2025-12-13T19:46:11.500000Z")
    assert (record.base_position, record.num_buildings, record.duration_sim_s) == ([1.0, 2.0, 0.0], 2, 11.5)
    assert record.metadata["pilot"] == "Ada" and record.metadata["legacy_summary"]["duration"] == 12
    assert [drone["id"] for drone in record.drones] == ["Scout-1", "Climber-1"]
    assert record.performance_metrics["totals"]["points"] == 48
    assert session.replay_available
    scene = list(session.tables()["scene"].values())
    assert [(row["name"], row["size"]) for row in scene] == [("Tower", [10, 10, 120]), ("Annex", [8, 6, 20])]
    assert scene[0]["ground_truth"] == {"windows": 500}
    messages = [(line.t_s, line.data["message"]) for line in session.tape("communication").read()]
    assert messages == [(2.0, "facade north mapped"), (3.5, "going up")]
    decisions = [line.data for line in session.tape("ml_training").read()]
    assert decisions[1] == {"features": [0.3, 0.4], "decision": "inspect", "outcome": 0.5}
    clock = [(line.t_s, line.data["utc"]) for line in session.tape("clock").read()]
    assert clock[0] == (0.0, "2025-12-13T19:46:00.000000Z") and len(clock) > 10


def test_the_original_files_are_kept_byte_for_byte(store: SessionStore) -> None:
    for name in ("good", "corrupt"):
        session = store.get(str(imported(store, FIXTURES / name)[name].session_id))
        for path in (FIXTURES / name).iterdir():
            assert (session.folder / "artifacts" / "legacy" / path.name).read_bytes() == path.read_bytes()
        assert {each["name"] for each in session.record.artifacts} == {
            f"legacy/{path.name}" for path in (FIXTURES / name).iterdir()
        }
        assert session.record.provenance["imported_from"]["folder"] == name


def test_unknown_is_not_none(store: SessionStore) -> None:
    session = store.get(str(imported(store, FIXTURES / "minimal")["minimal"].session_id))
    record = session.record
    assert (record.num_buildings, record.num_invisible_buildings, record.base_position) == (None, None, None)
    assert (record.duration_planned_s, record.end_reason, record.session_name) == (None, None, None)
    assert "scene" not in session.tables()
    assert all("velocity" not in point and "orientation" not in point for _, point in motion(session))
    assert record.performance_metrics["totals"]["points"] == 6
    corrupt = store.get(str(imported(store, FIXTURES / "corrupt")["corrupt"].session_id)).record
    assert (corrupt.duration_sim_s, corrupt.performance_metrics, corrupt.drones) == (None, {}, [])
    row = next(row for row in store.find() if row.session_id == corrupt.session_id)
    assert (row.points, row.num_buildings, row.distance_m) == (None, None, None)
    store.rebuild()
    assert next(row for row in store.find() if row.session_id == corrupt.session_id).num_buildings is None


def test_a_torn_file_gives_its_whole_elements_and_says_so(store: SessionStore) -> None:
    report = imported(store, FIXTURES / "torn")["torn"]
    session = store.get(str(report.session_id))
    whole = json.loads((FIXTURES / "good" / "motion_history.json").read_text())["Scout-1"][0].keys()
    assert report.points and 12 < report.points < 24
    assert all({"position", "velocity", "orientation"} <= point.keys() for _, point in motion(session))
    assert whole
    assert [(row["name"], row["position"], row["size"]) for row in session.tables()["scene"].values()] == [
        ("A", [1, 2, 0], [3, 4, 5]),
        ("B", [9, 9, 0], [3, 4, 50]),
    ]
    assert sum("does not parse at line" in problem for problem in report.problems) == 2
    assert "buildings.json: says 3 buildings and lists 2" in report.problems
    assert session.record.provenance["imported_from"]["problems"] == report.problems


def test_a_folder_stuck_in_running_is_no_running_session(store: SessionStore) -> None:
    report = imported(store, FIXTURES / "corrupt")["corrupt"]
    session = store.get(str(report.session_id))
    assert (session.session_id, session.status) == ("202512140903", "stopped")
    assert session.record.created_at == "2025-12-14T08:03:00.000000Z"
    assert session.record.metadata["legacy_summary"]["energy"] is None
    assert any("'running' is not an end status" in problem for problem in report.problems)


def test_importing_twice_does_nothing(store: SessionStore) -> None:
    first = imported(store, FIXTURES)
    folders = sorted(store.root.session_ids())
    second = imported(store, FIXTURES)
    assert sorted(store.root.session_ids()) == folders
    for name, report in first.items():
        if report.state == "imported":
            assert (second[name].state, second[name].session_id) == ("already there", report.session_id)
    store.find()
    store.root.folder(str(first["good"].session_id)).rename(store.root.folder("renamed"))
    assert imported(store, FIXTURES)["good"].session_id == "renamed"
    (store.root.path / "index.jsonl").unlink()
    assert imported(store, FIXTURES)["good"].state == "already there"


def test_a_dry_run_makes_nothing(store: SessionStore) -> None:
    reports = imported(store, FIXTURES, dry_run=True)
    assert reports["good"].state == "would import" and reports["good"].points == 48
    assert list(store.root.path.iterdir()) == []


def test_an_id_that_is_taken_gets_a_number(store: SessionStore, tmp_path: Path) -> None:
    points = {"d": [{"position": [0, 0, 0], "sim_time": 0}]}
    one = old_folder(tmp_path / "a", motion_history=points)
    two = old_folder(tmp_path / "b", motion_history={**points, "e": []})
    ids = [report.session_id for place in (one, two) for report in import_legacy(store, place)]
    assert ids == ["202512131946-Old", "202512131946-Old-2"]


# ---------------------------------------------------------------- points and files


def test_points_that_cannot_be_used_are_counted_and_the_rest_is_kept(store: SessionStore, tmp_path: Path) -> None:
    text = (
        b'{"Scout-1": [{"position": [NaN, 0, 0], "sim_time": 0}, {"position": [1, 2], "sim_time": 1}, {"sim_time": 2},'
        b' "noise", {"position": {"x": 1, "y": 2, "z": 3}, "velocity": "fast", "sim_time": 3, "n": 7, "battery": 0.5,'
        b' "orientation": [0, 0, 0.7, 0.7]}], "scout-1": [], "summary": "text"}'
    )
    (report,) = import_legacy(store, old_folder(tmp_path, motion_history=text))
    ((t_s, point),) = motion(store.get(str(report.session_id)))
    assert t_s == 3.0
    assert point == {
        "drone": "Scout-1", "position": [1, 2, 3], "quaternion": [0, 0, 0.7, 0.7], "legacy_n": 7, "battery": 0.5
    }  # fmt: skip
    told = "\n".join(report.problems)
    for part in (
        "3 points without a usable position",
        "1 points that are no objects",
        "1 velocities",
        "1 times NaN",
        "summary: not a list",
        "differ by case only: scout-1",
    ):
        assert part in told


@pytest.mark.parametrize(
    "shape",
    [
        {"motion_history": {"d": [{"position": [1, 2, 3], "sim_time": 0}]}},
        {"drones": {"d": {"motion_history": [{"position": [1, 2, 3], "sim_time": 0}]}}},
        [{"drone_name": "d", "position": [1, 2, 3], "sim_time": 0}],
    ],
)
def test_other_shapes_of_motion_are_read_too(store: SessionStore, tmp_path: Path, shape: Any) -> None:
    (report,) = import_legacy(store, old_folder(tmp_path, motion_history=shape))
    assert motion(store.get(str(report.session_id))) == [(0.0, {"drone": "d", "position": [1, 2, 3]})]


def test_links_pipes_and_folders_in_an_old_folder_are_never_followed(store: SessionStore, tmp_path: Path) -> None:
    folder = old_folder(tmp_path, motion_history={"d": [{"position": [0, 0, 0], "sim_time": 0}]})
    (folder / "buildings.json").symlink_to("/etc/passwd")
    os.mkfifo(folder / "simulation_summary.json")
    (folder / "ml_training_data.json").mkdir()
    (report,) = import_legacy(store, folder)
    assert report.state == "imported" and report.buildings is None
    assert sum("not a plain file" in problem for problem in report.problems) == 3
    assert not (store.root.folder(str(report.session_id)) / "artifacts" / "legacy" / "buildings.json").exists()


def test_a_failure_half_way_leaves_no_session(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from sessionstore.disk import files

    def full_disk(operation: str, path: str, payload: object) -> None:
        if (operation == "write" and path.endswith("session.json")) or "artifacts" in path:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "observer", full_disk)
    reports = imported(store, FIXTURES)
    assert reports["good"].state == "failed" and "No space left" in str(reports["good"].reason)
    assert store.find() == [] and list(store.root.staging.iterdir()) == []
    monkeypatch.setattr(files, "observer", None)
    assert imported(store, FIXTURES)["good"].state == "imported"


# ---------------------------------------------------------------- the way back


@pytest.mark.parametrize("timestamps", ["iso", "epoch", "none"])
def test_importing_an_export_gives_the_same_motion(store: SessionStore, tmp_path: Path, timestamps: Any) -> None:
    with store.record("Round trip", base_position=[1.0, 2.0, 3.0], num_buildings=0) as recorder:
        for step in range(50):
            recorder.motion.append("a", step * 0.1, (step / 3, 0.1, 1e-9), (1.0, 0.0, 0.0), (0.0, 0.0, 0.1 * step))
            recorder.motion.append("b", step * 0.1, (0.0, step / 7, 2.0), battery=1 - step / 100, fix="RTK_FIX")
        recorder.stream("communication").append({"from": "a", "to": "b", "message": "hello"}, 1.0)
        recorder.stream("ml_training").append({"features": [1], "decision": "go", "outcome": {"ok": True}}, 2.0)
    session = store.get(recorder.session_id)
    folder = export_legacy(session, tmp_path / "old", timestamps)
    (report,) = import_legacy(store, folder)
    assert report.problems == []
    again = store.get(str(report.session_id))
    assert motion(again) == motion(session)
    assert again.record.performance_metrics["drones"] == session.record.performance_metrics["drones"]
    assert (again.record.base_position, again.record.num_buildings) == ([1.0, 2.0, 3.0], 0)
    assert [line.data["message"] for line in again.tape("communication").read()] == ["hello"]
    assert [line.data for line in again.tape("ml_training").read()] == [
        line.data for line in session.tape("ml_training").read()
    ]
    with pytest.raises(Conflict):
        export_legacy(session, tmp_path / "old")


def test_an_export_of_an_import_writes_no_zero_for_what_is_unknown(store: SessionStore, tmp_path: Path) -> None:
    session = store.get(str(imported(store, FIXTURES / "minimal")["minimal"].session_id))
    folder = export_legacy(session, tmp_path)
    summary = json.loads((folder / "simulation_summary.json").read_text())
    assert not {"num_buildings", "base_position", "end_reason"} & summary.keys()
    assert not (folder / "buildings.json").exists()
    good = export_legacy(store.get(str(imported(store, FIXTURES / "good")["good"].session_id)), tmp_path)
    buildings = json.loads((good / "buildings.json").read_text())
    assert buildings["count"] == 2 and buildings["buildings"][0]["dimensions"] == [10, 10, 120]
    stamps = [point["timestamp"] for point in json.loads((good / "motion_history.json").read_text())["Scout-1"]]
    assert stamps[:2] == ["2025-12-13T19:46:00.000000Z", "2025-12-13T19:46:00.500000Z"]


def test_a_batch_of_copies_names_each_folder_once(store: SessionStore, tmp_path: Path) -> None:
    for number in range(5):
        shutil.copytree(FIXTURES / "good", tmp_path / "batch" / f"2025121319{number:02}-Copy")
    states = [report.state for report in import_legacy(store, tmp_path / "batch")]
    assert states == ["imported"] * 5 and len(store.find()) == 5
