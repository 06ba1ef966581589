"""Many sessions made durable together: one sync for a thousand of them in place of three each.

    with store.batch() as batch:
        for number in range(10_000):
            batch.create(f"run {number}", metadata={"n": number})

The sessions are built in staging and not synced; at the end of the block (and after each 1,000, or a minute) their
contents are synced, then they get their names, then the folder of names is synced: that is the acknowledgement.
Contents come before names, so that a kill or a power cut within leaves whole sessions or none. An error in the block
discards the sessions that have no names yet. The sync is one ``syncfs`` where the system reports its errors, else an
fsync for each file.
Not here: making one session (store.creation).
"""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sessionstore.disk import files
from sessionstore.disk.bulk_sync import sync_trees
from sessionstore.errors import StoreUnusable, StreamClosed
from sessionstore.layout import DOCUMENT, StoreRoot
from sessionstore.model.instants import instant
from sessionstore.model.record import SessionRecord
from sessionstore.model.row import SessionRow, to_row
from sessionstore.store.catalog import Catalog
from sessionstore.store.creation import Creator, Draft

GROUP = 1000
#: How long a session stays in staging while others are made: what is there for ten minutes is swept by any creator.
LONGEST_S = 60.0


class Batch:
    """The block; threads may share it, and must have ended theirs before it ends.

    Attributes:
        session_ids: of the sessions that are named and durable, in the order in which they were made.
    """

    def __init__(self, root: StoreRoot, creator: Creator, catalog: Catalog) -> None:
        self.session_ids: list[str] = []
        self._root, self._creator, self._catalog = root, creator, catalog
        self._waiting: list[tuple[Draft, os.stat_result]] = []
        self._since = 0.0
        self._mutex = threading.RLock()
        self._depth, self._ended, self._pid = 0, False, os.getpid()

    def create(self, name: str | None = None, **fields: Any) -> str:
        """Make a session that exists from the end of the block on; return the id that it will have.

        A folder of this name that is copied in before the end makes it get the next one: see ``session_ids``.

        Args: as for ``SessionStore.create``.

        Raises: InvalidName, InvalidRecord, LockTimeout, StoreUnusable: this one was not made, the block can go on.
            OutcomeUnknown: of a full group, as :meth:`flush`. StreamClosed: the block has ended.
        """
        self._check_open()
        draft = self._creator.draft(name, fields)
        return self._add(draft, self._creator.stage(draft, sync=False))

    def _add(self, draft: Draft, status: os.stat_result) -> str:
        session_id = draft.record.session_id
        with self._mutex:
            if self._ended:  # by another thread, while this one was built
                self._discard([(draft, status)])
                self._check_open()
            if not self._waiting:
                self._since = time.monotonic()
            self._waiting.append((draft, status))
            if len(self._waiting) >= GROUP or time.monotonic() - self._since > LONGEST_S:
                self.flush()
        return session_id

    def _check_open(self) -> None:
        if self._ended:
            raise StreamClosed("the block of this batch has ended; nothing was made")
        if self._pid != os.getpid():
            raise StreamClosed("the batch is that of the parent process; nothing was made")

    def adopt(self, built: Path, record: SessionRecord, tables: dict[str, Any]) -> str:
        """Take in a folder that an import built in staging, its document included; nothing of it need be synced.

        Args:
            tables: of its document, further to the record; should its id be taken, it is written with the next one.

        Raises: StoreUnusable, FileNotFoundError: it is not there. OutcomeUnknown: as :meth:`flush`.
        """
        draft = Draft(record, instant(record.created_at), tables, str(built))
        return self._add(draft, os.lstat(built / DOCUMENT))

    def flush(self) -> None:
        """Make durable and name what was made so far.

        Raises:
            StoreUnusable: those named so far are there, and may not be durable; the others were not made.
            OutcomeUnknown: all are visible, a power cut may take them.
        """
        if self._pid != os.getpid():
            return  # what waits is the parent's
        with self._mutex:
            self._flush(self._taken())

    def _taken(self) -> list[tuple[Draft, os.stat_result]]:
        """Return what waits, and waits no longer."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def _flush(self, waiting: list[tuple[Draft, os.stat_result]]) -> None:
        if not waiting:
            return
        named: list[SessionRow] = []
        try:
            waiting[:] = [self._there(*each) for each in waiting]
            if self._root.durable:
                sync_trees([Path(self._creator.staged(draft)) for draft, _ in waiting])
            while waiting:
                draft, status = waiting[0]
                named.append(to_row(draft.record, self._creator.give_name(draft, status)))
                del waiting[0]
        finally:
            self._discard(waiting)
            if named:
                self._acknowledge(named)

    def _there(self, draft: Draft, status: os.stat_result) -> tuple[Draft, os.stat_result]:
        """Build a session again that was swept from staging: the block stood still for long."""
        if files.is_folder(self._creator.staged(draft)):
            return draft, status
        if draft.built is not None:
            raise StoreUnusable(errno.ENOENT, "it was swept from staging after ten minutes", draft.built)
        return draft, self._creator.stage(draft, sync=False)

    def _acknowledge(self, named: list[SessionRow]) -> None:
        try:
            if self._root.durable:
                files.prove_renamed(self._root.path)
        finally:
            self._catalog.delivery.deliver(named)
        self.session_ids += [row.session_id for row in named]

    def _discard(self, waiting: list[tuple[Draft, os.stat_result]]) -> None:
        for draft, _ in waiting:
            self._creator.discard(self._creator.staged(draft))

    def __enter__(self) -> Self:
        self._depth += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._pid != os.getpid():
            return
        with self._mutex:
            self._depth -= 1
            self._ended = self._depth == 0
            if kind is None:
                self.flush()
            else:
                self._discard(self._taken())
