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
_ROWS_AT_ONCE = 4096
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
        """Store the rows of a table of JSON's own types, and return their number; several times as fast as ``append``.

        Raises: as :meth:`append`; rows before the one that is refused are stored.
        """
        pairs = zip(times_s, rows, strict=True)
        while part := list(islice(pairs, _ROWS_AT_ONCE)):
            moments = [t_s for t_s, _ in part]
            made = _row_type(tuple(names))
            if made is not None and self._in_order(moments):
                self._put_rows(made, names, part, moments)
            else:
                for t_s, row in part:
                    self.append(dict(zip(names, row, strict=True)), t_s)
        return len(times_s)

    def _in_order(self, moments: list[float]) -> bool:
        if self._order_text or moments[0] < self.latest_s or not math.isfinite(sum(map(abs, moments))):
            return False
        return all(map(le, moments, moments[1:]))

    def _put_rows(
        self, made: Any, names: Sequence[str], part: list[tuple[float, Sequence[Any]]], moments: list[float]
    ) -> None:
        """Format lines whose number and sim_time are the first fields of one struct, encoded in one call."""
        lines = _encode_lines([made(n, t_s, *row) for n, (t_s, row) in enumerate(part, self.count)]).split(b"\n")
        lines.pop()
        if not self.count:
            self._order.take(moments[0])
        crc32, waiting = zlib.crc32, self._waiting
        for line, (t_s, row) in zip(lines, part, strict=True):
            if len(line) > _LONG_LINE:
                self.append(dict(zip(names, row, strict=True)), t_s)
                continue
            head = line[:-1]
            if b"null" in line and (missing := _not_finite(row)):
                head = b'%b,"nan":%d' % (head, missing)
            waiting.append(b'%b,"c":"%08x"}\n' % (head, crc32(head)))
            self._waiting_bytes += len(head)
            self.count += 1
        self.latest_s = moments[-1]
        if self._waiting_bytes >= _CHUNK_BYTES:
            self._write()

    @property
    def latest_or_zero(self) -> float:
        """The latest sim_time in seconds; 0 before the first record."""
        return self.latest_s if self.count else 0.0

    def flush(self) -> None:
        """Return when all records survive a power cut. Raises: StoreUnusable, OutcomeUnknown."""
        self._write(sync=True)

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
