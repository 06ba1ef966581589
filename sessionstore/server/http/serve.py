"""Runs the server: one process, one event loop, worker threads for the store, a child process for each simulation.

Not here: the application (app), the command (cli.serve).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import uvicorn

from sessionstore.disk import files
from sessionstore.errors import InvalidQuery, StoreUnusable
from sessionstore.server.context import Context, Settings
from sessionstore.server.http.app import build_app
from sessionstore.server.http.problems import problem_of
from sessionstore.server.http.protocol import GuardedProtocol
from sessionstore.server.http.security import check_settings
from sessionstore.store import SessionStore

MAX_HEADER_BYTES = 32_768
MAX_CONNECTIONS = 1000
IDLE_S = 15
GRACE_S = 5
_BACKLOG = 2048
MAX_DESCRIPTORS = 8192
QUIET_S = 10.0  # between two equal warnings of uvicorn
KEPT_DESCRIPTORS = 36  # for what is open all the time (about 12), and the files that requests read


class Server(uvicorn.Server):
    """uvicorn's server, which ends live replies before it waits for open sockets.

    SIGHUP (a terminal that closes) ends it as SIGTERM does: running simulations are stopped and stored.
    """

    def __init__(self, config: uvicorn.Config, context: Context) -> None:
        super().__init__(config)
        self._context = context

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_report)
        if threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGHUP"):
            loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        await super().serve(sockets)

    def _hang_up(self) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._context.close()
        await super().shutdown(sockets)


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report an error of the event loop: a shortage of descriptors as one line, all else as asyncio does."""
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        problem_of(error)
        return
    loop.default_exception_handler(context)


class EachOnce(logging.Filter):
    """Drops a warning that was logged in the last ten seconds: uvicorn warns of each connection that it refuses."""

    def __init__(self) -> None:
        super().__init__()
        self._logged_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is logged; errors always are."""
        if record.levelno > logging.WARNING:
            return True
        now, text = time.monotonic(), str(record.msg)
        if now - self._logged_at.get(text, float("-inf")) < QUIET_S:
            return False
        self._logged_at[text] = now
        return True


_EACH_ONCE = EachOnce()


def more_descriptors() -> None:
    """Raise the limit of open files to what the system allows this process."""
    try:
        import resource
    except ImportError:
        return  # Windows has no such limit
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(MAX_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_connections() -> int:
    """Return how many connections are served at once; a request on a further one is answered by 503.

    Some descriptors are kept for the store's own files, so that few descriptors refuse requests in place of failing.
    """
    try:
        import resource
    except ImportError:
        return MAX_CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else max(8, min(MAX_CONNECTIONS, soft - KEPT_DESCRIPTORS))


def make_server(store: SessionStore, settings: Settings) -> Server:
    """Return a server that is ready to run. Raises: InvalidQuery: it would serve others without a token."""
    check_settings(settings)
    context = Context(store, settings)
    config = uvicorn.Config(
        build_app(context),
        host=settings.host,
        port=settings.port,
        http=GuardedProtocol,
        ws="none",
        loop="asyncio",
        lifespan="on",
        access_log=False,  # a log line per request would hold names and addresses that others choose
        server_header=False,
        proxy_headers=False,
        log_level="warning",
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        limit_concurrency=most_connections(),
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    logging.getLogger("uvicorn.error").addFilter(_EACH_ONCE)  # adding it again changes nothing
    return Server(config, context)


def serve(store: SessionStore, settings: Settings, listener: socket.socket | None = None) -> None:
    """Serve until SIGINT or SIGTERM; running simulations are then stopped and stored.

    Raises: StoreUnusable: the address is taken or not allowed; InvalidQuery: see :func:`make_server`.
    """
    more_descriptors()
    server = make_server(store, settings)
    sockets = [listener or bind(settings)]
    try:
        asyncio.run(server.serve(sockets))
    except KeyboardInterrupt:
        return  # uvicorn has ended everything, and repeats the signal for its caller


def bind(settings: Settings) -> socket.socket:
    """Return the listening socket. Raises: StoreUnusable: with the reason."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # The protocol must be named: asyncio sets TCP_NODELAY on such sockets only, and without it each reply, which is
    # written in two parts, waits 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host.strip("[]"), settings.port))
        listener.listen(_BACKLOG)  # who comes from now on waits until the server has started, and is not refused
    except OSError as error:
        listener.close()
        raise StoreUnusable(
            error.errno, f"cannot listen on {settings.host} port {settings.port}: {error.strerror}"
        ) from error
    return listener


def token_from(path: Path) -> str:
    """Return the token in a file that only its owner can read; a missing file is made, with a new token.

    Raises: InvalidQuery: others can read it, or it is empty; nothing was changed.
    """
    import secrets

    try:
        data, status = files.read(path)
    except FileNotFoundError:
        token = secrets.token_urlsafe(32)
        files.create(path, token.encode() + b"\n", mode=0o600)
        return token
    if os.name == "posix" and status.st_mode & 0o077:
        raise InvalidQuery(f"{path} can be read by others (mode {status.st_mode & 0o777:o}); make it 600")
    token = data.decode("ascii", "replace").strip()
    if not token:
        raise InvalidQuery(f"{path} is empty")
    return token
