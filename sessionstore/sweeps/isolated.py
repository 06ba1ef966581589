"""A piece of work in a forked process of its own: with a time limit, a memory limit, and an end that is always seen.

The process that forks is warm: it has imported what the work needs, and runs none of it, so nothing that a point
does (leaks, crashes, threads) reaches the next one. It must have one thread when it forks.
Not here: what the work is (worker), a process that forks for a program with threads (forking).
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import select
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import msgspec

from sessionstore.errors import InvalidRecord

#: How often limits and wishes to stop are looked at.
LOOK_EVERY_S = 0.1
#: How long a point that is asked to stop may take to end its session.
GRACE_S = 5.0
#: What a point may take longer than its time limit until its session has begun, on a busy machine.
BEGIN_S = 60.0
#: The fact with which a point reports that its session has begun: its time limit counts from here.
BEGUN = "session_id"
_PR_SET_PDEATHSIG = 1  # prctl(2)
End = Literal["done", "time limit", "memory limit", "stopped", "died"]
_SIGNALS = {"time limit": getattr(signal, "SIGALRM", 0), "memory limit": getattr(signal, "SIGKILL", 0)}
_SIGNALS["stopped"] = signal.SIGINT
Say = Callable[[dict[str, Any]], None]


class Limits(NamedTuple):
    """What one piece of work may use."""

    time_s: float | None = None
    memory_bytes: int | None = None


class Ended(NamedTuple):
    """How it ended, and what it said last under each key."""

    how: End
    said: dict[str, Any]
    signal_name: str | None = None
    wall_s: float = 0.0


def can_fork() -> bool:
    """Whether this system has fork; without it there are no limits."""
    return hasattr(os, "fork")


def run(work: Callable[[Say], None], limits: Limits, stopped: Callable[[], str | None]) -> Ended:
    """Do some work in a process of its own; ``work`` gets a function that reports facts to this process.

    At its time limit the work gets a TimeoutError where it stands, and SIGKILL after 5 s.

    Args:
        stopped: returns a reason once the work shall stop: it gets Ctrl-C then, and SIGKILL after 5 s.

    Raises: InvalidRecord: there are limits, and this system has no fork.
    """
    began = time.monotonic()
    if not can_fork():
        if limits != Limits():
            raise InvalidRecord("time and memory limits need a system with fork (Linux, macOS)")
        said: dict[str, Any] = {}
        work(said.update)
        return Ended("done", said, None, time.monotonic() - began)
    read, write = os.pipe()
    parent = os.getpid()
    with warnings.catch_warnings():  # Python 3.12 counts the threads of numeric libraries, which are made for a fork
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        os.close(read)
        _child(work, limits, write, parent)
    os.close(write)
    with contextlib.suppress(OSError):  # the child does it as well: whichever comes first
        os.setpgid(pid, pid)
    try:
        return _watched(pid, read, limits, stopped, began)
    finally:
        os.close(read)


def _child(work: Callable[[Say], None], limits: Limits, write: int, parent: int) -> None:
    """Do the work in the forked process, which ends here."""
    code = 1
    try:
        os.setpgid(0, 0)  # Ctrl-C at the terminal reaches the parent, which passes it on; and a kill reaches the family
        ask_for_death_signal(signal.SIGKILL)
        if os.getppid() != parent:  # it died before
            os._exit(1)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        signal.signal(signal.SIGALRM, lambda *_: _out_of_time(limits))
        _limit_memory(limits.memory_bytes)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)

        def say(facts: dict[str, Any]) -> None:
            os.write(write, msgspec.json.encode(facts) + b"\n")

        work(say)
        code = 0
    except BaseException:  # noqa: BLE001  # the process ends here, and its parent reports it
        with contextlib.suppress(Exception):
            traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _out_of_time(limits: Limits) -> None:
    raise TimeoutError(f"time limit of {limits.time_s:g} s")


def ask_for_death_signal(number: int) -> None:
    """Let the kernel send this process a signal when its parent dies (Linux)."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number)


def _limit_memory(limit: int | None) -> None:
    if limit is None:
        return
    import resource

    kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    _, hard = resource.getrlimit(kind)
    with contextlib.suppress(ValueError, OSError):  # above what the system allows: that is the limit then
        resource.setrlimit(kind, (limit, hard))


class _Watch:
    """What a child has said, and whether it is to be ended."""

    def __init__(self, pid: int, limits: Limits, stopped: Callable[[], str | None], began: float) -> None:
        self._pid, self._limits, self._stopped = pid, limits, stopped
        self._due = math.inf if limits.time_s is None else began + limits.time_s + BEGIN_S
        self._kill_at: float | None = None
        self._rest = b""
        self.said: dict[str, Any] = {}
        self.how: End = "done"

    def hear(self, data: bytes) -> None:
        """Take what the child says; the time limit counts from the begin of its session."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.said.update(msgspec.json.decode(line))
            if self._limits.time_s is not None and BEGUN in self.said:
                self._due = min(self._due, time.monotonic() + self._limits.time_s)

    def look(self) -> None:
        """End the child when a limit is passed or it shall stop; kill it when it does not end."""
        now = time.monotonic()
        if self._kill_at is not None:
            if now > self._kill_at:
                _kill(self._pid, signal.SIGKILL)
            return
        most = self._limits.memory_bytes
        if now > self._due:
            self.how, self._kill_at = "time limit", now + GRACE_S
        elif most is not None and _resident(self._pid) > most:
            self.how, self._kill_at = "memory limit", now
        elif reason := self._stopped():
            self.said["why"] = reason
            self.how, self._kill_at = "stopped", now + GRACE_S
        if self._kill_at is not None:
            _kill(self._pid, _SIGNALS[self.how])


def _watched(pid: int, read: int, limits: Limits, stopped: Callable[[], str | None], began: float) -> Ended:
    """Follow a child until it has ended, and return how."""
    watch = _Watch(pid, limits, stopped, began)
    while True:
        if select.select([read], [], [], LOOK_EVERY_S)[0]:
            part = os.read(read, 1 << 16)
            if not part:
                break
            watch.hear(part)
            if select.select([read], [], [], 0)[0]:
                continue  # it has said more, or ended: that counts, however late this process looks at the time
        watch.look()
    _, status = os.waitpid(pid, 0)
    _kill(pid, signal.SIGKILL)  # what the point started and left behind, in its process group
    code = os.waitstatus_to_exitcode(status)
    wall_s = time.monotonic() - began
    if watch.how == "done" and code != 0:
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Ended("died", watch.said, name, wall_s)
    return Ended(watch.how, watch.said, None, wall_s)


def _kill(pid: int, number: int) -> None:
    """Send a signal to the process group of a point."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _resident(pid: int) -> int:
    """Return the bytes of memory that a process holds (Linux; elsewhere 0)."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0
