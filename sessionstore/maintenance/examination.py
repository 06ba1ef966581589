"""One store under examination: nothing is written, and what several checks need is read once.

Not here: the checks (maintenance.checks), their order (doctor).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sessionstore.disk import files
from sessionstore.errors import NotApplied, SessionStoreError, Unreadable
from sessionstore.index import RowStamp, SessionIndex
from sessionstore.layout import DOCUMENT, StoreRoot
from sessionstore.maintenance.findings import Report
from sessionstore.model import names
from sessionstore.model.row import SessionRow
from sessionstore.session import Session

#: From this number of sessions on, threads ask for their status; and the number of threads.
_MANY, _AT_ONCE = 500, 8


@dataclass
class Examination:
    """One store, as it is at this moment.

    Args:
        index: None when format.json cannot be read: the engine is unknown.
        deep: read every document and stream; else only what changed since the index saw it, and open runs.
    """

    root: StoreRoot
    index: SessionIndex | None
    deep: bool
    report: Report
    now: float = field(default_factory=lambda: time.time())
    on_disk: set[str] = field(default_factory=set)
    stamps: Mapping[str, RowStamp] = field(default_factory=dict)
    rows: dict[str, SessionRow] = field(default_factory=dict)
    index_error: SessionStoreError | None = None
    uuids: dict[str, list[str]] = field(default_factory=dict)
    newest: str = ""  # the latest updated_at, an instant as text

    def look(self) -> None:
        """Read the index and the names of the folders; an index that fails is remembered, not raised."""
        self.on_disk = set(self.root.session_ids())
        if self.index is None:
            return
        try:
            self.stamps = self.index.stamps()
            # An engine that several stores share knows the sessions of other hosts too.
            self.rows = {row.session_id: row for row in self.index.find() if row.host is None}
        except (NotApplied, Unreadable) as error:
            self.index_error = error

    def wake_the_disk(self) -> None:
        """Ask for the status of every document, many at a time, so that a cold disk answers together what the checks
        ask one by one: 10,000 sessions after a restart take 0.6 s in place of 1.5 (measured, ext4)."""
        if len(self.on_disk) < _MANY:
            return
        from concurrent.futures import ThreadPoolExecutor

        names = sorted(self.on_disk)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(self._touch, [names[start::_AT_ONCE] for start in range(_AT_ONCE)]):
                pass

    def _touch(self, session_ids: list[str]) -> None:
        folder = f"{self.root.path}/"
        for session_id in session_ids:
            with contextlib.suppress(OSError):  # the check of the folder reports it
                os.lstat(f"{folder}{session_id}/{DOCUMENT}")

    def place(self, path: Path | str) -> str:
        """Return a path as people read it: relative to the store."""
        return os.path.relpath(path, self.root.path)

    def session(self, session_id: str) -> Session:
        """Return a handle whose updates do not reach the index (a listing finds them)."""
        return Session(self.root, session_id)

    def known_row(self, session_id: str) -> SessionRow | None:
        """Return the index's row when it mirrors the document as it is now."""
        row = self.rows.get(session_id)
        if row is None:
            return None
        try:
            status = os.stat(f"{self.root.path}/{session_id}/{DOCUMENT}", follow_symlinks=False)
        except OSError:
            return None
        return row if (row.size, row.mtime_ns) == (status.st_size, files.changed_ns(status)) and row.rev else None

    def is_session(self, name: str) -> bool:
        """Whether a listing takes a folder for a session: it has a record, or its name begins like an id."""
        return names.stamp_of(name) is not None or os.path.lexists(self.root.folder(name) / DOCUMENT)

    def take_in(self, session_id: str, uuid: str, updated_at: str) -> None:
        """Remember what is compared over all sessions."""
        self.uuids.setdefault(uuid, []).append(session_id)
        self.newest = max(self.newest, updated_at)
