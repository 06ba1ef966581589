"""Instants in a filter: shortened (``2026-11``), named (``today``) or relative (``-1d``), all UTC.

A shortened or named instant is a period, from its first to its last microsecond; a relative or complete one is a point.
Not here: the instants of a record (model.records), local time (cli.text).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

#: First and last microsecond, as records store instants.
Period = tuple[str, str]

EXAMPLES = "2026-11-23, 2026-11, today or -1d"
_RELATIVE = re.compile(r"-(?P<number>[0-9]{1,6})(?P<unit>[smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SHORT = re.compile(
    r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2})"
    r"(?:T(?P<hour>[0-9]{2})(?::(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}))?)?)?)?)?Z?"
)
_STEP = timedelta(microseconds=1)


def is_relative(word: str) -> bool:
    """Return whether a word can only mean an instant relative to now."""
    return word in ("now", "today", "yesterday") or _RELATIVE.fullmatch(word) is not None


def period(word: str, now: datetime) -> Period | None:
    """Return the first and the last microsecond of what a word names, or None if it is not an instant."""
    try:
        bounds = _bounds(word, now)
    except (ValueError, OverflowError):  # the 31st of November, a million weeks ago
        return None
    return None if bounds is None else (_text(bounds[0]), _text(bounds[1]))


def _bounds(word: str, now: datetime) -> tuple[datetime, datetime] | None:
    if word == "now":
        return now, now
    if word in ("today", "yesterday"):
        start = now.replace(hour=0, minute=0, second=0, microsecond=0)
        start -= timedelta(days=word == "yesterday")
        return start, start + timedelta(days=1) - _STEP
    if found := _RELATIVE.fullmatch(word):
        moment = now - timedelta(**{_UNITS[found["unit"]]: int(found["number"])})
        return moment, moment
    if found := _SHORT.fullmatch(word):
        return _short(found)
    if not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:", word):
        return None
    moment = datetime.fromisoformat(word)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment, moment


def _short(found: re.Match[str]) -> tuple[datetime, datetime]:
    parts = [int(part) for part in found.groups() if part is not None]
    year, month, day, hour, minute, second = parts + [1, 1, 1, 0, 0, 0][len(parts) :]
    start = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    if len(parts) == 1:
        end = start.replace(year=start.year + 1) if start.year < 9999 else datetime.max.replace(tzinfo=UTC) + _STEP
    elif len(parts) == 2:
        end = (start + timedelta(days=31)).replace(day=1)
    else:
        end = (
            start + (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1))[len(parts) - 3]
        )
    return start, end - _STEP


def _text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z".rjust(27, "0")
