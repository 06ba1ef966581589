"""MCAP there and back, bags by their own writers, geodesy, and what damage does."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import sessionstore
from sessionstore.errors import Conflict
from sessionstore.formats import export_session
from sessionstore.formats.geodesy import Origin
from sessionstore.session import Session
from sessionstore.store import SessionStore
from tests.formats.bags import write_pose_bag

pytest.importorskip("mcap")
pytest.importorskip("foxglove")
GPS = {"lat": 52.0, "lon": 4.3, "alt": 1.5}


def flown(store: SessionStore, gps: dict[str, float] | None) -> Session:
    with store.record("fly", gps=gps) as session:
        for step in range(100):
            for drone in range(3):
                session.motion.append(f"d{drone}", step * 0.1, [step / 3, drone * 2.123456789, 5.0], None, [0, 0, 0.3])
            session.stream("link").append({"rssi": -50 - step}, t_s=step * 0.1)
        session.stream("log").append({"level": "warning", "message": "wind"}, t_s=3.0)
    return store.get("fly")


def lines(session: Session, name: str) -> list[tuple[float, object]]:
    return [(line.t_s, line.data) for line in session.tape(name).in_time()]


def test_a_session_comes_back_from_mcap_as_it_was(store: SessionStore, tmp_path: Path) -> None:
    from mcap.reader import make_reader

    session = flown(store, GPS)
    path = export_session(session, tmp_path / "fly.mcap")
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        counts: dict[str, int] = {}
        for schema, channel, _ in reader.iter_messages():
            assert schema is not None
            counts[channel.topic] = counts.get(channel.topic, 0) + 1
    assert (counts["/tf"], counts["/location/d0"], counts["/log"], counts["/sessionstore/link"]) == (300, 100, 1, 100)
    (tmp_path / "other").mkdir()
    with sessionstore.open(tmp_path / "other") as other:
        report = other.import_file(path)
        assert (report.state, report.problems) == ("imported", [])
        back = other.get("fly")
        assert all(lines(back, name) == lines(session, name) for name in session.tapes())
        assert back.record.gps == GPS and other.doctor().findings == []
    with pytest.raises(Conflict):
        export_session(session, path)


def test_a_cut_or_damaged_mcap_is_imported_in_part_or_refused(store: SessionStore, tmp_path: Path) -> None:
    whole = export_session(flown(store, GPS), tmp_path / "fly.mcap").read_bytes()
    path, chance = tmp_path / "cut.mcap", random.Random(3)
    for part in range(1, 100, 4):
        path.write_bytes(whole[: len(whole) * part // 100])
        report = store.import_file(path, "mcap", dry_run=True)
        assert report.reason if report.state != "would import" else "partial" in " ".join(report.problems)
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(10):
            data[chance.randrange(8, len(data))] = chance.randrange(256)
        path.write_bytes(bytes(data))
        report = store.import_file(path, "mcap", dry_run=True)
        assert report.state == "would import" or report.reason


def test_geographic_positions_come_back_to_the_micrometre() -> None:
    for origin in (Origin(52, 4.3, 1.5), Origin(-33.9, 151.2, 40), Origin(0, 179.999, 0)):
        for place in ((0.0, 0.0, 0.0), (1234.5, -987.6, 120.0), (-20_000.0, 30_000.0, 5.0)):
            assert origin.to_enu(*origin.to_geographic(*place)) == pytest.approx(place, abs=1e-6)


def test_a_ros_bag_of_poses_is_a_flight(store: SessionStore, tmp_path: Path) -> None:
    write_pose_bag(tmp_path / "bag")
    report = store.import_file(tmp_path / "bag")
    assert (report.state, report.format, report.topics["/uav1/pose"].messages_in) == ("imported", "rosbag", 10)
    points = [line.data for line in store.get("bag").tape("motion_history").read()]
    assert [point["position"][0] for point in points] == list(range(10)) and points[0]["drone"] == "uav1"
