"""Options of the file systems, by which each wait for a remote store has a limit.

A silent server is given up after LOST_S, in whichever phase of a request it falls silent: while bytes are sent and not
acknowledged (Linux), before the answer and between two pieces of it; while a connection is made, after CONNECT_S.
Not here: how often a request is tried (remote.faults), the name look-up, which waits as long as the system says.
"""

from __future__ import annotations

import functools
import importlib
import socket
from collections.abc import Mapping
from typing import Any

#: How long a connection may take to be made, and how long a silent one is waited for.
CONNECT_S, LOST_S = 10, 30
_PROBES = 3


def options(scheme: str) -> Mapping[str, Any]:
    """Return the options of the file system of a protocol."""
    if scheme in ("s3", "s3a"):
        client = {
            "connect_timeout": CONNECT_S, "read_timeout": LOST_S, "max_pool_connections": 32,
            "retries": {"total_max_attempts": 1},  # attempt() tries again
            "connector_args": {"socket_factory": impatient_socket}, "http_session_cls": _http_session(),
        }  # fmt: skip
        return {"use_listings_cache": False, "config_kwargs": client}
    if scheme in ("http", "https"):
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=LOST_S)
        return {"use_listings_cache": False, "client_kwargs": {"timeout": timeout}}
    if scheme == "ssh":
        return {"connect_timeout": CONNECT_S, "keepalive_interval": LOST_S / _PROBES, "keepalive_count_max": _PROBES}
    return {}


@functools.cache
def _http_session() -> type[Any]:
    """Return the HTTP session of S3, which sends a body without asking first.

    botocore asks with "Expect: 100-continue" (RFC 9110, 10.1.1), and aiohttp waits for that answer without any limit:
    its time for a silent server begins when the body has been sent.
    """
    base: Any = importlib.import_module("aiobotocore.httpsession").AIOHTTPSession

    class Session(base):  # type: ignore[misc]
        async def send(self, request: Any) -> Any:
            if "Expect" in request.headers:  # not signed: it belongs to one hop (SigV4)
                del request.headers["Expect"]
            return await super().send(request)

    return Session


def impatient_socket(address: tuple[Any, ...]) -> socket.socket:
    """Return a socket that gives up when nothing that was sent is acknowledged; by default in 15 min."""
    found = socket.socket(*address[:3])
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(LOST_S * 1000))
    return found
