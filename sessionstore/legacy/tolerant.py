"""JSON as old programs left it: torn, damaged in the middle, with NaN, twice the same key, or in a wrong encoding.

What can be read is returned with a sentence for each thing that was wrong; of a torn list only whole elements count.
Not here: our own files, which are never read so leniently (model.json_text).
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

from sessionstore.errors import Corrupt
from sessionstore.model.json_text import line_and_column

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],"]')  # a lone quotation mark begins the text that contains the damage

#: A double has at most 17 digits that count; this many are a mistake, and beyond 4,300 int() refuses them.
_DIGITS = 400


@dataclass(slots=True)
class Loaded:
    """The value, and what was wrong with its text."""

    value: Any
    problems: list[str] = field(default_factory=list)


def load(data: bytes, path: str = "") -> Loaded:
    """Return what a JSON text holds, as far as it can be read.

    Raises: Corrupt: nothing in it can be read.
    """
    loaded = Loaded(None)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = data.decode("utf-8-sig", errors="replace")
        loaded.problems.append(f"not UTF-8 from byte {error.start} on: what cannot be decoded was replaced")
    if not text.strip("\0 \t\r\n"):
        raise Corrupt("the file is empty" if not text else "the file holds only blanks or zeros", path)
    seen = _Oddities()
    try:
        loaded.value, end = seen.decoder().raw_decode(text, len(text) - len(text.lstrip()))
        if rest := text[end:].strip("\0 \t\r\n"):
            loaded.problems.append(f"{len(rest)} characters behind the end were passed over")
    except json.JSONDecodeError as error:
        loaded.value = _prefix(text, error, seen, path, loaded.problems)
    except RecursionError as error:
        raise Corrupt("nested too deeply", path) from error
    loaded.problems += seen.report()
    return loaded


class _Oddities:
    """What the decoder lets pass, counted."""

    def __init__(self) -> None:
        self.constants = 0
        self.endless = 0
        self.doubles: set[str] = set()

    def decoder(self) -> json.JSONDecoder:
        return json.JSONDecoder(
            object_pairs_hook=self._pairs,
            parse_constant=self._constant,
            parse_int=lambda text: self._number(int, text),
            parse_float=lambda text: self._number(float, text),
        )

    def _pairs(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            self.doubles |= {key for key in found if keys.count(key) > 1}
        return found

    def _constant(self, word: str) -> None:
        self.constants += 1

    def _number(self, kind: type[int] | type[float], text: str) -> int | float | None:
        """Return a number; one beyond the range of a float becomes null."""
        if len(text) <= _DIGITS and math.isfinite(float(text)):
            return kind(text)
        self.endless += 1
        return None

    def report(self) -> list[str]:
        report = [f"{self.constants} times NaN or Infinity: unknown now"] if self.constants else []
        report += [f"{self.endless} numbers too large: unknown now"] if self.endless else []
        return report + [
            f"the key {key!r} stands twice in one object: the last one counts" for key in sorted(self.doubles)
        ]


def _prefix(text: str, error: json.JSONDecodeError, seen: _Oddities, path: str, problems: list[str]) -> Any:
    """Read what stands before the damage, whole elements only."""
    end, closers = _last_whole_element(text, error.pos)
    if not end:
        raise Corrupt(error.msg, path, None, error.lineno, error.colno) from error
    seen.constants = seen.endless = 0
    value = seen.decoder().decode(text[:end] + closers)
    line, column = line_and_column(text, error.pos)
    share = 100 * end // len(text)
    problems.append(f"does not parse at line {line}, column {column} ({error.msg}): the {share} % before it were read")
    return value


def _last_whole_element(text: str, limit: int) -> tuple[int, str]:
    """Return where the last whole element ends, and what closes the containers around it; (0, "") when there is none.

    Whole is an element of a list, or a member of an object that is in no list: half a motion point is none.
    """
    stack: list[str] = []
    end, closers = 0, ""
    for token in _TOKEN.finditer(text, 0, limit):
        word = token[0]
        if word == '"':
            break  # what follows looks like brackets and is none
        if word in "{[":
            stack.append("}" if word == "{" else "]")
            continue
        if word in "}]":
            if not stack or stack.pop() != word:
                break
            whole = bool(stack) and "}" not in stack[stack.index("]") :] if "]" in stack else bool(stack)
        else:
            whole = word == "," and "]" not in stack and bool(stack)
        if whole:
            end, closers = token.start() if word == "," else token.end(), "".join(reversed(stack))
    return end, closers
