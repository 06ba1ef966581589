"""A stream of several sessions as one table: verified records of the latest attempt, each once.

Left out and counted by kind: lines that were edited or written by hand, damaged ones, torn tails, repeated numbers, and
lines that a later attempt replaced. A file that cannot be opened as a stream is counted as unreadable. No kind of
content fails a query.
Columns: ``session_id``, ``n``, ``sim_time`` (seconds), then the keys of the records; a record's own key of such a name
(in any case) gets a number behind it. ``position`` is also there as ``x``, ``y`` and ``z`` (metres).
Not here: the form of a line (session.stream_line), the order of arrival (session.stream_order).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from sessionstore.analysis.arrow_columns import table_of, together
from sessionstore.disk import files
from sessionstore.errors import SessionStoreError
from sessionstore.session import stream_source
from sessionstore.session.stream_check import KINDS
from sessionstore.session.stream_line import Damage, Line
from sessionstore.session.stream_reader import Tape
from sessionstore.session.stream_tail import tail_of

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


def stream_table(root: str, name: str, session_ids: Iterable[str], left_out: LeftOut) -> pa.Table:
    """Return one stream of these sessions; of the others no file is opened."""
    tables = []
    for session_id in session_ids:
        path = f"{root}/{session_id}/{name}.jsonl"
        if files.status(path) is None:
            continue
        try:
            table = file_table(Path(path), session_id, name, left_out)
        except (SessionStoreError, OSError):
            left_out.counts[name, "unreadable"] += 1
            continue
        if table.num_rows:
            tables.append(table)
    return together(tables) if tables else empty_table()


def file_table(path: Path, session_id: str, name: str, left_out: LeftOut) -> pa.Table:
    """Return the records of one file. Raises: UnsafeFile, StoreUnusable, OSError: it cannot be opened."""
    lines = _records(Tape(path), name, left_out.counts)
    columns: dict[str, list[Any]] = {
        "session_id": [session_id] * len(lines),
        "n": [line.n for line in lines],
        "sim_time": [line.t_s for line in lines],
    }
    for key, own in _column_names(lines, columns).items():
        columns[own] = [line.data.get(key) for line in lines]
    _add_coordinates(columns)
    return table_of(columns)


def _records(tape: Tape, name: str, counts: Counter[tuple[str, str]]) -> list[Line]:
    def damaged(found: Damage) -> None:
        counts[name, found.kind if found.kind in KINDS else "damaged"] += 1

    order, seen, kept = tape.order(), set[int](), list[Line]()
    for line in tape.read(damaged="skip", on_damage=damaged):
        if not line.verified:
            kind = str(line.remark)
        elif line.n in seen:
            kind = "repeated"
        elif order.cuts and order.replaced(line):
            kind = "replaced"
        else:
            seen.add(line.n)
            kept.append(line)
            continue
        counts[name, kind or "unverified"] += 1
    with stream_source.opened(tape.path) as source:
        torn = bool(tail_of(source).torn)
    if torn:
        counts[name, "torn"] += 1
    return kept


def _column_names(lines: list[Line], taken: Iterable[str]) -> dict[str, str]:
    """Return the column of each key; SQL compares names without case."""
    used = {name.lower() for name in taken}
    found: dict[str, str] = {}
    for key in dict.fromkeys(key for line in lines for key in line.data):
        name, number = key or "_", 1
        while name.lower() in used:
            number += 1
            name = f"{key}_{number}"
        used.add(name.lower())
        found[key] = name
    return found


def _add_coordinates(columns: dict[str, list[Any]]) -> None:
    positions = columns.get("position")
    used = {name.lower() for name in columns}
    if positions is None or not used.isdisjoint("xyz"):
        return
    for place, axis in enumerate("xyz"):
        columns[axis] = [_coordinate(value, place) for value in positions]


def _coordinate(position: Any, place: int) -> float | None:
    if type(position) is not list or len(position) <= place or type(position[place]) not in (int, float):
        return None
    return float(position[place])
