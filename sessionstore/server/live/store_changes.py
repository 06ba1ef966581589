"""The list of sessions as server-sent events: which rows appeared, changed or were removed, by any process.

    id: 17
    event: sessions
    data: {"generation": 17, "total": 10000, "changed": [{...}, ...], "removed": ["202611231430-Butterfly"]}

The store is looked at once for all viewers, about twice a second: other processes, copied folders and hand edits are
seen too. A viewer that names an older state of the list (the id of an event, or ``since``: the ``revision`` of the
list that it read) receives ``reset`` and reads the list again: past changes are not kept, and none is missed.
Not here: the list itself (server.routes.sessions), one session's streams (live).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio.to_thread

from sessionstore.boxes.session_db_box import row_as_dict
from sessionstore.errors import SessionStoreError
from sessionstore.server.http.problems import problem_of
from sessionstore.server.http.reply import encode
from sessionstore.server.live.sse import KEEP_ALIVE_S, sse
from sessionstore.store import SessionStore, row_changes
from sessionstore.store.row_changes import Sight

LOOK_EVERY_S = 0.5
_COST_SHARE = 10  # looking takes at most a tenth of the time, however many sessions there are
_MOST_ROWS = 200


class Changes:
    """Compares the list with what it was; runs while there are listeners."""

    def __init__(
        self, store: SessionStore, hidden: tuple[str, ...], looking: Callable[[], None] = lambda: None
    ) -> None:
        """Prepare; ``looking`` is called at each look."""
        self._store = store
        self._hidden = hidden
        self._looking = looking
        self._seen: Sight | None = None
        self._revision = ""  # of the list, after the last look
        self._look_alone = asyncio.Lock()
        self._trouble: str | None = None
        self._listeners = 0
        self._task: asyncio.Task[None] | None = None
        self.generation = int(time.time())  # ids from before a restart are older than this
        self.news = asyncio.Event()
        self.latest = b"{}"
        self.closing = False

    def revision(self) -> str:
        """Return what names the state of the list: asked for before it is read."""
        return row_changes.revision(self._store.catalog)

    async def listen(self, last_id: str | None, since: str | None = None) -> AsyncIterator[bytes]:
        """Yield the events from now on.

        Args:
            since: the revision of the list that the viewer has read.
        """
        self._listeners += 1
        try:
            if self._task is None:
                self._seen = None
                self.generation += 1  # what happened without a listener is not known
                await self._look_once()
                self._task = self._task or asyncio.create_task(self._run(), name="changes")
            elif last_id is None and since is not None and since != self._revision:
                await self._look_once()  # the list was read since the last look
            seen = self.generation
            older = last_id != str(seen) if last_id is not None else since is not None and since != self._revision
            hello = {"generation": seen, "reset": older, "revision": self._revision}
            yield b"retry: 1000\n\n" + sse("hello", encode(hello), str(seen))
            while not self.closing:
                news = self.news
                if self.generation != seen:
                    missed = self.generation - seen > 1
                    seen = self.generation
                    body = encode({"generation": seen, "reset": True}) if missed else self.latest
                    yield sse("sessions", body, str(seen))
                    continue
                try:
                    await asyncio.wait_for(news.wait(), KEEP_ALIVE_S)
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            self._listeners -= 1

    def close(self) -> None:
        """End all replies."""
        self.closing = True
        self._tell()

    def _tell(self) -> None:
        told, self.news = self.news, asyncio.Event()
        told.set()

    async def _run(self) -> None:
        try:
            while self._listeners and not self.closing:
                began = time.monotonic()
                await self._look_once()
                await asyncio.sleep(max(LOOK_EVERY_S, _COST_SHARE * (time.monotonic() - began)))
        finally:
            self._task = None

    async def _look_once(self) -> None:
        async with self._look_alone:
            change = await anyio.to_thread.run_sync(self._look)
            if change is not None:
                self.generation += 1
                self.latest = encode({"generation": self.generation, **change})
                self._tell()

    def _look(self) -> dict[str, Any] | None:
        """Return what changed since the last look, or None (worker thread)."""
        self._looking()
        try:
            now = row_changes.look_at(self._store.catalog)
            self._revision = row_changes.revision(self._store.catalog)
        except (SessionStoreError, OSError) as error:
            problem = problem_of(error, self._hidden)
            told, self._trouble = self._trouble, problem.detail
            return None if told == problem.detail else {"problem": problem.to_dict()}
        before, self._seen = self._seen, now
        recovered, self._trouble = self._trouble is not None, None
        if before is None:
            return None
        change = row_changes.between(self._store.catalog, before, now)
        if recovered or change is None or len(change.changed) > _MOST_ROWS:
            return {"total": now.total, "reset": True}
        if not change.changed and not change.removed:
            return None
        return {
            "total": now.total,
            "changed": [row_as_dict(self._store, row) for row in change.changed],
            "removed": change.removed,
            "reset": False,
        }
