"""The form of one line of a stream: ``{"n":number,"t":sim_time, ...,"c":"checksum"}``.

A line is verified (its CRC-32 covers the bytes before ``,"c"``), unverified (written by hand, without "c"), edited (the
checksum was kept and the content changed), or damaged (it does not parse). What another program did to the file around
the record (CRLF, a byte order mark, another character set) is undone before the checksum is compared.
A record that has a key ``n``, ``t``, ``c``, ``<`` or ``=`` stands under the key ``=``; ``<`` holds what the stream says
about its order, and a line without a number that has it is a mark, not a record. See docs/format.md.
Not here: which values a record may hold (stream_record), files (stream_source), order by sim_time (stream_order).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from sessionstore.model import json_text

Remarked = Literal["", "edited", "unverified", "line-ends", "byte-order-mark", "encoding"]

#: The keys that belong to the line; a record that has one of them is nested under :data:`NESTED`.
NUMBER, SIM_TIME, CHECKSUM, ORDER, NESTED = "n", "t", "c", "<", "="
OWN_KEYS = frozenset((NUMBER, SIM_TIME, CHECKSUM, ORDER, NESTED))
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
TAIL_LENGTH = 16  # ,"c":"01234567"}
_MAX_TIME_BITS = 1000
_MAX_LEVELS = json_text.MAX_DEPTH + 1  # a nested record has one more
CHARACTER_SETS = ("cp1252", "latin-1", "mac-roman", "cp850")
_decode = msgspec.json.Decoder().decode


@dataclass(slots=True)
class Line:
    """One record: its number, its sim_time in seconds (NaN: none), its data, and its place (bytes from the start).

    ``remark`` says what is odd about it; ``order`` is what the line says about the order of its stream.
    """

    n: int
    t_s: float
    data: dict[str, Any]
    offset: int
    end: int
    verified: bool
    remark: Remarked = ""
    order: Any = None

    @property
    def edited(self) -> bool:
        """Whether the content was changed by hand while the checksum was kept."""
        return self.remark == "edited"

    def to_json(self) -> dict[str, Any]:
        """Return the record with its number and sim_time, as it is stored; a record's own ``n`` or ``t`` is nested."""
        if OWN_KEYS.isdisjoint(self.data):
            return {NUMBER: self.n, SIM_TIME: self.t_s, **self.data}
        return {NUMBER: self.n, SIM_TIME: self.t_s, NESTED: self.data}


@dataclass(slots=True)
class Mark:
    """A line that is not a record: what the stream says about itself (its session, a new attempt)."""

    data: dict[str, Any]
    offset: int
    end: int


@dataclass(slots=True)
class Damage:
    """A line that cannot be used, and why; its bytes are still there.

    ``whole`` ones parse: what is wrong is their place (``expected`` is the number that should stand there).
    ``kind`` is "damaged", "blank", "nested" (beyond the limit: another version may read it) or "missing".
    """

    offset: int
    end: int
    reason: str
    whole: bool = False
    expected: int | None = None
    kind: str = "damaged"


def line_bytes(payload: bytes, n: int, time_text: bytes, order_text: bytes) -> bytes:
    """Return one line; ``order_text`` is empty while the stream is in order."""
    if len(payload) > 2:
        head = b'{"n":%d,"t":%b%b,%b' % (n, time_text, order_text, payload[1:-1])
    else:
        head = b'{"n":%d,"t":%b%b' % (n, time_text, order_text)
    return b'%b,"c":"%08x"}\n' % (head, zlib.crc32(head))


def lines_bytes(payloads: Iterable[bytes], n: int, time_text: bytes, order_text: bytes) -> bytes:
    """Return the lines of one moment, numbered from ``n`` on, as :func:`line_bytes` gives each."""
    lines, between = [], b',"t":%b%b,' % (time_text, order_text)
    for number, payload in enumerate(payloads, n):
        head = b'{"n":%d%b%b' % (number, between, payload[1:-1])
        if len(payload) == 2:  # nothing behind the comma
            head = head[:-1]
        lines.append(b'%b,"c":"%08x"}\n' % (head, zlib.crc32(head)))
    return b"".join(lines)


def mark_bytes(content: dict[str, Any]) -> bytes:
    """Return the line of a mark."""
    head = b'{"<":%b' % msgspec.json.encode(content)
    return b'%b,"c":"%08x"}\n' % (head, zlib.crc32(head))


def parse_line(raw: bytes, offset: int) -> Line | Damage | Mark:
    """Return what one line holds (without its newline)."""
    end = offset + len(raw) + 1
    remark: Remarked = ""
    try:
        data = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        undone = _undone(raw)
        if undone is None:
            return _unreadable(raw, offset, end, error)
        raw, data, remark = undone
    if type(data) is not dict:
        return Damage(offset, end, "not an object")
    crc = data.pop(CHECKSUM, None)
    if crc is None:
        remark = "unverified"
    elif raw[-TAIL_LENGTH:-10] != b',"c":"' or b"%08x" % zlib.crc32(raw[:-TAIL_LENGTH]) != raw[-10:-2]:
        remark = (
            remark
            if has_right_checksum(raw) and remark
            else "line-ends"
            if has_right_checksum(raw.rstrip())
            else "edited"
        )
    if len(raw) > 2 * _MAX_LEVELS and json_text.nested_beyond_limit(raw, _MAX_LEVELS):
        return Damage(offset, end, f"nested beyond {json_text.MAX_DEPTH} levels", kind="nested")
    return _line(data, offset, end, remark)


def _line(data: dict[str, Any], offset: int, end: int, remark: Remarked) -> Line | Damage | Mark:
    order = data.pop(ORDER, None)
    n, t_s = data.pop(NUMBER, -1), data.pop(SIM_TIME, None)
    if order is not None and n == -1 and t_s is None and not data and type(order) is dict:
        return Mark(order, offset, end)
    if type(n) is not int or isinstance(t_s, bool) or not isinstance(t_s, int | float | None):
        return Damage(offset, end, '"n" is a whole number and "t" a number')
    if type(t_s) is int and t_s.bit_length() > _MAX_TIME_BITS:
        return Damage(offset, end, '"t" is beyond all numbers of seconds')
    if len(data) == 1 and type(nested := data.get(NESTED)) is dict:
        data = nested
    elif order is not None and type(order) is not list:  # a record's own key, of an older version
        data = {ORDER: order, **data}
        order = None
    time_s = math.nan if t_s is None else float(t_s)
    verified = remark not in ("edited", "unverified")
    if verified and (n < 0 or t_s is None):
        return Damage(offset, end, '"n" or "t" is missing')
    return Line(n, time_s, data, offset, end, verified, remark, order)


def has_right_checksum(raw: bytes) -> bool:
    """Whether a line (without its newline) ends with the checksum of its own bytes."""
    return raw[-TAIL_LENGTH:-10] == b',"c":"' and b"%08x" % zlib.crc32(raw[:-TAIL_LENGTH]) == raw[-10:-2]


def _undone(raw: bytes) -> tuple[bytes, dict[str, Any], Remarked] | None:
    """Undo what a foreign program did to the bytes of a line: a byte order mark, another character set."""
    remark: Remarked = "byte-order-mark" if raw.startswith(BYTE_ORDER_MARK) else "encoding"
    raw = raw.removeprefix(BYTE_ORDER_MARK)
    if raw.isascii() and remark == "encoding":
        return None
    candidates = [raw]
    for name in CHARACTER_SETS:
        try:
            candidates.append(raw.decode(name).encode())
        except UnicodeDecodeError:
            continue
    decoded: list[tuple[bytes, dict[str, Any], Remarked]] = []
    for candidate in candidates:
        try:
            data = _decode(candidate)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if type(data) is dict and has_right_checksum(candidate.rstrip()):
            return candidate.rstrip(), data, remark
        if type(data) is dict and (remark == "byte-order-mark" or CHECKSUM not in data):
            decoded.append((candidate, data, remark))
    return decoded[0] if decoded else None  # with a checksum that fits in no character set, it is damaged


def _unreadable(raw: bytes, offset: int, end: int, error: Exception) -> Damage:
    if not raw.strip(b" \t\r\n"):
        return Damage(offset, end, "a blank line", whole=True, kind="blank")
    if json_text.nested_beyond_limit(raw, _MAX_LEVELS):
        return Damage(offset, end, f"nested beyond {json_text.MAX_DEPTH} levels", kind="nested")
    return Damage(offset, end, f"does not parse: {error}")


def numbered(line: Line, before: Line | None) -> Line:
    """Give a line that was written by hand (not verified) the number and moment it has by its place."""
    if line.n < 0:
        line.n = before.n + 1 if before else 0
    if line.t_s != line.t_s:
        line.t_s = before.t_s if before else 0.0
    return line
