"""The messages of an ArduPilot DataFlash log, one by one in constant memory, and the bytes that are none.

Each message is 0xA3 0x95, its type, and a body whose fields a FMT message has named before; scales are those of the
format characters (c, C, e, E: hundredths; L: degrees of 1e-7). pymavlink's own reader prints damage and goes on, so
that what it passes over can't be counted; the tests compare both.
Source: https://ardupilot.org/dev/docs/code-overview-adding-a-new-log-message.html
Not here: what a message means (dataflash).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sessionstore.formats.byte_walk import ByteWalk, ByteWindow

HEAD = b"\xa3\x95"
FMT = 0x80
_FMT_BODY = struct.Struct("<BB4s16s64s")
_LONGEST = 3 + 255
_CODES = {
    "a": "32h", "b": "b", "B": "B", "h": "h", "H": "H", "i": "i", "I": "I", "f": "f", "d": "d", "g": "e", "n": "4s",
    "N": "16s", "Z": "64s", "c": "h", "C": "H", "e": "i", "E": "I", "L": "i", "M": "B", "q": "q", "Q": "Q",
}  # fmt: skip
_DIVISORS = {"c": 100.0, "C": 100.0, "e": 100.0, "E": 100.0, "L": 1e7}
_TEXTS = "nNZ"


@dataclass(slots=True)
class Kind:
    """One type of message: its name, its fields in order, and how its body is unpacked."""

    number: int
    name: str
    formats: str
    columns: list[str]
    body: struct.Struct
    scaled: list[tuple[str, float]]
    texts: list[str]
    binary: bool = False

    def values(self, data: bytes, offset: int) -> dict[str, Any]:
        """Return the fields of a message whose body begins at an offset, scaled; bytes stay bytes for ``binary``."""
        found = dict(zip(self.columns, self._unpacked(data, offset), strict=True))
        for name, divisor in self.scaled:
            found[name] /= divisor
        for name in self.texts:
            found[name] = found[name] if self.binary and name == "Data" else text_of(found[name])
        return found

    def _unpacked(self, data: bytes, offset: int) -> Any:
        values = self.body.unpack_from(data, offset)
        if "a" not in self.formats:
            return values
        rest = iter(values)
        return [[next(rest) for _ in range(32)] if code == "a" else next(rest) for code in self.formats]


@dataclass(slots=True)
class Walk(ByteWalk):
    """What a walk met besides whole messages, and the types of messages that it was given."""

    kinds: dict[int, Kind] = field(default_factory=dict)
    unusable: dict[int, str] = field(default_factory=dict)

    def problems(self) -> list[str]:
        """Return what a report says of it."""
        return [*self.unusable.values(), *ByteWalk.problems(self)]


def messages(path: Path, walk: Walk) -> Iterator[tuple[Kind, bytes, int]]:
    """Yield (kind, buffer, offset of the body) of each whole message of a known type; ``walk`` gets the rest."""
    walk.kinds[FMT] = _kind(FMT, "FMT", "BBnNZ", "Type,Length,Name,Format,Columns")
    window = ByteWindow(path, _LONGEST, walk)
    while window.more():
        data, position = window.data, window.position
        kind = (
            walk.kinds.get(data[position + 2])
            if data[position : position + 2] == HEAD and position + 2 < len(data)
            else None
        )
        if kind is not None:
            end = position + 3 + kind.body.size
            if end > len(data):
                walk.ended_at = window.place(position)
                return
            if kind.number == FMT:
                _define(walk, data, position + 3)
            yield kind, data, position + 3
            window.position = end
            continue
        found = data.find(HEAD, position + 1)
        after = found if found >= 0 else max(position + 1, len(data) - (0 if window.ended else 1))
        _pass_over(walk, data[position:after], window.place(position), window.ended and found < 0)
        window.position = after


def _pass_over(walk: Walk, gap: bytes, start: int, is_end: bool) -> None:
    """Count bytes that are no message; zeros and 0xFF at the end are the padding of a flash page."""
    if is_end and not gap.strip(b"\xff\x00"):
        return
    if is_end and gap[:2] == HEAD[: len(gap[:2])] and len(gap) < _LONGEST:
        walk.ended_at = start
        return
    walk.pass_over(start, start + len(gap))


def _define(walk: Walk, data: bytes, offset: int) -> None:
    """Take in a FMT message; one whose length contradicts its fields is not used."""
    number, length, *texts = _FMT_BODY.unpack_from(data, offset)
    name, formats, columns = map(text_of, texts)
    if number == FMT:
        return
    try:
        kind = _kind(number, name, formats, columns)
    except KeyError as error:
        walk.unusable[number] = f"{name}: the field type {error} is not known, its messages were left out"
        return
    if kind.body.size + 3 != length:
        walk.unusable[number] = f"{name}: {length} bytes do not fit the fields {formats!r}, its messages were left out"
        return
    walk.kinds[number] = kind


def _kind(number: int, name: str, formats: str, columns: str) -> Kind:
    codes = [_CODES[code] for code in formats]
    names = [each.strip() for each in columns.split(",")] if columns else []
    names += [f"field{index}" for index in range(len(names), len(codes))]
    for index, label in enumerate(names):  # a damaged definition may name two fields alike
        names[index] = label if label and label not in names[:index] else f"field{index}"
    body = struct.Struct("<" + "".join(codes))
    pairs = list(zip(names, formats, strict=False))
    return Kind(
        number, name or f"type{number}", formats, names[: len(codes)], body,
        [(label, _DIVISORS[code]) for label, code in pairs if code in _DIVISORS],
        [label for label, code in pairs if code in _TEXTS], binary=name == "FILE",
    )  # fmt: skip


def text_of(value: bytes) -> str:
    """Return a text up to its first zero byte; bytes that are no UTF-8 are read as Latin-1."""
    value = value.partition(b"\0")[0]
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
