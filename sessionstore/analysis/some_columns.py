"""Some columns of one stream from its lines: every line is verified, and only what a question names is converted.

The columns come out as reading all of them would make them. That is proved for each stretch of lines: the checksums are
right, numbers and moments stand where a line has them, and the engine gives each value as JSON, whose text converts to
the type of its column alone. Where a stretch is otherwise (damage, a type that changes, late lines, an attempt that
another one replaced), None is returned and the stream is read whole.
Not here: reading all columns (analysis.streams), which columns are wanted (analysis.referenced).
"""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy
import pyarrow as pa

from sessionstore.analysis import engines
from sessionstore.analysis.column_types import is_exact
from sessionstore.analysis.streams import named_columns
from sessionstore.analysis.verified_chunks import SMALL_BYTES, check_time
from sessionstore.session import stream_source
from sessionstore.session.line_checksums import Places, ends_of, is_plain
from sessionstore.session.stream_line import NUMBER, SIM_TIME, Line, parse_line
from sessionstore.session.stream_reader import order_of_source
from sessionstore.session.stream_tail import tail_of
from sessionstore.session.verified_blocks import Block, Tally, blocks

_CHUNK_BYTES = 6 << 20
_THREADS = 2  # that convert what was verified
_LOOKED_AT = 200  # lines from the first one on, whose keys and types are those of the stream until a line differs
_OWN = ("session_id", "n", "sim_time")
_AXES = ("x", "y", "z")
_HEAD_LENGTH = 5
_HEAD, _TIME = (numpy.uint64(int.from_bytes(text, "little")) for text in (b'{"n":', b',"t":'))
_HEAD_BITS = numpy.uint64((1 << 8 * _HEAD_LENGTH) - 1)
_TENS = 10 ** numpy.arange(1, 19)
_TEXT, _NUMBER, _WHOLE = "VARCHAR", "DOUBLE", "BIGINT"


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is taken of each line: the names and types of the columns, and the query."""

    schema: pa.Schema
    sql: str
    absent: tuple[bytes, ...]  # keys that no line may have
    axes: bool


def some_columns(wanted: frozenset[str], path: Path, session_id: str, tally: Tally) -> pa.Table | None:
    """Return the columns that fit these names in any case, and ``n``; None: read all columns.

    Raises: OutOfTime; FileNotFoundError, UnsafeFile, StoreUnusable.
    """
    with stream_source.opened(path) as source:
        if source.size < SMALL_BYTES or source.pointer or source.encoding is not None:
            return None
        tail = tail_of(source)
        if order_of_source(source, tail).cuts:
            return None
        found = _read(blocks(source, _CHUNK_BYTES, Tally()), session_id, wanted)
        if found is not None and tail.torn:
            tally.counts["torn"] += 1
        return found


def _read(found: Iterator[Block], session_id: str, wanted: frozenset[str]) -> pa.Table | None:
    tables: list[pa.Table] = []
    plan: _Plan | None = None
    waiting: deque[Future[pa.Table | None]] = deque()
    with ThreadPoolExecutor(_THREADS) as pool:
        for block in found:
            check_time()
            if not is_plain(block):
                return None
            places = numpy.append(0, ends_of(block.data) + 1)
            plan = _plan(block.data, places, wanted) if plan is None else plan
            if plan is None or not _has_known_names(block.data, plan):
                return None
            waiting.append(pool.submit(_converted, block.data, places, plan))
            if len(waiting) > _THREADS and not _take(waiting, tables):
                return None
        while waiting:
            if not _take(waiting, tables):
                return None
    return _joined(tables, session_id, wanted) if tables else None


def _take(waiting: deque[Future[pa.Table | None]], tables: list[pa.Table]) -> bool:
    table = waiting.popleft().result()
    if table is None or (tables and tables[-1][NUMBER][-1].as_py() >= table[NUMBER][0].as_py()):
        return False
    tables.append(table)
    return True


def _joined(tables: list[pa.Table], session_id: str, wanted: frozenset[str]) -> pa.Table:
    whole = pa.concat_tables(tables)
    if "session_id" not in wanted:
        return whole
    return whole.add_column(0, "session_id", pa.repeat(pa.scalar(session_id), whole.num_rows))


def _begin_right(data: bytes, starts: Any, numbers: Any) -> bool:
    """Whether each line begins with its number, as digits alone, and with a moment that is a number."""
    words = numpy.ndarray(len(data) - 7, "<u8", data, strides=(1,))
    if numbers[0] < 0 or not (words[starts] & _HEAD_BITS == _HEAD).all():
        return False
    behind = words[starts + _HEAD_LENGTH + 1 + numpy.searchsorted(_TENS, numbers, "right")]
    first = (behind >> numpy.uint64(8 * _HEAD_LENGTH)).astype(numpy.uint8)
    is_number = (first - numpy.uint8(ord("0")) <= 9) | (first == ord("-"))
    return bool(((behind & _HEAD_BITS) == _TIME).all() and is_number.all())


def _plan(lines: bytes, places: Places, wanted: frozenset[str]) -> _Plan | None:
    records = []
    for start, end in itertools.pairwise(places[: _LOOKED_AT + 1]):
        line = parse_line(lines[start : end - 1], 0)
        if not isinstance(line, Line) or not line.verified:
            return None
        records.append(line.data)
    keys = list(dict.fromkeys(key for record in records for key in record))
    names = named_columns(keys)
    if len({key.lower() for key in keys}) < len(keys) or not all(map(_is_simple, [*keys, *wanted])):
        return None
    kinds: dict[str, str] = {}
    for key, own in names.items():
        if own.lower() in wanted:
            kind = _kind([record[key] for record in records if record.get(key) is not None])
            if kind is None:
                return None
            kinds[key] = kind
    used = {own.lower() for own in names.values()}
    axes = tuple(axis for axis in _AXES if axis in wanted and axis not in used)
    if axes and not _has_axes(records, used):
        return None
    absent = sorted(wanted - used - {*_OWN, *axes})
    return _planned(names, kinds, axes, tuple(b'"%b":' % name.encode() for name in absent))


def _quoted(name: str) -> str:
    return f'"{name}"'


def _is_simple(name: str) -> bool:
    return name.isascii() and name.isprintable() and not set(name) & set("'\"\\")


def _has_axes(records: list[dict[str, Any]], used: set[str]) -> bool:
    """Whether x, y and z are of ``position``, which each record has as a list of numbers."""
    return used.isdisjoint(_AXES) and all(
        type(place := record.get("position")) is list and all(type(each) in (int, float) for each in place)
        for record in records
    )


def _kind(values: list[Any]) -> str | None:
    """Return the type of the column of these values; None: reading all columns has to say."""
    kinds = set(map(type, values))
    if kinds <= {int, float}:
        return None if not kinds else _NUMBER if float in kinds else _WHOLE
    if kinds == {str}:
        return _TEXT
    if kinds == {bool}:
        return "BOOLEAN"
    if kinds == {list} and {type(each) for value in values for each in value} in ({float}, {int, float}):
        return "DOUBLE[]"
    return None


_TYPES = {
    _TEXT: pa.string(), _NUMBER: pa.float64(), _WHOLE: pa.int64(), "BOOLEAN": pa.bool_(),
    "DOUBLE[]": pa.list_(pa.float64()),
}  # fmt: skip


def _planned(names: dict[str, str], kinds: dict[str, str], axes: tuple[str, ...], absent: tuple[bytes, ...]) -> _Plan:
    structure: dict[str, Any] = {NUMBER: _WHOLE, SIM_TIME: _NUMBER}
    structure |= {key: ["JSON"] if kind == "DOUBLE[]" else "JSON" for key, kind in kinds.items()}
    if axes:
        structure["position"] = ["JSON"]
    columns = [(NUMBER, _WHOLE, f"r.{NUMBER}"), ("sim_time", _NUMBER, f"r.{SIM_TIME}")]
    columns += [(names[key], kind, _value(f"r.{_quoted(key)}", kind)) for key, kind in kinds.items()]
    columns += [(axis, _NUMBER, _value(f'r."position"[{_AXES.index(axis) + 1}]', _NUMBER)) for axis in axes]
    shown = ", ".join(f"{sql} AS {_quoted(name)}" for name, _, sql in columns)
    return _Plan(
        pa.schema([(name, _TYPES[kind]) for name, kind, _ in columns]),
        f"SELECT {shown} FROM (SELECT from_json_strict(line, '{json.dumps(structure)}') AS r FROM _lines)",
        absent,
        bool(axes),
    )


def _value(json_sql: str, kind: str) -> str:
    """Return the value of a column from its JSON as SQL, which fails where that is of another type."""
    if kind == "DOUBLE[]":
        return f"{json_sql}::VARCHAR[]::DOUBLE[]"
    text = f"({json_sql}::VARCHAR)"
    if kind == _NUMBER:
        return f"{text}::DOUBLE"
    refused = f"error('not of type {kind}')"
    if kind == _WHOLE:  # a conversion rounds; only a whole number comes back as it was
        return f"CASE WHEN {text}::BIGINT::VARCHAR = {text} OR {text} IS NULL THEN {text}::BIGINT ELSE {refused} END"
    if kind == "BOOLEAN":
        return f"CASE {text} WHEN 'true' THEN true WHEN 'false' THEN false ELSE if({text} IS NULL, NULL, {refused}) END"
    return f"CASE WHEN {text}[1] = '\"' THEN {text}[2:-2] ELSE if({text} IS NULL, NULL, {refused}) END"


def _has_known_names(lines: bytes, plan: _Plan) -> bool:
    """Whether no line has a key that would change what a wanted name means."""
    if b"\\" in lines:
        return False  # texts are taken as they stand
    if plan.absent:
        small = lines.lower()
        if any(key in small for key in plan.absent):
            return False
    return not (plan.axes and _has_a_letter_in_quotes(lines))


def _has_a_letter_in_quotes(data: bytes) -> bool:
    """Whether x, y or z stands alone in quotes, in any case."""
    for start in range(0, len(data), 1 << 18):
        part = numpy.frombuffer(data, numpy.uint8, min((1 << 18) + 2, len(data) - start), start)
        quotes = part == ord('"')
        alone = quotes[:-2] & quotes[2:]
        alone &= ((part[1:-1] | 32) - numpy.uint8(ord("x"))) <= 2
        if alone.any():
            return True
    return False


def _converted(data: bytes, places: Places, plan: _Plan) -> pa.Table | None:
    """Return the columns of verified lines; None: they differ from the plan.

    Args:
        places: where the lines begin, and where the last one ends.
    """
    buffers = [None, pa.py_buffer(places.astype(numpy.int32)), pa.py_buffer(data)]
    lines = pa.Array.from_buffers(pa.string(), len(places) - 1, buffers)
    reader = engines.reader()
    reader.register("_lines", pa.table({"line": lines}))
    try:
        found = reader.sql(plan.sql).to_arrow_table()
    except duckdb.Error:
        return None
    table = pa.table([_array(found[field.name], field.type) for field in plan.schema], schema=plan.schema)
    if table[NUMBER].null_count or table["sim_time"].null_count:
        return None
    numbers = table[NUMBER].to_numpy()
    if not (numbers[1:] > numbers[:-1]).all() or not _begin_right(data, places[:-1], numbers):
        return None
    return table if all(is_exact(column.chunk(0)) for column in table.columns) else None


def _array(values: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    whole = values.combine_chunks()
    whole = whole.combine_chunks() if isinstance(whole, pa.ChunkedArray) else whole
    return whole if whole.type == kind else whole.cast(kind)
