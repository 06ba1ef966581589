"""Recording a run: streams that are appended while it goes on, a heartbeat, and an end that is always stored.

    with store.record("name") as session:
        session.motion.append("scout-1", t_s=0.05, position_m=(0, 0, 5))

The block's end completes the session; an exception marks it failed, with the traceback as an event, and is raised
again; Ctrl-C and SystemExit mark it stopped. A process that dies stores no end: readers report it as interrupted.
Not here: the simulation (simulation), reading (session, tape).
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from sessionstore.disk.append_file import renewed_after_fork
from sessionstore.errors import InvalidRecord, SessionStoreError, StreamClosed
from sessionstore.layout import StoreRoot
from sessionstore.model import liveness, records
from sessionstore.model.records import SessionRow
from sessionstore.session import Session
from sessionstore.session.handle import CLOCK_STREAM
from sessionstore.session.motion import MOTION_STREAM, MotionWriter, movement_totals
from sessionstore.session.stream_writer import StreamWriter, SyncMode

BEAT_S = 1.0
#: How often a run in progress writes its figures into the record, so that lists show them.
PROGRESS_S = 2.0
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
    ) -> None:
        super().__init__(root, session_id, changed)
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
        self.motion = MotionWriter(self.stream(MOTION_STREAM))

    def renew_after_fork(self) -> None:
        """Forget a lock that another thread of the parent held."""
        self._mutex = threading.RLock()

    # ------------------------------------------------------------ begin and end

    def start(self) -> Self:
        """Mark the session running, by this process, and begin to beat.

        Raises: IllegalTransition: it has ended before; and as ``Session.update``.
        """
        # Also when it ran before: a resumed run.
        self._uuid = self.update(status="running", owner=liveness.here(), reason="started").uuid
        self._beat()
        self._heart = threading.Thread(target=self._keep_beating, name=f"beat-{self.session_id}", daemon=True)
        self._heart.start()
        return self

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

        Raises: as ``Session.update``, and OutcomeUnknown of the streams: the record is then not marked ended.
        """
        with self._mutex:
            if self._finished:
                return
            self._finish(status, end_reason or status, duration_sim_s, performance_metrics or {})
            self._finished = True

    def _finish(self, status: str, end_reason: str, duration_sim_s: float | None, metrics: dict[str, Any]) -> None:
        if not self._ended.is_set():
            self._ended.set()
            self._beat()
        for writer in self._writers.values():
            writer.close()
        metrics = self._metrics(metrics)
        named: dict[str, Any] = {} if self.record.drones else {"drones": [{"id": name} for name in metrics["drones"]]}
        self.update(
            status=status,
            end_reason=end_reason,
            duration_sim_s=self._sim_time_s if duration_sim_s is None else duration_sim_s,
            performance_metrics=metrics,
            streams={name: tape.count() for name, tape in self.tapes().items()},
            **named,
            progress={},
            reason=end_reason,
            sim_time_s=self._sim_time_s,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()
            return
        try:
            if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
                self.finish("stopped", f"stopped by {type(error).__name__}")
                return
            reason = "".join(traceback.format_exception_only(error)).strip()
            if not self._ended.is_set():
                self.event("exception", reason, level="error", traceback="".join(traceback.format_exception(error)))
            self.finish("failed", reason)
        except SessionStoreError as second:
            error.add_note(f"and the session {self.session_id} could not be ended: {second}")

    # ------------------------------------------------------------ what happens

    def stream(self, name: str) -> StreamWriter:
        """Return the writer of a stream of this run, the same one for the same name.

        Raises: InvalidName; StreamClosed: the run has ended, and the stream was never begun.
        """
        with self._mutex:
            if self._finished and name not in self._writers:
                raise StreamClosed(f"{self.session_id} has ended")
            if name not in self._writers:
                self._writers[name] = self.writer(name, self._sync)
            return self._writers[name]

    def log(self, message: str, level: str = "info", t_s: float | None = None, **data: Any) -> None:
        """Store a line of the program's log (stream ``log``). Raises: as ``StreamWriter.append``."""
        self._say("log", {"level": level, "message": message, **data}, t_s)

    def event(self, kind: str, message: str = "", t_s: float | None = None, level: str = "info", **data: Any) -> None:
        """Store something that happened (stream ``events``). Raises: as ``StreamWriter.append``."""
        self._say("events", {"kind": kind, "level": level, "message": message, **data}, t_s)

    def _say(self, stream: str, record: dict[str, Any], t_s: float | None) -> None:
        if record["level"] not in _LEVELS:
            raise InvalidRecord(f"the level is one of {', '.join(_LEVELS)}, not {record['level']!r}")
        self.stream(stream).append(record, t_s, at_least_s=self.sim_time_s)

    def workflow(self, state: str, reason: str = "", t_s: float | None = None) -> None:
        """Move on to a workflow state: in the record, with the move in its history. Raises: as ``Session.update``."""
        self.update(workflow_state=state, reason=reason, sim_time_s=self.sim_time_s if t_s is None else t_s)

    @property
    def sim_time_s(self) -> float:
        """The latest sim_time that this run has recorded, in seconds."""
        latest = max((writer.last_t_s for name, writer in self._writers.items() if name != CLOCK_STREAM), default=0.0)
        self._sim_time_s = max(self._sim_time_s, latest)
        return self._sim_time_s

    def beat(self, t_s: float, **progress: Any) -> None:
        """Say how far the run is; cheap, to be called at each recording tick.

        Args:
            t_s: sim_time in seconds.
            progress: figures such as points, distance_m, windows_cleaned; every two seconds of wall time they go
                into the record, so that lists show them while it runs.
        """
        self._sim_time_s = max(self._sim_time_s, t_s)
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

    # ------------------------------------------------------------ inside

    def _metrics(self, given: dict[str, Any]) -> dict[str, Any]:
        moved = {name: movement.to_dict() for name, movement in self.motion.movements.items()}
        drones = given.get("drones", {})
        both = {name: {**moved.get(name, {}), **drones.get(name, {})} for name in {**moved, **drones}}
        # What the points themselves add up to is newer than the last progress report.
        totals = {**self._progress, **(movement_totals(moved) if moved else {}), **given.get("totals", {})}
        return {**given, "totals": totals, "drones": both}

    def _beat(self) -> None:
        """Write a pair of sim_time and UTC, which is also the sign of life."""
        self.stream(CLOCK_STREAM).append({"utc": records.now_text()}, at_least_s=self.sim_time_s)

    def _keep_beating(self) -> None:
        while not self._ended.wait(BEAT_S):
            # The run itself gets the same error at its next append; here it only ends the beat.
            with contextlib.suppress(StreamClosed):
                try:
                    self._beat()
                except SessionStoreError:
                    return


class SessionLogHandler(logging.Handler):
    """Sends log lines into the stream ``log`` of a session; what cannot be stored is reported as logging does."""

    def __init__(self, recorder: Recorder, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self._recorder = recorder

    def emit(self, record: logging.LogRecord) -> None:
        try:
            names = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}
            level = names[max(10, min(50, record.levelno // 10 * 10))]
            data: dict[str, Any] = {"logger": record.name}
            if record.exc_info:
                data["traceback"] = logging.Formatter().formatException(record.exc_info)
            self._recorder.log(record.getMessage(), level=level, **data)
        except Exception:  # noqa: BLE001  # the contract of logging: a handler never raises
            self.handleError(record)
