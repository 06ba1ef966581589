"""Checks of the sealed form of streams: what an interrupted seal left, members and indexes that are damaged.

Not here: the lines themselves, plain or sealed (stream_files), repairs (maintenance.repairs.sealed_repair).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sessionstore.errors import Corrupt, NewerFormat
from sessionstore.maintenance.findings import Finding
from sessionstore.session import Session, stream_source


def check(session: Session, sealed: Path, plain: Path, has_plain: bool) -> Iterator[Finding]:
    """Read the sealed form of a stream whole. Raises: UnsafeFile, StoreUnusable."""
    where = f"{session.session_id}/{sealed.name}"
    if has_plain and _is_sealed(sealed):
        counts = "counts: sealing or unsealing was interrupted"
        if stream_source.plain_status(plain) is None:
            counts = "is empty: a process that was to append ended before its first byte"
        what = f"{plain.name} is there too, and {counts}"
        yield Finding("seal-interrupted", where, what, session.session_id)
    if has_plain:
        return  # a file of another program is no stream
    try:
        with stream_source.opened_sealed(sealed) as found:
            damaged = found.check()
            why, count, members = found.index.found_again, len(damaged), len(found.index.members)
    except (Corrupt, NewerFormat) as error:
        yield Finding("seal-foreign", where, error.reason, session.session_id)
        return
    if damaged:
        first = damaged[0]
        lost = sum(end - begin for begin, end in found.lost)
        numbers = "" if count == 1 else f"{count} of {members} members, first "
        what = f"{numbers}member {first.number}: {first.reason}; {lost:,} bytes of lines are lost"
        facts = {"members": [each.number for each in damaged], "lost_bytes": lost}
        yield Finding("seal-damaged", where, what, session.session_id, facts)
    elif why is not None:
        yield Finding("seal-index", where, why, session.session_id)


def _is_sealed(path: Path) -> bool:
    try:
        with stream_source.opened_sealed(path):
            return True
    except (Corrupt, NewerFormat):
        return False
