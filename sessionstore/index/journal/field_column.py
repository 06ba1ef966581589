"""One field or metadata key of all rows, sorted once: filters and orders of a million rows without a row decoded.

A column is made when a filter or an order names its field for the first time, beside the heads it belongs to. It holds
the different values in their order (``groups``), the rows of each, and of each row its group. The meaning of a clause
is asked of :func:`sessionstore.query.matcher`, once for each different value; ranges of numbers are found by halving.
An answer is a mask: one byte a row, 1 where it fits.
Not here: rows that were written since (index.journal.pages), the heads (index.journal.heads).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from typing import Any

import msgspec

from sessionstore.index.filtering import Key, sort_key
from sessionstore.index.journal.column_file import ColumnFile, Damaged
from sessionstore.query import MISSING, Between, Compare, Filter, Path, matcher

#: In the column of codes: no value, null, then the groups as far as a byte goes, and all others.
_MISSING, _NULL, _FIRST, _OTHER = 0, 1, 2, 255
_MOST_CODES = _OTHER - _FIRST
_EXACT = 1 << 53  # whole numbers up to here are exact as 64-bit floats
_NOWHERE = (1 << 32) - 1
NUMBERS, TEXTS, OTHERS = "numbers", "texts", "others"
_BETWEEN = "\0"  # two texts
_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode


class Unsortable(Exception):
    """The values have no place in a column: numbers beyond 2**53, or true and false among numbers."""


class FieldColumn:
    """The column; ``count`` rows."""

    def __init__(self, file: ColumnFile, count: int) -> None:
        self._file, self.count = file, count
        try:
            self._kind: str = file.meta["kind"]
            self.path: Path = tuple(file.meta["path"])
            self.base: str = file.meta["base"]
            file.check_lengths({"codes": count, "place": 4 * count})
        except (KeyError, TypeError) as error:
            raise Damaged(f"its first line lacks {error}") from error
        self._values: Sequence[Any] | None = None

    @property
    def values(self) -> Sequence[Any]:
        """The different values, in their order."""
        if self._values is None:
            raw = self._file.whole("values")
            try:
                self._values = _values_in(raw, self._kind)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise Damaged(str(error)) from error
        return self._values

    def _column(self, name: str, kind: str) -> Any:
        return memoryview(self._file.whole(name)).cast(kind)  # type: ignore[call-overload]

    # ------------------------------------------------------------ filters

    def mask(self, clause: Filter) -> bytearray:
        """Return which rows a clause about this field fits. Raises: Damaged."""
        fits = matcher(clause, lambda value, path: value)
        without = fits(MISSING), fits(None)
        if (found := self._range(clause)) is not None:
            return self._of_range(*found, without)
        if self._kind == NUMBERS:  # any other clause is the same for all numbers
            return self._of_groups([bool(len(self.values)) and fits(self.values[0])] * len(self.values), without)
        if isinstance(clause, Compare) and clause.operator == "~" and self._kind == TEXTS:
            wanted = str(clause.value).casefold()
            return self._of_groups([wanted in value.casefold() for value in self.values], without)
        return self._of_groups([fits(value) for value in self.values], without)

    def _range(self, clause: Filter) -> tuple[int, int, bool] | None:
        """Return the groups that fit, from and to, and whether it is all but these; None: not a range."""
        values = self.values
        if isinstance(clause, Between) and _kind_of(clause.low) == self._kind:
            return bisect_left(values, clause.low), bisect_right(values, clause.high), False
        if not isinstance(clause, Compare) or _kind_of(clause.value) != self._kind or clause.operator == "~":
            return None
        begin, end = bisect_left(values, clause.value), bisect_right(values, clause.value)
        return range_of(clause, begin, end, len(values))

    def _of_range(self, begin: int, end: int, inverted: bool, without: tuple[bool, bool]) -> bytearray:
        starts, order = self._column("starts", "I"), self._column("order", "I")
        first, last = starts[begin], starts[max(begin, end)]
        few_fit = last - first <= len(order) // 2
        mask = bytearray(self.count) if few_fit else self._having()
        for some in (order[first:last],) if few_fit else (order[:first], order[last:]):
            for row in some:
                mask[row] = few_fit
        if inverted:
            having = self._having()
            mask = combined(having, mask, lambda a, b: a & ~b)
        if any(without):
            mask = combined(mask, self._translated([], without, False), lambda a, b: a | b)
        return mask

    def _having(self) -> bytearray:
        return bytearray(self._translated([], (False, False), True))

    def _of_groups(self, fits: list[bool], without: tuple[bool, bool]) -> bytearray:
        if len(fits) <= _MOST_CODES:
            return bytearray(self._translated(fits, without, False))
        mask = bytearray(self._translated([], without, False))
        starts, order = self._column("starts", "I"), self._column("order", "I")
        for group in compress(range(len(fits)), fits):
            for row in order[starts[group] : starts[group + 1]]:
                mask[row] = 1
        return mask

    def _translated(self, fits: list[bool], without: tuple[bool, bool], others: bool) -> bytes:
        table = bytearray([others]) * 256
        table[_MISSING], table[_NULL] = without
        for group, fit in enumerate(fits):
            table[_FIRST + group] = fit
        return self._file.whole("codes").translate(table)

    def codes(self, np: Any = None) -> Any:
        """Return the place of each row's value among the values, -1 without one. Raises: Damaged.

        Args:
            np: numpy, for an array of it; else a list.
        """
        few, count = len(self.values) <= _MOST_CODES, self.count
        if few:
            codes = self._file.whole("codes")
            if np is not None:
                return np.maximum(np.frombuffer(codes, "u1").astype("i8") - _FIRST, -1)
            return [max(code - _FIRST, -1) for code in codes]
        starts, order = self._column("starts", "I"), self._column("order", "I")
        if np is not None:
            made = np.full(count, -1, "i8")
            made[np.frombuffer(order, "u4")] = np.repeat(
                np.arange(len(starts) - 1), np.diff(np.frombuffer(starts, "u4"))
            )
            return made
        found = [-1] * count
        for group in range(len(starts) - 1):
            for row in order[starts[group] : starts[group + 1]]:
                found[row] = group
        return found

    # ------------------------------------------------------------ order

    def ordered(self, mask: bytearray, descending: bool) -> Iterator[tuple[Key | None, int]]:
        """Yield the rows of a mask with what they are ordered by; equal ones, and those without, oldest first."""
        fitting = mask.count(1)
        places = self._walked(mask, descending) if fitting > self.count // 32 else self._looked_up(mask, descending)
        values, known, key = self.values, -1, None
        for group, row in places:
            if group != known:
                known, key = group, sort_key(values[group])
            yield key, row
        without = self._translated([], (True, True), False)
        left = combined(mask, without, lambda a, b: a & b)
        for row in rows_of(left):
            yield None, row

    def _walked(self, mask: bytearray, descending: bool) -> Iterator[tuple[int, int]]:
        """Go through all rows in order; for masks that fit many."""
        starts, order = self._column("starts", "I"), self._column("order", "I")
        groups = len(starts) - 1
        for group in range(groups - 1, -1, -1) if descending else range(groups):
            for row in order[starts[group] : starts[group + 1]]:
                if mask[row]:
                    yield group, row

    def _looked_up(self, mask: bytearray, descending: bool) -> Iterator[tuple[int, int]]:
        """Sort the few rows that fit."""
        place, starts = self._column("place", "I"), self._column("starts", "I")
        found = [(bisect_right(starts, at) - 1, row) for row in rows_of(mask) if (at := place[row]) != _NOWHERE]
        yield from sorted(found, key=lambda one: -one[0] if descending else one[0])


def range_of(clause: Compare, begin: int, end: int, count: int) -> tuple[int, int, bool]:
    """Return which of ``count`` sorted values fit a comparison: from, to, and whether it is all but these.

    Args:
        begin, end: those that are equal to the operand.
    """
    return {
        "=": (begin, end, False), "!=": (begin, end, True), "<": (0, begin, False), "<=": (0, end, False),
        ">": (end, count, False), ">=": (begin, count, False),
    }[clause.operator]  # fmt: skip


def _kind_of(operand: Any) -> str | None:
    if type(operand) in (int, float):
        return NUMBERS
    return TEXTS if isinstance(operand, str) else None


def _values_in(raw: bytes, kind: str) -> Sequence[Any]:
    if kind == NUMBERS:
        return memoryview(raw).cast("d")
    if kind == TEXTS:
        return raw.decode().split(_BETWEEN) if raw else []
    found: Sequence[Any] = _decode(raw)
    return found


def rows_of(mask: bytes | bytearray) -> Iterator[int]:
    """Yield the rows of a mask, the oldest first."""
    if mask.count(1) > len(mask) // 32:
        yield from compress(range(len(mask)), mask)
        return
    row = -1
    while (row := mask.find(1, row + 1)) >= 0:
        yield row


def combined(one: bytes | bytearray, other: bytes | bytearray, by: Callable[[int, int], int]) -> bytearray:
    """Return two masks combined bit by bit, as numbers of a megabyte: a tenth of a millisecond."""
    found = by(int.from_bytes(one, "little"), int.from_bytes(other, "little"))
    return bytearray(found.to_bytes(len(one), "little"))


def build(base: str, path: Path, values: list[Any]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return meta and sections of the column of these values, one a row. Raises: Unsortable."""
    present = [row for row, value in enumerate(values) if value is not None and value is not MISSING]
    kinds = {type(values[row]) for row in present}
    kind = NUMBERS if kinds <= {int, float} else TEXTS if kinds == {str} else OTHERS
    if kind == NUMBERS and not all(-_EXACT <= values[row] <= _EXACT for row in present):
        raise Unsortable
    if kind == OTHERS and kinds & {int, float}:
        raise Unsortable
    order = _sorted(values, present) if kind == OTHERS else sorted(present, key=values.__getitem__)
    groups, starts = _grouped(values, order, kind)
    if (kind == TEXTS and not all(groups)) or any(kind == TEXTS and _BETWEEN in value for value in groups):
        kind = OTHERS
    codes, place = bytearray(len(values)), array("I", [_NOWHERE]) * len(values)
    for row, value in enumerate(values):
        codes[row] = _NULL if value is None else _MISSING
    for group, begin in enumerate(starts[:-1]):
        code = min(_FIRST + group, _OTHER) if len(groups) <= _MOST_CODES else _OTHER
        for row in order[begin : starts[group + 1]]:
            codes[row] = code
    for at, row in enumerate(order):
        place[row] = at
    meta = {"base": base, "path": list(path), "kind": kind}
    made = {
        NUMBERS: lambda: array("d", groups).tobytes(),
        TEXTS: lambda: _BETWEEN.join(groups).encode(),
        OTHERS: lambda: _encode(groups),
    }
    return meta, {
        "values": made[kind](),
        "order": array("I", order).tobytes(),
        "starts": array("I", starts).tobytes(),
        "place": place.tobytes(),
        "codes": bytes(codes),
    }


def _sorted(values: list[Any], rows: list[int]) -> list[int]:
    keys = {row: sort_key(values[row]) for row in rows}
    return sorted(rows, key=lambda row: keys[row] or (3, ""))


def _grouped(values: list[Any], order: list[int], kind: str) -> tuple[list[Any], list[int]]:
    """Return the different values, and where each begins in the order."""
    groups: list[Any] = []
    starts: list[int] = []
    last: Any = None
    for at, row in enumerate(order):
        value = values[row]
        if at == 0 or value != last or (kind == OTHERS and sort_key(value) != sort_key(last)):
            groups.append(value)
            starts.append(at)
            last = value
    return groups, [*starts, len(order)]
