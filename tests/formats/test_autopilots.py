"""ArduPilot's and MAVLink's logs: what replays, what is counted, what pymavlink says of the same file, and damage."""

from __future__ import annotations

import math
import random
from collections import Counter
from pathlib import Path

import pytest

from sessionstore.formats import detect
from sessionstore.formats.protocol import ImportReport
from sessionstore.session import Session
from sessionstore.store import SessionStore
from tests.formats.autopilot_logs import ALTITUDE_M, LATITUDE, LONGITUDE, TYPES, circle, write_bin, write_tlog

pytest.importorskip("pymavlink")


def events(session: Session) -> list[tuple[float, str, str]]:
    return [(line.t_s, line.data["kind"], line.data["message"]) for line in session.tape("events").read()]


def counted(report: ImportReport) -> dict[str, int]:
    return {name: each.messages_in for name, each in report.topics.items() if each.messages_in}


def test_an_ardupilot_flight_has_path_attitude_battery_origin_phases_and_parameters(
    store: SessionStore, tmp_path: Path
) -> None:
    write_bin(tmp_path / "flight.bin")
    report = store.import_file(tmp_path / "flight.bin")
    assert (report.state, report.format, report.problems) == ("imported", "dataflash", [])
    session = store.get("flight")
    points = list(session.tape("motion_history").read())
    assert len(points) == 200 and report.topics["(motion points of the vehicle)"].records_out == 200
    (north, east, down), velocity, heading = circle(5.5)
    point = points[55].data
    assert points[55].t_s == pytest.approx(5.501)
    assert point["position"] == pytest.approx([east, north, -down], abs=1e-4)
    assert point["velocity"] == pytest.approx([velocity[1], velocity[0], -velocity[2]], abs=1e-4)
    yaw = math.radians(90 - heading)
    assert point["orientation"] == pytest.approx([math.radians(10), math.radians(5), yaw], abs=1e-3)
    assert (point["battery"], point["mode"], point["drone"]) == (0.87, "auto", "ardupilot-1")
    record = session.record
    assert record.gps == pytest.approx({"lat": LATITUDE, "lon": LONGITUDE, "alt": ALTITUDE_M}, abs=1e-6)
    assert record.started_at == "2026-09-21T14:13:20.000000Z" and record.workflow_state == "auto"
    assert [row["new"] for row in session.transitions()] == ["loiter", "auto"]
    assert record.metadata["ardupilot"]["parameters"]["WPNAV_SPEED"] == 500.0
    assert record.metadata["ardupilot"]["units"]["ATT.Roll"] == "deg"
    assert [each[1:] for each in events(session)] == [
        ("mode", "loiter"), ("armed", ""), ("took_off", ""), ("mode", "auto"), ("parameter", "WPNAV_SPEED = 300"),
        ("error", "subsystem 6, code 1"), ("landed", ""), ("disarmed", ""),
    ]  # fmt: skip
    assert [line.data["message"] for line in session.tape("log").read()] == ["ArduCopter V4.5.7 (2a3dc4b7)"]
    assert store.doctor().findings == []


def test_every_message_of_a_log_has_the_values_that_pymavlink_reads(store: SessionStore, tmp_path: Path) -> None:
    from pymavlink.DFReader import DFReader_binary

    write_bin(tmp_path / "flight.bin")
    report = store.import_file(tmp_path / "flight.bin")
    session = store.get(report.session_id)
    streams = {name: iter(tape.read()) for name, tape in session.tapes().items()}
    counts: Counter[str] = Counter()
    reader = DFReader_binary(str(tmp_path / "flight.bin"))
    while (message := reader.recv_msg()) is not None:
        name = message.get_type()
        counts["(definitions)" if name in ("FMT", "FMTU", "UNIT") else name] += 1
        if name not in streams:
            continue
        line = next(streams[name])
        assert line.t_s == pytest.approx(message.TimeUS / 1e6)
        for field in message.get_fieldnames()[1:]:
            theirs, ours = getattr(message, field), line.data[field]
            if hasattr(theirs, "tolist"):
                theirs = theirs.tolist()
            assert ours is None if isinstance(theirs, float) and math.isnan(theirs) else ours == theirs, (name, field)
    reader.close()
    assert counts == counted(report) and counts["IMU"] == 400
    assert all(report.topics[name].records_out == count for name, count in counts.items() if name in streams)


@pytest.mark.parametrize("absent", [{"ORGN"}, {"ORGN", "XKF1"}])
def test_a_log_without_estimates_of_a_known_origin_flies_by_its_receiver(
    store: SessionStore, tmp_path: Path, absent: set[str]
) -> None:
    write_bin(tmp_path / "flight.bin", types=tuple(name for name in TYPES if name not in absent))
    report = store.import_file(tmp_path / "flight.bin")
    points = list(store.get(report.session_id).tape("motion_history").read())
    assert len(points) == 100
    (north, east, down), _, _ = circle(points[50].t_s)
    assert points[50].data["position"] == pytest.approx([east, north, -down], abs=0.1)


def test_a_telemetry_log_holds_the_flights_of_its_vehicles(store: SessionStore, tmp_path: Path) -> None:
    expected = write_tlog(tmp_path / "ground.tlog", systems=(1, 2))
    report = store.import_file(tmp_path / "ground.tlog")
    assert (report.state, report.format, report.problems) == ("imported", "tlog", [])
    assert counted(report) == {name if system == 1 else f"{name}_{system}": n for (system, name), n in expected.items()}
    session = store.get("ground")
    points = [line for line in session.tape("motion_history").in_time() if line.data["drone"] == "px4-2"]
    (north, east, down), velocity, heading = circle(5.5)
    assert len(points) == 200
    assert points[55].data["position"] == pytest.approx([east, north + 10, -down], abs=0.1)
    assert points[55].data["velocity"] == pytest.approx([velocity[1], velocity[0], -velocity[2]], abs=0.01)
    assert points[55].data["orientation"] == pytest.approx([0.1, 0.05, math.radians(90 - heading)], abs=1e-3)
    assert (points[55].data["battery"], points[55].data["mode"]) == (0.88, "mission")
    assert [row["new"] for row in session.transitions()] == ["takeoff", "mission"]
    assert session.record.metadata["mavlink"]["parameters"]["2"] == {"MPC_XY_VEL_MAX": 12.0}
    assert {each[1] for each in events(session)} == {"mode", "armed", "disarmed", "landed", "took_off"}
    assert [line.data["level"] for line in session.tape("log").read()] == ["warning", "warning"]
    clock = list(session.tape("clock").read())
    assert [line.t_s for line in clock] == [0.0, 5.0, 10.0, 15.0]
    assert session.record.started_at == "2026-09-21T14:13:20.000000Z" and store.doctor().findings == []


@pytest.mark.parametrize("name", ["flight.bin", "ground.tlog"])
def test_a_log_cut_anywhere_is_imported_up_to_there_and_says_so(store: SessionStore, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    (write_bin if name.endswith("bin") else write_tlog)(path, 2.0)
    whole = path.read_bytes()
    full = sum(counted(store.import_file(path, dry_run=True)).values())
    for part in range(1, 100):
        size = len(whole) * part // 100
        path.write_bytes(whole[:size])
        report = store.import_file(path, name.partition(".")[2].replace("bin", "dataflash"), dry_run=True)
        if report.state != "would import":
            assert report.reason and part < 25, part
            continue
        assert sum(counted(report).values()) < full
        partial = [problem for problem in report.problems if problem.startswith("partial")]
        assert partial == [] or partial[0].endswith(f" of {size}"), part  # a cut between two messages can't be seen
    path.write_bytes(whole[: len(whole) // 2 + 5])
    assert "partial" in store.import_file(path).problems[0]


@pytest.mark.parametrize("name", ["flight.bin", "ground.tlog"])
def test_a_damaged_log_is_imported_but_for_its_damage_or_refused(
    store: SessionStore, tmp_path: Path, name: str
) -> None:
    path, chance = tmp_path / name, random.Random(11)
    (write_bin if name.endswith("bin") else write_tlog)(path, 1.0)
    whole = path.read_bytes()
    problems = 0
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 20)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        start = chance.randrange(len(data))
        del data[start : start + chance.randint(0, 40)]
        path.write_bytes(bytes(data))
        report = store.import_file(path, "dataflash" if name.endswith("bin") else "tlog", dry_run=True)
        assert report.state == "would import" or report.reason
        problems += bool(report.problems)
    assert problems > 100
    middle = bytearray(whole)
    del middle[len(whole) // 2 : len(whole) // 2 + 7]
    path.write_bytes(bytes(middle))
    assert detect(path).name == ("dataflash" if name.endswith("bin") else "tlog")
    report = store.import_file(path)
    assert report.state == "imported" and report.problems[0].startswith("damaged: ") and "1 place" in report.problems[0]


def test_a_definition_that_contradicts_itself_costs_its_messages_alone(store: SessionStore, tmp_path: Path) -> None:
    path = tmp_path / "flight.bin"
    write_bin(path, 1.0)
    data = bytearray(path.read_bytes())
    place = data.index(b"IMU\0") - 1
    data[place] = 0  # the length: pymavlink's reader prints a line for each message
    path.write_bytes(bytes(data))
    report = store.import_file(path)
    assert "IMU" not in report.topics and report.topics["ATT"].records_out == 10
    assert any(problem.startswith("IMU: 0 bytes do not fit") for problem in report.problems)
    assert any(problem.startswith("damaged: ") for problem in report.problems)
