"""The doctor: examines a store without writing a byte, and mends what can be mended when asked to.

    report = examine("training_sessions")              every document and stream, with checksum and sequence
    report = examine("training_sessions", deep=False)  what changed since the index saw it, and open runs: 2 s at 10,000

Not here: the single checks (ground, folders, listing, leftovers), the repairs (repairs).
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
from sessionstore.index.journal.engine import JournalIndex
from sessionstore.layout import StoreRoot, resolve
from sessionstore.maintenance.checks import environment, index_rows, leftovers, session_folders
from sessionstore.maintenance.examination import Patient
from sessionstore.maintenance.findings import Finding, Report, worst_first

#: Told (done, of) while sessions are being read.
Progress = Callable[[int, int], None]


def examine(
    folder: str | Path | None = None,
    index: str | None = None,
    deep: bool = True,
    progress: Progress | None = None,
    only: Collection[str] | None = None,
) -> Report:
    """Return all that is wrong with a store, the worst first; nothing is written, whatever is found.

    Args:
        folder, index: as :func:`sessionstore.open`.
        deep: read every document and stream; else only what the index has not seen yet, and open runs.
        only: the folders of these session ids, and nothing else of the store.

    Raises: StoreUnusable: the folder itself cannot be listed.
    """
    begin = time.perf_counter()
    patient = admit(folder, index, deep)
    told = progress or (lambda done, total: None)
    found = list(_checks(patient, told) if only is None else _folders(patient, only, told))
    if patient.index is not None:
        patient.index.close()
    patient.report.findings = worst_first(found)
    patient.report.seconds = time.perf_counter() - begin
    return patient.report


def naming(folder: str | Path | None, index: str | None) -> str:
    """Return the options that name a store for a command to be pasted; nothing for what is found by itself."""
    shown = None if index is None else re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", index)  # a password is for nobody
    named = (("--dir", folder), ("--index", shown))
    return "".join(f" {option} {shlex.quote(str(value))}" for option, value in named if value is not None)


def admit(folder: str | Path | None, index: str | None, deep: bool) -> Patient:
    """Return the store as a patient; one whose format cannot be read has no index."""
    root = StoreRoot(resolve(folder))
    patient = Patient(root, None, deep, Report(str(root.path), deep, options=naming(folder, index)))
    try:
        settings = root.settings() or {}
    except Unreadable:
        return patient  # told by ground.check_format
    patient.index = open_index(choose_url(index, os.environ, settings), root.path, root.quarantine)
    if isinstance(patient.index, JournalIndex):  # a listing may write it anew
        patient.index.leave_as_it_is()
    return patient


def _checks(patient: Patient, progress: Progress) -> Iterator[Finding]:
    yield from environment.check_format(patient)
    yield from environment.check_file_system(patient)
    yield from environment.check_permission(patient)
    yield from environment.check_space(patient)
    if any(True for each in environment.check_format(patient) if each.code == "format-newer"):
        return  # nothing below can be understood
    patient.look()
    if not patient.deep:
        patient.wake_the_disk()
    yield from _folders(patient, patient.on_disk, progress)
    yield from index_rows.check_index(patient)
    yield from index_rows.check_uuids(patient)
    yield from environment.check_clock(patient)
    yield from leftovers.check_leftovers(patient)


def _folders(patient: Patient, session_ids: Collection[str], progress: Progress) -> Iterator[Finding]:
    for number, session_id in enumerate(sorted(session_ids), 1):
        yield from session_folders.check_folder(patient, session_id)
        progress(number, len(session_ids))
    patient.report.sessions = len(session_ids)
