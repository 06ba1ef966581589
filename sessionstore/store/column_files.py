"""The files of the column cache: ``.sessionstore/columns/SESSION/STREAM.parquet`` with a key beside each.

The key names the state of the stream that the columns were made from (size, mtime, ctime, CRC-32) and the files that
belong to it; columns whose key does not fit are never used. Each file is placed by a rename and the key last, so that a
crash leaves the old columns, the new ones, or none. The streams stay the truth: the folder may be deleted at any
moment, and copies, bundles and merges do not hold it.
Not here: making and reading Parquet (analysis.columns), findings about the cache (maintenance.checks.column_cache).
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sessionstore.disk import files
from sessionstore.errors import SessionStoreError
from sessionstore.layout import StoreRoot
from sessionstore.session import stream_source

FORMAT = 1
_KEY, PARQUET, OVERVIEW = ".key", ".parquet", ".overview"
_LONGEST_KEY = 1 << 20
_CHUNK = 1 << 20
#: A second change within a tick of the clock leaves the times as they are: 10 ms at most, 2 s on FAT.
_TICK_NS, _COARSE_TICK_NS = 30_000_000, 3_000_000_000


class Stamp(msgspec.Struct, frozen=True):
    """The state of a stream: two equal ones have the same bytes."""

    size: int
    mtime_ns: int
    ctime_ns: int


class Derived(msgspec.Struct, frozen=True):
    """One derived file: its size and the CRC-32 of all of it."""

    size: int
    crc32: int


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What columns were made from and which files they are.

    Attributes:
        source_crc32: of the stream.
        footer_crc32: of the end of the Parquet file, which says where everything is.
        left_out: how many lines are not in the columns, by kind.
        axes: whether ``position`` is stored as x, y and z alone.
        names: the columns as a query sees them, in order.
        mixed: the keys whose values, of several kinds, stand as text; None: made before that was noted.
    """

    format: int
    source: Stamp
    source_crc32: int
    rows: int
    parquet: Derived
    footer_crc32: int
    left_out: dict[str, int]
    axes: bool
    names: list[str]
    overview: Derived | None = None
    mixed: list[str] | None = None


@dataclass(frozen=True, slots=True)
class ColumnFile:
    """The columns of one stream that fit its present state."""

    path: Path
    key: Key

    @property
    def overview_path(self) -> Path:
        """The file with the overview of the motion."""
        return self.path.with_suffix(OVERVIEW)


def folder_of(root: StoreRoot, session_id: str) -> Path:
    """Return the folder that holds the columns of a session."""
    return root.columns / session_id


def stamp_of(path: str | Path) -> Stamp | None:
    """Return the state of a stream; None: it is not there. Raises: StoreUnusable."""
    found = stream_source.status(path)
    return None if found is None else Stamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def settled(stamp: Stamp) -> bool:
    """Wait until no later change can leave this state as it is; False: that would take too long (a coarse clock)."""
    changed_ns = max(stamp.mtime_ns, stamp.ctime_ns)
    coarse = stamp.mtime_ns % 1_000_000_000 == 0
    left_ns = changed_ns + (_COARSE_TICK_NS if coarse else _TICK_NS) - time.time_ns()
    if left_ns > 0 and coarse:
        return False
    if left_ns > _TICK_NS:
        return False  # its time is in the future
    if left_ns > 0:
        time.sleep(left_ns / 1e9)
    return True


def find(root: StoreRoot, session_id: str, stream: str) -> ColumnFile | None:
    """Return the columns of a stream when they fit it; None: there are none, or they are void."""
    try:
        path = folder_of(root, session_id) / f"{stream}{PARQUET}"
        key = read_key(path.with_suffix(_KEY))
        if key is None or key.source != stamp_of(f"{root.text}/{session_id}/{stream}.jsonl"):
            return None
        if footer_crc32(path, key.parquet.size) != key.footer_crc32:
            return None
    except (SessionStoreError, OSError):
        return None
    return ColumnFile(path, key)


_verified: dict[str, tuple[int, int, int]] = {}


def is_whole(found: ColumnFile) -> bool:
    """Whether the bytes of columns are those that were written; read once in a process, and after each change."""
    derived = [(found.path, found.key.parquet)]
    if found.key.overview is not None:
        derived.append((found.overview_path, found.key.overview))
    return all(_is_whole(path, wanted) for path, wanted in derived)


def _is_whole(path: Path, wanted: Derived) -> bool:
    try:
        status = os.stat(path, follow_symlinks=False)
        state = status.st_ino, status.st_size, files.changed_ns(status)
        if _verified.get(str(path)) == state:
            return True
        if file_crc32(path) != wanted.crc32:
            return False
    except (SessionStoreError, OSError):
        return False
    _verified[str(path)] = state
    return True


def key_of(root: StoreRoot, session_id: str, stream: str) -> Key | None:
    """Return the key of columns, fitting or not. Raises: UnsafeFile, StoreUnusable."""
    return read_key(folder_of(root, session_id) / f"{stream}{_KEY}")


def read_key(path: Path) -> Key | None:
    """Return a key; None: it is not there, of another version, or damaged. Raises: UnsafeFile, StoreUnusable."""
    try:
        data, _ = files.read(path, _LONGEST_KEY)
        body, _, checksum = data.rstrip(b"\n").rpartition(b"\n")
        if b"%08x" % zlib.crc32(body) != checksum:
            return None
        key = msgspec.json.decode(body, type=Key)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None
    return key if key.format == FORMAT else None


def place_key(path: Path, key: Key) -> None:
    """Put the key in place: from now on the columns are used. Raises: StoreUnusable, OutcomeUnknown."""
    body = msgspec.json.encode(key)
    files.put(path.with_suffix(_KEY), b"%b\n%08x\n" % (body, zlib.crc32(body)))


def footer_crc32(path: Path, size: int) -> int | None:
    """Return the checksum of the end of a Parquet file; None: it has another size, or no such end."""
    with files.opened(path) as descriptor:
        if os.fstat(descriptor).st_size != size or size < 12:
            return None
        end = _read_at(descriptor, 8, size - 8)
        (length,) = struct.unpack("<I", end[:4])
        if end[4:] != b"PAR1" or length > size - 8:
            return None
        return zlib.crc32(_read_at(descriptor, length + 8, size - 8 - length))


def stream_crc32(path: Path) -> int:
    """Return the CRC-32 of the lines of a stream. Raises: FileNotFoundError, UnsafeFile, StoreUnusable, Corrupt."""
    found, offset = 0, 0
    with stream_source.opened(path) as source:
        while chunk := source.bytes_at(_CHUNK, offset):
            found, offset = zlib.crc32(chunk, found), offset + len(chunk)
    return found


def file_crc32(path: str | Path) -> int:
    """Return the checksum of a whole file. Raises: FileNotFoundError, UnsafeFile, StoreUnusable."""
    found = 0
    with files.opened(path) as descriptor:
        while part := os.read(descriptor, _CHUNK):
            found = zlib.crc32(part, found)
    return found


def _read_at(descriptor: int, count: int, offset: int) -> bytes:
    os.lseek(descriptor, offset, os.SEEK_SET)
    parts = []
    while count > 0 and (part := os.read(descriptor, count)):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def cached(root: StoreRoot) -> Iterator[tuple[str, str]]:
    """Yield (session_id, stream) of everything in the cache, fitting or not; a file without its key too."""
    for session_id in sorted(files.folder_names(root.columns)):
        names = {
            entry.name.rpartition(".")[0]
            for entry in files.entries(root.columns / session_id)
            if entry.name.endswith((_KEY, PARQUET, OVERVIEW)) and entry.name[0] != "."
        }
        yield from ((session_id, name) for name in sorted(names))


def size_of(root: StoreRoot, session_id: str, stream: str) -> int:
    """Return the bytes that the cache of a stream takes."""
    base = folder_of(root, session_id) / f"{stream}{PARQUET}"
    found = [files.status(base.with_suffix(suffix)) for suffix in (_KEY, PARQUET, OVERVIEW)]
    return sum(each.st_size for each in found if each is not None)


def drop(root: StoreRoot, session_id: str, stream: str) -> None:
    """Remove the cache of a stream, the key first, and its folder when that is empty. Raises: StoreUnusable."""
    base = folder_of(root, session_id) / f"{stream}{PARQUET}"
    for suffix in (_KEY, PARQUET, OVERVIEW):
        files.remove(base.with_suffix(suffix))
    if not files.entries(base.parent) and files.is_folder(base.parent):
        files.remove_tree(base.parent)


def forget(root: StoreRoot, session_id: str) -> None:
    """Remove all columns of a session that is gone for good; where that fails the doctor finds them.

    Those of a session that has the id again stay.
    """
    folder = folder_of(root, session_id)
    with contextlib.suppress(SessionStoreError):
        if not files.is_folder(root.folder(session_id)) and files.is_folder(folder):
            files.remove_tree(folder)
