"""Running a sweep: the points that are missing, each until it has an outcome, and the progress meanwhile.

A point whose process dies is run again, three times in all; one that raises is a failed session, and the others go on.
A full disk stops the sweep: the points that are left are missing, and are run by the next start.
Not here: where points run (local, cluster), what a sweep is (definition), reading it (sweep, results).
"""

from __future__ import annotations

import contextlib
import secrets
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from sessionstore.disk import files
from sessionstore.errors import SessionStoreError
from sessionstore.model.field_rules import FINAL_STATUSES
from sessionstore.store import SessionStore
from sessionstore.sweeps.definition import Definition, Point
from sessionstore.sweeps.figures import FiguresOfRun
from sessionstore.sweeps.folder import SweepFolder
from sessionstore.sweeps.local import WorkersLost
from sessionstore.sweeps.programs import Program
from sessionstore.sweeps.results import sessions_of
from sessionstore.sweeps.worker import MARK, Outcome, Task, mark_of

#: A round in which every worker is lost is repeated at most this often in a row.
_LOST_ROUNDS = 5
_MERGED_AT_ONCE = 20


class Executor(Protocol):
    """Where points run."""

    label: str

    def outcomes(self, tasks: Iterator[Task], stopped: Callable[[], str | None]) -> Iterator[Outcome]:
        """Run tasks, and yield how each ended. Raises: WorkersLost."""


class Progress(msgspec.Struct):
    """How far a run of a sweep is."""

    total: int
    before: int  # ended in an earlier run
    completed: int = 0
    failed: int = 0
    stopped: int = 0
    again: int = 0  # attempts that died and were repeated
    last: Outcome | None = None
    began: float = 0.0

    @property
    def done(self) -> int:
        """The points that have ended, in this run or before."""
        return self.before + self.completed + self.failed

    @property
    def rate(self) -> float:
        """Points a second in this run."""
        return (self.completed + self.failed) / max(time.monotonic() - self.began, 1e-9)


class Run(msgspec.Struct):
    """What a run of a sweep came to."""

    progress: Progress
    stopped_by: str | None = None
    superseded: int = 0  # earlier attempts that are in the trash


def run_points(
    store: SessionStore,
    folder: SweepFolder,
    definition: Definition,
    program: Program,
    points: list[Point],
    executor: Executor,
    progress: Progress,
    report: Callable[[Progress], None],
) -> Run:
    """Run points until each has an outcome or the sweep is stopped. Raises: as making sessions."""
    runner = _Runner(store, folder, definition, program, executor, progress, report)
    with _stoppable(folder):
        runner.run(points)
    return Run(progress, runner.stopped_by(), settle(store, folder.sweep_id))


class _Runner:
    def __init__(
        self,
        store: SessionStore,
        folder: SweepFolder,
        definition: Definition,
        program: Program,
        executor: Executor,
        progress: Progress,
        report: Callable[[Progress], None],
    ) -> None:
        import cloudpickle

        self._store, self._folder, self._definition = store, folder, definition
        self._executor, self._progress, self._report = executor, progress, report
        self._program = cloudpickle.dumps(program)
        self._token = secrets.token_hex(16)
        files.put(folder.path / "token", self._token.encode(), sync=False)
        self._waiting: deque[tuple[Point, int]] = deque()
        self._in_hand: dict[str, tuple[Point, int]] = {}
        self._halted: str | None = None
        self._figures = FiguresOfRun(store, folder)
        self._returned = Returned(store, self._figures)

    def stopped_by(self) -> str | None:
        """Return why no further point is begun, None while all is well."""
        return self._halted or self._folder.wish_to_stop()

    def _halt(self, reason: str) -> None:
        self._halted = reason
        with contextlib.suppress(SessionStoreError):  # on a full disk only this process knows
            self._folder.ask_to_stop(reason)

    def run(self, points: list[Point]) -> None:
        try:
            self._run(points)
        finally:
            self._figures.flush()

    def _run(self, points: list[Point]) -> None:
        self._waiting.extend((point, 1) for point in points)
        lost = 0
        while self._waiting and self.stopped_by() is None:
            before = self._progress.done
            try:
                for outcome in self._executor.outcomes(self._tasks(), self.stopped_by):
                    self._take(outcome)
                self._returned.merge()
            except WorkersLost as error:
                self._returned.merge()
                if self.stopped_by() is None:
                    lost = 0 if self._progress.done > before else lost + 1
                    self._run_again(str(error))
                    if lost >= _LOST_ROUNDS:
                        self._halt(f"all workers were lost {lost} times: {error}")

    def _tasks(self) -> Iterator[Task]:
        while self._waiting and self.stopped_by() is None:
            point, attempt = self._waiting.popleft()
            self._in_hand[point.key] = (point, attempt)
            yield self._task(point, attempt)

    def _task(self, point: Point, attempt: int) -> Task:
        wanted = self._definition
        memory = None if wanted.memory_limit_mb is None else int(wanted.memory_limit_mb * 2**20)
        return Task(
            self._folder.sweep_id, wanted.name, point, attempt, wanted.attempts, self._program,
            str(self._store.root.path), self._store.index.url, self._token, wanted.time_limit_s, memory,
        )  # fmt: skip

    def _take(self, outcome: Outcome) -> None:
        point, attempt = self._in_hand.pop(outcome.key, (None, 0))
        if point is None:
            return  # a second outcome of a point that was given out twice
        if outcome.bundle is not None:
            self._returned.add(outcome)
        elif outcome.session_id is not None and outcome.status != "died":
            self._figures.note(outcome.session_id)
        if outcome.status == "died":
            self._died(point, attempt, outcome)
        elif outcome.status == "full":
            self._halt(f"the disk is full: {outcome.reason}")
        elif outcome.status == "completed":
            self._progress.completed += 1
        elif outcome.status == "failed":
            self._progress.failed += 1
            if outcome.session_id is None:
                self._failed_without_session(point, attempt, outcome.reason)
        else:
            self._progress.stopped += 1
        self._progress.last = outcome
        self._report(self._progress)

    def _died(self, point: Point, attempt: int, outcome: Outcome) -> None:
        if attempt < self._definition.attempts:
            self._progress.again += 1
            self._waiting.append((point, attempt + 1))
            return
        self._progress.failed += 1
        if outcome.session_id is None:
            self._failed_without_session(point, attempt, outcome.reason)

    def _run_again(self, reason: str) -> None:
        """Put back what workers had in hand when they were lost."""
        for point, attempt in list(self._in_hand.values()):
            text = f"the worker was lost (attempt {attempt} of {self._definition.attempts}): {reason}"
            self._take(Outcome(point.key, point.number, None, "died", text))

    def _failed_without_session(self, point: Point, attempt: int, reason: str) -> None:
        metadata = {MARK: mark_of(self._task(point, attempt))}
        with self._store.record(f"{self._definition.name} {point.number}", metadata=metadata) as run:
            run.finish("failed", reason)


class Returned:
    """Sessions that workers without a shared disk send; they are merged some at a time, each whole or not at all."""

    def __init__(self, store: SessionStore, figures: FiguresOfRun) -> None:
        self._store, self._figures = store, figures
        self._bundles: list[tuple[str, bytes]] = []

    def add(self, outcome: Outcome) -> None:
        """Take the session of an outcome. Raises: as :meth:`merge`."""
        assert outcome.bundle is not None and outcome.session_id is not None
        self._bundles.append((outcome.session_id, outcome.bundle))
        outcome.bundle = None
        if len(self._bundles) >= _MERGED_AT_ONCE:
            self.merge()

    def merge(self) -> None:
        """Take what has come into the store. Raises: as ``store.merge``; what is not in it is run again."""
        if not self._bundles:
            return
        with tempfile.TemporaryDirectory(prefix="sessionstore-sweep-") as place:
            paths = []
            for number, (_, data) in enumerate(self._bundles):
                path = Path(place) / f"{number}.zip"
                files.put(path, data, sync=False)
                paths.append(path)
            self._store.merge(paths)
        for session_id, _ in self._bundles:
            self._figures.note(session_id)
        self._bundles.clear()


def settle(store: SessionStore, sweep_id: str) -> int:
    """Move earlier attempts of points that have a better session to the trash; return how many."""
    moved = 0
    for rows in sessions_of(store, sweep_id).values():
        for row in rows[1:]:
            if row.status in (*FINAL_STATUSES, "interrupted", "created") and row.host is None:
                with contextlib.suppress(SessionStoreError):  # another process moved it, or the next run does
                    store.delete(row.session_id)
                    moved += 1
    return moved


@contextlib.contextmanager
def _stoppable(folder: SweepFolder) -> Iterator[None]:
    """Let the first Ctrl-C (or SIGTERM) ask the sweep to stop; the second ends it at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: object) -> None:
        if folder.wish_to_stop() is not None:
            raise KeyboardInterrupt
        name = signal.Signals(number).name
        folder.ask_to_stop("stopped by Ctrl-C" if number == signal.SIGINT else f"stopped by {name}")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
