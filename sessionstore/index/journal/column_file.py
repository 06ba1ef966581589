"""A file of columns: named sections of fixed-width values, every byte of them under a checksum.

    {"columns":1,"order":"little","meta":{...},"sections":{"at":[0,8000]},"bytes":8000,"sums":"crc","c":"crc"}   line 1
    CRC-32 of each block of 16 KiB of the data, 4 bytes each                                       ("sums" is of these)
    the data: the sections one behind the other

The file is derived and replaced as a whole; nothing is changed in place, and no write waits for the disk. A reader
checks each block that it reads, so that the first page of a million rows reads a few of them. A file that is cut,
changed, of a later version or of another byte order is :class:`Damaged`: who reads it makes it anew.
It is read, not mapped: a mapped file that another program shortens ends the process.
Not here: what stands in the sections (index.journal.heads, index.journal.field_column).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any
from zlib import crc32

import msgspec

from sessionstore.disk import files
from sessionstore.disk.reading import AnyPath
from sessionstore.errors import SessionStoreError
from sessionstore.index import PagesDamaged

VERSION = 1
BLOCK_BYTES = 1 << 14
_FIRST_READ = 1 << 16  # header and checksums of all but the largest files
_LONGEST_HEADER = 1 << 20
_SUM_BYTES = 4
_MOST_RECENT = 256  # blocks: 4 MiB


class Damaged(PagesDamaged):
    """The file cannot be used: it is cut, changed, or not of this version. It is derived, and made anew."""


class _Header(msgspec.Struct):
    columns: int
    order: str
    meta: dict[str, Any]
    sections: dict[str, tuple[int, int]]  # begin and length within the data
    bytes: int
    sums: str


_decode_header = msgspec.json.Decoder(_Header).decode
_encode = msgspec.json.Encoder().encode


class ColumnFile:
    """The sections of one file, read when they are asked for; or those just made, which need not be read.

    Use :meth:`opened` or :meth:`made`. Safe for threads: what is read twice is the same.
    """

    def __init__(self, meta: dict[str, Any], sections: Mapping[str, tuple[int, int]]) -> None:
        self.meta = meta
        self._sections = sections
        self._whole: dict[str, bytes] = {}
        self._descriptor, self._begin = -1, 0
        self._sums = memoryview(b"").cast("I")
        self._bytes = 0
        self._recent: dict[int, bytes] = {}  # blocks of which single values were read

    @classmethod
    def made(cls, meta: dict[str, Any], sections: Mapping[str, bytes]) -> ColumnFile:
        """Return the columns just made, from memory."""
        found = cls(meta, {name: (0, len(data)) for name, data in sections.items()})
        found._whole = dict(sections)
        return found

    @classmethod
    def opened(cls, path: AnyPath) -> ColumnFile:
        """Open a file and check its header. Raises: Damaged, which includes a file that is not there."""
        try:
            descriptor = files.open_to_read(path)
        except (OSError, SessionStoreError) as error:
            raise Damaged(str(error)) from error
        try:
            return cls._of(descriptor)
        except BaseException:
            os.close(descriptor)
            raise

    @classmethod
    def _of(cls, descriptor: int) -> ColumnFile:
        data = read_at(descriptor, 0, _FIRST_READ)
        while (end := data.find(b"\n")) < 0 and len(data) < _LONGEST_HEADER:
            more = read_at(descriptor, len(data), _FIRST_READ)
            if not more:
                break
            data += more
        header = _header_of(data[: max(0, end)])
        sums_end = end + 1 + _SUM_BYTES * _blocks(header.bytes)
        if len(data) < sums_end:
            data += read_at(descriptor, len(data), sums_end - len(data))
        sums = data[end + 1 : sums_end]
        if len(data) < sums_end or f"{crc32(sums):08x}" != header.sums:
            raise Damaged("its checksums are not whole")
        found = cls(header.meta, header.sections)
        found._descriptor, found._begin, found._bytes = descriptor, sums_end, header.bytes
        found._sums = memoryview(sums).cast("I")
        return found

    def read(self, name: str, begin: int, end: int) -> bytes:
        """Return bytes of a section. Raises: Damaged."""
        kept = self._whole.get(name)
        if kept is not None:
            return kept[begin:end]
        start, length = self._section(name)
        if not 0 <= begin <= end <= length:
            raise Damaged(f"{name} ends before byte {end}")
        number, at = divmod(start + begin, BLOCK_BYTES)
        if at + end - begin <= BLOCK_BYTES:
            return self._block(number)[at : at + end - begin]
        first = number * BLOCK_BYTES
        last = min(-(-(start + end) // BLOCK_BYTES) * BLOCK_BYTES, self._bytes)
        data = self._checked_blocks(first, last)
        return data[start + begin - first : start + end - first]

    def whole(self, name: str) -> bytes:
        """Return a whole section, and keep it. Raises: Damaged."""
        kept = self._whole.get(name)
        if kept is None:
            kept = self._whole[name] = self.read(name, 0, self._section(name)[1])
        return kept

    def check_lengths(self, lengths: Mapping[str, int]) -> None:
        """Compare the bytes of sections with what they should have. Raises: Damaged."""
        for name, wanted in lengths.items():
            if (found := self._section(name)[1]) != wanted:
                raise Damaged(f"{name} has {found} bytes, not {wanted}")

    def _section(self, name: str) -> tuple[int, int]:
        try:
            start, length = self._sections[name]
        except KeyError as error:
            raise Damaged(f"it has no {name}") from error
        return start, length

    def _block(self, number: int) -> bytes:
        kept = self._recent.get(number)
        if kept is None:
            first = number * BLOCK_BYTES
            kept = self._checked_blocks(first, min(first + BLOCK_BYTES, self._bytes))
            if len(self._recent) >= _MOST_RECENT:
                self._recent.clear()
            self._recent[number] = kept
        return kept

    def _checked_blocks(self, first: int, last: int) -> bytes:
        data = read_at(self._descriptor, self._begin + first, last - first)
        if len(data) != last - first:
            raise Damaged("it was cut")
        for at in range(0, len(data), BLOCK_BYTES):
            number = (first + at) // BLOCK_BYTES
            if crc32(memoryview(data)[at : at + BLOCK_BYTES]) != self._sums[number]:  # also one that was right before
                raise Damaged(f"block {number} was changed")
        return data

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


def write(path: AnyPath, meta: dict[str, Any], sections: Mapping[str, bytes]) -> None:
    """Write a file of columns, visible whole or not at all. Raises: as ``files.put``."""
    places, begin = {}, 0
    for name, data in sections.items():
        places[name] = (begin, len(data))
        begin += len(data)
    data = b"".join(sections.values())
    sums = memoryview(bytearray(_SUM_BYTES * _blocks(len(data)))).cast("I")
    view = memoryview(data)
    for number in range(len(sums)):
        sums[number] = crc32(view[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES])
    raw = sums.tobytes()
    head = _encode(_Header(VERSION, sys.byteorder, meta, places, len(data), f"{crc32(raw):08x}"))
    line = b'%s,"c":"%08x"}\n' % (head[:-1], crc32(head[:-1]))
    files.put(path, [part for part in (line, raw, data) if part], sync=False)


def _header_of(line: bytes) -> _Header:
    if line[-16:-10] != b',"c":"' or b"%08x" % crc32(line[:-16]) != line[-10:-2]:
        raise Damaged("its first line is not whole")
    try:
        header = _decode_header(line)
    except msgspec.MsgspecError as error:
        raise Damaged(f"its first line is of another version: {error}") from error
    if (header.columns, header.order) != (VERSION, sys.byteorder):
        raise Damaged(f"it is version {header.columns}, {header.order} endian")
    if any(start < 0 or length < 0 or start + length > header.bytes for start, length in header.sections.values()):
        raise Damaged("a section is outside the file")
    return header


def _blocks(size: int) -> int:
    return -(-size // BLOCK_BYTES)


def read_at(descriptor: int, offset: int, size: int) -> bytes:
    """Return bytes of an open file; fewer only at its end. Raises: Damaged: the disk does not give them."""
    parts = []
    try:
        while size > 0:
            if hasattr(os, "pread"):  # not there on Windows
                part = os.pread(descriptor, size, offset)
            else:
                os.lseek(descriptor, offset, os.SEEK_SET)
                part = os.read(descriptor, size)
            if not part:
                break
            parts.append(part)
            size, offset = size - len(part), offset + len(part)
    except OSError as error:
        raise Damaged(str(error)) from error
    return parts[0] if len(parts) == 1 else b"".join(parts)
