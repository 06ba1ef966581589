"""What repairs took away and people accepted, as the table ``repairs`` of session.json says: not a fault any more.

A row names the stream and one of: a gap (``expected``, ``found``: the numbers on its two sides), a kind of change with
its count (reordered, repeated, short), the checksum of an edited last record (``last``). More changes of a kind than
were accepted are a fault again.
Not here: writing the rows (maintenance.repairs).
"""

from __future__ import annotations

from typing import Any

from sessionstore.errors import SessionStoreError
from sessionstore.session import Session

#: The table of session.json with one row for each repair or acceptance.
REPAIRS = "repairs"
#: The kinds of a row for records that are missing at the end of a stream, and for a last record that was edited.
SHORT, LAST = "short", "last"


def gaps(session: Session, stream: str) -> set[int]:
    """Return the numbers at which lines were taken out of a stream, or are known to be missing."""
    return {row["expected"] for row in _rows(session, stream) if isinstance(row.get("expected"), int)}


def count(session: Session, stream: str, kind: str) -> int:
    """Return how many changes of a kind were accepted in a stream; the newest row counts."""
    found = [row.get("count") for row in _rows(session, stream) if row.get("kind") == kind]
    return found[-1] if found and isinstance(found[-1], int) else 0


def is_short(session: Session, stream: str, missing: int) -> bool:
    """Whether that many records are known to be missing at the end of a stream."""
    repaired = any("kind" not in row for row in _rows(session, stream))
    return repaired or count(session, stream, SHORT) >= missing


def is_last(session: Session, stream: str, checksum: str) -> bool:
    """Whether a last record with this checksum was accepted: it is not the one that the run ended with."""
    return any(row.get("kind") == LAST and row.get("last") == checksum for row in _rows(session, stream))


def _rows(session: Session, stream: str) -> list[dict[str, Any]]:
    try:
        table = session.tables().get(REPAIRS, {})
    except SessionStoreError:
        return []  # the record has its own finding
    return [row for row in table.values() if row.get("stream") == stream]
