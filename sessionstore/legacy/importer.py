"""Old folders into a store: each becomes a session, built in staging and named by one rename, or does not exist.

Importing again finds what is there (the uuid is made of the folder's content) and does nothing. A folder that cannot be
used is reported, and does not stop the others. The original files are kept in ``artifacts/legacy/``, byte for byte.
Not here: understanding a folder (layout).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any, Literal
from uuid import uuid5

from sessionstore import __version__
from sessionstore.errors import InvalidRecord, SessionStoreError
from sessionstore.formats.draft import SessionDraft
from sessionstore.formats.importing import NAMESPACE
from sessionstore.legacy.instants import zone_of
from sessionstore.legacy.layout import OldSession, old_folders, read_folder
from sessionstore.maintenance.repairs.recount import Figures, take_point
from sessionstore.model import names
from sessionstore.session.handle import CLOCK_STREAM
from sessionstore.session.motion import MOTION_STREAM
from sessionstore.store import SessionStore

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
    there = {row.uuid: row.session_id for row in (store.find(verify=False) if store.root.path.is_dir() else ())}
    if not dry_run:
        store.root.prepare()
    for number, folder in enumerate(folders, 1):
        yield _one(store, folder, stated, zone, dry_run, there)
        if progress is not None:
            progress(number, len(folders))


def _one(
    store: SessionStore, folder: Path, stated: tzinfo | None, zone: str | None, dry_run: bool, there: dict[str, str]
) -> Imported:
    """Return what became of one folder, of any content."""
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
    report = Imported(str(old.folder), "would import", problems=old.problems)
    report.buildings = None if old.buildings is None else len(old.buildings)
    with SessionDraft(store, uuid, dry_run or uuid in there) as draft:
        fill(draft, old, zone)
        record = draft.record()
        report.points = len(old.motion.points) if old.motion else None
        report.drones = len(record.drones) if record.drones or old.motion else None
        if uuid in there:
            report.state, report.session_id = "already there", there[uuid]
        elif not dry_run:
            report.session_id = there[uuid] = draft.commit()
            report.state = "imported"
    return report


def fill(draft: SessionDraft, old: OldSession, zone: str | None) -> None:
    """Put an old session into a draft; its instants are those of the old run, never now.

    Raises: InvalidRecord: a value that no record holds; and as the writers of streams.
    """
    assert old.created is not None
    figures = Figures()
    for t_s, _, point in old.motion.points if old.motion else ():
        take_point(figures.movements, point, t_s)
    clock = old.motion.clock if old.motion else []
    name = old.summary.get("session_name")
    draft.session_id, draft.created_at = _label(old), old.created
    draft.created_by = f"sessionstore {__version__} import-legacy"
    draft.set(
        **old.record_fields(),
        session_name=name if isinstance(name, str) else None,
        started_at=clock[0][1] if clock else None,
        ended_at=clock[-1][1] if clock else None,
        performance_metrics=figures.metrics() if old.motion else {},
    )
    draft.source = {
        "folder": old.folder.name,
        "fingerprint": old.fingerprint,
        "zone": zone,
        "time_axis": old.motion.axis if old.motion else None,
        "created_at_from": old.created_from,
        "problems": list(old.problems),
    }
    _fill_streams(draft, old)
    if old.buildings is not None:
        draft.table("scene", old.buildings)
    for file_name, data in sorted(old.content.items()):
        draft.artifact(f"{ORIGINALS}/{file_name}", data)


def _label(old: OldSession) -> str:
    """Return the id: the name of the folder, or the id in the summary where the name is not an old id."""
    said = old.summary.get("session_id")
    candidates = [old.folder.name, *([said] if isinstance(said, str) else [])]
    usable = [name for name in candidates if names.is_session_folder_name(name) and len(name.encode()) < 240]
    return next((name for name in usable if names.stamp_of(name)), (usable or [names.sanitise(old.folder.name)])[0])


def _fill_streams(draft: SessionDraft, old: OldSession) -> None:
    streams: dict[str, Iterable[tuple[float, dict[str, Any]]]] = dict(old.streams)
    if old.motion is not None:
        streams[MOTION_STREAM] = ((t_s, point) for t_s, _, point in old.motion.points)
        streams[CLOCK_STREAM] = ((t_s, {"utc": utc}) for t_s, utc in old.motion.clock)
    for name, rows in streams.items():
        writer = draft.stream(name)
        for t_s, row in rows:
            writer.append(row, t_s)
