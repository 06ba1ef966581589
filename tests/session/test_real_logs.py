"""Recordings as simulators and logs make them: ids, vectors, orders, attempts, names of streams, many streams."""

from __future__ import annotations

import math
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sessionstore.errors import InvalidName, InvalidRecord, SessionStoreError, TimeOrderError
from sessionstore.playback.charts import figures
from sessionstore.playback.replay import Replay
from sessionstore.session import frames, stream_identity, stream_names
from sessionstore.store import SessionStore


@pytest.mark.parametrize(
    ("point", "reason"),
    [({"drone": "b", "position": [0, 0, 0], "velocity": "abc"}, "velocity"),
     ({"drone": "b", "position": [0, 0, 0], "velocity": [1, 2]}, "velocity"),
     ({"position": [0, 0, 0]}, "drone"), ({"drone": "b"}, "position"), ({"drone": None, "position": [0, 0, 0]}, "id"),
     ({"drone": True, "position": [0, 0, 0]}, "id"), ({"drone": "b", "position": 5}, "position"),
     ({"drone": "b", "position": "abc"}, "position"), ({"drone": "b", "position": [0, 0, "x"]}, "position"),
     ({"drone": "b", "position": [0, 0, 0], "orientation": [0, 0, math.inf]}, "orientation"), (5, "object")],
)  # fmt: skip
def test_extend_checks_every_point_before_it_writes(store: SessionStore, point: Any, reason: str) -> None:
    good = {"drone": "a", "position": [1, 2, 3]}
    with store.record("x") as session:
        with pytest.raises(InvalidRecord, match=reason):
            session.motion.extend([good, point], 0.0)
        assert session.tape("motion_history").count() == 0 and session.motion.movements == {}
        session.motion.extend([good], 0.0)
    assert session.record.status == "completed"


def test_ids_and_vectors_of_log_readers_are_taken(store: SessionStore) -> None:
    with store.record("x") as session:
        session.motion.append(0, 0.0, (np.float32(0), np.int64(2), np.array(3.5)))
        session.motion.append(np.int64(0), np.float64(1.0), np.array([1, 2, 3], dtype=np.float32))  # type: ignore[arg-type]
        session.motion.append("a", np.array(1.5), (0, 0, 0), velocity_mps=np.array([np.float32(3), 4, 0]))  # type: ignore[arg-type]
        for wrong in (None, True, 1.5, b"x"):
            with pytest.raises(InvalidRecord, match="id of a drone"):
                session.motion.append(wrong, 2.0, (0, 0, 0))  # type: ignore[arg-type]
    history = Replay(session).window().history
    assert [point["position"] for point in history["0"]] == [[0.0, 2, 3.5], [1.0, 2.0, 3.0]]
    assert session.record.status == "completed"
    assert session.record.performance_metrics["drones"]["0"]["points"] == 2
    assert session.record.performance_metrics["drones"]["a"]["max_speed_mps"] == 5.0


def test_drones_whose_names_differ_in_case_are_reported(store: SessionStore, caplog: pytest.LogCaptureFixture) -> None:
    with store.record("x") as session:
        for name in ("Scout-1", "scout-1", "Scout-1"):
            session.motion.append(name, 0.0, (0, 0, 0))
    assert session.record.performance_metrics["totals"]["similar_names"] == [["Scout-1", "scout-1"]]
    assert caplog.text.count("differ only in spelling") == 1


def test_logs_written_one_after_another_replay_chart_and_add_up_as_if_in_order(store: SessionStore) -> None:
    moments = [tick / 10 for tick in range(50)]
    with store.record("in order") as right:
        for moment in moments:
            for drone in "abc":
                right.motion.append(drone, moment, (moment**2, 0, 5), battery=1 - moment / 10)
    with store.record("one after another") as logs:
        for drone in "abc":
            for moment in moments if drone != "b" else reversed(moments):
                logs.motion.append(drone, moment, (moment**2, 0, 5), battery=1 - moment / 10)
    one, other = Replay(right), Replay(logs)
    assert other.bounds() == one.bounds() == (0.0, 4.9)
    assert other.window().history == one.window().history
    assert other.window(1.0, 2.0).history == one.window(1.0, 2.0).history
    assert other.window(step_s=0.25).history == one.window(step_s=0.25).history
    assert other.at(3.33) == one.at(3.33)
    assert other.window(most_bytes=0, max_points=8).history.keys() == one.window().history.keys()
    assert figures(logs)["altitude"]["data"] == figures(right)["altitude"]["data"]
    metrics = [session.record.performance_metrics for session in (right, logs)]
    assert metrics[0] == metrics[1] and metrics[1]["drones"]["b"]["distance_m"] > 20
    assert logs.record.duration_sim_s == right.record.duration_sim_s == 4.9


def test_order_for_each_drone_is_checked_on_request(store: SessionStore) -> None:
    with store.record("x", order="drone") as session:
        session.motion.append("a", 5.0, (0, 0, 0))
        session.motion.append("b", 1.0, (0, 0, 0))
        with pytest.raises(TimeOrderError, match="a: 4"):
            session.motion.append("a", 4.0, (0, 0, 0))
        with pytest.raises(TimeOrderError):
            session.motion.extend([{"drone": each, "position": [0, 0, 0]} for each in "ab"], 2.0)
    assert session.tape("motion_history").count() == 2


_KILLED = """
import os, sys
import sessionstore
store = sessionstore.open(sys.argv[1])
session = store.record("long")
for moment in range(100):
    session.motion.append("a", moment, (moment, 0, 5))
session.event("landed", t_s=80.0)
print(session.session_id, flush=True)
os._exit(9)
"""


def test_a_run_that_goes_on_from_a_checkpoint_is_a_new_attempt(store: SessionStore) -> None:
    command = [sys.executable, "-c", _KILLED, str(store.root.path)]
    session_id = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    with store.start(session_id, resume_at_s=60) as session:
        assert session.sim_time_s == 60
        for moment in range(60, 70):
            session.motion.append("a", moment, (60, moment - 60, 5))
    assert session.attempts() == [60.0]
    latest, first = Replay(session), Replay(session, attempt=0)
    assert latest.bounds() == (0.0, 69.0) and first.bounds() == (0.0, 99.0)
    points = latest.window().history["a"]
    assert [point["sim_time"] for point in points] == list(range(70)) and points[65]["position"] == [60, 5, 5]
    assert first.window().history["a"][65]["position"] == [65, 0, 5]
    assert session.tape("motion_history").count() == 110  # nothing is deleted
    assert list(session.tape("events").in_time()) == []  # landed at 80 s, in an attempt that was replaced
    assert [line.data["kind"] for line in session.tape("events").in_time(attempt=0)] == ["landed"]
    record = session.record
    assert record.performance_metrics["drones"]["a"]["points"] == 70
    assert record.performance_metrics["totals"]["distance_m"] == pytest.approx(59 + 1 + 9)


@pytest.mark.parametrize("name", ["con", "NUL", "aux", "Com1"])
def test_reserved_names_are_refused_with_one_that_would_do(store: SessionStore, name: str) -> None:
    with store.record("x") as session, pytest.raises(InvalidName, match=f"'{name}_' would do"):
        session.stream(name)


def test_a_name_that_differs_in_case_is_refused_and_existing_streams_stay_readable(store: SessionStore) -> None:
    with store.record("x") as session:
        session.stream("Loss").append({"v": 1})
        with pytest.raises(InvalidName, match="use 'Loss'"):
            session.stream("loss")
        (session.folder / "con.jsonl").write_text('{"v": 2}\n')
        session.writer("con").append({"v": 3})
        assert [line.data["v"] for line in session.tape("con").read()] == [2, 3]
    with pytest.raises(InvalidName, match="'loss_of_gps' would do"):
        session.tape("loss of gps")


def test_copies_of_macos_and_sync_programs_are_not_streams(store: SessionStore) -> None:
    with store.record("x") as session:
        session.stream("loss").append({"v": 1})
    for name in ("._loss.jsonl", "loss (conflicted copy 2026-11-23).jsonl", "loss.sync-conflict-2026.jsonl"):
        (session.folder / name).write_bytes(b"\0\1")
    assert list(session.tapes()) == ["clock", "loss"]


def test_the_table_of_streams_names_each_once_and_all_names_hold() -> None:
    assert all(stream_names.check_new(name, stream_names.KINDS) == name for name in stream_names.KINDS)
    assert set(stream_names.FOLLOWED) <= set(stream_names.KINDS)
    assert tuple(stream_names.TABS) == ("events", "commands", "communication")


_MANY = """
import sys
import sessionstore
with sessionstore.open(sys.argv[1]).record("many") as session:
    for round in range(3):
        for number in range(400):
            session.stream(f"s{number}").append({"round": round})
"""


def test_four_hundred_streams_with_256_descriptors(store: SessionStore) -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    command = [sys.executable, "-c", _MANY, str(store.root.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=few)
    assert done.returncode == 0, done.stderr
    session = store.get("latest")
    assert session.record.status == "completed" and len(session.tapes()) == 401
    for number in (0, 199, 399):
        assert [line.data["round"] for line in session.tape(f"s{number}").read()] == [0, 1, 2]


def test_resuming_moves_nothing_that_another_program_changed(store: SessionStore) -> None:
    session = store.record("x")
    session.motion.append("a", 0.0, (0, 0, 0))
    for writer in session._writers.values():
        writer.close()
    session._ended.set()
    for path in session.folder.glob("*.jsonl"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    with store.start(session.session_id) as again:
        again.motion.append("a", 1.0, (1, 0, 0))
    assert list(store.root.quarantined()) == []
    assert len(Replay(again).window().history["a"]) == 2


def test_streams_of_another_session_are_known_and_their_bytes_stay_those_of_the_seed(store: SessionStore) -> None:
    sessions = []
    for name, height in (("one", 5), ("two", 5), ("other", 7)):
        with store.record(name) as session:
            for moment in range(5):
                session.motion.append("a", moment, (moment, 0, height))
            session.event("landed", t_s=5.0)
        sessions.append(session)
    one, two, other = sessions
    same = [each.tape("motion_history").path.read_bytes() for each in (one, two)]
    assert same[0] == same[1]
    assert [stream_identity.foreign_streams(each.record, each.tapes()) for each in sessions] == [{}, {}, {}]
    two.tape("motion_history").path.write_bytes(other.tape("motion_history").path.read_bytes())
    assert set(stream_identity.foreign_streams(two.record, two.tapes())) == {"motion_history"}
    for name in ("clock", "motion_history", "events"):
        one.tape(name).path.write_bytes(other.tape(name).path.read_bytes())
    assert set(stream_identity.foreign_streams(one.record, one.tapes())) == {"clock", "motion_history", "events"}
    one.update(notes="edited")
    assert one.tape("clock").check().whole and one.tape("clock").order().plain


@pytest.mark.parametrize("value", [0.0, 0.7, -2.5, math.pi / 2])
def test_quaternions_headings_and_ned_become_east_north_up(value: float) -> None:
    assert frames.from_quaternion(0, 0, math.sin(value / 2), math.cos(value / 2))[2] == pytest.approx(value)
    assert frames.from_quaternion(2 * math.sin(value / 4), 0, 0, 2 * math.cos(value / 4))[0] == pytest.approx(value / 2)
    assert frames.from_heading_degrees(90)[2] == pytest.approx(0) and frames.from_heading_degrees(0)[2] == math.pi / 2
    assert frames.from_yaw_degrees(270)[2] == pytest.approx(-math.pi / 2)
    assert frames.ned_to_enu(1, 2, 3) == (2, 1, -3)
    assert frames.orientation_from_ned(0.1, 0.2, 0)[:2] == (0.1, -0.2)
    with pytest.raises(ValueError, match="not a rotation"):
        frames.from_quaternion(0, 0, 0, 0)


def test_a_forked_child_that_does_nothing_holds_no_lock_of_a_stream(store: SessionStore, tmp_path: Path) -> None:
    program = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from sessionstore.session.stream_writer import StreamWriter\n"
        "writer = StreamWriter(Path(sys.argv[1]), 'os')\n"
        "writer.append({'v': 1})\n"
        "writer._file.lock()\n"  # as another thread would hold it at the fork
        "if os.fork() == 0:\n"
        "    os.close(1); os.close(2); time.sleep(20); os._exit(0)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    path = tmp_path / "s.jsonl"
    subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, check=False, timeout=60)
    from sessionstore.session.stream_writer import StreamWriter

    try:
        StreamWriter(path).append({"v": 2})
    except SessionStoreError as error:  # pragma: no cover
        pytest.fail(f"the child keeps the lock: {error}")
