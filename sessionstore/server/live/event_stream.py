"""A session as server-sent events: its streams from an offset on, then as they grow, until it has ended.

    id: motion_history:10240,events:512
    event: motion_history
    data: [{"n":7,"t":0.35,"drone":"scout-1","position":[0,0,5]}, ...]

The id names the offset reached in every stream followed, so that Last-Event-ID goes on exactly there: no record is
lost, none comes twice. ``session`` events carry the record when it changes, ``end`` the last one; then the reply ends,
and a client that comes back with the last id gets 204, which makes an EventSource stop.
Not here: polling files (feeds), the list of sessions (server.live.store_changes).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import anyio.to_thread

from sessionstore.errors import InvalidQuery, SessionGone, SessionStoreError, Unreadable
from sessionstore.model.field_rules import FINAL_STATUSES
from sessionstore.model.row import INTERRUPTED
from sessionstore.server.http.operations import Call, split_names
from sessionstore.server.http.problems import problem_of
from sessionstore.server.http.reply import EVENT_STREAM, Reply, Stream, encode
from sessionstore.server.live.feeds import Feed, Piece, read_piece
from sessionstore.server.live.sse import KEEP_ALIVE_S, sse
from sessionstore.session import Session, stream_names

DEFAULT_STREAMS = stream_names.FOLLOWED
_ENDED = (*FINAL_STATUSES, INTERRUPTED)
_CURSOR = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}:[0-9]{1,18}(?:,[A-Za-z][A-Za-z0-9_]{0,63}:[0-9]{1,18}){0,31}")

Offsets = dict[str, int]


def parse_cursor(text: str) -> Offsets:
    """Return the offsets that an event id names. Raises: InvalidQuery."""
    if not _CURSOR.fullmatch(text):
        raise InvalidQuery(f"a position is stream:offset[,stream:offset ...], not {text[:100]!r}")
    offsets: Offsets = {}
    for part in text.split(","):
        name, _, offset = part.partition(":")
        if name in offsets:
            raise InvalidQuery(f"the stream {name!r} stands twice in the position")
        offsets[name] = int(offset)
    return offsets


def cursor_text(offsets: Offsets) -> str:
    """Return the event id of these offsets."""
    return ",".join(f"{name}:{offset}" for name, offset in offsets.items())


async def follow_session(call: Call) -> Reply | Stream:
    """Follow a session."""
    context = call.context
    session = await anyio.to_thread.run_sync(context.find, call.path["session_id"])
    last_id = call.headers.get("last-event-id")
    offsets = await anyio.to_thread.run_sync(start_offsets, session, call.query, last_id)
    if last_id is not None and await anyio.to_thread.run_sync(_all_read, session, offsets):
        return Reply(b"", status=204)
    viewer = Viewer(call, session, offsets)
    return Stream(viewer.events(), EVENT_STREAM, {"x-accel-buffering": "no", "cache-control": "no-store"})


def start_offsets(session: Session, query: Any, last_id: str | None) -> Offsets:
    """Return where to begin in each stream: at Last-Event-ID, else where the query says, else at the start.

    Raises: InvalidQuery, InvalidName.
    """
    position = last_id or query.get("cursor")
    names = split_names(query.get("streams"))
    if position:
        offsets = parse_cursor(position)
        chosen = names or list(offsets)
        for name in chosen:
            session.stream_path(name)  # the rule for names
        others = (
            _ends(session, [name for name in chosen if name not in offsets]) if query.get("offset") == "end" else {}
        )
        return {name: offsets.get(name, others.get(name, 0)) for name in chosen}
    names = names or list(DEFAULT_STREAMS)
    offset = query.get("offset", "0")
    if offset != "end" and not (offset.isascii() and offset.isdigit() and len(offset) < 19):
        raise InvalidQuery(f'an offset is a number of bytes or "end", not {offset[:100]!r}')
    if offset not in ("0", "end") and len(names) > 1:
        raise InvalidQuery("one offset fits one stream; use cursor=stream:offset,stream:offset for several")
    if offset == "end":
        return _ends(session, names)
    for name in names:
        session.stream_path(name)
    return dict.fromkeys(names, int(offset))


def _ends(session: Session, names: list[str]) -> Offsets:
    tapes = {name: session.tape(name) for name in names}
    return {name: last.end if (last := tape.last()) else 0 for name, tape in tapes.items()}


def _all_read(session: Session, offsets: Offsets) -> bool:
    """Whether the session has ended and these offsets are the ends of its streams."""
    if session.status not in _ENDED:
        return False
    lasts = ((session.tape(name).last(), offset) for name, offset in offsets.items())
    return all(last is None or offset >= last.end for last, offset in lasts)


class Viewer:
    """One client that follows one session; its whole state is an offset for each stream."""

    def __init__(self, call: Call, session: Session, offsets: Offsets) -> None:
        self.context = call.context
        self.session = session
        self.offsets = offsets
        self._record_version = 0  # the first look makes it 1

    async def events(self) -> AsyncIterator[bytes]:
        """Yield the events until the session has ended and all was sent; what goes wrong is an ``error`` event."""
        try:
            async with self.context.feeds.follow(self.session, list(self.offsets)) as feed:
                yield b"retry: 1000\n\n"
                async for part in self._until_the_end(feed):
                    yield part
        except (SessionStoreError, OSError) as error:
            yield sse("error", encode(problem_of(error, self.context.hidden).to_dict()))

    async def _until_the_end(self, feed: Feed) -> AsyncIterator[bytes]:
        while not self.context.feeds.closing:
            news = feed.news  # taken before looking: what comes while we look is not missed
            version = feed.version
            last_round = feed.gone or feed.status in _ENDED  # asked first: what was written before is still read
            sent = False
            async for part in self._new(feed, last_round):
                sent = True
                yield part
            if sent:
                continue
            if last_round:
                yield await self._end(feed)
                return
            if feed.version == version and not await _within(news, KEEP_ALIVE_S):
                yield b": still here\n\n"

    async def _new(self, feed: Feed, last_round: bool) -> AsyncIterator[bytes]:
        for name in self.offsets:
            piece = await self._behind(feed, name, last_round)
            if piece is not None:
                self.offsets[name] = piece.end
                yield sse(name, piece.body, cursor_text(self.offsets))
        if feed.record_version != self._record_version and not last_round:
            self._record_version = feed.record_version
            if (record := await self._record(feed)) is not None:
                yield sse("session", record)

    async def _behind(self, feed: Feed, name: str, last_round: bool) -> Piece | None:
        """Return the next piece of a stream: the shared one when it fits, else from the file."""
        offset, channel = self.offsets[name], feed.channels[name]
        newest = channel.newest
        if newest is not None and newest.start == offset:
            return newest
        if offset == channel.offset and not last_round:
            return None
        piece = await anyio.to_thread.run_sync(read_piece, channel.tape, offset)
        if not piece.count:
            self.offsets[name] = piece.end
            return None
        return piece

    async def _record(self, feed: Feed) -> bytes | None:
        version = feed.record_version
        if feed.rendered[0] != version:
            try:
                document = await anyio.to_thread.run_sync(self.context.documents.render, self.session)
            except (SessionGone, Unreadable):
                return None
            feed.rendered = (version, document.body)
        return feed.rendered[1]

    async def _end(self, feed: Feed) -> bytes:
        record = None if feed.gone else await self._record(feed)
        return sse("end", record or encode({"session_id": self.session.session_id, "status": "gone"}))


async def _within(event: asyncio.Event, timeout_s: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except TimeoutError:
        return False
    return True
