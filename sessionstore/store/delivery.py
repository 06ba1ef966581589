"""Rows on their way into the index: put, checked against the files, and put again once an index is available.

A delivery never fails an operation on a session: the index is a cache, and its rows can come later. All handles of one
store in a process know what is still on its way, so that none lists a state older than an update of this process.
Not here: which rows differ (store.catalog), how long an engine waits (index).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from sessionstore.disk import files
from sessionstore.errors import NotApplied, OutcomeUnknown, Unreadable
from sessionstore.index import SessionIndex
from sessionstore.layout import StoreRoot
from sessionstore.model.row import SessionRow
from sessionstore.store.folder_rows import ABSENT, UNREAD, FolderRows, stamp_in

MAX_RETRIES = 100
#: By folder and index: the sessions whose rows the index could not take.
_pending: dict[tuple[str, str], set[str]] = {}


@dataclass(frozen=True, slots=True)
class Step:
    """How one step of an operation ended: done, pending or failed, and why."""

    status: str
    reason: str | None = None


class Delivery:
    """Puts and removes rows of one store."""

    def __init__(
        self, root: StoreRoot, index: SessionIndex, folders: FolderRows, pickled: tuple[Any, ...] = ()
    ) -> None:
        self._root, self.index, self._folders = root, index, folders
        self._pickled = pickled  # a function and its arguments that return this delivery in another process
        self.pending = _pending.setdefault((root.text, index.url), set())

    def __reduce__(self) -> tuple[Any, ...]:
        return self._pickled

    def changed(self, row: SessionRow) -> None:
        """Deliver the new row of one session."""
        self.deliver([row])

    def deliver(self, rows: list[SessionRow]) -> Step:
        """Put rows; what the index cannot take now goes with a later delivery, or is found by a later listing."""
        try:
            self.put(rows)
        except (NotApplied, OutcomeUnknown, Unreadable) as error:
            self.pending.update(row.session_id for row in rows)
            return Step("pending", f"{type(error).__name__}: {error}")
        if self.pending:
            self._catch_up()
        return Step("done")

    def _catch_up(self) -> None:
        """Deliver pending rows, as the folders hold them now."""
        waiting = set(self.pending)
        self.pending -= waiting
        try:
            self.put(list(self._folders.read(waiting)), exact=True)
        except (NotApplied, OutcomeUnknown, Unreadable):
            self.pending |= waiting

    def put(self, rows: list[SessionRow], exact: bool = False) -> None:
        """Put rows, then check the files again: a newer row of another writer must not stay covered by an older one.

        Raises: as ``SessionIndex.put``.
        """
        for _ in range(MAX_RETRIES):
            self.index.put(rows, exact)
            moved_on = self._folders.moved_on(rows)
            if not moved_on:
                return
            self._take_back(moved_on)
            rows = [row for row in self._folders.read(moved_on) if stamp_in(row) not in (UNREAD, ABSENT)]
            if not rows:
                return

    def _take_back(self, put: list[str]) -> None:
        """Drop the rows of sessions that went while they were put: if the trash was emptied meanwhile, no later listing
        would drop them. A store that is away itself keeps them."""
        gone = [session_id for session_id in put if not os.path.lexists(self._root.folder(session_id))]
        if gone and files.is_folder(self._root.private):
            self.index.remove(gone)

    def forget(self, session_ids: list[str]) -> None:
        """Drop the rows of sessions in the trash; if the index is unavailable, a later listing does."""
        try:
            self.index.remove(session_ids)
        except (NotApplied, OutcomeUnknown, Unreadable):
            return
