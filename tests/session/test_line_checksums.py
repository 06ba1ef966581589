"""Checksums of many lines at once: every single wrong line is found, and the right ones are taken."""

from __future__ import annotations

import random
import zlib

import pytest

pytest.importorskip("numpy")
pytest.importorskip("duckdb")

from sessionstore.session import line_checksums
from sessionstore.session.line_checksums import all_right, ends_of
from sessionstore.session.stream_line import line_bytes, parse_line


def line(n: int, length: int) -> bytes:
    return line_bytes(b'{"v":"%s"}' % (b"x" * length), n, b"0.5", b"")


def right(data: bytes) -> bool:
    return all_right(data, ends_of(data))


def test_lines_of_any_length_are_right_also_beyond_one_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(7)
    data = b"".join(line(n, chance.choice([0, 1, 50, 500])) for n in range(200))
    assert right(data) and right(line(0, 5)) and not right(b"\n") and not right(b"")
    for stretch in (1, 100, 3000):
        monkeypatch.setattr(line_checksums, "_STRETCH", stretch)
        assert right(data)


def test_every_change_of_a_byte_is_found() -> None:
    lines = [line(n, n) for n in range(3)]
    data = b"".join(lines)
    for place in range(len(data) - 1):
        for bit in range(8):
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            assert not right(bytes(changed)), (place, bit)


def test_a_checksum_in_capitals_or_of_a_neighbour_is_not_right() -> None:
    n = next(n for n in range(100) if zlib.crc32(line(n, 3)[:-17]) >> 28 > 9)
    whole = line(n, 3)
    assert right(whole) and not right(whole[:-11] + whole[-11:-3].upper() + whole[-3:])
    first, second = line(1, 4), line(2, 4)
    swapped = first[:-11] + second[-11:] + second[:-11] + first[-11:]
    assert not right(swapped)


def test_it_agrees_with_reading_each_line() -> None:
    chance = random.Random(3)
    for _ in range(300):
        lines = [bytearray(line(n, chance.randrange(30))) for n in range(4)]
        if chance.random() < 0.7:
            each = chance.choice(lines)
            each[chance.randrange(len(each) - 1)] = chance.choice(b'0af"},:{x')
        data = b"".join(lines)
        found = [parse_line(bytes(raw[:-1]), 0) for raw in lines]
        if all(getattr(each, "verified", False) and getattr(each, "remark", "") == "" for each in found):
            assert right(data)
        if any(getattr(each, "remark", "edited") == "edited" for each in found):
            assert not right(data)
