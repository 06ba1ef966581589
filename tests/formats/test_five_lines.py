"""Real logs become sessions in five lines of Python each: a PX4 log, two CSVs, a ROS 2 bag."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest

import sessionstore
from sessionstore.session import Session
from tests.conftest import DATA
from tests.formats.bags import write_pose_bag

#: One log of a simulation in metres with a row for each drone, seconds as text, out of order between the drones.
FLEET_CSV = "time,name,x,y,z,charge\n" + "".join(
    f"{tick / 10},{name},{tick / 10},{side},5.0,{1 - tick / 500}\n"
    for side, name in enumerate(("a", "b"))
    for tick in range(50)
)
#: One log of an autopilot: seconds since 1970, north-east-down, a compass heading in degrees.
AUTOPILOT_CSV = "unix_s,north_m,east_m,down_m,heading_deg\n" + "".join(
    f"{1_790_000_000 + tick / 10},{tick / 10},0.0,-12.5,90.0\n" for tick in range(50)
)
PROGRAMS = {
    "ulog": """
report = store.import_file("px4_flight_small.ulg")
session = store.get(report.session_id)
""",
    "fleet csv": """
import csv
with store.record("Fleet") as session, open("fleet.csv") as log:
    for row in csv.DictReader(log):
        at = [float(row[axis]) for axis in "xyz"]
        session.motion.append(row["name"], float(row["time"]), at, battery=float(row["charge"]))
""",
    "autopilot csv": """
import csv; from sessionstore.session.frames import from_heading_degrees, ned_to_enu
with store.record("Autopilot", start="epoch") as session, open("autopilot.csv") as log:
    for t, north, east, down, heading in (map(float, row) for row in list(csv.reader(log))[1:]):
        turned = from_heading_degrees(heading)
        session.motion.append("uav-1", t, ned_to_enu(north, east, down), orientation_rad=turned)
""",
    "ros 2 bag": """
report = store.import_file("bag")
session = store.get(report.session_id)
""",
}


def recorded(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Run a program of at most five lines in a folder that holds the logs; return the session that it made."""
    program = PROGRAMS[name].strip()
    assert len(program.splitlines()) <= 5
    monkeypatch.chdir(folder)
    names: dict[str, object] = {"store": sessionstore.open(folder / "store")}
    exec(program, names)
    made = names["session"]
    assert isinstance(made, Session)
    return made


def test_a_px4_log_becomes_a_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyulog")
    shutil.copy(DATA / "px4_flight_small.ulg", tmp_path)
    session = recorded("ulog", tmp_path, monkeypatch)
    assert session.status == "completed" and session.replay_available and session.duration_s


def test_a_csv_of_a_fleet_becomes_a_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fleet.csv").write_text(FLEET_CSV)
    session = recorded("fleet csv", tmp_path, monkeypatch)
    assert session.status == "completed" and session.replay_available and session.duration_s == 4.9
    assert {name: drone["points"] for name, drone in session.metrics["drones"].items()} == {"a": 50, "b": 50}


def test_a_csv_of_an_autopilot_becomes_a_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "autopilot.csv").write_text(AUTOPILOT_CSV)
    session = recorded("autopilot csv", tmp_path, monkeypatch)
    assert str(session.record.started_at).startswith("2026-09-21") and session.duration_s == 4.9
    last = list(session.tape("motion_history").read())[-1]
    assert last.data["position"] == [0.0, 4.9, 12.5] and math.isclose(last.data["orientation"][2], 0.0, abs_tol=1e-9)


def test_a_ros_2_bag_becomes_a_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pose_bag(tmp_path / "bag")
    session = recorded("ros 2 bag", tmp_path, monkeypatch)
    assert session.status == "completed" and session.replay_available and session.metrics["totals"]["points"] == 10
