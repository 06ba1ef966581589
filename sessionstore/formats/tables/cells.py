"""What a cell holds: a number in any usual spelling, an instant, a text, or nothing.

Not here: units (units), which column is what (plan).
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal
from typing import Any

MISSING = frozenset(
    ("", "nan", "null", "none", "na", "n/a", "-", "--", "#n/a", "nat", "inf", "-inf", "+inf", "undefined")
)
_BEGIN_OF_NUMBERS = frozenset("0123456789+-.")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
_CLOCK = re.compile(r"([+-]?\d{1,3}):(\d{2})(?::(\d{2}(?:[.,]\d+)?))?")
_TRUTH = {"true": True, "false": False, "yes": True, "no": False}
#: Dates that are not ISO 8601; the day before the month only with dots.
_DATES = (
    "%Y/%m/%d %H:%M:%S.%f", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y %H:%M:%S.%f", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M",
    "%Y%m%d %H:%M:%S", "%Y-%m-%d_%H-%M-%S", "%m/%d/%Y %H:%M:%S.%f", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S.%f %p",
    "%m/%d/%Y %I:%M:%S %p", "%a, %d %b %Y %H:%M:%S %Z",
)  # fmt: skip


def is_missing(cell: Any) -> bool:
    """Whether a cell holds nothing."""
    if cell is None:
        return True
    if isinstance(cell, str):
        return cell.strip().lower() in MISSING
    return isinstance(cell, float) and not math.isfinite(cell)


def number(cell: Any, decimal: str = ".") -> float | int | None:
    """Return the finite number in a cell, an int where it is written as one; None for nothing and for a text."""
    if isinstance(cell, str):
        return _number_of(cell, decimal)
    if isinstance(cell, bool) or cell is None:
        return None
    if isinstance(cell, Decimal):
        cell = float(cell)
    if isinstance(cell, int | float):
        return cell if math.isfinite(cell) else None
    return None


def _number_of(text: str, decimal: str) -> float | int | None:
    text = text.strip()
    if decimal == ",":
        text = text.replace(".", "").replace(",", ".") if "," in text else text
    elif "," in text and _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    if not text or text[0] not in _BEGIN_OF_NUMBERS or "_" in text:
        return None
    try:
        if text.isdecimal() or text[1:].isdecimal():
            return int(text) if "." not in text else float(text)
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def instant(cell: Any, zone: tzinfo = UTC) -> datetime | None:
    """Return the instant in a cell, in UTC; None where it is none.

    Args:
        zone: of instants that give none.
    """
    found = cell if isinstance(cell, datetime) else None
    if found is None and isinstance(cell, date):
        found = datetime.combine(cell, time())
    if found is None and isinstance(cell, str):
        found = _instant_of(cell.strip())
    if found is None:
        return None
    try:
        return (found if found.tzinfo is not None else found.replace(tzinfo=zone)).astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def _instant_of(text: str) -> datetime | None:
    if len(text) < 8 or not (text[:2].isdigit() or text[:3].isalpha()):
        return None
    if re.fullmatch(r"\d+(\.\d*)?", text):  # a number, not a date without separators
        return None
    try:
        return datetime.fromisoformat(re.sub(r"\s*UTC$", "+00:00", text).replace(",", "."))
    except ValueError:
        pass
    for form in _DATES:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007  # the zone is the caller's
        except ValueError:
            continue
    return None


def clock_time(cell: Any) -> float | None:
    """Return the seconds of ``HH:MM:SS.f`` or ``MM:SS``; None for another text."""
    if isinstance(cell, time):
        return cell.hour * 3600 + cell.minute * 60 + cell.second + cell.microsecond / 1e6
    found = _CLOCK.fullmatch(cell.strip()) if isinstance(cell, str) else None
    if found is None:
        return None
    first, second = int(found[1]), int(found[2])
    if found[3] is None:
        return first * 60.0 + second
    return first * 3600 + second * 60 + float(found[3].replace(",", "."))


def value(cell: Any, decimal: str = ".") -> Any:
    """Return a cell as a value of a record: a number, a truth value, a text; None for nothing."""
    if not isinstance(cell, str):
        return None if is_missing(cell) else cell
    if (found := _number_of(cell, decimal)) is not None:
        return found
    text = cell.strip()
    lower = text.lower()
    if lower in MISSING:
        return None
    return _TRUTH.get(lower, text)
