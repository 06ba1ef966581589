"""A run always gets its end: whatever its figures, its exceptions and its threads do."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import sessionstore
from sessionstore.errors import InvalidRecord
from sessionstore.model import liveness
from sessionstore.store import SessionStore
from tests.outage import eventually


def test_figures_that_cannot_be_stored_are_left_out_with_the_reason(store: SessionStore) -> None:
    with store.record("x") as session:
        session.motion.append("a", t_s=0, position_m=(-1e308, 0, 0))
        session.motion.append("a", t_s=1, position_m=(1e308, 0, 0))
        session.finish(
            performance_metrics={"totals": {"windows_cleaned": 3, "bad": object()}, "drones": {"a": 5}, (1, 2): 3},
            end_reason="done \ud800",
            duration_sim_s=-1,
        )
    record = store.get("x").record
    assert (record.status, record.end_reason) == ("completed", "done \\ud800")
    metrics = record.performance_metrics
    assert metrics["totals"]["windows_cleaned"] == 3 and metrics["drones"]["a"]["points"] == 2
    assert metrics["drones"]["a"]["distance_m"] is None and "Infinity" in record.extra["not_finite"].values()
    assert set(metrics["refused"]) == {"/totals/bad", "/(1, 2)", "duration_sim_s"}


def test_totals_of_the_wrong_shape_cost_no_end(store: SessionStore) -> None:
    with store.record("x") as session:
        session.finish(performance_metrics={"totals": 5, "drones": [1]})
    assert session.status == "completed" and set(session.metrics["refused"]) == {"/totals", "/drones"}


def test_a_status_that_does_not_exist_is_refused_and_the_run_can_still_be_ended(store: SessionStore) -> None:
    with store.record("x") as session:
        with pytest.raises(InvalidRecord):
            session.finish("flying")
        assert session.status == "running"
    assert session.status == "completed"


class Rude(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("error", [Rude(), ValueError("half \ud800"), ValueError("x" * 3_000_000), RecursionError()])
def test_an_exception_of_the_programs_own_leaves_failed(store: SessionStore, error: Exception) -> None:
    with pytest.raises(type(error)), store.record("x"):
        raise error
    record = store.get("x").record
    assert record.status == "failed" and record.end_reason and record.ended_at is not None


def test_an_exception_inside_a_block_of_points_leaves_failed(store: SessionStore) -> None:
    def points():  # type: ignore[no-untyped-def]
        yield {"drone": "a", "position": (0, 0, 0)}
        raise KeyError("mine")

    with pytest.raises(KeyError), store.record("x") as session:
        session.motion.extend(points(), t_s=0.0)
    assert session.status == "failed" and "mine" in str(session.record.end_reason)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_shows_in_the_end_of_the_run_that_it_used(store: SessionStore) -> None:
    def work(recorder: sessionstore.Recorder) -> None:
        recorder.log("begun")
        raise ZeroDivisionError("in the thread")

    with store.record("other") as other, store.record("x") as session:
        thread = threading.Thread(target=work, args=(session,), name="scout")
        thread.start()
        thread.join()
    assert session.status == "failed" and "thread scout died: ZeroDivisionError: in the thread" in str(
        session.record.end_reason
    )
    (event,) = [line.data for line in session.tape("events").read()]
    assert event["kind"] == "thread_died" and "def" not in event["message"] and "work" in event["traceback"]
    assert other.status == "completed"


def test_what_a_completed_run_does_not_say_is_in_the_list(store: SessionStore) -> None:
    with store.record("still", duration_planned_s=300) as session:
        for number in range(200):
            session.motion.append("a", t_s=0, position_m=(number, 0, 0))
            session.motion.append("b", t_s=0, position_m=(0, 0, 0))
    with store.record("good", duration_planned_s=2) as session:
        session.motion.append("a", t_s=0, position_m=(0, 0, 0))
        session.motion.append("a", t_s=2, position_m=(1, 0, 0))
    remark = "never moved: b; time stood still: 400 points at 0 s; ended at 0 of 300 s planned"
    assert {row.session_name: row.remark for row in store.find()} == {"good": None, "still": remark}
    assert [row.session_name for row in store.find('remark~"stood still"')] == ["still"]


def test_a_killed_run_lists_the_points_and_the_distance_of_its_stream(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        child.kill()
    (row,) = sessionstore.open(tmp_path).find()
    assert (row.status, row.points, row.distance_m) == ("interrupted", 2, 5.0)


CHILD = """
import sys, time, sessionstore
session = sessionstore.open(sys.argv[1]).record("flight").__enter__()
session.motion.append("a", t_s=0, position_m=(0, 0, 0))
session.motion.append("a", t_s=1, position_m=(3, 4, 0))
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see the state of a process")
def test_a_stopped_process_of_this_host_is_alive_whatever_its_heartbeat(tmp_path: Path) -> None:
    started = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    with started as child, contextlib.ExitStack() as stack:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        stack.callback(child.kill)  # whatever fails: a stopped process would be waited for
        child.send_signal(signal.SIGSTOP)
        stat = Path(f"/proc/{child.pid}/stat")
        eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")  # no heartbeat is on its way
        store = sessionstore.open(tmp_path)
        session = store.get("flight")
        old = time.time() - 40.2
        os.utime(session.folder / "clock.jsonl", (old, old))
        (row,) = store.find()
        assert str(row.remark).startswith(f"process {child.pid} is stopped")
        assert (row.status, session.status) == ("running", "running") and session.interrupted() is None
        said = re.escape(f"process {child.pid} is stopped (Ctrl-Z or SIGSTOP), no heartbeat for ") + r"[4-9]\d s"
        assert re.fullmatch(said, str(liveness.why_silent(session.record.owner, session.last_beat())))
        (finding,) = store.doctor().findings
        assert finding.code == "suspended" and re.fullmatch(said, finding.what)
        child.kill()
    assert store.find()[0].status == "interrupted"
