"""One file or folder into a store: the format is found by content, and the same content is imported once.

A place that holds many sessions (an MLflow store, a signac project) is read run by run: what is not here yet becomes a
session, and to a session that is here is added what the run has more than before.

Not here: several files and the command line (cli), what a format reads (the formats).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from sessionstore.errors import InvalidRecord, SessionStoreError
from sessionstore.formats import registry
from sessionstore.formats.adding import add_what_is_new, is_same
from sessionstore.formats.draft import SessionDraft, known_session, known_sessions
from sessionstore.formats.folders import fingerprint_of
from sessionstore.formats.protocol import Collection, Format, ImportReport, Options, Part, Readable, State
from sessionstore.formats.run_batch import RunBatch
from sessionstore.store import SessionStore

#: Names the uuids that are made of content (RFC 9562, version 5).
NAMESPACE = UUID("6f1d4c4e-3c0e-5b7a-9d55-0a6c7f0c1e2d")


def import_path(
    store: SessionStore,
    path: Path,
    as_format: str | None = None,
    options: Options | None = None,
    session_name: str | None = None,
    dry_run: bool = False,
) -> ImportReport:
    """Import one file or folder as one session, once: its uuid is made of its content.

    Args:
        as_format: by default the one with the highest confidence.
        options: for the format.
        session_name: by default the name that the file gives, else the name of the file.
        dry_run: read everything, write nothing.

    Returns: a report, also of what cannot be imported (``state`` skipped or failed, with the reason).

    Raises: InvalidQuery: no such format, or it lacks a module. StoreUnusable: the store cannot be written.
    """
    if not os.path.lexists(path):
        raise InvalidRecord(f"{path} does not exist")
    found = registry.detect(path) if as_format is None else registry.find(as_format)
    report = ImportReport(str(path), found.name)
    if isinstance(found, Collection):
        return _guarded(report, path, lambda: _import_parts(store, path, found, options or {}, session_name, dry_run))
    if not isinstance(found, Readable):
        report.state, report.reason = "skipped", f"the format {found.name} cannot be read, only written"
        return report
    return _guarded(report, path, lambda: _import_one(store, path, found, options or {}, session_name, dry_run))


def _guarded(report: ImportReport, path: Path, work: Callable[[], ImportReport]) -> ImportReport:
    """Return the report of an import; what cannot be imported is in it, with the reason."""
    try:
        return work()
    except InvalidRecord as error:
        report.state, report.reason = "skipped", str(error)
    except (SessionStoreError, OSError) as error:
        report.state, report.reason = "failed", f"{type(error).__name__}: {error}"
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, EOFError, MemoryError) as error:
        # What damaged content led a library to.
        report.state, report.reason = "failed", f"Corrupt: {path.name} is damaged ({type(error).__name__}: {error})"
    return report


def _import_one(
    store: SessionStore, path: Path, found: Readable, options: Options, session_name: str | None, dry_run: bool
) -> ImportReport:
    fingerprint = fingerprint_of(path)
    uuid = str(uuid5(NAMESPACE, fingerprint))
    if (known := known_session(store, uuid)) is not None:
        return ImportReport(str(path), found.name, "already there", known)
    with SessionDraft(store, uuid, dry_run) as draft:
        draft.source = _source(path, found, fingerprint)
        report = found.read(path, draft, options)
        return _made(draft, report, session_name, path.stem)


def _source(path: Path, found: Format, fingerprint: str) -> dict[str, Any]:
    return {"name": path.name, "format": found.name, "fingerprint": fingerprint}


def _made(draft: SessionDraft, report: ImportReport, session_name: str | None, usual_name: str) -> ImportReport:
    """Make the session of a draft, unless it is only tried."""
    _completed(draft, report, session_name, usual_name)
    if not draft.dry_run:
        report.session_id = draft.commit()
    return report


def _completed(draft: SessionDraft, report: ImportReport, session_name: str | None, usual_name: str) -> None:
    """Give a draft its name and its source; check it where it is only tried. Raises: InvalidRecord."""
    if session_name is not None:
        draft.set(session_name=session_name)
    elif not draft.has("session_name"):
        draft.set(session_name=usual_name)
    draft.source.update(imported_at=datetime.now(UTC).isoformat(), problems=list(report.problems))
    if draft.dry_run:
        draft.record()
    report.state = "would import" if draft.dry_run else "imported"


# ---------------------------------------------------------------- many sessions in one place


def _import_parts(
    store: SessionStore, path: Path, found: Collection, options: Options, session_name: str | None, dry_run: bool
) -> ImportReport:
    """Import each session of a place that is not here yet, and add to the others what is new."""
    whole, known = ImportReport(str(path), found.name), known_sessions(store)
    read: list[tuple[Part, ImportReport]] = []
    with RunBatch(store) as batch:
        for part in found.parts(path, options, whole):
            here = known.get(part_uuid(found.name, part.key))
            report = ImportReport(str(path), found.name)
            work = partial(_import_part, batch, store, path, found, part, options, session_name, dry_run, here)
            read.append((part, _guarded(report, path, work)))
    for part, report in read:
        whole.take(part, report)
    if not whole.sessions:
        raise InvalidRecord(f"{path.name} holds no runs" + (f" ({'; '.join(whole.notes)})" if whole.notes else ""))
    states = {report.state for report in whole.sessions}
    order: tuple[State, ...] = ("imported", "would import", "updated", "would update", "already there", "failed")
    whole.state = next((state for state in order if state in states), "skipped")
    return whole


def part_uuid(format_name: str, key: str) -> str:
    """Return the uuid of one session of a place that holds many."""
    return str(uuid5(NAMESPACE, f"{format_name}:{key}"))


def _import_part(
    batch: RunBatch,
    store: SessionStore,
    path: Path,
    found: Collection,
    part: Part,
    options: Options,
    session_name: str | None,
    dry_run: bool,
    known: str | None,
) -> ImportReport:
    report = ImportReport(str(path), found.name, session_id=known)
    if known is not None and is_same(store.get(known), part.fingerprint):
        report.state = "already there"
        return report
    with SessionDraft(store, part_uuid(found.name, part.key), dry_run, durable=known is not None) as draft:
        draft.source = {**_source(path, found, part.fingerprint), "key": part.key}
        report = found.read_part(path, part, draft, options)
        if known is None:
            _completed(draft, report, session_name, part.name)
            if not dry_run:
                batch.add(draft, report)
            return report
        report.session_id, report.state = known, "would update"
        if not dry_run:
            report.problems += add_what_is_new(draft, store.get(known))
            report.state = "updated"
        return report
