"""The record of a folder whose session.json is lost, rebuilt from the index row and the streams.

Unknown values stay unknown, and the record names its sources. The old bytes are kept in quarantine.
Not here: deciding that a document is lost (checks.session_folders).
"""

from __future__ import annotations

import os
from typing import Any

from sessionstore import __version__
from sessionstore.disk import files
from sessionstore.errors import IndexUnavailable, NewerFormat, Unreadable
from sessionstore.layout import DOCUMENT
from sessionstore.maintenance.checks.accepted import REPAIRS
from sessionstore.maintenance.repairs import recount
from sessionstore.model import json_text, names
from sessionstore.model.field_rules import FINAL_STATUSES
from sessionstore.model.instants import new_uuid, now_text
from sessionstore.model.record import LISTED_FIELDS, SessionRecord
from sessionstore.model.row import SessionRow, to_row
from sessionstore.store import SessionStore

_REASON = "its record was lost and rebuilt by the doctor"
_FROM_ROW = [name for name in LISTED_FIELDS if name not in ("session_id", "uuid", "rev", "status", "updated_at")]


def rebuild_record(store: SessionStore, session_id: str) -> str:
    """Put a new session.json into a folder, unless it can be read by now; say where it came from.

    Raises: NewerFormat: it is left alone; UnsafeFile, LockTimeout, StoreUnusable: nothing changed.
    """
    session = store.catalog.session(session_id)
    path = session.folder / DOCUMENT
    with store.root.locks.session(session_id):
        try:
            session.read()
            return "it can be read by now"
        except NewerFormat:
            raise
        except Unreadable:
            row = _row_of(store, session_id)
            record = _record(store, session_id, row)
        if os.path.lexists(path):
            store.root.quarantine(path, 0, files.read(path)[0])
        repair = {"what": _REASON, "at": record.updated_at}
        tables = {"session": {"1": record.to_dict()}, "workflow": {}, REPAIRS: {"1": repair}}
        status = files.put(path, json_text.layout(tables))
    store.catalog.delivery.deliver([to_row(record, status)])
    return f"rebuilt from the streams{' and the index row' if row else ''}"


def _row_of(store: SessionStore, session_id: str) -> SessionRow | None:
    """Return the index's row when it still mirrors the lost record."""
    try:
        rows = [row for row in store.index.find() if row.session_id == session_id and row.uuid]
    except (IndexUnavailable, Unreadable):
        return None
    return rows[0] if rows else None


def _record(store: SessionStore, session_id: str, row: SessionRow | None) -> SessionRecord:
    figures = recount.of_session(store.catalog.session(session_id))
    now = now_text()
    stamped = names.stamp_of(session_id)
    created = row.created_at if row else json_text.utc_text(stamped) if stamped else now
    known: dict[str, Any] = {} if row is None else {name: getattr(row, name) for name in _FROM_ROW}
    if row is not None:
        known["metadata"] = row.metadata
    record = SessionRecord.new(session_id, row.uuid if row else new_uuid(), **known)
    record.rev = row.rev + 1 if row else 1
    record.created_at, record.updated_at = created, now
    # A listing may have seen it broken before us, and then only the end reason (by default the status) is left.
    ended = [each for each in (row.status, row.end_reason) if each in FINAL_STATUSES] if row else []
    record.status = str(ended[0]) if ended else "failed"
    record.end_reason = record.end_reason or _REASON
    if figures.duration_sim_s is not None:
        record.duration_sim_s = figures.duration_sim_s
    record.drones, record.performance_metrics = figures.drones(), figures.metrics()
    if row is None:  # unknown, which is not zero
        record.num_buildings = record.num_invisible_buildings = record.base_position = None
    record.created_by = f"sessionstore {__version__}"
    source = ["streams", "index row"] if row else ["streams"]
    record.provenance = {"salvaged": {"at": now, "from": source}}
    return record
