"""Pages of an SQLite file that holds one store: the rows of one page, and how many fit, without decoding the others.

A filter on fields that are columns is counted and ordered by SQLite. Of a filter on the metadata, the rows that its
indexes give are tested one by one, and only those of the page are decoded; any other filter decodes what it fits.
Not here: comparing rows with their files (store.pages), filters in SQL (index.sql.sqlite_conditions).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

import msgspec

from sessionstore.index import Head, LiveView, Page, PageOrder, RowStamp, SessionIndex
from sessionstore.index.filtering import select, sort_order
from sessionstore.index.sql import sqlite_rows
from sessionstore.index.sql.prefilter import Condition
from sessionstore.index.sql.sqlite_conditions import SqliteNarrowing, exact, is_on_metadata, names_field, searched
from sessionstore.index.sql.sqlite_indexes import CREATED
from sessionstore.model.row import SessionRow, as_interrupted
from sessionstore.query import And, Filter
from sessionstore.query import Path as Keys

#: What reads otherwise of a run whose process is gone.
_OF_INTERRUPTED = ("status", "problem")
Result = TypeVar("Result")
_Read = Callable[[Callable[[Any], Any], Any], Any]
_Ask = Callable[[Any, Iterable[Keys]], None]


class _Candidate(msgspec.Struct, gc=False):
    """A row of which only the metadata has been read."""

    number: int
    raw_metadata: msgspec.Raw
    get = SessionRow.get

    @property
    def metadata(self) -> Any:
        """The metadata, decoded by each look."""
        return msgspec.json.decode(self.raw_metadata)


class SqlitePageView(LiveView):
    """A :class:`~sessionstore.index.PageView`; each answer is as new as its question.

    Args:
        read: runs a function with a connection; the second argument is the answer where there is no file.
        ask_for_indexes: makes the indexes of paths, where that can be done at once.
        key: differs when other sessions have rows.
    """

    def __init__(self, index: SessionIndex, read: _Read, ask_for_indexes: _Ask, key: str) -> None:
        self._index = index
        self._read, self._ask, self._key = read, ask_for_indexes, key
        self.active, self.find = index.active, index.find

    @cached_property
    def version(self) -> object:  # type: ignore[override]  # asked for when all rows are
        """The state of the file when the stamps were read, or before; it is not asked for a page."""
        return self._index.version()

    def stamps(self) -> Mapping[str, RowStamp]:
        """Return which file state each row mirrors."""
        _ = self.version  # what is put from now on makes it old
        return self._index.stamps()

    def discard(self) -> None:
        """Do nothing: what is damaged, all rows say."""

    def names_key(self) -> str:
        """Return a text that differs when other sessions have rows."""
        return self._key

    def _rows(self, text: str, given: Sequence[Any] = ()) -> list[Any]:
        found: list[Any] = self._read(lambda connection: connection.execute(text, given).fetchall(), [])
        return found

    def names(self) -> set[str]:
        """Return the ids of all rows."""
        return {name.decode() for (name,) in self._rows("SELECT session_id FROM sessions")}

    def states(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Yield each id with size and time of the file that its row mirrors."""
        found = self._rows("SELECT session_id, size, mtime_ns FROM sessions")
        return ((name.decode(), (size, mtime_ns)) for name, size, mtime_ns in found)

    def has_status(self, status: str) -> bool:
        """Whether a row has this status; that of a session whose folder is gone is found by an index."""
        if status == "missing":
            return bool(self._rows("SELECT 1 FROM sessions WHERE status = 'missing' LIMIT 1"))
        return bool(self._rows("SELECT 1 FROM sessions WHERE status = ? LIMIT 1", [status]))

    def heads(self) -> list[Head]:
        """Return the heads of all rows, oldest first."""
        text = "SELECT session_id, status, created_at, points, distance_m FROM sessions ORDER BY created_at, session_id"
        return [
            (name.decode(), status.decode(), created.decode(), points, metres)
            for name, status, created, points, metres in self._rows(text)
        ]

    def page(self, tree: Filter | None, order: PageOrder, interrupted: Mapping[str, str]) -> Page | None:
        """Return one page, of one state of the file; None where the order is not that of a column."""
        field = order.path[0]
        if len(order.path) > 1 or field not in (*sqlite_rows.FIELDS, "session_id", "uuid"):
            return None
        if interrupted and field in _OF_INTERRUPTED:
            return None
        sure, rest = _divided(tree)
        if sure is None or (interrupted and names_field(tree, _OF_INTERRUPTED) and self._hides(tree, interrupted)):
            return _of_rows(self.find(tree, interrupted), order)
        found: Page | None = self._read(lambda one: self._in_one_state(one, tree, sure, rest, order), Page([], 0))
        if found is None or not interrupted:
            return found
        shown = [as_interrupted(row, why) if (why := interrupted.get(row.session_id)) else row for row in found.rows]
        return found._replace(rows=shown)

    def _hides(self, tree: Filter | None, interrupted: Mapping[str, str]) -> bool:
        """Whether a run whose process is gone fits a filter, as it is stored or as it is read."""
        stored = [row for row in self.active() if row.session_id in interrupted]
        return bool(select([*stored, *(as_interrupted(row, interrupted[row.session_id]) for row in stored)], tree))

    def _in_one_state(
        self,
        connection: sqlite3.Connection,
        tree: Filter | None,
        sure: Condition,
        rest: Filter | None,
        order: PageOrder,
    ) -> Page | None:
        paths = list(searched(tree))
        self._ask(connection, [*paths, order.path] if order.path[0] in sqlite_rows.FIELDS else paths)
        connection.execute("BEGIN")
        try:
            return _counted(connection, sure, order) if rest is None else _tested(connection, sure, rest, order)
        finally:
            if connection.in_transaction:
                connection.execute("COMMIT")


def _divided(tree: Filter | None) -> tuple[Condition | None, Filter | None]:
    """Return what SQL says of a filter and what the metadata says, both of which a row must fit; (None, None): it says
    something else."""
    clauses = tree.clauses if isinstance(tree, And) else () if tree is None else (tree,)
    sure: list[Condition] = []
    rest: list[Filter] = []
    for clause in clauses:
        if (condition := exact(clause)) is not None:
            sure.append(condition)
        elif is_on_metadata(clause):
            rest.append(clause)
        else:
            return None, None
    text = " AND ".join(f"({each})" for each, _ in sure) or "1"
    return (text, [value for _, given in sure for value in given]), And(tuple(rest)) if rest else None


def _groups(order: PageOrder) -> list[tuple[str, str]]:
    """Return which rows come first and which then, and how each of these are ordered: without a value come last."""
    field, down = order.path[0], " DESC" if order.descending else ""
    if order.path == CREATED:
        return [("1", f"created_at{down}, session_id{down}")]
    having = (f"{field} IS NOT NULL", f"{field}{down}, created_at, session_id")
    return [having, (f"{field} IS NULL", "created_at, session_id")]


def _count(connection: sqlite3.Connection, text: str, given: Sequence[Any]) -> int:
    (found,) = connection.execute(f"SELECT count(*) FROM sessions WHERE {text}", given).fetchone()
    return int(found)


def _counted(connection: sqlite3.Connection, sure: Condition, order: PageOrder) -> Page | None:
    """Return a page of the rows that a condition gives, which SQLite orders and counts."""
    text, given = sure
    total = _count(connection, text, given)
    limit = total if order.limit is None else order.limit
    begin = skipped = order.begin
    if order.behind is not None:
        place = _place_of(connection, order.behind, sure, order)
        if place is None:
            return None
        begin = skipped = place + 1
    found: list[Any] = []
    for test, by in _groups(order):
        left = limit - len(found)
        if left > 0:
            rows = f"SELECT row, metadata FROM sessions WHERE ({text}) AND {test} ORDER BY {by} LIMIT ? OFFSET ?"
            found += connection.execute(rows, [*given, left, skipped]).fetchall()
            if len(found) < limit and skipped:
                skipped = max(0, skipped - _count(connection, f"({text}) AND {test}", given))
    return Page(sqlite_rows.decoded(found, "the SQLite index"), total, begin)


def _place_of(connection: sqlite3.Connection, session_id: str, sure: Condition, order: PageOrder) -> int | None:
    """Return how many of the rows come before one of them; None if it is not there, or does not fit."""
    text, given = sure
    field, sign = order.path[0], ">" if order.descending else "<"
    one = f"SELECT {field}, created_at, session_id FROM sessions WHERE session_id = ? AND ({text})"
    found = connection.execute(one, [session_id, *given]).fetchone()
    if found is None:
        return None
    value, *place = (each.decode() if isinstance(each, bytes) else each for each in found)
    if order.path == CREATED:
        return _count(connection, f"({text}) AND (created_at, session_id) {sign} (?, ?)", [*given, *place])
    if value is None:
        before = f"({text}) AND ({field} IS NOT NULL OR (created_at, session_id) < (?, ?))"
        return _count(connection, before, [*given, *place])
    before = f"({text}) AND ({field} {sign} ? OR ({field} = ? AND (created_at, session_id) < (?, ?)))"
    return _count(connection, before, [*given, value, value, *place])


def _tested(connection: sqlite3.Connection, sure: Condition, rest: Filter, order: PageOrder) -> Page | None:
    """Return a page of the rows that a condition gives and whose metadata fits a filter."""
    text, given = sure
    narrowed = SqliteNarrowing().of(rest)
    if narrowed is not None:
        text, given = f"({text}) AND ({narrowed[0]})", [*given, *narrowed[1]]
    by = _groups(order)[0][1]
    by = by if order.path == CREATED else f"{order.path[0]} IS NULL, {by}"
    candidates = connection.execute(f"SELECT id, metadata FROM sessions WHERE {text} ORDER BY {by}", given)
    fitting: Any = [_Candidate(number, msgspec.Raw(metadata)) for number, metadata in candidates]
    tested: list[Any] = list(select(fitting, rest))
    numbers = [each.number for each in tested]
    begin = order.begin
    if order.behind is not None:
        known = connection.execute("SELECT id FROM sessions WHERE session_id = ?", [order.behind]).fetchone()
        if known is None or known[0] not in numbers:
            return None
        begin = numbers.index(known[0]) + 1
    wanted = numbers[begin:] if order.limit is None else numbers[begin : begin + order.limit]
    rows = "SELECT id, row, metadata FROM sessions WHERE id IN (SELECT value FROM json_each(?))"
    found = {number: pair for number, *pair in connection.execute(rows, [msgspec.json.encode(wanted).decode()])}
    shown: list[Any] = [found[number] for number in wanted]
    return Page(sqlite_rows.decoded(shown, "the SQLite index"), len(numbers), begin)


def _of_rows(rows: list[SessionRow], order: PageOrder) -> Page | None:
    """Return a page of all rows that fit, oldest first."""
    sort = sort_order(("-" if order.descending else "") + order.path[0])
    rows = rows if sort is None else sort(rows)
    begin = order.begin
    if order.behind is not None:
        ids = [row.session_id for row in rows]
        if order.behind not in ids:
            return None
        begin = ids.index(order.behind) + 1
    return Page(rows[begin:] if order.limit is None else rows[begin : begin + order.limit], len(rows), begin)
