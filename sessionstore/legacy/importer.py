"""Old folders into a store: each becomes a session, built in staging and named by one rename, or does not exist.

Importing again finds what is there (the uuid is made of the folder's content) and does nothing. A folder that cannot be
used is reported, and does not stop the others. The original files are kept in ``artifacts/legacy/``, byte for byte.
Not here: understanding a folder (layout).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any, Literal
from uuid import UUID, uuid5

from sessionstore import __version__
from sessionstore.disk import files
from sessionstore.errors import InvalidRecord, SessionStoreError
from sessionstore.layout import DOCUMENT
from sessionstore.legacy.instants import zone_of
from sessionstore.legacy.layout import OldSession, digest, old_folders, read_folder
from sessionstore.maintenance.repairs.recount import Figures, take_point
from sessionstore.model import json_text, names, records
from sessionstore.model.records import SessionRecord
from sessionstore.session.handle import CLOCK_STREAM
from sessionstore.session.motion import MOTION_STREAM
from sessionstore.session.stream_writer import StreamWriter
from sessionstore.store import SessionStore

#: Names the uuids that are made of content (RFC 9562, version 5), so that importing twice gives the same one.
NAMESPACE = UUID("6f1d4c4e-3c0e-5b7a-9d55-0a6c7f0c1e2d")
ORIGINALS = "legacy"

State = Literal["imported", "would import", "already there", "skipped", "failed"]


@dataclass(slots=True)
class Imported:
    """What became of one folder; counts are null where they are unknown."""

    folder: str
    state: State
    session_id: str | None = None
    reason: str | None = None
    points: int | None = None
    drones: int | None = None
    buildings: int | None = None
    problems: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for ``--json``."""
        return asdict(self)


def import_legacy(
    store: SessionStore,
    place: Path,
    zone: str | None = None,
    dry_run: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Imported]:
    """Yield what became of each old folder in ``place`` (or of ``place`` itself), one after the other.

    Args:
        zone: in which timestamps without a zone are read, such as Europe/Zurich; None refuses what depends on them.
        dry_run: read everything, write nothing.

    Raises: InvalidRecord: no such zone, or no such place. StoreUnusable: the store cannot be written.
    """
    stated = zone_of(zone)
    if not place.is_dir():
        raise InvalidRecord(f"there is no folder {place}")
    folders = list(old_folders(place))
    there = {row.uuid: row.session_id for row in store.find(verify=False)}
    if not dry_run:
        store.root.prepare()
    for number, folder in enumerate(folders, 1):
        yield _one(store, folder, stated, zone, dry_run, there)
        if progress is not None:
            progress(number, len(folders))


def _one(
    store: SessionStore, folder: Path, stated: tzinfo | None, zone: str | None, dry_run: bool, there: dict[str, str]
) -> Imported:
    """Return what became of one folder, whatever it holds."""
    try:
        old = read_folder(folder, stated)
    except InvalidRecord as error:
        return Imported(str(folder), "skipped", reason=str(error))
    except Exception as error:  # noqa: BLE001  # old programs wrote anything, and one folder must not stop the others
        return Imported(str(folder), "failed", reason=f"{type(error).__name__}: {error}")
    try:
        return _take_in(store, old, zone, dry_run, there)
    except (SessionStoreError, OSError) as error:
        return Imported(str(folder), "failed", reason=f"{type(error).__name__}: {error}", problems=old.problems)


def _take_in(store: SessionStore, old: OldSession, zone: str | None, dry_run: bool, there: dict[str, str]) -> Imported:
    uuid = str(uuid5(NAMESPACE, old.fingerprint))
    record = _record(old, uuid, zone)
    report = Imported(str(old.folder), "would import", problems=old.problems)
    report.points = len(old.motion.points) if old.motion else None
    report.drones = len(record.drones) if record.drones or old.motion else None
    report.buildings = None if old.buildings is None else len(old.buildings)
    if uuid in there:
        report.state, report.session_id = "already there", there[uuid]
    elif not dry_run:
        report.session_id = there[uuid] = _write(store, old, record)
        report.state = "imported"
    return report


def _known(store: SessionStore, uuid: str) -> str | None:
    return next((row.session_id for row in store.find(verify=False) if row.uuid == uuid), None)


def _record(old: OldSession, uuid: str, zone: str | None) -> SessionRecord:
    """Return the record of an old session; its instants are those of the old run, never now."""
    assert old.created is not None
    created = json_text.utc_text(old.created)
    figures = Figures()
    for t_s, _, point in old.motion.points if old.motion else ():
        take_point(figures.movements, point, t_s)
    clock = old.motion.clock if old.motion else []
    name = old.summary.get("session_name")
    fields: dict[str, Any] = {
        **old.record_fields(),
        "session_name": name if isinstance(name, str) else None,
        "started_at": clock[0][1] if clock else None,
        "ended_at": clock[-1][1] if clock else None,
        "performance_metrics": figures.metrics() if old.motion else {},
        "artifacts": [
            {"name": f"{ORIGINALS}/{name}", "size": len(data), "sha256": digest(data)}
            for name, data in sorted(old.content.items())
        ],
    }
    record = SessionRecord(session_id=_label(old), uuid=uuid, created_at=created, updated_at=records.now_text())
    for key, value in records.check_changes(fields).items():
        setattr(record, key, value)
    record.created_by = f"sessionstore {__version__} import-legacy"
    record.provenance = {
        "imported_from": {
            "folder": old.folder.name,
            "fingerprint": old.fingerprint,
            "zone": zone,
            "time_axis": old.motion.axis if old.motion else None,
            "created_at_from": old.created_from,
            "problems": list(old.problems),
        }
    }
    return record


def _label(old: OldSession) -> str:
    """Return the id: the name of the folder, or the id in the summary where the name is not an old id."""
    said = old.summary.get("session_id")
    candidates = [old.folder.name, *([said] if isinstance(said, str) else [])]
    usable = [name for name in candidates if names.is_session_folder_name(name) and len(name.encode()) < 240]
    return next((name for name in usable if names.stamp_of(name)), (usable or [names.sanitise(old.folder.name)])[0])


# ---------------------------------------------------------------- writing


def _write(store: SessionStore, old: OldSession, record: SessionRecord) -> str:
    """Build the session in staging, whole and durable, then name it; return its id."""
    root = store.root
    staged = root.staging / records.new_uuid()  # not the session's own: another import may be at work on it
    files.make_dir(staged)
    try:
        _write_streams(staged, old)
        _write_originals(staged, old)
        tables = {
            "session": {"1": record.to_dict()},
            "workflow": {},
            **({} if old.buildings is None else {"scene": _numbered(old.buildings)}),
        }
        with root.locks.store():
            known = _known(store, record.uuid)
            if known is not None:  # another import was faster
                files.remove_tree(staged)
                return known
            label, number = record.session_id, 1
            while os.path.lexists(root.folder(record.session_id)):
                number += 1
                record.session_id = f"{label}-{number}"
            tables["session"]["1"] = record.to_dict()
            status = files.put(staged / DOCUMENT, json_text.layout(tables))
            files.rename_new(staged, root.folder(record.session_id))
            files.prove_renamed(root.path)
    except BaseException:
        if staged.is_dir():
            files.remove_tree(staged)
        raise
    store.catalog.deliver([records.to_row(record, status)])
    return record.session_id


def _numbered(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {str(number): row for number, row in enumerate(rows, 1)}


def _write_streams(staged: Path, old: OldSession) -> None:
    if old.motion is not None:
        _write_stream(staged, MOTION_STREAM, ((t_s, point) for t_s, _, point in old.motion.points))
        _write_stream(staged, CLOCK_STREAM, ((t_s, {"utc": utc}) for t_s, utc in old.motion.clock))
    for name, rows in old.streams.items():
        _write_stream(staged, name, iter(rows))


def _write_stream(staged: Path, name: str, rows: Iterator[tuple[float, dict[str, Any]]]) -> None:
    writer = StreamWriter(staged / f"{name}.jsonl", sync="os")
    try:
        for t_s, record in rows:
            writer.append(record, t_s)
        writer.flush()
    finally:
        writer.close()


def _write_originals(staged: Path, old: OldSession) -> None:
    folder = staged / "artifacts" / ORIGINALS
    files.make_dirs(folder)
    for name, data in old.content.items():
        files.create(folder / name, data)
    files.sync_dir(folder)
