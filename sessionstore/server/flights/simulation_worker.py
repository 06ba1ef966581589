"""One simulation in a process of its own, controlled over stdin and stdout.

``python -m sessionstore.server.flights.simulation_worker`` is started by the server.

The first line is the plan; then one JSON line per order, ``{"id": 1, "do": "pause"}``, each answered by
``{"id": 1, "result": ...}`` or ``{"id": 1, "error": class, "detail": text}``; events have no id. When stdin ends, the
server is gone: the run is stopped, and its session stored.

Why a process: a simulation computes without a pause, and in a thread it would take every other turn of the interpreter
from the event loop; and when one crashes or is killed, the server and the other simulations go on.
Not here: the other end (server.flights.simulation_process), the run itself (simulation).
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sessionstore.boxes.session_db_box import SessionDBBox
from sessionstore.server.flights.plans import Plan
from sessionstore.simulation.hmrs_simulation_live import HMRSSimulationLive
from sessionstore.store import SessionStore

_LOOK_EVERY_S, _MOST_LOOKS = 0.005, 1000


def main() -> int:
    """Run one simulation; return 0 when its session was stored."""
    say = _Speaker(_own_stdout())
    order = json.loads(sys.stdin.readline())
    flies = _Once(lambda live: say({"event": "ready", "session_id": live.session_id}))
    try:
        live = make(order, flies)
    except Exception as error:  # noqa: BLE001  # the server reports why the flight did not start
        say({"event": "refused", **_told(error)})
        return 1
    listener = threading.Thread(target=listen, args=(live, say), name="orders", daemon=True)
    listener.start()
    try:
        live.run()
    except Exception as error:  # noqa: BLE001  # the session says so too: it is marked failed, with the traceback
        say({"event": "broken", **_told(error)})
        return 1
    flies(live)  # a flight shorter than one tick
    say({"event": "ended", "status": live.run_state})
    return 0


def make(order: Mapping[str, Any], on_tick: Callable[[HMRSSimulationLive], None]) -> HMRSSimulationLive:
    """Return the run that an order asks for; its session is made, or the waiting one is taken."""
    plan = Plan.from_dict(order["plan"])
    box = SessionDBBox(store=SessionStore(order["dir"], order["index"]))
    folder = Path(order["dir"]) / plan.session_id if plan.session_id else None
    return HMRSSimulationLive(
        plan.scenario(folder),
        session_db_box=box,
        session_name=order.get("session_name"),
        metadata=order.get("metadata") or {},
        realtime=plan.realtime,
        session_id=plan.session_id,
        on_tick=on_tick,
    )


def listen(live: HMRSSimulationLive, say: Callable[[Mapping[str, Any]], None]) -> None:
    """Carry out orders until stdin ends; then stop."""
    for line in sys.stdin:
        order = json.loads(line)
        try:
            result = carry_out(live, order["do"], order.get("with") or {})
            say({"id": order["id"], "result": result})
        except Exception as error:  # noqa: BLE001  # every order is answered, or its caller would wait for ever
            say({"id": order["id"], **_told(error)})
    live.stop("stopped: the server has gone")


def carry_out(live: HMRSSimulationLive, what: str, given: Mapping[str, Any]) -> Any:
    """Do one thing. Raises: CommandRefused, NotRunning, and KeyError for an order that there is not."""
    simple: dict[str, Callable[[], Any]] = {
        "state": live.state,
        "pause": lambda: _until(live, live.pause, "running"),
        "resume": lambda: _until(live, live.resume, "paused"),
        "stop": lambda: live.stop(given.get("reason", "stopped by user")),
        "command_status": lambda: live.command_status(given["id"]),
    }
    if what in simple:
        return simple[what]()
    if what == "command":
        more = given.get("args") or {}
        return live.submit_command(given["type"], given.get("drone", ""), given.get("target"), **more)
    raise KeyError(what)


def _until(live: HMRSSimulationLive, action: Callable[[], None], left: str) -> None:
    """Do something, and return when the run has left a state: it does so between two ticks."""
    action()
    for _ in range(_MOST_LOOKS):
        if live.run_state != left:
            return
        time.sleep(_LOOK_EVERY_S)


class _Once:
    """Calls something the first time that it is called itself."""

    def __init__(self, action: Callable[[HMRSSimulationLive], None]) -> None:
        self._action: Callable[[HMRSSimulationLive], None] | None = action

    def __call__(self, live: HMRSSimulationLive) -> None:
        action, self._action = self._action, None
        if action is not None:
            action(live)


class _Speaker:
    """Writes one line at a time, whole, from any thread; a server that has ended is not an error here."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._mutex = threading.Lock()

    def __call__(self, message: Mapping[str, Any]) -> None:
        line = json.dumps(message, default=str).encode() + b"\n"
        with self._mutex:
            try:
                self._file.write(line)
            except BrokenPipeError:
                return


def _own_stdout() -> int:
    """Take stdout for the messages alone: what anything prints goes to stderr."""
    taken = os.dup(1)
    os.dup2(2, 1)
    return taken


def _told(error: Exception) -> dict[str, Any]:
    told = {"error": type(error).__name__, "detail": str(error)}
    return {**told, "errno": error.errno, "strerror": error.strerror} if isinstance(error, OSError) else told


if __name__ == "__main__":
    sys.exit(main())
