"""Asking for a lock that its holder keeps from one write to the next, and the name of a process that holds a lock.

A writer that waits for an append-only file rings the bell of its folder: a shared lock of the folder itself. The holder
looks for it some hundred times a second and frees the lock. The system takes the bell back from a process that dies.
Not here: the locks (locks), who keeps a lock (session.stream_lease).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

#: Whether locks can be kept at all: where a folder has no bell, each write has a lock of its own.
AVAILABLE = os.name != "nt"
_LOCKS = "/proc/locks"
_TRIES = 20
_NAME = 120  # characters of a command line

if os.name != "nt":
    import fcntl

    @contextlib.contextmanager
    def ringing(folder: str) -> Iterator[None]:
        """Ask the holders of locks on files of a folder to free them, until the block ends."""
        try:
            descriptor = _opened(folder)
        except OSError:  # a folder that may not be read: its holder frees the lock when it pauses
            yield
            return
        try:
            for _ in range(_TRIES):  # a holder that looks for the bell has it for microseconds
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    break
                except OSError:
                    time.sleep(0.0001)
            yield
        finally:
            os.close(descriptor)

    def rings(folder: str) -> bool:
        """Whether a process asks for a file of this folder; also true where that cannot be found out."""
        try:
            descriptor = _opened(folder)
        except OSError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _opened(folder: str) -> int:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
else:

    @contextlib.contextmanager
    def ringing(folder: str) -> Iterator[None]:
        """Do nothing: no lock is kept here."""
        yield

    def rings(folder: str) -> bool:
        """Say yes: no lock is kept here."""
        return True


def holder_of(descriptor: int) -> str:
    """Return which process holds the lock of an open file, as the end of a sentence; empty where that is not known."""
    try:
        found = os.fstat(descriptor)
        file = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
        with open(_LOCKS, encoding="ascii") as locks:
            fields = [line.split() for line in locks]
        pid = next(each[4] for each in fields if each[1] == "FLOCK" and each[5] == file)
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as line:
            name = " ".join(line.read().split("\0")).strip()[:_NAME]
    except (OSError, StopIteration, IndexError, ValueError, AttributeError):  # another system, or it is free by now
        return ""
    return f": process {pid} ({name}) holds it"
