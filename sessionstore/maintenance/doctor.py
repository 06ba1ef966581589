"""The doctor: examines a store without writing a byte, and names the repair of each finding.

    report = examine("training_sessions")              every document and stream, with checksum and sequence
    report = examine("training_sessions", deep=False)  what changed since the index saw it, and open runs: 2 s at 10,000

Not here: the single checks (maintenance.checks), the repairs (maintenance.repairs).
"""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from sessionstore.errors import Unreadable
from sessionstore.index import choose_url, open_index
from sessionstore.layout import StoreRoot, resolve
from sessionstore.maintenance.checks import (
    column_cache,
    environment,
    foreign_files,
    index_rows,
    leftovers,
    session_folders,
)
from sessionstore.maintenance.examination import Examination
from sessionstore.maintenance.findings import Finding, Report, worst_first

#: Called with (done, total) while sessions are read.
Progress = Callable[[int, int], None]


def examine(
    folder: str | Path | None = None,
    index: str | None = None,
    deep: bool = True,
    progress: Progress | None = None,
    only: Collection[str] | None = None,
) -> Report:
    """Return all that is wrong with a store, the worst first; nothing is written.

    Args:
        folder, index: as :func:`sessionstore.open`.
        deep: read every document and stream; else only what the index has not seen yet, and open runs.
        only: the folders of these session ids, and nothing else of the store.

    Raises: StoreUnusable: the folder itself cannot be listed.
    """
    begin = time.perf_counter()
    examination = open_examination(folder, index, deep)
    shown = progress or (lambda done, total: None)
    found = list(_checks(examination, shown) if only is None else _folders(examination, only, shown))
    if examination.index is not None:
        examination.index.close()
    examination.report.findings = worst_first(found)
    examination.report.seconds = time.perf_counter() - begin
    return examination.report


def option_text(folder: str | Path | None, index: str | None) -> str:
    """Return the options with which a pasted command finds this store; none for the default store."""
    shown = None if index is None else re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", index)  # a password is never printed
    named = (("--dir", folder), ("--index", shown))
    return "".join(f" {option} {shlex.quote(str(value))}" for option, value in named if value is not None)


def open_examination(folder: str | Path | None, index: str | None, deep: bool) -> Examination:
    """Open a store for examination; one whose format cannot be read has no index."""
    root = StoreRoot(resolve(folder))
    examination = Examination(root, None, deep, Report(str(root.path), deep, options=option_text(folder, index)))
    try:
        settings = root.settings() or {}
    except Unreadable:
        return examination  # reported by environment.check_format
    url = choose_url(index, os.environ, settings)
    examination.index = open_index(url, root.path, root.quarantine, read_only=True)
    return examination


def _checks(examination: Examination, progress: Progress) -> Iterator[Finding]:
    yield from environment.check_format(examination)
    yield from environment.check_file_system(examination)
    yield from environment.check_permission(examination)
    yield from environment.check_space(examination)
    if any(True for each in environment.check_format(examination) if each.code == "format-newer"):
        return  # nothing below can be understood
    examination.look()
    if not examination.deep:
        examination.wake_the_disk()
    yield from _folders(examination, examination.on_disk, progress)
    yield from foreign_files.check_root(examination)
    yield from index_rows.check_index(examination)
    yield from index_rows.check_uuids(examination)
    yield from environment.check_clock(examination)
    yield from leftovers.check_leftovers(examination)
    yield from column_cache.check_columns(examination)


def _folders(examination: Examination, session_ids: Collection[str], progress: Progress) -> Iterator[Finding]:
    for number, session_id in enumerate(sorted(session_ids), 1):
        yield from session_folders.check_folder(examination, session_id)
        progress(number, len(session_ids))
    examination.report.sessions = len(session_ids)
