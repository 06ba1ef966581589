"""G1: reading a store of 1 TB in 1,000,000 objects elsewhere: requests, bytes, seconds and memory of each operation.

The server makes its answers up, so that nothing of that size exists; each operation runs in a process of its own
with an empty cache, after its imports. ``bare`` is a store without a manifest, of which 1,000 sessions are listed.
Not here: the server (bench.made_up), speed beside other tools (bench.moving).
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sessionstore
from sessionstore.bench import OURS, made_up
from sessionstore.bench.figures import Figure, Target

if TYPE_CHECKING:
    from sessionstore.bench.workloads import Bench
    from sessionstore.store import SessionStore

#: Objects of a session, and the bytes of its large stream: 100,000 sessions of these are 1,000,000 objects and 1 TB.
OBJECTS, STREAM_BYTES = made_up.STREAMS + 2, 10_000_000
WINDOW_S = 10.0
FILTER = "metadata.batch=17"


def _listed(store: SessionStore) -> int:
    return len(store.find())


def _filtered(store: SessionStore) -> int:
    return len(store.find(FILTER))


def _opened(store: SessionStore) -> int:
    return store.get("latest").record.rev


def _replayed(store: SessionStore) -> int:
    from sessionstore.playback.replay import Replay

    replay = Replay(store.get("latest"))
    first_s, last_s = replay.bounds()
    middle_s = (first_s + last_s) / 2
    return sum(len(points) for points in replay.window(middle_s, middle_s + WINDOW_S).history.values())


TASKS: dict[str, Callable[[SessionStore], int]] = {
    "list": _listed, "filter": _filtered, "open": _opened, "replay 10 s in the middle": _replayed,
}  # fmt: skip


def growth(bench: Bench) -> None:
    """G1."""
    try:
        importlib.import_module("s3fs")
    except ModuleNotFoundError as error:
        bench.figures.left_out["growth"] = f"{error.name} is not installed"
        return
    sessions = bench.plan.moved * 10
    command = [sys.executable, "-m", made_up.__name__, str(sessions), str(STREAM_BYTES)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin and server.stdout
    try:
        port = int(server.stdout.readline())
        for case in TASKS:
            _measure(bench, port, made_up.STORE, case, sessions * OBJECTS)
        bare = min(sessions, 1000)
        _measure(bench, port, made_up.BARE, "list", bare * OBJECTS, ", no manifest")
    finally:
        server.stdin.close()
        server.wait(20)
        server.stdout.close()


def _measure(bench: Bench, port: int, store: str, case: str, objects: int, more: str = "") -> None:
    """Run one operation in a process of its own, and add its figures."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {
            **os.environ, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": "us-east-1", "NO_PROXY": "127.0.0.1",
            "SESSIONSTORE_CACHE": cache,
        }  # fmt: skip
        counts(port)
        command = [sys.executable, "-m", __name__, f"s3://{made_up.BUCKET}/{store}", case]
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    found = json.loads(done.stdout) | counts(port)
    targets = {"requests": Target("median", "<=", 5.0), "s": Target("median", "<=", 3.0)} if case == "list" else {}
    if more:
        targets = {}
    figures = (("requests", found["requests"]), ("MB", found["bytes"] / 1e6), ("s", found["seconds"]))
    for unit, value in (*figures, ("MB of memory", found["grown"] / 1e6)):
        target = targets.get(unit)
        bench.figures.add(Figure("G1", f"{case}{more}: {unit}", OURS, unit, [value], objects, None, target))


def counts(port: int) -> dict[str, int]:
    """Return what the server was asked since the last time."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/counts", timeout=20) as answer:
        found: dict[str, int] = json.load(answer)
    return found


def main(url: str, case: str) -> None:
    """Do one operation after the imports, and print what it took."""
    importlib.import_module("s3fs")
    from sessionstore.bench.worker import _largest
    from sessionstore.exchange.remote import store as _store  # noqa: F401
    from sessionstore.playback import replay as _replay  # noqa: F401

    before, begin = _largest(), time.perf_counter()
    with sessionstore.open(url) as store:
        count = TASKS[case](store)
        seconds = time.perf_counter() - begin
        found: dict[str, Any] = {"count": count, "seconds": seconds, "grown": _largest() - before}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
