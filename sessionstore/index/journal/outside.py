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
from pathlib import Path

from sessionstore.disk import files
from sessionstore.errors import IndexUnavailable, InvalidQuery


class OutsideClaim:
    """The claim of one store to a journal at a path that a URL names.

    Raises: InvalidQuery: it belongs to another store.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self._path, self._claim = path, Path(f"{path}.store")
        self._home = os.path.realpath(root)
        self._ours = False
        if (problem := self._other_owner()) is not None:
            raise InvalidQuery(problem)

    def check(self) -> None:
        """Refuse a journal that another store has. Raises: IndexUnavailable."""
        if not self._ours and (problem := self._other_owner()) is not None:
            raise IndexUnavailable(problem)

    def take(self) -> None:
        """Make the journal ours, the first time. Raises: IndexUnavailable."""
        self.check()
        if not self._ours:
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
