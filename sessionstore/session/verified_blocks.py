"""A stream in stretches of some megabytes whose lines are all verified at once; what cannot be trusted is counted.

A stretch in which every checksum is right and no line needs a closer look can be parsed as a whole; any other one is
read line by line.
Not here: parsing (session.stream_columns, analysis.verified_chunks), the form of a line (stream_line).
"""

from __future__ import annotations

import functools
import sys
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from sessionstore.model import json_text
from sessionstore.session.stream_check import KINDS
from sessionstore.session.stream_line import TAIL_LENGTH, Damage, Line, parse_line
from sessionstore.session.stream_source import Source

CHUNK_BYTES = 8 << 20
#: A line of no more bytes is nested less than a record may be.
SHORT = 400
_LEVELS = json_text.MAX_DEPTH + 1
#: The bytes around the eight digits at the end of a line, by their place.
_AROUND = [(at, b',"c":"00000000"}'[at : at + 1]) for at in (0, 1, 2, 3, 4, 5, 14, 15)]
#: Keys of the line beside n, t and c, and halves of a character; each behind a byte that most streams do not have.
_BY_LINE = ((b"<", b'"<":'), (b"=", b'"=":'), (b"\\", b"\\ud"), (b"\\", b"\\uD"))


@dataclass(slots=True)
class Tally:
    """What a reading leaves out, by kind, and the CRC-32 of all bytes where that is wanted (not None)."""

    counts: Counter[str] = field(default_factory=Counter)
    crc32: int | None = None


@dataclass
class Block:
    """Whole lines, each with its newline, and where they begin in the stream."""

    data: bytes
    offset: int

    @functools.cached_property
    def lines(self) -> list[bytes]:
        """The lines one by one, without their newlines."""
        return self.data[:-1].split(b"\n")

    @functools.cached_property
    def count(self) -> int:
        """How many lines there are."""
        return self.data.count(b"\n")

    @functools.cached_property
    def heads(self) -> list[bytes]:
        """The lines without their checksums, when all are verified."""
        return [raw[:-TAIL_LENGTH] for raw in self.lines]


def blocks(source: Source, chunk_bytes: int, tally: Tally, low: int = 0, high: int | None = None) -> Iterator[Block]:
    """Yield stretches of whole lines; the last line may lack its newline when it is a whole record.

    Args:
        low, high: between which bytes the lines stand; each of them is the begin of a line or the end of the stream.
    """
    rest, offset, position = b"", low, low
    while part := source.read_at(chunk_bytes if high is None else min(chunk_bytes, high - position), position):
        position += len(part)
        if tally.crc32 is not None:
            tally.crc32 = zlib.crc32(part, tally.crc32)
        cut = part.rfind(b"\n") + 1
        if not cut:
            rest += part
            continue
        data, rest = b"".join((rest, memoryview(part)[:cut])), part[cut:]  # copied once
        yield Block(data, offset)
        offset += len(data)
    if rest and not isinstance(parse_line(rest, offset), Damage):
        yield Block(rest + b"\n", offset)


def is_plain(block: Block) -> bool:
    """Whether every line has the right checksum, and none needs a closer look."""
    lines = block.lines
    if not has_plain_keys(block.data) or not all(lines):
        return False
    if max(map(len, lines)) > SHORT and any(map(is_too_deep, lines)):
        return False
    return _all_verified(block)


def has_plain_keys(data: bytes) -> bool:
    """Whether the bytes are UTF-8, and no line has a key of its own beside n, t and c, or half a character."""
    if any(byte in data and each in data for byte, each in _BY_LINE):
        return False
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            return False
    return True


def is_too_deep(raw: bytes) -> bool:
    """Whether a line is nested beyond the limit."""
    return len(raw) > SHORT and json_text.nested_beyond_limit(raw, _LEVELS)


def _all_verified(block: Block) -> bool:
    lines = block.lines
    tails, count = b"".join([raw[-TAIL_LENGTH:] for raw in lines]), len(lines)
    if len(tails) != TAIL_LENGTH * count or any(tails[at::TAIL_LENGTH] != byte * count for at, byte in _AROUND):
        return False
    found = array("I", map(zlib.crc32, block.heads))
    if sys.byteorder == "little":
        found.byteswap()
    return found.tobytes().hex().encode() == tails.replace(b',"c":"', b"").replace(b'"}', b"")


def trusted(block: Block, counts: Counter[str]) -> list[Line]:
    """Return the verified lines of a block, read one by one; the others are counted."""
    kept, offset = [], block.offset
    for raw in block.lines:
        found = parse_line(raw, offset)
        offset += len(raw) + 1
        if isinstance(found, Damage):
            if found.kind != "blank":
                counts[found.kind if found.kind in KINDS else "damaged"] += 1
        elif isinstance(found, Line):
            if found.verified and found.n < 1 << 63:
                kept.append(found)
            else:
                counts[found.remark if not found.verified else "damaged"] += 1
    return kept
