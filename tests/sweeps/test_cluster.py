"""A sweep on a Dask cluster: workers with a shared disk, and three without one, of which one dies and one is cut off.

The hosts are network namespaces with disks of their own. SESSIONSTORE_TEST_GROWTH=1 runs 1,000 points and cuts the
cable for 30 s; without it, 24 points and 3 s.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import sessionstore
from sessionstore.reruns.agreement import compare_streams
from sessionstore.simulation.hmrs_simulation_live import HMRSSimulationLive
from sessionstore.simulation.running.scenarios import load_scenario
from sessionstore.store import SessionStore
from sessionstore.sweeps.running import Progress
from sessionstore.sweeps.sweep import Sweep
from tests.hosts import Network, connected
from tests.outage import eventually
from tests.ports import free_port
from tests.postgres_server import new_schema, running_server, with_settings

pytest.importorskip("distributed", reason="distributed is not installed")
pytest.importorskip("joblib", reason="joblib is not installed")

ROOT = Path(__file__).parents[2]
GROWTH = bool(os.environ.get("SESSIONSTORE_TEST_GROWTH"))
POINTS, CUT_S, COMPARED = (1000, 30.0, 1000) if GROWTH else (24, 3.0, 4)
NETWORK = Network("ssw", "10.213.9")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}


class Cluster:
    """A scheduler that can be restarted at the same address."""

    def __init__(self, host: str, log: Path) -> None:
        self._port = free_port(host)
        self.address, self._host, self._log = f"tcp://{host}:{self._port}", host, log
        self.start()

    def start(self) -> None:
        arguments = ["--host", self._host, "--port", str(self._port), "--no-dashboard"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_scheduler", *arguments],
                cwd=self._log.parent, env=ENVIRONMENT, stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def worker_loop(address: str, folder: Path, name: str, covered: Path | None) -> str:
    """Return a shell program that keeps a worker running, as a batch system does; it does not see ``covered``."""
    cover = f"mount -t tmpfs tmpfs {covered} &&" if covered is not None else ""
    worker = f"{sys.executable} -m distributed.cli.dask_worker {address} --nthreads 1 --no-nanny --no-dashboard"
    local = f"--local-directory {folder}/{name}-scratch"
    return (
        f"{cover} while [ ! -e {folder}/over ]; do {worker} {local} >>{folder}/{name}.log 2>&1 & "
        f"echo $! >{folder}/{name}.pid; wait $!; done"
    )


@contextlib.contextmanager
def hosts(address: str, folder: Path, covered: Path, names: list[str]) -> Iterator[None]:
    """Three hosts with a worker each: a network namespace, a host name, and no disk in common with the store."""
    made: list[subprocess.Popen[bytes]] = []
    try:
        for number, name in enumerate(names):
            space, cable = f"{NETWORK.name}-{name}", f"{NETWORK.name}-{name}"
            for command in (
                f"ip netns add {space}",
                f"ip link add {cable} type veth peer name eth0 netns {space}",
                f"ip link set {cable} master {NETWORK.name}-br up",
                f"ip -n {space} addr add {NETWORK.subnet}.{number + 10}/24 dev eth0",
                f"ip -n {space} link set eth0 up",
                f"ip -n {space} link set lo up",
            ):
                subprocess.run(command.split(), check=True)
            loop = f"hostname {name}; {worker_loop(address, folder, name, covered)}"
            command_line = ["ip", "netns", "exec", space, "unshare", "--uts", "--mount", "sh", "-c", loop]
            made.append(subprocess.Popen(command_line, cwd=folder, env=ENVIRONMENT))
        yield
    finally:
        (folder / "over").touch()
        for name in names:
            with contextlib.suppress(OSError, ValueError):
                os.kill(int((folder / f"{name}.pid").read_text()), signal.SIGKILL)
        for process in made:
            process.wait(timeout=30)
        for name in names:
            subprocess.run(["ip", "netns", "del", f"{NETWORK.name}-{name}"], check=False)
            subprocess.run(["ip", "link", "del", f"{NETWORK.name}-{name}"], check=False, capture_output=True)


def cable(name: str, state: str) -> None:
    subprocess.run(["ip", "link", "set", f"{NETWORK.name}-{name}", state], check=True)


class Troubles:
    """What happens to the cluster, each once, when a share of the points has ended."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self._left: list[tuple[float, Callable[[], None]]] = [(0.1, self.kill), (0.3, self.cut), (0.6, self.restart)]
        self._folder, self._cluster = folder, cluster
        self.happened: list[str] = []
        self._timers: list[threading.Timer] = []

    def look(self, progress: Progress) -> None:
        while self._left and progress.done >= self._left[0][0] * progress.total:
            self._left.pop(0)[1]()

    def kill(self) -> None:
        os.kill(int((self._folder / "alpha.pid").read_text()), signal.SIGKILL)
        self.happened.append("a worker is killed")

    def cut(self) -> None:
        cable("beta", "down")
        self._timers.append(threading.Timer(CUT_S, lambda: cable("beta", "up")))
        self._timers[-1].start()
        self.happened.append("a worker is cut off")

    def restart(self) -> None:
        self._cluster.kill()
        self._cluster.start()
        self.happened.append("the scheduler is restarted")

    def close(self) -> None:
        for timer in self._timers:
            timer.join()


@pytest.mark.slow
@pytest.mark.timeout(3600 if GROWTH else 600)
def test_each_point_is_run_once_though_a_worker_dies_one_is_cut_off_and_the_scheduler_restarts(tmp_path: Path) -> None:
    if os.environ.get("SESSIONSTORE_TEST_PG_DSN"):
        pytest.skip("the hosts of this test reach a server of its own only")
    central = tmp_path / "central"
    central.mkdir()
    with contextlib.ExitStack() as stack:
        stack.enter_context(connected(NETWORK))
        server = stack.enter_context(running_server(NETWORK.server))
        cluster = Cluster(NETWORK.server, tmp_path / "scheduler.log")
        stack.callback(cluster.kill)
        stack.enter_context(hosts(cluster.address, tmp_path, central, ["alpha", "beta", "gamma"]))
        url = with_settings(server.url, schema=new_schema())
        store = stack.enter_context(sessionstore.open(central / "store", url))
        troubles = Troubles(tmp_path, cluster)
        stack.callback(troubles.close)
        begun = time.monotonic()
        sweep = store.sweep(
            "first-flight", name="growth", grid={"duration_s": [3.0], "fleet.scout": [1]}, seeds=POINTS,
            executor=cluster.address, report=troubles.look,
        )  # fmt: skip
        wall_s = time.monotonic() - begun
        check(store, sweep, troubles, tmp_path, wall_s)
    with warnings.catch_warnings():  # a client that lost its scheduler leaves a socket, which no later test is to find
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def check(store: SessionStore, sweep: Sweep, troubles: Troubles, tmp_path: Path, wall_s: float) -> None:
    rows = sweep.results().rows
    assert len(troubles.happened) == 3 and Counter(row.status for row in rows) == {"completed": POINTS}
    listed = store.find()
    assert len(listed) == POINTS and {row.status for row in listed} == {"completed"}
    points = Counter(row.metadata["sweep"]["point"] for row in listed)
    assert set(points.values()) == {1} and len(points) == POINTS
    recorded_on = Counter(store.get(row.session_id).record.provenance["host"] for row in listed)
    assert set(recorded_on) == {"alpha", "beta", "gamma"}
    same = sum(as_a_single_run(store, sweep, number, tmp_path) for number in range(COMPARED))
    assert same == COMPARED
    assert sweep.last_run is not None
    print(f"\n{POINTS} points in {wall_s:.1f} s on {dict(recorded_on)}; {troubles.happened}; {same} compared;"
          f" {sweep.last_run.progress.again} attempts repeated, {sweep.last_run.superseded} superseded")  # fmt: skip


def as_a_single_run(store: SessionStore, sweep: Sweep, number: int, tmp_path: Path) -> bool:
    """Whether the flight of a point is that of a single run, stream by stream."""
    row = sweep.results().rows[number]
    scenario = load_scenario("first-flight")
    fleet = tuple(type(group)("scout", 1) if group.kind == "scout" else group for group in scenario.fleet)
    single = scenario.with_options(duration_s=3.0, fleet=fleet, seed=row.parameters["seed"])
    live = HMRSSimulationLive(single, training_sessions_dir=tmp_path / "single")
    live.run()
    live.session_db_box.close()
    with sessionstore.open(tmp_path / "single") as other:
        return compare_streams(other.get(live.session_id), store.get(str(row.session_id))).identical


SIMULATION = """
import os, signal, time

def fly(session, n):
    session.motion.append("d-1", t_s=0, position_m=(n, 0, 0))
    if n == 3:
        raise ValueError("no battery")
    if n == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    if n == 5:
        time.sleep(60)
    return n

def slowly(session, n):
    open(f"begun-{n}", "w").close()
    time.sleep(60)
"""


@pytest.mark.slow
def test_a_cluster_has_the_limits_failures_and_stops_of_one_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_sim.py").write_text(SIMULATION)
    cluster = Cluster("127.0.0.1", tmp_path / "scheduler.log")
    process = subprocess.Popen(
        ["sh", "-c", worker_loop(cluster.address, tmp_path, "local", None).replace("--nthreads 1", "--nthreads 3")],
        cwd=tmp_path, env=ENVIRONMENT,
    )  # fmt: skip
    try:
        with sessionstore.open(tmp_path / "store") as store:
            sweep = store.sweep(
                "my_sim.py:fly", grid={"n": [1, 2, 3, 4, 5]}, time_limit_s=6.0, attempts=2, executor=cluster.address
            )
            found = {row.parameters["n"]: (row.status, row.reason) for row in sweep.results().rows}
            assert found == {
                1: ("completed", ""),
                2: ("completed", ""),
                3: ("failed", "ValueError: no battery"),
                4: ("failed", "the process ended by SIGKILL (attempt 2 of 2)"),
                5: ("failed", "TimeoutError: time limit of 6 s"),
            }
            assert len(store.find()) == 5
            slow = "my_sim.py:slowly"
            threading.Thread(target=lambda: stop_when_begun(tmp_path)).start()
            stopped = store.sweep(slow, grid={"n": [1, 2, 3, 4, 5, 6]}, executor=cluster.address)
            assert stopped.last_run is not None and stopped.last_run.stopped_by == "enough"
            states = {row.status for row in stopped.results().rows}
            assert "stopped" in states and states <= {"stopped", "waiting"}  # those given out ahead may have begun
    finally:
        (tmp_path / "over").touch()
        os.kill(int((tmp_path / "local.pid").read_text()), signal.SIGKILL)
        process.wait(timeout=30)
        cluster.kill()


def stop_when_begun(folder: Path) -> None:
    eventually(lambda: (folder / "begun-1").exists())
    with sessionstore.open(folder / "store") as store:
        Sweep(store, "slowly").stop("enough")
