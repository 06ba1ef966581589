"""Checks of one session folder: its document, its artifacts, and whether its run is still alive.

Not here: its streams (stream_files), comparing sessions with each other or with the index (index_rows), repairs
(maintenance.repairs).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from sessionstore.disk import files
from sessionstore.errors import Corrupt, NewerFormat, SessionGone, SessionStoreError, UnsafeFile
from sessionstore.layout import DOCUMENT
from sessionstore.maintenance.checks import foreign_files, stream_files
from sessionstore.maintenance.checks.environment import SKEW_S
from sessionstore.maintenance.checks.leftovers import temporary_files
from sessionstore.maintenance.examination import Examination
from sessionstore.maintenance.findings import Finding
from sessionstore.model import foreign_names, names
from sessionstore.model import liveness as owners
from sessionstore.model.record import SessionRecord
from sessionstore.model.row import SessionRow
from sessionstore.session import Session, stream_names

#: Files of the old system's folders, see the module legacy.
LEGACY_FILES = ("motion_history.json", "simulation_summary.json", "buildings.json", "ml_training_data.json")
#: A silent run whose process cannot be seen counts as dead after this.
DEAD_S = 3600.0
_LAST_EVENTS = 5
_OPEN = ("running", "paused")

Entries = dict[str, os.DirEntry[str]]


def check_folder(examination: Examination, session_id: str) -> Iterator[Finding]:
    """Examine one folder; no damage in it stops the examination of others."""
    folder = examination.root.folder(session_id)
    try:
        with os.scandir(folder) as found:
            entries = {entry.name: entry for entry in found}
    except FileNotFoundError:
        return  # deleted a moment ago
    except OSError as error:
        yield Finding("unreadable-file", session_id, f"the folder cannot be read: {error.strerror}", session_id)
        return
    yield from temporary_files(examination, list(entries.values()))
    yield from foreign_files.check_session(examination, session_id, list(entries))
    entries = {name: entry for name, entry in entries.items() if not foreign_names.is_foreign(name)}
    if DOCUMENT not in entries:
        yield from _without_document(examination, session_id, entries)
    else:
        yield from _with_document(examination, session_id, entries)


def _without_document(examination: Examination, session_id: str, entries: Entries) -> Iterator[Finding]:
    if stream_names.files_of(entries):
        what = "there are streams and no session.json"
        yield Finding("document-missing", f"{session_id}/{DOCUMENT}", what, session_id)
    elif any(name in LEGACY_FILES for name in entries):
        yield Finding("folder-legacy", session_id, "a folder of the old system", session_id)
    elif entries or names.stamp_of(session_id) is None:  # only a folder with a name of ours may ever be moved
        yield Finding(
            "folder-foreign", session_id, f"neither a record nor a stream in {len(entries)} files", session_id
        )
    else:
        yield Finding("folder-empty", session_id, "an empty folder", session_id)


def _with_document(examination: Examination, session_id: str, entries: Entries) -> Iterator[Finding]:
    session = examination.session(session_id)
    row = None if examination.deep else examination.known_row(session_id)
    try:
        record: SessionRecord | SessionRow = row or (session.record if examination.deep else session.row())
    except SessionGone:
        return
    except SessionStoreError as error:
        yield _unreadable(examination, session_id, error)
        yield from stream_files.check_streams(examination, session, entries, live=False)
        return
    examination.take_in(session_id, record.uuid, record.updated_at)
    yield from _from_the_future(examination, session_id, entries[DOCUMENT])
    dead = _liveness(examination, session, record) if record.status in _OPEN else None
    live = record.status in _OPEN and dead is None
    if dead is not None:
        yield dead
    if examination.deep or record.status in _OPEN:
        yield from stream_files.check_streams(examination, session, entries, live)
    if examination.deep and isinstance(record, SessionRecord):
        yield from stream_files.short_streams(session, record)
        yield from stream_files.foreign_streams(session, record)
        yield from _artifacts(examination, session, record)


def _unreadable(examination: Examination, session_id: str, error: SessionStoreError) -> Finding:
    where = f"{session_id}/{DOCUMENT}"
    if isinstance(error, NewerFormat):
        return Finding("document-newer", where, error.reason, session_id)
    if isinstance(error, UnsafeFile):
        return Finding("unsafe-file", where, error.reason, session_id)
    if isinstance(error, Corrupt):
        place = f"line {error.line}, column {error.column}: " if error.line is not None else ""
        empty = error.reason.startswith("the file ")  # empty, or nothing but blanks and zeros: no hand wrote that
        code = "document-missing" if empty else "document-unreadable"
        return Finding(code, where, place + error.reason, session_id, {"line": error.line, "column": error.column})
    return Finding("unreadable-file", where, str(error), session_id)


def _from_the_future(examination: Examination, session_id: str, entry: os.DirEntry[str]) -> Iterator[Finding]:
    ahead_s = entry.stat(follow_symlinks=False).st_mtime - examination.now
    if ahead_s > SKEW_S:
        what = f"its modification time is {ahead_s:,.0f} s in the future"
        yield Finding("time-ahead", f"{session_id}/{DOCUMENT}", what, session_id)


# ---------------------------------------------------------------- alive, or not


def _liveness(examination: Examination, session: Session, record: SessionRecord | SessionRow) -> Finding | None:
    """Return what is wrong with a run that says it goes on, or None while it does."""
    who = record.owner if isinstance(record, SessionRecord) else msgspec.to_builtins(record.owner)
    beat = session.last_beat()
    reason = owners.why_interrupted(who, beat, examination.now)
    if reason is None:
        silence = owners.why_silent(who, beat, examination.now)
        facts = {"pid": (who or {}).get("pid"), "last_beat": beat}
        return (silence and Finding("suspended", session.session_id, silence, session.session_id, facts)) or None
    sure = not reason.startswith("no heartbeat") or beat is None or examination.now - beat > DEAD_S
    events = last_events(session)
    what = reason + (f"; its last event: {_sentence(events[-1])}" if events else "; it has no events")
    facts = {"reason": reason, "last_beat": beat, "last_events": events}
    return Finding("interrupted" if sure else "silent", session.session_id, what, session.session_id, facts)


def last_events(session: Session) -> list[dict[str, Any]]:
    """Return the last events, or else log lines, of a session as plain data with ``t_s``."""
    for name in (stream_names.EVENTS, stream_names.LOG):
        tape = session.tape(name)
        try:
            lines = [
                {"t_s": line.t_s, **line.data} for line in tape.read(tape.last_lines(_LAST_EVENTS), damaged="skip")
            ]
        except (SessionStoreError, OSError):
            continue  # the stream has its own finding
        if lines:
            return lines
    return []


def _sentence(event: dict[str, Any]) -> str:
    words = [str(event[key]) for key in ("kind", "message") if event.get(key)]
    return f"{event['t_s']:.1f} s {' '.join(words)}".strip()


# ---------------------------------------------------------------- artifacts


def _artifacts(examination: Examination, session: Session, record: SessionRecord) -> Iterator[Finding]:
    for artifact in record.artifacts:
        name = artifact.get("name")
        if not isinstance(name, str):
            continue
        path = session.folder / "artifacts" / name
        where = examination.place(path)
        if not path.resolve().is_relative_to(session.folder.resolve()):
            yield Finding("unsafe-file", where, "the record names a file outside the folder", session.session_id)
            continue
        try:
            size, digest = _fingerprint(path)
        except FileNotFoundError:
            yield Finding("artifact-missing", where, "it is not there", session.session_id)
            continue
        except (UnsafeFile, OSError) as error:
            yield Finding("unreadable-file", where, str(error), session.session_id)
            continue
        if artifact.get("size", size) != size or artifact.get("sha256", digest) != digest:
            yield Finding("artifact-changed", where, f"size {size}, SHA-256 {digest[:12]}...", session.session_id)


def _fingerprint(path: Path) -> tuple[int, str]:
    descriptor = files.open_to_read(path)
    with os.fdopen(descriptor, "rb") as stream:
        digest = hashlib.sha256()
        size = 0
        while part := stream.read(1 << 20):
            digest.update(part)
            size += len(part)
    return size, digest.hexdigest()
