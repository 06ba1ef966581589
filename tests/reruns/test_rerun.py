"""A session is run again: flights from their scenario, other programs by their command; a difference is found."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore import InvalidRecord, SessionStore
from sessionstore.boxes.session_db_box import SessionDBBox
from sessionstore.reruns.agreement import compare_streams
from sessionstore.reruns.programs import run_program
from sessionstore.reruns.rerun import changes_since, rerun
from sessionstore.session import Session
from sessionstore.simulation.hmrs_simulation_live import HMRSSimulationLive
from sessionstore.simulation.mission.faults import Fault
from sessionstore.simulation.running.scenarios import Group, Order, Scenario

OWN_PROGRAM = """
import random, sys
import sessionstore

seed = int(sys.argv[1])
run = sessionstore.current() or sessionstore.open().record("Alone")
with run:
    print("begins")
    print("careful", file=sys.stderr)
    for tick in range(50):
        x = random.Random(seed * 1000 + tick).random()
        run.motion.append("mine-1", t_s=tick / 10, position_m=(x, 0.0, 1.0))
    run.log_metric("loss", 0.25, t_s=4.9)
sys.exit(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(sessionstore.__file__).parents[1])}


@pytest.fixture
def store(tmp_path: Path) -> SessionStore:
    return sessionstore.open(tmp_path / "store")


def flown(store: SessionStore, **given: Any) -> Session:
    scenario = Scenario(
        "again", seed=7, duration_s=20.0, buildings=2, fleet=(Group("scout", 1), Group("climber", 1)),
        faults=(Fault("gps_loss", 3.0, "scout-1", 5.0),), orders=(Order(4.0, "hover", "climber-1"),),
    ).with_options(**given)  # fmt: skip
    live = HMRSSimulationLive(scenario, training_sessions_dir=store.root.path)
    live.run()
    return store.get(live.session_id)


def command_line(store: SessionStore, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sessionstore", *arguments]
    environment = {**ENVIRONMENT, "SESSIONSTORE_DIR": str(store.root.path)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=100)


def test_a_flight_is_flown_again_the_same_byte_for_byte(store: SessionStore) -> None:
    first = flown(store)
    again = rerun(store, first)
    assert again.session_id != first.session_id and again.metadata["rerun_of"] == first.session_id
    agreement = compare_streams(first, again)
    assert agreement.identical and agreement.points == first.tape("motion_history").count() > 100
    assert str(agreement).startswith("identical: ")
    assert [row.session_id for row in store.find(f'metadata.rerun_of="{first.session_id}"')] == [again.session_id]


@pytest.mark.parametrize("planted", [{"seed": 8}, {"condition": "fresh"}, {"buildings": 3}])
def test_a_planted_difference_is_found_at_its_first_record(store: SessionStore, planted: dict[str, Any]) -> None:
    difference = compare_streams(flown(store), flown(store, **planted)).difference
    assert difference is not None and difference.first != difference.again
    assert difference.line >= 1 and difference.sim_time_s is not None and difference.stream and difference.field


def test_a_changed_value_is_found_in_its_stream_line_field_and_moment(store: SessionStore) -> None:
    def recorded(loss: float) -> Session:
        with store.record("own") as run:
            for tick in range(2000):
                run.motion.append("a", tick / 20, (tick, 0, 0))
                run.stream("training").append({"loss": loss if tick == 1500 else 1.0, "step": tick}, t_s=tick / 20)
        return store.get(run.session_id)

    difference = compare_streams(recorded(1.0), recorded(0.5)).difference
    assert difference == ("training", 1501, 75.0, "loss", 1.0, 0.5)
    assert str(difference) == "training, line 1501 at 75 s: loss was 1.0, is 0.5"


def test_a_city_is_taken_from_the_session_when_its_file_has_changed(store: SessionStore, tmp_path: Path) -> None:
    square = [[[0, 0], [0.0002, 0], [0.0002, 0.0002], [0, 0.0002], [0, 0]]]
    feature = {"type": "Feature", "properties": {"building": "yes", "height": 12}, "geometry": {"type": "Polygon", "coordinates": square}}  # fmt: skip  # noqa: E501
    city = tmp_path / "town.geojson"
    city.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    first = flown(store, city=str(city))
    assert first.artifacts["town.geojson"].size == city.stat().st_size
    feature["properties"]["height"] = 30  # type: ignore[index]
    city.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    assert any("town.geojson has changed; the copy in the session is used" in each for each in changes_since(first))
    assert compare_streams(first, rerun(store, first)).identical
    assert not compare_streams(first, flown(store, city=str(city))).identical
    first.artifacts.delete("town.geojson")
    first.update(lambda record: record["provenance"]["inputs"][0].pop("artifact"))
    with pytest.raises(InvalidRecord, match="holds no copy"):
        rerun(store, first)


def test_exec_keeps_output_exit_code_and_streams_and_rerun_repeats_it(store: SessionStore, tmp_path: Path) -> None:
    program = tmp_path / "my_sim.py"
    program.write_text(OWN_PROGRAM)
    command = [sys.executable, str(program), "3"]
    done = command_line(store, "exec", "--name", "Mine", "--input", str(program), "--", *command)
    assert done.returncode == 0 and done.stdout == "begins\n" and "careful\n" in done.stderr
    first = store.get("Mine")
    record = first.record
    assert (first.status, record.duration_sim_s) == ("completed", 4.9)
    assert record.performance_metrics["totals"]["exit_code"] == 0 and record.performance_metrics["last"]["loss"] == 0.25
    assert record.performance_metrics["drones"]["mine-1"]["points"] == 50
    assert record.performance_metrics["totals"]["max_memory_bytes"] > 1 << 20
    said = {(line.data["output"], line.data["message"]) for line in first.tape("log").read()}
    assert said == {("stdout", "begins"), ("stderr", "careful")}
    kept = record.provenance["program"]["inputs"][0]
    assert first.artifacts.read(kept["artifact"]) == program.read_bytes()
    assert len(store) == 1, "the program recorded into the session that it was given"

    again = command_line(store, "rerun", "Mine", "--check", "--json", "--name", "Again")
    found = json.loads(again.stdout)
    assert again.returncode == 0 and found["identical"] and found["rerun_of"] == first.session_id
    assert store.get("Again").metadata["rerun_agrees"] == "identical: 50 points, 3 streams"

    shown = command_line(store, "show", "Mine").stdout
    assert f"{store.get('Again').session_id} (identical: 50 points, 3 streams)" in shown
    assert f"rerun of   {first.session_id}" in command_line(store, "show", "Again").stdout

    program.write_text(OWN_PROGRAM.replace("seed * 1000", "seed * 999"))
    other = command_line(store, "rerun", first.session_id, "--check")
    assert other.returncode == 12 and f"input {program} has changed" in other.stderr
    assert "different: motion_history, line 1 at 0 s: position was" in other.stdout


WAITS_FOR_ITS_CLOCK = """
import time
import sessionstore

with sessionstore.current() as run:
    for t_s in (0, 60, 120):
        run.motion.append("mine-1", t_s=t_s, position_m=(t_s, 0, 0))
    until = time.monotonic() + 60
    while not any(line.t_s == 120 for line in run.tape("clock").read()) and time.monotonic() < until:
        time.sleep(0.05)
    print("two minutes are over", flush=True)
"""


def test_the_clock_of_exec_follows_the_sim_time_of_its_program(store: SessionStore, tmp_path: Path) -> None:
    (tmp_path / "my_sim.py").write_text(WAITS_FOR_ITS_CLOCK)
    done = command_line(store, "exec", "--", sys.executable, str(tmp_path / "my_sim.py"))
    assert done.returncode == 0, done.stderr
    session = store.get("latest")
    assert [line.t_s for line in session.tape("log").read()] == [120.0]
    assert {line.t_s for line in session.tape("clock").read()} <= {0.0, 60.0, 120.0}
    assert session.record.duration_sim_s == 120.0


def test_without_a_sim_time_of_its_own_the_clock_of_exec_counts_from_the_start(store: SessionStore) -> None:
    ended = run_program(store, ["sh", "-c", "echo begins; sleep 0.3; echo ends"])
    session = store.get(ended.session_id)
    begins_s, ends_s = (line.t_s for line in session.tape("log").read())
    assert 0 < begins_s <= ends_s and 0.3 <= ends_s <= (session.record.duration_sim_s or 0)


def test_a_program_that_fails_leaves_a_failed_session_and_its_exit_code(store: SessionStore, tmp_path: Path) -> None:
    program = tmp_path / "my_sim.py"
    program.write_text(OWN_PROGRAM)
    assert command_line(store, "exec", "--", sys.executable, str(program), "3", "5").returncode == 5
    session = store.get("latest")
    assert (session.status, session.record.end_reason) == ("failed", "the program ended with exit code 5")
    killed = command_line(store, "exec", "--", sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")
    assert killed.returncode == 137 and store.get("latest").record.end_reason == "the program ended with signal SIGKILL"
    missing = command_line(store, "exec", "--", "no-such-program")
    assert missing.returncode == 6 and "is not found" in missing.stderr and len(store) == 2


def test_a_program_that_records_by_itself_is_started_again(store: SessionStore, tmp_path: Path) -> None:
    program = tmp_path / "my_sim.py"
    program.write_text(OWN_PROGRAM)
    environment = {**ENVIRONMENT, "SESSIONSTORE_DIR": str(store.root.path)}
    subprocess.run([sys.executable, program, "3"], check=True, env=environment, capture_output=True)
    done = command_line(store, "rerun", "latest", "--check")
    assert done.returncode == 0 and "identical: 50 points" in done.stdout, done.stderr
    assert sorted(row.session_name or "" for row in store.find()) == ["Alone", "Alone rerun"]


def test_a_session_that_another_program_made_meanwhile_is_not_taken_for_the_rerun(
    store: SessionStore, tmp_path: Path
) -> None:
    program = tmp_path / "my_sim.py"
    other = "import sessionstore; sessionstore.open().create('Aaa')"
    start = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {other!r}], check=True)"
    program.write_text(f"{start}\n{OWN_PROGRAM}")
    environment = {**ENVIRONMENT, "SESSIONSTORE_DIR": str(store.root.path)}
    subprocess.run([sys.executable, program, "3"], check=True, env=environment, capture_output=True)
    done = command_line(store, "rerun", "Alone", "--check")
    assert done.returncode == 0 and "identical: 50 points" in done.stdout, done.stderr


def test_the_resources_are_those_of_the_program_and_of_no_earlier_one(store: SessionStore) -> None:
    wait = "; import time; time.sleep(1)"  # the peak of a program smaller than its parent is seen while it runs
    programs = (f"x = bytearray(200 << 20){wait}", "0" + wait)
    parent = bytes(150 << 20)  # Linux starts the peak of a program at that of its parent
    used = [
        store.get(run_program(store, [sys.executable, "-c", each]).session_id).metrics["totals"]["max_memory_bytes"]
        for each in programs
    ]
    assert used[0] > 200 << 20 and 150 << 20 > used[1] > 1 << 20, (used, len(parent))


def test_the_recorded_commit_is_run_in_a_worktree_of_its_own(store: SessionStore, tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("needs git")
    project = tmp_path / "project"
    (project / "sims").mkdir(parents=True)
    program = project / "sims" / "my_sim.py"
    program.write_text(OWN_PROGRAM)

    def git(*arguments: str) -> str:
        names = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        return subprocess.run(
            ["git", *names, *arguments], cwd=project, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    environment = {**ENVIRONMENT, "SESSIONSTORE_DIR": str(store.root.path)}
    command = [sys.executable, "my_sim.py", "3"]
    subprocess.run(command, cwd=program.parent, check=True, env=environment, capture_output=True)
    first = store.get("latest")
    facts = first.record.provenance["git"]
    assert (facts["commit"], facts["folder"], facts["dirty"]) == (git("rev-parse", "HEAD"), "sims", False)
    program.write_text(OWN_PROGRAM.replace("seed * 1000", "seed * 999"))
    git("commit", "-qam", "two")
    assert any(each.startswith("commit was ") for each in changes_since(first))
    now = command_line(store, "rerun", first.session_id, "--check")
    then = command_line(store, "rerun", first.session_id, "--check", "--at-commit")
    assert (now.returncode, then.returncode) == (12, 0), then.stderr
    assert git("worktree", "list").count("\n") == 0, "the worktree is removed"


def test_without_exec_there_is_no_current_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SESSIONSTORE_DIR", str(tmp_path / "store"))
    assert sessionstore.current() is None
    monkeypatch.setenv("SESSIONSTORE_SESSION", "202601010000-none")
    with pytest.raises(sessionstore.SessionNotFound, match="202601010000-none"):
        sessionstore.current()


def test_commands_from_outside_are_given_again_at_their_moment(store: SessionStore) -> None:
    given = [
        (0.0, "hover", "scout-1", None, {}),
        (2.0, "move_to", "scout-1", [10.0, 5.0, 20.0], {}),
        (2.0, "spawn", "late-one", None, {"kind": "scout"}),
        (6.5, "follow", "late-one", "scout-1", {"duration_s": 4}),
        (11.0, "return", "climber-1", None, {}),
    ]
    left = list(given)

    def command(live: HMRSSimulationLive) -> None:
        while left and left[0][0] <= live.fleet.clock.t_s:
            _, kind, drone, target, more = left.pop(0)
            live.submit_command(kind, drone, target, **more)

    scenario = Scenario(
        "commanded", seed=7, duration_s=15.0, buildings=2, fleet=(Group("scout", 1), Group("climber", 1)),
        orders=(Order(1.0, "hover", "climber-1"), Order(3.0, "resume", "climber-1")),
    )  # fmt: skip
    live = HMRSSimulationLive(scenario, session_db_box=SessionDBBox(store=store), on_tick=command)
    live.run()
    first = store.get(live.session_id)
    assert left == [] and len([line for line in first.tape("commands").read() if line.data["status"] == "queued"]) == 7
    again = rerun(store, first)
    found = compare_streams(first, again)
    assert found.identical and found.points > 100, str(found)
    assert compare_streams(again, rerun(store, again)).identical


SWEPT = """
import pathlib, random
K = 2.0

def fly(session, seed, wind):
    assert pathlib.Path("weather.txt").read_text() == "calm"
    source = random.Random(seed)
    for tick in range(30):
        session.motion.append("d-1", t_s=tick / 10, position_m=(K * source.random() + wind, 0.0, 1.0))
    print("flown")
    if seed == 1:
        raise ValueError("no battery")
    return {"wind": wind}
"""


def test_a_point_of_a_sweep_is_called_again_by_its_file_function_and_parameters(
    store: SessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("joblib", reason="joblib is not installed")
    place = tmp_path / "place"
    place.mkdir()
    (place / "weather.txt").write_text("calm")
    (place / "swept_sim.py").write_text(SWEPT)
    monkeypatch.chdir(place)
    sweep = store.sweep("swept_sim.py:fly", grid={"wind": [3.0]}, seeds=2, executor=1)
    first, failed = (str(row.session_id) for row in sweep.results().rows)
    facts = store.get(first).record.provenance
    assert facts["function"]["place"] == f"{place / 'swept_sim.py'}:fly" and facts["seed"] == 0
    assert facts["function"]["parameters"] == {"wind": 3.0, "seed": 0}

    again = command_line(store, "rerun", first, "--check", "--json", "--name", "Again")
    assert again.returncode == 0 and json.loads(again.stdout)["identical"], again.stderr
    second = store.get("Again")
    assert second.metadata["rerun_of"] == first and "sweep" not in second.metadata
    assert second.metrics["totals"]["wind"] == 3.0 and sweep.status().done == 2 == sweep.status().total
    same = rerun(store, store.get(failed))
    assert same.record.end_reason == "ValueError: no battery" and compare_streams(store.get(failed), same).identical
    with pytest.raises(InvalidRecord, match="check out the commit"):
        rerun(store, store.get(first), at_commit=True)

    (place / "swept_sim.py").write_text(SWEPT.replace("K = 2.0", "K = 2.5"))
    assert any("swept_sim.py of the function has changed" in each for each in changes_since(second))
    difference = compare_streams(second, rerun(store, second)).difference
    assert difference is not None and difference[:4] == ("motion_history", 1, 0.0, "position")
    (place / "swept_sim.py").unlink()
    assert any("swept_sim.py of the function is missing" in each for each in changes_since(second))
    with pytest.raises(InvalidRecord, match="is not a file"):
        rerun(store, second)


def test_a_function_that_cannot_be_imported_is_refused_with_what_helps(store: SessionStore) -> None:
    pytest.importorskip("joblib", reason="joblib is not installed")
    sweep = store.sweep(lambda n: n, name="inner", grid={"n": [1]}, executor=1)
    session = store.get(str(sweep.results().rows[0].session_id))
    with pytest.raises(InvalidRecord, match="put it into a module, or run the sweep again"):
        rerun(store, session)
