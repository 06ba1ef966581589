"""Writing an archive as a stream: a ZIP whose members are stored as they are, or a ``.tar.zst``.

Nothing is sought, so that an archive can go to a socket; nothing but a part of the members is held. A small member
costs a few microseconds, a tenth of what it costs in zipfile and tarfile: a session is ten small files. Members carry
one fixed time and mode, and come in the order in which they are added, so that the same members give the same bytes.
Not here: what is in a bundle (exchange.bundle), reading them (exchange.verify, exchange.trees).
"""

from __future__ import annotations

import stat
import struct
import tarfile
from collections.abc import Iterable
from typing import IO, Protocol, cast
from zlib import crc32

from sessionstore.errors import StoreUnusable

_FILE_MODE = 0o644
_PART_BYTES = 1 << 20


class ArchiveWriter(Protocol):
    """Takes members, and gives the bytes of the archive piece by piece."""

    def add(self, name: str, data: bytes) -> None:
        """Write a member that is in memory."""

    def add_large(self, name: str, size: int, chunks: Iterable[bytes]) -> Iterable[bytes]:
        """Yield the bytes of the archive while a member of known size is written.

        Raises: StoreUnusable: the chunks have another size.
        """

    def take(self, all_of_it: bool = False) -> Iterable[bytes]:
        """Yield the bytes that are ready, once there are enough of them."""

    def close(self) -> None:
        """Write what follows the last member."""


class _Parts:
    """Bytes that wait to be taken, joined, in pieces of about a megabyte."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._waiting = 0
        self.offset = 0

    def write(self, data: bytes) -> int:
        self._parts.append(data)
        self._waiting += len(data)
        self.offset += len(data)
        return len(data)

    def take(self, all_of_it: bool) -> Iterable[bytes]:
        if self._waiting >= _PART_BYTES or (all_of_it and self._waiting):
            parts, self._parts, self._waiting = self._parts, [], 0
            yield b"".join(parts)


# ---------------------------------------------------------------- ZIP
# PKWARE APPNOTE 6.3.10: 4.3.7 local header, 4.3.9 data descriptor, 4.3.12 central directory, 4.3.14 to 4.3.16 its end,
# 4.5.3 the extra field of ZIP64.
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_DESCRIPTOR = struct.Struct("<4s3L")
_DESCRIPTOR64 = struct.Struct("<4sL2Q")
_UNIX, _DATE = 3, 33  # on every system; 1980-01-01 00:00, the first that a ZIP knows
_VERSION, _VERSION64 = 20, 45
_IS_UTF8, _HAS_DESCRIPTOR = 0x800, 0x8
_ATTRIBUTES = (stat.S_IFREG | _FILE_MODE) << 16
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF


class ZipWriter:
    """Writes a ZIP, with ZIP64 where a size, an offset or the number of members needs it."""

    def __init__(self) -> None:
        self._out = _Parts()
        self._directory: list[bytes] = []

    def add(self, name: str, data: bytes) -> None:
        """Write a member that is in memory; see :class:`ArchiveWriter`."""
        raw, flags = _zip_name(name)
        offset, size, crc = self._out.offset, len(data), crc32(data)
        self._out.write(_LOCAL.pack(b"PK\3\4", _VERSION, flags, 0, 0, _DATE, crc, size, size, len(raw), 0) + raw + data)
        self._note(raw, flags, crc, size, offset)

    def add_large(self, name: str, size: int, chunks: Iterable[bytes]) -> Iterable[bytes]:
        """Write a member whose checksum is known at its end only; see :class:`ArchiveWriter`."""
        raw, flags = _zip_name(name)
        flags |= _HAS_DESCRIPTOR
        offset, crc, written = self._out.offset, 0, 0
        wide = size >= _FULL32 >> 1
        extra = struct.pack("<2H2Q", 1, 16, 0, 0) if wide else b""  # sizes of 64 bits stand in the descriptor
        version, unknown = (_VERSION64, _FULL32) if wide else (_VERSION, 0)
        self._out.write(_LOCAL.pack(b"PK\3\4", version, flags, 0, 0, _DATE, 0, unknown, unknown, len(raw), len(extra)))
        self._out.write(raw + extra)
        for chunk in chunks:
            crc, written = crc32(chunk, crc), written + len(chunk)
            self._out.write(chunk)
            yield from self._out.take(False)
        _check_size(name, size, written)
        self._out.write((_DESCRIPTOR64 if wide else _DESCRIPTOR).pack(b"PK\7\x08", crc, size, size))
        self._note(raw, flags, crc, size, offset)

    def _note(self, raw: bytes, flags: int, crc: int, size: int, offset: int) -> None:
        """Add a member to the central directory."""
        extra, version, shown, place = b"", _VERSION, size, offset
        if size >= _FULL32 >> 1 or offset >= _FULL32:
            large = [number for number in (size, size, offset) if number >= _FULL32]
            extra = struct.pack(f"<2H{len(large)}Q", 1, 8 * len(large), *large) if large else b""
            version, shown, place = _VERSION64, min(size, _FULL32), min(offset, _FULL32)
        self._directory.append(
            _CENTRAL.pack(
                b"PK\1\2", _UNIX << 8 | version, version, flags, 0, 0, _DATE, crc, shown, shown,
                len(raw), len(extra), 0, 0, 0, _ATTRIBUTES, place,
            ) + raw + extra
        )  # fmt: skip

    def take(self, all_of_it: bool = False) -> Iterable[bytes]:
        """Yield what is ready; see :class:`ArchiveWriter`."""
        return self._out.take(all_of_it)

    def close(self) -> None:
        """Write the central directory."""
        offset, count = self._out.offset, len(self._directory)
        size = self._out.write(b"".join(self._directory))
        if count >= _FULL16 or size >= _FULL32 or offset >= _FULL32:
            end = self._out.offset
            self._out.write(
                _END64.pack(b"PK\6\6", 44, _UNIX << 8 | _VERSION64, _VERSION64, 0, 0, count, count, size, offset)
            )
            self._out.write(_LOCATOR.pack(b"PK\6\7", 0, end, 1))
        few = min(count, _FULL16)
        self._out.write(_END.pack(b"PK\5\6", 0, 0, few, few, min(size, _FULL32), min(offset, _FULL32), 0))


def _zip_name(name: str) -> tuple[bytes, int]:
    return (name.encode(), 0) if name.isascii() else (name.encode(), _IS_UTF8)


# ---------------------------------------------------------------- TAR
_BLOCK, _RECORD = 512, 10_240
#: Beyond, the header needs an extension of PAX (POSIX.1-2017, pax, "ustar Interchange Format").
_MAX_NAME, _MAX_SIZE = 100, 1 << 33
_CHECKSUM = slice(148, 156)


class TarZstWriter:
    """Writes a ``.tar.zst``; two threads compress while the members are read. Raises: ModuleNotFoundError."""

    def __init__(self) -> None:
        try:
            import zstandard
        except ImportError as error:
            raise ModuleNotFoundError(
                "zstandard is missing: pip install 'sessionstore[remote]', or pack a .zip", name="zstandard"
            ) from error
        self._plain, self._out = _Parts(), _Parts()
        # The number of threads does not change the bytes, as long as there is one (zstd.h, ZSTD_c_nbWorkers).
        compressor = zstandard.ZstdCompressor(level=3, write_checksum=True, threads=2)
        self._packed = compressor.stream_writer(cast(IO[bytes], self._out), closefd=False)
        self._like = _ustar_header("", 0)
        self._sum = sum(self._like) - sum(self._like[_CHECKSUM]) + 8 * 32 - sum(self._like[124:135])

    def add(self, name: str, data: bytes) -> None:
        """Write a member that is in memory; see :class:`ArchiveWriter`."""
        self._plain.write(self._header(name, len(data)))
        self._plain.write(data)
        self._plain.write(_padding(len(data)))
        self._compress(False)

    def add_large(self, name: str, size: int, chunks: Iterable[bytes]) -> Iterable[bytes]:
        """Write a member in pieces; see :class:`ArchiveWriter`."""
        self._plain.write(self._header(name, size))
        written = 0
        for chunk in chunks:
            written += len(chunk)
            self._plain.write(chunk)
            self._compress(False)
            yield from self._out.take(False)
        _check_size(name, size, written)
        self._plain.write(_padding(size))

    def _header(self, name: str, size: int) -> bytes:
        """Return the header of a plain file; the usual one differs in name, size and checksum only."""
        if len(name) > _MAX_NAME or size >= _MAX_SIZE or not name.isascii():
            return _ustar_header(name, size)
        raw, digits, like = name.encode(), b"%011o" % size, self._like
        checksum = self._sum + sum(raw) + sum(digits)
        return b"%b%b%b%b%b%06o\0 %b" % (
            raw, bytes(_MAX_NAME - len(raw)), like[100:124], digits, like[135:148], checksum, like[156:]
        )  # fmt: skip

    def _compress(self, all_of_it: bool) -> None:
        for part in self._plain.take(all_of_it):
            self._packed.write(part)

    def take(self, all_of_it: bool = False) -> Iterable[bytes]:
        """Yield what is ready; see :class:`ArchiveWriter`."""
        return self._out.take(all_of_it)

    def close(self) -> None:
        """Write the end of the archive, and of the compressed frame."""
        end = self._plain.offset + 2 * _BLOCK
        self._plain.write(bytes(2 * _BLOCK + -end % _RECORD))
        self._compress(True)
        self._packed.close()  # type: ignore[no-untyped-call]


def _ustar_header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, _FILE_MODE, 0
    return info.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)


def _check_size(name: str, size: int, written: int) -> None:
    """Refuse a member that is not as long as its header says. Raises: StoreUnusable."""
    if written != size:
        raise StoreUnusable(None, f"{name} changed while it was packed: {written} bytes where {size} were listed")
