"""Connections to PostgreSQL with a bounded wait, however the server or the network fails.

A session's report has to say why the index is pending (wrong password, refused, no route), and at once where the server
answers at once. So this pool connects when asked, in the thread that asks, and every wait is bounded on this side:
a name that does not resolve, a stopped server, a cut cable. psycopg_pool 3.3 was tried in its place: it replaces what
broken connections in the background and counts them as present, so the next caller waits until the timeout although
the server refuses at once (tests/index/test_outages.py); and a connection of its own that died unused counts as a
failure, unless each call is preceded by a check.
Not here: SQL (index.sql.postgres), the pause after a failure (index.circuit_breaker).
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Generator
from typing import Any, Self, TypeVar

import psycopg
from psycopg.abc import PQGen

from sessionstore.errors import IndexUnavailable

_POLL_S = 0.1
Result = TypeVar("Result")


class Silence(psycopg.OperationalError):
    """The server gave no sign of life in time; the connection cannot be used any more."""


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection whose waits end: ``limit_s`` without a byte, and :class:`Silence` is raised."""

    limit_s = 3.0
    kept = False  # it served before, and may have died since

    def wait(self, gen: PQGen[Result], interval: float = _POLL_S, timeout: float | None = None) -> Result:
        """Do what psycopg does, with an end."""
        return super().wait(_bounded(gen, self.limit_s), min(interval, _POLL_S), timeout)

    @classmethod
    def open(cls, limit_s: float, **arguments: Any) -> Self:
        """Return a connection within ``limit_s``, also when the server hangs. Raises: psycopg.Error."""
        outcome: list[Self | BaseException] = []
        late = threading.Event()

        def work() -> None:
            try:
                made = cls.connect(autocommit=True, **arguments)
            except BaseException as error:  # noqa: BLE001 it is raised again in the thread that asked
                outcome.append(error)
                return
            outcome.append(made)
            if late.is_set():
                made.close()

        # In a thread of its own, since resolving a name cannot be interrupted.
        thread = threading.Thread(target=work, daemon=True, name="sessionstore-connect")
        thread.start()
        thread.join(limit_s)
        if not outcome:
            late.set()
            raise Silence(f"no connection within {limit_s:g} s")
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        outcome[0].limit_s = limit_s
        return outcome[0]


def _bounded(gen: PQGen[Result], limit_s: float) -> PQGen[Result]:
    """Pass a psycopg generator through; every sign of life begins the time anew."""
    deadline = time.monotonic() + limit_s
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            now = time.monotonic()
            if ready:
                deadline = now + limit_s
            elif now > deadline:
                gen.close()
                raise Silence(f"no answer for {limit_s:g} s")
            wanted = gen.send(ready)
    except StopIteration as stop:
        found: Result = stop.value
        return found


class Pool:
    """At most ``size`` connections, made when needed and kept; safe for threads, and made anew after a fork."""

    def __init__(self, connect: Callable[[], Connection], size: int, timeout_s: float) -> None:
        self._connect = connect
        self._size, self._timeout_s = size, timeout_s
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._idle: list[Connection] = []
        self._free = threading.BoundedSemaphore(self._size)

    @contextlib.contextmanager
    def connection(
        self, fresh: bool = False, check: Callable[[], None] = lambda: None
    ) -> Generator[Connection, None, None]:
        """Lend a connection; a broken one is discarded.

        Args:
            fresh: a new one, since those that were kept may all be dead.
            check: called when it is this caller's turn; what it raises is raised.

        Raises: IndexUnavailable: all are in use; psycopg.Error: as connecting does.
        """
        if self._pid != os.getpid():  # the parent still uses these connections
            self._begin()
        free = self._free
        if not free.acquire(timeout=self._timeout_s):
            raise IndexUnavailable(f"all {self._size} connections were in use for {self._timeout_s:g} s")
        try:
            check()
            if fresh:
                self.close()
            connection = self._kept() or self._connect()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            if not connection.closed:
                connection.kept = True
                self._idle.append(connection)
        finally:
            free.release()

    def _kept(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                return connection
        return None

    def close(self) -> None:
        """Close the idle connections."""
        while self._pid == os.getpid() and self._idle:
            with contextlib.suppress(IndexError):  # another thread took the last one
                self._idle.pop().close()
