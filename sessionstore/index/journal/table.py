"""The rows that fit a filter, newest first, as columns of codes: what groups and their figures are computed from.

A field is its different values and one code a row (the place of its value; -1: it has none). With numpy, if it is
there, a million rows take some tens of milliseconds; else they are plain lists.
Not here: which rows fit (index.journal.masks), groups (store.column_groups).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sessionstore.index.journal.columns import Columns
from sessionstore.index.journal.field_column import FieldColumn, rows_of
from sessionstore.index.journal.masks import column_of
from sessionstore.model.row import SessionRow
from sessionstore.query import MISSING, Path

#: From this number of rows on numpy is imported (0.1 s) where it is there.
NUMPY_FROM = 20_000
_DAY = len("2026-11-23")


class Codes(NamedTuple):
    """One field of the rows of a table: ``values`` and ``codes``, a numpy array of integers or a list."""

    values: list[Any]
    codes: Any


class Table:
    """Rows of the columns, and rows that were put since.

    Args:
        mask: which rows of the columns belong to it.
        late: further rows, oldest first, each with the number of the row that it stands before.
    """

    def __init__(self, columns: Columns, mask: bytearray, late: Sequence[tuple[int, SessionRow]]) -> None:
        self._columns, self.late = columns, [row for _, row in late]
        self.numpy = numpy_for(columns.heads.count)
        self._order = self._ordered(mask, [position for position, _ in late])
        self.count = len(self._order)

    def _ordered(self, mask: bytearray, positions: list[int]) -> Any:
        """Return the numbers of the rows, newest first; those of late rows go on behind the columns."""
        total, np = len(mask), self.numpy
        if np is not None:
            rows = np.flatnonzero(np.frombuffer(mask, "u1"))
            places = np.searchsorted(rows, np.array(positions, rows.dtype))
            return np.insert(rows, places, total + np.arange(len(positions), dtype=rows.dtype))[::-1]
        keyed = [(row, 1, row) for row in rows_of(mask)]
        keyed += [(position, 0, total + number) for number, position in enumerate(positions)]
        return [number for _, _, number in sorted(keyed, reverse=True)]

    def created(self, at: int) -> str:
        """Return when the row at a place of the table was created."""
        number, count = int(self._order[at]), self._columns.heads.count
        return self._columns.heads.created(number) if number < count else self.late[number - count].created_at

    def session_id(self, at: int) -> str:
        """Return the id of the row at a place of the table."""
        number, count = int(self._order[at]), self._columns.heads.count
        return self._columns.heads.ids()[number] if number < count else self.late[number - count].session_id

    def row(self, at: int) -> SessionRow:
        """Return the row at a place of the table. Raises: Damaged."""
        number, count = int(self._order[at]), self._columns.heads.count
        return self._columns.row(number) if number < count else self.late[number - count]

    def computed(self, column: FieldColumn, late: list[Any]) -> Codes:
        """Return the values of a column that no field has, with those of the late rows. Raises: Damaged."""
        return self._with(list(column.values), column.codes(self.numpy), late)

    def field(self, path: Path) -> Codes:
        """Return a field. Raises: NoColumn, Damaged."""
        late = [row.get(path) for row in self.late]
        if path == ("status",):
            status = self._columns.heads.file.whole("status")
            codes = list(status) if self.numpy is None else self.numpy.frombuffer(status, "u1")
            return self._with(list(self._columns.heads.statuses), codes, late)
        return self.computed(column_of(self._columns, path), late)

    def days(self) -> Codes:
        """Return the days (UTC) that the rows were created on. Raises: Damaged."""
        heads = self._columns.heads
        begins, days = [], []  # rows stand in the order of their creation
        row = 0
        while row < heads.count:
            day = heads.created(row)[:_DAY]
            begins.append(row)
            days.append(day)
            row += 1
            if len(day) == _DAY:  # else it cannot be read
                row = max(row, heads.position_of(f"{day}~", ""))  # behind every instant of that day
        ends = [*begins[1:], heads.count]
        if self.numpy is not None:
            lengths = [end - begin for begin, end in zip(begins, ends, strict=True)]
            codes = self.numpy.repeat(self.numpy.arange(len(days)), lengths)
        else:
            codes = [code for code, begin in enumerate(begins) for _ in range(ends[code] - begin)]
        return self._with(days, codes, [row.created_at[:_DAY] for row in self.late])

    def _with(self, values: list[Any], codes: Any, late: list[Any]) -> Codes:
        """Add the values of late rows, and put all in the order of the table."""
        known = {_key(value): code for code, value in enumerate(values)} if late else {}
        more = []
        for value in late:
            if value is None or value is MISSING:
                more.append(-1)
                continue
            code = known.setdefault(_key(value), len(values))
            if code == len(values):
                values.append(value)
            more.append(code)
        np = self.numpy
        if np is not None:
            return Codes(values, np.concatenate([codes, np.array(more, "i8")]).astype("i8")[self._order])
        every = [*codes, *more]
        return Codes(values, [every[number] for number in self._order])


def _key(value: Any) -> tuple[str, Any]:
    """Return the key of a value: true is not 1."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return "other", repr(value)
    return ("text" if isinstance(value, str) else "number"), value


def numpy_for(count: int) -> Any:
    """Return numpy, or None where it is not there or there are few rows."""
    if count < NUMPY_FROM:
        return None
    try:
        import numpy
    except ImportError:
        return None
    return numpy
