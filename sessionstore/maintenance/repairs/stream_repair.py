"""Taking unreadable bytes out of a stream: the torn end of a crash, and damaged lines in the middle.

The bytes go to quarantine first. A torn end is cut, as the next writer would; for damaged lines the file is written
anew and renamed, and the document says which numbers are missing (table ``repairs``): the gap is explained.
Not here: finding the damage (checks.session_folders), reading past it (session.stream_reader).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from sessionstore.disk import files
from sessionstore.errors import Conflict
from sessionstore.layout import StoreRoot
from sessionstore.maintenance.repairs import notes
from sessionstore.session import Session
from sessionstore.session.sealing import file_to_append, unsealed_to_append
from sessionstore.session.stream_reader import Damage, Mark, Tape, last_good_line

_CHUNK = 1 << 20


def cut_torn_end(root: StoreRoot, path: Path) -> int:
    """Cut the bytes after the last whole record, under the lock of the stream; return how many.

    Raises: SessionGone, UnsafeFile, LockTimeout, StoreUnusable: nothing was cut. OutcomeUnknown.
    """
    unsealed_to_append(path)
    if not os.path.lexists(path):
        return 0
    stream = file_to_append(path)
    size = stream.lock()
    try:
        _, torn = last_good_line(stream.descriptor, size)
        if torn:
            root.quarantine(path, size - len(torn), torn)
            files.truncate(stream.descriptor, size - len(torn), path)
            stream.sync()
        return len(torn)
    finally:
        stream.unlock()
        stream.close()


def cut_damaged_lines(root: StoreRoot, session: Session, path: Path) -> int:
    """Write a stream without its damaged lines; return how many there were.

    Raises:
        Conflict: the stream changed meanwhile; nothing changed, run it again.
        Corrupt, SessionGone, LockTimeout, StoreUnusable: nothing changed.
    """
    ranges, gaps = _survey(path)
    if not ranges:
        return 0
    unsealed_to_append(path)
    stream = file_to_append(path)
    try:
        for begin, end in ranges:
            root.quarantine(path, begin, _bytes_of(path, begin, end))
    except FileNotFoundError as error:
        raise Conflict(f"{path} was sealed or moved during its repair; run it again") from error
    lost = sum(end - begin for begin, end in ranges)
    what = f"damaged lines moved to quarantine ({lost} bytes in all)"
    rows = [{"stream": path.stem, "expected": first, "found": then} for first, then in gaps]
    notes.note(session, rows, what)  # first: an unexplained gap would stay an error for ever
    stream.lock()
    try:
        if _survey(path)[0] != ranges:
            raise Conflict(f"{path} changed during its repair")
        files.put(path, _kept(path, ranges))  # a writer that waits for the lock opens the new file
    finally:
        stream.unlock()
        stream.close()
    return len(ranges)


def _survey(path: Path) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return the ranges of damaged lines before the last good one, and the missing numbers: (expected, found)."""
    ranges: list[tuple[int, int]] = []
    gaps: list[tuple[int, int]] = []
    behind: list[tuple[int, int]] = []
    following = 0
    for found in Tape(path)._lines(0):
        if isinstance(found, Damage):
            behind += [(found.offset, found.end)] if found.kind == "damaged" else []
            continue
        if isinstance(found, Mark):
            ranges, behind = ranges + behind, []
            continue
        if behind and found.verified and found.n > following:
            gaps.append((following, found.n))
        ranges, behind = ranges + behind, []
        following = found.n + 1 if found.n >= 0 else following + 1
    return ranges, gaps


def _bytes_of(path: Path, begin: int, end: int) -> bytes:
    descriptor = files.open_to_read(path)
    try:
        os.lseek(descriptor, begin, os.SEEK_SET)
        parts = []
        while end > begin and (part := os.read(descriptor, end - begin)):
            parts.append(part)
            begin += len(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def _kept(path: Path, ranges: list[tuple[int, int]]) -> Iterator[bytes]:
    """Yield the bytes of a file outside of ranges, in chunks."""
    position, size = 0, os.stat(path).st_size
    for begin, end in [*ranges, (size, size)]:
        while position < begin:
            step = min(_CHUNK, begin - position)
            yield _bytes_of(path, position, position + step)
            position += step
        position = end
