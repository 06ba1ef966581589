"""The tokens of a filter, each with its position.

Not here: their grammar (query.parser).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NoReturn

from sessionstore.errors import InvalidQuery

TokenKind = Literal["quoted", "operator", "bracket", "dot", "word", "regex"]
_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<operator><=|>=|!=|==|<>|=~|!~|=|<|>|~)|(?P<bracket>[()])
    |(?P<dot>\.(?="))|(?P<word>[^\s()"=<>!~]+?(?=\.")|[^\s()"=<>!~]+))""",
    re.VERBOSE | re.DOTALL,
)
_REGEX = re.compile(r"\s*(?P<regex>/(?:[^/\\]|\\.)*/[A-Za-z]*)", re.DOTALL)
_BLANK = re.compile(r"\s*")
#: Signs of other languages, and what to write.
_FOREIGN = {"==": "=", "<>": "!=", "=~": "~ /.../", "!~": "not FIELD~..."}


@dataclass(frozen=True, slots=True)
class Token:
    """A part of a filter; ``text`` as typed, with its quotes."""

    kind: TokenKind
    text: str
    position: int

    @property
    def lower(self) -> str:
        """The word in lower case; empty for all other tokens: keywords ignore case."""
        return self.text.lower() if self.kind == "word" else ""


def fail(text: str, reason: str, position: int) -> NoReturn:
    """Raise InvalidQuery with the column of a mistake."""
    raise InvalidQuery(f"the filter {text!r}: {reason} at column {position + 1}")


def tokens(text: str) -> list[Token]:
    """Return the tokens of a filter. Raises: InvalidQuery."""
    found: list[Token] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        pattern = _TOKEN
        if found and found[-1].text == "~" and text[_blank_end(text, position)] == "/":
            pattern = _REGEX
        match = pattern.match(text, position)
        if match is None or match.lastgroup is None:
            start = _blank_end(text, position)
            if pattern is _REGEX:
                fail(text, 'a regular expression ends with / (text that starts with / needs quotes: ~"/...")', start)
            fail(text, _unreadable(text[start]), start)
        token = Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup))  # type: ignore[arg-type]
        if token.kind == "operator" and token.text in _FOREIGN:
            fail(text, f"there is no {token.text}, use {_FOREIGN[token.text]}", token.position)
        found.append(token)
        position = match.end()
    return found


def _blank_end(text: str, position: int) -> int:
    found = _BLANK.match(text, position)
    return found.end() if found is not None else position


def _unreadable(char: str) -> str:
    if char == '"':
        return 'a quoted text ends with "'
    return "there is no !, use not or !=" if char == "!" else f"{char!r} cannot be read"


def unquoted(text: str) -> str:
    """Return the text of a quoted token."""
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
