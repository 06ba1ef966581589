"""A TCP proxy before a server, which cuts connections, refuses them, answers itself, waits, or falls silent.

Not here: the servers (the tests' own), what must hold then (test_connection_faults).
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator


class Proxy:
    """Forwards to a port; counts the bytes of both directions.

    Attributes:
        cut_at: after so many bytes the connection is cut, and each new one until :meth:`heal`.
        silent_at: after so many bytes nothing passes any more, and no connection is closed, until :meth:`heal`.
        answers: HTTP statuses with which the next connections are answered, in place of the server.
        delay_s: how long each piece is held back.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.count, self.refused, self.delay_s = 0, 0, 0.0
        self.cut_at: int | None = None
        self.silent_at: int | None = None
        self.answers: list[int] = []
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def heal(self) -> None:
        """Forward everything from now on."""
        self.cut_at, self.silent_at, self.count, self.answers, self.delay_s = None, None, 0, [], 0.0

    def close(self) -> None:
        """End."""
        self._listener.close()
        for each in list(self._open):
            each.close()

    @property
    def is_cut(self) -> bool:
        """Whether nothing passes."""
        return self.cut_at is not None and self.count >= self.cut_at

    @property
    def is_silent(self) -> bool:
        """Whether it takes everything and answers nothing, as a host does whose cable is cut behind a switch."""
        return self.silent_at is not None and self.count >= self.silent_at

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.add(client)
        with client, contextlib.suppress(OSError, ValueError):  # ValueError: closed at the end of the test
            if self.is_cut:
                self.refused += 1
                return
            with socket.create_connection(("127.0.0.1", self._target)) as server:
                while self._forward(client, server):
                    pass
        self._open.discard(client)

    def _forward(self, client: socket.socket, server: socket.socket) -> bool:
        ready, _, _ = select.select([client, server], [], [], 20)
        for source in ready:
            data = source.recv(1 << 14)
            if not data:
                return False
            if self.answers and source is client:
                status = self.answers.pop()
                code = b"SlowDown" if status == 503 else b"AccessDenied"
                body = b"<Error><Code>" + code + b"</Code><Message>not now</Message></Error>"
                head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                client.sendall(head.encode() + body)
                return False
            if self.delay_s:
                time.sleep(self.delay_s)
            if self.is_silent:
                continue  # swallowed, also once the line is healed: the connection is out of step and is given up
            left = len(data) if self.cut_at is None else max(0, min(len(data), self.cut_at - self.count))
            self.count += len(data)
            (server if source is client else client).sendall(data[:left])
            if left < len(data):
                return False
        return bool(ready)


@contextlib.contextmanager
def proxied(port: int) -> Iterator[Proxy]:
    """Give a proxy before a port."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
