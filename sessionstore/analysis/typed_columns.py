"""Columns of one stream as arrays, from its Parquet columns: the values that session.stream_columns reads from lines.

Not here: which stream has columns (store.column_files), making them (analysis.columns), frames (analysis.frames).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
import pyarrow as pa
from pyarrow import compute, parquet

from sessionstore.disk.reading import elsewhere
from sessionstore.layout import StoreRoot
from sessionstore.session.stream_columns import Column
from sessionstore.session.stream_line import NUMBER, SIM_TIME
from sessionstore.store import column_files
from sessionstore.store.column_files import ColumnFile

_OWN = {NUMBER: "n", SIM_TIME: "sim_time"}
_AXES = ("x", "y", "z")


def stored(
    path: Path, names: Sequence[str], from_s: float | None, to_s: float | None
) -> tuple[dict[str, Any], Mapping[str, int], set[str]] | None:
    """Return the columns, what is left out by kind, and which keys there are; None: read the lines."""
    if elsewhere and elsewhere.get(str(path)) is not None:
        return None
    found = column_files.find(StoreRoot(path.parent.parent), path.parent.name, path.stem)
    if found is None or not column_files.is_whole(found):
        return None
    wanted = {name: _columns_of(found, name) for name in names}
    schema = parquet.read_schema(found.path)
    columns = dict.fromkeys(["sim_time", *itertools.chain.from_iterable(wanted.values())])
    if not all(wanted.values()) or not all(_is_exact(schema.field(each), found) for each in columns):
        return None
    table = parquet.read_table(found.path, columns=list(columns))
    for bound, keeps in ((from_s, compute.greater_equal), (to_s, compute.less_equal)):
        if bound is not None:
            table = table.filter(keeps(table["sim_time"], bound))
    made = {name: _array([table[each] for each in some]) for name, some in wanted.items()}
    present = {name for name, some in wanted.items() if any(table[each].null_count < table.num_rows for each in some)}
    return made, found.key.left_out, present


def _columns_of(found: ColumnFile, name: str) -> list[str]:
    """Return the stored columns of a key; none where that cannot be said without the lines."""
    if name in _OWN:
        return [_OWN[name]]
    stored_names = [each for each in found.key.names if each not in ("session_id", "n", "sim_time")]
    if name == "position" and found.key.axes:
        return list(_AXES) if name in stored_names else []
    derived = _AXES if "position" in stored_names else ()
    return [name] if name in stored_names and name not in derived else []


def _is_exact(field: pa.Field, found: ColumnFile) -> bool:
    """Whether the values are those of the lines: not text made of other kinds, not objects with keys added."""
    kind = field.type
    if pa.types.is_string(kind):
        return found.key.mixed is not None and field.name not in found.key.mixed
    while pa.types.is_list(kind):
        kind = kind.value_type
    return bool(pa.types.is_int64(kind) or pa.types.is_float64(kind) or pa.types.is_boolean(kind))


def _array(parts: list[pa.ChunkedArray]) -> Any:
    if len(parts) > 1:
        return numpy.column_stack([_array([part]) for part in parts])
    (values,) = parts
    kind = values.type
    if pa.types.is_float64(kind):
        return values.to_numpy()
    if not values.null_count and (pa.types.is_int64(kind) or pa.types.is_boolean(kind)):
        return values.to_numpy()
    if pa.types.is_string(kind):
        return _texts(values)
    column = Column()
    column.extend(values.to_pylist())
    return column.finished()


def _texts(values: pa.ChunkedArray) -> Any:
    """Return texts as objects, each text once in memory."""
    encoded = values.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    known = numpy.array([*encoded.dictionary.to_pylist(), None], object)
    return known[encoded.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False)]
