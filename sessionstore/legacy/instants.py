"""Instants as old programs wrote them: seconds since 1970, ISO 8601 with a zone, or without one.

A text without a zone is ambiguous: it is read in the zone that was stated, or
not at all. Small numbers are no instants but seconds of some clock that began at 0.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Literal

from sessionstore.errors import InvalidRecord

#: Numbers from here on are epoch seconds (1973), from there on epoch milliseconds; below they are no instants.
_EPOCH_FROM, _MILLISECONDS_FROM = 1e8, 1e11
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")

Kind = Literal["utc", "naive", "seconds", "unusable"]


@dataclass(frozen=True, slots=True)
class Instant:
    """What a value says: an aware instant (utc), one without a zone (naive), seconds from 0, or nothing."""

    kind: Kind
    utc: datetime | None = None
    seconds: float | None = None


def zone_of(name: str | None) -> tzinfo | None:
    """Return the zone of a name such as UTC, Europe/Zurich or +02:00.

    Raises: InvalidRecord: there is no such zone.
    """
    if name is None:
        return None
    if name.upper() in ("UTC", "Z"):
        return UTC
    if found := _OFFSET.fullmatch(name):
        offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
        return timezone(-offset if found[1] == "-" else offset)
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise InvalidRecord(f"there is no time zone {name!r} (try UTC, Europe/Zurich or +02:00)") from error


def read(value: Any, zone: tzinfo | None) -> Instant:
    """Return what a timestamp says; one without zone is ``naive``, with ``utc`` only when a zone was stated."""
    if isinstance(value, str):
        return _read_text(value.strip(), zone)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return Instant("unusable")
    if value < _EPOCH_FROM:
        return Instant("seconds", seconds=float(value))
    try:
        return Instant("utc", datetime.fromtimestamp(value / 1000 if value >= _MILLISECONDS_FROM else value, UTC))
    except (OverflowError, ValueError, OSError):
        return Instant("unusable")


def _read_text(text: str, zone: tzinfo | None) -> Instant:
    try:
        return read(float(text), zone)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return Instant("unusable")
    try:
        if found.tzinfo is not None:
            return Instant("utc", found.astimezone(UTC))
        return Instant("naive", found.replace(tzinfo=zone).astimezone(UTC) if zone else None)
    except (OverflowError, ValueError):  # the first and the last day of the calendar
        return Instant("unusable")
