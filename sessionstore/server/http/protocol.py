"""Sockets that never finish a request are closed: idle ones, and those that send their headers byte by byte.

When there are too many sockets, the oldest that has no request under way is closed for the new one: half-open
connections cannot keep others out, however many there are.

uvicorn limits the size of headers and the pause between two requests, but waits for ever for the first byte, and for
the last one of the headers.
Not here: slow bodies (security), how many sockets there may be (serve).
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_TIMEOUT_S = 10.0
#: Sockets without a request under way, over all connections of a server, the oldest first.
MOST_IDLE = 500


class GuardedProtocol(H11Protocol):
    """uvicorn's protocol with a time limit on request headers."""

    header_timeout_s = HEADER_TIMEOUT_S

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._waiting: asyncio.TimerHandle | None = None
        self.idle_since = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()
        self._make_room()

    def _make_room(self) -> None:
        """Close the oldest connections without a request when they are too many."""
        idle = [each for each in self.connections if isinstance(each, GuardedProtocol) and each.idle]
        limit = MOST_IDLE if self.limit_concurrency is None else min(MOST_IDLE, self.limit_concurrency // 2)
        if len(idle) > limit:
            for each in sorted(idle, key=lambda one: one.idle_since)[: len(idle) - limit]:
                each.transport.abort()

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        return self.cycle is None or self.cycle.response_complete

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._wait()  # the beginning of a request, and not its end
        else:
            self._wait_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self.idle_since = self.loop.time()
        self._wait_no_more()
        super().on_response_complete()

    def _wait(self) -> None:
        if self._waiting is None and not self.transport.is_closing():
            self._waiting = self.loop.call_later(self.header_timeout_s, self._give_up)

    def _wait_no_more(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
