"""Runs of a place that were read: made sessions together, with one sync and one look at the listing for many of them.

A run that another import made meanwhile is not made again: imports of runs take turns for this step.
Not here: reading a run (the formats), one file as one session (draft.commit).
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from sessionstore.disk import files
from sessionstore.errors import SessionStoreError
from sessionstore.formats.draft import Built, SessionDraft, known_sessions
from sessionstore.formats.protocol import ImportReport
from sessionstore.store import SessionStore

_GROUP = 500
_LONGEST_S = 30.0  # what is in staging for ten minutes is swept by any creator
_LOCK = "imports of runs"


class RunBatch:
    """The block; leaving it makes what waits, an error discards it."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._waiting: list[tuple[Built, ImportReport]] = []
        self._since = 0.0

    def add(self, draft: SessionDraft, report: ImportReport) -> None:
        """Take in a run; its report gets the id, or why there is none, by the end of the block.

        Raises: InvalidRecord, StoreUnusable: this run is not made.
        """
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append((draft.seal(), report))
        if len(self._waiting) >= _GROUP or time.monotonic() - self._since > _LONGEST_S:
            self.flush()

    def flush(self) -> None:
        """Make what waits, durably; what cannot be made is a failed report. Raises: LockTimeout: none was made."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        batch = self._store.batch()
        reason = ""
        try:
            with self._store.root.locks.session(_LOCK):
                known = known_sessions(self._store)
                with batch:
                    for built, report in waiting:
                        report.session_id = known.get(built.record.uuid)
                        if report.session_id is None:
                            batch.adopt(built.folder, built.record, built.tables)
        except (SessionStoreError, OSError) as error:
            reason = f"{type(error).__name__}: {error}"
        finally:
            made = set(batch.session_ids)
            for built, report in waiting:
                if built.record.session_id in made:
                    report.session_id = report.session_id or built.record.session_id
                    continue
                if files.is_folder(built.folder):
                    files.remove_tree(built.folder)
                if report.session_id is None:
                    report.state, report.reason = "failed", reason

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()
        for built, _ in self._waiting:
            files.remove_tree(built.folder)
