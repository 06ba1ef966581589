"""Reads a filter: text to tree; a mistake is named with its column and, where possible, what to write instead.

Not here: the grammar in full (query), tokens (query.tokens), types of fields (query.checks), meaning (query.matching).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NoReturn

from sessionstore.errors import InvalidQuery
from sessionstore.query import checks
from sessionstore.query.checks import Refused, Value
from sessionstore.query.tokens import Token, fail, tokens, unquoted
from sessionstore.query.tree import And, Field, Filter, Has, Not, Operator, Or, Path, Search

_MAX_LENGTH = 4096
_MAX_DEPTH = 50
_MAX_ITEMS = 200
#: Words that other languages compare with, and what to write; they are never searched without quotes.
_FOREIGN = {
    "like": "~", "ilike": "~", "contains": "~", "matches": "~ /.../", "equals": "=", "eq": "=", "ne": "!=", "gt": ">",
    "ge": ">=", "gte": ">=", "lt": "<", "le": "<=", "lte": "<=", "&&": "and", "&": "and", "||": "or", "|": "or",
    ",": "and",
}  # fmt: skip
_OPERATOR_WORDS = ("in", "between", "is")


def parse(
    text: str,
    fields: Iterable[str] | Mapping[str, Field],
    aliases: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> Filter | None:
    """Return the tree of a filter; None for an empty one, which every row matches.

    Args:
        fields: the first names of paths; a mapping gives their types, so that senseless comparisons are refused.
        aliases: further names of fields.
        now: what relative instants count from (the present by default).

    Raises:
        InvalidQuery: the expected, and the column.
    """
    if len(text) > _MAX_LENGTH:
        raise InvalidQuery(f"a filter has at most {_MAX_LENGTH} characters, this one {len(text)}")
    return _Parser(text, fields, aliases or {}, now or datetime.now(UTC)).filter()


def parse_path(text: str, fields: Iterable[str], aliases: Mapping[str, str] | None = None) -> Path:
    """Return the path that a text such as ``metadata."a.b"`` is. Raises: InvalidQuery."""
    parser = _Parser(text, fields, aliases or {}, datetime.now(UTC))
    path = parser.path()
    if parser.next < len(parser.tokens):
        parser.fail("expected one field")
    return path


class _Parser:
    def __init__(
        self, text: str, fields: Iterable[str] | Mapping[str, Field], aliases: Mapping[str, str], now: datetime
    ) -> None:
        self.text, self.aliases, self.now = text, aliases, now
        self.types: Mapping[str, Field] = fields if isinstance(fields, Mapping) else {}
        self.fields = frozenset(fields)
        self.tokens = tokens(text)
        self.next = 0

    # ------------------------------------------------------------ tokens

    def fail(self, reason: str, position: int | None = None) -> NoReturn:
        fail(self.text, reason, self.position if position is None else position)

    @property
    def position(self) -> int:
        return self.tokens[self.next].position if self.next < len(self.tokens) else len(self.text)

    def peek(self, ahead: int = 0) -> Token:
        place = self.next + ahead
        return self.tokens[place] if place < len(self.tokens) else Token("bracket", "", len(self.text))

    def take(self) -> str:
        self.next += 1
        return self.tokens[self.next - 1].text

    def take_if(self, *words: str) -> str:
        """Take one of these keywords, ignoring case; return it, or nothing."""
        return self.take().lower() if self.peek().lower in words else ""

    @contextmanager
    def explained(self, position: int) -> Iterator[None]:
        """Name the column of a refused comparison."""
        try:
            yield
        except Refused as error:
            self.fail(str(error), position)

    # ------------------------------------------------------------ clauses

    def filter(self) -> Filter | None:
        if not self.tokens:
            return None
        tree = self.any_of(0)
        if self.next < len(self.tokens):
            self.fail(f"did not expect {self.peek().text!r}")
        return tree

    def any_of(self, depth: int) -> Filter:
        clauses = [self.all_of(depth)]
        while self.take_if("or"):
            clauses.append(self.all_of(depth))
        return checks.joined(clauses, Or)

    def all_of(self, depth: int) -> Filter:
        clauses = [self.clause(depth)]
        while self.next < len(self.tokens) and self.peek().lower != "or" and self.peek().text != ")":
            self.take_if("and")
            clauses.append(self.clause(depth))
        return checks.joined(clauses, And)

    def clause(self, depth: int) -> Filter:
        if depth > _MAX_DEPTH:
            self.fail(f"nested beyond {_MAX_DEPTH} levels")
        if self.peek().text == "(":
            self.take()
            inner = self.any_of(depth + 1)
            self.expect(")")
            return inner
        if self.take_if("not"):
            return Not(self.clause(depth + 1))
        if self.take_if("has"):
            return Has(self.path())
        return self.comparison()

    def expect(self, bracket: str) -> None:
        if self.peek().text != bracket:
            self.fail(f"expected {bracket}")
        self.take()

    def comparison(self) -> Filter:
        token = self.peek()
        if token.kind == "quoted":
            return Search(unquoted(self.take()))
        if token.kind != "word" or token.lower in ("and", "or"):
            self.fail("expected a field, a word or (")
        if self.peek(1).kind not in ("operator", "dot") and not self.is_compared_in_words():
            return self.search()
        start = self.position
        path = self.path()
        if self.peek().kind == "operator":
            return self.compared(path, start)
        if not self.is_operator_word(0):
            self.fail("expected one of = != < <= > >= ~ in between is")
        return self.compared_in_words(path, start)

    def is_operator_word(self, ahead: int) -> bool:
        """Whether in, between, is, not in or not between stands there."""
        if self.peek(ahead).lower == "not":
            return self.peek(ahead + 1).lower in ("in", "between")
        return self.peek(ahead).lower in _OPERATOR_WORDS

    def is_compared_in_words(self) -> bool:
        return self.is_operator_word(1) and self.peek().lower not in (*_OPERATOR_WORDS, *_FOREIGN)

    def search(self) -> Filter:
        """Return the clause of a word by itself; a word that looks like an operator is a mistake."""
        for token in (self.peek(), self.peek(1)):
            if token.lower in _FOREIGN:
                quotes = f'; in quotes the word is searched: "{token.text}"' if token.text.isalpha() else ""
                self.fail(f"there is no {token.text}, use {_FOREIGN[token.lower]}{quotes}", token.position)
        word = self.peek()
        if word.lower in _OPERATOR_WORDS:
            self.fail(f'{word.text} needs a field before it; in quotes the word is searched: "{word.text}"')
        field, colon, value = word.text.partition(":")
        if colon and self.aliases.get(field, field) in self.fields:
            self.fail(f"expected an operator, as {field}={value or 'VALUE'}", word.position + len(field))
        return Search(self.take())

    # ------------------------------------------------------------ comparisons

    def compared(self, path: Path, start: int) -> Filter:
        operator: Operator = self.take()  # type: ignore[assignment]  # the token pattern knows no other
        token, field = self.peek(), self.types.get(path[0])
        if token.kind == "regex":
            pattern, _, flags = self.take()[1:].rpartition("/")
            with self.explained(token.position):
                return checks.match(path, field, pattern, flags)
        value = self.value()
        with self.explained(value.position if operator in ("=", "!=") else start):
            return checks.compare(path, field, operator, value, self.now)

    def compared_in_words(self, path: Path, start: int) -> Filter:
        field, negated = self.types.get(path[0]), bool(self.take_if("not"))
        word = self.take().lower()
        if word == "is":
            negated = bool(self.take_if("not"))
            if not self.take_if("null"):
                self.fail("expected null (is compares with null only, use = for other values)")
            clause = checks.null_or_missing(path)
        elif word == "in":
            values = self.values()
            with self.explained(start):
                clause = checks.one_of(path, field, values, self.now)
        else:
            low = self.value()
            if not self.take_if("and"):
                self.fail("expected and, as in between 3 and 5")
            high = self.value()
            with self.explained(start):
                clause = checks.between(path, field, low, high, self.now)
        return Not(clause) if negated else clause

    def path(self) -> Path:
        start = self.position
        if self.peek().kind != "word":
            self.fail("expected a field")
        keys = self.take().split(".")
        while self.peek().kind == "dot":
            self.take()
            keys.append(unquoted(self.take()))
            if self.peek().kind == "word" and self.peek().text.startswith("."):
                keys += self.take()[1:].split(".")
        keys[0] = self.aliases.get(keys[0], keys[0])
        if keys[0] not in self.fields:
            hint = checks.suggestion(keys[0], [*self.fields, *self.aliases])
            self.fail(f"there is no field {keys[0]!r}{hint or self.known_fields()}", start)
        if "" in keys[1:]:
            self.fail("a key is empty", start)
        return tuple(keys)

    def known_fields(self) -> str:
        return f" (there are {', '.join(sorted(self.fields))})"

    def value(self) -> Value:
        token = self.peek()
        if token.kind not in ("quoted", "word"):
            self.fail("expected a value")
        text = self.take()
        quoted = token.kind == "quoted"
        return Value(unquoted(text) if quoted else text, quoted, token.position)

    def values(self) -> list[Value]:
        """Return the values of a list in brackets."""
        self.expect("(")
        found: list[Value] = []
        wanted = True  # whether a value comes next, or a comma
        while self.peek().text != ")":
            for value in self.pieces():
                is_comma = value.text == "," and not value.quoted
                if is_comma == wanted:
                    self.fail("expected a value" if wanted else "expected , or )", value.position)
                wanted = is_comma
                found += [] if is_comma else [value]
        if wanted or len(found) > _MAX_ITEMS:
            self.fail("expected a value" if wanted else f"a list has at most {_MAX_ITEMS} values")
        self.take()
        return found

    def pieces(self) -> list[Value]:
        """Return one token of a list, cut at its commas."""
        value = self.value()
        if value.quoted:
            return [value]
        found, position = [], value.position
        for number, piece in enumerate(value.text.split(",")):
            if number:
                found.append(Value(",", False, position - 1))
            if piece:
                found.append(Value(piece, False, position))
            position += len(piece) + 1
        return found
