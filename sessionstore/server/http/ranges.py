"""Byte ranges (RFC 9110, 14): one range of a reply whose length is known, so that a broken download goes on.

Not here: what is sent (server.routes.artifacts).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from sessionstore.server.http.problems import ApiProblem

_PART_BYTES = 1 << 16
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def asked_range(header: str | None, if_range: str | None, etag: str, total: int) -> tuple[int, int] | None:
    """Return the first byte and the one behind the last; None: send all (no range, several, or another state).

    Raises: ApiProblem: 416, the range begins behind the end.
    """
    found = _RANGE.fullmatch(header.replace(" ", "")) if header else None
    if found is None or not (found[1] or found[2]) or (if_range is not None and if_range.strip() != etag):
        return None
    if not found[1]:
        begin, end = max(0, total - int(found[2])), total
    else:
        begin, end = int(found[1]), min(total, int(found[2]) + 1) if found[2] else total
    if begin >= total or end <= begin:
        raise ApiProblem(416, "bad-range", f"there are {total:,} bytes", total=total)
    return begin, end


def range_headers(begin: int, end: int, total: int) -> dict[str, str]:
    """Return the headers of a partial reply."""
    return {"content-range": f"bytes {begin}-{end - 1}/{total}", "content-length": str(end - begin)}


def parts_of(descriptor: int) -> Iterator[bytes]:
    """Yield the bytes that an open file has now, not what is appended meanwhile; close it."""
    try:
        left = os.fstat(descriptor).st_size
        while left > 0 and (part := os.read(descriptor, min(left, _PART_BYTES))):
            left -= len(part)
            yield part
    finally:
        os.close(descriptor)


def cut(parts: Iterable[bytes], begin: int, end: int) -> Iterator[bytes]:
    """Yield the bytes from one position to another of what would be sent as a whole."""
    at = 0
    for part in parts:
        if (piece := part[max(0, begin - at) : max(0, end - at)]) and at + len(part) > begin:
            yield piece
        at += len(part)
        if at >= end:
            return
