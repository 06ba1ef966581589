"""The tree of a filter, and the types of the fields that it may name.

Every node is immutable and hashable, so that equal filters are equal.
Not here: reading a filter (query.parser), its meaning (query.matching), its words (query.describe).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "~"]
Scalar = str | int | float | bool | None
Path = tuple[str, ...]
Kind = Literal["text", "number", "instant", "boolean", "list", "object", "numbers"]

MISSING: Any = type("Missing", (), {"__repr__": lambda self: "MISSING", "__bool__": lambda self: False})()


@dataclass(frozen=True, slots=True)
class Field:
    """The type of a field: ``numbers`` is an object of numbers, ``object`` any JSON object.

    Args:
        choices: the only values of a text field, if it has a closed list.
    """

    kind: Kind
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Compare:
    """``path operator value``."""

    path: Path
    operator: Operator
    value: Scalar


@dataclass(frozen=True, slots=True)
class Between:
    """The value, or one item of a list, is at least ``low`` and at most ``high``; both are numbers, or both text."""

    path: Path
    low: str | int | float
    high: str | int | float


@dataclass(frozen=True, slots=True)
class Match:
    """The regular expression is found in the text, or in one item of a list."""

    path: Path
    pattern: str
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class Has:
    """The path leads to a value, null included."""

    path: Path


@dataclass(frozen=True, slots=True)
class Search:
    """The text is in the id, the name, a tag, or anywhere in the metadata."""

    text: str


@dataclass(frozen=True, slots=True)
class Not:
    """The clause does not match."""

    clause: Filter


@dataclass(frozen=True, slots=True)
class And:
    """All clauses match."""

    clauses: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one clause matches."""

    clauses: tuple[Filter, ...]


Filter = Compare | Between | Match | Has | Search | Not | And | Or
