"""A sweep on one machine, with real processes: what is missing is run, and a failing point costs no other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore.reruns.agreement import compare_streams
from sessionstore.simulation.hmrs_simulation_live import HMRSSimulationLive
from sessionstore.simulation.running.scenarios import load_scenario
from sessionstore.store import SessionStore
from tests.outage import eventually
from tests.proof.volumes import need_root

pytest.importorskip("joblib", reason="joblib is not installed")
pytest.importorskip("cloudpickle", reason="cloudpickle is not installed")

FOLDER = Path(sessionstore.__file__).parents[1]
COMMAND = [sys.executable, "-m", "sessionstore", "sweep"]

SIMULATION = """
import os, random, signal, sys, time
import sessionstore

def fly(session, seed, how="well"):
    source = random.Random(seed)
    for tick in range(20):
        session.motion.append("d-1", t_s=tick / 10, position_m=(source.random(), 0.0, 1.0))
    print("flown by", seed)
    if how == "raises":
        raise ValueError("no battery")
    if how == "hangs":
        time.sleep(60)
    if how == "hangs for good":
        while True:
            try:
                time.sleep(60)
            except BaseException:
                pass
    if how == "eats":
        hoard = [bytearray(50 * 2**20) for _ in range(40)]
    if how == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "exits":
        os._exit(7)
    return {"distance": source.random(), "kinds": {"a": 2}}

def slowly(session, n):
    session.motion.append("d-1", t_s=0, position_m=(0, 0, 1))
    open(f"begun-{n}", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.02)

def stubbornly(session, n):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open(f"begun-{n}", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.02)

def fatal(session, n):
    session.motion.append("d-1", t_s=0, position_m=(0, 0, 1))
    if n == 2 and not os.path.exists("killed"):
        open("killed", "w").close()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)

def fills(session, n):
    from sessionstore.session import full_disk
    full_disk.FULL_DISK_WAIT_S = 0.1
    for tick in range(20_000):
        session.motion.append(f"drone-{n}", t_s=tick, position_m=(0.123456789, 0.123456789, 0.123456789))

def current(n):
    with sessionstore.current() as run:
        run.motion.append("d-1", t_s=0, position_m=(n, 0, 0))
    return n * 2
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "my_sim.py").write_text(SIMULATION)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("sweep_my_sim", None)
    sys.path[:] = [each for each in sys.path if each != str(tmp_path)]


def written(path: Path, function: str, **sweep: Any) -> Path:
    """Write the file of a sweep."""
    lines = [f'function = "my_sim.py:{function}"', "[sweep]"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in sweep.items() if not isinstance(value, dict)]
    for key, table in sweep.items():
        if isinstance(table, dict):
            lines += [f"[sweep.{key}]", *(f"{json.dumps(name)} = {json.dumps(axis)}" for name, axis in table.items())]
    path.write_text("\n".join(lines))
    return path


def patient(place: Path) -> None:
    """Give the points of commands that are started here a minute to end: a stalled machine does not kill them."""
    (place / "patient").mkdir()
    (place / "patient" / "sitecustomize.py").write_text(
        "from sessionstore.sweeps import isolated\nisolated.GRACE_S = 60.0\n"
    )


def started(place: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(place / "patient"), str(FOLDER)])}
    return subprocess.Popen(
        [*COMMAND, *arguments, "--dir", str(place / "store")],
        cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ended(place: Path, *arguments: str) -> tuple[int, str, str]:
    process = started(place, *arguments)
    out, err = process.communicate(timeout=100)
    return process.returncode, out, err


def statuses(store: SessionStore) -> Counter[str]:
    return Counter(row.status for row in store.find())


@pytest.mark.slow
def test_each_point_is_a_session_and_a_second_run_does_only_what_is_missing(place: Path) -> None:
    file = written(place / "s.toml", "fly", seeds=3, minimise="distance", grid={"how": ["well", "raises"]})
    code, _, err = ended(place, str(file), "-j", "2")
    assert code == 13 and "6 points: 3 completed, 3 failed" in err, err
    with sessionstore.open(place / "store") as store:
        before = {row.session_id: row.rev for row in store.find()}
        assert len(before) == 6
        (sweep,) = store.sweeps()
        well, raised = sweep.results().groups()
        assert (well.parameters, well.completed, well.failed) == ({"how": "well"}, 3, 0)
        assert (raised.completed, raised.failed) == (0, 3) and raised.figures == {}
        rows = {row.number: row for row in sweep.results().rows}
        assert rows[1].values["distance"] == rows[1].values["objective"] and rows[1].values["kinds.a"] == 2
        assert rows[4].reason == "ValueError: no battery"
        failed = store.get(str(rows[4].session_id))
        (event,) = failed.tape("events").read()
        assert "raise ValueError" in event.data["traceback"]
        assert [line.data["message"] for line in failed.tape("log").read()] == ["flown by 0"]
        assert failed.record.metadata["sweep"]["parameters"] == {"how": "raises", "seed": 0}

        written(place / "s.toml", "fly", seeds=4, minimise="distance", grid={"how": ["well"]})
        code, _, err = ended(place, str(file), "-j", "2")
        assert code == 0 and "new points: 1; gone: 3 (their sessions stay); as before: 3" in err, err
        after = {row.session_id: row.rev for row in store.find()}
        assert len(after) == 7 and before.items() <= after.items()
        assert json.loads(ended(place, "status", "s", "--json")[1])["counts"] == {"completed": 4}


@pytest.mark.slow
def test_a_point_that_raises_hangs_eats_memory_or_is_killed_is_a_failed_session_and_the_others_go_on(
    place: Path,
) -> None:
    how = ["raises", "hangs", "hangs for good", "eats", "is killed", "exits", "well"]
    with sessionstore.open(place / "store") as store:
        sweep = store.sweep(
            "my_sim.py:fly", grid={"how": how}, seeds=1, time_limit_s=6.0, memory_limit_mb=400, executor=4
        )
        rows = {row.parameters["how"]: row for row in sweep.results().rows}
        reasons = {name: (row.status, row.reason) for name, row in rows.items()}
        assert reasons == {
            "raises": ("failed", "ValueError: no battery"),
            "hangs": ("failed", "TimeoutError: time limit of 6 s"),
            "hangs for good": ("failed", "time limit of 6 s"),
            "eats": ("failed", "MemoryError"),
            "is killed": ("failed", "the process ended by SIGKILL (attempt 3 of 3)"),
            "exits": ("failed", "the process ended by exit code 7 (attempt 3 of 3)"),
            "well": ("completed", ""),
        }
        assert all(store.get(str(row.session_id)).tape("motion_history").count() == 20 for row in rows.values())
        assert sweep.last_run is not None and sweep.last_run.progress.again == 4 and sweep.last_run.superseded == 4
        assert len(store.find()) == 7 and len(store.trash()) == 4
        (trace,) = store.get(str(rows["hangs"].session_id)).tape("events").read()
        assert "time.sleep(60)" in trace.data["traceback"]  # where it stood


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_no_point(place: Path) -> None:
    with sessionstore.open(place / "store") as store:
        sweep = store.sweep("my_sim.py:fatal", grid={"n": list(range(6))}, executor=2)
        assert [row.status for row in sweep.results().rows] == ["completed"] * 6
        assert (place / "killed").exists() and statuses(store) == {"completed": 6}
        assert {row.status for row in store.find()} == {"completed"}


@pytest.mark.slow
def test_ctrl_c_ends_the_running_points_as_stopped_and_the_same_command_runs_the_rest(place: Path) -> None:
    patient(place)
    file = str(written(place / "s.toml", "slowly", grid={"n": [1, 2, 3, 4]}))
    process = started(place, file, "-j", "2")
    eventually(lambda: (place / "begun-1").exists() and (place / "begun-2").exists())
    second = ended(place, file, "-j", "2")
    assert second[0] == 5 and "is being run by another process" in second[2]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 130 and "4 are left; stopped: stopped by Ctrl-C" in err, err
    with sessionstore.open(place / "store") as store:
        stopped = store.find("status=stopped")
        assert len(stopped) >= 2 and all(store.get(row.session_id).record.ended_at for row in stopped)
        (place / "go").touch()
        assert ended(place, file, "-j", "2")[0] == 0
        assert statuses(store) == {"completed": 4}


@pytest.mark.slow
def test_a_second_ctrl_c_ends_at_once_what_does_not_stop(place: Path) -> None:
    patient(place)
    file = str(written(place / "s.toml", "stubbornly", grid={"n": [1, 2]}))
    process = started(place, file, "-j", "2")
    eventually(lambda: (place / "begun-1").exists() and (place / "begun-2").exists())
    process.send_signal(signal.SIGINT)
    eventually(lambda: any((place / "store").rglob("stop")))  # the first is taken
    assert process.poll() is None  # the points have a minute to end
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=40)  # and not the minute
    assert process.returncode == 130
    with sessionstore.open(place / "store") as store:
        eventually(lambda: statuses(store) == {"interrupted": 2})
        (place / "go").touch()
        assert ended(place, file, "-j", "2")[0] == 0
        assert statuses(store) == {"completed": 2}


@pytest.mark.slow
@pytest.mark.parametrize("by", ["stop", "kill"])
def test_a_sweep_is_stopped_from_elsewhere_or_killed_and_leaves_no_process(place: Path, by: str) -> None:
    file = str(written(place / "s.toml", "slowly", grid={"n": [1, 2]}))
    process = started(place, file, "-j", "2")
    eventually(lambda: (place / "begun-1").exists() and (place / "begun-2").exists())
    if by == "stop":
        assert "asked to stop" in ended(place, "stop", "s")[2]
    else:
        process.kill()
    process.communicate(timeout=30)
    with sessionstore.open(place / "store") as store:
        eventually(lambda: statuses(store) == {"stopped": 2})
        (place / "go").touch()
        assert ended(place, file)[0] == 0 and statuses(store) == {"completed": 2}
        assert "no process runs it" in ended(place, "stop", "s")[2]


@pytest.mark.slow
def test_a_full_disk_stops_the_sweep_and_the_rest_runs_when_there_is_room(place: Path) -> None:
    need_root()
    disk = place / "store"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2M", "tmpfs", str(disk)], capture_output=True)
    if made.returncode:
        pytest.skip(f"mounting is missing: {made.stderr.decode().strip()}")
    try:
        file = str(written(place / "s.toml", "fills", grid={"n": [1, 2, 3]}))
        code, _, err = ended(place, file, "-j", "1")
        assert code == 130 and "the disk is full" in err and "completed" not in err.replace("0 completed", ""), err
        subprocess.run(["mount", "-o", "remount,size=200M", str(disk)], check=True)
        code, _, err = ended(place, file, "-j", "2")
        assert code == 0 and "3 points: 3 completed" in err, err
        with sessionstore.open(disk) as store:
            assert statuses(store) == {"completed": 3}
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_failed_points_run_again_by_retry_only(place: Path) -> None:
    file = str(written(place / "s.toml", "fly", seeds=1, grid={"how": ["well", "raises"]}))
    assert ended(place, file, "-q")[0] == 13
    assert "2 had ended before" in ended(place, file)[2]
    code, out, _ = ended(place, "retry", "s", "--json")
    assert code == 13 and (json.loads(out)["before"], json.loads(out)["failed"]) == (1, 1)
    with sessionstore.open(place / "store") as store:
        assert statuses(store) == {"completed": 1, "failed": 1} and len(store.trash()) == 1


@pytest.mark.slow
def test_a_flight_of_a_sweep_is_the_flight_of_a_single_run(place: Path) -> None:
    with sessionstore.open(place / "store") as store:
        grid = {"duration_s": [8.0], "weather": ["calm"], "fleet.scout": [1]}
        sweep = store.sweep("first-flight", grid=grid, seeds=[3, 4], executor=2)
        scenario = load_scenario("first-flight")
        fleet = tuple(group if group.kind != "scout" else type(group)("scout", 1) for group in scenario.fleet)
        for row in sweep.results().rows:
            single = scenario.with_options(duration_s=8.0, condition="calm", fleet=fleet, seed=row.parameters["seed"])
            live = HMRSSimulationLive(single, training_sessions_dir=place / "single")
            live.run()
            with sessionstore.open(place / "single") as other:
                found = compare_streams(other.get(live.session_id), store.get(str(row.session_id)))
                assert found.identical and found.points > 100, str(found)


@pytest.mark.slow
def test_a_program_that_asks_for_its_session_gets_that_of_the_point(place: Path) -> None:
    with sessionstore.open(place / "store") as store:
        sweep = store.sweep("my_sim.py:current", grid={"n": [4]}, executor=1)
        (row,) = sweep.results().rows
        assert row.status == "completed" and row.values["result"] == 8.0
        assert store.get(str(row.session_id)).tape("motion_history").count() == 1 and len(store.find()) == 1


def test_a_wrong_parameter_is_named_before_anything_runs(place: Path) -> None:
    file = written(place / "s.toml", "fly", seeds=1, grid={"wind": [1]})
    code, _, err = ended(place, str(file))
    assert code == 6 and "wind" in err and not (place / "store").exists()
    (place / "t.toml").write_text('scenario = "first-flight"\n[sweep.grid]\n"weather.conditon" = ["calm"]\n')
    code, _, err = ended(place, "t.toml", "--dry-run")
    assert code == 6 and "conditon" in err


def test_a_dry_run_shows_the_points_and_runs_nothing(place: Path) -> None:
    file = written(place / "s.toml", "fly", seeds=30, grid={"how": ["well"]})
    code, out, _ = ended(place, str(file), "--dry-run")
    assert code == 0 and out.startswith("30 points") and not (place / "store").exists()


@pytest.mark.slow
def test_optuna_chooses_the_points_and_goes_on_where_it_was(place: Path) -> None:
    pytest.importorskip("optuna", reason="optuna is not installed")
    (place / "bowl.py").write_text(
        "def bowl(x, n, seed):\n"
        "    if x > 9.5: raise ValueError('spilled')\n"
        "    return {'loss': (x - 3.0) ** 2 + abs(n - 2) + 0.01 * seed}\n"
    )
    tpe = {"count": 10, "parameters": {"x": [-10.0, 10.0], "n": [0, 4]}, "seed": 1}
    with sessionstore.open(place / "store") as store:
        given = {"tpe": tpe, "seeds": 2, "minimise": "loss", "executor": 2}
        first = store.sweep("bowl.py:bowl", **given)
        before = {row.key for row in first.results().rows}
        assert len(before) == 20 and first.last_run is not None and first.last_run.stopped_by is None
        again = store.sweep("bowl.py:bowl", **given)
        assert again.last_run is not None and again.last_run.progress.completed == 0 and len(store.find()) == 20
        best = again.results().groups()[0]
        drawn = [row.values["loss"] for row in again.results().rows if "loss" in row.values]
        assert best.completed == 2 and best.figures["loss"].mean <= min(drawn) + 0.01
        more = store.sweep("bowl.py:bowl", **{**given, "tpe": {**tpe, "count": 12}})
        assert more.last_run is not None and more.last_run.progress.before == 20
        assert before < {row.key for row in more.results().rows} and len(store.find()) == 24
        assert {type(row.parameters["n"]) for row in more.results().rows} == {int}
