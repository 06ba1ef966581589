"""The packets of a MAVLink telemetry log, one by one in constant memory, and the bytes that are none.

Each packet has 8 bytes before it: the receiver's clock, microseconds since 1970, big-endian. A packet counts when its
checksum is right, so that bytes that only look like one are passed over and counted.
Source: https://mavlink.io/en/guide/serialization.html
Not here: what a message means (tlog).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sessionstore.formats.byte_walk import ByteWalk, ByteWindow

_V1, _V2 = 0xFE, 0xFD
_STAMP_BYTES = 8
_LONGEST = _STAMP_BYTES + 10 + 255 + 2 + 13
_SIGNED = 1
#: A packet whose time is further from the one before is none; the first one is of this century.
_MOST_APART_US = 30 * 86_400 * 10**6
_FIRST_US, _LAST_US = 946_684_800 * 10**6, 4_102_444_800 * 10**6


def packets(path: Path, walk: ByteWalk, decode: Any) -> Iterator[tuple[int, Any]]:
    """Yield (microseconds since 1970, message) of each packet that ``decode`` takes; ``walk`` gets the rest.

    Args:
        decode: takes the bytes of a packet; raises for one whose checksum is wrong.
    """
    window = ByteWindow(path, _LONGEST, walk)
    before_us: int | None = None
    gap: int | None = None  # where bytes began that are no packets
    while window.more():
        data, position, ended = window.data, window.position, window.ended
        here, end = window.place(position), _end_of(data, position)
        found = _packet(data, position, end, decode, before_us, gap is not None)
        if found is not None:
            if gap is not None:
                walk.pass_over(gap, here)
                gap = None
            before_us = found[0]
            yield found
            window.position = end
            continue
        if gap is None:
            gap = here
            if ended and (end > len(data) or (not end and len(data) - position < _STAMP_BYTES + 2)):
                break  # the last packet is cut off
        window.position = _next(data, position, ended)
    walk.ended_at = gap


def _packet(
    data: bytes, position: int, end: int, decode: Any, before_us: int | None, after_damage: bool
) -> tuple[int, Any] | None:
    """Return time and message of a packet, or None where there is none; after damage an unknown one counts as none."""
    if not end or end > len(data):
        return None
    at_us = int.from_bytes(data[position : position + _STAMP_BYTES], "big")
    if not (_FIRST_US < at_us < _LAST_US if before_us is None else abs(at_us - before_us) < _MOST_APART_US):
        return None
    try:
        message = decode(bytearray(data[position + _STAMP_BYTES : end]))
    except Exception:  # noqa: BLE001  # pymavlink raises exceptions of several classes on damaged bytes
        return None
    return None if after_damage and message.get_type().startswith("UNKNOWN") else (at_us, message)


def _end_of(data: bytes, position: int) -> int:
    """Return where a packet that begins at a position ends, 0 where none begins."""
    start = position + _STAMP_BYTES
    head = data[start : start + 3]
    if len(head) < 3 or head[0] not in (_V1, _V2):
        return 0
    if head[0] == _V1:
        return start + 6 + head[1] + 2
    return start + 10 + head[1] + 2 + (13 if head[2] & _SIGNED else 0)


def _next(data: bytes, position: int, ended: bool) -> int:
    """Return the next position where a packet may begin; near the end of what was read, where to look again."""
    begin = position + _STAMP_BYTES + 1
    places = [place for place in (data.find(_V1, begin), data.find(_V2, begin)) if place >= 0]
    if places:
        return min(places) - _STAMP_BYTES
    return len(data) if ended else max(position + 1, len(data) - _STAMP_BYTES)
