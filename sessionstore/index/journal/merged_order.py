"""Rows of the columns and rows that were put since, in one order.

Not here: which rows fit, and by what they are ordered (index.journal.pages).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any


def backwards(mask: bytearray, number: int) -> Iterator[int]:
    """Yield the rows of a mask before a number, the newest first."""
    while (number := mask.rfind(1, 0, number)) >= 0:
        yield number


def interleaved(rows: Iterator[Any], late: Sequence[Any], before: Callable[[Any, Any], bool]) -> Iterator[Any]:
    """Yield the items of two ordered series in order."""
    waiting = list(reversed(late))
    for row in rows:
        while waiting and before(waiting[-1], row):
            yield waiting.pop()
        yield row
    yield from reversed(waiting)
