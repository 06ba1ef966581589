"""Points on this machine: joblib's loky keeps warm processes, and each point runs in a fork of one (isolated).

Not here: several machines (cluster), which points and how often (running).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from sessionstore.sweeps import isolated
from sessionstore.sweeps.worker import Outcome, Task, run_task, stop_file

#: An idle worker ends by itself after this time, also when the process that started it was killed.
_IDLE_S = 30


class WorkersLost(Exception):
    """Worker processes ended from outside; the points that they had in hand have no outcome."""


class LocalExecutor:
    """Worker processes of this machine. Raises: ModuleNotFoundError: joblib is missing."""

    def __init__(self, jobs: int | None = None) -> None:
        import_loky()
        self.jobs = jobs or usable_cores()
        self.label = f"{self.jobs} processes" if self.jobs > 1 else "1 process"

    def outcomes(self, tasks: Iterator[Task], stopped: Callable[[], str | None]) -> Iterator[Outcome]:
        """Run tasks, and yield how each ended as it ends; the next task is asked for when a process is free.

        Args:
            stopped: not needed here: each worker looks for the wish to stop by itself.

        Raises: WorkersLost: a worker was killed; tasks without an outcome are to be run again.
        """
        loky = import_loky()
        pool = loky.ProcessPoolExecutor(max_workers=self.jobs, timeout=_IDLE_S, initializer=_begin_worker)
        try:
            waiting: set[Future[Outcome]] = set()
            for task in tasks:
                waiting.add(pool.submit(_run, task))
                if len(waiting) > self.jobs:
                    waiting = yield from _ended(waiting)
            while waiting:
                waiting = yield from _ended(waiting)
        except BrokenProcessPool as error:
            raise WorkersLost(str(error).split("\n", 1)[0]) from error
        finally:
            pool.shutdown(wait=True, kill_workers=True)  # no point is in hand, or all are to end


def _ended(waiting: set[Future[Outcome]]) -> Generator[Outcome, None, set[Future[Outcome]]]:
    """Wait for the first of some futures, yield the outcomes, and return what is still running."""
    done, rest = wait(waiting, return_when=FIRST_COMPLETED)
    for each in done:
        yield each.result()
    return rest


def import_loky() -> Any:
    """Return joblib's loky. Raises: ModuleNotFoundError, naming the extra."""
    try:
        from joblib.externals import loky
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("sweeps need joblib: pip install 'sessionstore[sweeps]'", name="joblib") from error
    return loky


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


class _Worker:
    """The state of a worker process: whether it has a point in hand, and whether the process of the sweep has gone."""

    busy = False
    orphaned = False


def _begin_worker() -> None:
    """Leave Ctrl-C to the process that runs the sweep; end when that is killed, after the point in hand has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, _orphaned)
        isolated.ask_for_death_signal(signal.SIGUSR1)


def _orphaned(*_: object) -> None:
    _Worker.orphaned = True
    if not _Worker.busy:
        os._exit(0)


def _run(task: Task) -> Outcome:
    _Worker.busy = True
    try:
        return run_task(task, stop_file(task))
    finally:
        _Worker.busy = False
        if _Worker.orphaned:
            os._exit(0)
