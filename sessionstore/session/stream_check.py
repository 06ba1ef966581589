"""What a reading of a stream met that its writer did not leave: edits by hand, foreign programs, damage; by kind.

One remark for each kind and file, with how many lines and where the first one is. Readers collect them as they read,
and ``Tape.check`` reads a whole stream for them; nothing is written.
Not here: what to do about it (maintenance), how it is shown (cli, server).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sessionstore.session.stream_line import Damage, Line, numbered

#: Every kind of remark, and what it says of one line or file.
KINDS = {
    "edited": "changed by hand, the checksum kept",
    "unverified": "written by hand, without a checksum",
    "blank": "a blank line",
    "missing": "a line is missing",
    "reordered": "a line stands in another place",
    "repeated": "the number of another line",
    "line-ends": "line ends changed by another program (CRLF)",
    "byte-order-mark": "a byte order mark set by another program",
    "encoding": "another character set than UTF-8, set by another program",
    "no-last-newline": "the last newline is missing",
    "lfs-pointer": "a pointer of Git LFS stands here, the content does not (git lfs pull)",
    "nested": "nested beyond the limit",
    "damaged": "it does not parse",
    "torn": "a record whose writing was interrupted",
}
#: The kinds that leave values out of what a reader shows.
HIDING = frozenset(("missing", "lfs-pointer", "nested", "damaged"))


@dataclass(slots=True)
class Remark:
    """One kind of oddity in one stream: how many, and where the first is (bytes from the start)."""

    kind: str
    count: int
    offset: int
    reason: str

    def __str__(self) -> str:
        return self.text_at(f"at byte {self.offset}")

    def text_at(self, place: str) -> str:
        """Return what is odd, how often, and the place of the first."""
        number = f"{self.count} times, first " if self.count > 1 else ""
        return f"{self.reason} ({number}{place})"


class Remarks:
    """Collects remarks while a stream is read; empty (and false) when there is nothing to say."""

    def __init__(self) -> None:
        self._found: dict[str, Remark] = {}

    def __iter__(self) -> Iterator[Remark]:
        return iter(self._found.values())

    def __bool__(self) -> bool:
        return bool(self._found)

    def __contains__(self, kind: str) -> bool:
        return kind in self._found

    def __getitem__(self, kind: str) -> Remark:
        return self._found[kind]

    def add(self, kind: str, offset: int, reason: str = "", count: int = 1) -> None:
        """Count one more of a kind."""
        known = self._found.get(kind)
        if known is None:
            self._found[kind] = Remark(kind, count, offset, reason or KINDS[kind])
        else:
            known.count += count

    def of(self, found: Line | Damage) -> None:
        """Take in a line or a damage."""
        if isinstance(found, Damage):
            self.add(found.kind, found.offset, "" if found.kind == "blank" else found.reason)
        elif found.remark:
            self.add(found.remark, found.offset)

    @property
    def hiding(self) -> bool:
        """Whether a reader that showed all it could left something out."""
        return not HIDING.isdisjoint(self._found)


@dataclass(slots=True)
class StreamCheck:
    """What a full reading of one stream found."""

    path: str
    lines: int = 0
    unverified: int = 0
    first_t_s: float | None = None
    last_t_s: float | None = None
    torn_bytes: int = 0
    good_end: int = 0  # where the last usable line ends: the bytes behind it are of a crash or of an edit
    damaged: list[Damage] = field(default_factory=list)
    remarks: Remarks = field(default_factory=Remarks)
    numbers: Numbers = field(default_factory=lambda: Numbers())
    sealed_form: str | None = None  # what is wrong with the members or the index of a sealed stream

    @property
    def whole(self) -> bool:
        """Whether nothing is damaged, edited, missing or torn; of a sealed stream, its members and index too."""
        return not (self.damaged or self.torn_bytes or self.remarks or self.sealed_form)

    def add(self, found: Line | Damage, before: Line | None) -> Line | None:
        """Take in what stands next, and return the last line so far: ``before``, or the one that was added."""
        if isinstance(found, Line):
            line = found if found.verified else numbered(found, before)
            self.take(line)
            return line
        self.remarks.of(found)
        if found.kind != "blank":
            self.damaged.append(found)
        return before

    def take(self, line: Line) -> None:
        """Take in the next line."""
        self.remarks.of(line)
        self.numbers.take(line, explained=bool(self.damaged) and self.damaged[-1].end > self.good_end)
        self.good_end = line.end
        self.lines += 1
        self.unverified += line.remark == "unverified"
        self.first_t_s = line.t_s if self.first_t_s is None else self.first_t_s
        self.last_t_s = line.t_s

    def finish(self) -> None:
        """Turn what the numbers show into remarks, once all lines were taken in."""
        for kind, offsets in self.numbers.oddities().items():
            for offset, count in offsets:
                self.remarks.add(kind, offset, count=count)
        for first, then, offset in self.numbers.gaps:
            reason = f"number {then} where {first} was expected"
            self.damaged.append(Damage(offset, offset, reason, whole=True, expected=first, kind="missing"))
        self.damaged.sort(key=lambda each: each.offset)


class Numbers:
    """The numbers of the lines of one stream: which are missing, repeated or out of their place."""

    def __init__(self) -> None:
        self.expected = 0
        self.gaps: list[tuple[int, int, int]] = []  # first missing, next present, offset of that line
        self._odd: dict[str, list[tuple[int, int]]] = {}

    def take(self, line: Line, explained: bool) -> None:
        """Take in a line; ``explained``: a damaged line before it stands for the numbers that are missing."""
        if line.n < self.expected:
            self._out_of_place(line)
        elif line.n > self.expected and line.remark != "unverified" and not explained:
            self.gaps.append((self.expected, line.n, line.offset))
        self.expected = max(self.expected, line.n + 1)

    def _out_of_place(self, line: Line) -> None:
        for place, (first, then, offset) in enumerate(self.gaps):
            if first <= line.n < then:
                parts = [(first, line.n, offset), (line.n + 1, then, offset)]
                self.gaps[place : place + 1] = [part for part in parts if part[0] < part[1]]
                self._odd.setdefault("reordered", []).append((line.offset, 1))
                return
        if line.remark != "unverified":
            self._odd.setdefault("repeated", []).append((line.offset, 1))

    def oddities(self) -> dict[str, list[tuple[int, int]]]:
        """Return (offset, count) by kind."""
        missing = [(offset, then - first) for first, then, offset in self.gaps]
        return {**({"missing": missing} if missing else {}), **self._odd}
