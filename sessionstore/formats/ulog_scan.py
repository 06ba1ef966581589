"""Where the messages of a ULog are: a file is walked in pieces, and the data messages of a piece are found by array.

Each message says how long it is, so one follows the other. All places of a piece that look like a data message (kind,
known topic, right length) are found at once; where each begins at the end of the one before, they are messages.
Memory is that of one piece. Damage is passed over up to the next sync or the next two messages in a row, and counted.
Not here: what definitions mean (ulog_definitions), what becomes of the messages (ulog).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from sessionstore.errors import Corrupt
from sessionstore.formats.ulog_definitions import Definitions, Topic, Unreadable, key_and_value

MAGIC = b"ULog\x01\x12\x35"
_HEADER_BYTES = 16
_SYNC = b"\x2f\x73\x13\x20\x25\x0c\xbb\x12"
_LEAST_BYTES, _PIECE_BYTES = 1 << 17, 1 << 20  # a message has at most 65,538
_KNOWN = b"ABCDFILMOPQRS"
_LONGEST_UNKNOWN = 10_000
#: What a message before the first data may begin with, where bytes were damaged.
_DEFINITION = re.compile(rb"(?s)[^\x00][\x00-\x27][ABCFILMPQ]")
_IDS = 1 << 16
Places = npt.NDArray[np.int64]


@dataclass(eq=False)
class Piece:
    """Messages of one piece of a file.

    Attributes:
        data: the bytes. starts: where its data messages begin. ids: which topic each has.
        others: further messages with a moment (logged text, dropout, changed parameter), as (number of data messages
            before it, kind, body).
    """

    data: bytes
    starts: Places
    ids: npt.NDArray[np.uint16]
    topics: dict[int, Topic]
    others: list[tuple[int, int, bytes]] = field(default_factory=list)

    def times(self) -> npt.NDArray[np.uint64]:
        """Return the timestamp of each data message, in microseconds; 0 of a topic without one."""
        at = np.full(_IDS, -1, np.int64)
        for number, topic in self.topics.items():
            at[number] = topic.time_at
        places = at[self.ids]
        words = np.ndarray((max(len(self.data) - 7, 0),), "<u8", self.data, 0, (1,))
        if not len(words):
            return np.zeros(len(places), np.uint64)
        return np.where(places < 0, np.uint64(0), words[np.where(places < 0, 0, self.starts + 5 + places)])

    def by_topic(self) -> Iterator[tuple[Topic, Places]]:
        """Yield topics, and the numbers of their data messages in this piece, in the order of the file."""
        order = np.argsort(self.ids, kind="stable")
        bounds = np.flatnonzero(np.diff(self.ids[order])) + 1
        for part in np.split(order, bounds) if len(order) else ():
            yield self.topics[int(self.ids[part[0]])], part

    def rows(self, topic: Topic, numbers: Places) -> npt.NDArray[np.void]:
        """Return data messages of a topic as an array of its type."""
        size = topic.dtype.itemsize
        windows = np.ndarray((len(self.data) - size + 1,), f"V{size}", self.data, 0, (1,))
        return windows[self.starts[numbers] + 5].view(topic.dtype)


class _Candidates:
    """All places of a piece that look like a data message."""

    def __init__(self, data: bytes, least: npt.NDArray[np.int64], most: npt.NDArray[np.int64]) -> None:
        view = np.frombuffer(data, np.uint8)
        places = np.flatnonzero(view[2:-2] == ord("D")) if len(view) > 4 else np.empty(0, np.int64)
        lengths = view[places].astype(np.int64) | view[places + 1].astype(np.int64) << 8
        ids = view[places + 3].astype(np.int64) | view[places + 4].astype(np.int64) << 8
        right = (least[ids] <= lengths) & (lengths <= most[ids]) & (places + 3 + lengths <= len(view))
        self.starts, self.ids = places[right], ids[right].astype(np.uint16)
        self.ends = self.starts + 3 + lengths[right]
        follows = self.ends[:-1] == self.starts[1:]
        self._pairs = self.starts[:-1][follows]
        self._breaks = np.append(np.flatnonzero(~follows), max(len(self.starts) - 1, 0))

    def run(self, position: int) -> tuple[int, int] | None:
        """Return the numbers of the messages that follow one another from a position on."""
        first = int(np.searchsorted(self.starts, position))
        if first == len(self.starts) or self.starts[first] != position:
            return None
        return first, int(self._breaks[np.searchsorted(self._breaks, first)]) + 1

    def after(self, position: int) -> int | None:
        """Return the place of the first candidate from a position on."""
        first = int(np.searchsorted(self.starts, position))
        return int(self.starts[first]) if first < len(self.starts) else None

    def pair_after(self, position: int) -> int | None:
        """Return the place of the first two messages in a row from a position on."""
        first = int(np.searchsorted(self._pairs, position))
        return int(self._pairs[first]) if first < len(self._pairs) else None


class LogScan:
    """One reading of a log, from its beginning.

    Raises: Corrupt: it has no header, or needs what is not known here (its flags say so).

    Attributes:
        end: what is wrong with the end of the file, after all pieces were read.
    """

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path
        self.definitions = Definitions()
        self.topics: dict[int, Topic] = {}
        self.defining = True
        self.damaged_bytes, self.damaged_messages, self.first_damage = 0, 0, -1
        self.end: str | None = None
        self._least, self._most = np.ones(_IDS, np.int64), np.zeros(_IDS, np.int64)
        self._changed = self._stopped = False
        self._base = 0
        self._size = file.seek(0, 2)
        self._appended = self._flags()

    def _flags(self) -> list[int]:
        """Return where data was appended. The flags are the first message of a log that has them."""
        self._file.seek(0)
        head = self._file.read(_HEADER_BYTES + 3 + 40)
        if len(head) < _HEADER_BYTES or not head.startswith(MAGIC):
            raise Corrupt("not a ULog", self._path)
        flags = head[_HEADER_BYTES + 3 :]
        if len(flags) < 40 or head[_HEADER_BYTES + 2] != ord("B"):
            return []
        if flags[8] & ~1 or any(flags[9:16]):
            raise Corrupt("its flags name what this version cannot read", self._path)
        return [offset for offset in struct.unpack("<3Q", flags[16:40]) if _HEADER_BYTES < offset < self._size]

    def pieces(self) -> Iterator[Piece]:
        """Yield the messages of the log. Raises: Corrupt: it ends within its definitions."""
        begin = _HEADER_BYTES
        for end in [*self._appended, self._size]:
            yield from self._part(begin, end)
            begin = end

    def _part(self, begin: int, end: int) -> Iterator[Piece]:
        base, window = begin, _LEAST_BYTES
        while base < end:
            self._file.seek(base)
            data = self._file.read(min(window, end - base))
            self._base, self._stopped = base, False
            piece, done = self._walk(data, base + len(data) >= end)
            yield piece
            if not done:
                break  # the last message is cut off
            base += done
            window = _LEAST_BYTES if self._stopped else min(2 * window, _PIECE_BYTES)
        if base == end or end < self._size:
            return
        if self.defining:
            raise Corrupt("the definitions end within a message", self._path)
        self.end = f"partial: whole messages end at byte {base} of {self._size}"

    def _walk(self, data: bytes, is_last: bool) -> tuple[Piece, int]:
        """Return the messages of a piece, and how many bytes they are."""
        self._changed = False
        found, walked, position = _Candidates(data, self._least, self._most), _Walked(), 0
        while position + 3 <= len(data):
            if (run := found.run(position)) is not None:
                walked.take(found, run)
                position = int(found.ends[run[1] - 1])
                continue
            following = self._one(data, position, found, walked, is_last)
            if following is None:
                break
            position = following
        return walked.piece(data, self.topics), position

    def _one(self, data: bytes, position: int, found: _Candidates, walked: _Walked, is_last: bool) -> int | None:
        """Take in one message of no run, and return where the next one begins; None ends the piece before it."""
        kind, length = data[position + 2], data[position] | data[position + 1] << 8
        end = position + 3 + length
        if kind not in _KNOWN and (not kind or not length or length > _LONGEST_UNKNOWN):
            return self._resumed(data, position, found, is_last)
        if end > len(data):
            return None
        if kind not in _KNOWN:  # of a later version
            sync = data.find(_SYNC, position + 3, end)
            return sync + len(_SYNC) if sync >= 0 else end
        if kind == ord("D"):
            return self._without_topic(data, position, end, found)
        body = data[position + 3 : end]
        if kind == ord("A") and walked.count and self._takes_over(body):
            self._stopped = True
            return None
        if self._message(kind, body, position):
            walked.others.append((walked.count, kind, body))
        return end

    def _without_topic(self, data: bytes, position: int, end: int, found: _Candidates) -> int | None:
        """Return where messages go on behind a data message that is none; None: its topic was defined in this piece."""
        length, number = struct.unpack_from("<HxH", data, position) if end - position >= 5 else (0, 0)
        if self._changed and self._least[number] <= length <= self._most[number]:
            self._stopped = True
            return None
        self._note_damage(position, 0, 1)
        following = found.after(position + 1)
        return end if following is None else min(end, following)

    def _takes_over(self, body: bytes) -> bool:
        """Whether a definition gives the id of a topic to another one."""
        known = self.topics.get(int.from_bytes(body[1:3], "little"))
        return known is not None and (body[:1], body[3:]) != (bytes((known.instance,)), known.name.encode())

    def _message(self, kind: int, body: bytes, position: int) -> bool:
        """Take in a message that is not data; whether it belongs to a moment."""
        try:
            if kind == ord("A"):
                self._add(*self.definitions.topic(body))
            elif kind == ord("F"):
                self.definitions.take_format(body)
            elif kind == ord("I"):
                self.definitions.take_information(body)
            elif kind == ord("M"):
                self.definitions.take_text(body)
            elif kind == ord("P") and self.defining:
                name, value = key_and_value(body)
                self.definitions.parameters[name] = value
        except Unreadable:
            self._note_damage(position, 0, 1)
        in_data = not self.defining and kind in b"OP"
        self.defining = self.defining and kind not in b"ALC"
        return in_data or kind in b"LC"

    def _add(self, number: int, topic: Topic) -> None:
        self.topics = {**self.topics, number: topic}
        self._least[number], self._most[number] = topic.dtype.itemsize + 2, topic.most_bytes + 2
        self._changed = True

    def _resumed(self, data: bytes, position: int, found: _Candidates, is_last: bool) -> int:
        """Return where messages go on behind bytes that are none."""
        sync = data.find(_SYNC, position + 1)
        places = [sync + len(_SYNC)] if sync >= 0 else []
        if self.defining:
            match = _DEFINITION.search(data, position + 1)
            places += [match.start()] if match is not None else []
        elif (pair := found.pair_after(position + 1)) is not None:
            places.append(pair)
        rest = len(data) if is_last else max(position + 1, len(data) - _HEADER_BYTES)
        following = min(places, default=rest)
        self._note_damage(position, following - position, 0)
        return following

    def _note_damage(self, position: int, count: int, messages: int) -> None:
        self.damaged_bytes += count
        self.damaged_messages += messages
        if self.first_damage < 0:
            self.first_damage = self._base + position

    def problems(self) -> list[str]:
        """Return what was passed over, and how the file ends."""
        found = []
        if self.damaged_messages or self.damaged_bytes:
            found.append(
                f"damaged: {self.damaged_messages} messages and {self.damaged_bytes} further bytes could not be read "
                f"and were passed over, the first at byte {self.first_damage}"
            )
        return [*found, *([self.end] if self.end is not None else [])]


class _Walked:
    """Runs of data messages of a piece, and the messages between them."""

    def __init__(self) -> None:
        self.count = 0
        self.others: list[tuple[int, int, bytes]] = []
        self._starts: list[Places] = []
        self._ids: list[npt.NDArray[np.uint16]] = []

    def take(self, found: _Candidates, run: tuple[int, int]) -> None:
        """Take in a run."""
        self._starts.append(found.starts[slice(*run)])
        self._ids.append(found.ids[slice(*run)])
        self.count += run[1] - run[0]

    def piece(self, data: bytes, topics: dict[int, Topic]) -> Piece:
        """Return the messages so far."""
        starts = np.concatenate(self._starts) if self._starts else np.empty(0, np.int64)
        ids = np.concatenate(self._ids) if self._ids else np.empty(0, np.uint16)
        return Piece(data, starts, ids, topics, self.others)
