"""The repairs: one function for each repairable finding, each of which checks again before it changes anything.

Every repair keeps the original bytes in quarantine first, changes the store by one atomic step, and does nothing when
it is run a second time; a crash between the two leaves the finding in place and a spare copy in quarantine.
Not here: finding (doctor), what only a person decides (choices), rebuilding a lost record (record_repair), cutting
streams (stream_repair).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sessionstore.disk import files
from sessionstore.errors import Conflict, NotApplied, SessionStoreError, Unreadable
from sessionstore.layout import DOCUMENT, STORE_FORMAT, StoreRoot, resolve
from sessionstore.maintenance.findings import Finding
from sessionstore.maintenance.repairs import record_repair, recount, sealed_repair, stream_lines, stream_repair
from sessionstore.model import json_text, records
from sessionstore.model.instants import new_uuid, now_text
from sessionstore.model.wording import counted
from sessionstore.session.documents import DocumentStorage, Tables
from sessionstore.store import SessionStore, column_files, trash

#: Called with (done, total) while findings are repaired.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one repair ended: ``what`` says what was done, or why it failed."""

    finding: Finding
    repaired: bool
    what: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for ``--json``."""
        return {"code": self.finding.code, "where": self.finding.where, "repaired": self.repaired, "what": self.what}


def repair(
    findings: Iterable[Finding],
    folder: str | Path | None = None,
    index: str | None = None,
    salvage_records: bool = False,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Repair what can be repaired, one after the other; a failure does not stop the others.

    Args:
        findings: of an examination of this store.
        folder, index: as :func:`sessionstore.open`.
        salvage_records: also rebuild records that a person could still repair by hand.

    Raises: NewerFormat, Corrupt, StoreUnusable: the store cannot be opened; nothing else was tried.
    """
    order = list(_REPAIRS)
    todo = [each for each in findings if each.code in REPAIRABLE or (salvage_records and each.code in _SALVAGED)]
    todo.sort(key=lambda finding: order.index(finding.code) if finding.code in order else order.index(_RECORD))
    outcomes = []
    root = StoreRoot(resolve(folder))
    for finding in [each for each in todo if each.code == "format-unreadable"]:
        outcomes.append(tried(finding, lambda finding: _format(root, finding)))
        todo.remove(finding)
    with SessionStore(folder, index) as store:
        for number, finding in enumerate(todo, 1):
            step = _REPAIRS.get(finding.code, _REPAIRS[_RECORD])
            outcomes.append(tried(finding, lambda finding, step=step: step(store, finding)))  # type: ignore[misc]
            if progress is not None:
                progress(number, len(todo))
    return outcomes


def tried(finding: Finding, step: Callable[[Finding], str]) -> Outcome:
    """Do one repair; a failure is an outcome too."""
    try:
        return Outcome(finding, True, step(finding))
    except (SessionStoreError, OSError) as error:
        return Outcome(finding, False, f"{type(error).__name__}: {error}")


# ---------------------------------------------------------------- the store


def _format(root: StoreRoot, finding: Finding) -> str:
    """Write format.json anew; the engine that it named is forgotten, the journal index is made again by itself."""
    path = root.private / "format.json"
    with root.locks.store():
        try:
            root.settings()
            return "it can be read again"
        except Unreadable:
            data, _ = files.read(path)
            root.quarantine(path, 0, data)
            files.put(path, json_text.layout({"format": STORE_FORMAT}))
    return "written anew; when the store used another index engine, name it with --index once more"


def _index(store: SessionStore, finding: Finding) -> str:
    """Make the index anew from the folders; the engine sets its damaged file aside first."""
    return f"rebuilt from {store.rebuild()} folders"


def _listing(store: SessionStore, finding: Finding) -> str:
    left = store.catalog.reconcile().fresh
    if left:
        raise NotApplied(f"the index did not take {len(left)} rows")
    return "index updated"


def _empty_folder(store: SessionStore, finding: Finding) -> str:
    session_id = _session_id(finding)
    with store.root.locks.store(), store.root.locks.session(session_id):
        if not store.root.folder(session_id).is_dir():
            return "it is gone by now"
        if os.listdir(store.root.folder(session_id)):
            return "it is not empty any more"
        trash.throw_away(store.root, session_id)
    store.catalog.delivery.forget([session_id])
    return "moved to the trash"


def _temporary_file(store: SessionStore, finding: Finding) -> str:
    path = store.root.path / finding.where
    try:
        data, _ = files.read(path)
    except FileNotFoundError:
        return "it is gone"
    store.root.quarantine(path, 0, data)
    files.remove(path)
    return "moved to quarantine"


def _staging(store: SessionStore, finding: Finding) -> str:
    with store.root.locks.store():
        trash.sweep_staging(store.root)
    return "removed: it was never acknowledged"


def _hollow_trash(store: SessionStore, finding: Finding) -> str:
    path = store.root.path / finding.where
    with store.root.locks.store():
        if path.is_dir() and not os.listdir(path):
            files.remove_tree(path)
    return "removed"


def _columns(store: SessionStore, finding: Finding) -> str:
    """Remove what a question would not read; no original bytes are in it, so nothing goes to quarantine."""
    column_files.drop(store.root, _session_id(finding), finding.data["stream"])
    return "removed: a question makes them again"


# ---------------------------------------------------------------- one session


def _record(store: SessionStore, finding: Finding) -> str:
    return record_repair.rebuild_record(store, _session_id(finding))


def _close_interrupted(store: SessionStore, finding: Finding) -> str:
    """Close a run whose process is gone, with the figures of its streams."""
    session = store.catalog.session(_session_id(finding))
    record, reason = session.record, session.interrupted()
    if reason is None:
        return f"it is {record.status} by now"
    figures = recount.of_session(session)
    beat, metrics, given = session.last_beat(), figures.metrics(), record.performance_metrics
    totals = {**record.progress, **given.get("totals", {}), **metrics["totals"]}
    drones = {**metrics["drones"], **given.get("drones", {})}
    changes: dict[str, Any] = {
        "status": "failed",
        "end_reason": f"interrupted: {reason}",
        "performance_metrics": {**given, "totals": totals, "drones": drones},
        "progress": {},
        "drones": record.drones or figures.drones(),
    }
    if figures.duration_sim_s is not None:
        changes["duration_sim_s"] = figures.duration_sim_s
    if beat is not None:
        changes["ended_at"] = max(record.started_at or "", _instant(beat))
    session.update(if_rev=record.rev, reason=changes["end_reason"], sim_time_s=figures.duration_sim_s, **changes)
    points = metrics["totals"].get("points", 0)
    return f"closed as failed ({reason}), {figures.duration_sim_s or 0:.1f} s simulated, {points:,} motion points"


def _instant(epoch_s: float) -> str:
    return json_text.utc_text(datetime.fromtimestamp(epoch_s, UTC))


def _fresh_uuid(store: SessionStore, finding: Finding) -> str:
    """Give a copy an identity of its own; the record keeps whose copy it is."""
    session = store.catalog.session(_session_id(finding))
    old, original, new = finding.data["uuid"], finding.data["original"], new_uuid()
    if store.catalog.session(original).record.uuid != old or session.record.uuid != old:
        return "they have different uuids by now"
    path = session.folder / DOCUMENT

    def rename(tables: Tables, data: bytes) -> None:
        record = records.read_record(tables, data, str(path), path.parent.name)
        if record.uuid != old:
            raise Conflict(f"its uuid is {record.uuid} by now")
        (document,) = tables["session"].values()
        copied = {"copied_from": {"uuid": old, "session_id": original}}
        document.update(
            uuid=new,
            session_id=session.session_id,
            rev=record.rev + 1,
            updated_at=now_text(),
            provenance={**record.provenance, **copied},
        )

    # Not by Session.update, which never lets a session become another one.
    DocumentStorage(path, lambda: store.root.locks.session(session.session_id), must_exist=True).update(rename)
    store.catalog.delivery.deliver([session.row()])
    return f"its uuid is {new} now; it was copied from {original}"


def _sealed_twice(store: SessionStore, finding: Finding) -> str:
    return sealed_repair.end_interrupted(store.root, store.root.path / finding.where)


def _sealed_damaged(store: SessionStore, finding: Finding) -> str:
    return sealed_repair.make_plain(store.root, store.root.path / finding.where)


def _sealed_index(store: SessionStore, finding: Finding) -> str:
    return sealed_repair.write_index(store.root, store.root.path / finding.where)


def _torn(store: SessionStore, finding: Finding) -> str:
    cut = stream_repair.cut_torn_end(store.root, store.root.path / finding.where)
    return f"{cut} bytes moved to quarantine" if cut else "it is whole by now"


def _damaged(store: SessionStore, finding: Finding) -> str:
    session = store.catalog.session(_session_id(finding))
    cut = stream_repair.cut_damaged_lines(store.root, session, store.root.path / finding.where)
    return f"{counted(cut, 'damaged line')} moved to quarantine" if cut else "it is whole by now"


def _line_ends(store: SessionStore, finding: Finding) -> str:
    changed = stream_lines.restore_line_ends(store.root, store.root.path / finding.where)
    return (
        f"foreign bytes of {counted(changed, 'line')} undone; the old file is in quarantine"
        if changed
        else "it is whole by now"
    )


def _session_id(finding: Finding) -> str:
    assert finding.session_id is not None, finding.code
    return finding.session_id


_RECORD = "document-missing"
#: Only rebuilt when that is asked for: a person may know better what was meant.
_SALVAGED = ("document-unreadable",)
#: In the order in which they are done: what others stand on first, the index last.
_REPAIRS: dict[str, Callable[[SessionStore, Finding], str]] = {
    "index-damaged": _index,
    "staging-left": _staging,
    "trash-hollow": _hollow_trash,
    "temp-left": _temporary_file,
    "columns-stale": _columns,
    "columns-damaged": _columns,
    "columns-orphan": _columns,
    "folder-empty": _empty_folder,
    "seal-interrupted": _sealed_twice,
    "seal-damaged": _sealed_damaged,
    "seal-index": _sealed_index,
    "stream-line-ends": _line_ends,
    "stream-torn": _torn,
    _RECORD: _record,
    "stream-damaged": _damaged,
    "uuid-twice": _fresh_uuid,
    "interrupted": _close_interrupted,
    "index-behind": _listing,
    "row-absent": _listing,
}
REPAIRABLE = frozenset(_REPAIRS) | {"format-unreadable"}
