"""The end of a stream: its last lines, what they say of the order of all, and what a crash left behind them.

Torn is only what an interrupted write leaves: an object without its end, or zeros. A last line that is whole but for
its newline is a record; other lines that cannot be read stay where they are, since another program or a hand made them.
Not here: cutting what is torn (stream_writer, maintenance), reading from the start (stream_reader).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sessionstore.session.stream_line import Line, Mark, numbered, parse_line
from sessionstore.session.stream_order import ATTEMPT, StreamOrder, order_of
from sessionstore.session.stream_source import CHUNK_BYTES, Source, line_in

_WINDOW_BYTES = 1 << 12


@dataclass(slots=True)
class Tail:
    """The last lines, from the last verified one on; the marks behind it; what is torn behind all of them."""

    lines: list[Line] = field(default_factory=list)
    marks: list[tuple[int, Mark]] = field(default_factory=list)  # with the number of the line that comes next
    torn: bytes = b""
    newline_missing: bool = False

    @property
    def last(self) -> Line | None:
        """The last record."""
        return self.lines[-1] if self.lines else None

    def order(self, first_s: float | None) -> StreamOrder:
        """Return the order of the whole stream, from what its last lines say and the sim_time of the first."""
        order = order_of(self.lines, first_s)
        for n, mark in self.marks:
            resume_at_s = mark.data.get(ATTEMPT)
            if isinstance(resume_at_s, int | float) and not any(cut.n == n for cut in order.cuts):
                order.attempt(n, float(resume_at_s))
        return order


def tail_of(source: Source) -> Tail:
    """Read as much from the end as holds a verified line."""
    window = _WINDOW_BYTES
    while True:
        data, size = source.end(window)
        start = max(0, size - window)
        if start:
            cut = data.find(b"\n") + 1
            start, data = (start + cut, data[cut:]) if cut else (size, b"")
        pieces = data.split(b"\n")
        found = _usable_from_the_end(source, pieces, start)
        if window >= size or any(isinstance(each, Line) and each.verified for each in found):
            return _tail(found, pieces, source.encoding is not None)
        window = min(size, max(4 * window, CHUNK_BYTES)) if window < CHUNK_BYTES else 4 * window


def _usable_from_the_end(source: Source, pieces: list[bytes], start: int) -> list[Line | Mark]:
    """Return the usable lines from the last verified one on."""
    found: list[Line | Mark] = []
    end = start + sum(map(len, pieces)) + len(pieces) - 1
    for number, raw in enumerate(reversed(pieces)):
        offset = end - len(raw)
        line = line_in(source, raw, offset) if raw else None
        if isinstance(line, Line | Mark):
            line.end = end if number == 0 else line.end
            found.append(line)
            if isinstance(line, Line) and line.verified:
                break
        end = offset - 1
    return found[::-1]


def _tail(found: list[Line | Mark], pieces: list[bytes], converted: bool) -> Tail:
    tail = Tail()
    before: Line | None = None
    for each in found:
        if isinstance(each, Mark):
            tail.marks.append((before.n + 1 if before else 0, each))
        else:
            before = each if each.verified else numbered(each, before)
            tail.lines.append(each)
    last = pieces[-1]
    torn = b"" if converted or _is_usable(last) else _torn(pieces)
    tail.torn = torn
    tail.newline_missing = bool(last) and not torn
    return tail


def _is_usable(raw: bytes) -> bool:
    return bool(raw) and isinstance(parse_line(raw, 0), Line | Mark)


def _torn(pieces: list[bytes]) -> bytes:
    """Return what an interrupted write left at the end: an object without its end, zeros, lines that hold zeros."""
    last, torn = pieces[-1], b""
    if last and not (last.startswith(b"{") or b"\0" in last):
        return b""
    torn = last
    for raw in reversed(pieces[:-1]):
        if b"\0" not in raw:
            break
        torn = raw + b"\n" + torn
    return torn


def last_good_line(descriptor: int, size: int) -> tuple[Line | None, bytes]:
    """Return the last record of an open file, and the bytes of a torn write behind it."""
    tail = tail_of(Source(descriptor))
    return tail.last, tail.torn
