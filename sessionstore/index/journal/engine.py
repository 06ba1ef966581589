"""The journal index: ``index.jsonl``, one line a change, one line a session once compacted.

A damaged file is rebuilt from the folders by the store; the damaged bytes are kept in quarantine. A write waits 0.2 s
for a stopped holder of the lock and at most 3 s for busy ones, then it raises IndexUnavailable, as do all writes for
the next 2 s: the row comes later, the session is not delayed. Readers wait for no lock.
Not here: rows and compaction (index.journal.row_journal), the file and its lines (index.journal.file), TinyDB's view of
it (index.journal.tinydb_storage).
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from sessionstore.disk import files, filesystem
from sessionstore.disk.append_file import renewed_after_fork
from sessionstore.errors import IndexUnavailable, LockTimeout, NotApplied, OutcomeUnknown, SessionGone
from sessionstore.index import RowStamp
from sessionstore.index.circuit_breaker import CircuitBreaker
from sessionstore.index.filtering import select
from sessionstore.index.journal.block import doc_id_of, row_line
from sessionstore.index.journal.pages import Pages, PageView
from sessionstore.index.journal.raw_tables import SESSIONS, Change
from sessionstore.index.journal.row_journal import RowJournal, by_creation
from sessionstore.index.lined import Line
from sessionstore.model.gc_pause import gc_paused
from sessionstore.model.row import SessionRow, as_interrupted
from sessionstore.query import Filter
from sessionstore.session.stream_writer import Quarantine

#: How long a listing waits for the lock in order to compact: compaction can wait for a later listing.
COMPACT_LOCK_WAIT_S = 0.2
#: How long a write waits for a holder of the lock that writes nothing (it is stopped): the row can come later.
LOCK_WAIT_S = 0.2
#: How long a write waits at most for other writers that make progress, and a rewrite for the lock.
BUSY_WAIT_S = 3.0
#: After such a wait, calls fail at once for this time.
RETRY_S = 2.0
_encode = msgspec.json.Encoder().encode
_versions = itertools.count(1)  # no two snapshots that differ have the same


class Claim(Protocol):
    """Whether this store may use a journal that others could name too."""

    def check(self) -> None:
        """Refuse a journal of another store. Raises: IndexUnavailable."""
        ...

    def take(self) -> None:
        """Make the journal ours, before the first write. Raises: IndexUnavailable."""
        ...


class Unclaimed:
    """The claim to a journal in its store: no other store uses it."""

    def check(self) -> None:
        """Allow it."""

    def take(self) -> None:
        """Allow it."""


@dataclass(frozen=True, slots=True)
class JournalSnapshot:
    """All rows of a journal in one state; see :class:`~sessionstore.index.View`."""

    version: object
    rows: dict[str, SessionRow]
    ordered: list[SessionRow]  # oldest first
    open_runs: list[SessionRow]  # the rows that say they run; they alone name an owner

    def stamps(self) -> Mapping[str, RowStamp]:
        """Return the rows themselves, by session id: they hold the state of their files."""
        return self.rows

    def active(self) -> list[SessionRow]:
        """Return the rows that say they run."""
        return list(self.open_runs)

    def find(self, tree: Filter | None = None, interrupted: Mapping[str, str] | None = None) -> list[SessionRow]:
        """Return the rows that fit, oldest first."""
        rows = self.ordered
        if interrupted:
            rows = [
                as_interrupted(row, interrupted[row.session_id]) if row.session_id in interrupted else row
                for row in rows
            ]
        return select(rows, tree)

    def is_one_state(self) -> bool:
        """Return True: nothing is asked again."""
        return True

    def changed_since(self, earlier: JournalSnapshot) -> set[str]:
        """Return the sessions whose rows are other ones."""
        if self.rows is earlier.rows:
            return set()
        before = earlier.rows.get
        return {name for name, row in self.rows.items() if before(name) is not row}


class JournalIndex:
    """The default engine; see the module and :class:`~sessionstore.index.SessionIndex`.

    Args:
        read_only: a listing never compacts.
        claim: of a journal outside its store.
        columns: the folder in which columns for pages are kept; without it, all rows are read.
    """

    def __init__(
        self,
        path: Path,
        quarantine: Quarantine | None = None,
        read_only: bool = False,
        claim: Claim | None = None,
        columns: Path | None = None,
    ) -> None:
        self._rows = RowJournal(path, quarantine)
        self._journal, self._content = self._rows.file, self._rows.content
        self._claim = claim or Unclaimed()
        self._last = JournalSnapshot(0, {}, [], [])
        self._compact_at = math.inf if read_only else 0.0  # lines; more of them after a failure
        self._breaker = CircuitBreaker(RETRY_S)
        self._mutex = threading.RLock()
        # Of Windows: an open file cannot be replaced there.
        self._pages = None if columns is None or os.name == "nt" else Pages(path, columns, self._all)
        renewed_after_fork(self)

    def __repr__(self) -> str:
        return f"JournalIndex({str(self._journal.path)!r})"

    @property
    def url(self) -> str:
        """``journal:`` and the path."""
        return f"journal:{self._journal.path}"

    def put(self, rows: Iterable[SessionRow], exact: bool = False) -> None:
        """Append one line a row; the last one counts. A file that holds nothing gets what the folders hold as a block:
        an index that was deleted comes back the same."""
        self._claim.take()
        if not exact or not self._begun_with(rows := list(rows)):
            self._append((SESSIONS, doc_id_of(row.session_id), _encode(row)) for row in rows)

    def _begun_with(self, rows: list[SessionRow]) -> bool:
        if not rows:
            return True
        if (found := files.status(self._journal.path)) is not None and found.st_size:
            return False  # as nearly always, and no listing waits for it
        with self._rewriting(LOCK_WAIT_S):
            if self._journal.holds_something():
                return False
            self._journal.refresh()
            self._rows.rewrite_rows(rows)
            return True

    @contextlib.contextmanager
    def _rewriting(self, timeout_s: float) -> Iterator[None]:
        """Hold the lock of the file, and keep listings of other threads from reading a part of it."""
        with self._translated(), self._breaker.guard():
            self._mutex.acquire()
            try:
                with self._unavailable_when_locked(), self._journal.exclusive(timeout_s):
                    yield
            finally:
                self._mutex.release()

    def remove(self, session_ids: Iterable[str]) -> None:
        """Append one line an id, durably: a row that came back would outlive the folder and the trash."""
        self._claim.check()
        self._append((_removal(session_id) for session_id in session_ids), durable=True)

    def _append(self, changes: Iterable[Change], durable: bool = False) -> None:
        given = list(changes)
        with self._breaker.guard():
            try:
                try:
                    self._journal.append(given, durable, LOCK_WAIT_S / 2)
                except LockTimeout:
                    self._append_when_free(given, durable)
            except LockTimeout as error:
                raise IndexUnavailable(str(error)) from error
            except SessionGone as error:
                raise self._gone() from error
        if self._journal.size > self._rows.check_from_bytes:
            self._rows.keep_within_bound(LOCK_WAIT_S)

    def _append_when_free(self, changes: list[Change], durable: bool) -> None:
        """Wait on as long as other writers make progress; a stopped one makes none. Raises: LockTimeout."""
        deadline = time.monotonic() + BUSY_WAIT_S - LOCK_WAIT_S
        while True:
            seen = self.version()
            try:
                self._journal.append(changes, durable, LOCK_WAIT_S / 2)
                return
            except LockTimeout:
                if self.version() == seen or time.monotonic() > deadline:
                    raise

    @staticmethod
    @contextlib.contextmanager
    def _unavailable_when_locked() -> Iterator[None]:
        try:
            yield
        except LockTimeout as error:
            raise IndexUnavailable(str(error)) from error

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except SessionGone as error:
            raise self._gone() from error

    def _gone(self) -> IndexUnavailable:
        return IndexUnavailable(f"{self._journal.path}: the folder is gone")

    def replace_all(self, rows: Iterable[SessionRow]) -> None:
        """Write the file anew, ordered by creation: the same rows give the same bytes."""
        with self._anew():
            self._rows.rewrite_rows(rows)

    @contextlib.contextmanager
    def _anew(self) -> Iterator[None]:
        """Hold the lock of the file while all of it is replaced; a damaged one is kept aside."""
        self._claim.take()
        with self._rewriting(BUSY_WAIT_S), self._rows.replacing():
            yield

    def line_of(self, row: SessionRow) -> bytes:
        """Return the line of a row; see :class:`sessionstore.index.Lined`."""
        return row_line(row)

    def replace_lines(self, lines: list[Line], since: object) -> bool:
        """Write the file anew, as :meth:`replace_all`; return whether it was still of the version ``since``."""
        with self._anew():
            now = self.version()
            self._rows.rewrite_lines(lines)
            return now == since

    def stamps(self) -> Mapping[str, RowStamp]:
        """Return the rows themselves, by session id: they hold the state of their files. A snapshot."""
        return self.snapshot().stamps()

    def active(self) -> list[SessionRow]:
        """Return the rows that say they run (they alone name an owner)."""
        return self.snapshot().active()

    def find(self, tree: Filter | None = None, interrupted: Mapping[str, str] | None = None) -> list[SessionRow]:
        """Return the rows that fit, oldest first; a snapshot."""
        return self.snapshot().find(tree, interrupted)

    def health(self) -> dict[str, Any]:
        """Return engine, url, rows, lines and how many of them are superseded."""
        rows = len(self._snapshot().rows)
        return {
            "engine": "journal",
            "url": self.url,
            "rows": rows,
            "lines": self._journal.lines,
            "superseded": self._rows.garbage(),
        }

    def renew_after_fork(self) -> None:
        """Forget a lock that another thread of the parent held."""
        self._mutex = threading.RLock()

    def version(self) -> object:
        """Return which file this is, how long and how old: a file that was written anew can get an old number."""
        try:
            status = os.stat(self._journal.path, follow_symlinks=False)
        except OSError:
            return None
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

    def compact(self) -> None:
        """Drop what is superseded, ordered by creation as after a rebuild. Raises: as :meth:`put`."""
        with self._rewriting(BUSY_WAIT_S):
            self._rows.compact()

    def close(self) -> None:
        """Close the file."""
        if self._pages is not None:
            with self._mutex:
                self._pages.forget()
        self._journal.close()

    def snapshot(self) -> JournalSnapshot:
        """Return all rows as they are now, reading on first: one look at the file. Raises: as :meth:`find`."""
        self._claim.check()
        return self._snapshot()

    def _snapshot(self) -> JournalSnapshot:
        with self._mutex, gc_paused():
            self._journal.refresh()
            if self._last.rows is not self._content.rows:
                self._compact_when_due()
                rows = self._content.rows
                ordered = list(rows.values()) if self._rows.is_block() else by_creation(rows.values())
                active = [row for row in ordered if row.owner is not None]
                self._last = JournalSnapshot(next(_versions), rows, ordered, active)
            return self._last

    def page_view(self) -> PageView | None:
        """Return the rows as they are now, for pages; None while all of them are read as fast. Raises: as :meth:`find`.

        They are read from columns (index.journal.columns), which are made when they are missing.
        """
        self._claim.check()
        if self._pages is None:
            return None
        with self._mutex:
            return self._pages.view()

    def _all(self) -> list[SessionRow]:
        return self._snapshot().ordered

    def _compact_when_due(self) -> None:
        """Write the file anew where that is worth it and can be done at once: no answer depends on it."""
        if self._journal.lines < self._compact_at or not self._rows.is_worth_compacting() or not self._may_write():
            return
        try:
            filesystem.refuse_unsafe(self._journal.path)  # what others write meanwhile would be lost
            with self._journal.exclusive(COMPACT_LOCK_WAIT_S):
                self._journal.refresh()
                if self._rows.is_worth_compacting():  # no other process has done it meanwhile
                    self._rows.compact()
            self._compact_at = 0
        except (NotApplied, OutcomeUnknown, FileNotFoundError):  # a full disk, a stopped writer, a store just removed
            self._compact_at = 2 * self._journal.lines

    def _may_write(self) -> bool:
        """Whether the file is whole and our own: else, once root has listed, its owner could write to it no more."""
        found = files.status(self._journal.path)
        return found is not None and found.st_size == self._journal.read_to and self._rows.may_be_replaced(found)


def _removal(session_id: str) -> Change:
    """Return the change that takes a row out; the id stands beside, since the number is a hash of it."""
    return SESSIONS, doc_id_of(session_id), b'null,"session_id":%s' % _encode(session_id)
