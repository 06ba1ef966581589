"""Recording: live streams, a beat, and an end that is always told, by the run or by whoever looks."""

from __future__ import annotations

import logging
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import sessionstore
from sessionstore.errors import IllegalTransition, InvalidRecord, StreamClosed, TimeOrderError
from sessionstore.model import liveness
from sessionstore.store import SessionStore


def data_of(store: SessionStore, stream: str) -> list[dict[str, object]]:
    return [line.data for line in store.get("latest").tape(stream).read()]


def test_a_run_records_itself_in_a_few_lines(store: SessionStore) -> None:
    with store.record("flight", metadata={"pilot": "Ada"}, duration_planned_s=2.0) as session:
        for tick in range(21):
            session.motion.append("scout-1", t_s=tick / 10, position_m=(tick / 10, 0, 5), battery=1 - tick / 100)
            session.motion.append("scout-2", t_s=tick / 10, position_m=np.zeros(3), velocity_mps=[0, 0, 0])
        session.log("on its way")
        assert session.status == "running" and session.record.owner is not None
    record = session.record
    assert (record.status, record.end_reason, record.duration_sim_s) == ("completed", "completed", 2.0)
    assert record.performance_metrics["totals"] == {"points": 42, "distance_m": 2.0, "never_moved": ["scout-2"]}
    figures = record.performance_metrics["drones"]["scout-1"]
    assert figures["extent_m"] == [2.0, 0.0, 0.0] and figures["max_speed_mps"] == pytest.approx(1.0)
    assert [drone["id"] for drone in record.drones] == ["scout-1", "scout-2"] and session.replay_available
    (row,) = store.find()
    assert (row.points, row.distance_m, row.num_drones) == (42, 2.0, 2)
    assert data_of(store, "log") == [{"level": "info", "message": "on its way"}]


def test_an_exception_marks_the_session_failed_and_goes_on_its_way(store: SessionStore) -> None:
    with pytest.raises(ZeroDivisionError), store.record("flight") as session:
        session.motion.append("a", t_s=1.5, position_m=(0, 0, 0))
        _ = 1 / 0
    assert (session.status, session.record.end_reason) == ("failed", "ZeroDivisionError: division by zero")
    (event,) = data_of(store, "events")
    assert event["kind"] == "exception" and "_ = 1 / 0" in str(event["traceback"])


def test_ctrl_c_stops_the_session_with_everything_kept(store: SessionStore) -> None:
    with pytest.raises(KeyboardInterrupt), store.record("flight") as session:
        session.log("before")
        raise KeyboardInterrupt
    assert session.status == "stopped" and data_of(store, "log")


def test_log_lines_of_a_program_go_into_the_session(store: SessionStore) -> None:
    logger = logging.getLogger("test.flight")
    with store.record("flight") as session:
        handler = session.handler(logging.WARNING)
        logger.addHandler(handler)
        logger.warning("wind %s m/s", 9)
        logger.info("not this")
        try:
            raise RuntimeError("gust")
        except RuntimeError:
            logger.exception("lost")
        logger.removeHandler(handler)
    first, second = data_of(store, "log")
    assert first == {"level": "warning", "message": "wind 9 m/s", "logger": "test.flight"}
    assert second["level"] == "error" and "RuntimeError: gust" in str(second["traceback"])


def test_phases_are_remembered_with_their_moment(store: SessionStore) -> None:
    with store.record("flight") as session:
        session.motion.append("a", t_s=3.25, position_m=(0, 0, 0))
        session.workflow("SCAN", reason="go")
    moves = [move for move in session.transitions() if move["field"] == "workflow_state"]
    assert [(move["new"], move["reason"], move["sim_time"]) for move in moves] == [("SCAN", "go", 3.25)]


def test_progress_is_in_the_record_while_it_runs(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sessionstore.session.recorder.PROGRESS_S", 0.0)
    with store.record("flight") as session:
        session.beat(1.0, windows_cleaned=3)
        session.beat(2.0, windows_cleaned=4)
        (row,) = store.find()
        assert (row.duration_sim_s, row.windows_cleaned) == (2.0, 4)


@pytest.mark.parametrize(
    ("point", "error"),
    [({"position_m": (0, 0)}, InvalidRecord), ({"position_m": (0, 0, float("nan"))}, InvalidRecord),
     ({"position_m": (0, 0, 0), "t_s": "now"}, TimeOrderError),
     ({"position_m": (0, 0, 0), "t_s": math.nan}, TimeOrderError)],
)  # fmt: skip
def test_a_bad_point_is_refused_never_bent(store: SessionStore, point: dict[str, object], error: type) -> None:
    with store.record("flight") as session:
        with pytest.raises(error):
            session.motion.append("a", **{"t_s": 0.0, **point})
        assert not session.tape("motion_history").exists()


def test_a_session_that_ended_cannot_be_started_or_written_again(store: SessionStore) -> None:
    with store.record("flight") as session:
        session.finish("stopped", "enough")
        session.finish("completed")
        with pytest.raises(StreamClosed):
            session.log("late")
    assert (session.status, session.record.end_reason) == ("stopped", "enough")
    with pytest.raises(IllegalTransition):
        store.start(session.session_id)


def test_a_created_session_can_be_started_later(store: SessionStore) -> None:
    session_id = store.create("flight").session_id
    with store.start("flight") as session:
        assert session.session_id == session_id
    assert [row.status for row in store.find()] == ["completed"]


CHILD = """
import sys, time, sessionstore
store = sessionstore.open(sys.argv[1])
session = store.record("flight").__enter__()
number = 0
while True:
    session.motion.append("a", t_s=number / 20, position_m=(number, 0, 0))
    print(number, flush=True)
    number += 1
"""


def test_a_killed_run_is_listed_as_interrupted_with_every_acknowledged_point(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path / "store")], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        for _ in range(300):
            last = child.stdout.readline()
        store = sessionstore.open(tmp_path / "store")
        assert store.find("status=running") and not store.find("status=interrupted")
        child.send_signal(signal.SIGKILL)
        last = child.stdout.read().splitlines()[-1:] or [last]
    (row,) = store.find("status=interrupted")
    assert row.problem == f"process {child.pid} is gone" and not store.find("status=running")
    session = store.get("flight")
    assert session.status == "interrupted" and session.record.status == "running"
    points = [line.data["position"][0] for line in session.tape("motion_history").read()]
    assert points == list(range(len(points))) and len(points) > int(last[0])
    assert session.replay_available


def test_the_reasons_of_an_interruption() -> None:
    me, now = liveness.here(), time.time()
    assert liveness.why_interrupted(me, now, now) is None
    assert liveness.why_interrupted(me, None, now) is None
    assert liveness.why_interrupted({**me, "boot_id": "another"}, now, now) == "host rebooted"
    assert "is gone" in str(liveness.why_interrupted({**me, "pid_started": 1}, now, now))
    assert liveness.why_interrupted(me, now - 45, now) is None  # it is alive, whatever keeps it from beating
    assert liveness.why_silent(me, now - 45, now) == f"process {os.getpid()} is alive, no heartbeat for 45 s"
    assert liveness.why_silent(me, now - 5, now) is None
    assert liveness.why_interrupted({**me, "pid_started": None}, now - 45, now) == "no heartbeat for 45 s"
    elsewhere = {**me, "host": "elsewhere", "pid": 1}
    assert liveness.why_interrupted(elsewhere, now - 5, now) is None
    assert liveness.why_interrupted(elsewhere, now - 99, now) == "no heartbeat for 99 s"


def test_a_beat_pairs_sim_time_with_utc(store: SessionStore) -> None:
    with store.record("flight") as session:
        session.motion.append("a", t_s=4.0, position_m=(0, 0, 0))
    lines = list(session.tape("clock").read())
    assert lines[0].t_s == 0.0 and lines[-1].t_s == 4.0 and str(lines[-1].data["utc"]).endswith("Z")


def test_representations_are_short_and_safe(store: SessionStore) -> None:
    with store.record("<b>flight</b>") as session:
        session.workflow("<script>")
    assert repr(session) == f"<Recorder {session.session_id}>"
    assert "<script>" not in session._repr_html_() and "&lt;script&gt;" in session._repr_html_()
    assert "<script>" not in store._repr_html_() and os.sep in repr(store)


def test_the_figures_of_the_end_count_every_point_also_those_after_the_last_progress(store: SessionStore) -> None:
    with store.record("flight") as session:
        session.motion.append("a", t_s=0.0, position_m=(0, 0, 0))
        session.beat(0.0, points=1, windows_cleaned=2)
        session.motion.append("a", t_s=1.0, position_m=(1, 0, 0))
    totals = session.record.performance_metrics["totals"]
    assert (totals["points"], totals["windows_cleaned"]) == (2, 2)
    assert session.record.streams == {"clock": 2, "motion_history": 2}
