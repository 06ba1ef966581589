"""Health by trial: the check does what a write needs, and answers 503 with the reason when one would fail.

Not here: checks of what is stored (maintenance).
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from typing import Any

from sessionstore import __version__
from sessionstore.disk import files
from sessionstore.errors import SessionStoreError
from sessionstore.server.context import Context
from sessionstore.server.http.operations import Call, Operation
from sessionstore.server.http.problems import problem_of
from sessionstore.server.http.reply import Reply, json_reply
from sessionstore.server.routes import api_schemas

TAG = "server"
#: Below this free space a session cannot be stored.
LEAST_FREE_BYTES = 1 << 16


def health(call: Call) -> Reply:
    """Return whether a write would succeed now, and the figures behind it."""
    context = call.context
    store = _store(context)
    index = _index(context)
    healthy = store["writable"]
    body = {
        "status": "ok" if healthy and index["reachable"] else "degraded" if healthy else "failing",
        "healthy": healthy,
        "version": __version__,
        "uptime_s": round(time.time() - context.started_at, 3),
        "store": store,
        "index": index,
        "sessions": _sessions(context),
        "viewers": context.feeds.viewers,
        "simulations": context.simulations.overview(),
    }
    reasons = [part["reason"] for part in (store, index) if part.get("reason")]
    if reasons:
        body["reason"] = "; ".join(reasons)
    return json_reply(body, 200 if healthy else 503)


def _store(context: Context) -> dict[str, Any]:
    root = context.store.root
    try:
        root.prepare()
        probe = root.staging / f".probe-{os.getpid():x}-{os.urandom(4).hex()}"
        try:
            files.create(probe, b"x" * 4096)  # written and synced: a full or read-only disk says so here
        finally:
            files.remove(probe)
        usage = shutil.disk_usage(root.path)
    except (SessionStoreError, OSError) as error:
        return {"writable": False, "reason": f"the store cannot be written: {_why(error, context)}"}
    found = {"writable": True, "disk_free_bytes": usage.free, "disk_total_bytes": usage.total}
    if usage.free < LEAST_FREE_BYTES:
        return {**found, "writable": False, "reason": f"the disk has {usage.free} bytes left"}
    return found


def _why(error: SessionStoreError | OSError, context: Context) -> str:
    if isinstance(error, OSError) and error.errno:
        return f"{os.strerror(error.errno)} ({errno.errorcode.get(error.errno, error.errno)})"
    return problem_of(error, context.hidden).detail


def _index(context: Context) -> dict[str, Any]:
    try:
        figures = context.database.health()
    except SessionStoreError as error:
        detail = problem_of(error, context.hidden).detail
        return {"reachable": False, "reason": f"the index cannot be used, the folders are: {detail}"}
    url = figures.pop("url", "")
    return {"reachable": True, **figures, "engine": figures.get("engine", url.partition(":")[0])}


def _sessions(context: Context) -> dict[str, Any]:
    """Return how many sessions there are, run, and are not in the index yet (pending)."""
    store = context.store
    try:
        total = store.page(limit=0, verify=False).total
        active = store.page("status in (running, paused)", limit=total, verify=False)
        running = [row.session_id for row in active.rows]
        return {"total": total, "running": running, "pending": _pending(context)}
    except SessionStoreError as error:
        return {"reason": problem_of(error, context.hidden).detail}


def _pending(context: Context) -> int:
    """Return how many folders the index does not know; all of them while it cannot be reached."""
    if context.store.catalog.pages.agree():
        return 0
    on_disk = context.store.root.session_ids()
    try:
        return len(on_disk - context.store.index.stamps().keys())
    except SessionStoreError:
        return len(on_disk)


def operations() -> list[Operation]:
    """Return the routes of this module."""
    return [
        Operation(
            "GET", "/api/health", health, "Say whether a write would succeed", TAG, reply=api_schemas.ANY_REPLY,
            problems=(503,),
        )
    ]  # fmt: skip
