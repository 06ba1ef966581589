"""A stream read for columns: chunks of some megabytes whose lines are all verified, parsed at once by Arrow.

A chunk in which every checksum is right and whose values Arrow holds exactly is parsed by Arrow; any other one is read
line by line, and what cannot be trusted is left out and counted by kind. Both give the same values.
Not here: verifying lines (session.verified_blocks), columns of a whole stream (analysis.streams).
"""

from __future__ import annotations

import io
import math
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import compute
from pyarrow import json as arrow_json

from sessionstore.analysis import column_types
from sessionstore.analysis.arrow_columns import inferred_array, text_array
from sessionstore.analysis.shapes import ShapeReader
from sessionstore.session import stream_source
from sessionstore.session.line_checksums import is_plain
from sessionstore.session.stream_line import CHECKSUM, NUMBER, SIM_TIME, Line
from sessionstore.session.stream_order import StreamOrder
from sessionstore.session.stream_reader import order_of_source
from sessionstore.session.stream_tail import tail_of
from sessionstore.session.verified_blocks import CHUNK_BYTES, Block, Tally, blocks, trusted

#: A stream of fewer bytes is parsed by Arrow where it is read: a thread and an engine would take longer to start.
SMALL_BYTES = 1 << 20
#: When a reading has to be done (time.monotonic()); set by who has to answer by then.
deadline_s: ContextVar[float] = ContextVar("deadline_s", default=math.inf)
_BLOCK_BYTES = 2 << 20  # what one thread of Arrow parses
_PART_BYTES = 1 << 17  # of a block with a line that needs a closer look: about what is read line by line for it


@dataclass(frozen=True, slots=True)
class Rules:
    """How a stream is read: columns that hold text, and whether numbers are compared with all earlier ones."""

    text: frozenset[str] = frozenset()
    numbers_repeat: bool = False

    def with_those_of(self, again: ReadAgain) -> Rules:
        """Return these rules and those that a reading found to be needed."""
        return Rules(self.text | again.rules.text, self.numbers_repeat or again.rules.numbers_repeat)


class OutOfTime(Exception):
    """The deadline has passed; what was read is not all."""


def check_time() -> None:
    """Raises: OutOfTime: the deadline has passed."""
    if time.monotonic() > deadline_s.get():
        raise OutOfTime


class ReadAgain(Exception):
    """The stream has to be read again from its start, by other rules."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self.rules = rules


@dataclass(slots=True)
class Chunk:
    """Records of one stretch in the order of arrival: numbers, sim_time in seconds, and a column for each key.

    ``mixed`` are the keys whose values, of several kinds, are held as text.
    """

    n: pa.Array
    t_s: pa.Array
    data: pa.Table
    mixed: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Gate:
    """Lets each number through once, and what a later attempt replaced not at all."""

    order: StreamOrder
    rules: Rules
    counts: Counter[str]
    last: int = -1
    seen: set[int] = field(default_factory=set)

    def lines(self, found: list[Line]) -> list[Line]:
        kept = []
        for line in found:
            if line.n <= self.last and not self.rules.numbers_repeat:
                raise ReadAgain(Rules(self.rules.text, True))
            if line.n in self.seen:
                self.counts["repeated"] += 1
            elif self.order.cuts and self.order.replaced(line):
                self.counts["replaced"] += 1
            else:
                if self.rules.numbers_repeat:
                    self.seen.add(line.n)
                kept.append(line)
            self.last = line.n
        return kept

    def chunk(self, found: Chunk) -> Chunk:
        n, t_s = found.n, found.t_s
        if n[0].as_py() <= self.last or compute.any(compute.less_equal(n[1:], n[:-1])).as_py():
            raise ReadAgain(Rules(self.rules.text, True))
        self.last = n[-1].as_py()
        if not self.order.cuts:
            return found
        gone = pa.repeat(pa.scalar(False), len(n))
        for cut in self.order.cuts:
            gone = compute.or_(gone, compute.and_(compute.less(n, cut.n), compute.greater_equal(t_s, cut.resume_at_s)))
        kept = compute.invert(gone)
        self.counts["replaced"] += compute.sum(gone).as_py() or 0
        return Chunk(n.filter(kept), t_s.filter(kept), found.data.filter(kept))


def chunks(path: Path, tally: Tally, rules: Rules, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
    """Yield the verified records of a stream; ``tally`` takes what is left out.

    Raises:
        ReadAgain: what was yielded is not to be used. OutOfTime: see :data:`deadline_s`.
        FileNotFoundError, UnsafeFile, StoreUnusable.
    """
    counts = tally.counts
    with stream_source.opened(path) as source:
        if source.pointer:
            counts["lfs-pointer"] += 1
        tail = tail_of(source)
        gate = _Gate(order_of_source(source, tail), rules, counts)
        for block, parsed in _parsed_ahead(blocks(source, chunk_bytes, tally), rules, source.size < SMALL_BYTES):
            check_time()
            chunk = gate.chunk(parsed) if parsed is not None else _chunk_of(gate.lines(trusted(block, counts)), rules)
            if len(chunk.n):
                yield chunk
        if tail.torn:
            counts["torn"] += 1


def _stretches(found: Iterator[Block]) -> Iterator[tuple[Block, bool]]:
    """Yield each block and whether it can be parsed at once; of one that cannot, parts, since most of them can."""
    for block in found:
        if is_plain(block):
            yield block, True
            continue
        for part in _parts_of(block):
            yield part, is_plain(part)


def _parts_of(block: Block) -> Iterator[Block]:
    start = 0
    while start < len(block.data):
        end = block.data.find(b"\n", start + _PART_BYTES) + 1 or len(block.data)
        yield Block(block.data[start:end], block.offset + start)
        start = end


def _parsed_ahead(blocks: Iterator[Block], rules: Rules, small: bool) -> Iterator[tuple[Block, Chunk | None]]:
    """Yield each block with what Arrow made of it: one is parsed in a thread while the next one is verified."""
    if rules.text or rules.numbers_repeat:
        yield from ((block, None) for block in blocks)
        return
    if small:
        yield from ((block, _parsed(block, None) if plain else None) for block, plain in _stretches(blocks))
        return
    shapes = ShapeReader()
    with ThreadPoolExecutor(1) as pool:
        waiting: tuple[Block, Future[Chunk | None] | None] | None = None
        for block, plain in _stretches(blocks):
            future = pool.submit(_parsed, block, shapes) if plain else None
            if waiting is not None:
                yield waiting[0], waiting[1].result() if waiting[1] is not None else None
            waiting = block, future
        if waiting is not None:
            yield waiting[0], waiting[1].result() if waiting[1] is not None else None


def _parsed(block: Block, shapes: ShapeReader | None) -> Chunk | None:
    """Return the records of a verified block; None where no column type holds them exactly."""
    table = shapes.table(block.data, block.lines, block.heads) if shapes is not None else None
    if table is None:
        table = _parsed_by_arrow(block)
    if table is None or table.num_rows != len(block.lines) or not {NUMBER, SIM_TIME} <= set(table.column_names):
        return None
    n, t_s = (_array(table[name]) for name in (NUMBER, SIM_TIME))
    if n.type != pa.int64() or n.null_count or t_s.null_count or not _is_number(t_s.type):
        return None
    if compute.min(n).as_py() < 0:
        return None
    return Chunk(n, t_s.cast(pa.float64(), safe=False), table.drop_columns([NUMBER, SIM_TIME]))


def _parsed_by_arrow(block: Block) -> pa.Table | None:
    if b"[null" in block.data or b",null" in block.data:
        return None  # Arrow's parser drops the null of a list
    try:
        table = _read_json(block, None)
        wanted = []
        for each in table.schema:
            kind = column_types.as_inferred(each.type)
            if kind is None:
                return None
            wanted.append(pa.field(each.name, kind))
        if (schema := pa.schema(wanted)) != table.schema:
            table = _read_json(block, schema)
    except pa.ArrowInvalid:  # values of several kinds in one column, a key twice, a number beyond all doubles
        return None
    table = table.combine_chunks()
    if CHECKSUM not in table.column_names or not all(column_types.is_exact(_array(each)) for each in table.columns):
        return None
    return table.drop_columns([CHECKSUM])


def _array(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _read_json(block: Block, schema: pa.Schema | None) -> pa.Table:
    longest = max(map(len, block.lines))
    size = _BLOCK_BYTES if longest < _BLOCK_BYTES // 4 else len(block.data) + 1
    return arrow_json.read_json(
        io.BytesIO(block.data),
        read_options=arrow_json.ReadOptions(block_size=size),
        parse_options=arrow_json.ParseOptions(explicit_schema=schema),
    )


def _chunk_of(lines: list[Line], rules: Rules) -> Chunk:
    keys = dict.fromkeys(key for line in lines for key in line.data)
    columns: dict[str, Any] = {}
    mixed = set()
    for key in keys:
        values = [line.data.get(key) for line in lines]
        columns[key] = text_array(values) if key in rules.text else inferred_array(values)
        if columns[key].type == pa.string() and not all(value is None or type(value) is str for value in values):
            mixed.add(key)
    return Chunk(
        pa.array([line.n for line in lines], pa.int64()),
        pa.array([line.t_s for line in lines], pa.float64()),
        pa.table(columns),
        frozenset(mixed),
    )
