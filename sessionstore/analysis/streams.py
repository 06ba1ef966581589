"""A stream of several sessions as one table: verified records of the latest attempt, each once.

Left out and counted by kind: lines that were edited or written by hand, damaged ones, torn tails, repeated numbers, and
lines that a later attempt replaced. A file that cannot be opened as a stream is counted as unreadable. No kind of
content fails a query.
Columns: ``session_id``, ``n``, ``sim_time`` (seconds), then the keys of the records; a record's own key of such a name
(in any case) gets a number behind it. ``position`` is also there as ``x``, ``y`` and ``z`` (metres).
Not here: reading and verifying lines (analysis.verified_chunks), the cached columns (analysis.columns).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from pyarrow import compute

from sessionstore.analysis.arrow_columns import together
from sessionstore.analysis.column_types import cast, common, whole
from sessionstore.analysis.verified_chunks import Chunk, ReadAgain, Rules, chunks
from sessionstore.errors import SessionStoreError
from sessionstore.session import stream_source
from sessionstore.session.stream_check import KINDS
from sessionstore.session.verified_blocks import Tally

_REASONS = {
    **KINDS,
    "replaced": "replaced by a later attempt",
    "unreadable": "the file cannot be read as a stream",
}


@dataclass(slots=True)
class LeftOut:
    """How many lines an answer leaves out, by stream and kind."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def sentences(self) -> list[str]:
        """Return one sentence for each stream and kind."""
        return [
            f"{name}: {count} left out: {_REASONS.get(kind, kind)}"
            for (name, kind), count in sorted(self.counts.items())
        ]


def empty_table() -> pa.Table:
    """Return the table of a stream that no session has."""
    return pa.table(
        {
            "session_id": pa.array([], pa.string()),
            "n": pa.array([], pa.int64()),
            "sim_time": pa.array([], pa.float64()),
        }
    )


#: Reads some columns of a stream (path, session_id, tally); None: all have to be read.
Quick = Callable[[Path, str, Tally], "pa.Table | None"]


def stream_table(
    root: str, name: str, session_ids: Iterable[str], left_out: LeftOut, quick: Quick | None = None
) -> pa.Table:
    """Return one stream of these sessions; of the others no file is opened."""
    tables = []
    for session_id in session_ids:
        path = f"{root}/{session_id}/{name}.jsonl"
        if stream_source.status(path) is None:
            continue
        try:
            table = _some(Path(path), session_id, name, left_out, quick)
            table = file_table(Path(path), session_id, name, left_out) if table is None else table
        except (SessionStoreError, OSError):
            left_out.counts[name, "unreadable"] += 1
            continue
        if table.num_rows:
            tables.append(table)
    return together(tables) if tables else empty_table()


def _some(path: Path, session_id: str, name: str, left_out: LeftOut, quick: Quick | None) -> pa.Table | None:
    tally = Tally()
    table = None if quick is None else quick(path, session_id, tally)
    if table is not None:
        left_out.counts.update({(name, kind): count for kind, count in tally.counts.items()})
    return table


def file_table(path: Path, session_id: str, name: str, left_out: LeftOut) -> pa.Table:
    """Return the records of one file. Raises: UnsafeFile, StoreUnusable, OSError: it cannot be opened."""
    rules = Rules()
    while True:
        tally = Tally()
        try:
            found = list(chunks(path, tally, rules))
            data = _united(found)
            break
        except ReadAgain as again:
            rules = rules.with_those_of(again)
    for kind, count in tally.counts.items():
        left_out.counts[name, kind] += count
    n = pa.chunked_array([chunk.n for chunk in found], pa.int64())
    t_s = pa.chunked_array([chunk.t_s for chunk in found], pa.float64())
    return named_table(session_id, n, t_s, data)


def _united(found: list[Chunk]) -> pa.Table:
    """Return the data of chunks as one table. Raises: ReadAgain: columns of several kinds have to be read as text."""
    names = dict.fromkeys(name for chunk in found for name in chunk.data.column_names)
    columns, as_text = {}, set()
    for name in names:
        parts = [chunk.data[name] if name in chunk.data.column_names else len(chunk.n) for chunk in found]
        target = common(part.type for part in parts if not isinstance(part, int))
        if target is None:
            as_text.add(name)
            continue
        target = whole(target)
        try:
            columns[name] = pa.chunked_array([each for part in parts for each in _chunks_of(part, target)], target)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            as_text.add(name)
    if as_text:
        raise ReadAgain(Rules(frozenset(as_text)))
    return pa.table(columns)


def _chunks_of(part: pa.ChunkedArray | int, target: pa.DataType) -> list[pa.Array]:
    if isinstance(part, int):
        return [pa.nulls(part, target)]
    found: list[pa.Array] = cast(part, target).chunks
    return found


def named_table(session_id: str, n: pa.ChunkedArray, t_s: pa.ChunkedArray, data: pa.Table) -> pa.Table:
    """Return records as a query sees them: see the columns of this module."""
    columns: dict[str, Any] = {"session_id": pa.repeat(pa.scalar(session_id), len(n)), "n": n, "sim_time": t_s}
    for key, own in named_columns(data.column_names).items():
        columns[own] = data[key]
    _add_coordinates(columns)
    return pa.table(columns)


def named_columns(keys: Iterable[str]) -> dict[str, str]:
    """Return the column of each key; SQL compares names without case."""
    used = {"session_id", "n", "sim_time"}
    found: dict[str, str] = {}
    for key in keys:
        name, number = key or "_", 1
        while name.lower() in used:
            number += 1
            name = f"{key}_{number}"
        used.add(name.lower())
        found[key] = name
    return found


def _add_coordinates(columns: dict[str, Any]) -> None:
    positions = columns.get("position")
    used = {name.lower() for name in columns}
    if positions is None or not used.isdisjoint("xyz"):
        return
    for place, axis in enumerate("xyz"):
        columns[axis] = _coordinates(positions, place)


def _coordinates(positions: pa.ChunkedArray, place: int) -> pa.ChunkedArray:
    """Return one coordinate of each position; null where there is no such number."""
    kind = positions.type
    if pa.types.is_list(kind) and (pa.types.is_integer(kind.value_type) or pa.types.is_floating(kind.value_type)):
        lengths = compute.min_max(compute.list_value_length(positions))["min"].as_py()
        if lengths is not None and lengths > place:
            return compute.list_element(positions, place).cast(pa.float64(), safe=False)
    values = [_decoded(value) if isinstance(value, str) else value for value in positions.to_pylist()]
    return pa.chunked_array([pa.array([_coordinate(value, place) for value in values], pa.float64())])


def _decoded(text: str) -> Any:
    """Return the position that stands as text because positions are of several kinds."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None


def _coordinate(position: Any, place: int) -> float | None:
    if type(position) is not list or len(position) <= place or type(position[place]) not in (int, float):
        return None
    return float(position[place])
