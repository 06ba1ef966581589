"""The server's end of one simulation process: orders and answers, and how it ended.

Safe for threads: any number may ask at once. A process that dies answers everybody who waits with the reason; its
session then reads as interrupted, by itself.
Not here: what the process does (server.flights.simulation_worker), which of several is meant (simulations).
"""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

from sessionstore import errors as store_errors
from sessionstore.errors import LockTimeout, SessionStoreError
from sessionstore.server.flights.plans import Plan
from sessionstore.server.http.problems import ApiProblem
from sessionstore.simulation import errors as simulation_errors
from sessionstore.simulation.errors import CommandRefused, NotRunning

START_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 15.0
END_TIMEOUT_S = 60.0
#: How long a picture of the state is shown again: pollers cost one question each so often.
STATE_AGE_S = 0.05
_log = logging.getLogger("sessionstore.server")


class SimulationProcess:
    """One simulation that runs, or ran.

    Args:
        order: what worker.make takes: dir, index, plan, session_name, metadata.

    Raises: what the simulation refused the plan for; nothing flies then.
    """

    def __init__(self, order: Mapping[str, Any], plan: Plan) -> None:
        self.plan = plan
        self.started_at = time.time()
        self.ended: str | None = None  # how, once it has
        self.detail = ""
        self._waiting: dict[int, Future[Any]] = {}
        self._mutex = threading.Lock()
        self._number = 0
        self._state: tuple[float, int, dict[str, Any]] = (0.0, 0, {})
        self._orders = 0
        self._silent = False  # its end of the pipe is closed; while a thread waits for it, poll() knows nothing
        self._over = threading.Event()
        self._ready: Future[str] = Future()
        # A session of its own: Ctrl-C in the terminal goes to the server, which stops the runs in order.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sessionstore.server.flights.simulation_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        threading.Thread(target=self._listen, name=f"simulation-{self._process.pid}", daemon=True).start()
        self._send(order)
        self.session_id: str = self._wait(self._ready, START_TIMEOUT_S, "start")

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended; paused counts as running. A process that was killed is noticed at once."""
        return self.ended is None and not self._silent and self._process.poll() is None

    def ask(self, what: str, **given: Any) -> Any:
        """Have something done, and return the answer.

        Raises: CommandRefused, NotRunning and what else the simulation raises; LockTimeout: it did not answer in time.
        """
        answer: Future[Any] = Future()
        with self._mutex:
            if self.ended is not None:
                raise NotRunning(what, self.ended)
            self._number += 1
            number = self._number
            self._waiting[number] = answer
        try:
            self._send({"id": number, "do": what, "with": given})
            return self._wait(answer, ANSWER_TIMEOUT_S, what)
        finally:
            if what not in ("state", "command_status"):
                self._orders += 1  # who gave an order sees its effect at once: no older picture is shown
            with self._mutex:
                self._waiting.pop(number, None)

    def state(self) -> dict[str, Any]:
        """Return the picture of the state, at most a twentieth of a second old. Raises: as :meth:`ask`."""
        at, orders, found = self._state
        if orders != self._orders or time.monotonic() - at > STATE_AGE_S:
            orders = self._orders
            found = self.ask("state")
            self._state = (time.monotonic(), orders, found)
        return found

    def stop(self, reason: str = "stopped by user") -> str:
        """End the run, and return how it ended once its session is stored. Raises: LockTimeout."""
        with contextlib.suppress(NotRunning):
            self.ask("stop", reason=reason)
        if not self._over.wait(END_TIMEOUT_S):
            raise LockTimeout(f"the simulation did not end within {END_TIMEOUT_S:g} s")
        return self.ended or ""

    def kill(self) -> None:
        """End the process at once; its session is found interrupted."""
        self._process.kill()
        self._over.wait(5)

    # ------------------------------------------------------------ inside

    def _send(self, message: Mapping[str, Any]) -> None:
        line = json.dumps(message).encode() + b"\n"
        assert self._process.stdin is not None
        # ValueError: closed. In either case the listener notices, and answers those who wait.
        with self._mutex, contextlib.suppress(BrokenPipeError, ValueError):
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def _wait(self, answer: Future[Any], timeout_s: float, what: str) -> Any:
        try:
            return answer.result(timeout_s)
        except FutureTimeout as error:
            if answer is self._ready:
                self._process.kill()
            raise LockTimeout(f"the simulation did not {what} within {timeout_s:g} s") from error

    def _listen(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                self._hear(_message(line))
        finally:  # an unreadable line must not leave callers waiting
            self._silent = True
            self._closed()

    def _closed(self) -> None:
        """Record how the process ended, once its output has."""
        assert self._process.stdout is not None
        self._process.wait()
        self._process.stdout.close()
        with self._mutex, contextlib.suppress(BrokenPipeError):  # what was still buffered has no reader
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._end("gone", f"its process ended with {self._process.returncode}")

    def _hear(self, message: dict[str, Any]) -> None:
        event = message.get("event")
        if event == "ready":
            if not self._ready.done():
                self._ready.set_result(message["session_id"])
        elif event == "refused":
            if not self._ready.done():
                self._ready.set_exception(error_of(message))
        elif event == "ended":
            self._end(message["status"], "")
        elif event == "broken":
            if not self._ready.done():
                self._ready.set_exception(error_of(message))
            self._end("failed", message["detail"])
        else:
            with self._mutex:
                answer = self._waiting.get(message.get("id", 0))
            if answer is not None and not answer.done():
                if "error" in message:
                    answer.set_exception(error_of(message))
                else:
                    answer.set_result(message["result"])

    def _end(self, how: str, detail: str) -> None:
        with self._mutex:
            if self.ended is None:
                self.ended, self.detail = how, detail
            waiting = list(self._waiting.values())
        for answer in [*waiting, self._ready]:
            if not answer.done():
                answer.set_exception(NotRunning("answer", f"{how} {detail}".strip()))
        self._over.set()


def _message(line: bytes) -> dict[str, Any]:
    """Return what a line says; nothing for one that was torn when the process was killed while it wrote."""
    try:
        found = json.loads(line)
    except ValueError:
        _log.warning("a simulation process wrote a line that is not JSON (%d bytes); it is ignored", len(line))
        return {}
    return found if isinstance(found, dict) else {}


def error_of(message: Mapping[str, Any]) -> Exception:
    """Return the exception that a process reported, as its own class where this package defines it."""
    name, detail = str(message["error"]), str(message["detail"])
    if name == "NotRunning":
        return NotRunning("do that", detail.rpartition("is ")[2] or "over")
    if hasattr(simulation_errors, name):
        return Refused(detail)
    kind = getattr(store_errors, name, None)
    if isinstance(kind, type) and issubclass(kind, SessionStoreError):
        if issubclass(kind, OSError) and message.get("errno") is not None:
            return kind(message["errno"], message["strerror"])  # a full disk is answered as one
        return kind(detail)
    return ApiProblem(500, "simulation-broke", f"the simulation broke: {name}")


class Refused(CommandRefused):
    """What the simulation refused, in its own words."""

    def __init__(self, detail: str) -> None:
        super().__init__("", "", detail)

    def __str__(self) -> str:
        return self.reason
