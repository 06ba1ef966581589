"""A necessary SQL condition for a filter, so that the database can use its indexes.

Every matching row meets the condition; other rows may meet it too, and :func:`sessionstore.query.matcher` decides on
each row that the database returns. The answer is therefore the same on every engine, although databases differ in
numbers, text order and null. ``None`` means that no row can be excluded. Bounds are widened by far more than any
database rounds, and ``<`` becomes ``<=``.
Not here: the SQL of a database (index.sql.sqlite_schema, index.sql.postgres_schema), the exact meaning (query).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from decimal import Decimal
from typing import Any

import msgspec

from sessionstore.model.row import SessionRow
from sessionstore.query import And, Between, Compare, Filter, Has, Match, Not, Operator, Or, Path, matcher

#: SQL text with one placeholder per parameter, and the parameters.
Condition = tuple[str, list[Any]]

#: Fields computed when a row is read, or never searched: no index holds them.
_NOT_STORED = ("host", "store", "openable", "copies", "size", "mtime_ns", "owner")
#: Text that JSON stores unescaped, and for which casefold equals lower().
_SIMPLE = re.compile(r"[a-z0-9_ ./:+-]+")
_REQUIRED = tuple(each.name for each in msgspec.structs.fields(SessionRow) if each.required)
_DEFAULT = msgspec.convert({**dict.fromkeys(_REQUIRED, ""), "rev": 0}, SessionRow)


class Narrowing(ABC):
    """Translates a filter; a subclass gives the SQL of its database.

    Each method returns a condition that holds for every row with such a value, or None.
    """

    @abstractmethod
    def number(self, path: Path, low: Decimal | None, high: Decimal | None) -> Condition | None:
        """The value is a number within these bounds, or a list."""

    @abstractmethod
    def text(self, path: Path, low: str | None, high: str | None) -> Condition | None:
        """The value is text within these bounds, by code point, or a list."""

    @abstractmethod
    def equal(self, path: Path, value: str | int | float | bool) -> Condition | None:
        """The value equals this one, or is a list with an item that does."""

    @abstractmethod
    def empty(self, path: Path) -> Condition | None:
        """The value is null or missing."""

    @abstractmethod
    def present(self, path: Path) -> Condition | None:
        """The path leads to a value, null included."""

    @abstractmethod
    def holds(self, path: Path | None, word: str) -> Condition | None:
        """The value, or any part of the row, contains a lower-case ASCII word, ignoring case."""

    @abstractmethod
    def addressable(self, path: Path) -> bool:
        """Whether the database can address the value under these keys."""

    def of(self, tree: Filter | None, negated: bool = False) -> Condition | None:
        """Return a condition that every matching row (when negated: every other row) meets."""
        if isinstance(tree, Not):
            return self.of(tree.clause, not negated)
        if isinstance(tree, And | Or):
            parts = [self.of(clause, negated) for clause in tree.clauses]
            known = [part for part in parts if part is not None]
            if isinstance(tree, And) != negated:  # by De Morgan, a negated "or" is an "and"
                return _joined(known, " AND ")
            return _joined(known, " OR ") if len(known) == len(parts) else None
        if isinstance(tree, Compare):
            return self._compare(tree, negated)
        if isinstance(tree, Has):
            if len(tree.path) == 1 or not self._known(tree.path):
                return None
            return self.empty(tree.path) if negated else self.present(tree.path)
        if isinstance(tree, Between) and not negated and self._known(tree.path):
            return self._between(tree)
        if tree is None or negated or isinstance(tree, Between | Match):
            return None
        word = tree.text.casefold()
        # a word made of digits and "e" may be the text of a number, which each database formats differently
        return self.holds(None, word) if _SIMPLE.fullmatch(word) and re.search("[a-df-z]", word) else None

    def _known(self, path: Path) -> bool:
        return path[0] not in _NOT_STORED and all(map(is_storable, path)) and self.addressable(path)

    def _compare(self, clause: Compare, negated: bool) -> Condition | None:
        if (clause.operator == "!=") != negated or not self._known(clause.path):
            return None
        operator: Operator = "=" if negated else clause.operator
        return self._or_default(
            Compare(clause.path, operator, clause.value), self._value(clause.path, operator, clause.value)
        )

    def _between(self, clause: Between) -> Condition | None:
        path, low, high = clause.path, clause.low, clause.high
        if isinstance(low, str) and isinstance(high, str):
            storable = is_storable(low) and is_storable(high)
            return self._or_default(clause, self.text(path, low, high) if storable else None)
        assert not isinstance(low, str) and not isinstance(high, str)
        return self._or_default(clause, self.number(path, _widened(low)[0], _widened(high)[1]))

    def _or_default(self, clause: Compare | Between, found: Condition | None) -> Condition | None:
        """Also admit rows without the value if the default matches: a stored row omits default values."""
        path = clause.path
        if found is None or len(path) > 1 or path[0] in _REQUIRED or not matcher(clause, SessionRow.get)(_DEFAULT):
            return found
        missing = self.empty(path)
        return None if missing is None else _joined([found, missing], " OR ")

    def _value(self, path: Path, operator: Operator, value: Any) -> Condition | None:
        if isinstance(value, str) and not is_storable(value):
            return None
        if operator == "~":
            word = str(value).casefold()
            return self.holds(path, word) if _SIMPLE.fullmatch(word) else None
        if value is None:
            return self.empty(path) if operator == "=" else None
        if operator == "=" and (isinstance(value, str | bool) or abs(value) < 2**53):
            return self.equal(path, value)
        if isinstance(value, bool):
            return None
        if isinstance(value, str):
            return self.text(path, None if "<" in operator else value, None if ">" in operator else value)
        low, high = _widened(value)
        return self.number(path, None if "<" in operator else low, None if ">" in operator else high)


def is_storable(text: str) -> bool:
    """Whether databases accept the text: no NUL, no lone surrogate."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def _widened(value: int | float) -> tuple[Decimal, Decimal]:
    exact = Decimal(value)
    slack = abs(exact) * Decimal("1e-12") + Decimal("1e-300")
    return exact - slack, exact + slack


def _joined(conditions: list[Condition], word: str) -> Condition | None:
    if not conditions:
        return None
    text = word.join(f"({condition})" for condition, _ in conditions)
    return text, [parameter for _, parameters in conditions for parameter in parameters]
