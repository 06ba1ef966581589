"""Whether two runs recorded the same: every stream but the clock, byte by byte, then record by record.

Output kept from outside (stream ``log`` of ``sessionstore exec``) has the times of this machine's clock; there the
lines are compared without their times, stdout and stderr each by itself.
Not here: parameters and metrics of any two sessions (playback.comparison), running again (reruns.rerun).
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any, NamedTuple

from sessionstore.playback.comparison import same_bytes
from sessionstore.session import Session, stream_source
from sessionstore.session.handle import CLOCK_STREAM
from sessionstore.session.motion import MOTION_STREAM
from sessionstore.session.stream_reader import Tape

_CHUNK = 1 << 20


class Difference(NamedTuple):
    """The first record at which two runs differ: the values of the first run and of its rerun."""

    stream: str
    line: int
    sim_time_s: float | None
    field: str
    first: Any
    again: Any

    def __str__(self) -> str:
        at = "" if self.sim_time_s is None else f" at {self.sim_time_s:g} s"
        return f"{self.stream}, line {self.line}{at}: {self.field} was {self.first!r}, is {self.again!r}"


class Agreement(NamedTuple):
    """What a comparison found: how many points and streams were compared, and the first difference in sim_time."""

    points: int
    streams: int
    difference: Difference | None

    @property
    def identical(self) -> bool:
        """Whether every stream but the clock is the same."""
        return self.difference is None

    def __str__(self) -> str:
        if self.difference is not None:
            return f"different: {self.difference}"
        return f"identical: {self.points:,} points, {self.streams} streams"


def compare_streams(one: Session, again: Session) -> Agreement:
    """Compare every stream of two sessions but the clock. Raises: as reading a stream does."""
    first, second = one.tapes(), again.tapes()
    names = sorted({*first, *second} - {CLOCK_STREAM})
    untimed = "program" in one.record.provenance
    found = [
        difference
        for name in names
        if (difference := _difference(name, one.tape(name), again.tape(name), untimed and name == "log")) is not None
    ]
    points = one.tape(MOTION_STREAM).count() if MOTION_STREAM in first else 0
    earliest = min(found, key=lambda each: (each.sim_time_s is not None, each.sim_time_s or 0.0), default=None)
    return Agreement(points, len(names), earliest)


def _difference(name: str, one: Tape, again: Tape, untimed: bool) -> Difference | None:
    offset = same_bytes(one, again)
    if offset is None:
        return None
    plain = all(tape.encoding() is None for tape in (one, again))
    begin = offset if plain and not untimed else 0
    before = _lines_before(one, begin)
    pairs = [tape.read(begin, damaged="skip") for tape in (one, again)]
    if untimed:  # stdout and stderr each in their order: which of them comes first is chance
        pairs = [iter(sorted(lines, key=lambda line: str(line.data.get("output")))) for lines in pairs]
    for number, (a, b) in enumerate(zip_longest(*pairs), before + 1):
        if a is None or b is None:
            line = a or b
            assert line is not None
            gone = "the stream ends"
            t_s = None if untimed else line.t_s
            return Difference(name, number, t_s, "record", "goes on" if a else gone, "goes on" if b else gone)
        if not untimed and a.t_s != b.t_s:
            return Difference(name, number, min(a.t_s, b.t_s), "sim_time", a.t_s, b.t_s)
        for field in sorted({*a.data, *b.data}):
            if a.data.get(field) != b.data.get(field):
                t_s = None if untimed else a.t_s
                return Difference(name, number, t_s, field, a.data.get(field), b.data.get(field))
    return None


def _lines_before(tape: Tape, offset: int) -> int:
    """Return how many lines of a file stand before an offset."""
    found = 0
    with stream_source.opened(tape.path) as source:
        for at in range(0, offset, _CHUNK):
            found += source.read_at(min(_CHUNK, offset - at), at).count(b"\n")
    return found
