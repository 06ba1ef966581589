"""A sealed stream: ``NAME.jsonl.gz``, gzip members of 1 MiB of whole lines with an index at its end.

    members   each a gzip member (RFC 1952) of at most 1 MiB of lines; its extra field SL: its size in the file, and
              the bytes of lines in it (two 32-bit numbers)
    index     empty gzip members; their extra field SX: the same two numbers of each member, in order
    end       an empty gzip member of fixed size; its extra field SE: format, place of the index, bytes of all lines,
              number of members, CRC-32 of the index, CRC-32 of all lines, CRC-32 of these numbers

All numbers are little-endian. ``zcat`` reads the file as it is, since empty members add nothing. An index that is
missing or damaged is found again from the extra fields of the members. A damaged member loses what cannot be inflated
of it: the place of those bytes is kept by a line of zeros, so that offsets behind it stay as they were.
Not here: reading at an offset (sealed_file), one member (sealed_member), the order of steps (sealing), lines
(stream_line).
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sessionstore.errors import Corrupt, NewerFormat
from sessionstore.session.sealed_member import ENTRY, HEAD, HEADER_BYTES, MEMBER_HEAD, MEMBER_ID, Inflating, member_of

#: Of the name of a sealed stream, behind that of the plain one.
SUFFIX = ".gz"
MEMBER_BYTES = 1 << 20
FORMAT = 1
_END = struct.Struct("<IQQIII")
_INDEX_ID, _END_ID = b"SX", b"SE"
_NOTHING = b"\x03\0" + bytes(8)  # deflated nothing, its CRC-32 and its length
_END_LENGTH = _END.size + 4
_END_BYTES = len(HEAD) + 6 + _END_LENGTH + len(_NOTHING)
_ENTRIES = 8000  # of one index member: an extra field holds 65,535 bytes
#: More than any member that is written here: a header that says more is not believed.
LONGEST = 1 << 22
_UNKNOWN_BYTES = 64  # the place that a member of unknown length is given


class Raw(Protocol):
    """The bytes of the file itself, here or at a remote store."""

    def size(self) -> int:
        """Return the bytes of the file."""

    def read_at(self, count: int, offset: int) -> bytes:
        """Return up to that many bytes from an offset on, fewer at the end only."""


@dataclass(frozen=True, slots=True)
class Member:
    """Where a member is in the file, and where its lines are in the stream, in bytes."""

    start: int
    size: int
    begin: int
    length: int

    @property
    def end(self) -> int:
        """Where its lines end in the stream."""
        return self.begin + self.length


@dataclass(frozen=True, slots=True)
class Index:
    """The members of a sealed stream; ``found_again``: why its own index could not be used."""

    members: tuple[Member, ...]
    begins: tuple[int, ...]
    size: int
    crc32: int | None = None
    found_again: str | None = None


# ---------------------------------------------------------------- writing


def sealed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes of a sealed stream that holds the bytes of a plain one."""
    entries: list[bytes] = []
    place = size = crc = 0
    for lines in _pieces(chunks):
        member = member_of(lines)
        entries.append(ENTRY.pack(len(member), len(lines)))
        place, size, crc = place + len(member), size + len(lines), zlib.crc32(lines, crc)
        yield member
    for first in range(0, len(entries), _ENTRIES):
        yield _empty(_INDEX_ID, b"".join(entries[first : first + _ENTRIES]))
    end = _END.pack(FORMAT, place, size, len(entries), zlib.crc32(b"".join(entries)), crc)
    yield _empty(_END_ID, end + struct.pack("<I", zlib.crc32(end)))


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield at most 1 MiB each, which ends with a line unless one line is longer than that."""
    waiting = b""
    for chunk in chunks:
        waiting += chunk
        while len(waiting) > MEMBER_BYTES:
            cut = waiting.rfind(b"\n", 0, MEMBER_BYTES) + 1 or MEMBER_BYTES
            yield waiting[:cut]
            waiting = waiting[cut:]
    if waiting:
        yield waiting


def _empty(kind: bytes, payload: bytes) -> bytes:
    return HEAD + struct.pack("<H2sH", 4 + len(payload), kind, len(payload)) + payload + _NOTHING


# ---------------------------------------------------------------- the index


def read_index(raw: Raw, path: Path | str) -> Index:
    """Return the index of a sealed stream, found again from its members where it cannot be used.

    Raises: Corrupt: it is not a sealed stream; NewerFormat.
    """
    try:
        return _said(raw, path)
    except _NotUsable as reason:
        return _found_again(raw, path, str(reason))


class _NotUsable(Exception):
    """The index is damaged or missing: it is found again."""


def _end_of(raw: Raw, path: Path | str) -> tuple[int, int, int, int, int]:
    """Return what the end says: place of the index, bytes of lines, members, both checksums.

    Raises: NewerFormat; _NotUsable: it is missing or damaged.
    """
    head = len(HEAD) + 6
    end = raw.read_at(_END_BYTES, max(0, raw.size() - _END_BYTES))
    payload = end[head : head + _END.size]
    whole = end[:head] == _empty(_END_ID, bytes(_END_LENGTH))[:head]
    if not whole or end[head + _END.size : head + _END_LENGTH] != struct.pack("<I", zlib.crc32(payload)):
        raise _NotUsable("the end of the file is missing or damaged")
    form, *said = _END.unpack(payload)
    if form > FORMAT:
        raise NewerFormat(f"a sealed stream of format {form}; this version reads {FORMAT}", str(path))
    place, size, count, index_crc, crc = said
    return place, size, count, index_crc, crc


def _said(raw: Raw, path: Path | str) -> Index:
    place, size, count, index_crc, crc = _end_of(raw, path)
    total, head, entries = raw.size(), len(HEAD) + 6, b""
    if place + count * ENTRY.size > total:
        raise _NotUsable("the index is damaged")
    position = place
    while len(entries) < count * ENTRY.size:
        wanted = min(_ENTRIES * ENTRY.size, count * ENTRY.size - len(entries))
        part = raw.read_at(head + wanted, position)[head:]
        if len(part) < wanted:
            raise _NotUsable("the index is damaged")
        entries, position = entries + part, position + head + wanted + len(_NOTHING)
    if zlib.crc32(entries) != index_crc:
        raise _NotUsable("the index is damaged")
    index = _index(ENTRY.iter_unpack(entries), crc)
    if index.size != size or sum(member.size for member in index.members) != place:
        raise _NotUsable("the index does not fit the file")
    if any(member.length > LONGEST for member in index.members):
        raise _NotUsable("the index holds a member that is too long")
    return index


def _index(pairs: Iterable[tuple[int, int]], crc: int | None) -> Index:
    members, start, begin = list[Member](), 0, 0
    for size, length in pairs:
        members.append(Member(start, size, begin, length))
        start, begin = start + size, begin + length
    return Index(tuple(members), tuple(member.begin for member in members), begin, crc)


def _found_again(raw: Raw, path: Path | str, reason: str) -> Index:
    """Walk from member to member by their extra fields; where one is damaged, to the next that can be found."""
    total, start, begin = raw.size(), 0, 0
    members: list[Member] = []
    is_sealed = False
    with contextlib.suppress(_NotUsable):
        place = _end_of(raw, path)[0]
        total, is_sealed = min(total, place), True  # behind it are no lines
    while start < total:
        kind, size, length = _header_at(raw, start, total)
        if kind == MEMBER_ID:
            members.append(Member(start, size, begin, length))
            begin, is_sealed = begin + length, True
        elif kind is not None:
            is_sealed = True
            break  # the index comes behind the last member
        else:
            size = _next_member(raw, start + 1, total) - start
            if start + size < total or is_sealed:
                length = _length_of(raw, start, size)
                members.append(Member(start, size, begin, length))
                begin, is_sealed = begin + length, is_sealed or start + size < total
        start += size
    if not is_sealed:
        raise Corrupt("not a sealed stream; of another gzip file, `gunzip` makes a plain one", path, 0)
    return Index(tuple(members), tuple(member.begin for member in members), begin, None, reason)


def _header_at(raw: Raw, start: int, total: int) -> tuple[bytes | None, int, int]:
    """Return the kind of the member at a place, its size, and the bytes of its lines; None: there is no header."""
    head = raw.read_at(HEADER_BYTES, start)
    if len(head) < len(HEAD) + 6 or not head.startswith(HEAD):
        return None, 0, 0
    extra, kind, _ = struct.unpack_from("<H2sH", head, len(HEAD))
    if kind in (_INDEX_ID, _END_ID):
        return kind, len(HEAD) + 2 + extra + len(_NOTHING), 0
    if kind != MEMBER_ID or len(head) < HEADER_BYTES:
        return None, 0, 0
    size, length = ENTRY.unpack_from(head, len(MEMBER_HEAD))
    follows = raw.read_at(len(HEAD), start + size)
    if length > LONGEST or size > 2 * LONGEST or follows != HEAD[: len(follows)]:
        size = _next_member(raw, start + 1, total) - start  # the next one is damaged too, or this header is
    return (kind, size, length) if 0 < length <= LONGEST else (None, 0, 0)


def _next_member(raw: Raw, start: int, total: int) -> int:
    """Return where the next header of a member, an index or an end begins; the end of the file: nowhere."""
    position, before = start, b""
    while part := raw.read_at(1 << 18, position):
        data = before + part
        found = -1
        while (found := data.find(HEAD, found + 1)) >= 0:
            kind = data[found + len(HEAD) + 2 : found + len(HEAD) + 4]
            if kind in (MEMBER_ID, _INDEX_ID, _END_ID):
                return position - len(before) + found
        before, position = data[-(len(HEAD) + 4) :], position + len(part)
    return total


def _length_of(raw: Raw, start: int, size: int) -> int:
    """Return the bytes of lines in a member whose header is damaged, where its deflated bytes are whole."""
    inflating = Inflating(raw.read_at(size, start), LONGEST)
    try:
        inflating.inflate(LONGEST)
    except zlib.error:
        return _UNKNOWN_BYTES
    return len(inflating.lines) if inflating.ended and inflating.lines else _UNKNOWN_BYTES
