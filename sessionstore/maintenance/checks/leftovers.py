"""Checks of what crashes and deletions leave behind: staging, trash, temporary files, quarantine.

None of it was acknowledged, or it is kept on purpose.
Not here: the folders of sessions (session_folders).
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from sessionstore.maintenance.examination import Examination
from sessionstore.maintenance.findings import Finding
from sessionstore.model.wording import counted
from sessionstore.store import trash

#: A write takes milliseconds, a creation too: what is this old belongs to a process that died.
ABANDONED_S = 600.0
#: As disk.files names them; a file of this prefix that another program made is not ours.
TEMP_NAME = re.compile(r"\.tmp-[0-9a-f]+-[0-9a-f]{8}")


def check_leftovers(examination: Examination) -> Iterator[Finding]:
    """Look into the private folder and at the top of the store."""
    root = examination.root
    for folder in (root.path, root.private):
        yield from temporary_files(examination, _entries(folder))
    for entry in _entries(root.staging):
        with contextlib.suppress(FileNotFoundError):
            if examination.now - trash.last_touched(entry.path) <= ABANDONED_S:
                continue
            yield Finding("staging-left", examination.place(entry.path), "a session whose creation was interrupted")
    yield from _trash(examination)
    yield from _quarantine(examination)


def temporary_files(examination: Examination, entries: list[os.DirEntry[str]]) -> Iterator[Finding]:
    """Report temporary files of writers that died."""
    for entry in entries:
        if TEMP_NAME.fullmatch(entry.name) and _age_s(examination, entry) > ABANDONED_S:
            yield Finding("temp-left", examination.place(entry.path), "a temporary file of a writer that died")


def _trash(examination: Examination) -> Iterator[Finding]:
    kept = list(trash.entries(examination.root))
    if kept:
        total = sum(entry.size() for entry in kept) / 1e6
        oldest = min(entry.deleted_at for entry in kept)
        what = f"{counted(len(kept), 'deleted session')}, {total:,.1f} MB, the oldest of {oldest:%Y-%m-%d}"
        yield Finding("trash-size", examination.place(examination.root.trash), what)
    for entry in _entries(examination.root.trash):
        hollow = entry.is_dir(follow_symlinks=False) and not _entries(Path(entry.path))
        if hollow and _age_s(examination, entry) > ABANDONED_S:
            yield Finding("trash-hollow", examination.place(entry.path), "an entry without a session")


def _quarantine(examination: Examination) -> Iterator[Finding]:
    kept = _entries(examination.root.quarantine_folder)
    if kept:
        total = sum(entry.stat(follow_symlinks=False).st_size for entry in kept) / 1e6
        where = examination.place(examination.root.quarantine_folder)
        yield Finding("quarantine-size", where, f"{counted(len(kept), 'piece')}, {total:,.1f} MB")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []  # not there yet; permission is a check of its own


def _age_s(examination: Examination, entry: os.DirEntry[str]) -> float:
    try:
        return examination.now - entry.stat(follow_symlinks=False).st_mtime
    except FileNotFoundError:
        return 0.0
