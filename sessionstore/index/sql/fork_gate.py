"""A gate that a fork waits at: no thread is inside SQLite when this process forks.

SQLite guards its memory by locks of its own. A child would inherit one that another thread holds, and wait for ever at
its first call. So each call enters the gate; a fork waits until the calls that are inside have ended, at most
:data:`FORK_WAIT_S`, and calls that come meanwhile wait until the fork is done.
Not here: connections, which do not cross a fork (index.sql.sqlite).
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

#: More than a call takes: it waits for other writers for some seconds at most.
FORK_WAIT_S = 10.0


class ForkGate:
    """Counts the threads that are inside a library that does not survive a fork in another thread."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin anew, as in a child, which has one thread."""
        self._changed = threading.Condition(threading.Lock())
        self._mine = threading.local()
        self._inside = 0
        self._forks = 0

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Keep forks of other threads waiting while the block runs; it may be nested."""
        if getattr(self._mine, "inside", False):
            yield
            return
        with self._changed:
            while self._forks:
                self._changed.wait()
            self._inside += 1
        self._mine.inside = True
        try:
            yield
        finally:
            self._mine.inside = False
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def before_fork(self) -> None:
        """Wait until no other thread is inside, and let none enter until the fork is done."""
        own = int(getattr(self._mine, "inside", False))
        with self._changed:
            self._forks += 1
            self._changed.wait_for(lambda: self._inside <= own, FORK_WAIT_S)

    def after_in_parent(self) -> None:
        """Let calls go on."""
        with self._changed:
            self._forks -= 1
            self._changed.notify_all()


gate = ForkGate()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=gate.before_fork, after_in_parent=gate.after_in_parent, after_in_child=gate.renew)
