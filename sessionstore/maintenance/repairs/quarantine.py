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
from sessionstore.errors import Conflict, SessionNotFound
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


def restore(root: StoreRoot, name: str, to: Path | None = None) -> Path:
    """Copy a piece to a new file: ``to``, or beside its source with ``.restored`` behind the name; return it.

    Nothing is replaced, and the piece stays in quarantine.

    Raises: SessionNotFound: no such piece, or more than one; Conflict: the file exists; StoreUnusable.
    """
    found = [piece for piece in pieces(root) if piece.path.name == name] or [
        piece for piece in pieces(root) if piece.path.name.startswith(name) or name in piece.path.name
    ]
    if len(found) != 1:
        raise SessionNotFound(f"{len(found)} pieces match {name!r}; name one as `sessionstore quarantine list` does")
    (piece,) = found
    target = to or root.path / f"{piece.source}.restored"
    if not files.is_folder(target.parent):
        target = root.path / f"{target.name}"
    try:
        files.create(target, files.read(piece.path)[0])
    except FileExistsError as error:
        raise Conflict(f"{target} exists; name another with --to") from error
    files.sync_dir(target.parent)
    return target


def _origin(label: str, root: StoreRoot) -> tuple[str, int | None]:
    parts = label.split("~")
    if len(parts) != 4 or not parts[2].isdecimal():
        return label, None  # a name that holds our separator, or a foreign file
    folder = "" if parts[0] == root.path.name else f"{parts[0]}{os.sep}"
    return f"{folder}{parts[1]}", int(parts[2])
