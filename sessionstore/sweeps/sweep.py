"""A sweep of a store: start or go on, status, results, stop, retry.

    sweep = store.sweep(fly, grid={"wind_mps": [0, 5]}, seeds=20)
    sweep.results().groups()

The same name is the same sweep: what has ended is not run again. Not here: one point (worker), the loop (running).
"""

from __future__ import annotations

import errno
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from sessionstore.errors import InvalidRecord, SessionNotFound
from sessionstore.model.gc_pause import gc_paused
from sessionstore.model.row import SessionRow
from sessionstore.store import SessionStore
from sessionstore.sweeps import definition as definitions
from sessionstore.sweeps import optimise, snapshot
from sessionstore.sweeps.definition import Definition, Point
from sessionstore.sweeps.folder import SweepFolder, sweep_ids
from sessionstore.sweeps.local import LocalExecutor
from sessionstore.sweeps.programs import Program, program_of
from sessionstore.sweeps.results import WAITING, Results, results, sessions_of
from sessionstore.sweeps.running import Executor, Progress, Run, run_points

#: Of a larger sweep that many points, evenly spread, are checked before anything starts.
_MOST_CHECKED = 500
_ENDED = ("completed", "failed")
_NO_ROOM = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))


class Change(msgspec.Struct):
    """What differs from the sweep of this name as it was: points that are new, kept and gone."""

    new: int
    kept: int
    gone: int
    program_changed: bool = False

    def __str__(self) -> str:
        why = "the program has changed, so its points are new ones; " if self.program_changed else ""
        return f"{why}new points: {self.new:,}; gone: {self.gone:,} (their sessions stay); as before: {self.kept:,}"


class Status(msgspec.Struct):
    """How many points are in which state."""

    sweep_id: str
    name: str
    total: int
    running: bool  # a process runs the sweep now
    counts: dict[str, int]

    @property
    def done(self) -> int:
        """The points that have ended."""
        return sum(self.counts.get(status, 0) for status in _ENDED)


class Sweep:
    """A sweep that was started before. Raises: SessionNotFound: there is none of this id."""

    def __init__(self, store: SessionStore, sweep_id: str) -> None:
        self.store, self.sweep_id = store, definitions.id_of(sweep_id)
        self.folder = SweepFolder(store.root, self.sweep_id)
        self.definition = self.folder.definition()
        #: What the last run in this process came to; None when it was only looked at.
        self.last_run: Run | None = None
        self.change: Change | None = None

    def __repr__(self) -> str:
        return f"<sweep {self.sweep_id}: {len(self.points)} points>"

    @property
    def points(self) -> list[Point]:
        """Its points."""
        return self.folder.points()

    def results(self) -> Results:
        """Return a row for each point, and mean and interval over seeds. Raises: as ``store.find``."""
        if (kept := snapshot.read(self.store, self.folder)) is not None:
            return kept
        state = snapshot.state_of(self.store, self.folder)
        found = results(self.store, self.folder)
        snapshot.keep(self.store, self.folder, state, found)
        return found

    def frame(self) -> Any:
        """Return the rows as a pandas frame. Raises: ModuleNotFoundError."""
        import pandas

        return pandas.DataFrame([row.plain() for row in self.results().rows])

    def status(self) -> Status:
        """Return how many points have ended, run, wait. Raises: as ``store.find``."""
        counts = snapshot.read_counts(self.store, self.folder)
        if counts is None:
            state = snapshot.state_of(self.store, self.folder)
            counts = self._counts()
            snapshot.keep_counts(self.store, self.folder, state, counts)
        return Status(self.sweep_id, self.definition.name, sum(counts.values()), self.folder.is_held(), counts)

    def _counts(self) -> dict[str, int]:
        with gc_paused():
            sessions = sessions_of(self.store, self.sweep_id)
            found = Counter(sessions[key][0].status if key in sessions else WAITING for key in self.folder.point_keys())
        return dict(found)

    def stop(self, reason: str = "stopped by sweep stop") -> bool:
        """Ask the process that runs the sweep to stop; return whether there is one."""
        if not self.folder.is_held():
            return False
        self.folder.ask_to_stop(reason)
        return True

    def failed(self) -> list[Point]:
        """Return the points that have failed."""
        sessions = sessions_of(self.store, self.sweep_id)
        return [point for point in self.points if point.key in sessions and sessions[point.key][0].status == "failed"]

    def run(
        self,
        program: Program,
        executor: Any = None,
        report: Callable[[Progress], None] = lambda _: None,
        retry: bool = False,
    ) -> Run:
        """Run what is missing, and with ``retry`` also what has failed.

        Args:
            executor: a number of processes (default: all cores), or a Dask client or its address.

        Raises: Conflict: another process runs it; InvalidRecord: the program is not the one of this sweep.
        """
        if program.fingerprint != self.definition.fingerprint:
            raise InvalidRecord(f"{program.label} has changed since the sweep {self.sweep_id} was started")
        place = executor_of(executor)
        with self.folder.held():
            self.folder.go_on()
            if self.definition.tpe:
                self._run_study(program, place, report, retry)
            else:
                self.last_run = self._run_missing(program, place, report, retry)
        assert self.last_run is not None
        return self.last_run

    def _run_study(self, program: Program, place: Executor, report: Callable[[Progress], None], retry: bool) -> None:
        """Run what the study asks for, batch by batch, until all trials have an answer."""
        study = optimise.Study(self.folder, self.definition)
        self.last_run = None
        total = self.definition.tpe["count"] * max(1, len(self.definition.seeds))
        while True:
            waiting = study.open_sets(optimise.BATCH)
            self.folder.keep(self.definition, study.points(self.points))
            batch = self._run_missing(program, place, report, retry, total)
            self.last_run = batch if self.last_run is None else _together(self.last_run, batch)
            if not waiting or self.last_run.stopped_by:
                return
            study.answer(self.results(), waiting)

    def _run_missing(
        self,
        program: Program,
        place: Executor,
        report: Callable[[Progress], None],
        retry: bool,
        total: int | None = None,
    ) -> Run:
        points, sessions = self.points, sessions_of(self.store, self.sweep_id)
        missing = [p for p in points if self._is_missing(sessions.get(p.key), retry)]
        progress = Progress(total or len(points), len(points) - len(missing), began=time.monotonic())
        report(progress)
        return run_points(self.store, self.folder, self.definition, program, missing, place, progress, report)

    def _is_missing(self, sessions: list[SessionRow] | None, retry: bool) -> bool:
        """Whether a point is to be run: it has not ended, or it failed for want of room on the disk."""
        if not sessions or sessions[0].status not in _ENDED:
            return True
        if sessions[0].status == "completed":
            return False
        reason = self.store.catalog.session(sessions[0].session_id).record.end_reason or ""
        return retry or any(text in reason for text in _NO_ROOM)


def _together(first: Run, batch: Run) -> Run:
    """Return what two batches of one run came to."""
    for name in ("completed", "failed", "stopped", "again"):
        setattr(batch.progress, name, getattr(batch.progress, name) + getattr(first.progress, name))
    batch.progress.before = first.progress.before
    batch.superseded += first.superseded
    return batch


def executor_of(given: Any) -> Executor:
    """Return where points run: a number of processes, the address or client of a Dask cluster, or an executor."""
    if given is None or (isinstance(given, int) and not isinstance(given, bool)):
        return LocalExecutor(given)
    if hasattr(given, "outcomes"):
        executor: Executor = given
        return executor
    if isinstance(given, str) or hasattr(given, "scheduler"):
        from sessionstore.sweeps.cluster import ClusterExecutor

        return ClusterExecutor(given)
    raise InvalidRecord(f"a number of processes or a Dask cluster is expected, not {type(given).__name__}")


def prepare(store: SessionStore, wanted: Definition, program: Program) -> tuple[Sweep, Change | None]:
    """Store a sweep, or change the one of this name; return it with what differs. Nothing is run.

    Raises: InvalidRecord, ScenarioError: a point cannot be run; Conflict: another process runs the sweep.
    """
    points, change, folder = plan(store, wanted, program)
    if change is None or change.new or change.gone or msgspec.to_builtins(folder.definition()) != wanted:
        store.root.prepare()
        with folder.held():
            folder.keep(wanted, points)
    return Sweep(store, folder.sweep_id), change


def plan(store: SessionStore, wanted: Definition, program: Program) -> tuple[list[Point], Change | None, SweepFolder]:
    """Return the points of a sweep, checked, and what differs from the one of this name. Raises: as prepare."""
    wanted.check()
    folder = SweepFolder(store.root, definitions.id_of(wanted.name))
    before = folder.points() if folder.exists() else []
    if wanted.tpe:
        optimise.checked(wanted.tpe)
        same = folder.exists() and {**folder.definition().tpe, "count": 0} == {**wanted.tpe, "count": 0}
        points = before if same else []
    else:
        points = definitions.numbered(wanted.parameter_sets() or [{}], wanted.fingerprint, before)
    for point in points[:: max(1, len(points) // _MOST_CHECKED)]:
        program.check(point.parameters)
    if not folder.exists():
        return points, None, folder
    old, new = {point.key for point in before}, {point.key for point in points}
    changed = folder.definition().fingerprint != wanted.fingerprint
    return points, Change(len(new - old), len(new & old), len(old - new), changed), folder


def sweep(store: SessionStore, program: Any, **given: Any) -> Sweep:
    """Run a sweep; see ``SessionStore.sweep``."""
    executor, report = given.pop("executor", None), given.pop("report", None) or (lambda _: None)
    made = program_of(program)
    wanted = definition_of(made, **given)
    found, change = prepare(store, wanted, made)
    found.change = change if change is not None and (change.new or change.gone) else None
    found.run(made, executor, report)
    return found


def definition_of(program: Program, **given: Any) -> Definition:
    """Return a definition of what a user gives; ``seeds`` may be a number. Raises: InvalidRecord."""
    facts = {name: value for name, value in given.items() if value is not None}
    facts.setdefault("name", program.label.removeprefix("scenario ").rpartition(":")[2])
    seeds, exclude = facts.get("seeds", []), facts.get("exclude", [])
    facts["seeds"] = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    facts["exclude"] = [exclude] if isinstance(exclude, str) else list(exclude)
    for name in ("grid", "zip"):
        axes: Mapping[str, Any] = facts.get(name, {})
        facts[name] = {key: list(axis) if isinstance(axis, range | tuple) else axis for key, axis in axes.items()}
    try:
        return msgspec.convert(
            {**facts, "program": program.label, "fingerprint": program.fingerprint}, Definition, from_attributes=False
        )
    except msgspec.ValidationError as error:
        raise InvalidRecord(f"the sweep: {error}") from error


def all_sweeps(store: SessionStore) -> list[Sweep]:
    """Return the sweeps of a store."""
    found = []
    for sweep_id in sweep_ids(store.root):
        try:
            found.append(Sweep(store, sweep_id))
        except SessionNotFound:  # removed meanwhile
            continue
    return found
