"""The list of sessions as server-sent events: which rows appeared, changed or were removed, by any process.

    id: 17
    event: sessions
    data: {"generation": 17, "total": 10000, "changed": [{...}, ...], "removed": ["202611231430-Butterfly"]}

The store is listed once for all viewers, about twice a second: other processes, copied folders and hand edits are
seen too. A viewer that reconnects with an older id receives ``reset`` and reads the list again: past changes are
not kept.
Not here: the list itself (server.routes.sessions), one session's streams (live).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import anyio.to_thread

from sessionstore.boxes.session_db_box import row_as_dict
from sessionstore.errors import SessionStoreError
from sessionstore.model.row import SessionRow
from sessionstore.server.http.problems import problem_of
from sessionstore.server.http.reply import encode
from sessionstore.server.live.sse import KEEP_ALIVE_S, sse
from sessionstore.store import SessionStore

LOOK_EVERY_S = 0.5
_COST_SHARE = 10  # looking takes at most a tenth of the time, however many sessions there are
_MOST_ROWS = 200


class Changes:
    """Compares the list with what it was; runs while there are listeners."""

    def __init__(self, store: SessionStore, hidden: tuple[str, ...]) -> None:
        self._store = store
        self._hidden = hidden
        self._rows: dict[str, SessionRow] | None = None
        self._trouble: str | None = None
        self._listeners = 0
        self._task: asyncio.Task[None] | None = None
        self.generation = int(time.time())  # ids from before a restart are older than this
        self.news = asyncio.Event()
        self.latest = b"{}"
        self.closing = False

    async def listen(self, last_id: str | None) -> AsyncIterator[bytes]:
        """Yield the events from now on."""
        self._listeners += 1
        try:
            if self._task is None:
                self._rows = None
                self._task = asyncio.create_task(self._run(), name="changes")
            seen = self.generation
            hello = {"generation": seen, "reset": last_id is not None and last_id != str(seen)}
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
                change = await anyio.to_thread.run_sync(self._look)
                if change is not None:
                    self.generation += 1
                    self.latest = encode({"generation": self.generation, **change})
                    self._tell()
                await asyncio.sleep(max(LOOK_EVERY_S, _COST_SHARE * (time.monotonic() - began)))
        finally:
            self._task = None

    def _look(self) -> dict[str, Any] | None:
        """Return what changed since the last look, or None (worker thread)."""
        try:
            rows = {row.session_id: row for row in self._store.find(sort="created_at")}
        except (SessionStoreError, OSError) as error:
            problem = problem_of(error, self._hidden)
            told, self._trouble = self._trouble, problem.detail
            return None if told == problem.detail else {"problem": problem.to_dict()}
        before, self._rows = self._rows, rows
        recovered, self._trouble = self._trouble is not None, None
        if before is None:
            return None
        changed = [row for name, row in rows.items() if (old := before.get(name)) is not row and old != row]
        removed = [name for name in before if name not in rows]
        if not changed and not removed and not recovered:
            return None
        if recovered or len(changed) > _MOST_ROWS:
            return {"total": len(rows), "reset": True}
        return {
            "total": len(rows),
            "changed": [row_as_dict(self._store, row) for row in changed],
            "removed": removed,
            "reset": False,
        }
