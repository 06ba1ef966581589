"""Pages of a journal: the sessions of one page, and how many there are, without reading the others.

Rows of the columns that a filter fits are a mask; rows that were put since, and runs whose process is gone, are tested
one by one and take their place among them. Only the rows of the page are decoded.
Not here: comparing them with their folders (store.catalog), the columns (index.journal.columns), which rows a filter
fits (index.journal.masks).
"""

from __future__ import annotations

import contextlib
import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path as FilePath
from typing import Any, NamedTuple

from sessionstore.errors import NotApplied, Unreadable
from sessionstore.index import FileStamp, Head, Page, PageOrder, RowStamp
from sessionstore.index.filtering import Key, has_column, select, sort_key
from sessionstore.index.journal.block import doc_id_of
from sessionstore.index.journal.column_file import Damaged
from sessionstore.index.journal.columns import Columns, open_columns
from sessionstore.index.journal.field_column import FieldColumn, rows_of
from sessionstore.index.journal.heads import Heads
from sessionstore.index.journal.masks import NoColumn, column_of, mask_of
from sessionstore.index.journal.merged_order import backwards, interleaved
from sessionstore.index.journal.table import Table
from sessionstore.model.gc_pause import gc_paused
from sessionstore.model.row import SessionRow, as_interrupted
from sessionstore.query import Filter, Path

_versions = itertools.count(1)
_UNCHANGED = object()
_CREATED = ("created_at",)


class _Late(NamedTuple):
    """A row that is not in the columns as it is now, and before which of their rows it stands."""

    position: int
    row: SessionRow


def _creation(each: _Late) -> tuple[str, str]:
    return each.row.created_at, each.row.session_id


class PageView:
    """A :class:`~sessionstore.index.View` that gives pages, of one state of the journal."""

    def __init__(self, columns: Columns, source: Pages) -> None:
        self.version: object = ("page", next(_versions))  # no snapshot has it
        self._columns, self._heads, self._source = columns, columns.heads, source
        self._changed = columns.behind.late
        self._numbers = columns.numbers_of(self._changed)
        self._late_rows: list[_Late] | None = None

    def is_of(self, columns: Columns) -> bool:
        """Whether nothing has changed since."""
        return self._columns is columns and self._changed is columns.behind.late

    def discard(self) -> None:
        """Have the columns made anew."""
        self._source.forget(damaged=True)

    # ------------------------------------------------------------ as any view

    def is_one_state(self) -> bool:
        """Return True: it is of one state of the file."""
        return True

    def changed_since(self, earlier: PageView) -> set[str] | None:
        """Return the sessions whose rows are other ones; None: the columns are."""
        if self._changed is earlier._changed:
            return set()
        if self._columns is not earlier._columns:
            return None
        before = earlier._changed.get
        return {
            row.session_id for number, row in self._changed.items() if row is not None and before(number) is not row
        }

    def changes_since(self, earlier: PageView) -> tuple[list[SessionRow], list[str]] | None:
        """Return the rows that are other ones, and the ids whose rows are gone; None: the columns are other ones."""
        if self._columns is not earlier._columns:
            return None
        before = earlier._changed
        moved = [(number, row) for number, row in self._changed.items() if before.get(number, _UNCHANGED) is not row]
        gone = [earlier._id_of(number) for number, row in moved if row is None]
        return [row for _, row in moved if row is not None], [name for name in gone if name is not None]

    def _id_of(self, doc_id: int) -> str | None:
        """Return the session of a number; None: it has no row here."""
        if doc_id in self._changed:
            row = self._changed[doc_id]
            return None if row is None else row.session_id
        number = self._heads.number_of(doc_id)
        return None if number is None else self._columns.row(number).session_id

    def count(self) -> int:
        """Return how many rows there are."""
        late = sum(row is not None for row in self._changed.values())
        return self._heads.count - sum(number is not None for number in self._numbers.values()) + late

    def stamp_of(self, session_id: str) -> FileStamp | None:
        """Return which file state a row mirrors; None: there is no row."""
        doc_id = doc_id_of(session_id)
        if doc_id in self._changed:
            row = self._changed[doc_id]
            return None if row is None else FileStamp(row.size, row.mtime_ns)
        number = self._heads.number_of(doc_id)
        return None if number is None else FileStamp(*self._heads.stamp(number))

    def stamps(self) -> Mapping[str, RowStamp]:
        """Return which file state each row mirrors."""
        heads = self._heads
        with gc_paused():
            pairs = zip(heads.numbers("size", "q"), heads.numbers("mtime", "q"), strict=True)
            found: dict[str, RowStamp] = dict(zip(heads.ids(), itertools.starmap(FileStamp, pairs), strict=True))
            for name in self._replaced_names():
                del found[name]
            found.update((row.session_id, row) for row in self._changed.values() if row is not None)
        return found

    def states(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Yield each id with size and time of the file that its row mirrors; as :meth:`stamps`, but one by one."""
        heads, replaced = self._heads, set(self._replaced_names())
        sizes_and_times = zip(heads.numbers("size", "q"), heads.numbers("mtime", "q"), strict=True)
        found = zip(heads.ids(), sizes_and_times, strict=True)
        late = ((row.session_id, (row.size, row.mtime_ns)) for row in self._changed.values() if row is not None)
        return itertools.chain((each for each in found if each[0] not in replaced) if replaced else found, late)

    def names(self) -> set[str]:
        """Return the ids of all rows."""
        found = set(self._heads.ids())
        found.difference_update(self._replaced_names())
        found.update(row.session_id for row in self._changed.values() if row is not None)
        return found

    def _replaced_names(self) -> Iterator[str]:
        ids = self._heads.ids()
        return (ids[number] for number in self._numbers.values() if number is not None)

    def names_key(self) -> str:
        """Return a text that differs when other sessions have rows; what the rows hold does not matter."""
        count, found = self._heads.count, self._heads.names_sum
        for doc_id, row in self._changed.items():
            if (row is None) != (self._numbers[doc_id] is None):  # it came or went
                found ^= doc_id
                count += 1 if row is not None else -1
        return f"{count}-{found:x}"

    def has_status(self, status: str) -> bool:
        """Whether a row has this status, or had it when the columns were made."""
        return status in self._heads.statuses or any(row and row.status == status for row in self._changed.values())

    def active(self) -> list[SessionRow]:
        """Return the rows that say they run."""
        gone = {number for number in self._numbers.values() if number is not None}
        found = [row for number, row in self._columns.active() if number not in gone]
        return found + [row for row in self._changed.values() if row is not None and row.owner is not None]

    def find(self, tree: Filter | None = None, interrupted: Mapping[str, str] | None = None) -> list[SessionRow]:
        """Return all rows that fit, oldest first, decoded."""
        rows = self._source.everything()
        if interrupted:
            why = interrupted
            rows = [as_interrupted(row, why[row.session_id]) if row.session_id in why else row for row in rows]
        return select(rows, tree)

    # ------------------------------------------------------------ pages

    def page(self, tree: Filter | None, order: PageOrder, interrupted: Mapping[str, str]) -> Page | None:
        """Return one page; None when only all rows can answer. Raises: Damaged."""
        try:
            mask = mask_of(self._columns, tree)
            column = None if order.path == _CREATED else column_of(self._columns, order.path)
        except NoColumn:
            return None
        late, hidden = self._late(interrupted)
        for number in hidden:
            mask[number] = 0
        fitting = {row.session_id for row in select([each.row for each in late], tree)}
        late = [each for each in late if each.row.session_id in fitting]
        total = mask.count(1) + len(late)
        begin = order.begin
        if order.behind is not None:
            place = self._place_of(order.behind, mask, late, column, order.descending)
            if place is None:  # it is gone: where it would be, all rows say
                return None
            begin = place + 1
        items = self._merged(mask, late, column, order.descending, begin)
        end = None if order.limit is None else order.limit
        chosen = list(itertools.islice(items, 0, end))
        rows = [item if isinstance(item, SessionRow) else self._columns.row(item) for item in chosen]
        return Page(rows, total, begin)

    def prepare(self, paths: Sequence[Path]) -> None:
        """Make the column of words and those of some fields, before they are asked for. Raises: Damaged."""
        self._columns.words()
        self._columns.make(paths)

    def computed(self, path: Path, values: Callable[[Heads], list[Any]]) -> tuple[Heads, FieldColumn] | None:
        """Return a column of values that rows do not hold, and the heads it belongs to; None: it has none.

        Args:
            values: gives them, one for each head; asked when the column is not there yet.

        Raises: Damaged.
        """
        found = self._columns.computed(path, lambda: values(self._heads))
        return None if found is None else (self._heads, found)

    def table(
        self,
        tree: Filter | None,
        interrupted: Mapping[str, str],
        paths: Sequence[Path],
        completed: Callable[[list[SessionRow]], list[SessionRow]],
    ) -> Table:
        """Return the rows that fit as columns. Raises: NoColumn, Damaged.

        Args:
            paths: the fields that it will be asked for; those that are not made yet are made at once.
            completed: adds to rows of interrupted runs what is known of them now.
        """
        mask = mask_of(self._columns, tree)
        self._columns.make([path for path in paths if has_column(path) and path != ("status",)])
        late, hidden = self._late(interrupted)
        for number in hidden:
            mask[number] = 0
        fitting = {row.session_id for row in select([each.row for each in late], tree)}
        late = [each for each in late if each.row.session_id in fitting]
        rows = completed([each.row for each in late])
        return Table(self._columns, mask, [(each.position, row) for each, row in zip(late, rows, strict=True)])

    def _late(self, interrupted: Mapping[str, str]) -> tuple[list[_Late], list[int]]:
        """Return the rows that the columns do not hold, oldest first, and the numbers of those that they replace."""
        hidden = [number for number in self._numbers.values() if number is not None]
        found = self._put_since()
        if not interrupted:
            return found, hidden
        gone = set(hidden)
        found = [
            _Late(at, as_interrupted(row, interrupted[row.session_id]) if row.session_id in interrupted else row)
            for at, row in found
        ]
        for number, row in self._columns.active():
            if number not in gone and row.session_id in interrupted:
                hidden.append(number)
                found.append(_Late(number, as_interrupted(row, interrupted[row.session_id])))
        return sorted(found, key=_creation), hidden

    def _put_since(self) -> list[_Late]:
        """Return the rows behind the columns, oldest first."""
        if self._late_rows is None:
            place = self._columns.position_of
            changed = self._changed.items()
            found = [_Late(place(doc_id, row), row) for doc_id, row in changed if row is not None]
            self._late_rows = sorted(found, key=_creation)
        return self._late_rows

    # ------------------------------------------------------------ order

    def _merged(
        self, mask: bytearray, late: list[_Late], column: FieldColumn | None, descending: bool, begin: int
    ) -> Iterator[int | SessionRow]:
        """Yield numbers of rows and late rows in order, from one of them on."""
        if column is not None:
            merged = self._merged_by(column, mask, late, descending)
            return itertools.islice(merged, begin, None)
        positions = [each.position for each in late]

        def before(row: int) -> int:
            """Return how many come before a place between the rows: earlier ones, or later ones when descending."""
            if descending:
                return mask.count(1, row) + len(late) - bisect_right(positions, row)
            return mask.count(1, 0, row) + bisect_left(positions, row)

        places = range(len(mask) + 1)
        if descending:
            start = bisect_left(places, -begin, key=lambda row: -before(row))
            rest = late[: bisect_right(positions, start)][::-1]
            found = interleaved(backwards(mask, start), rest, lambda each, number: each.position > number)
        else:
            start = bisect_right(places, begin, key=before) - 1
            rest = late[bisect_left(positions, start) :]
            rows = rows_of(mask) if start == 0 else (start + row for row in rows_of(mask[start:]))
            found = interleaved(rows, rest, lambda each, number: each.position <= number)
        found = itertools.islice(found, begin - before(start), None)
        return (each if isinstance(each, int) else each.row for each in found)

    def _place_of(
        self, session_id: str, mask: bytearray, late: list[_Late], column: FieldColumn | None, descending: bool
    ) -> int | None:
        """Return how many rows come before one of them; None if it does not fit, or is not there."""
        number = self._heads.number_of(doc_id_of(session_id))
        index = next((at for at, each in enumerate(late) if each.row.session_id == session_id), None)
        if index is None and (number is None or not mask[number]):
            return None
        if column is not None:
            found = self._merged_by(column, mask, late, descending)
            wanted = number if index is None else late[index].row
            return next(at for at, each in enumerate(found) if each == wanted)
        if index is None:
            assert number is not None
            since = bisect_right([each.position for each in late], number)
            return mask.count(1, number + 1) + len(late) - since if descending else mask.count(1, 0, number) + since
        position = late[index].position
        return mask.count(1, position) + len(late) - index - 1 if descending else mask.count(1, 0, position) + index

    def _merged_by(
        self, column: FieldColumn, mask: bytearray, late: list[_Late], down: bool
    ) -> Iterator[int | SessionRow]:
        keyed = [(sort_key(each.row.get(column.path)), each) for each in late]
        having = [each for each in keyed if each[0] is not None]
        having.sort(key=itemgetter(0), reverse=down)
        rest = having + [each for each in keyed if each[0] is None]

        def before(one: tuple[Key | None, _Late], other: tuple[Key | None, int]) -> bool:
            if one[0] == other[0]:
                return one[1].position <= other[1]
            if one[0] is None or other[0] is None:
                return other[0] is None
            return one[0] > other[0] if down else one[0] < other[0]

        merged = interleaved(column.ordered(mask, down), rest, before)
        return (found[1] if isinstance(found[1], int) else found[1].row for found in merged)

    def heads(self) -> list[Head]:
        """Return the heads of all rows, oldest first. Raises: Damaged."""
        heads = self._heads
        with gc_paused():
            status = heads.all_statuses()
            points = [None if n < 0 else n for n in heads.numbers("points", "q")]
            metres = [None if x != x else x for x in heads.numbers("distance", "d")]
            found: list[Head] = list(zip(heads.ids(), status, heads.all_created(), points, metres, strict=True))
            if not self._changed:
                return found
            for number in sorted((n for n in self._numbers.values() if n is not None), reverse=True):
                del found[number]
            late = [row for row in self._changed.values() if row is not None]
            found += [(row.session_id, row.status, row.created_at, row.points, row.distance_m) for row in late]
            return sorted(found, key=itemgetter(2, 0))


class Pages:
    """Gives the page view of a journal as it is now; one at a time, under the lock of its engine.

    Args:
        everything: gives all rows, oldest first.
    """

    def __init__(self, path: FilePath, folder: FilePath, everything: Callable[[], Sequence[SessionRow]]) -> None:
        self._path, self._folder, self.everything = path, folder, everything
        self._columns: Columns | None = None
        self._view: PageView | None = None
        self._damaged = False

    def view(self) -> PageView | None:
        """Return the view, or None where all rows are to be read: few rows, a damaged journal."""
        try:
            try:
                return self._now()
            except Damaged:
                self.forget(damaged=True)
                return self._now()
        except (Damaged, Unreadable, NotApplied, FileNotFoundError, NotADirectoryError):
            self.forget()  # what is wrong with the journal, reading all of it says
            return None

    def _now(self) -> PageView | None:
        if self._columns is not None:
            with contextlib.suppress(Damaged):  # the journal was written anew
                self._columns.behind.refresh()
                if not self._columns.is_worth_using(opened=True):
                    raise Damaged("too much stands behind them")
                return self._latest(self._columns)
        columns = self._columns = open_columns(self._path, self._folder, self._damaged)
        self._damaged = False
        if columns is None:
            return None
        columns.behind.refresh()
        return self._latest(columns)

    def _latest(self, columns: Columns) -> PageView:
        if self._view is None or not self._view.is_of(columns):
            self._view = PageView(columns, self)
        return self._view

    def forget(self, damaged: bool = False) -> None:
        """Drop the columns; damaged ones are made anew."""
        self._columns = self._view = None
        self._damaged = self._damaged or damaged
