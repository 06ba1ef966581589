"""A walk through the bytes of a log in constant memory, and what it meets besides whole messages.

Not here: where a message begins and ends (dataflash_records, tlog_frames).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sessionstore.formats.registry import chunks


@dataclass(slots=True)
class ByteWalk:
    """What a walk through a file met besides whole messages: how many bytes, in how many places, from which byte."""

    noun: str = "messages"
    size: int = 0
    passed_over: int = 0
    places: int = 0
    first_damage: int | None = None
    ended_at: int | None = None

    def pass_over(self, start: int, end: int) -> None:
        """Count the bytes of the file from ``start`` to ``end`` that are no message."""
        self.passed_over += end - start
        self.places += 1
        self.first_damage = start if self.first_damage is None else self.first_damage

    def problems(self) -> list[str]:
        """Return what a report says of it."""
        found = []
        if self.passed_over:
            places = "1 place" if self.places == 1 else f"{self.places} places"
            found.append(
                f"damaged: {self.passed_over} bytes in {places} are no {self.noun}, from byte {self.first_damage}"
            )
        if self.ended_at is not None:
            found.append(f"partial: whole {self.noun} end at byte {self.ended_at} of {self.size}")
        return found


class ByteWindow:
    """The bytes of a file that are looked at: ``data`` from ``position`` on, as many as the longest message needs."""

    def __init__(self, path: Path, longest: int, walk: ByteWalk) -> None:
        self.data, self.position, self.ended = b"", 0, False
        self._parts, self._longest, self._walk = chunks(path), longest, walk

    def more(self) -> bool:
        """Read on where the longest message may not be whole. Returns: whether there is a byte left to look at."""
        while len(self.data) - self.position < self._longest and not self.ended:
            part = next(self._parts, b"")
            self.ended = not part
            self._walk.size += len(part)
            self.data, self.position = self.data[self.position :] + part, 0
        return self.position < len(self.data)

    def place(self, position: int) -> int:
        """Return which byte of the file stands at a position of ``data``."""
        return self._walk.size - len(self.data) + position
