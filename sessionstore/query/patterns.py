"""Regular expressions that a filter may hold: those whose search time stays small.

A filter comes from outside (the API), and :mod:`re` can need exponential time. Refused are therefore: a repeated group
that repeats or chooses inside, back references, look-around, more than three ``*`` or ``+``; a text is searched in its
first :data:`MAX_TEXT` characters.
Not here: where a pattern stands in a filter (query.parser).
"""

from __future__ import annotations

import re
from functools import lru_cache

MAX_PATTERN = 200
MAX_TEXT = 1000
_MAX_REPEATS = 3
_PARTS = re.compile(
    r"(?P<escape>\\.)|(?P<set>\[\^?\]?(?:[^\]\\]|\\.)*\])|(?P<open>\((?:\?:|(?P<extension>\?))?)|(?P<close>\))"
    r"|(?P<repeat>[*+]|\{[0-9]*,?[0-9]*\})|(?P<choice>\|)|(?P<other>.)",
    re.DOTALL,
)


@lru_cache(maxsize=64)
def compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    """Return the compiled pattern. Raises: re.error: it cannot be read."""
    return re.compile(pattern, re.IGNORECASE if ignore_case else 0)


def problem(pattern: str) -> str | None:
    """Return why a pattern is refused, or None."""
    if len(pattern) > MAX_PATTERN:
        return f"a regular expression has at most {MAX_PATTERN} characters"
    try:
        compiled(pattern, False)
    except (re.error, OverflowError, RecursionError) as error:
        return f"the regular expression cannot be read: {error}"
    return _slow(pattern)


def _slow(pattern: str) -> str | None:
    repeats, groups, closed = 0, [False], None  # per open group: whether it repeats or chooses inside
    for part in _PARTS.finditer(pattern):
        kind = part.lastgroup
        if kind == "escape" and part[0][1] in "123456789":
            return "a regular expression of a filter has no back references"
        if part["extension"]:
            return "a regular expression of a filter has no groups of the form (?...), except (?:...)"
        if kind == "repeat":
            repeats += part[0] in "*+" or "," in part[0]
            if closed:
                return "a repeated group may not repeat or choose inside: it could take very long"
            groups[-1] = True
        closed = groups.pop() if kind == "close" and len(groups) > 1 else None
        if kind == "close":
            groups[-1] = groups[-1] or bool(closed)
        elif kind == "open":
            groups.append(False)
        elif kind == "choice":
            groups[-1] = True
    return f"a regular expression of a filter has at most {_MAX_REPEATS} of * and +" if repeats > _MAX_REPEATS else None
