"""Reading a stream: from the start, from a moment, from an offset on, sorted by sim_time, or as it grows.

Nothing is ever written. Lines are separated by newlines alone, so that damage stays where it is. A line that a person
edited is shown and marked; what follows the last newline is shown when it is a whole record, and else a record still
being written or torn by a crash: never shown, counted by :meth:`Tape.check`.
``read`` yields lines as they arrived, ``in_time`` sorted by sim_time and without what a later attempt replaced. Seeking
bisects the bytes of the file itself: some 30 probes for 10 million records, and no index to keep.
Not here: appending (stream_writer), repairs (maintenance), interpolation between points (playback.replay).
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from sessionstore.errors import Corrupt
from sessionstore.session import stream_source
from sessionstore.session.stream_check import KINDS, Remarks, StreamCheck
from sessionstore.session.stream_line import Damage, Line, Mark, numbered, parse_line
from sessionstore.session.stream_order import StreamOrder, in_time_order
from sessionstore.session.stream_source import CHUNK_BYTES, Source, line_in
from sessionstore.session.stream_tail import Tail, last_good_line, tail_of

__all__ = ["POLL_S", "Damage", "Line", "Mark", "Remarks", "StreamCheck", "Tape", "last_good_line", "parse_line"]

#: What a reading does at a line that cannot be used.
Rule = Literal["raise", "skip"]
POLL_S = 0.02
#: A stretch of no more bytes is sorted in memory, so that lines moved by hand stand in order too.
_SORTED_BYTES, _SMALL_BYTES = 4 << 20, 1 << 16


class Tape:
    """One stream for reading; opened afresh by every call, so that it can be kept for ever.

    A file that does not exist reads as empty (see ``exists``); symlinks, FIFOs and the like are refused (UnsafeFile).
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"Tape({self.path.name!r}, {self.size():,} bytes)"

    def _repr_html_(self) -> str:
        """Return the first records as a table for notebooks."""
        from sessionstore.session.stream_html import table

        return table(self)

    def exists(self) -> bool:
        """Whether the stream has been begun."""
        return stream_source.status(self.path) is not None

    def size(self) -> int:
        """Return the bytes of the stream, a line being written included; of a sealed one, those of its lines."""
        return stream_source.size(self.path)

    def read(
        self,
        offset: int = 0,
        from_s: float | None = None,
        to_s: float | None = None,
        damaged: Rule = "raise",
        on_damage: Callable[[Damage], None] | None = None,
        remarks: Remarks | None = None,
    ) -> Iterator[Line]:
        """Yield the lines as they arrived, from a byte offset or a moment on, to a moment (included) or the end.

        Args:
            offset: 0 or the ``end`` of a line.
            from_s, to_s: sim_time in seconds.
            damaged: "raise" stops at a line that cannot be used; "skip" goes on, and calls ``on_damage``.
            remarks: collects what is odd (edited, damaged, another character set ...), by kind.

        Raises:
            Corrupt: a line that cannot be used, with its offset; the lines after it can be read from there with
                "skip". A pointer of Git LFS in the stream's place.
        """
        if from_s is not None:
            offset = max(offset, self.seek(from_s))
        until_s = math.inf if to_s is None else to_s + self.order().late_s
        before: Line | None = None
        for found in self._lines(offset, damaged, remarks):
            if isinstance(found, Damage):
                _met(found, self.path, damaged, on_damage, remarks)
                continue
            if isinstance(found, Mark):
                continue
            line = before = found if found.verified else numbered(found, before)
            if remarks is not None and line.remark:
                remarks.of(line)
            if line.t_s > until_s:
                return
            if (from_s is None or line.t_s >= from_s) and (to_s is None or line.t_s <= to_s):
                yield line

    def in_time(
        self,
        from_s: float | None = None,
        to_s: float | None = None,
        damaged: Rule = "skip",
        on_damage: Callable[[Damage], None] | None = None,
        remarks: Remarks | None = None,
        attempt: int | None = None,
        drop_replaced: bool = True,
    ) -> Iterator[Line]:
        """Yield the lines of a window sorted by sim_time; lines of one moment stay in the order of their arrival.

        Memory holds what arrived within the time that the stream was ever late by (see ``order``).

        Args:
            attempt: which attempt of a resumed run, counted from 0; by default the latest.
            drop_replaced: whether lines that a later attempt replaced are left out.

        Raises: as :meth:`read`.
        """
        order = self.order()
        low, high = self.span(from_s, to_s, order)
        if self.size() <= _SMALL_BYTES:  # lines moved by hand are found wherever they stand
            low, high = 0, self.size()
        lines = self._between(low, high, from_s, to_s, damaged, on_damage, remarks)
        if drop_replaced and order.cuts:
            lines = (line for line in lines if not order.replaced(line, attempt))
        if high - low <= _SORTED_BYTES:
            yield from sorted(lines, key=_moment)
        else:
            yield from in_time_order(lines, order.late_s)

    def _between(
        self,
        low: int,
        high: int,
        from_s: float | None,
        to_s: float | None,
        damaged: Rule,
        on_damage: Callable[[Damage], None] | None,
        remarks: Remarks | None,
    ) -> Iterator[Line]:
        for line in self.read(low, damaged=damaged, on_damage=on_damage, remarks=remarks):
            if line.offset >= high:
                return
            if (from_s is None or line.t_s >= from_s) and (to_s is None or line.t_s <= to_s):
                yield line

    def span(self, from_s: float | None, to_s: float | None, order: StreamOrder | None = None) -> tuple[int, int]:
        """Return the bytes between which all lines of a window stand; in a stream in order, nothing but them."""
        order = self.order() if order is None else order
        low = 0 if from_s is None else self.seek(from_s)
        high = self.size() if to_s is None else self.seek(math.nextafter(to_s + order.late_s, math.inf))
        return low, max(low, high)

    def bounds(self) -> tuple[float, float] | None:
        """Return the earliest and the latest sim_time in seconds; None before anything was recorded."""
        order = self.order()
        return None if order.earliest_s is None or order.latest_s is None else (order.earliest_s, order.latest_s)

    def order(self) -> StreamOrder:
        """Return what the last lines say of the order of the whole stream; constant time."""
        try:
            with stream_source.opened(self.path) as source:
                return order_of_source(source)
        except FileNotFoundError:
            return StreamOrder()

    def marks(self) -> list[Mark]:
        """Return what the stream says about itself, line by line (see ``session.stream_identity``)."""
        return [found for found in self._lines(0) if isinstance(found, Mark)]

    def encoding(self) -> str | None:
        """Return the encoding that another program gave the file; None: UTF-8."""
        try:
            with stream_source.opened(self.path) as source:
                return source.encoding
        except FileNotFoundError:
            return None

    def attempts(self) -> list[float]:
        """Return the sim_time at which each attempt after the first one resumed, in seconds."""
        return [cut.resume_at_s for cut in self.order().cuts]

    def _lines(
        self, offset: int, damaged: Rule = "skip", remarks: Remarks | None = None, check: StreamCheck | None = None
    ) -> Iterator[Line | Damage | Mark]:
        try:
            with stream_source.opened(self.path) as source:
                if source.pointer:
                    _met(Damage(0, 0, KINDS["lfs-pointer"], kind="lfs-pointer"), self.path, damaged, None, remarks)
                if source.encoding is not None and remarks is not None:
                    remarks.add("encoding", 0, f"the file was rewritten in {source.encoding} by another program")
                yield from lines_of(source, offset)
                if check:
                    check.sealed_form = source.sealed_form()
        except FileNotFoundError:
            return

    def follow(self, offset: int = 0, stop: Callable[[], bool] | None = None, poll_s: float = POLL_S) -> Iterator[Line]:
        """Yield the lines from an offset on as they arrive, until ``stop()`` is true and all is read.

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

    def columns(self, *names: str, from_s: float | None = None, to_s: float | None = None) -> dict[str, Any]:
        """Return keys of the records as typed arrays (numpy's where it is installed), one row a verified record.

            points = tape.columns("t", "drone", "position")  # seconds; texts; metres, of shape (rows, 3)

        Args:
            names: ``t`` (sim_time in seconds), ``n`` (the number), and keys of the records.
            from_s, to_s: sim_time in seconds, both included.

        What is left out is counted in a warning; the types are those of :mod:`sessionstore.session.stream_columns`.
        Raises: InvalidQuery: no name, or a key that no record of the whole stream has; UnsafeFile, StoreUnusable.
        """
        from sessionstore.session.stream_columns import columns

        return columns(self, names, from_s, to_s)

    def has_a_value_twice(self, key: str) -> bool:
        """Whether two records have the same value under a key (none counts as one), reading no further than needed."""
        seen: set[Any] = set()
        for line in self.read(damaged="skip"):
            value = line.data.get(key)
            if value in seen:
                return True
            seen.add(value)
        return False

    def last(self) -> Line | None:
        """Return the last line that arrived; its number + 1 is how many there are, unless check() says otherwise."""
        return self._tail().last

    def _tail(self) -> Tail:
        try:
            with stream_source.opened(self.path) as source:
                return tail_of(source)
        except FileNotFoundError:
            return Tail()

    def line_at(self, offset: int) -> int:
        """Return the number of the line of the file that holds a byte, counted from 1 as editors do."""
        number = 1
        with contextlib.suppress(FileNotFoundError), stream_source.opened(self.path) as source:
            for begin in range(0, offset, CHUNK_BYTES):
                number += source.read_at(min(CHUNK_BYTES, offset - begin), begin).count(b"\n")
        return number

    def last_lines(self, count: int) -> int:
        """Return the offset where the last ``count`` lines begin."""
        try:
            with stream_source.opened(self.path) as source:
                start = source.size
                newlines, data = count + 2, b""
                while start and data.count(b"\n") < newlines:
                    step = min(start, CHUNK_BYTES)
                    start -= step
                    data = source.read_at(step, start) + data
        except FileNotFoundError:
            return 0
        position = data.rfind(b"\n") + 1
        if isinstance(parse_line(data[position:], 0), Line):  # whole but for its newline; else still being written
            position = len(data) + 1
        for _ in range(count):
            position = data.rfind(b"\n", 0, max(0, position - 1)) + 1
        return start + min(position, len(data))

    def count(self) -> int:
        """Return how many records there are, from the number of the last one."""
        last = self.last()
        return 0 if last is None else last.n + 1

    def seek(self, t_s: float) -> int:
        """Return the offset of the first line at which the latest sim_time so far is not below ``t_s``, or of the end.

        In a stream in order that is the first line of this moment; in any other, no line of it stands before.
        Bisects the bytes: of any position one can say whether the next line behind it is late enough.
        """
        try:
            with stream_source.opened(self.path) as source:
                low, high = 0, (end := source.size)
                while low < high:
                    middle = source.middle(low, high)
                    found = _first_line(source, middle)
                    if found is None or _latest(found) >= t_s:
                        high = middle
                    else:
                        low = found.offset + 1
                found = _first_line(source, low)
                return end if found is None else found.offset
        except FileNotFoundError:
            return 0

    def remarks(self) -> Remarks:
        """Read all of it and return what its writer did not leave so, by kind. Raises: as :meth:`check`."""
        return self.check().remarks

    def check(self) -> StreamCheck:
        """Read all of it and say what is whole, edited, unverified, damaged, missing or torn; nothing is written.

        Raises: UnsafeFile, StoreUnusable.
        """
        result = StreamCheck(str(self.path))
        before: Line | None = None
        for found in self._lines(0, remarks=result.remarks, check=result):
            if isinstance(found, Line | Damage):
                before = result.add(found, before)
        tail = self._tail()
        result.torn_bytes = len(tail.torn)
        if tail.torn:
            result.damaged = [each for each in result.damaged if each.end <= self.size() - len(tail.torn)]
            result.remarks.add("torn", self.size() - len(tail.torn), f"{len(tail.torn)} bytes of an interrupted write")
        elif tail.newline_missing:
            result.remarks.add("no-last-newline", self.size())
        result.finish()
        return result


def _met(
    found: Damage,
    path: Path,
    damaged: Rule,
    on_damage: Callable[[Damage], None] | None,
    remarks: Remarks | None,
) -> None:
    """Report a line that cannot be used. Raises: Corrupt: where it is to stop the reading."""
    if remarks is not None:
        remarks.of(found)
    if found.kind == "blank":
        return
    if on_damage is not None:
        on_damage(found)
    if damaged == "raise":
        raise Corrupt(found.reason, path, found.offset)


def lines_of(source: Source, offset: int) -> Iterator[Line | Damage | Mark]:
    """Yield the lines of an open stream from an offset on; a whole record without its newline is the last."""
    rest, position = b"", offset
    while part := source.read_at(CHUNK_BYTES, position):
        position += len(part)
        pieces = (rest + part).split(b"\n")
        rest = pieces.pop()
        for raw in pieces:
            found = parse_line(raw, offset)
            yield found if isinstance(found, Line) and found.verified else line_in(source, raw, offset)
            offset += len(raw) + 1
    if rest and not isinstance(last := line_in(source, rest, offset), Damage):
        last.end = position
        yield last


def order_of_source(source: Source, tail: Tail | None = None) -> StreamOrder:
    """Return the order of an open stream."""
    tail = tail_of(source) if tail is None else tail
    first = _first_line(source, 0) if tail.lines else None
    return tail.order(first.t_s if first else None)


def _moment(line: Line) -> float:
    return line.t_s


def _latest(line: Line) -> float:
    """Return the latest sim_time up to a line, which a stream out of order says in each line."""
    said = line.order
    return float(said[1]) if type(said) is list and len(said) > 1 and type(said[1]) in (int, float) else line.t_s


def _first_line(source: Source, offset: int) -> Line | None:
    """Return the first usable line with a sim_time that begins at or behind an offset."""
    position, aligned = (offset - 1, False) if offset else (0, True)
    rest, chunk = b"", 4096
    while part := source.read_at(chunk, position + len(rest)):
        pieces = (rest + part).split(b"\n")
        rest, chunk = pieces.pop(), min(2 * chunk, 1 << 24)
        for raw in pieces:
            line = line_in(source, raw, position) if aligned else None
            if isinstance(line, Line) and line.t_s == line.t_s:
                return line
            position, aligned = position + len(raw) + 1, True
    if rest and aligned and isinstance(line := line_in(source, rest, position), Line) and line.t_s == line.t_s:
        return line
    return None
