"""Moving an index from one engine to another: verified by content, resumable, and back again byte for byte.

Rows that the target already holds are skipped, so that an interrupted move resumes where it stopped. At the end both
sides are read and their SHA-256 compared; changes of the source during the move are copied in a further round.
Not here: switching the store over (cli.engines), filling an engine from the folders (store.catalog).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from sessionstore.errors import Conflict
from sessionstore.index import Compactable, SessionIndex
from sessionstore.index.sql.rows import encoded
from sessionstore.model.row import SessionRow

#: Called with (rows in the target, all rows).
Progress = Callable[[int, int], None]
_CHUNK = 500
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Moved:
    """How a move ended: rows in all, how many had to be written or removed, and the SHA-256 of both sides."""

    rows: int
    written: int
    removed: int
    digest: str


def move(source: SessionIndex, target: SessionIndex, progress: Progress = lambda done, total: None) -> Moved:
    """Make the target hold exactly this store's rows of the source.

    Raises:
        Conflict: the source changed faster than it could be moved; calling again goes on.
        IndexUnavailable, StoreUnusable, Corrupt: of either side; calling again goes on.
    """
    written = removed = 0
    for _ in range(_ROUNDS):
        rows = own_rows(source)
        there = {row.session_id: encoded(row) for row in own_rows(target)}
        missing = [row for row in rows if there.get(row.session_id) != encoded(row)]
        extra = there.keys() - {row.session_id for row in rows}
        if not missing and not extra:
            _tidy(target)
            found, expected = digest(own_rows(target)), digest(rows)
            if found == expected:
                progress(len(rows), len(rows))
                return Moved(len(rows), written, removed, found)
        progress(len(rows) - len(missing), len(rows))
        for start in range(0, len(missing), _CHUNK):
            chunk = missing[start : start + _CHUNK]
            target.put(chunk, exact=True)
            progress(len(rows) - len(missing) + start + len(chunk), len(rows))
        target.remove(extra)
        written, removed = written + len(missing), removed + len(extra)
    raise Conflict(f"{source.url} changed while it was moved, {_ROUNDS} times")


def own_rows(index: SessionIndex) -> list[SessionRow]:
    """Return the rows of this store, oldest first; other hosts move their own."""
    return [row for row in index.find() if row.host is None]


def digest(rows: list[SessionRow]) -> str:
    """Return the SHA-256 of rows in the form in which every engine stores them, one a line."""
    total = hashlib.sha256()
    for row in rows:
        total.update(encoded(row) + b"\n")
    return total.hexdigest()


def _tidy(index: SessionIndex) -> None:
    """Compact the target, if it can be: a journal is then equal to a rebuilt one, byte for byte."""
    if isinstance(index, Compactable):
        index.compact()
