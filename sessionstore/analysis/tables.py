"""The tables that are made from records: ``sessions``, ``drones``, ``buildings`` and ``phases``, as Arrow.

``sessions`` has the fields of a row; instants are UTC timestamps, ``metadata`` is JSON text, and each key of it is also
a column ``metadata_KEY``. A record that cannot be read is left out of the other three, and counted.
Not here: streams (analysis.streams), which columns a listing shows (cli.columns).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pyarrow as pa

from sessionstore.analysis.arrow_columns import array_of
from sessionstore.analysis.streams import LeftOut
from sessionstore.errors import SessionStoreError
from sessionstore.model.record import INSTANTS
from sessionstore.model.row import SessionRow
from sessionstore.store import SessionStore

_INSTANT = pa.timestamp("us", "UTC")
_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64()}
#: Fields of a row that only a listing of several stores has, or that are not part of a table.
_NOT_A_COLUMN = ("size", "mtime_ns", "merged_uuid", "remark", "host", "store")


def _columns() -> dict[str, pa.DataType]:
    """Return the columns of plain values with their types, as the row describes them."""
    found = {}
    for name, hint in get_type_hints(SessionRow).items():
        kind = _TYPES.get(get_args(hint)[0] if get_origin(hint) is UnionType else hint)
        if kind is not None and name not in _NOT_A_COLUMN:
            found[name] = _INSTANT if name in INSTANTS else kind
    return found


_COLUMNS = _columns()


def sessions_table(rows: list[SessionRow]) -> pa.Table:
    """Return the rows of a listing."""
    columns: dict[str, pa.Array] = {}
    for name, kind in _COLUMNS.items():
        read = _instant if kind == _INSTANT else _as_it_is
        columns[name] = pa.array([read(getattr(row, name)) for row in rows], kind)
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


def _as_it_is(value: Any) -> Any:
    return value


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
