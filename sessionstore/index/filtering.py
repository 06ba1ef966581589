"""Filter and sort many rows in memory.

The result is that of :func:`sessionstore.query.matcher`, which defines the meaning of a filter; this module is faster.
It applies the clauses of an ``and`` one after the other, compares fields that hold only text or only numbers directly
(40 ns a row), and decodes only the metadata key that a clause names.
Not here: the meaning of a filter (query), SQL (index.sql.prefilter).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, get_type_hints

import msgspec
from msgspec import UNSET

from sessionstore.errors import InvalidQuery
from sessionstore.model.row import FILTER_ALIASES, FILTER_FIELDS, SessionRow
from sessionstore.query import MISSING, And, Between, Compare, Filter, Has, Match, Path, matcher, parse_path

_KINDS = get_type_hints(SessionRow)
_TEXTS = {name for name, kind in _KINDS.items() if kind in (str, str | None)}
_NUMBERS = {name for name, kind in _KINDS.items() if kind in (int, int | None, float, float | None)}
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def select(rows: Sequence[SessionRow], tree: Filter | None) -> list[SessionRow]:
    """Return the rows that match a filter, in their order."""
    if isinstance(tree, And):
        for clause in tree.clauses:
            rows = select(rows, clause)
        return list(rows)
    if isinstance(tree, Compare) and len(tree.path) == 1 and _is_direct(tree):
        return _compare(rows, attrgetter(tree.path[0]), tree.operator, tree.value)
    if isinstance(tree, Between) and len(tree.path) == 1 and _holds_only(tree.path[0], tree.low, tree.high):
        return _between(rows, attrgetter(tree.path[0]), tree.low, tree.high)
    return list(rows) if tree is None else _each(rows, tree)


def _is_direct(clause: Compare) -> bool:
    """Whether the field holds only null or values of the kind of the operand."""
    return _holds_only(clause.path[0], clause.value) and (clause.operator != "~" or isinstance(clause.value, str))


def _holds_only(field: str, *operands: Any) -> bool:
    """Whether the field holds only null or values of the type of these operands, which is the same for all."""
    if all(isinstance(value, str) for value in operands):
        return field in _TEXTS
    return field in _NUMBERS and all(type(value) in (int, float) for value in operands)


def _between(rows: Sequence[SessionRow], get: Callable[[Any], Any], low: Any, high: Any) -> list[SessionRow]:
    return [row for row in rows if (found := get(row)) is not None and low <= found <= high]


def _compare(rows: Sequence[SessionRow], get: Callable[[Any], Any], sign: str, value: Any) -> list[SessionRow]:
    if sign == "=":
        return [row for row in rows if get(row) == value]
    if sign == "!=":
        return [row for row in rows if get(row) != value]
    if sign == "~":
        wanted = value.casefold()
        return [row for row in rows if (found := get(row)) is not None and wanted in found.casefold()]
    test = _ORDER[sign]
    return [row for row in rows if (found := get(row)) is not None and test(found, value)]


def _each(rows: Sequence[SessionRow], tree: Filter) -> list[SessionRow]:
    get: Callable[[SessionRow, Path], Any] = SessionRow.get
    if isinstance(tree, Compare | Between | Match | Has) and tree.path[0] == "metadata" and len(tree.path) > 1:
        get = _metadata_getter(tree.path[1:])
    fits = matcher(tree, get)
    return [row for row in rows if fits(row)]


@lru_cache(maxsize=64)
def _metadata_getter(keys: tuple[str, ...]) -> Callable[[SessionRow, Path], Any]:
    """Return a getter that decodes only the value under these keys."""
    kind: Any = Any
    try:
        for key in reversed(keys):
            kind = msgspec.defstruct("Only", [("value", kind, UNSET)], rename={"value": key}, gc=False)
    except ValueError:  # msgspec refuses a key with quotes or control characters
        return SessionRow.get
    decode = msgspec.json.Decoder(kind).decode

    def get(row: SessionRow, path: Path) -> Any:
        try:
            found = decode(row.raw_metadata)
        except msgspec.ValidationError:  # a value on the path is not an object
            return row.get(path)
        for _ in keys:
            if found is UNSET:
                return MISSING
            found = found.value
        return MISSING if found is UNSET else found

    return get


_LAST = (3, "")
Key = tuple[int, bool | int | float | str]


def has_column(path: Path) -> bool:
    """Whether a field holds only texts or only numbers, or is a key of the metadata, tags, or drones by their kind."""
    if len(path) == 1:
        return path[0] in _TEXTS or path[0] in _NUMBERS or path[0] == "tags"
    return path[0] in ("metadata", "drones")


def sort_key(value: Any) -> Key | None:
    """Return what a value is ordered by: numbers, texts, all else as text; None for no value, which comes last."""
    if value is None or value is MISSING:
        return None
    if isinstance(value, bool | int | float):
        return 0, value
    return (1, value) if isinstance(value, str) else (2, str(value))


def parse_sort(sort: str) -> tuple[Path, bool]:
    """Return the path that rows are sorted by, and whether descending. Raises: InvalidQuery."""
    descending, text = sort.startswith("-"), sort.removeprefix("-")
    try:
        return parse_path(text, FILTER_FIELDS, FILTER_ALIASES), descending
    except InvalidQuery as error:
        raise InvalidQuery(f"cannot sort by {text!r}: {error}") from error


def sort_order(sort: str) -> Callable[[list[SessionRow]], list[SessionRow]] | None:
    """Return a function that sorts rows; None for created_at ascending, the order of an index.

    Args:
        sort: a field or ``metadata.key``, with ``-`` in front for descending; rows without it come last.

    Raises: InvalidQuery.
    """
    path, descending = parse_sort(sort)
    if path == ("created_at",):
        return (lambda rows: rows[::-1]) if descending else None

    def key(row: SessionRow) -> Key:
        return sort_key(row.get(path)) or _LAST

    def order(rows: list[SessionRow]) -> list[SessionRow]:
        having = [row for row in rows if row.get(path) is not None and row.get(path) is not MISSING]
        without = [row for row in rows if row.get(path) is None or row.get(path) is MISSING]
        return sorted(having, key=key, reverse=descending) + without

    return order
