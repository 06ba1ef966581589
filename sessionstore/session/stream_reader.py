"""Reading a stream: from the start, from a moment, from an offset on, or as it grows. Nothing is ever written.

Lines are told apart by newlines alone, so that damage stays where it is: every line is verified (CRC and number), read
as unverified (written by hand, without them), or damaged. What follows the last newline is a record still being written
or torn by a crash: never shown, only counted by :func:`check`. Live is reading on at the end of the tape.
Seeking by sim_time bisects the bytes of the file itself: some 30 probes for 10 million records, and no index to keep.
Not here: appending and mending (streams), interpolation between points (replay).
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from sessionstore.disk import files
from sessionstore.errors import Corrupt

_CHUNK = 1 << 18
_TAIL_LENGTH = 16  # ,"c":"01234567"}
_decode = msgspec.json.Decoder().decode
POLL_S = 0.02


@dataclass(slots=True)
class Line:
    """One record: its number, its sim_time in seconds, its data, and where it lies (bytes from the start)."""

    n: int
    t_s: float
    data: dict[str, Any]
    offset: int
    end: int
    verified: bool


@dataclass(slots=True)
class Damage:
    """A line that cannot be used, and why; its bytes are still there.

    ``whole`` ones parse: what is wrong is their place (``expected`` is the number that should stand there).
    """

    offset: int
    end: int
    reason: str
    whole: bool = False
    expected: int | None = None


@dataclass(slots=True)
class StreamCheck:
    """What a full reading of one stream found."""

    path: str
    lines: int = 0
    unverified: int = 0
    first_t_s: float | None = None
    last_t_s: float | None = None
    torn_bytes: int = 0
    good_end: int = 0  # where the last usable line ends: what lies behind it, a crash or a hand left there
    damaged: list[Damage] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether nothing is damaged, missing or torn."""
        return not self.damaged and not self.torn_bytes


def parse_line(raw: bytes, offset: int) -> Line | Damage:
    """Return what one line holds (without its newline)."""
    end = offset + len(raw) + 1
    try:
        data = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Damage(offset, end, f"does not parse: {error}")
    if type(data) is not dict:
        return Damage(offset, end, "not an object")
    crc = data.pop("c", None)
    if crc is not None and (
        raw[-_TAIL_LENGTH:-10] != b',"c":"' or b"%08x" % zlib.crc32(raw[:-_TAIL_LENGTH]) != raw[-10:-2]
    ):
        return Damage(offset, end, 'its checksum does not match (if you edited the line by hand, remove its "c")')
    n, t_s = data.pop("n", -1), data.pop("t", None)
    if type(n) is not int or isinstance(t_s, bool) or not isinstance(t_s, int | float | None):
        return Damage(offset, end, '"n" is a whole number and "t" a number')
    if type(t_s) is int and t_s.bit_length() > 1000:
        return Damage(offset, end, '"t" is beyond all numbers of seconds')
    if crc is None:
        return Line(n, -1.0 if t_s is None else float(t_s), data, offset, end, verified=False)
    if n < 0 or t_s is None:
        return Damage(offset, end, '"n" or "t" is missing')
    return Line(n, float(t_s), data, offset, end, verified=True)


def last_good_line(descriptor: int, size: int) -> tuple[Line | None, bytes]:
    """Return the last usable line of an open file and the bytes behind it (a torn tail); numbers are filled in."""
    window = _CHUNK
    while True:
        start = max(0, size - window)
        data = _read_at(descriptor, size - start, start)
        if start:
            cut = data.find(b"\n") + 1
            start, data = (start + cut, data[cut:]) if cut else (size, b"")
        good: list[Line] = []
        offset, end_of_good = start, start
        for raw in data.split(b"\n")[:-1]:
            found = parse_line(raw, offset)
            if isinstance(found, Line):
                good.append(_numbered(found, good[-1] if good else None))
                end_of_good = found.end
            offset += len(raw) + 1
        if good or not size - window > 0:
            return (good[-1] if good else None), data[end_of_good - start :] if data else b""
        window *= 4


def _read_at(descriptor: int, count: int, offset: int) -> bytes:
    os.lseek(descriptor, offset, os.SEEK_SET)  # pread is not there on Windows
    parts = []
    while count > 0 and (part := os.read(descriptor, count)):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _first_line(descriptor: int, offset: int) -> Line | None:
    """Return the first usable line with a sim_time that begins at or behind an offset."""
    position, aligned = (offset - 1, False) if offset else (0, True)
    rest, chunk = b"", 4096
    while part := _read_at(descriptor, chunk, position + len(rest)):
        pieces = (rest + part).split(b"\n")
        rest, chunk = pieces.pop(), min(2 * chunk, 1 << 24)
        for raw in pieces:
            line = parse_line(raw, position) if aligned else None
            if isinstance(line, Line) and line.t_s >= 0:
                return line
            position, aligned = position + len(raw) + 1, True
    return None


def _numbered(line: Line, before: Line | None) -> Line:
    """Give a line that was written by hand the number and moment it has by its place."""
    if not line.verified:
        if line.n < 0:
            line.n = before.n + 1 if before else 0
        if line.t_s < 0:
            line.t_s = before.t_s if before else 0.0
    return line


class Tape:
    """One stream for reading; opened afresh by every call, so that it can be kept for ever.

    A file that is not there reads as empty (``exists`` tells); symlinks, FIFOs and the like are refused (UnsafeFile).
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"Tape({self.path.name!r}, {self.size():,} bytes)"

    def exists(self) -> bool:
        """Whether the stream has been begun."""
        return os.path.lexists(self.path)

    def size(self) -> int:
        """Return the bytes of the file, a line being written included."""
        found = files.status(self.path)
        return 0 if found is None else found.st_size

    def read(
        self,
        offset: int = 0,
        from_s: float | None = None,
        to_s: float | None = None,
        damaged: Literal["raise", "skip"] = "raise",
        on_damage: Callable[[Damage], None] | None = None,
    ) -> Iterator[Line]:
        """Yield the lines from a byte offset or a moment on, to a moment (included) or the last whole line.

        Args:
            offset: 0 or the ``end`` of a line.
            from_s, to_s: sim_time in seconds.
            damaged: "raise" stops at a damaged line; "skip" goes on, and tells ``on_damage``.

        Raises:
            Corrupt: a damaged line, with its offset; the lines after it can be read from there with "skip".
        """
        if from_s is not None:
            offset = max(offset, self.seek(from_s))
        before: Line | None = None
        for found in self._lines(offset):
            if isinstance(found, Damage):
                if on_damage is not None:
                    on_damage(found)
                if damaged == "raise":
                    raise Corrupt(found.reason, self.path, found.offset)
                continue
            line = before = _numbered(found, before)
            if to_s is not None and line.t_s > to_s:
                return
            if from_s is None or line.t_s >= from_s:
                yield line

    def _lines(self, offset: int) -> Iterator[Line | Damage]:
        try:
            with files.opened(self.path) as descriptor:
                os.lseek(descriptor, offset, os.SEEK_SET)
                rest = b""
                while part := os.read(descriptor, _CHUNK):
                    pieces = (rest + part).split(b"\n")
                    rest = pieces.pop()
                    for raw in pieces:
                        yield parse_line(raw, offset)
                        offset += len(raw) + 1
        except FileNotFoundError:
            return

    def follow(self, offset: int = 0, stop: Callable[[], bool] | None = None, poll_s: float = POLL_S) -> Iterator[Line]:
        """Yield the lines from an offset on, waiting for more until ``stop()`` is true and all is read.

        Damaged lines are passed over; after a file that shrank under the offset it goes on at the new end.
        """
        seen = -1
        while True:
            last_round = stop is not None and stop()  # asked first: what was written before the stop is still read
            size = self.size()
            if size != seen:
                seen, offset = size, min(offset, size)
                for line in self.read(offset, damaged="skip"):
                    offset = line.end
                    yield line
            elif last_round:
                return
            else:
                time.sleep(poll_s)

    def last(self) -> Line | None:
        """Return the last usable line; its number + 1 is how many there are, unless check() says otherwise."""
        try:
            with files.opened(self.path) as descriptor:
                return last_good_line(descriptor, os.fstat(descriptor).st_size)[0]
        except FileNotFoundError:
            return None

    def last_lines(self, count: int) -> int:
        """Return the offset where the last ``count`` lines begin."""
        try:
            with files.opened(self.path) as descriptor:
                start = os.fstat(descriptor).st_size
                newlines, data = count + 1, b""
                while start and data.count(b"\n") < newlines:
                    step = min(start, _CHUNK)
                    start -= step
                    data = _read_at(descriptor, step, start) + data
        except FileNotFoundError:
            return 0
        position = data.rfind(b"\n") + 1  # what follows is still being written
        for _ in range(count):
            position = data.rfind(b"\n", 0, max(0, position - 1)) + 1
        return start + position

    def count(self) -> int:
        """Return how many records there are, from the number of the last one."""
        last = self.last()
        return 0 if last is None else last.n + 1

    def seek(self, t_s: float) -> int:
        """Return the offset of the first line whose sim_time is not below ``t_s``, or of the end.

        Bisects the bytes: of any position one can say whether the next line behind it is late enough.
        """
        try:
            with files.opened(self.path) as descriptor:
                end = os.fstat(descriptor).st_size
                low, high = 0, end
                while low < high:
                    middle = (low + high) // 2
                    found = _first_line(descriptor, middle)
                    if found is None or found.t_s >= t_s:
                        high = middle
                    else:
                        low = found.offset + 1
                found = _first_line(descriptor, low)
                return end if found is None else found.offset
        except FileNotFoundError:
            return 0

    def check(self) -> StreamCheck:
        """Read all of it and say what is whole, unverified, damaged, missing or torn; nothing is written.

        Raises: UnsafeFile, StoreUnusable.
        """
        result = StreamCheck(str(self.path))
        before: Line | None = None
        end = 0
        for found in self._lines(0):
            end = found.end
            if isinstance(found, Damage):
                result.damaged.append(found)
                continue
            line = _numbered(found, before)
            expected = before.n + 1 if before else 0
            if line.n != expected and line.verified and not self._behind_damage(result, before):
                reason = f"number {line.n} where {expected} was expected"
                result.damaged.append(Damage(line.offset, line.end, reason, whole=True, expected=expected))
            if before and line.t_s < before.t_s:
                reason = f"sim_time goes back to {line.t_s} s"
                result.damaged.append(Damage(line.offset, line.end, reason, whole=True))
            before, result.good_end = line, line.end
            result.lines += 1
            result.unverified += not line.verified
            result.first_t_s = line.t_s if result.first_t_s is None else result.first_t_s
            result.last_t_s = line.t_s
        result.torn_bytes = self.size() - end
        return result

    @staticmethod
    def _behind_damage(result: StreamCheck, before: Line | None) -> bool:
        """Whether a gap in the numbers is explained by the damaged lines in between."""
        return bool(result.damaged) and result.damaged[-1].end > (before.end if before else 0)
