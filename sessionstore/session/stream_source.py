"""The bytes of a stream as UTF-8 text, also after a foreign program rewrote the file.

A file that another program rewrote in UTF-16 or UTF-32 is read through a copy in memory; offsets are then those of the
UTF-8 text. A pointer of Git LFS in a stream's place is recognised, reads as empty and is never appended to.
Not here: CRLF and byte order marks of single lines (stream_line), writing (disk.append_file).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from sessionstore.disk import files
from sessionstore.disk.reading import Elsewhere, elsewhere

CHUNK_BYTES = 1 << 18
_HEAD_BYTES = 64
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
#: The first bytes of a file, and the encoding they mark; the longer marks first. Without a mark a line begins with {.
_ENCODINGS = (
    (b"\xff\xfe\0\0", "utf-32-le"), (b"\0\0\xfe\xff", "utf-32-be"), (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"), (b"{\0\0\0", "utf-32-le"), (b"\0\0\0{", "utf-32-be"), (b"{\0", "utf-16-le"),
    (b"\0{", "utf-16-be"),
)  # fmt: skip


class Source:
    """An open stream; ``encoding`` is None for UTF-8, and ``pointer`` whether Git LFS holds the content."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        head = self._bytes_at(_HEAD_BYTES, 0)
        self.encoding = encoding_of(head)
        self.pointer = head.startswith(LFS_POINTER)
        self._text: bytes | None = None

    @property
    def size(self) -> int:
        """The bytes that can be read."""
        if self.pointer:
            return 0
        return self._bytes() if self.encoding is None else len(self._converted(self.encoding))

    def read_at(self, count: int, offset: int) -> bytes:
        """Return up to that many bytes from an offset on; fewer at the end only."""
        if self.pointer:
            return b""
        if self.encoding is not None:
            return self._converted(self.encoding)[offset : offset + count]
        return self._bytes_at(count, offset)

    def end(self, count: int) -> tuple[bytes, int]:
        """Return up to that many bytes from the end, and the size."""
        size = self.size
        start = max(0, size - count)
        return self.read_at(size - start, start), size

    def _bytes(self) -> int:
        return os.fstat(self._descriptor).st_size

    def _bytes_at(self, count: int, offset: int) -> bytes:
        return _read_at(self._descriptor, count, offset)

    def _converted(self, encoding: str) -> bytes:
        if self._text is None:
            text = self._bytes_at(self._bytes(), 0).decode(encoding, "replace")
            self._text = text.removeprefix("\ufeff").encode("utf-8", "replace")
        return self._text


class RemoteSource(Source):
    """An open stream of a remote store, of which only what is asked for is transferred."""

    def __init__(self, remote: Elsewhere) -> None:
        self._remote = remote
        super().__init__(-1)

    def _bytes(self) -> int:
        return self._remote.size()

    def _bytes_at(self, count: int, offset: int) -> bytes:
        return self._remote.read_at(count, offset)


def encoding_of(head: bytes) -> str | None:
    """Return the encoding that the first bytes of a file mark; None: UTF-8."""
    return next((name for mark, name in _ENCODINGS if head.startswith(mark)), None)


@contextlib.contextmanager
def opened(path: Path | str) -> Iterator[Source]:
    """Open a stream for reading. Raises: FileNotFoundError, UnsafeFile, StoreUnusable."""
    if elsewhere and (remote := elsewhere.get(str(path))) is not None:
        yield RemoteSource(remote)
        return
    with files.opened(path) as descriptor:
        yield Source(descriptor)


def _read_at(descriptor: int, count: int, offset: int) -> bytes:
    os.lseek(descriptor, offset, os.SEEK_SET)  # pread is not there on Windows
    parts = []
    while count > 0 and (part := os.read(descriptor, count)):
        parts.append(part)
        count -= len(part)
    return b"".join(parts) if len(parts) != 1 else parts[0]
