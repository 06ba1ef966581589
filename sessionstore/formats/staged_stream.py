"""A stream of a session that is being imported: lines are formatted as any stream's and written in large pieces.

The session has no name yet, so no other writer and no reader exists: no lock, no tail to look at, one sync at the end.
Not here: streams of sessions that exist (session.stream_writer), what a line looks like (session.stream_line).
"""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from operator import le
from pathlib import Path
from typing import Any

import msgspec

from sessionstore.disk import files
from sessionstore.errors import TimeOrderError
from sessionstore.session.stream_line import NUMBER, OWN_KEYS, SIM_TIME, line_bytes
from sessionstore.session.stream_order import StreamOrder
from sessionstore.session.stream_record import payload_of

#: One stream keeps no more in memory; hundreds of topics are usual.
_CHUNK_BYTES = 1 << 18
_ROWS_AT_ONCE = 512  # their lines stay in the processor's cache
_LINE = b'%b,"c":"%08x"}\n'
_LONG_LINE = 1 << 19
_encode_lines = msgspec.json.Encoder().encode_lines


@lru_cache(maxsize=1024)
def _row_type(names: tuple[str, ...]) -> Any:
    """Return a struct of number, sim_time and the named fields, as a line has them; None for names it cannot have."""
    if not OWN_KEYS.isdisjoint(names) or "nan" in names or len(set(names)) < len(names):
        return None
    if any(each < " " or each in '\\"' for name in names for each in name):
        return None
    fields = ["number", "moment", *(f"field{index}" for index in range(len(names)))]
    labels = dict(zip(fields, (NUMBER, SIM_TIME, *names), strict=True))
    return msgspec.defstruct("Row", fields, rename=labels, gc=False)


def _not_finite(row: Iterable[Any]) -> int:
    """Return how many numbers of a row are not finite; they are stored as null."""
    count = 0
    for value in row:
        if type(value) is float:
            count += not math.isfinite(value)
        elif type(value) is list:
            count += _not_finite(value)
    return count


class StagedStream:
    """Appends records to a new file; with no path it checks them and writes nothing."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.count, self.latest_s = path, 0, -math.inf
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._order = StreamOrder()
        self._order_text = b""

    def append(self, record: Mapping[str, Any], t_s: float | None = None) -> None:
        """Store one record; without a sim_time it has the latest one. Raises: InvalidRecord, TimeOrderError."""
        self.append_payload(payload_of(record), self.latest_or_zero if t_s is None else t_s)

    def extend(self, records: Iterable[Mapping[str, Any]], t_s: float | None = None) -> None:
        """Store records of one moment. Raises: as :meth:`append`; what is refused leaves none of them."""
        time_s = self.latest_or_zero if t_s is None else t_s
        for payload in [payload_of(record) for record in records]:
            self.append_payload(payload, time_s)

    def append_payload(self, payload: bytes, t_s: float) -> None:
        """Store a record that is encoded already. Raises: TimeOrderError: the sim_time is not finite."""
        time_s = float(t_s)
        if not math.isfinite(time_s):
            raise TimeOrderError(f"the sim_time {time_s} is not a finite number")
        if time_s < self.latest_s or self._order_text:
            self._take_out_of_order(time_s)
        elif not self.count:
            self._order.take(time_s)
        if time_s > self.latest_s:
            self.latest_s = time_s
        line = line_bytes(payload, self.count, repr(time_s).encode(), self._order_text)
        self.count += 1
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        if self._waiting_bytes >= _CHUNK_BYTES:
            self._write()

    def extend_rows(self, names: Sequence[str], rows: Iterable[Sequence[Any]], times_s: Sequence[float]) -> int:
        """Store the rows of a table of JSON's own types, and return their number. Raises: as :meth:`extend_columns`."""
        pairs = zip(times_s, rows, strict=True)
        while part := list(islice(pairs, _ROWS_AT_ONCE)):
            columns = list(zip(*(row for _, row in part), strict=True))
            self.extend_columns(names, columns, [t_s for t_s, _ in part])
        return len(times_s)

    def extend_columns(
        self, names: Sequence[str], columns: Sequence[Sequence[Any]], times_s: Sequence[float], finite: bool = False
    ) -> int:
        """Store a table of JSON's own types by its columns, and return the number of rows; far faster than ``append``.

        Args:
            columns: as long as ``times_s``; ``msgspec.UNSET`` where a record lacks the field.
            finite: there is no NaN and no infinity in it.

        Raises: as :meth:`append`; rows before the one that is refused are stored.
        """
        made = _row_type(tuple(names))
        for first in range(0, len(times_s), _ROWS_AT_ONCE):
            part = slice(first, first + _ROWS_AT_ONCE)
            moments, cut = times_s[part], [column[part] for column in columns]
            if made is None or not self._in_order(moments) or not self._put(made, cut, moments, finite):
                for t_s, *row in zip(moments, *cut, strict=True):
                    record = zip(names, row, strict=True)
                    self.append({name: value for name, value in record if value is not msgspec.UNSET}, t_s)
        return len(times_s)

    def _in_order(self, moments: Sequence[float]) -> bool:
        if self._order_text or moments[0] < self.latest_s or not math.isfinite(sum(moments)):
            return False
        return all(map(le, moments, moments[1:]))

    def _put(self, made: Any, columns: list[Sequence[Any]], moments: Sequence[float], finite: bool) -> bool:
        """Format lines whose number and sim_time are the first fields of one struct; False: a line is too long for it.

        They are encoded in one call and get their checksums in another: work for each line would take twice as long.
        """
        count = len(moments)
        text = _encode_lines(list(map(made, range(self.count, self.count + count), moments, *columns)))
        heads = text.split(b"}\n")  # a text within a line holds no line end
        heads.pop()
        if len(text) > _LONG_LINE and max(map(len, heads)) > _LONG_LINE:
            return False
        if not finite and b"null" in text:
            for number, head in enumerate(heads):
                if b"null" in head and (missing := _not_finite(column[number] for column in columns)):
                    heads[number] = b'%b,"nan":%d' % (head, missing)
        if not self.count:
            self._order.take(moments[0])
        pairs: list[Any] = [None] * (2 * count)
        pairs[::2], pairs[1::2] = heads, map(zlib.crc32, heads)
        lines = (_LINE * count) % tuple(pairs)
        self._waiting.append(lines)
        self._waiting_bytes += len(lines)
        self.count += count
        self.latest_s = moments[-1]
        if self._waiting_bytes >= _CHUNK_BYTES:
            self._write()
        return True

    @property
    def latest_or_zero(self) -> float:
        """The latest sim_time in seconds; 0 before the first record."""
        return self.latest_s if self.count else 0.0

    def flush(self, sync: bool = True) -> None:
        """Write all records; with ``sync`` they survive a power cut. Raises: StoreUnusable, OutcomeUnknown."""
        self._write(sync)

    def _take_out_of_order(self, t_s: float) -> None:
        if not self._order_text:
            self._order.take(self.latest_s)  # lines in order changed nothing else
        self._order.take(t_s)
        self._order_text = self._order.text()

    def _write(self, sync: bool = False) -> None:
        """Write what waits; the file is open meanwhile only, since a log may have more topics than descriptors."""
        if self.path is not None and self.count:
            with files.refusals(self.path):
                descriptor = files.open_to_append(self.path, durable=False)
                try:
                    files.write_all(descriptor, b"".join(self._waiting), self.path)
                    if sync:
                        files.sync_file(descriptor, self.path)
                finally:
                    os.close(descriptor)
        self._waiting, self._waiting_bytes = [], 0
