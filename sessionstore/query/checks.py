"""From a path, an operator and a value as typed to a clause; a comparison that can never match is refused.

Not here: the grammar (query.parser), the fields of a session (model.records).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sessionstore.query import instants
from sessionstore.query.tree import And, Between, Compare, Field, Filter, Match, Not, Operator, Or, Path, Scalar

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,300})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,300})(?:\.[0-9]{1,300})?(?:[eE][+-]?[0-9]{1,3})?")
_CONSTANTS: dict[str, Scalar] = {"true": True, "false": False, "null": None}
_ORDER = ("<", "<=", ">", ">=")
#: Any value may stand under a key of an object.
_ANY = Field("object")


class Refused(Exception):
    """The comparison makes no sense; the argument is the reason."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value as typed, without its quotes."""

    text: str
    quoted: bool
    position: int

    @property
    def is_null(self) -> bool:
        """Whether it is the word null."""
        return not self.quoted and self.text == "null"

    def scalar(self) -> Scalar:
        """Return the number, constant or text. Raises: Refused: the number is too large."""
        if self.quoted:
            return self.text
        if self.text in _CONSTANTS:
            return _CONSTANTS[self.text]
        if _INTEGER.fullmatch(self.text):
            return int(self.text)
        if not _NUMBER.fullmatch(self.text):
            return self.text
        number = float(self.text)
        if number in (float("inf"), float("-inf")):
            raise Refused("the number is too large")
        return number


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ``, did you mean X?`` when a known word is near, else nothing."""
    from difflib import get_close_matches  # needed for mistakes only

    words = list(known)
    begun = [each for each in words if len(word) > 2 and each.startswith(word.lower())]
    near = begun or get_close_matches(word.lower(), words, 1, 0.6)
    return f", did you mean {near[0]}?" if near else ""


def compare(path: Path, field: Field | None, operator: Operator, value: Value, now: datetime) -> Filter:
    """Return the clause of one comparison. Raises: Refused."""
    typed = _type_at(path, field)
    if typed.kind == "instant" and operator != "~":
        return _instant(path, operator, value, now)
    if operator == "~":
        _check_text_like(path, typed)
        return Compare(path, "~", value.text)  # "~5" looks for the digit
    return Compare(path, operator, _operand(path, typed, operator, value))


def one_of(path: Path, field: Field | None, values: Sequence[Value], now: datetime) -> Filter:
    """Return the clause of ``path in (...)``. Raises: Refused."""
    clauses = tuple(dict.fromkeys(compare(path, field, "=", value, now) for value in values))
    return clauses[0] if len(clauses) == 1 else Or(clauses)


def between(path: Path, field: Field | None, low: Value, high: Value, now: datetime) -> Filter:
    """Return the clause of ``path between low and high``, both included. Raises: Refused."""
    typed = _type_at(path, field)
    if typed.kind == "instant":
        first, last = _period(path, low, now)[0], _period(path, high, now)[1]
    else:
        first, last = (_operand(path, typed, "<=", value) for value in (low, high))  # type: ignore[assignment]
    if isinstance(first, str) != isinstance(last, str):
        raise Refused(f"between needs two numbers or two texts, not {low.text} and {high.text}")
    if first > last:
        raise Refused(f"between goes from the lower to the higher value, not from {low.text} to {high.text}")
    return Between(path, first, last)


def match(path: Path, field: Field | None, pattern: str, flags: str) -> Filter:
    """Return the clause of ``path~/pattern/flags``. Raises: Refused."""
    from sessionstore.query import patterns

    _check_text_like(path, _type_at(path, field))
    if flags not in ("", "i"):
        raise Refused(f"after a regular expression stands i (ignore case) or nothing, not {flags!r}")
    if (reason := patterns.problem(pattern)) is not None:
        raise Refused(reason)
    return Match(path, pattern, flags == "i")


def _type_at(path: Path, field: Field | None) -> Field:
    """Return the type of what a path leads to."""
    name = path[0]
    if field is None:
        return _ANY
    if len(path) == 1:
        if field.kind == "object":
            raise Refused(f"{name} is an object, name a key: {name}.KEY")
        if field.kind == "numbers":
            raise Refused(f"{name} has a number per key: {name}.KEY")
        return field
    if field.kind not in ("object", "numbers"):
        raise Refused(f"{name} has no keys")
    return _ANY if field.kind == "object" else Field("number")


def _check_text_like(path: Path, typed: Field) -> None:
    if typed.kind in ("number", "boolean"):
        raise Refused(f"{'.'.join(path)} is a {typed.kind}: ~ searches text, use =")


def _operand(path: Path, typed: Field, operator: Operator, value: Value) -> Scalar:
    name, ordered = ".".join(path), operator in _ORDER
    if value.is_null and not ordered and not typed.choices:
        return None
    if value.is_null and ordered:
        raise Refused(f"null has no order, use {name} is null")
    if typed.kind == "number":
        return _number(name, value)
    if typed.kind == "boolean":
        if ordered or value.quoted or value.text not in ("true", "false"):
            raise Refused(f"{name} is true or false")
        return value.text == "true"
    if typed.kind in ("text", "list"):
        return _text(name, typed, ordered, value)
    return _any(ordered, value)


def _number(name: str, value: Value) -> int | float:
    found = value.scalar()
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise Refused(f"{name} is a number, not {value.text!r}")
    return found


def _text(name: str, typed: Field, ordered: bool, value: Value) -> str:
    if ordered and typed.kind == "list":
        raise Refused(f"{name} is a list without an order, use = or ~")
    if not typed.choices:
        return value.text
    if ordered:
        raise Refused(f"{name} has no order, use {name} in (...)")
    if value.text not in typed.choices:
        hint = suggestion(value.text, typed.choices) or f" (there are {', '.join(typed.choices)})"
        raise Refused(f"there is no {name} {value.text!r}{hint}")
    return value.text


def _any(ordered: bool, value: Value) -> Scalar:
    found = value.scalar()
    if ordered and isinstance(found, bool):
        raise Refused(f"{value.text} has no order, use =")
    if ordered and not value.quoted and instants.is_relative(value.text):
        raise Refused(f'{value.text} is an instant, which metadata has not; in quotes it is text: "{value.text}"')
    return found


def _period(path: Path, value: Value, now: datetime) -> instants.Period:
    found = instants.period(value.text, now)
    if found is None:
        raise Refused(f"{path[0]} is an instant such as {instants.EXAMPLES}, not {value.text!r}")
    return found


def _instant(path: Path, operator: Operator, value: Value, now: datetime) -> Filter:
    if value.is_null:
        return Compare(path, operator, _operand(path, Field("instant"), operator, value))
    first, last = _period(path, value, now)
    if operator not in ("=", "!="):
        return Compare(path, operator, last if operator in ("<=", ">") else first)
    if first == last and instants.is_relative(value.text):
        raise Refused(f"{value.text} is one microsecond, use {path[0]}>{value.text} or {path[0]}<{value.text}")
    clause: Filter = Compare(path, "=", first) if first == last else Between(path, first, last)
    if operator == "=":
        return clause
    return Compare(path, "!=", first) if first == last else Not(clause)


def null_or_missing(path: Path) -> Filter:
    """Return the clause of ``path is null``: a null, or no such key."""
    from sessionstore.query.tree import Has

    is_null = Compare(path, "=", None)
    return is_null if len(path) == 1 else Or((is_null, Not(Has(path))))


def joined(clauses: list[Filter], kind: type[And] | type[Or]) -> Filter:
    """Return the clauses as one."""
    return clauses[0] if len(clauses) == 1 else kind(tuple(clauses))
