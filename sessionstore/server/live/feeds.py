"""Feeds of running sessions: each stream is polled once for all viewers; a viewer keeps only its offsets.

The newest piece is rendered once and shared; a viewer that is behind is served from the file, in bounded pieces, until
it has caught up. Nothing is lost, nothing is repeated, and nothing is queued for a slow viewer. One task polls all
followed streams, in one worker thread.
Not here: the format of events (live), the list of sessions (server.live.store_changes).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import anyio.to_thread

from sessionstore.errors import NotApplied, SessionGone, SessionStoreError, Unreadable
from sessionstore.server.http.reply import encode
from sessionstore.session import Session
from sessionstore.session.stream_reader import Tape
from sessionstore.store import SessionStore

POLL_S = 0.02
#: What one catching-up step reads at most: a viewer far behind gets many pieces, not one huge one.
PIECE_BYTES = 1 << 18
_STATUS_EVERY = 10  # polls between two looks at session.json


@dataclass(frozen=True, slots=True)
class Piece:
    """The records between two offsets, as a JSON array."""

    start: int
    end: int
    body: bytes
    count: int


def read_piece(tape: Tape, offset: int, most: int = PIECE_BYTES) -> Piece:
    """Return the whole records behind an offset, about ``most`` bytes of them; damaged lines are skipped.

    A file that shrank below the offset (replaced by another one) is read on from its new end.
    """
    size = tape.size()
    offset = end = min(offset, size)
    records = []
    for line in tape.read(offset, damaged="skip"):
        records.append(line.to_json())
        end = line.end
        if end - offset >= most:
            break
    return Piece(offset, end, encode(records), len(records))


@dataclass(slots=True)
class Channel:
    """One followed stream: the offset read so far, and the newest piece."""

    tape: Tape
    viewers: int = 0
    offset: int = 0
    newest: Piece | None = None
    size: int = -1

    def poll(self) -> bool:
        """Read what was appended since; return whether there was anything."""
        try:
            size = self.tape.size()
            if size == self.size:
                return False
            self.size = size
            piece = read_piece(self.tape, self.offset)
        except (SessionStoreError, OSError):
            return False  # each viewer meets the error in its own reading; the poller continues with the others
        if size > piece.end:
            self.size = -1  # more than one piece, or a line that is still being written: look again
        if not piece.count:
            self.offset = piece.end
            return False
        self.offset, self.newest = piece.end, piece
        return True


@dataclass(slots=True)
class Feed:
    """What is followed of one session."""

    session: Session
    channels: dict[str, Channel] = field(default_factory=dict)
    state: tuple[int, int, int] | None = None
    status: str = ""
    version: int = 0  # counts what happened: pieces, changes of the record, the end
    record_version: int = 0
    rendered: tuple[int, bytes] = (-1, b"")  # the record as JSON, made once for all viewers
    gone: bool = False
    polls: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def poll(self) -> bool:
        """Look at the streams, and now and then at the record; return whether anything happened (worker thread)."""
        changed = [channel.poll() for channel in list(self.channels.values())]
        looked = self.polls % _STATUS_EVERY == 0 and self._poll_record()
        self.polls += 1
        return any(changed) or looked

    def _poll_record(self) -> bool:
        try:
            status = os.stat(self.session.folder / "session.json", follow_symlinks=False)
            state = (status.st_ino, status.st_size, status.st_mtime_ns)
            effective = self.session.status
        except (OSError, SessionGone):
            self.gone, was_gone = not self.session.folder.is_dir(), self.gone
            return self.gone and not was_gone
        except (NotApplied, Unreadable):
            return False  # edited by hand, half-way; the streams go on
        if (state, effective) == (self.state, self.status):
            return False
        self.state, self.status = state, effective
        self.record_version += 1
        return True

    def tell(self) -> None:
        """Wake all waiting viewers (event loop)."""
        self.version += 1
        told, self.news = self.news, asyncio.Event()
        told.set()


class Feeds:
    """All sessions that are followed; lives in the event loop of the server."""

    def __init__(self, store: SessionStore, poll_s: float = POLL_S) -> None:
        self._store = store
        self._poll_s = poll_s
        self._feeds: dict[str, Feed] = {}
        self._task: asyncio.Task[None] | None = None
        self.closing = False

    @property
    def viewers(self) -> int:
        """How many stream subscriptions there are."""
        return sum(channel.viewers for feed in self._feeds.values() for channel in feed.channels.values())

    @contextlib.asynccontextmanager
    async def follow(self, session: Session, streams: list[str]) -> AsyncIterator[Feed]:
        """Give the feed of a session while the block lasts; its streams are polled."""
        fresh = await anyio.to_thread.run_sync(_channels, session, streams)
        feed = self._feeds.setdefault(session.session_id, Feed(session))
        for name in streams:
            feed.channels.setdefault(name, fresh[name]).viewers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="feeds")
        try:
            yield feed
        finally:
            for name in streams:
                feed.channels[name].viewers -= 1
                if not feed.channels[name].viewers:
                    del feed.channels[name]
            if not feed.channels:
                self._feeds.pop(session.session_id, None)

    async def close(self) -> None:
        """End all live replies: their viewers come back with Last-Event-ID."""
        self.closing = True
        for feed in self._feeds.values():
            feed.tell()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        limiter = anyio.CapacityLimiter(1)  # of its own: busy worker threads must not hold up the live view
        while self._feeds:
            changed = await anyio.to_thread.run_sync(self._poll_all, list(self._feeds.values()), limiter=limiter)
            for feed in changed:
                feed.tell()
            await asyncio.sleep(self._poll_s)
        self._task = None

    @staticmethod
    def _poll_all(feeds: list[Feed]) -> list[Feed]:
        return [feed for feed in feeds if feed.poll()]


def _channels(session: Session, streams: list[str]) -> dict[str, Channel]:
    """Return channels that begin at the ends of their streams: what is there already is served from the file."""
    tapes = {name: session.tape(name) for name in streams}
    return {name: Channel(tape, offset=last.end if (last := tape.last()) else 0) for name, tape in tapes.items()}
