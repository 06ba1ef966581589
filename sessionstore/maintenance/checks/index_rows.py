"""Checks of the index against the folders, and of uuids over all sessions.

What the next listing repairs is one finding for all its sessions.
Not here: the content of a folder (session_folders), engines (index).
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionstore.errors import Corrupt, SessionStoreError
from sessionstore.layout import StoreRoot
from sessionstore.maintenance.examination import Examination
from sessionstore.maintenance.findings import Finding
from sessionstore.store import trash

_SHOWN = 5
#: Up to how many sessions an engine serves without anybody waiting (docs/engines.md).
RANGES = {"journal": 50_000, "sqlite": 1_000_000}


def check_index(examination: Examination) -> Iterator[Finding]:
    """Compare rows and folders, once the folders have been looked into."""
    if examination.index is None:
        return
    url = examination.index.url
    if examination.index_error is not None:
        away = not isinstance(examination.index_error, Corrupt)
        yield Finding("index-away" if away else "index-damaged", url, str(examination.index_error))
        return
    engine = url.partition(":")[0]
    if engine in RANGES and len(examination.stamps) > RANGES[engine] * 0.8:  # before it is reached
        yield Finding(
            f"{engine}-outgrown", url, f"{len(examination.stamps):,} sessions of {RANGES[engine]:,} that it is for"
        )
    behind = {name for name in examination.stamps.keys() & examination.on_disk if not _mirrored(examination, name)}
    trashed = trash.ids(examination.root)
    lost = examination.stamps.keys() - examination.on_disk
    explained = trashed | {name for name in lost if _is_elsewhere(examination, name)}
    yield from _several("index-behind", url, "differ from their folders", behind | (lost & explained))
    absent = {name for name in examination.on_disk - examination.stamps.keys() if examination.is_session(name)}
    yield from _several("row-absent", url, "are not in the index yet", absent)
    for session_id in sorted(lost - explained):
        row = examination.rows.get(session_id)
        known = f" (last seen {row.updated_at}, {row.points or 0:,} points)" if row else ""
        yield Finding("folder-missing", session_id, f"the folder of this session is gone{known}", session_id)


def _mirrored(examination: Examination, session_id: str) -> bool:
    row = examination.rows.get(session_id)
    if row is None or row.rev:
        return examination.known_row(session_id) is not None
    return True  # an unreadable row: the check of the folder reports it


def _is_elsewhere(examination: Examination, session_id: str) -> bool:
    """Whether the folder was renamed: its uuid lives under another name."""
    row = examination.rows.get(session_id)
    return row is not None and row.uuid in examination.uuids


def _several(code: str, where: str, what: str, session_ids: set[str]) -> Iterator[Finding]:
    if session_ids:
        names = sorted(session_ids)
        shown = ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
        yield Finding(code, where, f"{len(names)} sessions {what}: {shown}", data={"sessions": names})


def check_uuids(examination: Examination) -> Iterator[Finding]:
    """Name every copy of a session within the store; the original is the one whose record names its own folder."""
    for uuid, session_ids in sorted(examination.uuids.items()):
        if uuid and len(session_ids) > 1:
            original = original_of(examination.root, session_ids)
            for session_id in sorted(set(session_ids) - {original}):
                what = f"it has the uuid of {original}, so one is a copy of the other"
                yield Finding("uuid-twice", session_id, what, session_id, {"uuid": uuid, "original": original})


def original_of(root: StoreRoot, session_ids: list[str]) -> str:
    """Return the one whose document still names its own folder, of several the first by name."""
    from sessionstore.session import Session

    def rank(session_id: str) -> tuple[bool, str]:
        try:
            (stored,) = Session(root, session_id).tables()["session"].values()
            return stored.get("session_id") != session_id, session_id
        except (SessionStoreError, KeyError, ValueError):
            return True, session_id

    return min(session_ids, key=rank)
