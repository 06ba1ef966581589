"""Any number of any stream over time from its columns, thinned by DuckDB with minima and maxima kept.

Not here: the figure (server.routes.field_series), points of a flight (analysis.flight_columns).
"""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from sessionstore.analysis.engines import reader
from sessionstore.analysis.flight_columns import extremes_sql, flight_columns, literal
from sessionstore.analysis.sources import quoted
from sessionstore.session import Session, stream_names
from sessionstore.store import column_files

_SHOWN_AS_EDITED = frozenset(("edited", "unverified", "repeated"))
#: Fields that the overview of a long flight keeps extremes of, with their column there.
_IN_OVERVIEW = {"position.0": "x", "position.1": "y", "position.2": "z", "battery": "battery"}
Lines = dict[str, tuple[list[float], list[float]]]


def field_lines(
    session: Session, stream: str, field: str, start_s: float, end_s: float, points: int, drone: str | None = None
) -> Lines | None:
    """Return one field over time, a line for each drone that the records name; None: read the lines of the stream.

    Args:
        field: a path such as ``battery`` or ``position.2``.
        points: the maximum for each line.
    """
    if stream == stream_names.MOTION and field in _IN_OVERVIEW and (flight := flight_columns(session)) is not None:
        found: Lines = flight.lines({field: _IN_OVERVIEW[field]}, start_s, end_s, points)[field]
        return {name: line for name, line in found.items() if drone in (None, name)}
    columns = column_files.find(session.root, session.folder.name, stream)
    if columns is None or _SHOWN_AS_EDITED & set(columns.key.left_out) or not column_files.is_whole(columns):
        return None
    schema = parquet.read_schema(columns.path)
    expression = _expression(schema, field, columns.key.axes)
    if expression is None:
        return None
    name = "coalesce(drone::VARCHAR, 'None')" if "drone" in schema.names else literal(field)
    source = (
        f"SELECT n, sim_time AS t, {name} AS drone, {expression}::DOUBLE AS value "
        f"FROM read_parquet({literal(columns.path)}) WHERE sim_time BETWEEN {start_s!r} AND {end_s!r}"
    )
    if drone is not None:
        source = f"SELECT * FROM ({source}) WHERE drone = {literal(drone)}"
    width_s = max((end_s - start_s) / max(1, points // 4), 1e-6)
    rows = reader().sql(f"WITH p AS ({source}) {extremes_sql('value', start_s, width_s, points)}").fetchall()
    return {name: (moments, values) for name, moments, values in rows}


def _expression(schema: pa.Schema, field: str, axes: bool) -> str | None:
    """Return a field as SQL; None: it is not a number in every record."""
    first, *rest = field.split(".")
    if axes and first == "position":
        return "xyz"[int(rest[0])] if rest in (["0"], ["1"], ["2"]) else None
    if first not in schema.names or first in ("session_id", "n", "sim_time"):
        return None
    sql, kind = quoted(first), schema.field(first).type
    for key in rest:
        if pa.types.is_list(kind) and key.isdigit() and int(key) < math.inf:
            sql, kind = f"{sql}[{int(key) + 1}]", kind.value_type
        elif pa.types.is_struct(kind) and kind.get_field_index(key) >= 0:
            sql, kind = f"struct_extract({sql}, {literal(key)})", kind.field(key).type
        else:
            return None
    return sql if _is_number(kind) else None


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
