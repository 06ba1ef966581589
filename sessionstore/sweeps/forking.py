"""A helper beside a program with threads: it has one thread, gets points on stdin, and forks a process for each.

A Dask worker has threads, from which no fork is safe, so each of its slots has such a helper. The helper ends when its
stdin closes, that is with the worker, and stops the point that it has in hand.
Not here: the fork itself (isolated), Dask (cluster).
"""

from __future__ import annotations

import os
import select
import struct
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from sessionstore.sweeps.worker import Outcome, Task, run_task

_LENGTH = struct.Struct(">Q")
_LOOK_EVERY_S = 0.2
_tasks = msgspec.msgpack.Decoder(Task)
_outcomes = msgspec.msgpack.Decoder(Outcome)


class HelperEnded(Exception):
    """The helper was killed; the point that it had has no outcome."""


class Helper:
    """The side of the program with threads: one helper, used by one thread."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sessionstore.sweeps.forking"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()

    def run(self, task: Task, stopped: Callable[[], str | None]) -> Outcome:
        """Run a point, and return how it ended. Raises: HelperEnded."""
        asked = False
        try:
            _send(self._to, msgspec.msgpack.encode(task))
            while not select.select([self._from], [], [], _LOOK_EVERY_S)[0]:
                if not asked and (reason := stopped()):
                    _send(self._to, reason.encode())
                    asked = True
            data = _received(self._from)
        except OSError as error:
            raise HelperEnded(str(error)) from error
        if data is None:
            raise HelperEnded(f"the helper ended with {self._process.wait()}")
        return _outcomes.decode(data)

    def close(self) -> None:
        """End the helper."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()


def _send(descriptor: int, data: bytes) -> None:
    rest = memoryview(_LENGTH.pack(len(data)) + data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _received(descriptor: int) -> bytes | None:
    """Return the next message; None at the end."""
    head = _exactly(descriptor, _LENGTH.size)
    return None if head is None else _exactly(descriptor, _LENGTH.unpack(head)[0])


def _exactly(descriptor: int, size: int) -> bytes | None:
    parts: list[bytes] = []
    while size:
        part = os.read(descriptor, min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


class _Stdin:
    """What the program with threads says while a point runs: a reason to stop, or nothing any more."""

    def __init__(self) -> None:
        self.reason: str | None = None

    def stopped(self) -> str | None:
        if self.reason is None and select.select([0], [], [], 0)[0]:
            data = _received(0)
            self.reason = "the worker has gone" if data is None else data.decode()
        return self.reason


def main() -> None:
    """Run points from stdin until it closes; what programs print goes to stderr."""
    out = os.dup(1)
    os.dup2(2, 1)
    while (data := _received(0)) is not None:
        task: Any = _decoded(data)
        if task is None:
            continue  # a reason to stop that came when the point had ended
        _send(out, msgspec.msgpack.encode(run_task(task, _Stdin().stopped)))


def _decoded(data: bytes) -> Task | None:
    try:
        return _tasks.decode(data)
    except msgspec.MsgspecError:
        return None


if __name__ == "__main__":
    main()
