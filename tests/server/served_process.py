"""``sessionstore serve`` as a user starts it: a process of its own, a port of its own, a client."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.ports import free_port


@dataclass
class Served:
    """A server process and a client that notes every answer."""

    process: subprocess.Popen[bytes]
    client: httpx.Client
    url: str

    def get(self, path: str) -> dict[str, Any]:
        """Return the JSON of a GET that must succeed."""
        reply = self.client.get(path)
        assert reply.status_code == 200, f"{path}: {reply.status_code} {reply.text}"
        found: dict[str, Any] = reply.json()
        return found

    def post(self, path: str, status: int = 200, **body: Any) -> dict[str, Any]:
        """Return the JSON of a POST that must be answered with a status."""
        reply = self.client.post(path, json=body)
        assert reply.status_code == status, f"{path}: {reply.status_code} {reply.text}"
        found: dict[str, Any] = reply.json()
        return found

    def statuses(self, paths: tuple[str, ...]) -> dict[str, int]:
        """Return how each GET is answered."""
        return {path: self.client.get(path).status_code for path in paths}


#: What a page and the users' pollers ask for.
POLLED = (
    "/api/health", "/api/state", "/api/status", "/api/realtime-status", "/api/data", "/api/drones", "/api/weather",
    "/api/communication", "/api/buildings/list", "/api/simulations", "/api/sessions", "/api/sessions/db/list",
    "/api/sessions?where=status%3Drunning", "/api/trash", "/",
)  # fmt: skip


@contextlib.contextmanager
def served_process(folder: Path, *arguments: str) -> Iterator[Served]:
    """Run ``sessionstore serve`` while the block lasts; it must end by itself when it is told to."""
    port = free_port()
    command = [sys.executable, "-m", "sessionstore", "serve", "--port", str(port), "--dir", str(folder), *arguments]
    process = subprocess.Popen(command)
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            eventually(lambda: process.poll() is None and _answers(client))
            yield Served(process, client, url)
    finally:
        process.terminate()
        assert process.wait(60) is not None


def _answers(client: httpx.Client) -> bool:
    with contextlib.suppress(httpx.TransportError):
        client.get("/api/trash")
        return True
    return False


def eventually(holds: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Ask until it is so, and return what was found."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.05)
    return found
