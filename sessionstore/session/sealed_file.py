"""A sealed stream: ``NAME.jsonl.gz``, gzip members of 1 MiB of whole lines with an index at its end.

    members   each a gzip member (RFC 1952) of at most 1 MiB of lines; its extra field SL: its size in the file, and
              the bytes of lines in it (two 32-bit numbers)
    index     empty gzip members; their extra field SX: the same two numbers of each member, in order
    end       an empty gzip member of fixed size; its extra field SE: format, place of the index, bytes of all lines,
              number of members, CRC-32 of the index, CRC-32 of all lines, CRC-32 of these numbers

All numbers are little-endian. ``zcat`` reads the file as it is, since empty members add nothing. An index that is
missing or damaged is found again from the extra fields of the members. A damaged member loses what cannot be inflated
of it: the place of those bytes is kept by a line of question marks, so that offsets behind it stay as they were.
Not here: files and their names (stream_source), sealing and its order of steps (sealing), lines (stream_line).
"""

from __future__ import annotations

import contextlib
import struct
import threading
import zlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sessionstore.errors import Corrupt, NewerFormat

#: Of the name of a sealed stream, behind that of the plain one.
SUFFIX = ".gz"
MEMBER_BYTES = 1 << 20
FORMAT = 1
_LEVEL = 6
#: Of a gzip header with an extra field: no time, no flags but that one, no operating system.
_HEAD = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff"
_ENTRY, _END = struct.Struct("<II"), struct.Struct("<IQQIII")
_MEMBER_ID, _INDEX_ID, _END_ID = b"SL", b"SX", b"SE"
_MEMBER_HEAD = _HEAD + struct.pack("<H2sH", 4 + _ENTRY.size, _MEMBER_ID, _ENTRY.size)
_HEADER_BYTES, _TRAILER_BYTES = len(_MEMBER_HEAD) + _ENTRY.size, 8
_NOTHING = b"\x03\0" + bytes(8)  # deflated nothing, its CRC-32 and its length
_END_LENGTH = _END.size + 4
_END_BYTES = len(_HEAD) + 6 + _END_LENGTH + len(_NOTHING)
_ENTRIES = 8000  # of one index member: an extra field holds 65,535 bytes
#: More than any member that is written here: a header that says more is not believed.
_LONGEST = 1 << 22
_UNKNOWN_BYTES = 64  # the place that a member of unknown length is given
_STEP, _SALVAGE_STEP = 1 << 16, 1 << 8
_KEPT_MEMBERS, _KEPT_INDEXES = 8, 256

#: A state of a file: two equal ones have the same bytes. None: it is not known, nothing is kept.
State = tuple[int, ...]


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


@dataclass(slots=True)
class MemberDamage:
    """A member that is not as it was written: its number from 0, its bytes in the stream, what is wrong."""

    number: int
    begin: int
    end: int
    reason: str


# ---------------------------------------------------------------- writing


def sealed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes of a sealed stream that holds the bytes of a plain one."""
    entries: list[bytes] = []
    place = size = crc = 0
    for lines in _pieces(chunks):
        member = _member(lines)
        entries.append(_ENTRY.pack(len(member), len(lines)))
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


def _member(lines: bytes) -> bytes:
    engine = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = engine.compress(lines) + engine.flush() + struct.pack("<II", zlib.crc32(lines), len(lines))
    return _MEMBER_HEAD + _ENTRY.pack(_HEADER_BYTES + len(body), len(lines)) + body


def _empty(kind: bytes, payload: bytes) -> bytes:
    return _HEAD + struct.pack("<H2sH", 4 + len(payload), kind, len(payload)) + payload + _NOTHING


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
    head = len(_HEAD) + 6
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
    total, head, entries = raw.size(), len(_HEAD) + 6, b""
    if place + count * _ENTRY.size > total:
        raise _NotUsable("the index is damaged")
    position = place
    while len(entries) < count * _ENTRY.size:
        wanted = min(_ENTRIES * _ENTRY.size, count * _ENTRY.size - len(entries))
        part = raw.read_at(head + wanted, position)[head:]
        if len(part) < wanted:
            raise _NotUsable("the index is damaged")
        entries, position = entries + part, position + head + wanted + len(_NOTHING)
    if zlib.crc32(entries) != index_crc:
        raise _NotUsable("the index is damaged")
    index = _index(_ENTRY.iter_unpack(entries), crc)
    if index.size != size or sum(member.size for member in index.members) != place:
        raise _NotUsable("the index does not fit the file")
    if any(member.length > _LONGEST for member in index.members):
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
        if kind == _MEMBER_ID:
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
    head = raw.read_at(_HEADER_BYTES, start)
    if len(head) < len(_HEAD) + 6 or not head.startswith(_HEAD):
        return None, 0, 0
    extra, kind, _ = struct.unpack_from("<H2sH", head, len(_HEAD))
    if kind in (_INDEX_ID, _END_ID):
        return kind, len(_HEAD) + 2 + extra + len(_NOTHING), 0
    if kind != _MEMBER_ID or len(head) < _HEADER_BYTES:
        return None, 0, 0
    size, length = _ENTRY.unpack_from(head, len(_MEMBER_HEAD))
    follows = raw.read_at(len(_HEAD), start + size)
    if length > _LONGEST or size > 2 * _LONGEST or follows != _HEAD[: len(follows)]:
        size = _next_member(raw, start + 1, total) - start  # the next one is damaged too, or this header is
    return (kind, size, length) if 0 < length <= _LONGEST else (None, 0, 0)


def _next_member(raw: Raw, start: int, total: int) -> int:
    """Return where the next header of a member, an index or an end begins; the end of the file: nowhere."""
    position, before = start, b""
    while part := raw.read_at(1 << 18, position):
        data = before + part
        found = -1
        while (found := data.find(_HEAD, found + 1)) >= 0:
            kind = data[found + len(_HEAD) + 2 : found + len(_HEAD) + 4]
            if kind in (_MEMBER_ID, _INDEX_ID, _END_ID):
                return position - len(before) + found
        before, position = data[-(len(_HEAD) + 4) :], position + len(part)
    return total


def _length_of(raw: Raw, start: int, size: int) -> int:
    """Return the bytes of lines in a member whose header is damaged, where its deflated bytes are whole."""
    inflating = Inflating(raw.read_at(size, start), _LONGEST)
    try:
        inflating.inflate(_LONGEST)
    except zlib.error:
        return _UNKNOWN_BYTES
    return len(inflating.lines) if inflating.ended and inflating.lines else _UNKNOWN_BYTES


# ---------------------------------------------------------------- reading


class Inflating:
    """A member of which as much is inflated as was asked for.

    Attributes:
        lines: what is inflated so far.
        damage: what is wrong with it; known once it is read to its end.
        lost: the first byte of it that could not be inflated; None: all could.
    """

    def __init__(self, data: bytes, length: int) -> None:
        self._data, self._length = data, length
        self._engine = zlib.decompressobj(-zlib.MAX_WBITS)
        self._waiting = data[_HEADER_BYTES:]
        self.lines = bytearray()
        self.ended = False
        self.damage: str | None = None
        self.lost: int | None = None

    def up_to(self, count: int) -> None:
        """Inflate until there are that many bytes, or all."""
        if self.ended or len(self.lines) >= count:
            return
        try:
            self.inflate(count)
        except zlib.error as error:
            self._salvage(f"it cannot be inflated ({error})")
        self._compare()

    def inflate(self, count: int) -> None:
        """Inflate until there are that many bytes, or all. Raises: zlib.error."""
        engine = self._engine
        while not engine.eof and (len(self.lines) < count or len(self.lines) == self._length):
            if not self._waiting:
                raise zlib.error("it ends early")
            part = engine.decompress(self._waiting, max(_STEP, count - len(self.lines)))
            self._waiting = engine.unconsumed_tail
            self.lines += part
        self.ended = engine.eof or len(self.lines) > self._length

    def _compare(self) -> None:
        """Compare what was inflated with what the header and the trailer say, once it is read to its end."""
        if not self.ended or self.damage is not None:
            return
        trailer = self._engine.unused_data[:_TRAILER_BYTES]
        if len(self.lines) != self._length:
            self._keep(bytes(self.lines[: self._length]), f"{len(self.lines):,} bytes in place of {self._length:,}")
        elif trailer != struct.pack("<II", zlib.crc32(self.lines), len(self.lines)):
            self.damage = "its checksum differs"
        elif not self._data.startswith(_MEMBER_HEAD + _ENTRY.pack(len(self._data), self._length)):
            self.damage = "its header is damaged, its lines are whole"

    def _salvage(self, reason: str) -> None:
        """Keep the lines before the damage."""
        engine, lines = zlib.decompressobj(-zlib.MAX_WBITS), bytearray()
        data = self._data[_HEADER_BYTES:]
        try:
            for start in range(0, len(data), _SALVAGE_STEP):
                lines += engine.decompress(data[start : start + _SALVAGE_STEP])
                if len(lines) > self._length or engine.eof:
                    break
        except zlib.error:
            pass  # what came before it is kept, and the reason was given
        self._keep(bytes(lines[: self._length]), reason)

    def _keep(self, lines: bytes, reason: str) -> None:
        whole = lines[: lines.rfind(b"\n") + 1]
        missing = self._length - len(whole)
        self.lost = len(whole) if missing else None
        self.lines = bytearray(whole + b"?" * (missing - 1) + b"\n" if missing else whole)
        self.damage, self.ended = reason, True


class _Kept:
    """What was inflated last in this process, and the indexes that were read; safe for threads."""

    def __init__(self) -> None:
        self._members: OrderedDict[tuple[State, int], bytes] = OrderedDict()
        self._indexes: OrderedDict[State, Index] = OrderedDict()
        self._mutex = threading.Lock()

    def member(self, state: State | None, number: int) -> bytes | None:
        """Return the lines of a whole member."""
        if state is None:
            return None
        with self._mutex:
            found = self._members.get((state, number))
            if found is not None:
                self._members.move_to_end((state, number))
            return found

    def keep_member(self, state: State | None, number: int, lines: bytes) -> None:
        """Keep the lines of a whole member, in place of the one that was used longest ago."""
        if state is not None:
            with self._mutex:
                self._members[state, number] = lines
                while len(self._members) > _KEPT_MEMBERS:
                    self._members.popitem(last=False)

    def index(self, state: State | None, raw: Raw, path: Path | str) -> Index:
        """Return the index of a file, read once for each state of it. Raises: as :func:`read_index`."""
        if state is None:
            return read_index(raw, path)
        found = self._indexes.get(state)
        if found is None:
            found = read_index(raw, path)
            with self._mutex:
                self._indexes[state] = found
                while len(self._indexes) > _KEPT_INDEXES:
                    self._indexes.popitem(last=False)
        return found

    def forget(self) -> None:
        """Keep nothing any more (after a fork, and for measurements)."""
        self._mutex = threading.Lock()
        self._members.clear()
        self._indexes.clear()


kept = _Kept()


@dataclass(slots=True)
class SealedFile:
    """The lines of an open sealed stream by their offsets in the plain one.

    Args:
        state: of the file, under which members stay in memory for the next time that it is opened.
    """

    raw: Raw
    path: Path | str
    state: State | None = None
    index: Index = field(init=False)
    damaged: dict[int, MemberDamage] = field(default_factory=dict)
    lost: list[tuple[int, int]] = field(default_factory=list)
    _open: OrderedDict[int, Inflating] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self.index = kept.index(self.state, self.raw, self.path)

    @property
    def size(self) -> int:
        """The bytes of the plain stream."""
        return self.index.size

    def read_at(self, count: int, offset: int) -> bytes:
        """Return up to that many bytes of the plain stream from an offset on; fewer at its end only."""
        parts: list[bytes] = []
        number = bisect_right(self.index.begins, offset) - 1
        while count > 0 and 0 <= number < len(self.index.members) and offset < self.index.size:
            member = self.index.members[number]
            part = self._part(number, offset - member.begin, min(count, member.end - offset))
            parts.append(part)
            count, offset, number = count - len(part), offset + len(part), number + 1
        return b"".join(parts) if len(parts) != 1 else parts[0]

    def middle(self, low: int, high: int) -> int:
        """Return a place between two that is read fast: just behind the beginning of a member, if there is one."""
        middle = (low + high) // 2
        begins = self.index.begins
        number = bisect_right(begins, middle) - 1
        for each in (number, number + 1):
            if 0 <= each < len(begins) and low <= begins[each] + 1 < high:
                return begins[each] + 1
        return middle

    def check(self) -> list[MemberDamage]:
        """Read all of it and return what is damaged."""
        for member in self.index.members:
            self.read_at(member.length, member.begin)
        return [self.damaged[number] for number in sorted(self.damaged)]

    def _part(self, number: int, start: int, count: int) -> bytes:
        whole = kept.member(self.state, number)
        if whole is not None:
            return whole[start : start + count]
        inflating = self._open.get(number)
        if inflating is None:
            member = self.index.members[number]
            inflating = self._open[number] = Inflating(self.raw.read_at(member.size, member.start), member.length)
            while len(self._open) > 2:
                self._open.popitem(last=False)
        before = inflating.ended
        inflating.up_to(start + count)
        if inflating.ended and not before:
            self._note(number, inflating)
        return bytes(inflating.lines[start : start + count])

    def _note(self, number: int, inflating: Inflating) -> None:
        if inflating.damage is None:
            kept.keep_member(self.state, number, bytes(inflating.lines))
            return
        member = self.index.members[number]
        self.damaged[number] = MemberDamage(number, member.begin, member.end, inflating.damage)
        if inflating.lost is not None:
            self.lost.append((member.begin + inflating.lost, member.end))
