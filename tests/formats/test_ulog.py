"""PX4 logs: what replays, what is counted, and that damage is reported."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from sessionstore.cli import group
from sessionstore.formats import detect, ulog_scan, ulog_topics
from sessionstore.store import SessionStore
from tests.conftest import DATA
from tests.formats.ulog_files import Log, varied_log

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
    whole, end = LOG.read_bytes(), 16
    while end < 20_000:
        end += 3 + int.from_bytes(whole[end : end + 2], "little")
    (tmp_path / "log.ulg").write_bytes(whole[:end] + (end + 5).to_bytes(2, "little") + b"\x01" + bytes(20))
    report = store.import_file(tmp_path / "log.ulg")
    assert report.state == "skipped" and "holds no data" in str(report.reason)
    (tmp_path / "log.ulg").write_bytes(whole[: end + 5])
    report = store.import_file(tmp_path / "log.ulg")
    assert report.state == "failed" and "the definitions end within a message" in str(report.reason)


def equals_the_library(store: SessionStore, path: Path) -> int:
    """Compare every value of every message, and the moments, with what pyulog reads; return their number."""
    log = pyulog.ULog(str(path))
    report = store.import_file(path)
    assert (report.state, report.problems) == ("imported", []), report.reason
    tapes = store.get(str(report.session_id)).tapes()
    timed = [data for data in log.data_list if "timestamp" in data.data]
    flown = [data for data in timed if data.name == "vehicle_local_position"] or timed
    start = min(int(t) for data in flown for t in data.data["timestamp"] if t)
    count = 0
    for data in timed:
        name = f"{data.name}_{data.multi_id}" if data.multi_id else data.name
        lines = list(tapes[name].read())
        times = data.data["timestamp"].tolist()
        assert [line.t_s for line in lines] == [(t - start) / 1e6 for t in times], name
        expected: dict[str, list[object]] = {}
        for label, column in data.data.items():
            if label == "timestamp" or "_padding" in label:
                continue
            values = [plain(value) for value in column.tolist()]
            group, bracket, rest = label.rpartition("[")
            if bracket and rest.endswith("]") and rest[:-1].isdigit():
                known = expected.setdefault(group, [[] for _ in values])
                for row, value in zip(known, values, strict=True):
                    assert isinstance(row, list)
                    row.append(value)
            else:
                expected[label] = list(values)
            count += len(values)
        assert {label for line in lines for label in line.data if label != "nan"} == set(expected), name
        for label, values in expected.items():
            assert [line.data[label] for line in lines] == values, (name, label)
    return count


def plain(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def test_every_value_of_every_message_is_that_which_the_library_reads(
    store: SessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert equals_the_library(store, LOG) > 100_000
    path = tmp_path / "varied.ulg"
    path.write_bytes(varied_log(1))
    assert equals_the_library(store, path) > 20_000
    monkeypatch.setattr(ulog_scan, "_LEAST_BYTES", 1 << 17)
    monkeypatch.setattr(ulog_scan, "_PIECE_BYTES", 70_001)  # messages lie across the ends of pieces
    monkeypatch.setattr(ulog_topics, "_ROWS_AT_ONCE", 5)
    path.write_bytes(varied_log(2))
    assert equals_the_library(store, path) > 20_000


def test_messages_texts_dropouts_and_parameters_are_those_which_the_library_reads(
    store: SessionStore, tmp_path: Path
) -> None:
    path = tmp_path / "varied.ulg"
    path.write_bytes(varied_log(3, 12_000))
    log, report = pyulog.ULog(str(path)), store.import_file(path)
    session = store.get(str(report.session_id))
    start = int(log.get_dataset("vehicle_local_position").data["timestamp"].min())
    logged = [*log.logged_messages, *log.logged_messages_tagged[3]]
    texts = [(line.t_s, line.data["message"]) for line in session.tape("log").read()]
    assert sorted(texts) == sorted(((each.timestamp - start) / 1e6, each.message) for each in logged)
    events = list(session.tape("events").read())
    dropped = [(line.t_s, line.data["duration_ms"]) for line in events if line.data["kind"] == "dropout"]
    assert dropped == [((each.timestamp - start) / 1e6, each.duration) for each in log.dropouts] and len(dropped) > 3
    changed = [(line.t_s, line.data["name"], line.data["value"]) for line in events if line.data["kind"] == "parameter"]
    assert changed == [((t - start) / 1e6, name, value) for t, name, value in log.changed_parameters] and changed
    assert session.record.metadata["px4"] == {
        "information": {"sys": "px4", "release": 17, "perf": ["abab", "ab"]},
        "parameters": {"MPC_A": 0.25},
    }
    path.write_bytes(varied_log(3, timeless=True))
    counted = store.import_file(path, dry_run=True).topics["timeless"]
    assert counted.messages_in > 0 and counted.records_out == 0


def test_appended_data_keeps_its_topics(store: SessionStore, tmp_path: Path) -> None:
    """The library forgets them: it finds no more data behind the first part."""
    reports = []
    for number, appended in enumerate((False, True)):
        path = tmp_path / f"{number}.ulg"
        path.write_bytes(varied_log(4, 1000, appended))
        report = store.import_file(path, dry_run=True)
        assert report.problems == []
        reports.append(report.topics)
    assert reports[0] == reports[1]


def test_messages_behind_damage_are_found_and_the_damage_is_counted(store: SessionStore, tmp_path: Path) -> None:
    whole, path = varied_log(5, 3000), tmp_path / "damaged.ulg"
    path.write_bytes(whole)
    before = store.import_file(path, dry_run=True).topics
    path.write_bytes(whole[:30_000] + bytes(500) + whole[30_500:])
    report = store.import_file(path, dry_run=True)
    lost = sum(each.messages_in for each in before.values()) - sum(each.messages_in for each in report.topics.values())
    assert 5 < lost < 30
    assert len(report.problems) == 1 and re.search("passed over, the first at byte (29|30)...$", report.problems[0])


def test_padding_at_the_end_of_a_message_may_be_written_or_not(store: SessionStore, tmp_path: Path) -> None:
    log = Log()
    log.put("F", b"wind:uint64_t timestamp;float speed;uint8_t[4] _padding0;")
    log.topic(0, "wind")
    log.row(0, "<Qf", 1000, 2.5)
    log.row(0, "<Qf4x", 2000, 3.5)
    (tmp_path / "log.ulg").write_bytes(log.bytes())
    report = store.import_file(tmp_path / "log.ulg")
    lines = [(line.t_s, line.data) for line in store.get(str(report.session_id)).tape("wind").read()]
    assert lines == [(0.0, {"speed": 2.5}), (0.001, {"speed": 3.5})] and report.problems == []
