"""Decisions and their outcomes over all sessions of a store, one flat row each, ready for a table.

Rows keep the order of the sessions and, in each, of the outcomes. A session without decisions gives no rows;
one that cannot be read raises, since a data set with a silent hole is worse than none.
Not here: where decisions come from (mission.decisions, mission.roles), files (the caller has the output).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

from sessionstore.session import stream_names
from sessionstore.store import SessionStore

STREAM = stream_names.TRAINING
OWN_COLUMNS = ("session_id", "seed", "scenario", "t")
GROUPS = ("features", "decision", "outcome")
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run such a cell


def training_rows(store: SessionStore, where: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield one row per decision of every session that a filter fits.

    Raises:
        InvalidQuery: before the first row. Corrupt, SessionGone: at the session that cannot be read.
    """
    for found in sorted(store.find(where), key=lambda row: row.session_id):
        session = store.get(found.session_id)
        tape = session.tape(STREAM)
        if not tape.exists():
            continue
        record = session.record
        head = {
            "session_id": record.session_id,
            "seed": record.provenance.get("seed"),
            "scenario": record.metadata.get("scenario"),
        }
        for line in tape.in_time(damaged="raise"):
            row = _flat(line.data)  # a column of ours has its own name: a record's key of this name gets "data."
            yield {**head, "t": line.t_s, **{f"data.{key}" if key in OWN_COLUMNS else key: row[key] for key in row}}


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """features.battery and the like in place of nested objects."""
    row: dict[str, Any] = {}
    for key, value in record.items():
        if key in GROUPS and isinstance(value, Mapping):
            row.update({f"{key}.{name}": inner for name, inner in value.items()})
        else:
            row[key] = value
    return row


def write_json_lines(rows: Iterable[Mapping[str, Any]], out: IO[str]) -> int:
    """Write one JSON object a line; return how many."""
    count = 0
    for row in rows:
        out.write(json.dumps(row, ensure_ascii=False) + "\n")
        count += 1
    return count


def write_csv(rows: Iterable[Mapping[str, Any]], out: IO[str]) -> int:
    """Write a table with a column for every name that occurs; return how many rows."""
    kept = list(rows)
    columns = list(dict.fromkeys(name for row in kept for name in row))
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in kept)
    return len(kept)


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_SIGNS) else value
