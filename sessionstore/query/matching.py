"""The meaning of a filter: whether one row matches.

This is the definition; every engine gives the same answer (tests/test_engines_agree.py).
Not here: many rows at once (index.filtering), SQL (index.sql.prefilter).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sessionstore.query.patterns import MAX_TEXT, compiled
from sessionstore.query.tree import MISSING, And, Between, Compare, Filter, Has, Match, Not, Path, Search


def matcher(tree: Filter | None, get: Callable[[Any, Path], Any]) -> Callable[[Any], bool]:
    """Return the test of one row: ``get(row, path)`` gives a value or :data:`MISSING`."""
    if tree is None:
        return lambda row: True
    if isinstance(tree, Compare):
        return _comparer(tree, get)
    if isinstance(tree, Between | Match):
        return _any_item(tree.path, _within(tree) if isinstance(tree, Between) else _found_in(tree), get)
    if isinstance(tree, Has):
        path = tree.path
        return lambda row: get(row, path) is not MISSING
    if isinstance(tree, Search):
        return _searcher(tree, get)
    if isinstance(tree, Not):
        inner = matcher(tree.clause, get)
        return lambda row: not inner(row)
    parts = [matcher(clause, get) for clause in tree.clauses]
    if isinstance(tree, And):
        return lambda row: all(part(row) for part in parts)
    return lambda row: any(part(row) for part in parts)


def _comparer(clause: Compare, get: Callable[[Any, Path], Any]) -> Callable[[Any], bool]:
    path, test = clause.path, _TESTS[clause.operator]
    wanted = clause.value.casefold() if clause.operator == "~" and isinstance(clause.value, str) else clause.value
    kind = _kind(wanted)

    def fits(row: Any) -> bool:
        found = get(row, path)
        if isinstance(found, list | tuple):
            return any(_kind(item) == kind and test(item, wanted) for item in found)
        return _kind(found) == kind and test(found, wanted)

    if clause.operator == "!=":
        return lambda row: not fits(row)
    return fits


def _any_item(path: Path, test: Callable[[Any], bool], get: Callable[[Any, Path], Any]) -> Callable[[Any], bool]:
    """Return whether a value, or one item of a list, passes a test."""

    def fits(row: Any) -> bool:
        found = get(row, path)
        return any(map(test, found)) if isinstance(found, list | tuple) else test(found)

    return fits


def _within(clause: Between) -> Callable[[Any], bool]:
    low: Any = clause.low
    high: Any = clause.high
    kind = _kind(low)
    return lambda value: _kind(value) == kind and low <= value <= high


def _found_in(clause: Match) -> Callable[[Any], bool]:
    search = compiled(clause.pattern, clause.ignore_case).search
    return lambda value: isinstance(value, str) and search(value[:MAX_TEXT]) is not None


def _kind(value: Any) -> str:
    """Return the type of values that a value can be compared with."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "other"


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda found, wanted: (
        isinstance(wanted, str | int | float) and not isinstance(wanted, bool) and test(found, wanted)
    )


_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda found, wanted: bool(found == wanted),
    "!=": lambda found, wanted: bool(found == wanted),  # negated for the whole list
    "<": _ordered(lambda found, wanted: found < wanted),
    "<=": _ordered(lambda found, wanted: found <= wanted),
    ">": _ordered(lambda found, wanted: found > wanted),
    ">=": _ordered(lambda found, wanted: found >= wanted),
    "~": lambda found, wanted: wanted in found.casefold(),
}


def _searcher(clause: Search, get: Callable[[Any, Path], Any]) -> Callable[[Any], bool]:
    wanted = clause.text.casefold()
    paths = (("session_id",), ("session_name",), ("tags",), ("metadata",))
    return lambda row: any(_holds(get(row, path), wanted) for path in paths)


def _holds(value: Any, wanted: str) -> bool:
    if isinstance(value, str):
        return wanted in value.casefold()
    if isinstance(value, Mapping):
        return any(wanted in key.casefold() or _holds(item, wanted) for key, item in value.items())
    if isinstance(value, list | tuple):
        return any(_holds(item, wanted) for item in value)
    return value is not MISSING and value is not None and wanted in str(value).casefold()


def in_mapping(document: Mapping[str, Any], path: Path) -> Any:
    """Return the value under a path of keys in nested objects, or :data:`MISSING`."""
    value: Any = document
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return MISSING
        value = value[key]
    return value


class TinyDBQuery:
    """A filter that TinyDB's ``search``, ``update`` and ``remove`` accept."""

    def __init__(self, tree: Filter | None) -> None:
        self._tree = tree
        self._fits = matcher(tree, in_mapping)

    def __call__(self, document: Mapping[str, Any]) -> bool:
        return self._fits(document)

    def __hash__(self) -> int:
        return hash(self._tree)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TinyDBQuery) and other._tree == self._tree

    def is_cacheable(self) -> bool:
        """Return True: equal queries give equal results."""
        return True
