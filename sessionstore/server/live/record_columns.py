"""Values of records that rows do not hold, as columns: large lists sorted by a metric, or grouped by it.

The column of a name (``metrics.totals.distance_m``) is made by reading every record once, and kept beside the columns
of fields; from then on this process reads only records whose file changed, and another one those that were put since
the index was last written anew, or all when it was. All rows are asked for on engines without columns, of few sessions,
of values without a place in a column (numbers beyond 2**53), and where more than :data:`MOST_READ` records are unread.
Not here: what a name means (server.live.record_values).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from sessionstore.disk import files
from sessionstore.errors import SessionStoreError
from sessionstore.index import PagesDamaged, PageView
from sessionstore.index.filtering import sort_key
from sessionstore.index.journal.field_column import FieldColumn
from sessionstore.index.journal.heads import Heads
from sessionstore.index.journal.masks import NoColumn
from sessionstore.index.journal.pages import PageView as ColumnView
from sessionstore.index.journal.table import Codes, Table
from sessionstore.layout import DOCUMENT
from sessionstore.model.row import SessionRow
from sessionstore.query import Filter
from sessionstore.store import SessionStore, open_runs
from sessionstore.store.catalog import tree_of
from sessionstore.store.column_groups import groups_of
from sessionstore.store.folder_rows import MISSING_FOLDER, UNREADABLE
from sessionstore.store.grouping import Group, path_of

#: Records that one question may read for a column: 100,000 take some 2 s of CPU.
MOST_READ = 200_000
_MOST_LATE = 100_000
_PLACE = "\0record"  # no field is named so


class _Record(msgspec.Struct):
    performance_metrics: Any = {}
    provenance: Any = {}
    metadata: Any = {}


class _Document(msgspec.Struct):
    session: dict[str, _Record]


_decode = msgspec.json.Decoder(_Document).decode


class RecordColumns:
    """The columns of one store; safe for threads.

    Args:
        value: gives the value of a name from performance_metrics, provenance and metadata of a record.
        read: gives it of a session, in the exact way.
    """

    def __init__(
        self, store: SessionStore, value: Callable[[str, Any, Any, Any], Any], read: Callable[[str, str], Any]
    ) -> None:
        self._store, self._value, self._read_exactly = store, value, read
        self._mutex = threading.Lock()
        self._before: dict[str, tuple[Heads, FieldColumn]] = {}
        self._late: dict[tuple[str, str, int, int], Any] = {}

    def page(
        self, where: str | None, name: str, descending: bool, offset: int, limit: int
    ) -> tuple[list[SessionRow], int] | None:
        """Return the rows of a page in the order of a value, and how many fit; None where all rows are to be asked.

        Equal ones stand newest first; those without the value last, in either direction.
        Raises: InvalidQuery: the filter.
        """
        tree = tree_of(where or None)

        def ask(view: PageView) -> tuple[list[SessionRow], int] | None:
            found = self._codes(view, tree, name)
            if found is None:
                return None
            table, codes = found
            places = in_order(table, codes, descending)[offset : offset + limit]
            return [table.row(int(at)) for at in places], table.count

        return self._store.catalog.pages.seen(ask)

    def groups(self, where: str | None, name: str, of: Sequence[str]) -> tuple[list[Group], int] | None:
        """Return the groups of a value, and how many sessions fit; None where all rows are to be asked."""
        tree = tree_of(where or None)

        def ask(view: PageView) -> tuple[list[Group], int] | None:
            with contextlib.suppress(NoColumn):
                found = self._codes(view, tree, name, of)
                return None if found is None else (groups_of(*found, of), found[0].count)
            return None

        return self._store.catalog.pages.seen(ask)

    def _codes(
        self, view: PageView, tree: Filter | None, name: str, of: Sequence[str] = ()
    ) -> tuple[Table, Codes] | None:
        if not isinstance(view, ColumnView):
            return None
        catalog = self._store.catalog
        with self._mutex, contextlib.suppress(NoColumn):
            found = view.computed((_PLACE, name), lambda heads: self._of_heads(heads, name))
            if found is None:
                return None
            self._before[name] = found
            why = catalog.interrupted(view.active())
            paths = [path_of(each) for each in of]
            table = view.table(tree, why, paths, lambda rows: open_runs.completed(catalog.root, rows))
            return table, table.computed(found[1], [self._of_late(row, name) for row in table.late])
        return None

    def _of_late(self, row: SessionRow, name: str) -> Any:
        key = name, row.session_id, row.size, row.mtime_ns
        if key not in self._late:
            if len(self._late) >= _MOST_LATE:
                self._late.clear()
            self._late[key] = self._read(row.session_id, row.status, (row.size, row.mtime_ns), name)
        return self._late[key]

    def _of_heads(self, heads: Heads, name: str) -> list[Any]:
        """Return the value of each row; what is known of an earlier state of the columns is not read again."""
        ids, statuses = heads.ids(), heads.all_statuses()
        stamps = list(zip(heads.numbers("size", "q"), heads.numbers("mtime", "q"), strict=True))
        known = self._known(name)
        lacking = sum(key not in known for key in zip(ids, stamps, strict=True))
        if lacking > MOST_READ:
            raise NoColumn
        return [
            known[session_id, stamp] if (session_id, stamp) in known else self._read(session_id, status, stamp, name)
            for session_id, status, stamp in zip(ids, statuses, stamps, strict=True)
        ]

    def _known(self, name: str) -> dict[tuple[str, tuple[int, int]], Any]:
        if name not in self._before:
            return {}
        heads, column = self._before[name]
        try:
            stamps = zip(heads.numbers("size", "q"), heads.numbers("mtime", "q"), strict=True)
            values = [*column.values, None]
            found = zip(zip(heads.ids(), stamps, strict=True), column.codes(), strict=True)
            return {key: values[code] for key, code in found}
        except PagesDamaged:
            del self._before[name]
            return {}

    def _read(self, session_id: str, status: str, stamp: tuple[int, int], name: str) -> Any:
        """Return the value of a session; None without one."""
        if status in (UNREADABLE, MISSING_FOLDER):
            return None
        try:
            data, found = files.read(f"{self._store.root.text}/{session_id}/{DOCUMENT}")
            if (found.st_size, files.changed_ns(found)) == stamp:  # it was checked when its row was made
                (record,) = _decode(data).session.values()
                return self._value(name, record.performance_metrics, record.provenance, record.metadata)
        except (OSError, SessionStoreError, ValueError):  # the exact way says what it is
            pass
        return self._read_exactly(session_id, name)


def in_order(table: Table, found: Codes, descending: bool) -> Any:
    """Return the places of a table in the order of a field: equal ones as they are, those without a value last."""
    keys = [sort_key(value) for value in found.values]
    ranks = {key: rank for rank, key in enumerate(sorted({key for key in keys if key is not None}))}
    sign, last = -1 if descending else 1, len(ranks) + 1
    signed = [last if key is None else sign * ranks[key] for key in keys] + [last]
    if table.numpy is not None:
        return table.numpy.argsort(table.numpy.array(signed)[found.codes], kind="stable")
    return sorted(range(table.count), key=lambda at: signed[found.codes[at]])
