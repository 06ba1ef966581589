"""A program recorded from outside: command, output, exit code and resources, in any language.

The program gets its session by SESSIONSTORE_SESSION and SESSIONSTORE_DIR; a Python program adds streams to it by
``sessionstore.current()``. Its output stands in the stream ``log`` as it came, and is passed on.
Not here: running it again (reruns.rerun), the session inside the program (session.current).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, TextIO

from sessionstore.disk import files
from sessionstore.errors import InvalidRecord, SessionStoreError
from sessionstore.model import provenance
from sessionstore.session import stream_names
from sessionstore.session.current import ATTACHED, SESSION_VARIABLE
from sessionstore.session.recorder import Recorder
from sessionstore.store import SessionStore

_CHUNK = 1 << 20
_MAX_LINE = 10_000  # characters of a line of output that are kept
_MEASURED_EVERY_S = 0.05
_CLOCK_EVERY_S = 0.2
_STOPPED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(NamedTuple):
    """How a program ended: its session, and its exit code (128 and the signal that ended it)."""

    session_id: str
    exit_code: int


def run_program(
    store: SessionStore,
    command: Sequence[str],
    name: str | None = None,
    inputs: Sequence[str | Path] = (),
    environment: Sequence[str] = (),
    keep_diff: bool = False,
    folder: str | Path | None = None,
    extra_environment: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    output: TextIO | None = None,
) -> Ended:
    """Run a program and record it as a session of the store.

    Args:
        command: the program and its arguments.
        inputs: files that it reads: their SHA-256 is kept, and up to 50 MB a copy.
        environment: names of variables whose values are kept.
        keep_diff: keep what differs from the commit as the artifact ``uncommitted.diff``.
        folder: where it runs (default: here).
        extra_environment: further variables of the program, which are not kept.
        metadata: of the session.
        output: where its stdout is passed on to (default: stdout).

    Raises: InvalidRecord: an input or the program is missing; no session is made then. And as ``store.record``.
    """
    at = Path(folder or os.getcwd())
    for each in inputs:
        if not (at / each).is_file():
            raise InvalidRecord(f"the input {each} is not a file")
    resolved = _found(command[0], at)
    first = name or Path(command[0]).stem
    with store.record(first, metadata=dict(metadata or {})) as run:
        facts: dict[str, Any] = {
            "command": provenance.masked(list(command)),
            "folder": str(at),
            "environment": {key: os.environ[key] for key in environment if key in os.environ},
            "inputs": [_kept_input(run, at, each) for each in inputs],
        }
        if keep_diff and (diff := provenance.diff(str(at))):
            run.artifacts["uncommitted.diff"] = diff.encode()
            facts["diff"] = "uncommitted.diff"
        _note(run, facts)
        given = {SESSION_VARIABLE: run.session_id, "SESSIONSTORE_DIR": str(store.root.path)}
        clock = _ProgramClock(run)  # from before the program begins: a moment of it is never too early
        process = subprocess.Popen(
            [resolved, *command[1:]],
            cwd=at,
            env={**os.environ, **given, **(extra_environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        code, resources = _followed(process, run, clock, output or sys.stdout)
        _note(run, {**facts, "exit_code": code})
        _finish(run, code, resources)
    return Ended(run.session_id, code if code >= 0 else 128 - code)


def sha256_of(path: Path) -> tuple[str, int]:
    """Return the SHA-256 and the size of a file. Raises: OSError."""
    digest, size = hashlib.sha256(), 0
    descriptor = files.open_to_read(path)
    try:
        while part := os.read(descriptor, _CHUNK):
            digest.update(part)
            size += len(part)
    finally:
        os.close(descriptor)
    return digest.hexdigest(), size


def _found(program: str, at: Path) -> str:
    """Return the path of a program. Raises: InvalidRecord: it is not found."""
    path = shutil.which(program) or (str(at / program) if os.access(at / program, os.X_OK) else None)
    if path is None:
        raise InvalidRecord(f"the program {program!r} is not found")
    return path


def _kept_input(run: Recorder, at: Path, each: str | Path) -> dict[str, Any]:
    digest, size = sha256_of(at / each)
    kept: dict[str, Any] = {"path": str(each), "sha256": digest, "bytes": size}
    if size <= provenance.MAX_COPY_BYTES:
        kept["artifact"] = f"input-{digest[:8]}-{Path(each).name}"
        run.artifacts.put(kept["artifact"], at / each)
    return kept


def _note(run: Recorder, facts: Mapping[str, Any]) -> None:
    def change(record: dict[str, Any]) -> None:
        before = record["provenance"].get("program") or {}  # the program notes that it records
        record["provenance"] = {**record["provenance"], "program": {**before, **facts}}

    run.update(change)


def _followed(
    process: subprocess.Popen[bytes], run: Recorder, clock: _ProgramClock, output: TextIO
) -> tuple[int, dict[str, Any]]:
    """Keep and pass on the output until the program has ended; return exit code and figures."""
    threads = [
        threading.Thread(target=_kept_output, args=(pipe, out, run, level, clock))
        for pipe, out, level in ((process.stdout, output, "info"), (process.stderr, sys.stderr, "warning"))
    ]
    with _passed_on(process), clock, _Memory(process.pid) as memory:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return _ended(process, memory)


class _ProgramClock:
    """The sim_time of a run whose program is another process.

    A program that records (``sessionstore.current()``) has its own: the latest one in its streams, looked at five times
    a second. Of one that does not, sim_time counts seconds from its start, and each line of its output gets its own.
    """

    def __init__(self, run: Recorder) -> None:
        self._run = run
        self._began = time.monotonic()
        self._attached = False
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="program-clock", daemon=True)

    def __enter__(self) -> _ProgramClock:
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watcher.join()
        self.look()
        self.line()

    def line(self) -> None:
        """Take the moment of a line of output, or of the end."""
        if not self._attached:
            self._run.advance(round(time.monotonic() - self._began, 3))

    def look(self) -> None:
        """Look at what the program has recorded."""
        with contextlib.suppress(SessionStoreError):  # the run itself meets it, and says so
            if not self._attached:
                self._attached = ATTACHED in self._run.record.provenance.get("program", {})
            if self._attached:
                self._run.advance(_latest_s(self._run) or 0.0)

    def _watch(self) -> None:
        while not self._over.wait(_CLOCK_EVERY_S):
            self.look()


def _peak_bytes(process: int | str) -> int:
    """Return the largest memory of a running process as Linux shows it, 0 where nothing is shown."""
    try:
        shown = re.search(rb"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_bytes())
    except OSError:  # not Linux, or no longer there
        return 0
    return int(shown[1]) * 1024 if shown else 0


class _Memory:
    """The peak memory of a program, in bytes.

    Linux starts ``ru_maxrss`` of a program at the peak of the process that starts it (exec keeps the larger one of the
    old and the new memory). It is the program's own only where it is larger than ours; otherwise what was seen while
    the program ran is used.
    """

    def __init__(self, process_id: int) -> None:
        self._process_id = process_id
        self._ours = _peak_bytes("self")
        self._seen = 0
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="memory", daemon=True)

    def __enter__(self) -> _Memory:
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watcher.join()

    def _watch(self) -> None:
        while True:
            self._seen = max(self._seen, _peak_bytes(self._process_id))
            if self._over.wait(_MEASURED_EVERY_S):
                return

    def figures(self, maxrss: int) -> dict[str, int]:
        """Return the figure of the record for the ``ru_maxrss`` of the ended program; empty where it is not known."""
        counted = maxrss * (1 if sys.platform == "darwin" else 1024)
        peak = counted if counted > self._ours else self._seen
        return {"max_memory_bytes": peak} if peak else {}


def _ended(process: subprocess.Popen[bytes], memory: _Memory) -> tuple[int, dict[str, Any]]:
    """Wait for a program, and return its exit code (negative: a signal) and what it used, in seconds and bytes."""
    if not hasattr(os, "wait4"):
        return process.wait(), {}
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    times = {"cpu_user_s": round(used.ru_utime, 3), "cpu_system_s": round(used.ru_stime, 3)}
    return process.returncode, {**times, **memory.figures(used.ru_maxrss)}


@contextlib.contextmanager
def _passed_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Pass signals on to the program, which decides how to end; a terminal itself sends Ctrl-C to it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def pass_on(number: int, _: object) -> None:
        if number != signal.SIGINT or not sys.stdin.isatty():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in _STOPPED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _kept_output(pipe: IO[bytes] | None, out: Any, run: Recorder, level: str, clock: _ProgramClock) -> None:
    assert pipe is not None
    binary = getattr(out, "buffer", None)
    with pipe:
        for line in pipe:
            with contextlib.suppress(OSError, ValueError):  # the reader of our output has gone; the record goes on
                if binary is None:
                    out.write(line.decode("utf-8", "replace"))
                else:
                    binary.write(line)
                    binary.flush()
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            clock.line()
            run.log(text[:_MAX_LINE], level=level, output="stdout" if level == "info" else "stderr")


def _finish(run: Recorder, code: int, resources: Mapping[str, Any]) -> None:
    """End the session as the program ended: its figures, its resources, its last values."""
    metrics = dict(run.record.performance_metrics)
    totals = {**metrics.get("totals", {}), "exit_code": code, **resources}
    run.motion.sorted = False  # the points of the program are read from the stream
    if code == 0:
        status, reason = "completed", "completed"
    elif -code in _STOPPED:
        status, reason = "stopped", f"stopped by {signal.Signals(-code).name}"
    else:
        ended = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        status, reason = "failed", f"the program ended with {ended}"
    run.finish(status, reason, _latest_s(run), {**metrics, "totals": totals})


def _latest_s(run: Recorder) -> float | None:
    """Return the latest sim_time of what the program recorded; the output alone has no sim_time of its own."""
    tapes = {name: tape for name, tape in run.tapes().items() if name not in (stream_names.CLOCK, stream_names.LOG)}
    found = [latest for tape in tapes.values() if (latest := tape.order().latest_s) is not None]
    return max(found) if found else None
