"""Instants and time-ordered UUIDs: the two ways in which records say when, and which.

Any instant of ISO 8601 with a zone is accepted; one form is stored, so that text order is time order. An instant
without a zone is refused here.
Not here: datetimes of programs (values), clocks of a run (session.recorder).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

from sessionstore.errors import InvalidRecord

_CANONICAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?!24)[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")  # 24:00 is tomorrow
_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ](?!24)[0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:[.,]([0-9]{0,9}))?([Zz]|[+-][0-9]{2}:?[0-9]{2})"
)


def utc_text(instant: datetime, where: str = "value") -> str:
    """Return an aware instant as ISO 8601 in UTC with Z and microseconds, so that text order is time order.

    Raises: InvalidRecord: the instant has no zone, or does not exist in UTC (beyond the year 9999).
    """
    if instant.tzinfo is None:
        raise InvalidRecord(f"{where}: {instant} has no time zone; a guess would be wrong somewhere")
    try:
        utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    except OverflowError as error:
        raise InvalidRecord(f"{where}: {instant} is beyond the years that UTC has") from error
    return utc.isoformat(timespec="microseconds")[:26] + "Z"


def now_text() -> str:
    """Return this instant, as records hold instants."""
    return utc_text(datetime.now(UTC))


def instant(text: str) -> datetime:
    """Return the aware datetime of an instant in ISO 8601: Z or an offset, 0 to 9 decimals (microseconds are kept).

    Raises: InvalidRecord: anything else, an instant without a zone too.
    """
    if _CANONICAL.fullmatch(text):  # nearly always
        try:
            return datetime.fromisoformat(text)
        except ValueError as error:
            raise InvalidRecord(f"{text!r} is not an instant: {error}") from error
    found = _INSTANT.fullmatch(text)
    if found is None:
        raise InvalidRecord(f"{text!r} is not an instant like 2026-11-23T14:30:00.000000Z or 2026-11-23T15:30:00+01:00")
    seconds, decimals, zone = found.groups()
    try:
        return datetime.fromisoformat(f"{seconds}.{(decimals or '')[:6]:0<6}{zone.upper()}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRecord(f"{text!r} is not an instant: {error}") from error


@lru_cache(maxsize=1024)
def canonical(text: str) -> str:
    """Return an instant as records hold it: UTC, microseconds, Z, so that text order is time order.

    Raises: InvalidRecord.
    """
    return text if is_canonical(text) else utc_text(instant(text))


def is_canonical(text: str) -> bool:
    """Whether an instant already has the form of :func:`canonical` (its digits may still be no date)."""
    return _CANONICAL.fullmatch(text) is not None


def is_stored_form(text: str) -> bool:
    """Whether an instant is one, in the form of :func:`canonical`; quick, for many records."""
    try:
        return _CANONICAL.fullmatch(text) is not None and datetime.fromisoformat(text) is not None
    except ValueError:
        return False


def all_stored(texts: Iterable[str]) -> bool:
    """Whether each is an instant in its stored form."""
    return all(map(is_stored_form, texts))


def new_uuid(now_ns: int | None = None) -> str:
    """Return a time-ordered UUID (version 7 of RFC 9562: 48 bits of milliseconds, then 12 of their fraction)."""
    now = time.time_ns() if now_ns is None else now_ns
    milliseconds, rest = divmod(now, 1_000_000)
    fraction = rest * 4096 // 1_000_000  # method 3 of section 6.2: order within the millisecond too
    random = int.from_bytes(os.urandom(8), "big") >> 2
    value = (milliseconds & (1 << 48) - 1) << 80 | 7 << 76 | fraction << 64 | 0b10 << 62 | random
    return str(UUID(int=value))


def uuid_after(last: str) -> str:
    """Return a new time-ordered UUID that sorts behind another, also when the clock was set back in between."""
    new = new_uuid()
    if new > last:
        return new
    try:
        return new_uuid(((UUID(last).int >> 80) + 1) * 1_000_000)
    except ValueError:  # not one of ours
        return new
