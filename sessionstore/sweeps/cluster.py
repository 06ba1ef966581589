"""Points on many machines: the workers of a Dask cluster, with or without a disk that they share with the store.

A worker that dies or is cut off costs no point: Dask gives it to another one. When the scheduler is restarted, what was
given out is given out again. Which outcome counts is decided by the process that runs the sweep: the first one.
Not here: starting a cluster (docs: clusters), one point (worker), bringing sessions back (running).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from sessionstore.errors import InvalidRecord
from sessionstore.sweeps.forking import Helper, HelperEnded
from sessionstore.sweeps.local import WorkersLost
from sessionstore.sweeps.worker import Outcome, Task, shares_disk, stop_file

#: How long a scheduler that does not answer is waited for.
CONNECT_S = 120.0
_AHEAD = 2  # points given out for each thread of the workers
_LOOK_EVERY_S = 0.5


class ClusterExecutor:
    """The workers of a Dask cluster, by the address of its scheduler or a client of it.

    Raises: ModuleNotFoundError: the extra is missing (``pip install 'sessionstore[cluster]'``).
    """

    def __init__(self, given: Any) -> None:
        self._distributed = _distributed()
        self._client: Any = None if isinstance(given, str) else given
        self._address = given if isinstance(given, str) else given.scheduler.address
        self._own = isinstance(given, str)
        self.label = f"Dask at {self._address}"

    def outcomes(self, tasks: Iterator[Task], stopped: Callable[[], str | None]) -> Iterator[Outcome]:
        """Run tasks, and yield how each ended as it ends. Raises: WorkersLost: the scheduler has gone."""
        client = self._connected()
        waiting: dict[Any, Task] = {}
        asked = False
        try:
            client.run(_go_on)
            while True:
                self._give_out(client, tasks, waiting)
                if not waiting:
                    return
                self._wait(client, list(waiting))
                yield from self._ended(client, waiting)
                if not asked and (reason := stopped()):
                    client.run(_stop, reason)
                    asked = True
        except (OSError, self._distributed.comm.CommClosedError, TimeoutError) as error:
            self._drop()
            raise WorkersLost(f"the scheduler at {self._address} does not answer: {error}") from error
        finally:
            if self._own and self._client is not None:
                self._drop()

    def _connected(self) -> Any:
        until = time.monotonic() + CONNECT_S
        while self._client is None or self._client.status != "running":
            try:
                self._client = self._distributed.Client(self._address, timeout=5, set_as_default=False)
            except (OSError, TimeoutError) as error:
                if time.monotonic() > until:
                    raise InvalidRecord(f"no Dask scheduler answers at {self._address}: {error}") from error
                time.sleep(1)
        return self._client

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None and client.status != "closed":
            client.close(timeout=2)

    def _give_out(self, client: Any, tasks: Iterator[Task], waiting: dict[Any, Task]) -> None:
        slots = max(1, sum(client.nthreads().values()))
        while len(waiting) < _AHEAD * slots:
            task = next(tasks, None)
            if task is None:
                return
            key = f"{task.sweep_id}-{task.point.key}-{task.attempt}-{task.token[:6]}"
            waiting[client.submit(run_on_worker, task, key=key, pure=False)] = task

    def _wait(self, client: Any, futures: list[Any]) -> None:
        try:
            with client.as_current():
                self._distributed.wait(futures, timeout=_LOOK_EVERY_S, return_when="FIRST_COMPLETED")
        except (TimeoutError, self._distributed.CancelledError):
            time.sleep(0.01)  # nothing has ended, or the scheduler has gone, which is looked at next

    def _ended(self, client: Any, waiting: dict[Any, Task]) -> Iterator[Outcome]:
        if client.status != "running" or any(future.status in ("cancelled", "lost") for future in waiting):
            self._drop()
            raise WorkersLost("the scheduler was restarted")
        for future in [future for future in waiting if future.done()]:
            task = waiting.pop(future)
            if future.status == "error":
                reason = f"{type(future.exception()).__name__}: {future.exception()}"
                yield Outcome(task.point.key, task.point.number, None, "died", f"the worker failed: {reason[:500]}")
            else:
                yield future.result()


def _distributed() -> Any:
    try:
        import distributed
    except ModuleNotFoundError as error:
        reason = "sweeps on a cluster need Dask: pip install 'sessionstore[cluster]'"
        raise ModuleNotFoundError(reason, name="distributed") from error
    return distributed


# ---------------------------------------------------------------- on a worker


class _Slot(threading.local):
    """The helper of one thread of a worker."""

    helper: Helper | None = None


_slot = _Slot()
_stopped: list[str] = []


def _stop(reason: str) -> None:
    _stopped.append(reason)


def _go_on() -> None:
    _stopped.clear()


def run_on_worker(task: Task) -> Outcome:
    """Run a point in the helper of this thread. Raises: HelperEnded: twice in a row."""
    look = stop_file(task) if shares_disk(task) else lambda: None
    for attempt in (1, 2):
        try:
            _slot.helper = _slot.helper or Helper()
            return _slot.helper.run(task, lambda: _stopped[0] if _stopped else look())
        except HelperEnded:  # killed since the last point
            helper, _slot.helper = _slot.helper, None
            if helper is not None:
                helper.close()
            if attempt == 2:
                raise
    raise AssertionError("not reached")
