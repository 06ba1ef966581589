"""Some keys of a stream as typed columns: only these are decoded, out of lines whose checksums are right.

``t`` and ``n`` are the sim_time and the number; of the latest attempt, each record once, in the order of arrival. What
cannot be trusted (edited, written by hand, damaged, repeated) is left out, and a warning counts it.
A column is a numpy array where numpy is installed, else ``array.array`` or a list:

    whole numbers            int64
    numbers                  float64; null or no value is NaN
    booleans                 bool
    lists of k numbers       float64 of shape (rows, k), such as a position in metres; without numpy a list of lists
    texts and all else       objects; None is null or no value

A whole number that float64 does not hold exactly makes its column one of objects.
Not here: all keys at once (session.frame), SQL (analysis), columns stored as Parquet (analysis.typed_columns).
"""

from __future__ import annotations

import itertools
import warnings
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter, lt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from sessionstore import late_imports
from sessionstore.errors import InvalidQuery
from sessionstore.model.gc_pause import gc_paused
from sessionstore.session import stream_source
from sessionstore.session.stream_check import KINDS
from sessionstore.session.stream_line import NUMBER, SIM_TIME, Line
from sessionstore.session.stream_order import StreamOrder
from sessionstore.session.stream_tail import tail_of
from sessionstore.session.verified_blocks import Block, Tally, blocks, is_plain, trusted

if TYPE_CHECKING:
    from sessionstore.session.stream_reader import Tape

_EXACT = 1 << 53  # whole numbers up to this are exact as float64
_INT64 = 1 << 63
_NAN = float("nan")
_LEFT_OUT = {**KINDS, "replaced": "replaced by a later attempt"}
_OBJECTS = "O"
_NO_NUMBERS = array("d")
_CHUNK_BYTES = 1 << 20  # whose checksums are compared at once
_PIECE_BYTES = 1 << 16  # what is decoded at once, with all its objects, stays in the cache of a core


class _Irregular(Exception):
    """Numbers repeat or go back: each line has to be compared with all earlier ones."""


def columns(tape: Tape, names: Sequence[str], from_s: float | None, to_s: float | None) -> dict[str, Any]:
    """Return these keys of a stream; see :meth:`Tape.columns`."""
    if not names or not all(isinstance(name, str) for name in names):
        raise InvalidQuery('the columns are named: tape.columns("t", "drone", "position")')
    found = _stored(tape.path, names, from_s, to_s) or _of_lines(tape, names, from_s, to_s)
    values, counts, known = found
    missing = [name for name in names if name not in known and name not in (NUMBER, SIM_TIME)]
    if missing and from_s is to_s is None and any(len(column) for column in values.values()):
        raise InvalidQuery(f"no record of {tape.path.stem} has {', '.join(missing)}")
    _warn(tape.path.stem, counts)
    return values


def _warn(stream: str, counts: Mapping[str, int]) -> None:
    if counts:
        said = "; ".join(f"{count} left out: {_LEFT_OUT.get(kind, kind)}" for kind, count in sorted(counts.items()))
        warnings.warn(f"{stream}: {said}", stacklevel=4)


def _stored(path: Path, names: Sequence[str], from_s: float | None, to_s: float | None) -> Any:
    """Return what the Parquet columns of an ended session hold; None: there are none, or they do not fit."""
    try:
        read = late_imports.stored_columns()
    except ModuleNotFoundError:  # the extra is not installed: the lines hold the same
        return None
    return read(path, names, from_s, to_s)


def _of_lines(
    tape: Tape, names: Sequence[str], from_s: float | None, to_s: float | None
) -> tuple[dict[str, Any], Counter[str], set[str]]:
    order = tape.order()
    plain = not order.cuts
    with gc_paused():
        return _read(tape, names, order, plain, from_s, to_s)


def _read(
    tape: Tape, names: Sequence[str], order: StreamOrder, plain: bool, from_s: float | None, to_s: float | None
) -> tuple[dict[str, Any], Counter[str], set[str]]:
    while True:
        tally, made = Tally(), {name: Column() for name in dict.fromkeys(names)}
        try:
            rows = _plain_rows if plain else _any_rows
            for part in rows(tape, list(made), order, tally, from_s, to_s):
                for column, values in zip(made.values(), part, strict=True):
                    column.extend(values)
            break
        except _Irregular:
            plain = False
    finished = {name: column.finished() for name, column in made.items()}
    return finished, tally.counts, {name for name, column in made.items() if column.any}


def _plain_rows(
    tape: Tape, names: list[str], order: StreamOrder, tally: Tally, from_s: float | None, to_s: float | None
) -> Iterator[list[Sequence[Any]]]:
    """Yield stretches of the columns. Raises: _Irregular."""
    decode, is_whole = _decoder(names), _test_of_blocks()
    low, high = tape.span(from_s, to_s, order)
    last = -1
    for block in _blocks(tape, tally, low, high):
        for numbers, times, part in _parts(block, decode if is_whole(block) else None, names, tally):
            if numbers[0] <= last or not all(map(lt, numbers, itertools.islice(numbers, 1, None))):
                raise _Irregular
            last = numbers[-1]
            yield _within(part, times, from_s, to_s)


def _parts(block: Block, decode: Any, names: list[str], tally: Tally) -> Iterator[_Part]:
    """Yield the rows of a block: of a plain one in pieces, else (``decode`` is None) line by line."""
    begin, data = 0, block.data
    while decode is not None and begin < len(data):
        end = data.rfind(b"\n", begin, begin + _PIECE_BYTES) + 1 or data.find(b"\n", begin) + 1
        found = _decoded(data[begin:end], decode, names)
        if found is None:  # what is behind it, too
            break
        yield found
        begin = end
    if begin < len(data):
        rest = Block(data[begin:], block.offset + begin) if begin else block
        found = _by_line(trusted(rest, tally.counts), names)
        if found[0]:
            yield found


def _blocks(tape: Tape, tally: Tally, low: int = 0, high: int | None = None) -> Iterator[Block]:
    try:
        with stream_source.opened(tape.path) as source:
            if source.pointer:
                tally.counts["lfs-pointer"] += 1
            yield from blocks(source, _CHUNK_BYTES, tally, low, high)
            if high in (None, source.size) and tail_of(source).torn:
                tally.counts["torn"] += 1
    except FileNotFoundError:
        return


_Part = tuple[list[int], list[float], list[Sequence[Any]]]


def _test_of_blocks() -> Callable[[Block], bool]:
    """Return the test whether a block can be decoded as a whole: a fifth of the time where numpy is installed."""
    try:
        from sessionstore.session.line_checksums import is_plain as at_once
    except ModuleNotFoundError:
        return is_plain
    return at_once


def _decoded(data: bytes, decode: Any, names: list[str]) -> _Part | None:
    """Return numbers, times and columns of plain lines; None: they have to be read one by one."""
    try:
        rows = decode(data)
    except (msgspec.DecodeError, RecursionError):
        return None
    if len(rows) != data.count(b"\n"):
        return None
    numbers, times = [row.n for row in rows], [row.t for row in rows]  # half of the time of attrgetter
    if set(map(type, numbers)) != {int} or min(numbers) < 0 or max(numbers) >= _INT64:
        return None
    own: dict[str, list[Any]] = {NUMBER: numbers, SIM_TIME: times}
    return numbers, times, [own.get(name) or _values_of(rows, i) for i, name in enumerate(names)]


def _values_of(rows: list[Any], index: int) -> list[Any]:
    if index == 0:
        return [row.v0 for row in rows]
    if index == 1:
        return [row.v1 for row in rows]
    if index == 2:
        return [row.v2 for row in rows]
    return list(map(attrgetter(f"v{index}"), rows))


def _by_line(found: list[Line], names: list[str]) -> _Part:
    numbers, times = [line.n for line in found], [line.t_s for line in found]
    own: dict[str, list[Any]] = {NUMBER: numbers, SIM_TIME: times}
    return numbers, times, [own.get(name) or [line.data.get(name) for line in found] for name in names]


def _within(
    part: list[Sequence[Any]], times: list[Any], from_s: float | None, to_s: float | None
) -> list[Sequence[Any]]:
    if from_s is to_s is None:
        return part
    low, high = -float("inf") if from_s is None else from_s, float("inf") if to_s is None else to_s
    if low <= min(times) and max(times) <= high:
        return part
    kept = [low <= t_s <= high for t_s in times]
    return [list(itertools.compress(values, kept)) for values in part]


def _any_rows(
    tape: Tape, names: list[str], order: StreamOrder, tally: Tally, from_s: float | None, to_s: float | None
) -> Iterator[list[Sequence[Any]]]:
    """Yield the columns line by line: of a stream with several attempts or with numbers twice."""
    seen: set[int] = set()
    for block in _blocks(tape, tally):
        kept = []
        for line in trusted(block, tally.counts):
            if line.n in seen:
                tally.counts["repeated"] += 1
            elif order.replaced(line):
                tally.counts["replaced"] += 1
            else:
                kept.append(line)
            seen.add(line.n)
        if kept:
            _, times, part = _by_line(kept, names)
            yield _within(part, times, from_s, to_s)


def _decoder(names: list[str]) -> Any:
    """Return what decodes whole lines, and of them only these keys."""
    fields: list[Any] = [("t", float), ("n", Any, -1)]
    renamed = {"n": NUMBER, "t": SIM_TIME}
    for index, name in enumerate(names):
        if name not in (NUMBER, SIM_TIME):
            fields.append((f"v{index}", Any, None))
            renamed[f"v{index}"] = name
    kind = msgspec.defstruct("Row", fields, rename=renamed, gc=False)
    return msgspec.json.Decoder(kind).decode_lines


class Column:
    """One column as it grows: compact while all values are of one kind."""

    def __init__(self) -> None:
        self.any = False  # whether any record has a value
        self._kind = ""  # "" (none yet), "q" whole numbers, "d" numbers, "b" booleans, "v" vectors, "O" objects
        self._held: Any = None
        self._width = 0
        self._empty = 0  # rows without a value before the first one with a value
        self._flat = _NO_NUMBERS  # of the vectors that were looked at last
        self._texts: dict[str, str] = {}

    def extend(self, values: Sequence[Any]) -> None:
        """Add the values of the next rows."""
        kinds = set(map(type, values))
        kind = self._fitting(values, kinds)
        if kind == "":
            self._empty += len(values)
            return
        self.any = True
        if self._kind != kind:
            self._become(kind)
        if kind == _OBJECTS:
            known = self._texts
            self._held += map(known.setdefault, values, values) if kinds == {str} else values
        elif kind == "v":
            self._held += self._flat
            self._flat = _NO_NUMBERS
        else:
            self._held += array(kind, [_NAN if v is None else v for v in values] if type(None) in kinds else values)

    def _fitting(self, values: Sequence[Any], kinds: set[type]) -> str:
        """Return the kind that holds these values and those so far exactly."""
        kind = self._kind
        present = kinds - {type(None)}
        if not present:
            self._flat = array("d", [_NAN] * (self._width * len(values)))
            return {"q": "d", "b": _OBJECTS}.get(kind, kind) if self._doubles() else _OBJECTS
        nulls = len(kinds) > len(present) or (self._empty > 0 and not kind)
        if present == {int} and kind in ("", "q") and not nulls and _within_int64(values):
            return "q"
        if present <= {int, float} and kind in ("", "q", "d") and self._doubles() and _are_doubles(values, present):
            return "d"
        if present == {bool} and kind in ("", "b") and not nulls:
            return "b"
        if present == {list} and kind in ("", "v") and self._are_vectors(values, len(kinds) > 1):
            return "v"
        return _OBJECTS

    def _doubles(self) -> bool:
        return self._kind != "q" or _are_doubles(self._held, {int})

    def _are_vectors(self, values: Sequence[Any], nulls: bool) -> bool:
        lists = [v for v in values if v is not None] if nulls else values
        widths = set(map(len, lists))
        if len(widths) != 1 or 0 in widths or (self._kind == "v" and widths != {self._width}):
            return False
        (width,) = widths
        flat = list(
            itertools.chain.from_iterable([[None] * width if v is None else v for v in values] if nulls else values)
        )
        kinds = set(map(type, flat))
        if kinds != {float}:
            if not kinds <= {int, float, type(None)} or not _are_doubles(flat, kinds):
                return False
            flat = [_NAN if v is None else v for v in flat]
        self._width, self._flat = width, array("d", flat)
        return True

    def _become(self, kind: str) -> None:
        """Hold what is there as another kind."""
        before, held, empty = self._kind, self._held, self._empty
        if kind == _OBJECTS:
            self._held = [None] * empty if not before else _as_objects(before, held, self._width)
        elif kind == "v":
            self._held = array("d", [_NAN] * (empty * self._width))
        elif before:
            self._held = array(kind, held)
        else:
            self._held = array(kind, [_NAN] * empty if empty else [])
        self._kind = kind

    def finished(self) -> Any:
        """Return the column as an array of numpy, or else as an array or a list."""
        kind = self._kind or _OBJECTS
        held: Any = self._held if self._kind else [None] * self._empty
        try:
            import numpy
        except ModuleNotFoundError:
            return _without_numpy(kind, held, self._width)
        if kind == _OBJECTS:
            objects = numpy.empty(len(held), object)
            objects[:] = held
            return objects
        if kind == "v":
            return numpy.frombuffer(held, numpy.float64).reshape(-1, self._width)
        return numpy.frombuffer(held, {"q": numpy.int64, "d": numpy.float64, "b": numpy.bool_}[kind])


def _without_numpy(kind: str, held: Any, width: int) -> Any:
    if kind == "v":
        return [list(held[first : first + width]) for first in range(0, len(held), width)]
    return [bool(v) for v in held] if kind == "b" else held


def _as_objects(kind: str, held: Any, width: int) -> list[Any]:
    plain = [None if v != v else v for v in held]
    if kind == "b":
        return [bool(v) for v in plain]
    if kind == "v":
        return [_vector(plain[first : first + width]) for first in range(0, len(plain), width)]
    return plain


def _vector(values: list[Any]) -> list[Any] | None:
    return None if all(v is None for v in values) else values


def _within_int64(values: Iterable[Any]) -> bool:
    return all(-_INT64 <= value < _INT64 for value in values)


def _are_doubles(values: Iterable[Any], kinds: set[type]) -> bool:
    """Whether each whole number among numbers is exact as float64."""
    return int not in kinds or all(type(v) is not int or -_EXACT <= v <= _EXACT for v in values)
