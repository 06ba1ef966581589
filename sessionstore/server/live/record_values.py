"""Values of records that a row of the index does not hold: metrics, provenance, notes; read once for each revision.

A list that is sorted or grouped by such a value reads the record of each session it has not seen yet: at most
:data:`MOST_READ` for one question where there are no columns. A session that cannot be read, or has no such value, has
None.
Not here: values that a row holds (store.grouping, store.find), columns of them (server.live.record_columns).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from sessionstore.errors import InvalidQuery, SessionStoreError
from sessionstore.index.filtering import sort_key
from sessionstore.model.row import SessionRow
from sessionstore.server.live.record_columns import RecordColumns
from sessionstore.store import SessionStore

MOST_READ = 20_000
_MOST_KEPT = 200_000
#: What a name begins with.
PLACES = ("metrics", "provenance")
SEED = "seed"


def is_record_value(name: str) -> bool:
    """Return whether a name is of a value that rows do not hold."""
    return name == SEED or (name.partition(".")[0] in PLACES and "." in name)


def metric(metrics: Any, path: list[str]) -> Any:
    """Return a metric by its path; a bare name is looked for among the last values and the totals too."""
    places: tuple[list[str], ...] = ([], ["last"], ["totals"])
    return next((found for place in places if (found := under(metrics, [*place, *path])) is not None), None)


def under(value: Any, keys: list[str]) -> Any:
    """Return the value under keys; None where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


class RecordValues:
    """Safe for threads."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._known: dict[tuple[str, str, int, int], Any] = {}
        self._mutex = threading.Lock()
        self.columns = RecordColumns(store, value_of, self._read)

    def of(self, rows: Sequence[SessionRow], name: str) -> list[Any]:
        """Return the value of each row. Raises: InvalidQuery: too many records would have to be read."""
        keys = [(name, row.session_id, row.rev, row.mtime_ns) for row in rows]
        with self._mutex:
            if len(self._known) > _MOST_KEPT:
                self._known.clear()
            lacking = [(key, row) for key, row in zip(keys, rows, strict=True) if key not in self._known]
        if len(lacking) > MOST_READ:
            raise InvalidQuery(
                f"{name} is not in the index: it is read from at most {MOST_READ:,} records, not {len(lacking):,}; "
                "narrow the filter"
            )
        read = {key: self._read(row.session_id, name) for key, row in lacking}
        with self._mutex:
            self._known.update(read)
            return [read[key] if key in read else self._known.get(key) for key in keys]

    def _read(self, session_id: str, name: str) -> Any:
        try:
            record = self._store.get(session_id).record
        except SessionStoreError:
            return None
        return value_of(name, record.performance_metrics, record.provenance, record.metadata)


def value_of(name: str, metrics: Any, provenance: Any, metadata: Any) -> Any:
    """Return the value of a name from these parts of a record; None where there is none."""
    if name == SEED:
        found = under(provenance, [SEED])
        return under(metadata, [SEED]) if found is None else found
    place, _, rest = name.partition(".")
    return metric(metrics, rest.split(".")) if place == "metrics" else under(provenance, rest.split("."))


def in_order(rows: Sequence[SessionRow], values: Sequence[Any], down: bool) -> list[SessionRow]:
    """Return rows by their values: numbers by size, then texts; those without a value last, either way."""
    keyed = [(sort_key(value), row) for value, row in zip(values, rows, strict=True)]
    known = [(key, row) for key, row in keyed if key is not None]
    return [row for _, row in sorted(known, key=itemgetter(0), reverse=down)] + [
        row for key, row in keyed if key is None
    ]
