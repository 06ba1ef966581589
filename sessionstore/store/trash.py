"""Deleted sessions, until the trash is emptied; and leftovers of interrupted creations in staging.

Each deleted session is in a folder of its own, named by a time-ordered uuid: the same id can be deleted many times.
A crash leaves the session in its place or in the trash, never in both and never lost.
Not here: locks and the index row (store).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from sessionstore.disk import files
from sessionstore.errors import Conflict, SessionGone, SessionNotFound, SessionStoreError, StoreUnusable
from sessionstore.layout import StoreRoot
from sessionstore.model.instants import uuid_after
from sessionstore.model.row import FILTER_ALIASES, FILTER_FIELDS, SessionRow, to_row
from sessionstore.query import matcher, parse
from sessionstore.session import Session
from sessionstore.session.stream_line import Line
from sessionstore.session.stream_reader import Tape
from sessionstore.store import merge_log, merge_staging

HISTORY_FILE = "history.jsonl"
#: Creating takes milliseconds; an older folder in staging belongs to an interrupted creation.
_ABANDONED_S = 600.0
#: Folders with this prefix in staging are being removed.
_DEAD = "dead-"


@dataclass(frozen=True, slots=True)
class TrashEntry:
    """One deleted session: the entry's own id, the session's, and when it was deleted."""

    entry_id: str
    session_id: str
    deleted_at: datetime
    folder: Path

    def size(self) -> int:
        """Return the bytes of its files."""
        return sum(
            os.stat(os.path.join(folder, name), follow_symlinks=False).st_size
            for folder, _, names in os.walk(self.folder)
            for name in names
        )


def entries(root: StoreRoot) -> Iterator[TrashEntry]:
    """Yield what is in the trash; entries without a session (a crash before the move) are skipped."""
    for entry_id in sorted(entry.name for entry in files.entries(root.trash)):
        try:
            moment = deleted_at(entry_id)
        except (ValueError, OverflowError, OSError):  # not one of ours
            continue
        for inner in (each for each in files.entries(root.trash / entry_id) if each.is_dir(follow_symlinks=False)):
            yield TrashEntry(entry_id, inner.name, moment, Path(inner.path))


def ids(root: StoreRoot) -> set[str]:
    """Return the ids of all sessions that were moved away: deleted, or into the log of a merge."""
    return {entry.session_id for entry in entries(root)} | merge_log.retired_ids(root)


def matching(root: StoreRoot, where: str) -> list[TrashEntry]:
    """Return the entries whose record matches a filter, of each session the newest; a record that cannot be read
    matches nothing. Raises: InvalidQuery."""
    fits = matcher(parse(where, FILTER_FIELDS, FILTER_ALIASES), SessionRow.get)
    found: dict[str, TrashEntry] = {}
    for entry in entries(root):
        try:
            record = Session(StoreRoot(entry.folder.parent), entry.session_id).record
            row = to_row(record, os.stat(entry.folder))
        except (SessionStoreError, OSError):
            continue
        if fits(row):
            found[entry.session_id] = entry
    return list(found.values())


def throw_away(root: StoreRoot, session_id: str) -> TrashEntry:
    """Move a session into the trash, durably; the caller holds the store lock and the session's.

    Raises: SessionGone, StoreUnusable: nothing changed. OutcomeUnknown: moved, not proven durable.
    """
    # Behind all others: "deleted last" is true even after the clock was set back.
    entry_id = uuid_after(newest_change_id(root, Tape(root.private / HISTORY_FILE).last()))
    place = root.trash / entry_id
    files.make_dir(place, sync=True)
    try:
        files.rename_new(root.folder(session_id), place / session_id)
    except (FileNotFoundError, StoreUnusable) as error:
        files.remove_tree(place)
        if isinstance(error, FileNotFoundError):
            raise SessionGone(f"there is no folder {root.folder(session_id)}") from error
        raise
    files.prove_renamed(place, root.path)
    return TrashEntry(entry_id, session_id, deleted_at(entry_id), place / session_id)


def newest_change_id(root: StoreRoot, noted: Line | None) -> str:
    """Return the id of the newest deletion or noted change, at any setting of the clock; the next id follows it.

    Args:
        noted: the last line of the history.
    """
    ids = [entry.name for entry in files.entries(root.trash)]
    return max([*ids, *([str(noted.data.get("id"))] if noted is not None else [])], default="")


def deleted_at(entry_id: str) -> datetime:
    """Return the time in an id. Raises: ValueError, OverflowError, OSError: it is not one of ours."""
    return datetime.fromtimestamp((UUID(entry_id).int >> 80) / 1000, UTC)


def bring_back(root: StoreRoot, key: str) -> TrashEntry:
    """Move the newest entry that a key names back; the caller holds the store lock.

    Args:
        key: the id of the entry or of the session, else its name as typed, or its uuid.

    Raises: SessionNotFound; Conflict: a session of this id exists again; StoreUnusable: nothing changed.
    """
    there = list(entries(root))
    fitting = [entry for entry in there if key in (entry.session_id, entry.entry_id)]
    fitting = fitting or [entry for entry in there if key in _names_of(entry)]
    if not fitting:
        raise SessionNotFound(f"no session {key!r} is in the trash")
    entry = max(fitting, key=lambda each: each.entry_id)
    try:
        files.rename_new(entry.folder, root.folder(entry.session_id))
    except FileExistsError as error:
        raise Conflict(f"there is a session {entry.session_id} again; rename or delete it first") from error
    files.prove_renamed(root.path, entry.folder.parent)
    with contextlib.suppress(StoreUnusable):  # an empty folder in the trash is harmless
        if not files.entries(entry.folder.parent):  # keep files that were added by hand
            files.remove_tree(entry.folder.parent)
    return entry


def _names_of(entry: TrashEntry) -> tuple[str | None, ...]:
    """Return the name and the uuid in the record of a deleted session; nothing when it cannot be read."""
    try:
        record = Session(StoreRoot(entry.folder.parent), entry.session_id).record
    except SessionStoreError:
        return ()
    return record.session_name, record.uuid


def older_than(root: StoreRoot, age_s: float, now: float) -> list[TrashEntry]:
    """Return what was deleted at least ``age_s`` before ``now`` (epoch seconds); for age 0 everything, also entries
    with a time in the future."""
    return [entry for entry in entries(root) if age_s <= 0 or now - entry.deleted_at.timestamp() >= age_s]


def sweep_staging(root: StoreRoot) -> None:
    """Remove leftovers of interrupted creations and removals."""
    with contextlib.suppress(FileNotFoundError, StoreUnusable):
        for entry in files.entries(root.staging):
            if entry.name.startswith(_DEAD):
                files.remove_tree(entry.path)
            elif merge_staging.is_of_merge(entry.name):
                merge_staging.sweep(root)
            elif time.time() - last_touched(entry.path) > _ABANDONED_S:
                discard(root, Path(entry.path))


def last_touched(folder: str | Path) -> float:
    """Return when a folder, or the youngest file in it, changed: a long import writes one file for minutes."""
    inside = [entry.stat(follow_symlinks=False).st_mtime for entry in files.entries(folder)]
    return max([os.stat(folder, follow_symlinks=False).st_mtime, *inside])


def discard(root: StoreRoot, path: Path) -> None:
    """Remove a folder for good: first one rename takes it away whole, so that no reader sees half of it.

    A creator that was stopped for long finds its staging folder gone, and acknowledges nothing.

    Raises: StoreUnusable, OutcomeUnknown: it is where it was, or gone; the rest of it is swept later.
    """
    dead = root.staging / f"{_DEAD}{path.name}"
    try:
        files.rename_new(path, dead)
    except FileNotFoundError:
        return  # another process was faster
    except FileExistsError as error:
        raise StoreUnusable(error.errno, "leftovers of an earlier removal are in the way", str(dead)) from error
    files.prove_renamed(path.parent, root.staging)
    files.remove_tree(dead)
