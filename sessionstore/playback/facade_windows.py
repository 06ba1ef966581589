"""The windows of facades, out of the stream ``windows``: one row for each window, whichever form its line has.

A line holds a whole facade (``facade``: centre of the first place, steps, and the dirt as rows of columns, null where
there is no window), or a single window (``window``: position, normal, size, dirt), as earlier versions and other
programs write it. A line that has neither form gives no row.
Not here: how dirt changes (the stream of events), drawing (server/web/player), writing (simulation.running.snapshot).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sessionstore.session import Session
from sessionstore.session.stream_names import WINDOWS

COLUMNS = ["name", "x", "y", "z", "nx", "ny", "width", "height", "dirt"]
_MOST_PLACES = 100_000  # of one line; the tallest facades have some thousands


def facade_windows(session: Session) -> Iterator[list[Any]]:
    """Return the windows of a session as rows of COLUMNS, as they were at the start; damaged lines are left out."""
    for line in session.tape(WINDOWS).read(damaged="skip"):
        yield from window_rows(line.data)


def window_rows(data: Mapping[str, Any]) -> Iterator[list[Any]]:
    """Return the windows of one line as rows of COLUMNS."""
    if "facade" in data:
        yield from _of_facade(data)
        return
    numbers = [*_numbers(data.get("position"), 3), *_numbers(data.get("normal"), 2), *_numbers(data.get("size"), 2)]
    if len(numbers) == 7 and _is_number(data.get("dirt")):
        yield [str(data.get("window", "")), *numbers, data["dirt"]]


def _of_facade(data: Mapping[str, Any]) -> Iterator[list[Any]]:
    first, step = _numbers(data.get("first"), 3), _numbers(data.get("step"), 3)
    turned, size = _numbers(data.get("normal"), 2), _numbers(data.get("size"), 2)
    rows = data.get("dirt")
    if not (first and step and turned and size and isinstance(rows, list)):
        return
    rows = [row if isinstance(row, list) else [] for row in rows]
    if sum(map(len, rows)) > _MOST_PLACES:
        return
    for row, scores in enumerate(rows):
        z = round(first[2] + row * step[2], 3)
        for column, dirt in enumerate(scores):
            if _is_number(dirt):
                x, y = round(first[0] + column * step[0], 3), round(first[1] + column * step[1], 3)
                yield [f"{data['facade']}/r{row}c{column}", x, y, z, *turned, *size, dirt]


def _numbers(value: Any, length: int) -> list[float]:
    if not isinstance(value, list) or len(value) < length or not all(map(_is_number, value[:length])):
        return []
    return value[:length]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
