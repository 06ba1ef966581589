"""What a stream proves about itself: the bytes that a checksum fits, and the order and number of its lines.

Another program may have changed line ends, the character set or the layout of a line: of all ways to undo that, the one
that the checksum fits is the line as it was recorded. Numbers prove the order, a line that stands twice, and a line
that was inserted where no number is free.
Not here: values that were changed, which takes a copy (old_lines).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from sessionstore.session.stream_check import StreamCheck
from sessionstore.session.stream_line import (
    BYTE_ORDER_MARK,
    CHARACTER_SETS,
    CHECKSUM,
    TAIL_LENGTH,
    Damage,
    Line,
    Mark,
    has_right_checksum,
    parse_line,
)
from sessionstore.session.stream_source import encoding_of

_BLANK = b" \t\r\n"
_CHECKSUM_AT_END = re.compile(rb'"c"\s*:\s*"([0-9a-f]{8})"\s*\}?\s*$')
_NUMBER_AT_BEGIN = re.compile(rb'\{"n":(\d+),')


def text_of(data: bytes) -> bytes:
    """Return the content of a stream in UTF-8; unchanged when another program's encoding cannot be decoded whole."""
    encoding = encoding_of(data[:64])
    try:
        return data if encoding is None else data.decode(encoding).removeprefix("\ufeff").encode()
    except (UnicodeDecodeError, UnicodeEncodeError):
        return data


def proven(raw: bytes) -> bytes | None:
    """Return the line as it was recorded, when the checksum in it proves that; else None."""
    return next((line for line in _candidates(raw) if has_right_checksum(line)), None)


def _candidates(raw: bytes) -> Iterator[bytes]:
    yield raw
    plain = raw.strip(_BLANK).removeprefix(BYTE_ORDER_MARK).strip(_BLANK)
    yield plain
    if not plain.isascii():
        for name in CHARACTER_SETS:
            try:
                yield plain.decode(name).encode()
            except (UnicodeDecodeError, UnicodeEncodeError):
                continue
    try:
        yield msgspec.json.encode(msgspec.json.decode(plain))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return


def checksum_in(raw: bytes) -> bytes | None:
    """Return the checksum that a line carries, whether it fits or not."""
    found = _CHECKSUM_AT_END.search(raw)
    if found is not None:
        return found[1]
    try:
        data = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    text = data.get(CHECKSUM) if isinstance(data, dict) else None
    return text.encode() if isinstance(text, str) and len(text) == TAIL_LENGTH // 2 else None


def number_of(raw: bytes) -> int | None:
    """Return the number of a line whose checksum fits; None of any other line, and of a mark."""
    found = _NUMBER_AT_BEGIN.match(raw)
    return int(found[1]) if found is not None and has_right_checksum(raw) else None


def is_mark(raw: bytes) -> bool:
    """Whether a line is one that the stream says of itself."""
    return raw.startswith(b'{"<":') and isinstance(parse_line(raw, 0), Mark)


def self_restored(lines: list[bytes]) -> list[bytes]:
    """Return the lines as far as the stream itself proves what they were."""
    whole = [proven(raw) or raw for raw in lines if raw.strip(_BLANK)]
    return _without_inserted(_in_order(whole))


def _in_order(lines: list[bytes]) -> list[bytes]:
    """Put numbered lines in the order of their numbers, each once; any other line stays behind the one before it."""
    groups: list[tuple[int, list[bytes]]] = [(-1, [])]
    for raw in lines:
        number = number_of(raw)
        if number is None:
            groups[-1][1].append(raw)
        else:
            groups.append((number, [raw]))
    result: list[bytes] = []
    before: tuple[int, bytes] | None = None
    for number, group in sorted(groups, key=lambda each: each[0]):
        twice = number >= 0 and before == (number, group[0])
        before = (number, group[0]) if number >= 0 else None
        result += group[1:] if twice else group
    return result


def _without_inserted(lines: list[bytes]) -> list[bytes]:
    """Leave out what stands between two lines whose numbers follow each other."""
    result: list[bytes] = []
    waiting: list[bytes] = []
    last: int | None = None
    for raw in lines:
        number = number_of(raw)
        if number is None:
            waiting.append(raw)
            continue
        follows = number == 0 if last is None else number == last + 1
        result += [line for line in waiting if is_mark(line)] if follows else waiting
        result.append(raw)
        last, waiting = number, []
    return result + waiting


def oddities(lines: list[bytes]) -> dict[str, int]:
    """Return what a reader would remark of these lines: counts by kind (see ``session.stream_check``)."""
    return {remark.kind: remark.count for remark in checked(lines).remarks}


def checked(lines: list[bytes]) -> StreamCheck:
    """Return what a full reading of these lines finds."""
    check, before, offset = StreamCheck(""), None, 0
    for raw in lines:
        found = parse_line(raw, offset)
        offset += len(raw) + 1
        if isinstance(found, Line | Damage):
            before = check.add(found, before)
    check.finish()
    return check
