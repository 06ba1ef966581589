"""Ports for servers that are started later, or again at the same address.

Not from port 0: the system gives the same ports to outgoing connections, of which one may have it by then.
"""

from __future__ import annotations

import random
import socket
from contextlib import closing

#: Below what Linux gives to outgoing connections (net.ipv4.ip_local_port_range begins at 32768).
_PORTS = range(15_000, 32_000)
_random = random.SystemRandom()  # hypothesis seeds the other one, in each test process alike


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port at which nothing listens."""
    for port in _random.sample(_PORTS, 100):
        with closing(socket.socket()) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port among a hundred of {_PORTS.start} to {_PORTS.stop}")
