"""The order of a stream in sim_time: how far its lines go back, and which of them a later attempt replaced.

Records may arrive out of order. A line keeps its place and number; from the first one that goes back on, each line says
under ``<`` the earliest and the latest sim_time so far, how far any line went back, and the attempts. So the last line
of a stream gives a reader the width of the window in which it must sort, and a stream in order costs nothing.
Not here: bytes of a line (stream_line), reading files (stream_reader).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from sessionstore.session.stream_line import Line

ATTEMPT = "resume_at_s"


@dataclass(frozen=True, slots=True)
class Cut:
    """A new attempt: from line number ``n`` on; it replaces earlier lines from this sim_time on, in seconds."""

    n: int
    resume_at_s: float


@dataclass(slots=True)
class StreamOrder:
    """What is known of all lines so far; ``late_s`` is the furthest that one went back behind the latest."""

    earliest_s: float | None = None
    latest_s: float | None = None
    late_s: float = 0.0
    cuts: tuple[Cut, ...] = field(default=())

    @property
    def plain(self) -> bool:
        """Whether the lines are in order and of one attempt, so that none of this needs to be written."""
        return self.late_s == 0.0 and not self.cuts

    def take(self, t_s: float) -> None:
        """Take in the sim_time of the next line."""
        if self.latest_s is None or self.earliest_s is None:
            self.earliest_s = self.latest_s = t_s
        elif t_s >= self.latest_s:
            self.latest_s = t_s
        else:
            self.late_s = max(self.late_s, self.latest_s - t_s)
            self.earliest_s = min(self.earliest_s, t_s)

    def attempt(self, n: int, resume_at_s: float) -> None:
        """Take in that a new attempt begins with line ``n``."""
        self.cuts = (*self.cuts, Cut(n, resume_at_s))

    def text(self) -> bytes:
        """Return what the next line says of it; nothing when all is plain."""
        if self.plain:
            return b""
        times = f"{self.earliest_s or 0.0!r},{self.latest_s or 0.0!r},{self.late_s!r}"
        cuts = ",".join(f"[{cut.n},{cut.resume_at_s!r}]" for cut in self.cuts)
        return (f',"<":[{times},[{cuts}]]' if cuts else f',"<":[{times}]').encode()

    def copy(self) -> StreamOrder:
        """Return one that can be changed on its own."""
        return replace(self)

    def replaced(self, line: Line, attempt: int | None = None) -> bool:
        """Whether a line does not belong to an attempt (counted from 0; by default the latest)."""
        cuts = self.cuts if attempt is None else self.cuts[:attempt]
        if attempt is not None and attempt < len(self.cuts) and line.n >= self.cuts[attempt].n:
            return True
        return any(line.n < cut.n and line.t_s >= cut.resume_at_s for cut in cuts)


def order_of(lines: Iterable[Line], first_s: float | None) -> StreamOrder:
    """Return the order at the end of a stream.

    Args:
        lines: its last lines, at least one of them verified unless there is none.
        first_s: the sim_time of its very first line.
    """
    order = StreamOrder(first_s, first_s)
    for line in lines:
        said = _read(line.order)
        if said is not None:
            order = said
        order.take(line.t_s)
    return order


def _read(value: Any) -> StreamOrder | None:
    """Return what a line says; None when it says nothing that can be used (edited by hand)."""
    match value:
        case [int() | float() as earliest, int() | float() as latest, int() | float() as late, *rest]:
            rows = rest[0] if rest and isinstance(rest[0], list) else []
            cuts = [Cut(row[0], float(row[1])) for row in rows if isinstance(row, list) and len(row) == 2]
            return StreamOrder(float(earliest), float(latest), float(late), tuple(cuts))
    return None


def in_time_order(lines: Iterable[Line], late_s: float) -> Iterator[Line]:
    """Yield lines sorted by sim_time, those of one moment as they came; holds what is within ``late_s`` seconds."""
    if late_s <= 0.0:
        yield from lines
        return
    waiting: list[tuple[float, int, Line]] = []
    latest_s = float("-inf")
    for number, line in enumerate(lines):
        heapq.heappush(waiting, (line.t_s, number, line))
        latest_s = max(latest_s, line.t_s)
        while waiting[0][0] <= latest_s - late_s:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]
