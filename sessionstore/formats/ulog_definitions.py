"""The definitions of a ULog: message formats as structured types of numpy, topics, information and parameters.

Nested formats are flattened (``esc[0].rpm``), arrays of one type stay arrays, padding has no name of its own.
Source: https://docs.px4.io/main/en/dev_log/ulog_file_format.html
Not here: where messages are in a file (ulog_scan).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_TYPES = {
    "int8_t": "i1", "uint8_t": "u1", "int16_t": "<i2", "uint16_t": "<u2", "int32_t": "<i4", "uint32_t": "<u4",
    "int64_t": "<i8", "uint64_t": "<u8", "float": "<f4", "double": "<f8", "bool": "i1", "char": "i1",
}  # fmt: skip
_MOST_BYTES = 0xFFFF
_MOST_FIELDS = 0xFFFF
_MOST_LEVELS = 16
TIMESTAMP = "timestamp"
#: What a damaged definition leads to.
Unreadable = (ValueError, IndexError, KeyError, TypeError, OverflowError, struct.error)


@dataclass(eq=False)
class Topic:
    """One instance of a topic.

    Attributes:
        dtype: a message without its id and without the padding at its end.
        most_bytes: the length of a message with that padding.
        time_at: where its timestamp begins; -1: it has none, so that its messages have no moment.
        names: the fields of its stream, without timestamp and padding.
    """

    name: str
    instance: int
    dtype: np.dtype[Any]
    most_bytes: int
    time_at: int
    names: tuple[str, ...]

    @property
    def key(self) -> tuple[str, int]:
        """Name and instance."""
        return self.name, self.instance


@dataclass
class Definitions:
    """What a log says of itself, message by message; all methods raise one of ``Unreadable`` for a damaged one."""

    formats: dict[str, list[tuple[str, int, str]]] = field(default_factory=dict)
    information: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, list[list[Any]]] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)

    def take_format(self, body: bytes) -> None:
        """Take in a message format: ``name:type field;type[3] field;``."""
        name, fields = _text(body).split(":")[:2]
        self.formats[name] = [_field(each) for each in fields.split(";") if each]

    def take_information(self, body: bytes) -> None:
        """Take in one value of the log, such as its software release."""
        name, value = key_and_value(body)
        self.information[name] = value

    def take_text(self, body: bytes) -> None:
        """Take in a part of a value that has several, or that continues the last one."""
        name, value = key_and_value(body[1:])
        parts = self.texts.setdefault(name, [])
        if parts and body[0]:
            parts[-1].append(value)
        else:
            parts.append([value])

    def topic(self, body: bytes) -> tuple[int, Topic]:
        """Return the id of the messages of a topic, and the topic."""
        instance, number = struct.unpack("<BH", body[:3])
        name = _text(body[3:])
        fields: list[tuple[str, str, int]] = []
        self._flatten("", name, fields, 0)
        sizes = [np.dtype(kind).itemsize * max(count, 1) for _, kind, count in fields]
        most = sum(sizes)
        while fields and fields[-1][0].startswith("_padding"):
            fields.pop()
        if not fields or most > _MOST_BYTES:
            raise ValueError(f"a message of {most} bytes")
        dtype = np.dtype([(name, kind, (count,)) if count else (name, kind) for name, kind, count in fields])
        timed = TIMESTAMP in (dtype.names or ()) and dtype[TIMESTAMP] == np.dtype("<u8")
        names = tuple(name for name, _, _ in fields if name != TIMESTAMP and not _is_padding(name))
        offset = dtype.fields[TIMESTAMP][1] if timed and dtype.fields is not None else -1
        return number, Topic(name, instance, dtype, most, offset, names)

    def _flatten(self, prefix: str, name: str, into: list[tuple[str, str, int]], level: int) -> None:
        if level > _MOST_LEVELS:
            raise ValueError("a format within itself")
        for kind, count, label in self.formats[name]:
            if kind in _TYPES:
                into.append((prefix + label, _TYPES[kind], count))
            else:
                for part in [f"[{number}]" for number in range(count)] or [""]:
                    self._flatten(f"{prefix}{label}{part}.", kind, into, level + 1)
            if len(into) > _MOST_FIELDS:
                raise ValueError("a format of too many fields")


def _is_padding(name: str) -> bool:
    return name.startswith("_padding") or "._padding" in name


def _field(text: str) -> tuple[str, int, str]:
    kind, name = text.split(" ")[:2]
    kind, bracket, count = kind.partition("[")
    number = int(count.partition("]")[0]) if bracket else 0
    if not 0 <= number <= _MOST_BYTES:
        raise ValueError(f"an array of {number}")
    return kind, number, name


def key_and_value(body: bytes) -> tuple[str, Any]:
    """Return the name and the value of an information or parameter message."""
    length = body[0]
    kind, name = _text(body[1 : 1 + length]).split(" ")[:2]
    value = body[1 + length :]
    if kind.startswith("char["):
        return name, _text(value)
    if kind not in _TYPES:
        return name, value
    found = np.frombuffer(value, _TYPES[kind])
    if len(found) != 1:
        raise ValueError(f"{len(value)} bytes for one {kind}")
    return name, bool(found[0]) if kind == "bool" else found[0].item()


def is_plain(value: Any) -> bool:
    """Whether metadata may hold a value: a text, a whole number, a finite number."""
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "ignore")
