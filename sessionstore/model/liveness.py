"""Who records a session, and whether that process still does: the answer to "running, or crashed?".

The answer is computed by each reader, never stored: a crash cannot set a flag. A process is identified by
host, boot, process namespace, number and start time, so that a number used again is not mistaken for it; where it
cannot be seen (another machine, a copied folder) the age of the last beat decides.
Not here: writing the beat (session.recorder), showing the verdict (records, cli).
"""

from __future__ import annotations

import os
import socket
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

STALE_S = 30.0
"""Seconds without a beat after which a running session counts as interrupted; the recorder beats every second."""


def here() -> dict[str, Any]:
    """Return what identifies this process, as plain data for the record."""
    pid = os.getpid()
    return {**_machine(), "pid": pid, "pid_started": _start_of(pid)}


def why_interrupted(owner: dict[str, Any] | None, last_beat: float | None, now: float | None = None) -> str | None:
    """Return why a session that says it is running is not, or None while it is.

    Args:
        owner: what :func:`here` gave when it started; None when it is unknown.
        last_beat: epoch seconds of the newest write of its streams; None without one.
    """
    if owner and _same_machine(owner):
        if owner.get("boot_id") != _machine()["boot_id"]:
            return "host rebooted"
        runs = _runs(owner)
        if runs is not None:
            return None if runs else f"process {owner.get('pid')} is gone"
    age_s = _age_s(last_beat, now)
    if age_s is None:
        return None  # without any sign, the record is taken at its word
    return f"no heartbeat for {age_s:.0f} s" if age_s > STALE_S else None


def why_silent(owner: dict[str, Any] | None, last_beat: float | None, now: float | None = None) -> str | None:
    """Return why a run whose process is alive gives no heartbeat (it is suspended, or blocked), or None.

    Args: as :func:`why_interrupted`, which returns None for such a run.
    """
    age_s = _age_s(last_beat, now)
    if age_s is None or age_s <= STALE_S or why_interrupted(owner, last_beat, now) is not None or owner is None:
        return None
    state = "stopped (Ctrl-Z or SIGSTOP)" if _is_stopped(owner.get("pid")) else "alive"
    return f"process {owner.get('pid')} is {state}, no heartbeat for {age_s:.0f} s"


def _age_s(last_beat: float | None, now: float | None) -> float | None:
    return None if last_beat is None else (time.time() if now is None else now) - last_beat


def _same_machine(owner: dict[str, Any]) -> bool:
    machine = _machine()
    if owner.get("host") != machine["host"]:
        return False
    # A container has a process table of its own: its numbers mean nothing outside, only the beat does.
    return owner.get("boot_id") != machine["boot_id"] or owner.get("pid_namespace") == machine["pid_namespace"]


def _runs(owner: dict[str, Any]) -> bool | None:
    """Whether the process is alive; None where that cannot be proven, so that the heartbeat must decide."""
    pid = owner.get("pid")
    if not isinstance(pid, int):
        return False
    if sys.platform == "win32":
        return None  # os.kill would end it there
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    started = _start_of(pid)
    if started is None or owner.get("pid_started") is None:
        return None  # the number alone may belong to another process by now
    return owner.get("pid_started") == started


def _is_stopped(pid: Any) -> bool:
    """Whether a process is stopped by a signal or a debugger (proc(5), field 3)."""
    fields = _first_line(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return bool(fields) and fields[0] in ("T", "t")


@lru_cache(maxsize=1)
def _machine() -> dict[str, str]:
    return {
        "host": socket.gethostname(),
        "boot_id": _first_line("/proc/sys/kernel/random/boot_id"),
        "pid_namespace": _link("/proc/self/ns/pid"),
    }


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""  # not Linux: the number and the beat must do


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _start_of(pid: int) -> int | None:
    """Return when a process started, in clock ticks after boot (proc(5), field 22); None if unknown."""
    stat = _first_line(f"/proc/{pid}/stat")
    fields = stat.rpartition(")")[2].split()  # the name in brackets may hold anything
    if len(fields) < 20 or fields[0] in ("Z", "X"):  # a zombie does nothing any more
        return -1 if fields else None
    return int(fields[19])
