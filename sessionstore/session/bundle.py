"""One session as a zip that is made as it is read: plain files only, no link followed, no FIFO waited for.

Not here: reading a zip in, other forms to take a session away (server.offline, legacy).
"""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections.abc import Iterator

from sessionstore.disk import files
from sessionstore.errors import UnsafeFile
from sessionstore.session import Session

_CHUNK = 1 << 16


def plain_files(session: Session) -> Iterator[str]:
    """Yield the names of the plain files of a session, relative to its folder; links and the like are left out."""
    for folder, inner, found in os.walk(session.folder, followlinks=False):
        inner.sort()
        for name in sorted(found):
            if name.startswith(".tmp-"):
                continue  # a document that is being replaced just now
            path = os.path.join(folder, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                yield os.path.relpath(path, session.folder)


def zip_parts(session: Session, listed: list[str]) -> Iterator[bytes]:
    """Yield a zip of these files, compressed as it goes: nothing is held as a whole, nothing goes to disk.

    A stream that still grows is taken up to its last whole line at this moment.
    """
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as archive:
        for name in listed:
            try:
                descriptor = files.open_to_read(session.folder / name)
            except (FileNotFoundError, UnsafeFile):
                continue  # replaced or removed since it was listed
            info = zipfile.ZipInfo(f"{session.session_id}/{name.replace(os.sep, '/')}")
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as target:
                for chunk in chunks(descriptor, whole_lines=name.endswith(".jsonl")):
                    target.write(chunk)
                    yield pipe.take()
            yield pipe.take()
    yield pipe.take()


class _Pipe(io.RawIOBase):
    """What zipfile writes to: it cannot be sought, and is emptied as it fills."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def chunks(descriptor: int, whole_lines: bool = False) -> Iterator[bytes]:
    """Yield the bytes that an open file has now, not what is appended meanwhile; closes it."""
    try:
        left = os.fstat(descriptor).st_size
        rest = b""
        while left > 0 and (chunk := os.read(descriptor, min(left, _CHUNK))):
            left -= len(chunk)
            if whole_lines:
                whole, newline, rest = (rest + chunk).rpartition(b"\n")
                chunk = whole + newline
            if chunk:
                yield chunk
    finally:
        os.close(descriptor)
