"""The lines of a sealed stream by their offsets in the plain one; what was inflated last stays in memory.

Not here: the form of the file (sealed_form), one member (sealed_member), files and their names (stream_source).
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from sessionstore.session.sealed_form import Index, Raw, read_index
from sessionstore.session.sealed_member import Inflating

_KEPT_MEMBERS, _KEPT_INDEXES = 8, 256

#: A state of a file: two equal ones have the same bytes. None: it is not known, nothing is kept.
State = tuple[int, ...]


@dataclass(slots=True)
class MemberDamage:
    """A member that is not as it was written: its number from 0, its bytes in the stream, what is wrong."""

    number: int
    begin: int
    end: int
    reason: str


class _Kept:
    """What was inflated last in this process, and the indexes that were read; safe for threads."""

    def __init__(self) -> None:
        self._members: OrderedDict[tuple[State, int], bytes] = OrderedDict()
        self._indexes: OrderedDict[State, Index] = OrderedDict()
        self._mutex = threading.Lock()

    def member(self, state: State | None, number: int) -> bytes | None:
        """Return the lines of a whole member."""
        if state is None:
            return None
        with self._mutex:
            found = self._members.get((state, number))
            if found is not None:
                self._members.move_to_end((state, number))
            return found

    def keep_member(self, state: State | None, number: int, lines: bytes) -> None:
        """Keep the lines of a whole member, in place of the one that was used longest ago."""
        if state is not None:
            with self._mutex:
                self._members[state, number] = lines
                while len(self._members) > _KEPT_MEMBERS:
                    self._members.popitem(last=False)

    def index(self, state: State | None, raw: Raw, path: Path | str) -> Index:
        """Return the index of a file, read once for each state of it. Raises: as :func:`read_index`."""
        if state is None:
            return read_index(raw, path)
        found = self._indexes.get(state)
        if found is None:
            found = read_index(raw, path)
            with self._mutex:
                self._indexes[state] = found
                while len(self._indexes) > _KEPT_INDEXES:
                    self._indexes.popitem(last=False)
        return found

    def forget(self) -> None:
        """Keep nothing any more (after a fork, and for measurements)."""
        self._mutex = threading.Lock()
        self._members.clear()
        self._indexes.clear()


kept = _Kept()


@dataclass(slots=True)
class SealedFile:
    """The lines of an open sealed stream by their offsets in the plain one.

    Args:
        state: of the file, under which members stay in memory for the next time that it is opened.
    """

    raw: Raw
    path: Path | str
    state: State | None = None
    index: Index = field(init=False)
    damaged: dict[int, MemberDamage] = field(default_factory=dict)
    _lost: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    _open: OrderedDict[int, Inflating] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self.index = kept.index(self.state, self.raw, self.path)

    @property
    def size(self) -> int:
        """The bytes of the plain stream."""
        return self.index.size

    def read_at(self, count: int, offset: int) -> bytes:
        """Return up to that many bytes of the plain stream from an offset on; fewer at its end only."""
        parts: list[bytes] = []
        number = bisect_right(self.index.begins, offset) - 1
        while count > 0 and 0 <= number < len(self.index.members) and offset < self.index.size:
            member = self.index.members[number]
            part = self._part(number, offset - member.begin, min(count, member.end - offset))
            parts.append(part)
            count, offset, number = count - len(part), offset + len(part), number + 1
        return b"".join(parts) if len(parts) != 1 else parts[0]

    def middle(self, low: int, high: int) -> int:
        """Return a place between two that is read fast: just behind the beginning of a member, if there is one."""
        middle = (low + high) // 2
        begins = self.index.begins
        number = bisect_right(begins, middle) - 1
        for each in (number, number + 1):
            if 0 <= each < len(begins) and low <= begins[each] + 1 < high:
                return begins[each] + 1
        return middle

    @property
    def lost(self) -> list[tuple[int, int]]:
        """From where to where zeros stand in place of lines, in bytes of the stream, of the members that were read."""
        return [each for number in sorted(self._lost) for each in self._lost[number]]

    def lost_between(self, begin: int, end: int) -> tuple[int, int] | None:
        """Return the lost bytes that a stretch has a part of; the members that hold it are read to their end."""
        number = bisect_right(self.index.begins, begin) - 1
        while 0 <= number < len(self.index.members) and (member := self.index.members[number]).begin < end:
            if kept.member(self.state, number) is None:
                self._inflated(number, member.length)
                found = (each for each in self._lost.get(number, ()) if each[0] < end and begin < each[1])
                if (first := next(found, None)) is not None:
                    return first
            number += 1
        return None

    def check(self) -> list[MemberDamage]:
        """Read all of it and return what is damaged."""
        for member in self.index.members:
            self.read_at(member.length, member.begin)
        return [self.damaged[number] for number in sorted(self.damaged)]

    def _part(self, number: int, start: int, count: int) -> bytes:
        whole = kept.member(self.state, number)
        if whole is not None:
            return whole[start : start + count]
        return bytes(self._inflated(number, start + count).lines[start : start + count])

    def _inflated(self, number: int, count: int) -> Inflating:
        """Return a member of which that many bytes are inflated."""
        inflating = self._open.get(number)
        if inflating is None:
            member = self.index.members[number]
            inflating = self._open[number] = Inflating(self.raw.read_at(member.size, member.start), member.length)
            while len(self._open) > 2:
                self._open.popitem(last=False)
        before = inflating.ended
        inflating.up_to(count)
        if inflating.ended and not before:
            self._note(number, inflating)
        return inflating

    def _note(self, number: int, inflating: Inflating) -> None:
        if inflating.damage is None:
            kept.keep_member(self.state, number, bytes(inflating.lines))
            return
        member = self.index.members[number]
        self.damaged[number] = MemberDamage(number, member.begin, member.end, inflating.damage)
        self._lost[number] = [(member.begin + low, member.begin + high) for low, high in inflating.lost]
