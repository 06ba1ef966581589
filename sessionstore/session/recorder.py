"""Recording a run: streams that are appended while it goes on, a heartbeat, and an end that is always stored.

    with store.record("name") as session:
        session.motion.append("scout-1", t_s=0.05, position_m=(0, 0, 5))

The block's end completes the session; an exception marks it failed, with the traceback as an event, and is raised
again; Ctrl-C and SystemExit mark it stopped. A process that dies stores no end: readers report it as interrupted.
A disk that is full is waited for, 30 s at most (session.full_disk).
Not here: the simulation (simulation), reading (session, session.stream_reader).
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from sessionstore.disk.append_file import renewed_after_fork
from sessionstore.errors import (
    InvalidRecord,
    NotApplied,
    OutcomeUnknown,
    SessionStoreError,
    StoreUnusable,
    StreamClosed,
    Unreadable,
)  # fmt: skip
from sessionstore.layout import DOCUMENT, StoreRoot
from sessionstore.model import liveness, records, values
from sessionstore.model.record import SessionRecord
from sessionstore.model.row import SessionRow
from sessionstore.session import Session, late_columns, program_threads, stream_identity, stream_names
from sessionstore.session.artifacts import Artifact
from sessionstore.session.exception_text import as_text, reason_of
from sessionstore.session.full_disk import FullDiskWait, is_full
from sessionstore.session.log_handler import SessionLogHandler
from sessionstore.session.motion import MOTION_STREAM, MotionWriter, PointOrder, movement_totals
from sessionstore.session.run_clock import RunClock, RunWriter, Start
from sessionstore.session.stream_writer import StreamWriter, SyncMode

BEAT_S = 1.0
#: How often a run in progress writes its figures into the record, so that lists show them.
PROGRESS_S = 2.0
_logger = logging.getLogger("sessionstore")
_STOPS = (KeyboardInterrupt, SystemExit, GeneratorExit)  # and asyncio's, which is not imported for this
_MAX_TRACE = 100_000  # characters of a traceback that are kept, the last ones
_LEVELS = ("debug", "info", "warning", "error", "critical")


class Recorder(Session):
    """A session that this process records; everything that :class:`Session` reads, and the streams to write.

    Made by ``store.record(...)`` or ``store.start(session_id)``; safe for threads.
    """

    def __init__(
        self,
        root: StoreRoot,
        session_id: str,
        changed: Callable[[SessionRow], None] | None = None,
        sync: SyncMode = "batch",
        start: Start = "zero",
        order: PointOrder = "any",
    ) -> None:
        super().__init__(root, session_id, changed)
        self.full_disk = FullDiskWait(session_id)
        record = self.record
        self._clock = RunClock(start, record.started_at if record.status == "created" else None, self._begun_at)
        self._sync = sync
        self._writers: dict[str, StreamWriter] = {}
        self._mutex = threading.RLock()
        renewed_after_fork(self)
        self._sim_time_s = 0.0
        self._progress: dict[str, Any] = {}
        self._progress_due = time.monotonic() + PROGRESS_S
        self._ended = threading.Event()
        self._finished = False
        self._heart: threading.Thread | None = None
        self._last_values: dict[str, Any] = {}
        self._died_threads: dict[str, str] = {}
        self.motion = MotionWriter(self.stream(MOTION_STREAM), order)

    def renew_after_fork(self) -> None:
        """Forget a lock that another thread of the parent held."""
        self._mutex = threading.RLock()

    def start(self, resume_at_s: float | None = None) -> Self:
        """Mark the session running, by this process, and begin to beat.

        Args:
            resume_at_s: sim_time of a checkpoint before the crash: begins a new attempt, which replaces what was
                recorded from there on. Nothing is deleted; readers can choose earlier attempts.

        Raises: IllegalTransition: it has ended before; and as ``Session.update``.
        """
        # Also when it ran before: a resumed run.
        self._uuid = self.update(status="running", owner=liveness.here(), reason="started").uuid
        self.motion.sorted = not self.tape(MOTION_STREAM).exists()  # of a resumed run, the end reads all points
        if resume_at_s is not None:
            self._begin_attempt(resume_at_s)
        stream_identity.mark_begin(self.stream(stream_names.CLOCK), self.record)
        self._beat()
        self._heart = threading.Thread(target=self._keep_beating, name=f"beat-{self.session_id}", daemon=True)
        self._heart.start()
        program_threads.watch(self)
        return self

    def _begin_attempt(self, resume_at_s: float) -> None:
        for name, tape in self.tapes().items():
            latest_s = tape.order().latest_s
            if latest_s is not None and latest_s >= resume_at_s:
                self.stream(name).begin_attempt(resume_at_s)
        self._sim_time_s = resume_at_s

    def finish(
        self,
        status: str = "completed",
        end_reason: str | None = None,
        duration_sim_s: float | None = None,
        performance_metrics: dict[str, Any] | None = None,
    ) -> None:
        """End the session: streams flushed, then the record with its figures. A second call does nothing.
        Args:
            end_reason: by default the status.
            duration_sim_s: by default the latest sim_time seen.
            performance_metrics: ``{"totals": {...}, "drones": {id: {...}}}``, laid over what the motion adds up to.

        What cannot be stored of the figures is left out, with the reason under ``performance_metrics.refused``.
        Raises: as ``Session.update``: the record is then not marked ended; OutcomeUnknown of the streams: it is.
        """
        with self._mutex:
            if self._finished:
                return
            failure = self._close_streams()
            self._store_end(status, end_reason or status, duration_sim_s, performance_metrics or {}, failure)
            self._finished = True
            program_threads.unwatch(self)
        late_columns.make_at_end(self)
        if failure is not None:
            raise failure

    def _close_streams(self) -> OutcomeUnknown | None:
        """End the heartbeat and close every stream; return the first failure, which costs no other stream its end."""
        failure: OutcomeUnknown | None = None
        if not self._ended.is_set():
            self._ended.set()
            try:
                self._beat()
            except (NotApplied, OutcomeUnknown) as error:
                _logger.warning("%s: the last heartbeat is not stored: %s", self.session_id, error)
        for writer in self._writers.values():
            try:
                if writer is not self._writers.get(stream_names.CLOCK):
                    writer.close()
            except OutcomeUnknown as error:
                failure = failure or error
        try:
            stream_identity.mark_end(self.stream(stream_names.CLOCK), self.record, self.tapes())
        except OutcomeUnknown as error:
            failure = failure or error
        except (NotApplied, Unreadable) as error:
            _logger.warning("%s: the ends of its streams are not stored: %s", self.session_id, error)
        try:  # also after a failure above: closing reports a sync of the clock that failed in the background
            self.stream(stream_names.CLOCK).close()
        except OutcomeUnknown as error:
            failure = failure or error
        return failure

    def _store_end(
        self, status: str, end_reason: str, duration_sim_s: Any, given: dict[str, Any], failure: Exception | None
    ) -> None:
        """Write the end into the record; a figure that cannot be stored is left out and named, the rest is stored."""
        if status == "completed" and (died := self._died_threads):
            status, end_reason = "failed", "; ".join(f"thread {name} died: {reason}" for name, reason in died.items())
        if failure is not None:
            end_reason = f"{end_reason}; {failure}"
        metrics, refused = self._figures(given)
        wanted: dict[str, Any] = {
            "status": status,
            "end_reason": as_text(end_reason),
            "duration_sim_s": self._sim_time_s if duration_sim_s is None else duration_sim_s,
            "streams": {name: tape.count() for name, tape in self.tapes().items()},
            "progress": {},
        }
        if self._clock.is_imported:
            wanted["ended_at"] = self._clock.utc_text(self._sim_time_s)
        if not self.record.drones:
            wanted["drones"] = [{"id": name} for name in metrics["drones"]]
        for name in list(wanted):
            try:
                records.check_changes({name: wanted[name]})
            except InvalidRecord as error:
                refused[name] = str(error)
                del wanted[name]
        if "status" in refused:
            raise InvalidRecord(refused["status"])
        wanted["performance_metrics"] = {**metrics, "refused": refused} if refused else metrics
        self.update(**wanted, reason=as_text(end_reason), sim_time_s=self._sim_time_s)

    def _figures(self, given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """Return the figures of the run, and what could not be taken into them, with the reasons."""
        refused: dict[str, str] = {}
        taken = values.salvaged(given, "performance_metrics", {}, refused)
        for part in ("totals", "drones"):
            if not isinstance(taken.get(part, {}), dict):
                refused[f"/{part}"] = f"an object is expected, not {type(taken.pop(part)).__name__}"
        taken["drones"] = {name: each for name, each in taken.get("drones", {}).items() if isinstance(each, dict)}
        try:
            return self._metrics(taken), refused
        except (ArithmeticError, TypeError, ValueError) as error:
            refused["/motion"] = f"{type(error).__name__}: {error}"
            return {"totals": {}, **taken}, refused

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()
            return
        try:
            if isinstance(error, _STOPS) or type(error).__name__ == "CancelledError":
                self.finish("stopped", f"stopped by {type(error).__name__}")
                return
            reason = reason_of(error)
            if not self._ended.is_set():
                self._note_exception(error, reason)
            self.finish("failed", reason)
        except SessionStoreError as second:
            error.add_note(f"and the end of the session {self.session_id} is not stored: {second}")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the run in a thread, so that the event loop goes on meanwhile."""
        import asyncio

        await asyncio.to_thread(self.__exit__, kind, error, trace)

    def _note_exception(self, error: BaseException, reason: str) -> None:
        """Store the traceback as an event; when that is refused, the end is stored all the same."""
        try:
            trace = as_text("".join(traceback.format_exception(error)))
            self.event("exception", reason, level="error", traceback=trace[-_MAX_TRACE:])
        except SessionStoreError as second:
            error.add_note(f"and it could not be stored as an event: {second}")

    def stream(self, name: str) -> StreamWriter:
        """Return the writer of a stream of this run, the same one for the same name.

        Raises: InvalidName; StreamClosed: the run has ended, and the stream was never begun.
        """
        with self._mutex:
            if self._finished and name not in self._writers:
                raise StreamClosed(f"{self.session_id} has ended")
            if name not in self._writers:
                writer = RunWriter(self._path_to_write(name, self._writers), self._sync, self._root.quarantine)
                writer.clock, writer.full_disk = self._clock, self.full_disk
                self._writers[name] = writer
            return self._writers[name]

    def update(self, change: Callable[[dict[str, Any]], None] | None = None, **given: Any) -> SessionRecord:
        """Change fields of the record; see :meth:`Session.update`. A full disk is waited for (session.full_disk)."""
        write = super().update
        return self.full_disk.call(DOCUMENT, lambda: write(change, **given))

    def _begun_at(self, instant: str) -> None:
        self.update(started_at=instant)

    def log(self, message: str, level: str = "info", t_s: float | None = None, **data: Any) -> None:
        """Store a line of the program's log (stream ``log``). Raises: as ``StreamWriter.append``."""
        self._say(stream_names.LOG, {"level": level, "message": message, **data}, t_s)

    def event(self, kind: str, message: str = "", t_s: float | None = None, level: str = "info", **data: Any) -> None:
        """Store something that happened (stream ``events``). Raises: as ``StreamWriter.append``."""
        self._say(stream_names.EVENTS, {"kind": kind, "level": level, "message": message, **data}, t_s)

    def _say(self, stream: str, record: dict[str, Any], t_s: float | None) -> None:
        if record["level"] not in _LEVELS or isinstance(record["message"], Mapping):
            wrong = f"{record['level']!r}, {record['message']!r}"
            raise InvalidRecord(f"a level of {', '.join(_LEVELS)} and a text (other values by name), not {wrong}")
        self.stream(stream).append(record, t_s, at_least_s=self.sim_time_s)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Add to the metadata, which lists and filters see; a value that cannot be stored never fails the run.

        It is left out then, with the reason as an event and in the log. Raises: as ``Session.update``.
        """
        kept, refused = values.storable(params, "metadata")
        self.metadata.update(kept)
        for key, reason in refused.items():
            self.value_refused(f"metadata.{key}", reason)

    def log_param(self, key: str, value: Any) -> None:
        """Add one key to the metadata; see :meth:`log_params`."""
        self.log_params({key: value})

    def log_metric(self, key: str, value: Any, step: int | None = None, t_s: float | None = None) -> None:
        """Store one value of a figure in the stream ``metrics``; the last of each is in ``session.metrics["last"]``."""
        self.log_metrics({key: value}, step, t_s)

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None, t_s: float | None = None) -> None:
        """Store the values of several figures at one moment; see :meth:`log_metric`. Raises: as ``append``."""
        record = dict(metrics) if step is None else {**metrics, "step": step}
        self.stream(stream_names.METRICS).append(record, t_s, at_least_s=self.sim_time_s)
        self._last_values.update(metrics)

    def log_artifact(self, source: Any, name: str | None = None) -> Artifact:
        """Store a file under its own name or another one; see :meth:`Artifacts.put_file`."""
        return self.artifacts.put_file(source, name)

    def value_refused(self, where: str, reason: str) -> None:
        """Note that a value could not be stored, which does not fail the run."""
        _logger.warning("%s: %s is left out: %s", self.session_id, where, reason)
        self.event("value_refused", reason, level="warning", where=where)

    def workflow(self, state: str, reason: str = "", t_s: float | None = None) -> None:
        """Move on to a workflow state: in the record, with the move in its history. Raises: as ``Session.update``."""
        self.update(workflow_state=state, reason=reason, sim_time_s=self.sim_time_s if t_s is None else t_s)

    @property
    def sim_time_s(self) -> float:
        """The latest sim_time that this run has recorded, in seconds."""
        times = (writer.last_t_s for name, writer in self._writers.items() if name != stream_names.CLOCK)
        self._sim_time_s = max(self._sim_time_s, max(times, default=0.0))
        return self._sim_time_s

    def advance(self, t_s: float) -> None:
        """Take in the sim_time of what is recorded elsewhere, in seconds; it never goes back."""
        self._sim_time_s = max(self._sim_time_s, t_s)

    def beat(self, t_s: float, **progress: Any) -> None:
        """Say how far the run is; cheap, to be called at each recording tick.

        Args:
            t_s: sim_time in seconds.
            progress: figures such as points, distance_m, windows_cleaned; every two seconds of wall time they go
                into the record, so that lists show them while it runs.
        """
        self.advance(self._clock.sim_time_s(t_s))
        self._progress = progress
        if time.monotonic() >= self._progress_due and not self._ended.is_set():
            self._progress_due = time.monotonic() + PROGRESS_S
            drones = {name: movement.to_dict() for name, movement in self.motion.movements.items()}
            self.update(
                duration_sim_s=self._sim_time_s,
                progress={**movement_totals(drones), **progress} if drones else progress,
            )

    def handler(self, level: int = logging.NOTSET) -> logging.Handler:
        """Return a ``logging.Handler`` that stores a program's log lines in this session."""
        return SessionLogHandler(self, level)

    def thread_died(self, name: str, error: BaseException) -> None:
        """Note that a thread of the program ended with an exception: the run then ends as failed, with the reason."""
        if self._finished:
            return
        reason = reason_of(error)
        self._died_threads[name] = reason
        try:
            trace = as_text("".join(traceback.format_exception(error)))[-_MAX_TRACE:]
            self.event("thread_died", f"{name}: {reason}", level="error", traceback=trace)
        except SessionStoreError as second:
            _logger.warning("%s: the death of thread %s is not stored as an event: %s", self.session_id, name, second)

    def _metrics(self, given: dict[str, Any]) -> dict[str, Any]:
        if not self.motion.sorted:
            self.motion.recompute(self.tape(MOTION_STREAM).in_time())
        moved = {name: movement.to_dict() for name, movement in self.motion.movements.items()}
        drones = given.get("drones", {})
        both = {name: {**moved.get(name, {}), **drones.get(name, {})} for name in {**moved, **drones}}
        # What the points themselves add up to is newer than the last progress report.
        moved_totals = movement_totals(moved, self.motion.similar_names) if moved else {}
        totals = {**self._progress, **moved_totals, **given.get("totals", {})}
        last = {"last": values.salvaged(self._last_values, "last", {}, {})} if self._last_values else {}
        return {**last, **given, "totals": totals, "drones": both}

    def _beat(self) -> None:
        """Write a pair of sim_time and UTC, which is also the sign of life."""
        sim_time_s = self.sim_time_s
        self.stream(stream_names.CLOCK).append({"utc": self._clock.utc_text(sim_time_s)}, at_least_s=sim_time_s)

    def _keep_beating(self) -> None:
        while not self._ended.wait(BEAT_S):
            # The run itself gets the same error at its next append; here it only ends the beat.
            try:
                self._beat()
            except SessionStoreError as error:
                if not (isinstance(error, StoreUnusable) and is_full(error)):
                    return
