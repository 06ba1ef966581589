"""Whether all lines of a stretch have the checksum that they name, found at once instead of line by line.

The CRC-32 of a stretch follows from those of its lines and their lengths: it is the sum of each line's, multiplied by
x**(8 * bytes behind the line) modulo the polynomial (as crc32_combine of zlib). One CRC-32 over the bytes is compared
with what the recorded ones add up to. One wrong line of a stretch is found as surely as by itself, since the factor has
an inverse; two or more hide one another with a probability of 2**-32, as a changed line has with a CRC-32 of its own.
Not here: which line is wrong (session.stream_line), the same without numpy (session.verified_blocks).
"""

from __future__ import annotations

import functools
import zlib
from typing import Any

import numpy
from numpy.typing import NDArray

from sessionstore.session.stream_line import TAIL_LENGTH
from sessionstore.session.verified_blocks import SHORT, Block, has_plain_keys, is_too_deep

Places = NDArray[numpy.int64]
Words = NDArray[numpy.uint32]

_POLYNOMIAL = 0xEDB88320  # reflected, as zlib has it: the highest bit is x**0
_STRETCH = 1 << 19
_TAIL = b',"c":"00000000"}\n'
_PAIRS = 4  # of hexadecimal digits
_FIXED = numpy.frombuffer(_TAIL[:TAIL_LENGTH], "<u2")[[0, 1, 2, 7]]  # the tail is eight words; four are the digits
_NEWLINE = 10


def ends_of(data: bytes) -> Places:
    """Return the places of all newlines."""
    return numpy.flatnonzero(numpy.frombuffer(data, numpy.uint8) == _NEWLINE)


def is_plain(block: Block) -> bool:
    """Whether every line has the right checksum, and none needs a closer look; as verified_blocks has it."""
    data, ends = block.data, ends_of(block.data)
    block.count = len(ends)
    if not has_plain_keys(data) or not all_right(data, ends):
        return False
    long = numpy.flatnonzero(numpy.diff(ends, prepend=-1) > SHORT)
    return not len(long) or not any(is_too_deep(block.lines[number]) for number in long)


def all_right(data: bytes, ends: Places) -> bool:
    """Whether each line is verified: it ends as a line does, and has the checksum that it names.

    Args:
        data: whole lines, each with its newline; ends: the places of the newlines.
    """
    if not len(ends) or ends[0] < TAIL_LENGTH:
        return False
    windows = numpy.lib.stride_tricks.sliding_window_view(numpy.frombuffer(data, numpy.uint8), TAIL_LENGTH)
    tails = windows[ends - TAIL_LENGTH].view("<u2")
    if not (tails[:, [0, 1, 2, 7]] == _FIXED).all():
        return False
    tables, zeros = _of_digits()
    sums = numpy.full(len(ends), zeros, numpy.uint64)
    for number in range(_PAIRS):
        sums ^= tables[number][tails[:, 3 + number]]
    if (sums >> numpy.uint64(32)).any():
        return False
    return _adds_up(memoryview(data), ends, sums.astype(numpy.uint32))


def _adds_up(data: memoryview, ends: Places, sums: Words) -> bool:
    start, first = 0, 0
    while first < len(ends):
        behind = max(first + 1, int(numpy.searchsorted(ends, start + _STRETCH)))
        end = int(ends[behind - 1]) + 1
        factors = _powers()[end - 1 - ends[first:behind]]
        if _sum_of_products(sums[first:behind], factors) != zlib.crc32(data[start:end]):
            return False
        start, first = end, behind
    return True


def _sum_of_products(values: Words, factors: Words) -> int:
    """Return the sum of all products modulo the polynomial: for each bit the factors of the values that have it."""
    found = 0
    for bit in range(32):
        chosen = factors & -((values >> numpy.uint32(bit)) & numpy.uint32(1))
        found = _times_x(found) ^ int(numpy.bitwise_xor.reduce(chosen))
    return found


def _times_x(value: int) -> int:
    return value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)


def _product(first: int, second: int) -> int:
    found = 0
    for bit in range(32):
        found = _times_x(found) ^ (second if first >> bit & 1 else 0)
    return found


@functools.cache
def _powers() -> Words:
    """Return x**(8 * n) for all n up to the length of a stretch."""
    found = numpy.empty(_STRETCH, numpy.uint32)
    found[0], known = 1 << 31, 1
    factor = 1 << 23  # x**8
    while known < len(found):
        found[known : 2 * known] = _scaled(found[:known], factor)
        known, factor = 2 * known, _product(factor, factor)
    return found


def _scaled(values: Words, factor: int) -> Words:
    """Return values times one factor, by a table for each byte."""
    of_bit = [0] * 32
    for bit in reversed(range(32)):
        of_bit[bit], factor = factor, _times_x(factor)
    found = numpy.zeros(len(values), numpy.uint32)
    for byte in range(4):
        table = numpy.zeros(256, numpy.uint32)
        for bit in range(8):
            table[1 << bit : 2 << bit] = table[: 1 << bit] ^ numpy.uint32(of_bit[8 * byte + bit])
        found ^= table[(values >> numpy.uint32(8 * byte)) & numpy.uint32(255)]
    return found


@functools.cache
def _of_digits() -> tuple[list[NDArray[numpy.uint64]], Any]:
    """Return what each pair of digits adds to the CRC-32 of its line, by place, and that of a line of zeros.

    A line is its head, whose CRC-32 the digits say, and its tail, which holds the digits. Anything but two digits in
    small letters sets a bit above the 32 of a CRC-32.
    """
    behind, zeros, tables = int(_powers()[len(_TAIL)]), zlib.crc32(_TAIL), []
    for place in range(_PAIRS):
        table = numpy.full(1 << 16, 1 << (32 + place), numpy.uint64)
        for value in range(256):
            digits = b"%02x" % value
            at = 6 + 2 * place
            tail = zlib.crc32(_TAIL[:at] + digits + _TAIL[at + 2 :]) ^ zeros
            table[int.from_bytes(digits, "little")] = tail ^ _product(value << (24 - 8 * place), behind)
        tables.append(table)
    return tables, numpy.uint64(zeros)
