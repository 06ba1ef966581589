"""The first record in which the streams of two programs differ: those of their own names, and metrics.

Records are compared in the order of sim_time, streams of the same bytes without being read. The first value that
differs is named by its path, such as ``joints.q.2``.
Not here: motion (comparison), flights of another seed (role_differences).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice, zip_longest
from typing import Any

from sessionstore.session import Session, stream_names
from sessionstore.session.stream_reader import Line, Tape

_MOST_LINES = 200_000
Value = tuple[str, Any, Any]


def stream_difference(
    one: Session, other: Session, same_bytes: Callable[[Tape, Tape], int | None]
) -> dict[str, Any] | None:
    """Return the earliest difference: sim_time, field and both values; None: up to 200,000 records agree."""
    ours, theirs = one.tapes(), other.tapes()
    known = stream_names.KINDS.keys() - {stream_names.METRICS}
    found = []
    for name in sorted(ours.keys() | theirs.keys()):
        left, right = one.tape(name), other.tape(name)
        if name in known or (name in ours and name in theirs and same_bytes(left, right) is None):
            continue
        if (first := _first(name, left, right)) is not None:
            found.append(first)
    return min(found, key=lambda each: float(each["sim_time"]), default=None)


def _first(name: str, left: Tape, right: Tape) -> dict[str, Any] | None:
    for a, b in islice(zip_longest(left.in_time(), right.in_time()), _MOST_LINES):
        line = min((each for each in (a, b) if each is not None), key=_moment)
        differs = _ended(name, a, b) or _of(name, a.data, b.data)
        if differs is None and a.t_s != b.t_s:
            differs = (f"{name} sim_time", a.t_s, b.t_s)
        if differs is not None:
            field, mine, others = differs
            return {"sim_time": line.t_s, "drone": line.data.get("drone"), "field": field, "a": mine, "b": others}
    return None


def _moment(line: Line) -> float:
    return line.t_s


def _ended(name: str, a: Line | None, b: Line | None) -> Value | None:
    gone = "the recording ends"
    return None if a and b else (f"{name}.recording", "goes on" if a else gone, "goes on" if b else gone)


def _of(path: str, a: Any, b: Any) -> Value | None:
    """Return the first value that differs, by its path."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        inner = ((f"{path}.{key}", a.get(key), b.get(key)) for key in sorted({*a, *b}))
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        inner = ((f"{path}.{place}", *pair) for place, pair in enumerate(zip(a, b, strict=True)))
    else:
        return None if a == b else (path, a, b)
    return next((found for each in inner if (found := _of(*each)) is not None), None)
