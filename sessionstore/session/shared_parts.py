"""What many documents have in common, the provenance of their record: known by its bytes, it is not parsed again.

The sessions that one process made have one provenance, two thirds of their bytes. A change of a session needs no more
of it than that it stays: its text is cut out, compared with those that this process has parsed and laid out before,
and put back. What is not certainly as the package lays it out is parsed in full (documents), which says what is wrong.
Not here: where it stands (model.provenance_text), the layout (model.json_text), reading for programs, which get data of
their own (documents).
"""

from __future__ import annotations

from typing import Any

import msgspec

from sessionstore.model import json_text
from sessionstore.model.provenance_text import DIGITS, IN_ITS_PLACE, INDENT, MOST, place_of

_known: dict[bytes, json_text.Fixed] = {}


def parse(data: bytes, path: str, own: bool = False) -> Any:
    """Return the value of a document file, as :func:`sessionstore.model.json_text.parse` does.

    The provenance in it may be shared with other documents: it is replaced, and never changed, by who gets it.

    Args:
        own: whether this process laid the text out, so that it needs no second look.

    Raises: Corrupt.
    """
    value = _parse_around(data, own) if _known else None
    if value is None:
        value = json_text.parse_own(data) if own else json_text.parse(data, path)
        _learn(value, data)
    return value


def _parse_around(data: bytes, own: bool) -> Any:
    place = place_of(data)
    known = None if place is None else _known.get(data[place[0] : place[1]])
    if place is None or known is None or DIGITS in data:
        return None
    try:
        around = data[: place[0]] + DIGITS + data[place[1] :]
        value = json_text.parse_own(around) if own else json_text.parse_surely(around)
        ((_, record),) = value["session"].items()
        if record["provenance"] != IN_ITS_PLACE:
            return None  # it was cut out of another place
    except (msgspec.MsgspecError, ValueError, RecursionError, TypeError, LookupError, AttributeError):
        return None  # it needs a closer look
    record["provenance"] = known
    return value


def _learn(value: Any, data: bytes) -> None:
    """Remember the provenance of a document that was parsed in full, when it stands there as it would be laid out."""
    place = place_of(data)
    try:
        ((_, record),) = value["session"].items()
        found = record["provenance"]
    except (ValueError, TypeError, LookupError, AttributeError):
        return
    if place is None or type(found) is not dict or not found:
        return
    fixed, text = json_text.Fixed(found), data[place[0] : place[1]]
    if fixed.laid_out(INDENT).encode() == text:
        if len(_known) >= MOST:
            _known.clear()
        _known[text] = record["provenance"] = fixed
