"""The live run: it records itself, whatever the clock, the pauses and the onlookers do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore.boxes.session_buildings_box import SessionBuildingsBox
from sessionstore.boxes.session_db_box import SessionDBBox
from sessionstore.session import Session
from sessionstore.simulation.errors import CommandRefused, NotRunning
from sessionstore.simulation.hmrs_simulation_live import HMRSSimulationLive
from sessionstore.simulation.mission.faults import Fault
from sessionstore.simulation.running.scenarios import Group, Order, Scenario
from sessionstore.store import SessionStore
from tests.simulation.flights import ALL_KINDS, scenario

REPEATABLE = (
    "motion_history", "events", "communication", "commands", "metrics", "weather", "ml_training", "tether", "windows",
)  # fmt: skip


def live_run(store: SessionStore, plan: Scenario, **options: Any) -> HMRSSimulationLive:
    return HMRSSimulationLive(plan, session_db_box=SessionDBBox(store=store), **options)


def in_thread(live: HMRSSimulationLive) -> threading.Thread:
    thread = threading.Thread(target=live.run)
    thread.start()
    return thread


def until(condition: Any, timeout_s: float = 60.0) -> None:
    """Poll for something that another thread does."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


def streams(store: SessionStore, session_id: str) -> dict[str, bytes]:
    folder = store.root.folder(session_id)
    return {name: path.read_bytes() for name in REPEATABLE if (path := folder / f"{name}.jsonl").exists()}


def records_of(session: Session, stream: str) -> list[dict[str, Any]]:
    return [{"t": line.t_s, **line.data} for line in session.tape(stream).read()]


def test_a_run_leaves_a_session_that_explains_itself(store: SessionStore) -> None:
    live = live_run(store, scenario(duration_s=60.0, fleet=ALL_KINDS), session_name="Butterfly")
    session = store.get(live.run())
    record = session.record
    assert record.session_id.endswith("-Butterfly")
    assert (record.status, record.end_reason) == ("completed", "completed")
    assert (record.duration_planned_s, record.duration_sim_s) == (60.0, 60.0)
    assert record.num_buildings == 3 and record.provenance["seed"] == 7 and record.provenance["scenario_hash"]
    assert [d["id"] for d in record.drones] == [f"{group.kind}-1" for group in ALL_KINDS]
    states = [move["new"] for move in session.transitions() if move.get("field", "workflow_state") == "workflow_state"]
    assert states[:3] == ["buildings_spawned", "drones_spawned", "SCAN"]
    assert {"weather", "metrics", "events", "communication", "motion_history", "windows"} <= set(session.tapes())
    assert session.replay_available
    totals = record.performance_metrics["totals"]
    assert sum(totals["phases_s"].values()) == pytest.approx(60.0)
    figures = record.performance_metrics["drones"]["scout-1"]
    lines = [line for line in records_of(session, "motion_history") if line["drone"] == "scout-1"]
    assert figures["points"] == len(lines) > 500
    assert figures["distance_m"] > 10 and figures["battery"]["used_wh"] > 0


def test_buildings_and_base_are_stored_at_spawn_with_the_hidden_ones_marked(store: SessionStore) -> None:
    live = live_run(store, scenario(duration_s=1.0, hidden_buildings=2))
    live.run()
    boxes = SessionBuildingsBox(SessionDBBox(store=store))
    rows = boxes.list_buildings(live.session_id)
    assert [row["visible"] for row in rows] == [True] * 3 + [False] * 2
    base = boxes.get_base(live.session_id)
    assert base is not None and base["return_point"] == [0.0, 0.0, 5.0]
    record = store.get(live.session_id).record
    assert (record.num_buildings, record.num_invisible_buildings) == (3, 2)


def test_two_runs_of_one_seed_are_byte_identical(store: SessionStore) -> None:
    plan = scenario(
        duration_s=200.0, fleet=ALL_KINDS, faults=(Fault("link_loss", 5.0, "scout-1", 5.0),),
        orders=(Order(5.0, "move_to", "quadcopter-1", (10.0, 10.0, 30.0)),),
    )  # fmt: skip
    one, two = (live_run(store, plan).run() for _ in range(2))
    assert streams(store, one) == streams(store, two)
    assert set(streams(store, one)) == set(REPEATABLE) and len(streams(store, one)["motion_history"]) > 100_000


def test_real_time_pauses_and_onlookers_change_no_byte(store: SessionStore) -> None:
    plan = scenario(duration_s=20.0)
    fast = live_run(store, plan).run()
    pauses = {40, 140, 240}  # ticks: an onlooker that is served late would come after the end

    def look_out(run: HMRSSimulationLive) -> None:
        if run.fleet.clock.ticks in pauses:
            run.pause()

    live = live_run(store, plan, realtime=25.0, on_tick=look_out)
    thread = in_thread(live)
    for _ in pauses:
        until(lambda: live.run_state == "paused")
        before = live.state()["sim_time"]
        assert live.state()["sim_time"] == before and live.state()["paused"]
        live.resume()
        until(lambda before=before: live.fleet.clock.t_s > before)
    thread.join(30)
    assert streams(store, live.session_id) == streams(store, fast)
    assert store.get(live.session_id).record.status == "completed"


def test_a_real_time_factor_is_kept(store: SessionStore) -> None:
    live = live_run(store, scenario(duration_s=20.0), realtime=20.0)
    began = time.monotonic()
    live.run()
    assert 0.9 <= time.monotonic() - began < 15.0  # and not twenty


def test_commands_from_another_thread_are_traceable(store: SessionStore) -> None:
    live = live_run(store, scenario(duration_s=3600.0, fleet=(Group("quadcopter"),), buildings=0))
    thread = in_thread(live)
    until(lambda: live.run_state == "running" and live.fleet.clock.t_s > 1)
    good = live.submit_command("move_to", "quadcopter-1", [10.0, 10.0, 20.0])
    bad = live.submit_command("move_to", "nobody", [10.0, 10.0, 20.0])
    late = live.spawn("scout", "late")
    until(lambda: live.command_status(good)["status"] in ("done", "failed"))
    until(lambda: live.command_status(late)["status"] == "done")
    assert live.command_status(bad) == {"status": "failed", "reason": "there is no drone 'nobody'"}
    assert len(live.state()["buildings"]) == 0 and "buildings" not in live.state(scene=False)
    assert {d["id"] for d in live.state()["drones"]} == {"quadcopter-1", "late"}
    with pytest.raises(CommandRefused):
        live.submit_command("dance", "quadcopter-1")
    live.stop()
    thread.join(30)
    session = store.get(live.session_id)
    assert (session.record.status, session.record.end_reason) == ("stopped", "stopped by user")
    story = [(line["id"], line["status"]) for line in records_of(session, "commands")]
    assert [status for number, status in story if number == good] == ["queued", "applied", "done"]
    assert [d["id"] for d in session.record.drones] == ["quadcopter-1", "late"]
    with pytest.raises(NotRunning):
        live.submit_command("hover", "quadcopter-1")
    with pytest.raises(NotRunning):
        live.pause()
    with pytest.raises(NotRunning):
        live.run()
    assert live.state()["run_state"] == "stopped"


def test_a_command_that_the_end_overtakes_is_told_as_failed(store: SessionStore) -> None:
    plan = scenario(duration_s=5.0, orders=(Order(100.0, "hover", "scout-1"), Order(4.0, "return", "scout-2")))
    session = store.get(live_run(store, plan).run())
    story = [(line["id"], line["status"], line.get("reason")) for line in records_of(session, "commands")]
    assert story[-2:] == [(1, "failed", "the run ended before"), (2, "failed", "the run ended before")]


class BrokenBox:
    """A creator box with a bug."""

    def create_session(self, session_name: str | None = None, **fields: Any) -> Mapping[str, Any]:
        raise ZeroDivisionError("a bug in the box")


def test_when_the_creator_box_fails_the_database_box_makes_the_session(store: SessionStore) -> None:
    live = live_run(store, scenario(duration_s=1.0), creator_box=BrokenBox())
    live.run()
    assert live.creation["fallback_used"] is True
    assert "a bug in the box" in str(live.fallback_reason)
    session = store.get(live.session_id)
    assert session.record.status == "completed"
    assert "ZeroDivisionError" in next(iter(records_of(session, "log")))["message"]


def test_when_both_boxes_fail_nothing_starts(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    box = SessionDBBox(training_sessions_dir=blocked / "store")
    with pytest.raises(sessionstore.errors.SessionStoreError):
        HMRSSimulationLive(scenario(), session_db_box=box, creator_box=BrokenBox())


def test_an_exception_marks_the_session_failed_with_its_traceback(store: SessionStore) -> None:
    def explode(live: HMRSSimulationLive) -> None:
        if live.fleet.clock.ticks == 40:
            raise RuntimeError("the rotor came off")

    live = live_run(store, scenario(), on_tick=explode)
    with pytest.raises(RuntimeError):
        live.run()
    session = store.get(live.session_id)
    assert session.record.status == "failed" and "rotor" in str(session.record.end_reason)
    assert any("the rotor came off" in str(line) for line in records_of(session, "events"))
    assert live.run_state == "failed"


def test_a_created_session_is_started_and_not_made_twice(store: SessionStore) -> None:
    waiting = store.create("Waiting").session_id
    live = live_run(store, scenario(duration_s=1.0), session_id=waiting)
    assert live.run() == waiting
    assert len(list(store.find())) == 1


def test_an_early_end_and_a_lost_drone_are_told_in_the_record(store: SessionStore) -> None:
    plan = scenario(duration_s=180.0, faults=(Fault("drone_lost", 5.0, "scout-1"), Fault("early_end", 8.5)))
    record = store.get(live_run(store, plan).run()).record
    assert (record.status, record.duration_sim_s) == ("failed", 8.5)
    assert record.end_reason == "early end at 8.5 s (fault); drone lost: scout-1"


def command_line(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from sessionstore.cli import main; main()", "run", *arguments]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_session_as_stopped_with_everything_kept(
    store: SessionStore, number: signal.Signals, code: int
) -> None:
    process = started(store, "--duration", "100000", "--realtime", "50")
    process.send_signal(number)
    assert process.wait(30) == code
    session = store.get("latest")
    assert (session.record.status, session.record.end_reason) == ("stopped", f"stopped by {number.name}")
    assert session.record.performance_metrics["totals"]["points"] == sum(
        1 for _ in records_of(session, "motion_history")
    )


def test_a_killed_run_is_found_interrupted_with_its_records_readable(store: SessionStore) -> None:
    process = started(store, "--duration", "100000", "--realtime", "50")
    process.kill()
    process.wait(30)
    session = store.get("latest")
    assert session.record.status == "running" and session.status == "interrupted"
    assert sum(1 for _ in records_of(session, "motion_history")) > 10


def started(store: SessionStore, *options: str) -> subprocess.Popen[bytes]:
    """A run in another process that has recorded something."""
    folder = store.root.path
    process = subprocess.Popen(
        command_line("--dir", str(folder), "--buildings", "1", "--scout", "1", *options),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": "."},
    )  # fmt: skip
    until(lambda: any(path.stat().st_size > 5000 for path in folder.glob("*/motion_history.jsonl")), 60)
    return process


def test_a_mule_that_had_nothing_to_do_is_no_warning_and_a_stuck_one_is(store: SessionStore) -> None:
    fleet = (Group("climber"), Group("tanker-mule", 2))
    plan = scenario(fleet=fleet, duration_s=20.0, faults=(Fault("stuck", 1.0, "tanker-mule-2"),))
    live = HMRSSimulationLive(plan, training_sessions_dir=store.root.path)
    live.run()
    record, (row,) = store.get(live.session_id).record, store.find()
    metrics = record.performance_metrics
    assert metrics["totals"]["never_moved"] == ["tanker-mule-2"] and row.remark == "never moved: tanker-mule-2"
    assert metrics["drones"]["tanker-mule-1"]["idle"] and "idle" not in metrics["drones"]["tanker-mule-2"]
    assert not any("tanker-mule-1" in warning for warning in metrics["totals"]["warnings"])
