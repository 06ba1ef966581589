"""S1 to S3: sweeps beside bare processes that make the same sessions in a loop, and reading large sweeps.

Start-up counts on both sides: a bare process begins with its interpreter and its imports, a sweep with its workers. The
sessions and their recording are the same; a sweep runs each point in a process of its own, and keeps what has ended.
Not here: whether results are right (tests/sweeps).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sessionstore
from sessionstore.bench import OURS
from sessionstore.bench.figures import Figure, Target, in_turn
from sessionstore.bench.systems import session_of
from sessionstore.disk import files
from sessionstore.layout import DOCUMENT
from sessionstore.model import json_text
from sessionstore.model.record import SessionRecord
from sessionstore.model.row import SessionRow, to_row
from sessionstore.store import SessionStore
from sessionstore.sweeps.definition import Definition, Point, numbered
from sessionstore.sweeps.folder import SweepFolder

if TYPE_CHECKING:
    from sessionstore.bench.workloads import Bench

BARE, EACH = "bare loop", "a process a run"
SCENARIO, FLIGHT_S, LONG_S = "first-flight", 60.0, 1.0
_FUNCTION = "sessionstore.bench.sweeps:busy"
_SEEDS = 100
_READ_S = 1.0


def sweeps(bench: Bench) -> None:
    """S1, S2 and S3."""
    missing = [name for name in ("joblib", "cloudpickle") if find_spec(name) is None]
    if missing:
        bench.figures.left_out["sweeps"] = f"{', '.join(missing)} is not installed"
        return
    cores, runs = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2, bench.plan.sweep_runs
    for processes in bench.plan.sweep_processes:
        others = (BARE, EACH) if processes == cores else (BARE,)
        _runs(bench, "S1", f"{SCENARIO}, {FLIGHT_S:g} s simulated", "flight", runs, processes, others, 0.9)
    _speed_up(bench, cores)
    _runs(bench, "S2", f"runs of {LONG_S:g} s", "busy", runs, cores, (BARE,), 0.95)
    for size in bench.plan.scale_sizes:
        _reading(bench, size)


def _speed_up(bench: Bench, cores: int) -> None:
    """How many times as many runs a second there are with a process on each core as with one."""
    case = f"{SCENARIO}, {FLIGHT_S:g} s simulated"
    found = {
        (each.system, each.size): each.median for each in bench.figures if (each.workload, each.case) == ("S1", case)
    }
    for name in (BARE, OURS):
        one, all_cores = found.get((name, 1)), found.get((name, cores))
        if one and all_cores and cores > 1:
            mine = {"against": BARE, "target": Target("ratio", ">=", 0.9)} if name == OURS else {}
            bench.figures.add(Figure("S1", "speed-up by the cores", name, "times", [all_cores / one], cores, **mine))  # type: ignore[arg-type]


def _runs(
    bench: Bench, workload: str, case: str, kind: str, runs: int, processes: int, others: tuple[str, ...], bound: float
) -> None:
    """Measure runs a second with a number of processes."""

    def timed(run: Callable[[Path], None]) -> Callable[[], float]:
        def once() -> float:
            folder = bench.folder("sweep")
            try:
                begin = time.perf_counter()
                run(folder / "store")
                seconds = time.perf_counter() - begin
                _check(folder / "store", runs)
                return runs / seconds
            finally:
                shutil.rmtree(folder)

        return once

    contestants = {
        OURS: timed(lambda folder: _sweep(folder, kind, runs, processes)),
        BARE: timed(lambda folder: _bare(folder, kind, runs, processes, runs)),
        EACH: timed(lambda folder: _bare(folder, kind, runs, processes, 1)),
    }
    wanted = {name: each for name, each in contestants.items() if name in (OURS, *others)}
    values = in_turn(wanted, bench.plan.sweep_rounds, lambda one: float(one()), warm_up=0)
    target = Target("ratio", ">=", bound)
    for name, each in values.items():
        mine = name == OURS
        figure = Figure(workload, case, name, "/s", each, processes, BARE if mine else None, target if mine else None)
        bench.figures.add(figure)


def _sweep(folder: Path, kind: str, runs: int, processes: int) -> None:
    with sessionstore.open(folder) as store:
        if kind == "busy":
            store.sweep(_FUNCTION, grid={"seconds": [LONG_S]}, seeds=runs, executor=processes)
        else:
            store.sweep(SCENARIO, grid={"duration_s": [FLIGHT_S]}, seeds=runs, executor=processes)


def _bare(folder: Path, kind: str, runs: int, processes: int, most: int) -> None:
    """Do the runs in a number of processes at a time, each of which does at most ``most`` of them."""
    seeds = list(range(runs))
    shares = [seeds[n::processes] for n in range(processes)] if most > 1 else [[seed] for seed in seeds]
    started: list[subprocess.Popen[bytes]] = []
    for share in filter(None, shares):
        while sum(process.poll() is None for process in started) >= processes:
            time.sleep(0.005)
        seconds = LONG_S if kind == "busy" else FLIGHT_S
        command = [sys.executable, "-m", __name__, kind, str(seconds), str(folder), *map(str, share)]
        started.append(subprocess.Popen(command))
    for process in started:
        if process.wait():
            raise subprocess.SubprocessError(f"a bare process ended with {process.returncode}")


def _check(folder: Path, runs: int) -> None:
    with sessionstore.open(folder) as store:
        found = len(store.find("status=completed"))
    if found != runs:
        raise RuntimeError(f"{found} of {runs} runs are in {folder}")


def busy(session: Any, seed: int, seconds: float) -> dict[str, float]:
    """Compute for a time of the processor, and record a hundred points."""
    begin, tick = time.process_time(), 0
    while time.process_time() - begin < seconds:
        session.motion.append("d-1", t_s=tick / 10, position_m=(float(seed), float(tick), 1.0))
        tick += 1
        until = time.process_time() + seconds / 100
        while time.process_time() < until:
            pass
    return {"ticks": float(tick)}


def loop(kind: str, seconds: float, folder: str, seeds: list[int]) -> None:
    """Make the sessions of these seeds one after the other, as a script without a sweep does."""
    if kind == "busy":
        with sessionstore.open(folder) as store:
            for seed in seeds:
                with store.record(f"busy {seed}", seed=seed) as run:
                    busy(run, seed, seconds)
        return
    from sessionstore.simulation.hmrs_simulation_live import HMRSSimulationLive
    from sessionstore.simulation.running.scenarios import load_scenario

    scenario = load_scenario(SCENARIO).with_options(duration_s=seconds)
    for seed in seeds:
        live = HMRSSimulationLive(scenario.with_options(seed=seed), training_sessions_dir=folder)
        live.run()
        live.session_db_box.close()


# ---------------------------------------------------------------- reading large ones


def _reading(bench: Bench, size: int) -> None:
    """Time status, list, results and groups of a sweep of ``size`` points, each by a new handle."""
    from sessionstore.sweeps.sweep import Sweep, all_sweeps

    folder = bench.folder(f"points-{size}") / "store"
    try:
        made = fill_sweep(folder, size)

        def asked(question: Callable[[SessionStore], Any]) -> float:
            with sessionstore.open(folder) as store:
                begin = time.perf_counter()
                found = question(store)
                seconds = time.perf_counter() - begin
                del found
            return seconds

        def measure(case: str, question: Callable[[SessionStore], Any], bound: float | None, anew: str = "") -> None:
            values = []
            for _ in range(bench.plan.rounds):
                for name in filter(None, anew.split()):
                    files.remove(made.path / name)
                values.append(asked(question))
            target = None if bound is None else Target("median", "<=", bound)
            bench.figures.add(Figure("S3", case, OURS, "s", values, size, None, target))

        kept = "results.json counts.json"
        measure(
            "results, figures read anew", lambda s: Sweep(s, made.sweep_id).results(), None, f"{kept} figures.jsonl"
        )
        measure("results, the index has changed", lambda s: Sweep(s, made.sweep_id).results(), _READ_S, kept)
        measure("results", lambda s: Sweep(s, made.sweep_id).results(), _READ_S)
        measure("results and groups", lambda s: Sweep(s, made.sweep_id).results().groups(), _READ_S)
        measure("status, the index has changed", lambda s: Sweep(s, made.sweep_id).status(), _READ_S, kept)
        measure("status", lambda s: Sweep(s, made.sweep_id).status(), _READ_S)
        measure("list", lambda s: [each.status() for each in all_sweeps(s)], _READ_S)
    finally:
        shutil.rmtree(folder.parent)


def fill_sweep(folder: Path, count: int) -> SweepFolder:
    """Make a store with a sweep of ``count`` completed points, as the package would have written it, without syncs."""
    axis = [step / 2 for step in range(max(1, -(-count // _SEEDS)))]
    wanted = Definition(
        name="glider", program="glide", fingerprint="bench", maximise="height_m / energy_wh",
        grid={"wind_mps": axis}, seeds=list(range(min(count, _SEEDS))),
    )  # fmt: skip
    points = numbered(wanted.parameter_sets(), "bench")[:count]
    with SessionStore(folder) as store:
        store.root.prepare()
        made = SweepFolder(store.root, "glider")
        made.keep(wanted, points)
        store.index.replace_all([_ended(store, point) for point in points])
    time.sleep(0.05)  # what is measured next must not share the second half of this write
    return made


def _ended(store: SessionStore, point: Point) -> SessionRow:
    wind_mps = point.parameters["wind_mps"]
    mark = {"id": "glider", "number": point.number, "point": point.key, "parameters": point.parameters, "attempt": 1}
    totals = {"height_m": 60.0 - wind_mps / 100 + point.number % 7 / 10, "energy_wh": 3.0 + wind_mps}
    facts = {**session_of(point.number), "metadata": {"sweep": mark}, "performance_metrics": {"totals": totals}}
    record = SessionRecord.new(**facts, created_by="sessionstore bench", duration_sim_s=20.0)
    path = os.path.join(store.root.path, record.session_id)
    files.make_dir(path)
    data = json_text.layout({"session": {"1": record.to_dict()}, "workflow": {}})
    return to_row(record, files.create(os.path.join(path, DOCUMENT), data, sync=False))


if __name__ == "__main__":
    loop(sys.argv[1], float(sys.argv[2]), sys.argv[3], list(map(int, sys.argv[4:])))
