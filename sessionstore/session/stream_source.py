"""The bytes of a stream as UTF-8 text, also after a foreign program rewrote the file.

A file that another program rewrote in UTF-16 or UTF-32 is read through a copy in memory; offsets are then those of the
UTF-8 text. A pointer of Git LFS in a stream's place is recognised, reads as empty and is never appended to.
A sealed stream (``NAME.jsonl.gz``) reads as the plain one that it was made of; where both files are there, the plain
one counts, unless it is empty: then a process looked for the plain file, which was sealed before it opened it. Callers
name the plain file.
Not here: CRLF and byte order marks of single lines (stream_line), writing (disk.append_file), the members of a sealed
stream (sealed_file), sealing (sealing).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from sessionstore.disk import files
from sessionstore.disk.reading import Elsewhere, elsewhere, stamp_of
from sessionstore.session.sealed_file import SealedFile
from sessionstore.session.sealed_form import SUFFIX
from sessionstore.session.stream_line import Damage, Line, Mark, parse_line

CHUNK_BYTES = 1 << 18
_HEAD_BYTES = 64
_ROUNDS = 3
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
        self.empty = not head
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

    def bytes_at(self, count: int, offset: int) -> bytes:
        """Return up to that many bytes of the stream as they were written, in any encoding."""
        return self._bytes_at(count, offset)

    def middle(self, low: int, high: int) -> int:
        """Return a place between two, for a bisection."""
        return (low + high) // 2

    def lost(self, begin: int, end: int) -> str | None:
        """Return why the bytes of a line are not those of the stream; None: they are."""
        return None

    def damage(self) -> str | None:
        """Return what is damaged of what was read so far, where a sealed stream knows it."""
        return None

    def sealed_form(self) -> str | None:
        """Return what is wrong with the form of a sealed stream that was read whole; None: nothing."""
        return None

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


class SealedSource(Source):
    """An open sealed stream, read as the plain one; what was inflated last is kept for the next reader."""

    def __init__(self, sealed: SealedFile) -> None:
        self.sealed = sealed
        super().__init__(-1)

    def middle(self, low: int, high: int) -> int:
        """Return a place between two that is read without inflating a whole member."""
        return self.sealed.middle(low, high) if self.encoding is None else super().middle(low, high)

    def lost(self, begin: int, end: int) -> str | None:
        """Return how many bytes around a line are lost: a damaged member holds it, and no checksum proves it."""
        found = self.sealed.lost_between(begin, end) if self.encoding is None else None
        return None if found is None else f"{found[1] - found[0]:,} bytes of a sealed stream are damaged"

    def damage(self) -> str | None:
        """Return the first damaged member of those that were read."""
        found = next(iter(self.sealed.damaged.values()), None)
        return None if found is None else f"member {found.number} of a sealed stream: {found.reason}"

    def sealed_form(self) -> str | None:
        """Return what is wrong with the first damaged member, or with the index."""
        return self.damage() or self.sealed.index.found_again

    def _bytes(self) -> int:
        return self.sealed.size

    def _bytes_at(self, count: int, offset: int) -> bytes:
        return self.sealed.read_at(count, offset)


class FileBytes:
    """The bytes of an open file."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def size(self) -> int:
        """Return the bytes of the file."""
        return os.fstat(self._descriptor).st_size

    def read_at(self, count: int, offset: int) -> bytes:
        """Return up to that many bytes from an offset on, fewer at the end only."""
        return _read_at(self._descriptor, count, offset)


def encoding_of(head: bytes) -> str | None:
    """Return the encoding that the first bytes of a file mark; None: UTF-8."""
    return next((name for mark, name in _ENCODINGS if head.startswith(mark)), None)


@contextlib.contextmanager
def opened(path: Path | str) -> Iterator[Source]:
    """Open a stream for reading, also where only its sealed form is there.

    Raises: FileNotFoundError, UnsafeFile, StoreUnusable; of a sealed one: Corrupt, NewerFormat.
    """
    if elsewhere and (remote := elsewhere.get(str(path))) is not None:
        yield RemoteSource(remote)
        return
    with contextlib.ExitStack() as stack:
        yield _opened_here(path, stack)


def _opened_here(path: Path | str, stack: contextlib.ExitStack) -> Source:
    for _ in range(_ROUNDS):  # each one, it was sealed or unsealed between two looks
        with contextlib.suppress(FileNotFoundError):
            descriptor = stack.enter_context(files.opened(path))
            plain = Source(descriptor)
            if not plain.empty or (not left_over(path) and _names(path, os.fstat(descriptor))):
                return plain
        with contextlib.suppress(FileNotFoundError):
            return SealedSource(stack.enter_context(opened_sealed(sealed_path(path))))
    return Source(stack.enter_context(files.opened(path)))


@contextlib.contextmanager
def opened_sealed(path: Path | str) -> Iterator[SealedFile]:
    """Open the file of a sealed stream itself. Raises: as :func:`opened`."""
    if elsewhere and (remote := elsewhere.get(str(path))) is not None:
        yield SealedFile(remote, path)
        return
    with files.opened(path) as descriptor:
        found = os.fstat(descriptor)
        yield SealedFile(FileBytes(descriptor), path, (found.st_dev, *stamp_of(found)))


def line_in(source: Source, raw: bytes, offset: int) -> Line | Damage | Mark:
    """Return what one line of an open stream holds; in a damaged member, only what a checksum proves."""
    found = parse_line(raw, offset)
    if not isinstance(found, Line) or not found.verified:
        lost = source.lost(offset, offset + len(raw))
        if lost is not None:
            return Damage(offset, offset + len(raw) + 1, lost)
    return found


def sealed_path(path: Path | str) -> Path:
    """Return the file that the sealed form of a stream has."""
    return Path(f"{path}{SUFFIX}")


def is_elsewhere(path: Path | str) -> bool:
    """Whether a stream is in a remote store, which is read in place."""
    return bool(elsewhere) and (elsewhere.get(str(path)) or elsewhere.get(f"{path}{SUFFIX}")) is not None


def is_sealed(path: Path | str) -> bool:
    """Whether a stream is there in its sealed form alone. Raises: StoreUnusable."""
    return plain_status(path) is None and files.status(f"{path}{SUFFIX}") is not None


def left_over(path: Path | str) -> bool:
    """Whether an empty plain file counts for nothing, since the sealed form beside it holds lines.

    Raises: Corrupt, NewerFormat, UnsafeFile, StoreUnusable.
    """
    sealed_file = sealed_path(path)
    if files.status(sealed_file) is None:
        return False
    try:
        with opened_sealed(sealed_file) as sealed:
            return sealed.size > 0
    except FileNotFoundError:
        return False  # unsealed meanwhile


def plain_status(path: Path | str) -> os.stat_result | None:
    """Return the status of the plain file of a stream; None: it is not there, or left over.

    Raises: as :func:`left_over`.
    """
    for _ in range(_ROUNDS):  # each one, it was sealed or unsealed between two looks
        found = files.status(path)
        if found is None or found.st_size:
            return found
        if left_over(path):
            return None
        if _names(path, found):
            return found
    return files.status(path)


def _names(path: Path | str, seen: os.stat_result) -> bool:
    """Whether a path still names an empty file: else it was left over, and an unsealed one has its place by now."""
    found = files.status(path)
    return found is not None and (found.st_dev, found.st_ino, found.st_size) == (seen.st_dev, seen.st_ino, 0)


def status(path: Path | str) -> os.stat_result | None:
    """Return the status of the file of a stream, plain or sealed; None: there is none. Raises: as `left_over`."""
    return plain_status(path) or files.status(f"{path}{SUFFIX}") or files.status(path)


def size(path: Path | str) -> int:
    """Return the bytes of a stream; of a sealed one, those of the plain one. Raises: as :func:`opened`."""
    found = plain_status(path)
    if found is not None:
        return found.st_size
    try:
        with opened_sealed(sealed_path(path)) as sealed:
            return sealed.size
    except FileNotFoundError:
        found = files.status(path)  # unsealed meanwhile
        return 0 if found is None else found.st_size


def _read_at(descriptor: int, count: int, offset: int) -> bytes:
    os.lseek(descriptor, offset, os.SEEK_SET)  # pread is not there on Windows
    parts = []
    while count > 0 and (part := os.read(descriptor, count)):
        parts.append(part)
        count -= len(part)
    return b"".join(parts) if len(parts) != 1 else parts[0]
