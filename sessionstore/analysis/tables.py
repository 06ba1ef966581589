"""The tables that are made from records: ``sessions``, ``drones``, ``buildings`` and ``phases``, as Arrow.

``sessions`` has the fields of a row; instants are UTC timestamps, ``metadata`` is JSON text, and each key of it is also
a column ``metadata_KEY``. A record that cannot be read is left out of the other three, and counted.
Not here: streams (analysis.streams), which columns a listing shows (cli.columns).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa

from sessionstore.analysis.arrow_columns import array_of
from sessionstore.analysis.streams import LeftOut
from sessionstore.errors import SessionStoreError
from sessionstore.model.records import SessionRow
from sessionstore.store import SessionStore

_INSTANTS = ("created_at", "updated_at", "started_at", "ended_at")
_TEXTS = ("session_id", "uuid", "status", "workflow_state", "session_name", "end_reason", "problem", "merged_from")
_INTEGERS = ("rev", "num_buildings", "num_invisible_buildings", "num_drones", "points", "windows_cleaned")
_NUMBERS = ("duration_planned_s", "duration_sim_s", "duration_wall_s", "distance_m")
_INSTANT = pa.timestamp("us", "UTC")


def sessions_table(rows: list[SessionRow]) -> pa.Table:
    """Return the rows of a listing."""
    columns: dict[str, pa.Array] = {}
    for names, kind in ((_TEXTS, pa.string()), (_INTEGERS, pa.int64()), (_NUMBERS, pa.float64())):
        for name in names:
            columns[name] = pa.array([getattr(row, name) for row in rows], kind)
    for name in _INSTANTS:
        columns[name] = pa.array([_instant(getattr(row, name)) for row in rows], _INSTANT)
    columns["tags"] = pa.array([row.tags for row in rows], pa.list_(pa.string()))
    columns["metadata"] = pa.array([bytes(row.raw_metadata).decode() for row in rows], pa.string())
    metadata = [row.decoded_metadata() for row in rows]
    used = {name.lower() for name in columns}
    for key in dict.fromkeys(key for each in metadata for key in each):
        name, number = f"metadata_{key}", 1
        while name.lower() in used:
            number += 1
            name = f"metadata_{key}_{number}"
        used.add(name.lower())
        columns[name] = array_of([each.get(key) for each in metadata])
    return pa.table(columns)


def _instant(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:  # edited by hand; the record's own check reports it
        return None


def _drones(tables: dict[str, Any]) -> Iterable[Any]:
    found: Iterable[Any] = next(iter(tables["session"].values())).get("drones") or ()
    return found


def _buildings(tables: dict[str, Any]) -> Iterable[Any]:
    return [row for row in tables.get("scene", {}).values() if isinstance(row, dict) and row.get("kind") == "building"]


def _phases(tables: dict[str, Any]) -> Iterable[Any]:
    return list(tables.get("workflow", {}).values())


#: Tables of a session's document: for each the rows of one document, and columns that are there in an empty store too.
DOCUMENT_TABLES: dict[str, tuple[Callable[[dict[str, Any]], Iterable[Any]], tuple[str, ...]]] = {
    "drones": (_drones, ("id", "kind")),
    "buildings": (_buildings, ("name",)),
    "phases": (_phases, ("old", "new", "reason", "sim_time", "at")),
}


def document_table(store: SessionStore, name: str, session_ids: Iterable[str], left_out: LeftOut) -> pa.Table:
    """Return one table of these sessions' documents, each row with its ``session_id``."""
    rows_of, known = DOCUMENT_TABLES[name]
    rows: list[dict[str, Any]] = []
    for session_id in session_ids:
        try:
            found = list(rows_of(store.catalog.session(session_id).tables()))
        except (SessionStoreError, StopIteration, AttributeError):
            left_out.counts[name, "unreadable"] += 1
            continue
        rows += [{**row, "session_id": session_id} for row in found if isinstance(row, dict)]
    keys = dict.fromkeys(["session_id", *known, *(key for row in rows for key in row)])
    columns: dict[str, pa.Array] = {}
    for key in keys:
        if key.lower() in {name.lower() for name in columns}:
            continue
        columns[key] = array_of([msgspec.to_builtins(row.get(key)) for row in rows])
    return pa.table(columns)
