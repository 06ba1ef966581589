"""JSON as people read it: strict parsing with line and column, and a layout made for editing by hand and for diffs.

Parsing refuses what other readers would take differently: duplicate keys, NaN and Infinity, lone surrogates, integers
beyond 4,300 digits, nesting beyond 200. Integers are exact at any size. Formatting is canonical: equal values give
equal bytes.
Not here: values of other types (values), files (session.documents), meaning (records), lines of
streams (session.stream_writer).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from sessionstore.errors import Corrupt
from sessionstore.model import values
from sessionstore.model.gc_pause import gc_paused
from sessionstore.model.values import MAX_DEPTH as MAX_DEPTH
from sessionstore.model.values import plain as plain
from sessionstore.model.values import utc_text as utc_text

_WIDTH = 110  # what still fits one line of an editor
_LARGE_TEXT = 1 << 18  # bytes; beyond, the collector takes a third of the time of parsing
_LARGE_TABLE = 200  # documents; below, laying it out takes less than a few milliseconds
_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_TO_SQUARE = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')


def parse(data: bytes, path: str) -> Any:
    """Return the value that a JSON file holds.

    Raises:
        Corrupt: with line and column where the parser stopped.
    """
    try:
        if len(data) < _LARGE_TEXT:
            return parse_surely(data)
        with gc_paused():
            return parse_surely(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # it is wrong, or needs a closer look
        return _parse_strictly(data, path)


def nested_beyond_limit(data: bytes, levels: int = MAX_DEPTH) -> bool:
    """Whether a JSON text has more levels of objects and lists than that; independent of the caller's own stack."""
    if data.count(b"[") + data.count(b"{") <= levels:
        return False
    brackets = _STRING.sub(b"", data).translate(_TO_SQUARE, _NOT_BRACKETS)
    for _ in range(levels):  # each round takes the innermost level away
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


def refuse_duplicate_keys(data: bytes) -> None:
    """Raises: ValueError: an object of this JSON text has one key twice."""
    if not is_whole(data, _decode(data)):
        json.loads(data, object_pairs_hook=_no_duplicates)


def plain_copy(value: Any, where: str) -> Any:
    """Return what :func:`plain` returns; JSON data of the plain types is copied in C, in a twentieth of the time.

    Raises: InvalidRecord.
    """
    copy = copied_surely(value)
    return plain(value, where) if copy is None else copy


def copied_surely(value: Any) -> Any:
    """Return a copy of JSON data of the plain types, made in C; None: it needs the closer look of :func:`plain`."""
    if values.registered:
        return None
    try:
        data = _encode(value)
        copy = None if nested_beyond_limit(data) else _decode(data)
        if copy == value:  # a tuple, a NaN, a key that is a number: none is equal to its JSON
            return copy
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError):
        pass
    return None


_decode, _encode, _format = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode, msgspec.json.format


def parse_own(data: bytes) -> Any:
    """Return the value of a text that this process laid out, which needs no second look. Raises: as parse_surely."""
    return _decode(data)


def parse_surely(data: bytes) -> Any:
    """Return the value of a text that is certainly correct, in two thirds of the time of a strict look.

    Raises: ValueError, msgspec.MsgspecError, RecursionError: unsure.
    """
    value = _decode(data)
    if not is_whole(data, value):
        raise ValueError
    return value


def is_whole(data: bytes, value: Any) -> bool:
    """Whether a text that msgspec decoded surely holds no more than the value, and no lone surrogate.

    The decoder in C is as strict as we are, but for one thing: of two equal keys it keeps the last. What it dropped
    is missed when the quotes are counted, before and after (an escape by number could stand for one of them, or for
    half of a character; finding none takes a tenth of the time when a single backslash is looked for first).
    """
    if b"\\" in data and b"\\u" in data:
        return False
    return data.count(b'"') == _encode(value).count(b'"')


def _parse_strictly(data: bytes, path: str) -> Any:
    """Return the value, or say what is wrong and where. Raises: Corrupt."""
    try:
        text = data.decode("utf-8-sig")  # an editor on Windows may have put a byte order mark in front
    except UnicodeDecodeError as error:
        raise Corrupt(f"not UTF-8: {error.reason}", path, error.start, data.count(b"\n", 0, error.start) + 1) from error
    if not text.strip("\0 \t\r\n"):
        raise Corrupt("the file is empty" if not text else "the file holds only blanks or zeros", path, 0, 1, 1)
    try:
        value = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constants, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise Corrupt(error.msg, path, error.pos, error.lineno, error.colno) from error
    except RecursionError as error:
        raise Corrupt(f"nested beyond {MAX_DEPTH} levels", path) from error
    except ValueError as error:  # a duplicate key, a constant, or an integer of more than 4,300 digits
        word = getattr(error, "word", None)
        line, column = _last_place(text, word) if word is not None else (None, None)
        raise Corrupt(str(error), path, None, line, column) from error
    if _LONE_SURROGATE.search(data):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise Corrupt("a lone surrogate, which is not text", path) from error
    return value


class _Refused(ValueError):
    def __init__(self, reason: str, word: str) -> None:
        super().__init__(reason)
        self.word = word


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Refused(f"the key {key!r} stands twice in one object", json.dumps(key, ensure_ascii=False))
            seen.add(key)
    return found


def _no_constants(word: str) -> None:
    raise _Refused(f"{word} is not JSON", word)


def _finite(word: str) -> float:
    number = float(word)
    if math.isinf(number):
        raise _Refused(f"{word} is beyond what a number can hold", word)
    return number


def _last_place(text: str, word: str) -> tuple[int | None, int | None]:
    position = text.rfind(word)
    return (None, None) if position < 0 else line_and_column(text, position)


def line_and_column(text: str, position: int) -> tuple[int, int]:
    """Return line and column of a character, both counted from 1."""
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)


def locate(data: bytes, keys: Sequence[str | int]) -> tuple[int | None, int | None]:
    """Return line and column of the value under a path of keys in a JSON text that parses; None twice if absent."""
    text = data.decode("utf-8-sig")
    wanted = [str(key) for key in keys]
    stack: list[list[Any]] = []  # per open container: is it an object, the current key, does the next string name one
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word in "}]":
            stack.pop()
        elif word == ",":
            stack[-1][1:] = [stack[-1][1], True] if stack[-1][0] else [stack[-1][1] + 1, False]
        elif word == ":":
            continue
        elif stack and stack[-1][0] and stack[-1][2]:
            stack[-1][1:] = [json.loads(word), False]
        else:
            if [str(level[1]) for level in stack] == wanted:
                return line_and_column(text, token.start())
            if word in "{[":
                stack.append([word == "{", None if word == "{" else 0, word == "{"])
    return None, None


# ---------------------------------------------------------------- layout


class Fixed(dict[str, Any]):
    """Plain data that does not change any more, laid out and encoded once: what many documents have in common."""

    def __init__(self, value: dict[str, Any]) -> None:
        super().__init__(value)
        self._texts: dict[str, str] = {}
        self._encoded: msgspec.Raw | None = None

    def encoded(self) -> msgspec.Raw:
        """Return its JSON, for an encoder. Raises: OverflowError: it holds an integer of more than 64 bits."""
        if self._encoded is None:
            self._encoded = msgspec.Raw(_encode(dict(self)))
        return self._encoded

    def copied(self) -> dict[str, Any]:
        """Return a copy that its owner may change, all of its own."""
        return {name: copied(value) for name, value in self.items()}

    def laid_out(self, newline: str) -> str:
        """Return the text at this indent; see :func:`layout`."""
        if newline not in self._texts:
            self._texts[newline] = _layout(dict(self), newline)
        return self._texts[newline]


def copied(value: Any) -> Any:
    """Return a copy of plain data whose containers are all of its own."""
    if not value or type(value) not in _CONTAINERS:
        return value
    inner = value.values() if isinstance(value, dict) else value
    if _CONTAINERS.isdisjoint(map(type, inner)):
        return dict(value) if isinstance(value, dict) else list(value)
    return {name: copied(item) for name, item in value.items()} if isinstance(value, dict) else list(map(copied, inner))


class Layouts:
    """The texts of the large tables of one document, as they were laid out last: a table that stays is not done again.

    8,530 buildings take 0.3 s to lay out, and are compared in 0.02 s. Held is the text, not the values.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[bytes, dict[str, str]]] = {}

    def layout(self, tables: dict[str, dict[str, Any]]) -> bytes:
        """Return what :func:`layout` returns."""
        return layout({name: self._fixed(name, table) for name, table in tables.items()})

    def _fixed(self, name: str, table: dict[str, Any]) -> dict[str, Any]:
        if len(table) < _LARGE_TABLE:
            return table
        try:
            digest = blake2b(_encode(table)).digest()
        except OverflowError:  # an integer of more than 64 bits
            return table
        fixed = Fixed(table)
        known = self._known.get(name)
        if known is not None and known[0] == digest:
            fixed._texts = known[1]
        else:
            self._known[name] = digest, fixed._texts  # filled when it is laid out
        return fixed


#: From this many containers on they are written together, with this mark before each.
_MANY = 4
_BETWEEN = "\0next\0"
_WRITTEN_BETWEEN = '"\\u0000next\\u0000", '
_CONTAINERS = frozenset((dict, list, Fixed))


def layout(value: Any) -> bytes:
    """Return plain ``value`` as UTF-8 JSON, two blanks a level; what fits a line stands on one line."""
    return (_layout(value, "\n") + "\n").encode()


def laid_out(value: Any, newline: str) -> str:
    """Return the text of a part of a document; ``newline`` is a line's end and the indent that the part begins at."""
    return _layout(value, newline)


def _flat(value: Any) -> str:
    return _format(_encode(value), indent=0).decode()


def _layout(value: Any, newline: str) -> str:
    """Return the text; ``newline`` is a line's end and the indent of this level."""
    if not value or type(value) not in _CONTAINERS:
        return _flat(value)
    if type(value) is Fixed:
        return value.laid_out(newline)
    room = _WIDTH - len(newline) + 1
    if _room_left(value, room) >= 0 and len(text := _flat(value)) <= room:  # C writes a line ten times as fast
        return text
    return _spread(value, newline)


def _spread(value: dict[str, Any] | list[Any], newline: str) -> str:
    """Return the text of what does not fit a line: an item a line."""
    if _CONTAINERS.isdisjoint(map(type, value if isinstance(value, list) else value.values())):
        return _format(_encode(value), indent=2).decode().replace("\n", newline)  # a text in it holds no line's end
    inner = newline + "  "
    separator = "," + inner
    places: Any = range(len(value)) if isinstance(value, list) else list(value)
    items: list[Any] = value if isinstance(value, list) else list(value.values())
    branches = [number for number, item in enumerate(items) if item and type(item) in _CONTAINERS]
    if len(branches) == len(items):  # tables, and the documents in them
        texts = _each(items, inner)
        if isinstance(value, list):
            return f"[{inner}{separator.join(texts)}{newline}]"
        lines = [f"{_encode(name).decode()}: {text}" for name, text in zip(value, texts, strict=True)]
        return f"{{{inner}{separator.join(lines)}{newline}}}"
    leaves: Any = value.copy()  # all but the branches is written at once, with a null in the place of each
    for number in branches:
        leaves[places[number]] = None
    text = _format(_encode(leaves), indent=2).decode()
    lines = text[4:-2].split(",\n  ")
    for number, laid_out in zip(branches, _each([items[number] for number in branches], inner), strict=True):
        lines[number] = lines[number][:-4] + laid_out
    return f"{text[0]}{inner}{separator.join(lines)}{newline}{text[-1]}"


def _each(values: list[Any], newline: str) -> list[str]:
    """Return the texts of containers; many are written in one line each by one call, and split."""
    if len(values) < _MANY:
        return [_layout(value, newline) for value in values]
    room = _WIDTH - len(newline) + 1
    marked = [part for value in values for part in (_BETWEEN, None if type(value) is Fixed else value)]
    flat = _flat(marked)[1:-1].split(_WRITTEN_BETWEEN)[1:]
    if len(flat) != len(values):  # a value holds the mark
        return [_layout(value, newline) for value in values]
    return [
        value.laid_out(newline)
        if type(value) is Fixed
        else text
        if len(text := line.removesuffix(", ")) <= room
        else _spread(value, newline)
        for value, line in zip(values, flat, strict=True)
    ]


def _room_left(value: dict[str, Any] | list[Any], room: int) -> int:
    """Return what is left of a line when ``value`` takes the least it can, escapes not counted; stop below nothing."""
    items: Iterable[Any] = value
    if isinstance(value, dict):
        room -= 4 * len(value) + sum(map(len, value)) if len(value) < room else room + 1
        items = value.values()
    room -= 2 * len(value)  # brackets, commas and blanks
    for item in items:
        if room < 0:
            break
        if type(item) is str:
            room -= len(item) + 2
        elif type(item) in _CONTAINERS:
            room = _room_left(item, room)
        else:
            room -= 1
    return room
