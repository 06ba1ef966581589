"""Columns: a stream of an ended session as Parquet beside the JSON, made from verified lines, a cache for questions.

They are made in one pass with little memory (a second one where a column turns out to have another type), one row group
for each :data:`ROWS` records; the key holds their checksums. What was being made when a process died is not used, and a
stream that changed meanwhile keeps no columns.
Not here: where they are and whether they fit (store.column_files), what a query reads (analysis.sources).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import compute, parquet

from sessionstore.analysis import column_types
from sessionstore.analysis.flight_columns import base_of, packed_overview
from sessionstore.analysis.streams import named_columns, named_table
from sessionstore.analysis.verified_chunks import Chunk, ReadAgain, Rules, chunks
from sessionstore.disk import files
from sessionstore.errors import Conflict, NotApplied, OutcomeUnknown, SessionStoreError
from sessionstore.layout import StoreRoot
from sessionstore.model.field_rules import FINAL_STATUSES
from sessionstore.session import Session, stream_names, stream_source
from sessionstore.session.verified_blocks import Tally
from sessionstore.store import column_files
from sessionstore.store.column_files import ColumnFile, Derived, Key

ROWS = 1 << 16  # about half a minute of a hundred drones
#: A stream of no more bytes is read as fast as its columns would be.
WORTH_BYTES = 2 << 20
_AXES = ("x", "y", "z")


class _OtherColumns(Exception):
    """A chunk has a column or type that the file being written cannot take."""


class _Parts:
    """Where the Parquet writer writes: the bytes are handed on in parts, with their size and checksums."""

    def __init__(self) -> None:
        self.closed, self._waiting = False, list[bytes]()
        self.size, self.crc32 = 0, 0

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._waiting.append(part)
        self.size, self.crc32 = self.size + len(part), zlib.crc32(part, self.crc32)
        return len(part)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        self.closed = True

    def take(self) -> bytes:
        found, self._waiting = b"".join(self._waiting), []
        return found


#: The setting ``columns`` of a store: by the first query that gains (the default), also when a run ends, or never.
SETTINGS = ("query", "end", "never")


def made_by_queries(root: StoreRoot) -> bool:
    """Whether queries make columns. Raises: NewerFormat, Corrupt."""
    return (root.settings() or {}).get("columns") != "never"


def make(session: Session, stream: str) -> ColumnFile | None:
    """Make the columns of one stream of an ended session, durably; None: it has no records.

    Raises:
        Conflict: the stream was written to meanwhile.
        NotApplied: the session runs. StoreUnusable, OutcomeUnknown, UnsafeFile: the place or the stream refuses.
    """
    if session.record.status not in FINAL_STATUSES:
        raise NotApplied(f"{session.session_id} has not ended: columns are made of ended sessions")
    source = session.stream_path(stream)
    if stream_source.is_elsewhere(source):
        raise NotApplied(f"{source.name} is in a remote store, which is read in place")
    stamp = column_files.stamp_of(source)
    if stamp is None or not stamp.size:
        return None
    if not column_files.settled(stamp):
        raise Conflict(f"{source.name} changed a moment ago")
    root = session.root
    folder = column_files.folder_of(root, session.session_id)
    files.make_dirs(folder)
    path = folder / f"{stream}{column_files.PARQUET}"
    made = _Making(session, stream).place(path)
    if made is None:
        column_files.drop(root, session.session_id, stream)
        return None
    parts, tally, rows, axes, names, mixed = made
    overview = _place_overview(session, stream, path, axes, names)
    if column_files.stamp_of(source) != stamp:
        column_files.drop(root, session.session_id, stream)
        raise Conflict(f"{source.name} changed while its columns were made")
    footer = column_files.footer_crc32(path, parts.size)
    assert tally.crc32 is not None and footer is not None
    key = Key(
        column_files.FORMAT, stamp, tally.crc32, rows, Derived(parts.size, parts.crc32), footer,
        dict(tally.counts), axes, names, overview, sorted(mixed),
    )  # fmt: skip
    column_files.place_key(path, key)
    return ColumnFile(path, key)


def _place_overview(session: Session, stream: str, path: Path, axes: bool, names: list[str]) -> Derived | None:
    if stream != stream_names.MOTION or (data := packed_overview(path, axes, names, base_of(session))) is None:
        return None
    files.put(path.with_suffix(column_files.OVERVIEW), data)
    return Derived(len(data), zlib.crc32(data))


class _Making:
    """One Parquet file in the making."""

    def __init__(self, session: Session, stream: str) -> None:
        self._session, self._source = session, session.stream_path(stream)
        self._rules, self._schema = Rules(), pa.schema([])
        self._parts, self._tally = _Parts(), Tally(crc32=0)
        self._rows, self._axes = 0, False
        self._mixed = set[str]()  # keys whose values of several kinds stand as text

    def place(self, path: Any) -> tuple[_Parts, Tally, int, bool, list[str], set[str]] | None:
        """Write the file; None: there are no records. It is written again when the stream needs other rules."""
        known = False
        while True:
            self._parts, self._tally, self._rows = _Parts(), Tally(crc32=0), 0
            try:
                if known:
                    self._schema = self._all_columns()
                files.put(path, self._written(known))
                break
            except ReadAgain as again:
                self._rules, known = self._rules.with_those_of(again), False
            except _OtherColumns:
                known = True
        if not self._rows:
            return None
        names = ["session_id", "n", "sim_time", *named_columns(self._schema.names).values()]
        if self._has_axes():
            names += _AXES
        return self._parts, self._tally, self._rows, self._axes, names, self._mixed

    def _has_axes(self) -> bool:
        return "position" in self._schema.names and not {name.lower() for name in self._schema.names} & set(_AXES)

    def _written(self, known: bool) -> Iterator[bytes]:
        """Yield the bytes of the file. Raises: ReadAgain, _OtherColumns."""
        waiting: list[pa.Table] = []
        writer: Any = None
        for chunk in chunks(self._source, self._tally, self._rules):
            if writer is None:
                if not known:
                    self._schema = _schema_of(chunk)
                    self._axes = self._has_axes_only(chunk)
                writer = self._writer()
            waiting.append(self._fitting(chunk))
            if sum(table.num_rows for table in waiting) >= ROWS:
                waiting = [self._write(writer, pa.concat_tables(waiting))]
                yield self._parts.take()
        if writer is not None:
            writer.write_table(pa.concat_tables(waiting))
            writer.close()
        yield self._parts.take()

    def _has_axes_only(self, chunk: Chunk) -> bool:
        return self._has_axes() and _three_doubles(chunk.data["position"])

    def _all_columns(self) -> pa.Schema:
        """Read the stream for its columns alone. Raises: ReadAgain: some have to be read as text."""
        types: dict[str, pa.DataType] = {}
        text, axes = set(), True
        for chunk in chunks(self._source, Tally(), self._rules):
            for each in chunk.data.schema:
                found = column_types.common([types.get(each.name, pa.null()), each.type])
                if found is None:
                    text.add(each.name)
                else:
                    types[each.name] = found
            axes = axes and ("position" not in chunk.data.column_names or _three_doubles(chunk.data["position"]))
        if text:
            raise ReadAgain(Rules(frozenset(text)))
        found = pa.schema([(name, column_types.whole(kind)) for name, kind in types.items()])
        self._schema = found
        self._axes = axes and self._has_axes() and found.field("position").type == pa.list_(pa.float64())
        return found

    def _file_schema(self) -> pa.Schema:
        fields = [pa.field("session_id", pa.string()), pa.field("n", pa.int64()), pa.field("sim_time", pa.float64())]
        for key, own in named_columns(self._schema.names).items():
            if not (self._axes and key == "position"):
                fields.append(pa.field(own, self._schema.field(key).type))
        if self._has_axes():
            fields += [pa.field(axis, pa.float64()) for axis in _AXES]
        return pa.schema(fields)

    def _writer(self) -> Any:
        schema = self._file_schema()
        leaves = [leaf for field in schema for leaf in column_types.leaves(field.name, field.type)]
        return parquet.ParquetWriter(
            pa.PythonFile(self._parts, mode="w"),
            schema,
            compression="zstd",
            use_dictionary=[leaf for leaf in leaves if leaf != "n"],
            column_encoding={"n": "DELTA_BINARY_PACKED"},
        )

    def _write(self, writer: Any, table: pa.Table) -> pa.Table:
        """Write whole row groups, and return the rows that are left."""
        ready = table.num_rows // ROWS * ROWS
        writer.write_table(table.slice(0, ready), row_group_size=ROWS)
        return table.slice(ready)

    def _fitting(self, chunk: Chunk) -> pa.Table:
        """Return a chunk with the columns of the file. Raises: _OtherColumns, ReadAgain."""
        data = chunk.data
        if not set(data.column_names) <= set(self._schema.names):
            raise _OtherColumns
        columns: dict[str, Any] = {}
        for field in self._schema:
            if field.name not in data.column_names:
                columns[field.name] = pa.nulls(len(chunk.n), field.type)
                continue
            values = data[field.name]
            if column_types.common([field.type, values.type]) != field.type:
                raise _OtherColumns
            try:
                columns[field.name] = column_types.cast(values, field.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                raise ReadAgain(Rules(frozenset([field.name]))) from None
        if self._axes and not _three_doubles(columns["position"]):
            raise _OtherColumns
        self._rows += len(chunk.n)
        self._mixed |= chunk.mixed
        return _named(self._session.session_id, chunk, pa.table(columns), self._file_schema())


def _named(session_id: str, chunk: Chunk, data: pa.Table, schema: pa.Schema) -> pa.Table:
    whole = named_table(session_id, chunk.n, chunk.t_s, data)
    return whole.select(schema.names).cast(schema)


def _schema_of(chunk: Chunk) -> pa.Schema:
    """Return the columns of a chunk; a part that is null in all of it is taken for text until another chunk comes."""
    return pa.schema([(each.name, column_types.whole(each.type)) for each in chunk.data.schema])


def _three_doubles(positions: Any) -> bool:
    """Whether each is null or three numbers, so that x, y and z hold all of them."""
    if positions.null_count == len(positions):
        return True
    if positions.type != pa.list_(pa.float64()):
        return False
    lengths = compute.min_max(compute.list_value_length(positions))
    if lengths["min"].as_py() != 3 or lengths["max"].as_py() != 3:
        return False
    return bool(compute.list_flatten(positions).null_count == 0)


def make_all(session: Session, failed: Callable[[str, str], None] | None = None) -> list[ColumnFile]:
    """Make the columns of all streams of a session that gain by it and have none. Args: failed: gets (stream, reason).

    Raises: as :func:`make`, but for single streams, which are reported.
    """
    made = []
    for name, tape in session.tapes().items():
        if tape.size() < WORTH_BYTES or column_files.find(session.root, session.session_id, name) is not None:
            continue
        try:
            found = make(session, name)
        except (SessionStoreError, OSError) as error:
            if failed is None:
                raise
            failed(name, f"{type(error).__name__}: {error}")
            continue
        if found is not None:
            made.append(found)
    return made


def make_quietly(session: Session, stream: str) -> ColumnFile | None:
    """Make columns where that is possible: a store that cannot be written, or a stream that changes, has none."""
    try:
        return make(session, stream)
    except (NotApplied, OutcomeUnknown, OSError):
        return None
