"""One point on a worker: recorded in the store, or, without a shared disk, in a store of its own and brought back.

A point always leaves a session: a failure has its traceback, a limit and a killed process their reason.
Not here: the process with its limits (isolated), who hands out points (local, cluster).
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from sessionstore.errors import SessionStoreError, StoreUnusable
from sessionstore.model import provenance
from sessionstore.model.field_rules import FINAL_STATUSES
from sessionstore.session.exception_text import reason_of
from sessionstore.session.full_disk import is_full
from sessionstore.store import SessionStore
from sessionstore.sweeps import isolated
from sessionstore.sweeps.definition import Point
from sessionstore.sweeps.folder import SweepFolder
from sessionstore.sweeps.isolated import Ended, Limits, Say
from sessionstore.sweeps.programs import Program

MARK = "sweep"


class Task(msgspec.Struct, frozen=True):
    """What a worker needs to know of one point."""

    sweep_id: str
    name: str
    point: Point
    attempt: int
    attempts: int
    program: bytes  # pickled
    folder: str
    index: str | None
    token: str  # in a file of the sweep: who sees it shares the disk
    time_limit_s: float | None = None
    memory_limit_bytes: int | None = None


class Outcome(msgspec.Struct):
    """How a point ended."""

    key: str
    number: int
    session_id: str | None
    status: str  # completed, failed, stopped; died: run it again; full: the disk is
    reason: str = ""
    wall_s: float = 0.0
    bundle: bytes | None = None  # the session, of a worker without a shared disk


def run_task(task: Task, stopped: Callable[[], str | None]) -> Outcome:
    """Run a point in a process of its own, and return how it ended. Raises: as making the session."""
    if reason := stopped():
        return Outcome(task.point.key, task.point.number, None, "stopped", reason)
    _warmed(task.program)
    if shares_disk(task):
        return _run_in(task, task.folder, task.index, stopped)
    place = tempfile.mkdtemp(prefix="sessionstore-sweep-")
    try:
        outcome = _run_in(task, place, "journal:", stopped)
        if outcome.session_id is not None:
            packed = Path(place) / "session.zip"
            isolated.run(lambda _: _pack(place, packed, str(outcome.session_id)), Limits(), lambda: None)
            outcome.bundle = packed.read_bytes()
        return outcome
    finally:
        shutil.rmtree(place, ignore_errors=True)  # the worker's own scratch folder


def shares_disk(task: Task) -> bool:
    """Whether this worker sees the store of the sweep, and not a folder of the same name."""
    try:
        return (Path(task.folder) / ".sessionstore" / "sweeps" / task.sweep_id / "token").read_text() == task.token
    except OSError:
        return False


def stop_file(task: Task) -> Callable[[], str | None]:
    """Return what looks whether the sweep was asked to stop, or the process that runs it has gone."""
    folder = SweepFolder(SessionStore(task.folder, "journal:").root, task.sweep_id)
    parent = os.getppid()

    def stopped() -> str | None:
        if os.getppid() != parent:
            return "the process that runs the sweep has gone"
        return folder.wish_to_stop()

    return stopped


def _pack(place: str, packed: Path, session_id: str) -> None:
    with SessionStore(place, "journal:") as store:
        store.pack(packed, session_id)


def _run_in(task: Task, folder: str, index: str | None, stopped: Callable[[], str | None]) -> Outcome:
    limits = Limits(task.time_limit_s, task.memory_limit_bytes)
    ended = isolated.run(lambda say: _record(task, folder, index, say), limits, stopped)
    session_id = ended.said.get("session_id")
    status, reason = _verdict(ended, limits, task)
    outcome = Outcome(task.point.key, task.point.number, session_id, status, reason, ended.wall_s)
    if ended.how != "done" and session_id is not None:
        final = "stopped" if status == "stopped" else "failed"
        isolated.run(lambda _: _end(folder, index, session_id, final, reason), Limits(), lambda: None)
    return outcome


def _verdict(ended: Ended, limits: Limits, task: Task) -> tuple[str, str]:
    """Return status and reason of a point."""
    said, reason = ended.said.get("status"), str(ended.said.get("reason") or "")
    if ended.how == "done" or said == "completed":
        return str(said or "died"), reason
    if ended.how == "time limit":
        return "failed", f"time limit of {limits.time_s:g} s"
    if ended.how == "memory limit":
        return "failed", f"memory limit of {(limits.memory_bytes or 0) / 2**20:,.0f} MB"
    if ended.how == "stopped":
        return "stopped", str(ended.said.get("why") or "stopped")
    return "died", f"the process ended by {ended.signal_name} (attempt {task.attempt} of {task.attempts})"


def _end(folder: str, index: str | None, session_id: str, status: str, reason: str) -> None:
    """Mark the session of a killed process as ended; one that ended itself in time stays as it is."""
    with SessionStore(folder, index) as store, contextlib.suppress(StoreUnusable):  # it reads as interrupted then
        session = store.get(session_id)
        if session.record.status not in FINAL_STATUSES:
            session.update(status=status, end_reason=reason, reason=reason)


@functools.lru_cache(maxsize=8)
def _loaded(program: bytes) -> Program:
    import cloudpickle

    found: Program = cloudpickle.loads(program)
    return found


def _warmed(program: bytes) -> None:
    """Import what a program needs, and gather where it runs, once for all points of this process."""
    provenance.gather()
    try:
        _loaded(program)
    except Exception:  # noqa: BLE001  # the point itself fails then, with the traceback in its session
        return


def _record(task: Task, folder: str, index: str | None, say: Say) -> None:
    """Record a point, in its own process; what goes wrong is in the session, or reported when there is none."""
    begun: list[str] = []

    def begin(session_id: str) -> None:
        begun.append(session_id)
        say({"session_id": session_id})

    metadata = {MARK: mark_of(task)}
    name = f"{task.name} {task.point.number}"
    try:
        with SessionStore(folder, index) as store:
            try:
                _loaded(task.program).record(store, name, metadata, task.point.parameters, begin)
            except BaseException as error:  # it is in the session of the point, which is read below
                if _is_full(error) or (not begun and isinstance(error, KeyboardInterrupt)):
                    raise  # a point that is stopped before it has begun has no session: it has not failed, and waits
                if not begun:
                    _failed_session(store, name, metadata, error, begin)
            record = store.get(begun[0]).record
            say({"status": record.status, "reason": record.end_reason or ""})
    except SessionStoreError as error:
        if not _is_full(error):
            raise
        say({"status": "full", "reason": str(error)})


def _is_full(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, StoreUnusable) and is_full(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _failed_session(
    store: SessionStore, name: str, metadata: Mapping[str, Any], error: BaseException, begin: Callable[[str], None]
) -> None:
    """Make a session of a point that failed before it had one."""
    with store.record(name, metadata=dict(metadata)) as run:
        begin(run.session_id)
        run.event("exception", reason_of(error), level="error", traceback=_trace(error))
        run.finish("failed", reason_of(error))


def _trace(error: BaseException) -> str:
    import traceback

    return "".join(traceback.format_exception(error))[-100_000:]


def mark_of(task: Task) -> dict[str, Any]:
    """Return what the metadata of a session keep of its sweep."""
    point = task.point
    return {
        "id": task.sweep_id,
        "number": point.number,
        "point": point.key,
        "parameters": point.parameters,
        "attempt": task.attempt,
    }
