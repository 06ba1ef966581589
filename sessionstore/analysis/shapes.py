"""Verified lines as columns by DuckDB, whose parser takes a third of the time of Arrow's: where the shapes allow it.

The shape of a line is what is left without its digits: two lines of one shape have the same keys, and a text, a whole
number or a number with a point in the same places. One line of each shape is read as Python data, which gives the type
of each column; the engine then only fills them in. None is returned, and another reader asked, where lines have too
many shapes (free texts), or a column would not hold every value exactly.
Not here: which lines are verified (analysis.verified_chunks), types (analysis.column_types).
"""

from __future__ import annotations

import itertools
import json
from array import array
from typing import Any

import duckdb
import pyarrow as pa
from pyarrow import compute

from sessionstore.analysis import engines
from sessionstore.analysis.arrow_columns import inferred_array
from sessionstore.analysis.column_types import is_exact
from sessionstore.model import json_text
from sessionstore.session.stream_line import NUMBER, SIM_TIME, Line, parse_line

_NOT_IN_A_SHAPE = b"0123456789-"
_MOST_SHAPES = 1000
_NAMES = {pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.string(): "VARCHAR", pa.bool_(): "BOOLEAN"}


class ShapeReader:
    """Reads blocks of one stream; what it learned of the lines of one block serves the next."""

    def __init__(self) -> None:
        self._known: dict[bytes, dict[str, Any]] = {}
        self._schema: pa.Schema | None = None
        self._only_floats: set[str] = set()
        self._usable = True
        self._engine: Any = None

    def table(self, data: bytes, lines: list[bytes], heads: list[bytes]) -> pa.Table | None:
        """Return the records of verified lines with the columns n and t; None: another reader has to.

        Args:
            data: the lines with their newlines; heads: the lines without their checksums.
        """
        if not self._usable or not self._learn(lines, heads):
            self._usable = False
            return None
        assert self._schema is not None
        try:
            found = self._filled(data, lines)
        except (duckdb.Error, pa.ArrowInvalid):
            return None
        for name in found.column_names:
            values = found[name].combine_chunks()
            values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
            if not (_is_finite(values) if name in self._only_floats else is_exact(values)):
                return None
        return found

    def _learn(self, lines: list[bytes], heads: list[bytes]) -> bool:
        shapes = b"\n".join(heads).translate(None, _NOT_IN_A_SHAPE).split(b"\n")
        new = set(shapes).difference(self._known)
        if not new:
            return True
        found = dict(zip(shapes, lines, strict=True))
        if len(self._known) + len(new) > _MOST_SHAPES:
            return False
        for shape in [each for each in found if each in new]:
            line = parse_line(found[shape], 0)
            if not isinstance(line, Line) or not line.verified or _has_a_key_twice(found[shape]):
                return False
            number = json.loads(found[shape])[SIM_TIME]
            self._known[shape] = {NUMBER: line.n, SIM_TIME: number, **line.data}
        return self._describe(list(self._known.values()))

    def _describe(self, records: list[dict[str, Any]]) -> bool:
        fields = []
        self._only_floats.clear()
        for name in dict.fromkeys(name for record in records for name in record):
            values = [record.get(name) for record in records]
            kind = inferred_array(values).type
            text_of_others = kind == pa.string() and any(type(each) not in (str, type(None)) for each in values)
            if text_of_others or (not pa.types.is_null(kind) and _structure(kind) is None):
                return False
            if all(_is_of_floats(each) for each in values):
                self._only_floats.add(name)
            fields.append(pa.field(name, kind))
        self._schema = pa.schema(fields)
        return True

    def _filled(self, data: bytes, lines: list[bytes]) -> pa.Table:
        assert self._schema is not None
        ends = array("i", itertools.accumulate((len(raw) + 1 for raw in lines), initial=0))
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(data)]
        if self._engine is None:
            self._engine = engines.reader()
        self._engine.register("_lines", pa.table({"line": pa.Array.from_buffers(pa.string(), len(lines), buffers)}))
        known = {field.name: _structure(field.type) for field in self._schema if not pa.types.is_null(field.type)}
        wanted = json.dumps(known).replace("'", "''")
        sql = f"SELECT r.* FROM (SELECT from_json_strict(line, '{wanted}') AS r FROM _lines)"
        found = self._engine.sql(sql).to_arrow_table()
        columns = {
            field.name: found[field.name].cast(field.type) if field.name in known else pa.nulls(len(lines))
            for field in self._schema  # the cast: the engine names the parts of a list otherwise
        }
        return pa.table(columns)


def _structure(kind: pa.DataType) -> Any:
    """Return a type as DuckDB's from_json takes it; None: it has none."""
    if pa.types.is_list(kind):
        inner = _structure(kind.value_type)
        return None if inner is None else [inner]
    if pa.types.is_struct(kind):
        parts = {field.name: _structure(field.type) for field in kind}
        return None if not parts or None in parts.values() else parts
    return _NAMES.get(kind)


def _is_of_floats(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_of_floats, value))
    return value is None or isinstance(value, float)


def _is_finite(values: pa.Array) -> bool:
    while pa.types.is_list(values.type):
        values = values.values
    return compute.all(compute.is_finite(values)).as_py() is not False


def _has_a_key_twice(raw: bytes) -> bool:
    try:
        json_text.refuse_duplicate_keys(raw)
    except ValueError:
        return True
    return False
