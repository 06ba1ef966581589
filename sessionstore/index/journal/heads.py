"""The heads of a journal's rows as columns: where each line stands, which file state it mirrors, status, id, figures.

One row a session, oldest first, as the journal held them up to a byte. What stands behind that byte is read as ever
(index.journal.behind). The columns are of one journal file: device, inode, its first line and the end of the last line
that was read must be the same, else they are stale.
Not here: the file of columns (index.journal.column_file), filters and order (index.journal.field_column), answers
(index.journal.pages).
"""

from __future__ import annotations

import math
import os
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Annotated, Any
from zlib import crc32

import msgspec

from sessionstore.index.journal.block import NOT_WHOLE, doc_id_of, read_head
from sessionstore.index.journal.column_file import ColumnFile, Damaged, read_at
from sessionstore.index.journal.field_column import range_of
from sessionstore.index.journal.raw_tables import SESSIONS, TABLE_DROPPED, is_whole
from sessionstore.model.gc_pause import gc_paused
from sessionstore.query import Between, Compare

#: How much of the first line identifies a journal file; the first line of a block holds its checksum.
_FIRST_BYTES = 200
_END_BYTES = 16
_CHUNK_BYTES = 1 << 18
_MOST_STATUSES = 255
_INSTANT_BYTES = 27  # as records hold instants; a session that cannot be read may have none
_WIDTHS = {  # bytes a row
    "at": 8, "long": 4, "size": 8, "mtime": 8, "status": 1, "points": 8, "distance": 8, "hashes": 8, "hash_rows": 4,
    "created": _INSTANT_BYTES,
}  # fmt: skip


class _Owner(msgspec.Struct, gc=False):
    """Any owner; nothing of it is decoded."""


class _Head(msgspec.Struct, gc=False):
    session_id: str
    status: str
    created_at: str
    size: int = -1
    mtime_ns: int = -1
    points: int | None = None
    distance_m: float | None = None
    owner: _Owner | None = None


class _Line(msgspec.Struct, tag_field="table", tag=SESSIONS, gc=False):
    id: int
    doc: _Head | None
    session_id: str | None = None  # of a row that is removed


class _BlockLine(msgspec.Struct, gc=False):
    id: int
    doc: _Head


class _Table(msgspec.Struct, gc=False):
    table: str


class _Meta(msgspec.Struct):
    """What the first line of the file says of its rows.

    Attributes:
        end: up to which byte of the journal they are.
        base: of the columns of fields that belong to them.
        newest: creation and id of the last row.
        first, last: what identifies the journal; ``last`` is the end of the last line that was read, in hexadecimal.
    """

    count: Annotated[int, msgspec.Meta(ge=0)]
    end: Annotated[int, msgspec.Meta(ge=0)]
    base: str
    statuses: list[str]
    names_sum: str
    newest: tuple[str, str]
    device: int
    inode: int
    first: str
    last: str


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_lines = msgspec.json.Decoder(_Line).decode_lines
_decode_block = msgspec.json.Decoder(_BlockLine).decode_lines
_decode_table = msgspec.json.Decoder(_Table).decode


class Heads:
    """The heads, from a file or just made; ``count`` rows."""

    def __init__(self, file: ColumnFile) -> None:
        self.file = file
        self._ids: list[str] | None = None
        try:
            meta = msgspec.convert(file.meta, _Meta)
            self.names_sum = int(meta.names_sum, 16)
            self.last = bytes.fromhex(meta.last)
        except ValueError as error:
            raise Damaged(f"its first line is not of heads: {error}") from error
        self.count, self.end, self.base = meta.count, meta.end, meta.base
        self.statuses, self.newest = meta.statuses, meta.newest
        self._identity = meta.device, meta.inode, meta.first, meta.last
        file.check_lengths({name: wide * self.count for name, wide in _WIDTHS.items()})

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode of the journal."""
        return self._identity[0], self._identity[1]

    def is_of(self, descriptor: int) -> bool:
        """Whether an open journal is the one that these are of, and only grew."""
        found = os.fstat(descriptor)
        return found.st_size >= self.end and self._identity == identity_of(descriptor, self.end)

    def number_of(self, doc_id: int) -> int | None:
        """Return the row of a session by the number of its line, or None."""
        hashes = memoryview(self.file.whole("hashes")).cast("Q")
        place = bisect_left(hashes, doc_id)
        if place == self.count or hashes[place] != doc_id:
            return None
        at = place * 4
        return memoryview(self.file.read("hash_rows", at, at + 4)).cast("I")[0]

    def place(self, row: int) -> tuple[int, int]:
        """Return where the line of a row begins in the journal, and how long it is, in bytes."""
        (begin,) = memoryview(self.file.read("at", row * 8, row * 8 + 8)).cast("Q")
        (length,) = memoryview(self.file.read("long", row * 4, row * 4 + 4)).cast("I")
        return begin, length

    def stamp(self, row: int) -> tuple[int, int]:
        """Return size and time of the file that a row mirrors."""
        (size,) = memoryview(self.file.read("size", row * 8, row * 8 + 8)).cast("q")
        (mtime_ns,) = memoryview(self.file.read("mtime", row * 8, row * 8 + 8)).cast("q")
        return size, mtime_ns

    def active(self) -> list[int]:
        """Return the rows that name an owner."""
        return memoryview(self.file.whole("active")).cast("I").tolist()

    def ids(self) -> list[str]:
        """Return all session ids, oldest first."""
        if self._ids is None:
            self._ids = self.file.whole("ids").decode().split("\n") if self.count else []
        return self._ids

    def created(self, row: int) -> str:
        """Return when a session was created."""
        at = row * _INSTANT_BYTES
        return self.file.read("created", at, at + _INSTANT_BYTES).rstrip(b"\0").decode()

    def all_created(self) -> list[str]:
        """Return all instants of creation."""
        data, wide = self.file.whole("created").decode(), _INSTANT_BYTES
        return [data[at : at + wide].rstrip("\0") for at in range(0, len(data), wide)]

    def all_statuses(self) -> list[str]:
        """Return the states of all sessions. Raises: Damaged."""
        try:
            return list(map(self.statuses.__getitem__, self.file.whole("status")))
        except IndexError as error:
            raise Damaged("a state has no name") from error

    def created_within(self, clause: Compare | Between) -> bytearray | None:
        """Return a mask of the rows that a clause about created_at fits; None: it compares with no instant."""
        self.file.whole("created")
        rows = range(self.count)
        low, high = (clause.low, clause.high) if isinstance(clause, Between) else (clause.value, clause.value)
        if (
            not isinstance(low, str)
            or not isinstance(high, str)
            or (isinstance(clause, Compare) and clause.operator == "~")
        ):
            return None
        begin, end = bisect_left(rows, low, key=self.created), bisect_right(rows, high, key=self.created)
        without = False
        if isinstance(clause, Compare):
            begin, end, without = range_of(clause, begin, end, self.count)
        found = b"\1" if not without else b"\0"
        other = b"\0" if not without else b"\1"
        end = max(begin, end)
        return bytearray(other * begin + found * (end - begin) + other * (self.count - end))

    def position_of(self, created_at: str, session_id: str) -> int:
        """Return before which row a session stands that was created then."""
        if (created_at, session_id) > self.newest:
            return self.count
        self.file.whole("created")
        rows = range(self.count)
        first = bisect_left(rows, created_at, key=self.created)
        last = bisect_right(rows, created_at, first, key=self.created)
        return first if first == last else bisect_left(self.ids(), session_id, first, last)

    def numbers(self, name: str, kind: str) -> Any:
        """Return a column of numbers, by its typecode."""
        return memoryview(self.file.whole(name)).cast(kind)  # type: ignore[call-overload]


def identity_of(descriptor: int, end: int) -> tuple[int, int, str, str]:
    """Return what identifies a journal up to a byte: device, inode, its beginning, what stands before it."""
    found = os.fstat(descriptor)
    first = read_at(descriptor, 0, min(_FIRST_BYTES, end))
    begin = max(0, end - _END_BYTES)
    return found.st_dev, found.st_ino, f"{crc32(first):08x}", read_at(descriptor, begin, end - begin).hex()


class _Rows:
    """The rows of a journal as they are read: those of the block in columns, later ones by the number of their line."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew: the table was dropped."""
        self.heads: list[_Head] = []
        self.ids, self.at, self.long = array("Q"), array("Q"), array("I")
        self.late: dict[int, tuple[int, int, _Head] | None] = {}

    def add_block(self, data: bytes, offset: int) -> None:
        entries = _decode_block(data)
        self.heads += [entry.doc for entry in entries]
        self.ids.extend([entry.id for entry in entries])
        for raw in data.splitlines(keepends=True):
            self.at.append(offset)
            self.long.append(len(raw))
            offset += len(raw)

    def add_late(self, data: bytes, offset: int) -> None:
        lines = data.splitlines()
        try:
            entries: list[_Line | None] = list(_decode_lines(data))
        except NOT_WHOLE:  # another table is among them, or a line is damaged
            entries = [_decode_line(raw) if _decode_table(raw).table == SESSIONS else None for raw in lines]
        for raw, entry in zip(lines, entries, strict=True):
            if not is_whole(raw):
                raise Damaged("a line of the journal is damaged")
            if entry is not None and entry.id > 0:
                self._add(entry, offset, len(raw) + 1)
            elif entry is not None and entry.id == TABLE_DROPPED:
                self.forget()
            offset += len(raw) + 1

    def _add(self, entry: _Line, offset: int, length: int) -> None:
        named = entry.session_id if entry.doc is None else entry.doc.session_id
        if named is not None and doc_id_of(named) != entry.id:
            raise Damaged("a line has another number than its session")
        self.late[entry.id] = None if entry.doc is None else (offset, length, entry.doc)

    def merge(self) -> None:
        """Let later lines replace earlier ones, and put the rows in their order."""
        if self.late:
            keep = [number for number, doc_id in enumerate(self.ids) if doc_id not in self.late]
            self._take(keep)
            for doc_id, found in self.late.items():
                if found is not None:
                    self.at.append(found[0])
                    self.long.append(found[1])
                    self.ids.append(doc_id)
                    self.heads.append(found[2])
            self.late = {}
        heads = self.heads
        order = sorted(range(len(heads)), key=lambda number: heads[number].session_id)
        order.sort(key=lambda number: heads[number].created_at)
        self._take(order)

    def _take(self, rows: list[int]) -> None:
        self.heads = [self.heads[row] for row in rows]
        self.ids, self.at, self.long = (
            array("Q", map(self.ids.__getitem__, rows)),
            array("Q", map(self.at.__getitem__, rows)),
            array("I", map(self.long.__getitem__, rows)),
        )


def build(descriptor: int, stop: int) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Read a journal up to its last whole line before a byte; return meta and sections of its heads.

    Raises: Damaged: the journal is, or its rows do not fit into columns.
    """
    rows = _Rows()
    with gc_paused():
        try:
            end = _read_block(descriptor, stop, rows)
            for data, offset in _whole_lines(descriptor, end, stop):
                rows.add_late(data, offset)
                end = offset + len(data)
        except NOT_WHOLE as error:
            raise Damaged(f"the journal: {error}") from error
        rows.merge()
        return _sections(descriptor, end, rows)


def _read_block(descriptor: int, stop: int, rows: _Rows) -> int:
    """Take in the block at the beginning; return where it ends, 0 without one."""
    if (found := read_head(descriptor)) is None or found[1] + found[0].bytes > stop:
        return 0
    head, begin = found
    crc, end = 0, begin + head.bytes
    for data, offset in _whole_lines(descriptor, begin, end):
        crc = crc32(data, crc)
        rows.add_block(data, offset)
    if f"{crc:08x}" != head.crc:
        raise Damaged("the block of the journal was changed")
    return end


def _whole_lines(descriptor: int, begin: int, stop: int) -> Iterator[tuple[bytes, int]]:
    """Yield whole lines in pieces, and where each piece begins."""
    rest = b""
    while begin + len(rest) < stop:
        part = read_at(descriptor, begin + len(rest), min(_CHUNK_BYTES, stop - begin - len(rest)))
        if not part:
            return
        cut = part.rfind(b"\n") + 1
        if not cut:
            rest += part
            continue
        data = rest + part[:cut]
        yield data, begin
        begin, rest = begin + len(data), part[cut:]


def _sections(descriptor: int, end: int, rows: _Rows) -> tuple[dict[str, Any], dict[str, bytes]]:
    heads, count = rows.heads, len(rows.heads)
    statuses = list(dict.fromkeys(head.status for head in heads))
    names_sum = 0
    for doc_id in rows.ids:
        names_sum ^= doc_id
    order = sorted(range(count), key=rows.ids.__getitem__)
    hashes = array("Q", map(rows.ids.__getitem__, order))
    ids = [head.session_id for head in heads]
    joined = "\n".join(ids).encode()
    created = b"".join([head.created_at.encode().ljust(_INSTANT_BYTES, b"\0") for head in heads])
    if (
        len(statuses) > _MOST_STATUSES
        or len(set(hashes)) < count
        or len(set(ids)) < count
        or joined.count(b"\n") != max(0, count - 1)
        or len(created) != count * _INSTANT_BYTES
    ):
        raise Damaged("its rows do not fit into columns")
    code = {status: number for number, status in enumerate(statuses)}
    device, inode, first, last = identity_of(descriptor, end)
    meta = {
        "count": count, "end": end, "base": os.urandom(8).hex(), "statuses": statuses,
        "names_sum": f"{names_sum:x}", "newest": [heads[-1].created_at, heads[-1].session_id] if heads else ["", ""],
        "device": device, "inode": inode, "first": first, "last": last,
    }  # fmt: skip
    points = [-1 if head.points is None else head.points for head in heads]
    metres = [math.nan if head.distance_m is None else head.distance_m for head in heads]
    try:
        numbers: dict[str, array[Any]] = {
            "at": rows.at, "long": rows.long,
            "size": array("q", [head.size for head in heads]), "mtime": array("q", [head.mtime_ns for head in heads]),
            "status": array("B", [code[head.status] for head in heads]),
            "active": array("I", [number for number, head in enumerate(heads) if head.owner is not None]),
            "points": array("q", points), "distance": array("d", metres),
            "hashes": hashes, "hash_rows": array("I", order),
        }  # fmt: skip
    except OverflowError as error:
        raise Damaged(str(error)) from error
    made = {name: column.tobytes() for name, column in numbers.items()}
    return meta, {**made, "ids": joined, "created": created}
