"""Filters in SQLite's SQL: what a filter implies, and, for fields that are columns, all that it means.

What is exact needs no second look at the rows, so that the rows of a page can be counted without being read.
Not here: the walk over a filter (index.sql.prefilter), the columns (index.sql.sqlite_rows), indexes
(index.sql.sqlite_indexes).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from sessionstore.index.sql.prefilter import Condition, Narrowing, is_storable
from sessionstore.index.sql.sqlite_rows import FIELDS, NUMBERS, TEXTS
from sessionstore.query import And, Between, Compare, Filter, Has, Match, Not, Or
from sessionstore.query import Path as Keys

_EXACT_TEXTS = (*TEXTS, "session_id", "uuid")
#: Below it, integers and floats differ from those beyond 64 bits, which are held as floats.
_EXACT_BELOW = 2**62


def value_of(keys: Keys) -> str:
    """Return the expression of a value; keys that need care are not addressable."""
    if len(keys) == 1 and (keys[0] in _EXACT_TEXTS or keys[0] in FIELDS or keys[0] in ("tags", "metadata")):
        return keys[0]
    column, rest = ("metadata", keys[1:]) if keys[0] == "metadata" else ("row", keys)
    return f"json_extract({column}, '$" + "".join(f'."{key}"' for key in rest).replace("'", "''") + "')"


class SqliteNarrowing(Narrowing):
    """SQLite compares by kind: null, then numbers (true is 1), then text by bytes; a list is the text of its JSON."""

    def addressable(self, path: Keys) -> bool:
        """Keys that SQLite finds: without quotes, backslashes and control characters, which JSON escapes."""
        return all(key and not any(char in '"\\' or char < " " for char in key) for key in path)

    def number(self, path: Keys, low: Decimal | None, high: Decimal | None) -> Condition | None:
        """Numbers lie below the empty text."""
        value = value_of(path)
        tests = [f"{value} >= ?"] if low is not None else []
        tests += [f"{value} <= ?"] if high is not None else [f"{value} < ''"]
        bounds = [float(bound) for bound in (low, high) if bound is not None]
        return self._or_list(path, " AND ".join(tests), bounds)

    def text(self, path: Keys, low: str | None, high: str | None) -> Condition | None:
        """Text sorts from the empty one on."""
        if path == ("tags",):
            return _tagged(low, high)
        value = value_of(path)
        tests = [f"{value} >= ?"] + ([f"{value} <= ?"] if high is not None else [])
        return self._or_list(path, " AND ".join(tests), [low or "", *([high] if high is not None else [])])

    def equal(self, path: Keys, value: str | int | float | bool) -> Condition | None:
        """One value, or the text of a list; a tag has a table of its own."""
        if path == ("tags",) and isinstance(value, str):
            return _tagged(value, value)
        if isinstance(value, float) and not value.is_integer():
            slack = Decimal(abs(value)) * Decimal("1e-12") + Decimal("1e-300")
            return self.number(path, Decimal(value) - slack, Decimal(value) + slack)
        return self._or_list(path, f"{value_of(path)} = ?", [value])

    def _or_list(self, path: Keys, test: str, parameters: list[Any]) -> Condition:
        if path[0] not in ("tags", "metadata"):
            return test, parameters
        value = value_of(path)  # "\" follows "[" : the text of a list is between the two
        # Without a word on it, the planner expects many lists that it prefers another index.
        return f"({test}) OR ({value} >= '[' AND likelihood({value} < '\\', 0.0001))", parameters

    def _or_default(self, clause: Compare | Between, found: Condition | None) -> Condition | None:
        """A column holds the default too."""
        return found if clause.path[0] in FIELDS else super()._or_default(clause, found)

    def empty(self, path: Keys) -> Condition | None:
        """SQL's NULL is both."""
        return f"{value_of(path)} IS NULL", []

    def present(self, path: Keys) -> Condition | None:
        """The kind of JSON's null is the word "null"."""
        return value_of(path).replace("json_extract", "json_type", 1) + " IS NOT NULL", []

    def holds(self, path: Keys | None, word: str) -> Condition | None:
        """lower() folds ASCII; rows with other letters are all looked at."""
        if path is not None:
            return f"NOT plain OR instr(lower({value_of(path)}), ?)", [word]
        return "NOT plain OR instr(lower(row), ?) OR instr(lower(metadata), ?)", [word, word]


def _tagged(low: str | None, high: str | None) -> Condition:
    tests = (["tag >= ?"] if low is not None else []) + (["tag <= ?"] if high is not None else [])
    bounds = [bound for bound in (low, high) if bound is not None]
    return f"id IN (SELECT session FROM tags WHERE {' AND '.join(tests)})", bounds


def exact(tree: Filter | None) -> Condition | None:
    """Return a condition that is true for the rows that match and for no others; None: the rows must be looked at."""
    if tree is None:
        return "1", []
    if isinstance(tree, Not):
        inner = exact(tree.clause)
        return None if inner is None else (f"({inner[0]}) IS NOT 1", inner[1])
    if isinstance(tree, And | Or):
        parts = [part for part in map(exact, tree.clauses) if part is not None]
        if len(parts) < len(tree.clauses):
            return None
        word = " AND " if isinstance(tree, And) else " OR "
        return word.join(f"({text})" for text, _ in parts), [each for _, given in parts for each in given]
    if isinstance(tree, Compare) and len(tree.path) == 1:
        return _exact_comparison(tree.path[0], tree.operator, tree.value)
    if isinstance(tree, Between) and len(tree.path) == 1 and _compares(tree.path[0], tree.low, tree.high):
        return f"{tree.path[0]} BETWEEN ? AND ?", [tree.low, tree.high]
    return None


def _exact_comparison(field: str, operator: str, value: Any) -> Condition | None:
    if value is None and field in FIELDS and operator in ("=", "!="):
        return f"{field} IS {'NOT ' if operator == '!=' else ''}NULL", []
    if operator == "~" or not _compares(field, value):
        return None
    return (f"({field} = ?) IS NOT 1" if operator == "!=" else f"{field} {operator} ?"), [value]


def _compares(field: str, *values: Any) -> bool:
    """Whether SQLite compares a column with these values as the filter language does."""
    if field in _EXACT_TEXTS:
        return all(isinstance(value, str) and is_storable(value) for value in values)
    if field in NUMBERS:
        return all(type(value) in (int, float) and abs(value) < _EXACT_BELOW for value in values)
    return False


def searched(tree: Filter | None) -> Iterator[Keys]:
    """Yield the paths whose values an index finds for a filter: fields that are columns, and keys of the metadata."""
    if isinstance(tree, And | Or):
        for clause in tree.clauses:
            yield from searched(clause)
    if isinstance(tree, Between) or (
        isinstance(tree, Compare) and tree.value is not None and tree.operator not in ("!=", "~")
    ):
        keyed = tree.path[0] == "metadata" and len(tree.path) > 1 and SqliteNarrowing().addressable(tree.path)
        if keyed or (len(tree.path) == 1 and tree.path[0] in FIELDS):
            yield tree.path


def is_on_metadata(tree: Filter) -> bool:
    """Whether a filter needs nothing of a row but its metadata."""
    if isinstance(tree, Not):
        return is_on_metadata(tree.clause)
    if isinstance(tree, And | Or):
        return all(map(is_on_metadata, tree.clauses))
    return isinstance(tree, Compare | Between | Match | Has) and tree.path[0] == "metadata" and len(tree.path) > 1


def names_field(tree: Filter | None, fields: tuple[str, ...]) -> bool:
    """Whether a filter depends on one of these fields."""
    if isinstance(tree, Not):
        return names_field(tree.clause, fields)
    if isinstance(tree, And | Or):
        return any(names_field(clause, fields) for clause in tree.clauses)
    return isinstance(tree, Compare | Between | Match | Has) and tree.path[0] in fields
