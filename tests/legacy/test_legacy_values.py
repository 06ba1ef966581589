"""What stands in old files: times of every kind, torn texts, numbers that nobody can calculate with."""

from __future__ import annotations

import contextlib
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstore.errors import Corrupt, InvalidRecord
from sessionstore.legacy import instants
from sessionstore.legacy.importer import import_legacy
from sessionstore.legacy.tolerant import load
from sessionstore.maintenance.doctor import examine
from sessionstore.store import SessionStore
from tests.old_folders import FIXTURES, imported, motion, old_folder


def test_naive_times_are_read_in_the_zone_that_was_stated_and_never_guessed(store: SessionStore) -> None:
    assert imported(store, FIXTURES / "naive")["naive"].state == "skipped"
    report = imported(store, FIXTURES / "naive", zone="Europe/Zurich")["naive"]
    record = store.get(str(report.session_id)).record
    assert (record.started_at, record.duration_sim_s) == ("2025-12-13T19:46:00.000000Z", 2.5)
    assert record.provenance["imported_from"]["zone"] == "Europe/Zurich"
    with pytest.raises(InvalidRecord, match="no time zone 'Mars/Olympus'"):
        imported(store, FIXTURES, zone="Mars/Olympus")


def test_naive_times_beside_sim_time_leave_the_utc_unknown(store: SessionStore, tmp_path: Path) -> None:
    points = [{"position": [i, 0, 0], "sim_time": i, "timestamp": f"2025-12-13T20:46:0{i}"} for i in range(4)]
    (report,) = import_legacy(store, old_folder(tmp_path, motion_history={"d": points}))
    session = store.get(str(report.session_id))
    assert [t_s for t_s, _ in motion(session)] == [0, 1, 2, 3]
    assert session.record.started_at is None and not session.tape("clock").exists()
    assert any("4 timestamps without a zone" in problem for problem in report.problems)
    assert session.record.created_at == "2025-12-13T19:46:00.000000Z"
    assert session.record.provenance["imported_from"]["created_at_from"] == "the name of the folder, read as UTC"
    assert any("read as UTC" in problem for problem in report.problems)


EPOCH = 1765655160.0


@pytest.mark.parametrize(
    ("stamps", "axis"),
    [
        ([EPOCH, EPOCH + 1.5], "timestamp"),
        ([EPOCH * 1000, (EPOCH + 1.5) * 1000], "timestamp"),
        (["2025-12-13T19:46:00Z", "2025-12-13T20:46:01.5+01:00"], "timestamp"),
        ([str(EPOCH), str(EPOCH + 1.5)], "timestamp"),
        ([0.0, 1.5], "timestamp as seconds"),
    ],
)
def test_every_way_to_write_an_instant_gives_the_same_axis(
    store: SessionStore, tmp_path: Path, stamps: list[Any], axis: str
) -> None:
    points = [{"position": [0, 0, 0], "timestamp": stamp} for stamp in stamps]
    (report,) = import_legacy(store, old_folder(tmp_path, motion_history={"d": points}))
    session = store.get(str(report.session_id))
    assert [t_s for t_s, _ in motion(session)] == [0.0, 1.5]
    assert session.record.provenance["imported_from"]["time_axis"] == axis
    if axis == "timestamp":
        assert session.record.started_at == "2025-12-13T19:46:00.000000Z"


def test_a_point_without_sim_time_is_placed_by_its_timestamp_or_left_out(store: SessionStore, tmp_path: Path) -> None:
    points = [
        {"position": [0, 0, 0], "sim_time": 10.0, "timestamp": EPOCH + 10},
        {"position": [1, 0, 0], "timestamp": EPOCH + 11},
        {"position": [2, 0, 0]},
        {"position": [3, 0, 0], "sim_time": "soon"},
        {"position": [4, 0, 0], "sim_time": -1.0},
        {"position": [5, 0, 0], "sim_time": 9.0},
    ]
    (report,) = import_legacy(store, old_folder(tmp_path, motion_history={"d": points}))
    found = [(t_s, point["position"][0]) for t_s, point in motion(store.get(str(report.session_id)))]
    assert found == [(9.0, 5), (10.0, 0), (11.0, 1)]
    assert "3 points without a usable time left out" in report.problems
    assert "1 points out of order, sorted by time" in report.problems


@given(st.data())
def test_of_a_torn_file_every_element_that_is_read_is_whole(data: st.DataObject) -> None:
    points = data.draw(st.lists(st.fixed_dictionaries({"p": st.lists(st.floats(-9, 9), min_size=3, max_size=3),
                                                       "s": st.text(max_size=6)}), min_size=1, max_size=5))  # fmt: skip
    drones = {"a": points, "b": points[::-1]}
    text = json.dumps(drones, ensure_ascii=data.draw(st.booleans()), indent=data.draw(st.sampled_from([None, 1])))
    cut = data.draw(st.integers(1, len(text)))
    try:
        value = load(text[:cut].encode()).value
    except Corrupt:
        assert text[:cut].count("}") == 0 or '"}' in text[:cut]
        return
    for name, found in value.items():
        assert found == drones[name][: len(found)]
    if cut == len(text):
        assert value == drones


def test_brackets_in_a_torn_text_are_text() -> None:
    assert load(b'{"a": [{"s": "x"}, {"s": "}]\\u').value == {"a": [{"s": "x"}]}


@given(st.binary(max_size=200))
def test_no_bytes_bring_the_lenient_reader_down(data: bytes) -> None:
    with contextlib.suppress(Corrupt):
        load(data)


@given(st.one_of(st.floats(), st.integers(), st.text(max_size=30), st.none(), st.booleans(), st.lists(st.integers())))
def test_no_value_brings_the_reader_of_instants_down(value: Any) -> None:
    found = instants.read(value, None)
    assert (found.kind == "utc") == (found.utc is not None)
    assert found.seconds is None or (math.isfinite(found.seconds) and found.seconds >= 0)


HUGE = b"9" * 5000
POINT = b'"position": [1, 2, 3], "velocity": [0, 0, 0]'
UNHEARD_OF = {
    "sim_time of 5,000 digits": b'{"a": [{%s, "sim_time": %s}, {%s, "sim_time": 1}]}' % (POINT, HUGE, POINT),
    "velocity of 400 digits": b'{"a": [{"position": [1, 2, 3], "velocity": [%s, 0, 0], "sim_time": 1}]}' % HUGE[:400],
    "sim_time beyond any calendar": b'{"a": [{%s, "sim_time": 1e300, "timestamp": 1700000000.0}]}' % POINT,
    "infinity by exponent": b'{"a": [{%s, "sim_time": 1e999}, {%s, "sim_time": 1}]}' % (POINT, POINT),
    "the first day": b'{"a": [{%s, "sim_time": 1, "timestamp": "0001-01-01T00:00:00+14:00"}]}' % POINT,
    "the last day": b'{"a": [{%s, "sim_time": 1e9, "timestamp": "9999-12-31T23:59:59-12:00"}]}' % POINT,
}


@pytest.mark.parametrize("text", UNHEARD_OF.values(), ids=list(UNHEARD_OF))
def test_numbers_and_days_that_nobody_can_calculate_with_are_left_out_and_told(
    store: SessionStore, tmp_path: Path, text: bytes
) -> None:
    old_folder(tmp_path, "202501010000-Odd", motion_history=text)
    old_folder(tmp_path, "202501010000-Whole", motion_history={"a": [{"position": [1, 2, 3], "sim_time": 1}]})
    reports = imported(store, tmp_path / "old")
    assert {report.state for report in reports.values()} == {"imported"}
    assert reports["202501010000-Odd"].problems or reports["202501010000-Odd"].points == 1
    assert examine(store.root.path).healthy


@pytest.mark.parametrize("moment", [0, -(10**9), 2**38], ids=str)
def test_files_without_a_usable_time_give_a_creation_all_the_same(
    store: SessionStore, tmp_path: Path, moment: int
) -> None:
    folder = old_folder(tmp_path, "no date in its name", simulation_summary={"num_drones": 3})
    os.utime(folder / "simulation_summary.json", (moment, moment))
    assert imported(store, tmp_path / "old")["no date in its name"].state == "imported"
    assert store.find()[0].created_at[:4] in ("1970", "2446", "9999")  # file systems have a last day too


def test_a_count_beyond_all_reason_is_unknown_and_a_record_too_large_is_a_failure(
    store: SessionStore, tmp_path: Path
) -> None:
    old_folder(tmp_path, "202501010000-Count", simulation_summary={"num_buildings": 2**70})
    point = {"position": [1, 2, 3], "sim_time": 1, "note": "x" * (2 << 20)}
    old_folder(tmp_path, "202501010000-Large", motion_history={"a": [point]})
    reports = imported(store, tmp_path / "old")
    assert store.get("202501010000-Count").record.num_buildings is None
    large = reports["202501010000-Large"]
    assert (large.state, "1048576 bytes" in str(large.reason)) == ("failed", True)


def test_what_nobody_foresaw_in_one_folder_stops_no_other(
    store: SessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sessionstore.legacy import importer

    whole = importer.read_folder

    def stumbling(folder: Path, zone: Any) -> Any:
        if folder.name == "minimal":
            raise IndexError("nobody foresaw this")
        return whole(folder, zone)

    monkeypatch.setattr(importer, "read_folder", stumbling)
    reports = imported(store, FIXTURES)
    assert (reports["minimal"].state, reports["minimal"].reason) == ("failed", "IndexError: nobody foresaw this")
    assert reports["good"].state == "imported"
