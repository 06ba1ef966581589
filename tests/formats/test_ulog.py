"""PX4 logs: what replays, what is counted, and that damage is reported."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from sessionstore.cli import group
from sessionstore.formats import detect
from sessionstore.store import SessionStore
from tests.conftest import DATA

pyulog = pytest.importorskip("pyulog")
LOG = DATA / "px4_flight_small.ulg"


def test_a_flight_has_positions_attitude_battery_origin_phases_and_parameters(store: SessionStore) -> None:
    report = store.import_file(LOG, name="PX4")
    assert (report.state, report.format, report.problems) == ("imported", "ulog", [])
    session = store.get("PX4")
    record = session.record
    log = pyulog.ULog(str(LOG))
    local = log.get_dataset("vehicle_local_position").data
    points = [line.data for line in session.tape("motion_history").read()]
    assert len(points) == len(local["timestamp"]) == 636
    assert points[300]["position"] == pytest.approx([local["y"][300], local["x"][300], -local["z"][300]])
    assert all(0.7 < point["battery"] < 0.8 and len(point["orientation"]) == 3 for point in points[100:])
    assert points[-1]["mode"] == "manual" and record.workflow_state == "manual"
    assert record.gps is not None and record.gps["lat"] == pytest.approx(63.41706, abs=1e-4)
    assert record.started_at is not None and record.started_at.startswith("2021-04-21T06:30")
    assert record.duration_sim_s == pytest.approx(6.5, abs=0.5)
    assert len(record.metadata["px4"]["parameters"]) > 900
    events = [line.data["kind"] for line in session.tape("events").read()]
    assert {"armed", "disarmed", "took_off", "landed", "mode", "dropout"} <= set(events)
    assert [line.data["message"] for line in session.tape("log").read()][:1] == ["[commander] Takeoff detected"]
    assert session.transitions()[0]["new"] == "manual"
    assert store.doctor().findings == []


def test_each_message_of_the_log_is_counted_and_found_in_its_stream(store: SessionStore) -> None:
    report = store.import_file(LOG)
    session = store.get(str(report.session_id))
    expected = {
        f"{data.name}_{data.multi_id}" if data.multi_id else data.name: len(data.data["timestamp"])
        for data in pyulog.ULog(str(LOG)).data_list
    }
    found = {name: sum(1 for _ in tape.read()) for name, tape in session.tapes().items()}
    assert {name: found[name] for name in expected} == expected
    assert {name: report.topics[name].messages_in for name in expected} == expected
    assert store.import_file(LOG).state == "already there"


def test_the_command_shows_the_counts(store: SessionStore) -> None:
    arguments = ["import", str(LOG), "--dir", str(store.root.path)]
    tried = CliRunner().invoke(group, [*arguments, "--dry-run", "--json"])
    assert tried.exit_code == 0 and json.loads(tried.output)["files"][0]["state"] == "would import"
    shown = CliRunner().invoke(group, arguments)
    assert shown.exit_code == 0 and "vehicle_local_position" in shown.output and "636" in shown.output
    assert store.find()[0].session_name == "px4_flight_small"


def damaged(whole: bytes, count: int) -> Iterator[bytes]:
    chance = random.Random(7)
    for _ in range(count):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 20)):
            data[chance.randrange(16, len(data))] = chance.randrange(256)
        yield bytes(data)


def test_a_log_cut_anywhere_is_a_partial_import_that_says_where_it_ends(store: SessionStore, tmp_path: Path) -> None:
    whole, path = LOG.read_bytes(), tmp_path / "cut.ulg"
    states = set()
    for part in range(1, 100, 4):
        path.write_bytes(whole[: len(whole) * part // 100])
        report = store.import_file(path, dry_run=True)
        states.add(report.state)
        assert report.state in ("would import", "failed", "skipped")
        if report.state == "would import":
            assert any("of " in problem and "byte" in problem for problem in report.problems), part
        else:
            assert report.reason
    assert "would import" in states


def test_a_damaged_log_is_imported_in_part_or_refused_with_a_reason(store: SessionStore, tmp_path: Path) -> None:
    whole, path = LOG.read_bytes()[:120_000], tmp_path / "damaged.ulg"
    for data in damaged(whole, 40):
        path.write_bytes(data)
        assert detect(path).name == "ulog"
        report = store.import_file(path, dry_run=True)
        assert report.state == "would import" or report.reason


def test_an_imported_flight_has_the_end_and_the_duration_of_its_data(store: SessionStore) -> None:
    report = store.import_file(LOG)
    record = store.get(report.session_id).record
    assert record.started_at == record.created_at == "2021-04-21T06:30:58.450524Z"
    assert record.ended_at == "2021-04-21T06:31:04.946676Z"
    assert record.duration_wall_s == record.duration_sim_s == 6.496152


def test_definitions_that_end_within_a_message_are_refused_and_not_read_for_ever(
    store: SessionStore, tmp_path: Path
) -> None:
    """The library goes back by the length that the last header names: here to the first message, without end."""
    whole, end = LOG.read_bytes(), 16
    while end < 20_000:
        end += 3 + int.from_bytes(whole[end : end + 2], "little")
    (tmp_path / "log.ulg").write_bytes(whole[:end] + (end + 5).to_bytes(2, "little") + b"\x01" + bytes(20))
    report = store.import_file(tmp_path / "log.ulg")
    assert report.state == "failed" and "the definitions end within a message" in str(report.reason)
