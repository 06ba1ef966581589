"""Exact Arrow columns of JSON values: integers stay integers, null stays null, and no value is rounded.

A column whose values are of several kinds (or whose integers need more than 64 bits) holds text: integers as digits,
everything else as JSON. These columns are not reported.
Not here: which rows there are (analysis.streams, analysis.tables).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from sessionstore.analysis.column_types import cast, common

_INT64 = range(-(1 << 63), 1 << 63)
_EXACT_IN_DOUBLE = 1 << 53


def array_of(values: Sequence[Any]) -> pa.Array:
    """Return the values of one column as an array of one type, exactly."""
    found = inferred_array(values)
    return found.cast(pa.string()) if pa.types.is_null(found.type) else found


def inferred_array(values: Sequence[Any]) -> pa.Array:
    """Return the values of a part of a column; its type is null where no value is known."""
    if any(map(_needs_text, values)):
        return text_array(values)
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return text_array(values)


def text_array(values: Sequence[Any]) -> pa.Array:
    """Return the values of one column as text: integers as digits, everything else as JSON."""
    return pa.array([_text(value) for value in values], pa.string())


def _needs_text(value: Any) -> bool:
    kind = type(value)
    if kind is int:
        return value not in _INT64
    if kind is list:
        return any(map(_needs_text, value)) or _mixed(value)
    if kind is dict:
        return not value or any(map(_needs_text, value.values()))  # Arrow has no struct without fields in SQL
    return False


def _mixed(values: list[Any]) -> bool:
    """Whether integers that a double cannot hold stand beside floats in one list."""
    kinds = set(map(type, values))
    return {int, float} <= kinds and any(type(each) is int and abs(each) > _EXACT_IN_DOUBLE for each in values)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode() if type(value) is not int else str(value)


def together(tables: Sequence[pa.Table]) -> pa.Table:
    """Return tables under one another: columns united by name, and of different types as what holds both exactly."""
    schemas = {table.schema for table in tables} if len(tables) > 1 else set()
    if len(schemas) <= 1:
        return pa.concat_tables(tables)
    names = dict.fromkeys(name for table in tables for name in table.column_names)
    columns = {name: _united(name, tables) for name in names}
    return pa.table(columns)


def _united(name: str, tables: Iterable[pa.Table]) -> pa.ChunkedArray:
    parts = [table.column(name) if name in table.column_names else table.num_rows for table in tables]
    target = common(part.type for part in parts if not isinstance(part, int) and part.null_count < len(part))
    if target is None:
        return _as_text(parts)
    target = pa.string() if pa.types.is_null(target) else target
    chunks: list[pa.Array] = []
    for part in parts:
        try:
            whole = pa.chunked_array([pa.nulls(part, target)]) if isinstance(part, int) else cast(part, target)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return _as_text(parts)
        chunks += whole.chunks
    return pa.chunked_array(chunks, target)


def _as_text(parts: Sequence[Any]) -> pa.ChunkedArray:
    chunks = [
        pa.nulls(part, pa.string()) if isinstance(part, int) else pa.array(map(_text, part.to_pylist()), pa.string())
        for part in parts
    ]
    return pa.chunked_array(chunks, pa.string())
