"""Tables as sessions: columns guessed by name and unit or given by a map, messy files, and every row counted."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sessionstore.cli import group
from sessionstore.formats import ImportReport, detect
from sessionstore.session import Session
from sessionstore.store import SessionStore
from tests.conftest import DATA

FLEET = "time,name,x,y,z,charge\n" + "".join(
    f"{tick / 10},{name},{tick / 10},{side},5.0,{1 - tick / 500}\n"
    for side, name in enumerate("ab")
    for tick in range(50)
)


def imported(
    store: SessionStore, path: Path, text: str | bytes, columns: str | None = None
) -> tuple[Session, ImportReport]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    report = store.import_file(path, columns=columns)
    assert report.state == "imported", report.reason
    return store.get(str(report.session_id)), report


def points(session: Session) -> list[dict[str, Any]]:
    return [{"t": line.t_s, **line.data} for line in session.tape("motion_history").read()]


def test_a_long_table_has_its_drones_positions_and_battery(store: SessionStore, tmp_path: Path) -> None:
    session, report = imported(store, tmp_path / "fleet.csv", FLEET)
    assert report.problems == [] and "battery = 'charge'" in report.notes[0]
    assert (report.topics["rows"].messages_in, report.topics["rows"].records_out) == (100, 100)
    assert {name: each["points"] for name, each in session.metrics["drones"].items()} == {"a": 50, "b": 50}
    last = points(session)[-1]
    assert (last["t"], last["drone"], last["position"], last["battery"]) == (4.9, "b", [4.9, 1, 5.0], 0.902)
    assert session.replay_available and session.duration_s == 4.9 and store.doctor().findings == []
    assert store.import_file(tmp_path / "fleet.csv").state == "already there"


@pytest.mark.parametrize(
    "header",
    ["uav1_x,uav1_y,uav1_z,uav2_x,uav2_y,uav2_z", "x_uav1,y_uav1,z_uav1,x_uav2,y_uav2,z_uav2",
     "uav1.pos.x,uav1.pos.y,uav1.pos.z,uav2.pos.x,uav2.pos.y,uav2.pos.z",
     "uav1/position[0],uav1/position[1],uav1/position[2],uav2/position[0],uav2/position[1],uav2/position[2]"],
)  # fmt: skip
def test_a_wide_table_has_all_drones_of_a_row(store: SessionStore, tmp_path: Path, header: str) -> None:
    rows = "0,1,2,3,4,5,6,7.5,takeoff\n1,1,2,4,4,5,7,7.5,mission\n"
    session, _ = imported(store, tmp_path / "wide.csv", f"t,{header},wind,mode\n{rows}")
    assert [row["new"] for row in session.transitions()] == ["takeoff", "mission"]
    assert [(p["t"], p["drone"], p["position"]) for p in points(session)] == [
        (0, "uav1", [1, 2, 3]), (0, "uav2", [4, 5, 6]), (1, "uav1", [1, 2, 4]), (1, "uav2", [4, 5, 7]),
    ]  # fmt: skip
    assert [line.data["wind"] for line in session.tape("telemetry").read()] == [7.5, 7.5]


def test_a_map_names_columns_units_and_a_drone_for_each_star(store: SessionStore, tmp_path: Path) -> None:
    text = "ms,l_h,r_h,l_e,r_e,l_n,r_n\n0,10,20,1,2,3,4\n500,11,21,1,2,3,4\n"
    session, _ = imported(store, tmp_path / "a.csv", text, "t=ms:ms,x=*_e:km,y=*_n,z=*_h:ft")
    (first, second, third, _) = points(session)
    assert first["drone"] == "l" and first["position"] == [1000, 3, pytest.approx(3.048)]
    assert second["drone"] == "r" and second["position"][:2] == [2000, 4] and third["t"] == 0.5
    one, _ = imported(store, tmp_path / "b.csv", "0 1 2 3\n1 1 2 4\n", "t=1,x=2,y=3,z=4,drone='hawk'")
    assert [(p["drone"], p["position"]) for p in points(one)] == [("hawk", [1, 2, 3]), ("hawk", [1, 2, 4])]
    rated, _ = imported(store, tmp_path / "c.csv", "x,y,z\n1,2,3\n1,2,4\n", "rate=50")
    assert [p["t"] for p in points(rated)] == [0, 0.02]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [("x=nope", "no column 'nope' for x; there are 'time', 'name'"), ("q=x", "no role 'q' in a map"),
     ("x=x:deg", "x cannot be in deg"), ("frame=sideways", "frame is enu or ned"), ("x", "a map is ROLE=COLUMN"),
     ("zone=Mars/Olympus", "no time zone"), ("rate=fast", "rate is the number"), ("t=name", "holds no times")],
)  # fmt: skip
def test_a_map_that_cannot_be_used_says_why_and_leaves_nothing(
    store: SessionStore, tmp_path: Path, columns: str, reason: str
) -> None:
    (tmp_path / "fleet.csv").write_text(FLEET)
    report = store.import_file(tmp_path / "fleet.csv", columns=columns)
    assert report.state in ("failed", "skipped") and reason in str(report.reason)
    assert store.find() == []


def test_a_table_without_times_says_what_to_give(store: SessionStore, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y,z\n1,2,3\n")
    report = store.import_file(tmp_path / "a.csv")
    assert (
        report.state == "skipped" and "--map t=COLUMN" in str(report.reason) and "'x', 'y', 'z'" in str(report.reason)
    )


@pytest.mark.parametrize(
    ("name", "times", "expected", "started"),
    [
        ("t", ("12.5", "13.25"), 0.75, None),
        ("time_ms", ("1000", "1750"), 0.75, None),
        ("TimeUS", ("112000000", "112750000"), 0.75, None),
        ("timestamp", ("112000000", "112004000"), 0.004, None),
        ("timestamp", ("1790000000.25", "1790000001.0"), 0.75, "2026-09-21T14:13:20.25"),
        ("timestamp", ("1790000000250", "1790000001000"), 0.75, "2026-09-21T14:13:20.25"),
        ("#timestamp [ns]", ("1790000000250000000", "1790000001000000001"), 0.750000001, "2026-09-21T14:13:20.25"),
        ("time", ("2026-09-21T16:13:20.25+02:00", "2026-09-21T16:13:21+02:00"), 0.75, "2026-09-21T14:13:20.25"),
        ("datetime(utc)", ("2026-09-21 14:13:20.25", "2026-09-21 14:13:21"), 0.75, "2026-09-21T14:13:20.25"),
        ("time", ("21.09.2026 14:13:20.250", "21.09.2026 14:13:21.0"), 0.75, "2026-09-21T14:13:20.25"),
        ("time", ("00:59:59.5", "01:00:00.25"), 0.75, None),
    ],
)  # fmt: skip
def test_times_are_seconds_from_the_first_in_any_usual_form(
    store: SessionStore, tmp_path: Path, name: str, times: tuple[str, str], expected: float, started: str | None
) -> None:
    session, _ = imported(store, tmp_path / "a.csv", f"{name},x,y,z\n{times[0]},1,2,3\n{times[1]},1,2,4\n")
    assert [p["t"] for p in points(session)] == [0, pytest.approx(expected, abs=1e-9)]
    begun = session.record.started_at
    assert (begun is None) == (started is None) and (started is None or str(begun).startswith(started))
    if started is not None:
        assert session.record.created_at == begun and next(iter(session.tape("clock").read())).data["utc"] == begun


def test_a_zone_is_that_of_the_map(store: SessionStore, tmp_path: Path) -> None:
    text = "time,x,y\n2026-09-21 16:13:20,1,2\n2026-09-21 16:13:21,1,2\n"
    session, _ = imported(store, tmp_path / "a.csv", text, "zone=Europe/Berlin")
    assert str(session.record.started_at).startswith("2026-09-21T14:13:20")


def test_a_messy_file_is_read_as_it_is_meant(store: SessionStore, tmp_path: Path) -> None:
    text = (
        "\ufeff\"Zeit\";\"drone\";\"x\";\"y\";\"z\";\"Höhe über Grund (m)\";\"note\"\r\n"
        '"0,0";"a";"1,5";"2,5";"3,5";"";"first; quoted ""so"""\r\n'
        '"0,5";"a";"1,6";"2,5";"3,5";"12,25";\r\n'
        "\r\n"
        '"Zeit";"drone";"x";"y";"z";"Höhe über Grund (m)";"note"\r\n'
        '"1,0";"a";"1.001,6";"";"3,5";"13";""\r\n'
        '"1,5";"a";"1,7";"2,5";"3,5";"13";"";"one cell more"\r\n'
    )  # fmt: skip
    session, report = imported(store, tmp_path / "messy.csv", text, "t=Zeit")
    assert [(p["t"], p["position"][0]) for p in points(session)] == [(0, 1.5), (0.5, 1.6), (1.5, 1.7)]
    assert (report.topics["rows"].messages_in, report.topics["rows"].records_out) == (4, 3)
    assert report.topics["(repeated header)"].messages_in == 1
    assert any("1 rows without a position: rows 6" in note for note in report.notes), report.notes
    others = [line.data for line in session.tape("telemetry").read()]
    assert others[0]["note"] == 'first; quoted "so"' and others[1]["Höhe über Grund (m)"] == 12.25
    assert others[-1]["column 8"] == "one cell more"


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8-sig", "latin-1"])
def test_other_encodings_are_found_or_given(store: SessionStore, tmp_path: Path, encoding: str) -> None:
    text = "time,name,x,y,z\n0,Möwe,1,2,3\n1,Möwe,1,2,4\n"
    session, _ = imported(store, tmp_path / "a.csv", text.encode(encoding))
    assert [p["drone"] for p in points(session)] == ["Möwe", "Möwe"]
    assert detect(tmp_path / "a.csv").name == "csv"


def test_a_line_that_is_not_utf_8_is_read_as_cp1252_and_counted(store: SessionStore, tmp_path: Path) -> None:
    rows = "".join(f"{n},Spatz,1,2,3\n" for n in range(9000)).encode()
    session, report = imported(store, tmp_path / "a.csv", b"time,name,x,y,z\n" + rows + b"9000,M\xf6we,1,2,3\n")
    assert points(session)[-1]["drone"] == "Möwe" and any("1 lines are not UTF-8" in note for note in report.notes)


def test_a_log_of_degrees_has_an_origin_and_its_feet_and_headings_are_turned(
    store: SessionStore, tmp_path: Path
) -> None:
    text = (
        "time(millisecond),datetime(utc),latitude,longitude,altitude_above_seaLevel(feet),compass_heading(degrees),"
        "pitch(degrees),roll(degrees),battery_percent,flycState,xSpeed(mph),message\n"
        "0,2026-09-21 14:13:20,0,0,0,90,0,0,88,Motors_Started,0,\n"
        "100,2026-09-21 14:13:20,51.9,4.48,100,90,10,0,88,Assisted_Takeoff,0,Taking off\n"
        "200,2026-09-21 14:13:20,51.901,4.48,200,0,0,0,87,P-GPS,22.4,\n"
    )
    session, report = imported(store, tmp_path / "airdata.csv", text)
    first, second = points(session)
    assert (
        first["position"] == pytest.approx([0, 0, 0], abs=1e-6)
        and first["battery"] == 0.88
        and first["mode"] == "Assisted_Takeoff"
    )
    assert second["position"] == [
        pytest.approx(0, abs=0.01),
        pytest.approx(111.26, abs=0.05),
        pytest.approx(30.48, abs=0.01),
    ]
    assert first["orientation"] == [0, pytest.approx(math.radians(-10)), pytest.approx(0)]
    assert second["orientation"][2] == pytest.approx(math.pi / 2)
    assert session.record.gps == {"lat": 51.9, "lon": 4.48, "alt": pytest.approx(30.48)}
    assert [line.data["message"] for line in session.tape("log").read()] == ["Taking off"]
    assert [row["new"] for row in session.transitions()] == ["Motors_Started", "Assisted_Takeoff", "P-GPS"]
    assert str(session.record.started_at).startswith("2026-09-21T14:13:20") and report.topics["rows"].records_out == 2


def test_a_px4_log_as_csv_gives_the_positions_of_the_log(store: SessionStore, tmp_path: Path) -> None:
    pyulog = pytest.importorskip("pyulog")
    from pyulog.ulog2csv import convert_ulog2csv

    convert_ulog2csv(str(DATA / "px4_flight_small.ulg"), "vehicle_local_position", str(tmp_path), ",", None, None)
    (path,) = tmp_path.glob("*.csv")
    report = store.import_file(path)
    local = pyulog.ULog(str(DATA / "px4_flight_small.ulg")).get_dataset("vehicle_local_position").data
    found = points(store.get(str(report.session_id)))
    assert len(found) == len(local["x"]) == 636 and report.problems == []
    assert found[300]["position"] == pytest.approx([local["y"][300], local["x"][300], -local["z"][300]], abs=1e-4)
    assert found[300]["t"] == pytest.approx((local["timestamp"][300] - local["timestamp"][0]) / 1e6)
    assert found[300]["orientation"][2] == pytest.approx(math.pi / 2 - local["heading"][300], abs=1e-6)


def test_a_trajectory_in_columns_of_spaces_has_its_names_in_a_comment(store: SessionStore, tmp_path: Path) -> None:
    text = "# timestamp tx ty tz qx qy qz qw\n1790000000.0 1 2 3 0 0 0 1\n1790000000.5 1 2 4 0 0 0.7071068 0.7071068\n"
    session, _ = imported(store, tmp_path / "traj.txt", text)
    first, second = points(session)
    assert first["orientation"] == [0, 0, 0] and second["orientation"][2] == pytest.approx(math.pi / 2)
    assert second["t"] == 0.5 and second["position"] == [1, 2, 4]


def test_a_table_of_training_goes_into_metrics_by_its_steps(store: SessionStore, tmp_path: Path) -> None:
    session, _ = imported(store, tmp_path / "log.csv", "epoch,loss,acc\n0,0.5,0.1\n1,0.25,0.2\n")
    lines = list(session.tape("metrics").read())
    assert [(line.t_s, line.data) for line in lines] == [
        (0, {"loss": 0.5, "acc": 0.1, "step": 0}), (1, {"loss": 0.25, "acc": 0.2, "step": 1}),
    ]  # fmt: skip


def test_json_lines_of_nested_objects_and_parquet_of_them_give_the_same_session(
    store: SessionStore, tmp_path: Path
) -> None:
    rows = [{"t": n / 10, "drone": f"d{n % 2}", "pose": {"position": {"x": n, "y": 0.5, "z": 2}},
             "velocity": [1.0, 0.0, 0.5], "wind": {"speed": n}} for n in range(20)]  # fmt: skip
    session, report = imported(store, tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)) + "\n")
    assert report.problems == [] and points(session)[3] == {
        "t": 0.3, "drone": "d1", "position": [3, 0.5, 2], "velocity": [1, 0, 0.5],
    }  # fmt: skip
    assert [line.data for line in session.tape("telemetry").read()][3] == {"drone": "d1", "wind.speed": 3}
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet", row_group_size=7)
    assert detect(tmp_path / "a.parquet").name == "parquet"
    other = store.get(str(store.import_file(tmp_path / "a.parquet").session_id))
    assert points(other) == points(session)


def test_instants_in_nanoseconds_of_parquet_are_exact(store: SessionStore, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    at = pa.array([1790000000250000000, 1790000000250000123], pa.timestamp("ns", "UTC"))
    pq.write_table(pa.table({"time": at, "x": [1.0, 2.0], "y": [1, None]}), tmp_path / "a.parquet")
    report = store.import_file(tmp_path / "a.parquet")
    session = store.get(str(report.session_id))
    assert [line.t_s for line in session.tape("motion_history").read()] == [0] and report.topics[
        "rows"
    ].messages_in == 2
    assert str(session.record.started_at).startswith("2026-09-21T14:13:20.25")


def test_a_stream_of_a_session_comes_back_with_the_same_points(store: SessionStore) -> None:
    with store.record("first", started_at=datetime(2026, 1, 1, tzinfo=UTC)) as session:
        for n in range(30):
            session.motion.append("d", n / 10, (n, 0.1 * n, 5), (1, 0, 0), (0, 0, 0.1), battery=1 - n / 100)
    report = store.import_file(session.path / "motion_history.jsonl", name="again")
    assert report.state == "imported" and points(store.get("again")) == points(store.get("first"))


def test_a_file_cut_within_a_row_says_where_it_ends(store: SessionStore, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(FLEET + "5.0,b,5.")
    report = store.import_file(tmp_path / "a.csv", dry_run=True)
    assert [problem for problem in report.problems if problem.startswith("partial: it ends at byte")], report
    (tmp_path / "a.jsonl").write_text('{"t":0,"x":1,"y":2}\n{"t":1,"x":1,"y":2}\n{"t":2,"x"')
    report = store.import_file(tmp_path / "a.jsonl", dry_run=True)
    assert report.topics["rows"].records_out == 2 and "line 3, byte 40" in report.problems[0]


def test_the_command_shows_what_was_guessed_and_takes_a_map(store: SessionStore, tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text(FLEET)
    arguments = ["import", str(tmp_path / "f.csv"), "--dir", str(store.root.path)]
    tried = CliRunner().invoke(group, [*arguments, "--dry-run"])
    assert tried.exit_code == 0 and "x = 'x' (m)" in tried.output and store.find() == []
    done = CliRunner().invoke(group, [*arguments, "--map", "x=y,y=x,battery=-"])
    assert done.exit_code == 0 and "x = 'y' (m)" in done.output
    assert points(store.get("latest"))[60]["position"] == [1, 1.0, 5]


def test_a_table_of_our_own_streams_has_its_lists_and_nothing_twice(store: SessionStore, tmp_path: Path) -> None:
    text = (
        "n,sim_time,drone,position,velocity,orientation,battery,x,y,z\n"
        '0,0.5,a,"[0.0,2.5,5.0]","[1,0,0]","[0.0,0.0,0.1]",1.0,0.0,2.5,5.0\n'
        '1,1.5,b,"[1.23456789,2.5,5.0]","[1,0,0]",,0.5,1.23456789,2.5,5.0\n'
    )
    session, _ = imported(store, tmp_path / "part-0.csv", text)
    assert points(session) == [
        {
            "t": 0,
            "drone": "a",
            "position": [0, 2.5, 5],
            "velocity": [1, 0, 0],
            "orientation": [0, 0, 0.1],
            "battery": 1,
        },
        {"t": 1, "drone": "b", "position": [1.23456789, 2.5, 5], "velocity": [1, 0, 0], "battery": 0.5},
    ]
    assert list(session.tapes()) == ["motion_history"]
