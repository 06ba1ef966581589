"""Bytes that repairs and torn ends took away, kept until they are removed.

Each piece is a file in ``.sessionstore/quarantine``, named folder~file~offset~random: the place of its bytes.
Not here: putting bytes in (layout), sessions that people deleted (store.trash).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sessionstore.disk import files
from sessionstore.layout import StoreRoot


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that were taken away: from which file, at which offset, when, how many."""

    path: Path
    source: str
    offset: int | None
    taken_at: datetime
    size: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for ``--json``."""
        facts = {"file": str(self.path), "source": self.source, "offset": self.offset}
        return {**facts, "taken_at": self.taken_at.isoformat(), "bytes": self.size}


def pieces(root: StoreRoot) -> Iterator[Piece]:
    """Yield what is kept, the oldest first; links and folders are skipped. Raises: StoreUnusable."""
    found = []
    for entry in files.entries(root.quarantine_folder):
        status = files.status(entry.path)
        if status is None or not stat.S_ISREG(status.st_mode):
            continue
        source, offset = _origin(entry.name, root)
        when = datetime.fromtimestamp(max(0.0, status.st_mtime), UTC)
        found.append(Piece(Path(entry.path), source, offset, when, status.st_size))
    yield from sorted(found, key=lambda piece: (piece.taken_at, piece.path))


def older_than(root: StoreRoot, age_s: float, now: datetime) -> list[Piece]:
    """Return the pieces of at least this age in seconds; for 0 all. Raises: StoreUnusable."""
    return [piece for piece in pieces(root) if age_s <= 0 or (now - piece.taken_at).total_seconds() >= age_s]


def empty(root: StoreRoot, age_s: float, now: datetime) -> list[Piece]:
    """Remove the pieces of at least this age for good; return them.

    Raises: StoreUnusable: what is left is still kept.
    """
    due = older_than(root, age_s, now)
    for piece in due:
        files.remove(piece.path)
    if due:
        files.sync_dir(root.quarantine_folder)
    return due


def _origin(label: str, root: StoreRoot) -> tuple[str, int | None]:
    parts = label.split("~")
    if len(parts) != 4 or not parts[2].isdecimal():
        return label, None  # a name that holds our separator, or a foreign file
    folder = "" if parts[0] == root.path.name else f"{parts[0]}{os.sep}"
    return f"{folder}{parts[1]}", int(parts[2])
