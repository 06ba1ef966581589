"""Where a query reads a stream of several sessions from: the columns of a session that fit, else its lines.

A stream of an ended session that is worth it gets its columns by the first query. Columns are read when the query runs,
and of them only what it needs; sessions whose columns have one schema are one source.
Not here: making columns (analysis.columns), what lines hold (analysis.streams), running the query (analysis.query).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import pyarrow as pa
from pyarrow import compute, dataset, fs, parquet

from sessionstore.analysis import columns as column_cache
from sessionstore.analysis.arrow_columns import together
from sessionstore.analysis.column_types import common, leaves
from sessionstore.analysis.some_columns import some_columns
from sessionstore.analysis.streams import LeftOut, stream_table
from sessionstore.layout import StoreRoot
from sessionstore.session import Session, stream_source
from sessionstore.store import column_files
from sessionstore.store.column_files import ColumnFile

_DOUBLE_LIMIT = 1 << 53
_PARQUET = dataset.ParquetFileFormat()


@dataclass(slots=True)
class Source:
    """Sessions with one schema: files of columns, or one table.

    Attributes:
        names: the columns as a query sees them; ``position`` is made of x, y and z when ``axes`` is true.
    """

    schema: pa.Schema
    names: list[str]
    axes: bool = False
    files: tuple[ColumnFile, ...] = ()
    table: pa.Table | None = None

    def readable(self) -> Any:
        """Return what DuckDB reads: the table, or a data set of the files."""
        if self.table is not None:
            return self.table
        local = fs.LocalFileSystem()
        fragments = [_PARQUET.make_fragment(str(each.path), local) for each in self.files]
        return dataset.FileSystemDataset(fragments, self.schema, _PARQUET, local)

    def whole(self) -> pa.Table:
        """Return all of it as a table."""
        return self.table if self.table is not None else self.some(self.names)

    def some(self, names: list[str], where: Any = None) -> pa.Table:
        """Return some columns as a table, of the rows that fit an expression of Arrow."""
        stored = [name for name in names if not (self.axes and name == "position")]
        stored += [axis for axis in "xyz" if len(stored) < len(names) and axis not in stored]
        found = self.readable().to_table(columns=stored, filter=where)
        if len(stored) == len(names) and stored == names:
            return found
        lists = _positions(found)
        return pa.table({name: lists if name == "position" else found[name] for name in names})

    def expressions(self) -> list[str]:
        """Return the columns as SQL."""
        return [_position() if self.axes and name == "position" else quoted(name) for name in self.names]


def _positions(table: pa.Table) -> pa.Array:
    """Return the lists of x, y and z; null where there is no x."""
    axes = numpy.empty((table.num_rows, 3))
    for place, axis in enumerate("xyz"):
        axes[:, place] = table[axis].to_numpy()
    offsets = pa.array(numpy.arange(0, axes.size + 1, 3, dtype=numpy.int32))
    missing = compute.is_null(table["x"].combine_chunks()) if table["x"].null_count else None
    return pa.ListArray.from_arrays(offsets, pa.array(axes.reshape(-1)), mask=missing)


def quoted(name: str) -> str:
    """Return a name as SQL takes any."""
    return '"' + name.replace('"', '""') + '"'


def _position() -> str:
    return 'CASE WHEN x IS NULL THEN NULL ELSE [x, y, z] END AS "position"'


def sources_of(
    root: StoreRoot, name: str, session_ids: Iterable[str], left_out: LeftOut, wanted: frozenset[str] | None = None
) -> list[Source]:
    """Return where one stream of these sessions is read from; of the others no file is opened.

    Args:
        wanted: the names of all columns that are needed, in small letters, and perhaps others; None: all.
    """
    groups: dict[Any, list[ColumnFile]] = {}
    by_lines: list[str] = []
    for session_id in session_ids:
        found = columns_of(root, session_id, name)
        if found is None:
            by_lines.append(session_id)
            continue
        for kind, count in found.key.left_out.items():
            left_out.counts[name, kind] += count
        schema = parquet.read_schema(found.path)
        groups.setdefault((schema, tuple(found.key.names), found.key.axes), []).append(found)
    sources = [Source(schema, list(names), axes, tuple(each)) for (schema, names, axes), each in groups.items()]
    if by_lines or not sources:
        quick = None if wanted is None else functools.partial(some_columns, wanted)
        table = stream_table(root.text, name, by_lines, left_out, quick)
        if table.num_rows or not sources:
            sources.append(Source(table.schema, table.column_names, table=table))
    return sources if _fit(sources) else [_in_memory(sources)]


def columns_of(root: StoreRoot, session_id: str, name: str) -> ColumnFile | None:
    """Return the columns of one stream when they fit and are whole, made now where that gains; None: read the lines."""
    path = f"{root.text}/{session_id}/{name}.jsonl"
    if stream_source.status(path) is None:
        return None
    found = column_files.find(root, session_id, name)
    if found is not None and column_files.is_whole(found):
        return found
    if stream_source.size(path) < column_cache.WORTH_BYTES or not column_cache.made_by_queries(root):
        return None
    return column_cache.make_quietly(Session(root, session_id), name)


def make_view(engine: Any, name: str, sources: list[Source]) -> None:
    """Give an engine the table of one stream."""
    parts = []
    for number, source in enumerate(sources):
        own = f"_{name}_{number}"
        engine.register(own, source.readable())
        parts.append(f"SELECT {', '.join(source.expressions())} FROM {quoted(own)}")
    engine.execute(f"CREATE TEMP VIEW {quoted(name)} AS {' UNION ALL BY NAME '.join(parts)}").fetchall()


def _in_memory(sources: list[Source]) -> Source:
    table = together([source.whole() for source in sources])
    return Source(table.schema, table.column_names, table=table)


def _fit(sources: list[Source]) -> bool:
    """Whether the engine unites the sources exactly: each column has one type, or numbers that a double holds."""
    types: dict[str, set[pa.DataType]] = {}
    for source in sources:
        for field in source.schema:
            types.setdefault(field.name, set()).add(field.type)
    for name, kinds in types.items():
        if len(kinds) == 1:
            continue
        target = common(kinds)
        if target is None or "struct" in str(target) or not all(_holds(source, name) for source in sources):
            return False
    return len({name.lower() for name in types}) == len(types)


def _holds(source: Source, name: str) -> bool:
    """Whether no whole number of a column would be rounded in a double."""
    if name not in source.schema.names:
        return True
    kind = source.schema.field(name).type
    if "int" not in str(kind):
        return True
    if source.table is not None:
        values = source.table[name]
        while pa.types.is_list(values.type):
            values = compute.list_flatten(values)
        bounds = compute.min_max(values)
        return _is_small(bounds["min"].as_py(), bounds["max"].as_py())
    paths = set(leaves(name, kind))
    return all(_small_numbers(each.path, paths) for each in source.files)


def _small_numbers(path: Path, paths: set[str]) -> bool:
    metadata = parquet.read_metadata(path)
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            if column.path_in_schema in paths:
                stats = column.statistics
                if stats is None or (stats.has_min_max and not _is_small(stats.min, stats.max)):
                    return False
    return True


def _is_small(low: Any, high: Any) -> bool:
    return low is None or (abs(low) < _DOUBLE_LIMIT and abs(high) < _DOUBLE_LIMIT)
