"""A journal outside the store: it belongs to one store, which a small file beside it names (``index.jsonl.store``).

A journal holds the rows of one store only. A second store with the same file would list the rows of the first as
missing sessions, so it is refused: when it is opened and, if two begin at the same time, at its first write (the
session is recorded all the same, its row is pending). If the recorded store folder no longer exists, the moved store
takes the journal over.
Not here: the journal itself (index.journal.engine), engines that several stores share (index.sql).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from sessionstore.disk import files
from sessionstore.errors import IndexUnavailable, InvalidQuery
from sessionstore.index import RowStamp
from sessionstore.index.journal.engine import JournalIndex
from sessionstore.model.records import SessionRow
from sessionstore.query import Filter
from sessionstore.session.stream_writer import Quarantine


class OutsideJournal(JournalIndex):
    """A journal at a path that a URL names; see the module and :class:`~sessionstore.index.SessionIndex`.

    Raises: InvalidQuery: it belongs to another store.
    """

    def __init__(self, path: Path, root: Path, quarantine: Quarantine | None = None, read_only: bool = False) -> None:
        super().__init__(path, quarantine, read_only)
        self._path, self._claim = path, Path(f"{path}.store")
        self._home = os.path.realpath(root)
        self._ours = False
        if (problem := self._other_owner()) is not None:
            raise InvalidQuery(problem)

    def put(self, rows: Iterable[SessionRow], exact: bool = False) -> None:
        """Insert or replace rows; the first time the journal becomes ours."""
        self._own(to_write=True)
        super().put(rows, exact)

    def remove(self, session_ids: Iterable[str]) -> None:
        """Remove rows, durably."""
        self._own()
        super().remove(session_ids)

    def replace_all(self, rows: Iterable[SessionRow]) -> None:
        """Hold exactly these rows."""
        self._own(to_write=True)
        super().replace_all(rows)

    def stamps(self) -> Mapping[str, RowStamp]:
        """Return which file state each row mirrors."""
        self._own()
        return super().stamps()

    def active(self) -> list[SessionRow]:
        """Return the rows that say they run."""
        self._own()
        return super().active()

    def find(self, tree: Filter | None = None, interrupted: Mapping[str, str] | None = None) -> list[SessionRow]:
        """Return the rows that a filter fits."""
        self._own()
        return super().find(tree, interrupted)

    def _own(self, to_write: bool = False) -> None:
        """Make sure that no other store has it. Raises: IndexUnavailable."""
        if self._ours:
            return
        if (problem := self._other_owner()) is not None:
            raise IndexUnavailable(problem)
        if to_write:
            self._take()
            self._ours = True

    def _take(self) -> None:
        named = os.fsencode(f"{self._home}\n")
        files.make_dirs(self._claim.parent)
        try:
            files.create(self._claim, named)
        except FileExistsError:
            if (problem := self._other_owner()) is not None:  # another one was faster
                raise IndexUnavailable(problem) from None
            files.put(self._claim, named)

    def _other_owner(self) -> str | None:
        """Return a sentence about the other store that has this journal, or None."""
        other = str(self._path.parent) if self._path.name == "index.jsonl" else ""  # some store's own, by its place
        with contextlib.suppress(FileNotFoundError):
            other = os.fsdecode(files.read(self._claim)[0]).strip()
        there = other and os.path.isdir(os.path.join(other, ".sessionstore"))
        if not there or os.path.realpath(other) == self._home:
            return None
        return (
            f"{self._path} is the index of the store {other}: a journal holds one store. Name another with --index or "
            "SESSIONSTORE_INDEX; sqlite: and postgresql: can be shared"
        )
