"""One member of a sealed stream: a gzip member whose extra field says its size and the bytes of lines in it.

It is inflated as far as is asked for. Of a damaged one, the lines whose own checksum fits are kept: damaged bytes may
inflate to lines that were never written.
Not here: the index and the file as a whole (sealed_form), which member holds an offset (sealed_file).
"""

from __future__ import annotations

import struct
import zlib

from sessionstore.session.stream_line import has_right_checksum

#: Of a gzip header with an extra field: no time, no flags but that one, no operating system.
HEAD = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff"
#: The size of a member in the file, and the bytes of lines in it.
ENTRY = struct.Struct("<II")
MEMBER_ID = b"SL"
MEMBER_HEAD = HEAD + struct.pack("<H2sH", 4 + ENTRY.size, MEMBER_ID, ENTRY.size)
HEADER_BYTES = len(MEMBER_HEAD) + ENTRY.size
_LEVEL, _TRAILER_BYTES = 6, 8
_STEP, _SALVAGE_STEP = 1 << 16, 1 << 8


def member_of(lines: bytes) -> bytes:
    """Return the gzip member that holds these lines."""
    engine = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = engine.compress(lines) + engine.flush() + struct.pack("<II", zlib.crc32(lines), len(lines))
    return MEMBER_HEAD + ENTRY.pack(HEADER_BYTES + len(body), len(lines)) + body


class Inflating:
    """A member of which as much is inflated as was asked for.

    Attributes:
        lines: what is inflated so far.
        damage: what is wrong with it; known once it is read to its end.
        lost: from where to where, in bytes of it, zeros stand in place of lines.
    """

    def __init__(self, data: bytes, length: int) -> None:
        self._data, self._length = data, length
        self._engine = zlib.decompressobj(-zlib.MAX_WBITS)
        self._waiting = data[HEADER_BYTES:]
        self.lines = bytearray()
        self.ended = False
        self.damage: str | None = None
        self.lost: list[tuple[int, int]] = []

    def up_to(self, count: int) -> None:
        """Inflate until there are that many bytes, or all."""
        if self.ended or len(self.lines) >= count:
            return
        try:
            self.inflate(count)
        except zlib.error as error:
            self._salvage(f"it cannot be inflated ({error})")
        self._compare()

    def inflate(self, count: int) -> None:
        """Inflate until there are that many bytes, or all. Raises: zlib.error."""
        engine = self._engine
        while not engine.eof and (len(self.lines) < count or len(self.lines) == self._length):
            if not self._waiting:
                raise zlib.error("it ends early")
            part = engine.decompress(self._waiting, max(_STEP, count - len(self.lines)))
            self._waiting = engine.unconsumed_tail
            self.lines += part
        self.ended = engine.eof or len(self.lines) > self._length

    def _compare(self) -> None:
        """Compare what was inflated with what the header and the trailer say, once it is read to its end."""
        if not self.ended or self.damage is not None:
            return
        trailer = self._engine.unused_data[:_TRAILER_BYTES]
        if len(self.lines) != self._length:
            self._keep(bytes(self.lines[: self._length]), f"{len(self.lines):,} bytes in place of {self._length:,}")
        elif trailer != struct.pack("<II", zlib.crc32(self.lines), len(self.lines)):
            self._keep(bytes(self.lines), "its checksum differs")
        elif not self._data.startswith(MEMBER_HEAD + ENTRY.pack(len(self._data), self._length)):
            self.damage = "its header is damaged, its lines are whole"

    def _salvage(self, reason: str) -> None:
        """Keep the lines before the damage."""
        engine, lines = zlib.decompressobj(-zlib.MAX_WBITS), bytearray()
        data = self._data[HEADER_BYTES:]
        try:
            for start in range(0, len(data), _SALVAGE_STEP):
                lines += engine.decompress(data[start : start + _SALVAGE_STEP])
                if len(lines) > self._length or engine.eof:
                    break
        except zlib.error:
            pass  # what came before it is kept, and the reason was given
        self._keep(bytes(lines[: self._length]), reason)

    def _keep(self, lines: bytes, reason: str) -> None:
        """Keep the lines that prove themselves; each other one is as many zeros."""
        begin = 0
        for raw in lines[: lines.rfind(b"\n") + 1].split(b"\n")[:-1]:
            if not has_right_checksum(raw.rstrip()):
                self._lose(begin, begin + len(raw))
            begin += len(raw) + 1
        self.lines = bytearray(lines[:begin])
        if begin < self._length:
            self.lines += bytes(self._length - begin - 1) + b"\n"
            self._lose(begin, self._length)
        for low, high in self.lost:
            stop = min(high, self._length - 1)  # the last newline stays
            self.lines[low:stop] = bytes(stop - low)
        self.damage, self.ended = reason, True

    def _lose(self, begin: int, end: int) -> None:
        if self.lost and self.lost[-1][1] + 1 == begin:
            begin = self.lost.pop()[0]
        self.lost.append((begin, end))
