"""The filter language: ``status=failed and metadata.num_drones>5``, one meaning in every engine, CLI, URL and Python.

    filter   = clause { ("and" | "or") clause } | filter filter      two clauses side by side mean "and"
    clause   = "not" clause | "(" filter ")" | "has" path | path operator value | word
    operator = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~"            "~": holds the text, whatever the case
    path     = field { "." key }                                     a key with odd characters stands in quotes
    value    = number | true | false | null | word | "text"          in quotes it is text, always

A lone word looks in the id, the name, the tags and the metadata. Only like is compared with like: 5 is not "5", true is
not 1; a missing key fits no comparison but ``!=`` and ``not``; null equals null only. Text is ordered by code point,
so that instants (UTC, ISO 8601) order as time. A list fits when one of its items does.
Not here: which rows there are (index), SQL (the engines compile :class:`Filter` trees themselves).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from sessionstore.errors import InvalidQuery

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "~"]
Scalar = str | int | float | bool | None
Path = tuple[str, ...]

MISSING: Any = type("Missing", (), {"__repr__": lambda self: "MISSING", "__bool__": lambda self: False})()
_MAX_LENGTH = 4096
_MAX_DEPTH = 50
_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<operator><=|>=|!=|=|<|>|~)|(?P<bracket>[()])|(?P<dot>\.(?="))
    |(?P<word>[^\s()"=<>!~]+?(?=\.")|[^\s()"=<>!~]+))""",
    re.VERBOSE,
)
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,300})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,300})(?:\.[0-9]{1,300})?(?:[eE][+-]?[0-9]{1,3})?")
_CONSTANTS: dict[str, Scalar] = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Compare:
    """``path operator value``."""

    path: Path
    operator: Operator
    value: Scalar


@dataclass(frozen=True, slots=True)
class Has:
    """The path leads to a value, null included."""

    path: Path


@dataclass(frozen=True, slots=True)
class Search:
    """The text stands in the id, the name, a tag, or anywhere in the metadata."""

    text: str


@dataclass(frozen=True, slots=True)
class Not:
    clause: Filter


@dataclass(frozen=True, slots=True)
class And:
    clauses: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    clauses: tuple[Filter, ...]


Filter = Compare | Has | Search | Not | And | Or


def parse(text: str, fields: Iterable[str], aliases: Mapping[str, str] | None = None) -> Filter | None:
    """Return the tree of a filter; None for an empty one, which every row fits.

    Args:
        fields: what a path may begin with; ``aliases`` are further names of them.

    Raises:
        InvalidQuery: what was expected, and at which column.
    """
    if len(text) > _MAX_LENGTH:
        raise InvalidQuery(f"a filter has at most {_MAX_LENGTH} characters, this one {len(text)}")
    return _Parser(text, frozenset(fields), dict(aliases or {})).filter()


class _Parser:
    def __init__(self, text: str, fields: frozenset[str], aliases: dict[str, str]) -> None:
        self.text, self.fields, self.aliases = text, fields, aliases
        self.tokens: list[tuple[str, str, int]] = []
        position, end = 0, len(text.rstrip())
        while position < end:
            found = _TOKEN.match(text, position)
            if found is None or found.lastgroup is None:
                self.fail("cannot be read", position)
            self.tokens.append((found.lastgroup, found[found.lastgroup], found.start(found.lastgroup)))
            position = found.end()
        self.next = 0

    def fail(self, reason: str, position: int | None = None) -> NoReturn:
        if position is None:
            position = self.tokens[self.next][2] if self.next < len(self.tokens) else len(self.text)
        raise InvalidQuery(f"the filter {self.text!r}: {reason} at column {position + 1}")

    def peek(self, kind: str, *words: str) -> bool:
        if self.next >= len(self.tokens):
            return False
        found, word, _ = self.tokens[self.next]
        return found == kind and (not words or word.lower() in words)

    def take(self) -> str:
        self.next += 1
        return self.tokens[self.next - 1][1]

    def filter(self) -> Filter | None:
        if not self.tokens:
            return None
        tree = self.any_of(0)
        if self.next < len(self.tokens):
            self.fail(f"did not expect {self.tokens[self.next][1]!r}")
        return tree

    def any_of(self, depth: int) -> Filter:
        clauses = [self.all_of(depth)]
        while self.peek("word", "or"):
            self.take()
            clauses.append(self.all_of(depth))
        return clauses[0] if len(clauses) == 1 else Or(tuple(clauses))

    def all_of(self, depth: int) -> Filter:
        clauses = [self.clause(depth)]
        while self.next < len(self.tokens) and not self.peek("word", "or") and not self.peek("bracket", ")"):
            if self.peek("word", "and"):
                self.take()
            clauses.append(self.clause(depth))
        return clauses[0] if len(clauses) == 1 else And(tuple(clauses))

    def clause(self, depth: int) -> Filter:
        if depth > _MAX_DEPTH:
            self.fail(f"nested beyond {_MAX_DEPTH} levels")
        if self.peek("bracket", "("):
            self.take()
            inner = self.any_of(depth + 1)
            if not self.peek("bracket", ")"):
                self.fail("expected )")
            self.take()
            return inner
        if self.peek("word", "not"):
            self.take()
            return Not(self.clause(depth + 1))
        if self.peek("word", "has"):
            self.take()
            return Has(self.path())
        return self.comparison()

    def comparison(self) -> Filter:
        if self.peek("quoted"):
            return Search(_unquote(self.take()))
        if not self.peek("word") or self.peek("word", "and", "or"):
            self.fail("expected a field, a word or (")
        follower = self.tokens[self.next + 1][0] if self.next + 1 < len(self.tokens) else ""
        if follower not in ("operator", "dot"):
            return Search(self.take())
        path = self.path()
        if not self.peek("operator"):
            self.fail("expected one of = != < <= > >= ~")
        operator: Operator = self.take()  # type: ignore[assignment]  # the token pattern knows no other
        value = self.value()
        if operator == "~" and not isinstance(value, str):
            value = self.tokens[self.next - 1][1]  # "~5" looks for the digit
        return Compare(path, operator, value)

    def path(self) -> Path:
        start = self.tokens[self.next][2] if self.next < len(self.tokens) else len(self.text)
        if not self.peek("word"):
            self.fail("expected a field")
        keys = self.take().split(".")
        while self.peek("dot"):
            self.take()
            keys.append(_unquote(self.take()))
            if self.peek("word") and self.tokens[self.next][1].startswith("."):
                keys += self.take()[1:].split(".")
        keys[0] = self.aliases.get(keys[0], keys[0])
        if keys[0] not in self.fields:
            self.fail(f"there is no field {keys[0]!r} (there are {', '.join(sorted(self.fields))})", start)
        if "" in keys[1:]:
            self.fail("a key is empty", start)
        return tuple(keys)

    def value(self) -> Scalar:
        if self.peek("quoted"):
            return _unquote(self.take())
        if not self.peek("word"):
            self.fail("expected a value")
        word = self.take()
        if word in _CONSTANTS:
            return _CONSTANTS[word]
        if _INTEGER.fullmatch(word):
            return int(word)
        if _NUMBER.fullmatch(word):
            number = float(word)
            if number in (float("inf"), float("-inf")):
                self.fail("the number is too large", self.tokens[self.next - 1][2])
            return number
        return word


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


# ---------------------------------------------------------------- meaning


def matcher(tree: Filter | None, get: Callable[[Any, Path], Any]) -> Callable[[Any], bool]:
    """Return the test of one row; ``get(row, path)`` gives a value or :data:`MISSING`."""
    if tree is None:
        return lambda row: True
    if isinstance(tree, Compare):
        return _comparer(tree, get)
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


def _kind(value: Any) -> str:
    """Return what a value may be compared with."""
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
    "!=": lambda found, wanted: bool(found == wanted),  # turned round around the whole list
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
    """A filter in the form that TinyDB's ``search``, ``update`` and ``remove`` take."""

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
        """TinyDB asks whether equal queries give equal results: they do."""
        return True
