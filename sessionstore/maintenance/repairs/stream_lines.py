"""Rewriting lines of a stream without changing a value: line ends, a byte order mark, the checksum of an edited line.

The whole file goes to quarantine first; then it is written anew and renamed. A line that does not keep its record is
left as it is. Not here: cutting what cannot be read (stream_repair).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

from sessionstore.disk import files
from sessionstore.disk.append_file import AppendFile
from sessionstore.layout import StoreRoot
from sessionstore.session.stream_line import Line, Mark, parse_line

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_TAIL_LENGTH = 16  # ,"c":"01234567"}


def restore_line_ends(root: StoreRoot, path: Path) -> int:
    """Take carriage returns and a byte order mark out, add the last newline; return how many lines changed.

    Raises: LockTimeout, SessionGone, UnsafeFile, StoreUnusable: nothing changed. OutcomeUnknown.
    """
    return _rewrite(root, path, _without_foreign_bytes)


def accept_edits(root: StoreRoot, path: Path) -> int:
    """Give each edited line the checksum of its present content; return how many changed.

    Raises: as :func:`restore_line_ends`.
    """
    return _rewrite(root, path, _with_checksum)


def _rewrite(root: StoreRoot, path: Path, change: Callable[[bytes], bytes]) -> int:
    stream = AppendFile(path)
    stream.lock()
    try:
        data, _ = files.read(path)
        before = data.split(b"\n")
        if before and not before[-1]:
            before.pop()
        after = [change(raw) for raw in before]
        changed = sum(old != new for old, new in zip(before, after, strict=True))
        whole = b"".join(line + b"\n" for line in after)
        last_is_torn = not data.endswith(b"\n") and not isinstance(parse_line(before[-1], 0), Line | Mark)
        if last_is_torn:
            whole = whole[:-1]
        if whole == data:
            return 0
        root.quarantine(path, 0, data)
        files.put(path, whole)
        return max(changed, 1)
    finally:
        stream.unlock()
        stream.close()


def _without_foreign_bytes(raw: bytes) -> bytes:
    kept = raw.removeprefix(_BYTE_ORDER_MARK).rstrip(b"\r")
    return kept if kept != raw and isinstance(parse_line(kept, 0), Line | Mark) else raw


def _with_checksum(raw: bytes) -> bytes:
    found = parse_line(raw, 0)
    if not isinstance(found, Line) or found.remark != "edited" or raw[-_TAIL_LENGTH:-10] != b',"c":"':
        return raw
    head = raw[:-_TAIL_LENGTH]
    return b'%b,"c":"%08x"}' % (head, zlib.crc32(head))
