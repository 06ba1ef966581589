"""Bytes as chance, disks and bad programs change them: flips, cuts, pieces twice, and values that parsers stumble over.

Not here: what is done with them (test_fuzz).
"""

from __future__ import annotations

import random

#: What stands in a JSON text where something else is expected.
TOKENS = [
    *(b"null", b"true", b"-1", b"0", b"1e999", b"-0.0", b"1e-400", b"NaN", b"Infinity", b"9" * 400, b"1" * 5_000),
    *(b'""', b'"\\ud800"', b'"\\u0000"', b'"\xff"', b"[]", b"{}", b"[" * 2_000, b'{"a":' * 2_000, b"\xef\xbb\xbf"),
    *(b"\n", b"\r\n", b"\0", b",", b":", b'"', b"}", b'"1":{},"1":{},', b"2**53", b"9007199254740993", b"253402300800"),
]


def mutated(rng: random.Random, data: bytes, times: int = 4) -> bytes:
    """Return a text changed in one to ``times`` places."""
    changed = bytearray(data)
    for _ in range(rng.randrange(1, times + 1)):
        place = rng.randrange(len(changed) + 1)
        rng.choice((_flip, _cut, _insert, _token, _twice, _truncate))(rng, changed, place)
    return bytes(changed)


def _flip(rng: random.Random, data: bytearray, place: int) -> None:
    if place < len(data):
        data[place] ^= 1 << rng.randrange(8)


def _cut(rng: random.Random, data: bytearray, place: int) -> None:
    del data[place : place + rng.choice((1, 2, 10, 200))]


def _insert(rng: random.Random, data: bytearray, place: int) -> None:
    data[place:place] = rng.randbytes(rng.choice((1, 3, 40)))


def _token(rng: random.Random, data: bytearray, place: int) -> None:
    """Put something in the place of a value, where there is one."""
    begin = max(data.rfind(b":", 0, place), data.rfind(b",", 0, place), data.rfind(b"[", 0, place)) + 1
    ends = [end for mark in b",]}" if (end := data.find(mark, begin)) >= 0]
    data[begin : min(ends, default=begin)] = rng.choice(TOKENS)


def _twice(rng: random.Random, data: bytearray, place: int) -> None:
    piece = data[place : place + rng.choice((10, 100, 1_000))]
    data[place:place] = piece


def _truncate(rng: random.Random, data: bytearray, place: int) -> None:
    if rng.random() < 0.3:
        del data[place:]
