"""One process of a measurement: ``python -m sessionstore.bench.worker TASK JSON``; one JSON line on stdout.

Tasks: calls (create, or change one, a number of times), storm (create and count up until the time is over), cold (time
one operation after the imports), memory (list and say what that took), follow (say when each record of a stream is
seen), rows (put rows into an index). It waits for a line on stdin before it begins.
Not here: what the figures mean (workloads).
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sessionstore.bench import contestants, engines
from sessionstore.bench.figures import duration
from sessionstore.bench.systems import System


def storm(system: System, key: Any, seconds: float, number: int, op: str, warm: bool) -> dict[str, Any]:
    """Create, or count up one session, until the time is over; say what was acknowledged.

    Args:
        warm: whether the first, while warming up, was done.
    """
    done, errors, begin = int(warm), int(not warm), time.perf_counter()
    while time.perf_counter() - begin < seconds:
        try:
            once(system, op, key, number + done)
            done += 1
        except Exception:  # noqa: BLE001  # a peer may raise anything: it is counted, and shown
            errors += 1
    return {"done": done, "errors": errors, "rate": (done - warm) / (time.perf_counter() - begin)}


def _warmed(system: System, op: str, key: Any, number: int) -> bool:
    """Do it once before the clock runs; a peer whose file another process has broken by then cannot."""
    try:
        once(system, op, key, number)
    except Exception:  # noqa: BLE001  # it is counted with the others
        return False
    return True


def once(system: System, op: str, key: Any, number: int) -> None:
    """Create one session, or count one up."""
    if op == "create":
        system.create(number)
    else:
        system.count_up(key)


def cold(system: System, op: str) -> dict[str, Any]:
    """Time the first call and the median of further ones, each by a new handle."""
    operation = {"get": lambda: _got(system), "list": system.list_cold, "filter": system.filter_cold}[op]
    times = [duration(operation) for _ in range(6)]
    return {"first_s": times[0], "later_s": sorted(times[1:])[2]}


def _got(system: System) -> int:
    system.get(0)
    return 1


def _largest() -> int:
    """Return the bytes of this process at its largest; getrusage would count those of the parent before the exec."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def memory(folder: str, verify: bool) -> dict[str, Any]:
    """List a store, and say by how much the process grew at its largest."""
    import sessionstore

    with sessionstore.open(folder) as store:
        before = _largest()
        rows = store.find(verify=verify)
        after = _largest()
    return {"rows": len(rows), "bytes": after - before, "peak_bytes": after}


def follow(path: str, count: int) -> dict[str, Any]:
    """Follow a stream and return the seconds from each append (its own record says when) to its sight."""
    from sessionstore.session.stream_reader import Tape

    begin = time.time()
    seen: list[float] = []
    for line in Tape(Path(path)).follow(stop=lambda: len(seen) >= count):
        if line.data["now"] > begin:  # what was there before the follower was is not late
            seen.append(time.time() - line.data["now"])
        if len(seen) >= count:
            break
    return {"seconds": seen}


def rows(steps: Iterator[None], seconds: float) -> dict[str, Any]:
    """Put rows until the time is over; the first was put while warming up."""
    done, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        next(steps)
        done += 1
    return {"rate": done / (time.perf_counter() - begin)}


def calls(system: System, op: str, count: int) -> dict[str, Any]:
    """Create sessions, or change one, a number of times; what it calls is counted from outside (calls)."""
    system.create(0)
    for number in range(1, count + 1):
        if op == "create":
            system.create(number)
        else:
            system.change(0, workflow_state=("SCAN", "PLAN", "EXECUTE", "VERIFY")[number % 4])
    return {}


def main(task: str, text: str) -> None:
    """Do one task and print what it found."""
    options = json.loads(text)
    system = None
    if "system" in options:
        system = contestants()[options.pop("system")](Path(options.pop("folder")))
        system.keys = options.pop("keys", [])
    if task == "storm" and system is not None:
        options["warm"] = _warmed(system, options["op"], options["key"], options["number"])
    if task == "rows":
        options["steps"] = engines.steps(
            options.pop("kind"), options.pop("number"), options.pop("url"), Path(options.pop("folder"))
        )
        next(options["steps"])
    print("ready", flush=True)
    sys.stdin.readline()
    tasks: dict[str, Any] = {
        "storm": storm,
        "calls": calls,
        "cold": cold,
        "memory": memory,
        "follow": follow,
        "rows": rows,
    }
    found = tasks[task](system, **options) if system else tasks[task](**options)
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
