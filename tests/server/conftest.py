"""A real server on a free port, in a thread of this process, and a client for it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="the extra api is not installed")

import httpx

import sessionstore
from sessionstore.server.context import Settings
from sessionstore.server.http.serve import Server, bind, make_server
from sessionstore.store import SessionStore
from tests.ports import free_port


@dataclass
class Running:
    """A server that runs, its store, and a client."""

    server: Server
    store: SessionStore
    port: int
    client: httpx.Client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def context(self) -> Any:
        return self.server._context

    def raw(self, request: bytes, timeout_s: float = 20.0) -> bytes:
        """Send bytes, and return all that comes until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as connection:
            connection.sendall(request)
            return b"".join(iter(lambda: connection.recv(65536), b""))


def running_server(folder: Path, settings: Settings, port: int = 0) -> Iterator[Running]:
    listener = bind(replace(settings, port=port or free_port()))  # a test may start it again at the same port
    port = listener.getsockname()[1]
    store = sessionstore.open(folder)
    server = make_server(store, replace(settings, port=port))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), name="server")
    thread.start()
    headers = {"authorization": f"Bearer {settings.token}"} if settings.token else {}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, headers=headers, trust_env=False) as client:
            yield Running(server, store, port, client)
    finally:
        server.should_exit = True
        thread.join(30)
        store.close()
        assert not thread.is_alive()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Running]:
    yield from running_server(tmp_path / "store", Settings())


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for all tests of a module that do not mind each other."""
    yield from running_server(tmp_path_factory.mktemp("served") / "store", Settings())


@pytest.fixture
def serve_with(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start servers with settings of their own."""
    opened: list[Iterator[Running]] = []

    def start(folder: Path | None = None, **settings: Any) -> Running:
        opened.append(running_server(folder or tmp_path / "store", Settings(**settings)))
        return next(opened[-1])

    yield start
    for each in opened:
        assert next(each, None) is None
