"""A stream of a session that is being imported: lines are formatted as any stream's and written in large pieces.

The session has no name yet, so no other writer and no reader exists: no lock, no tail to look at, one sync at the end.
Not here: streams of sessions that exist (session.stream_writer), what a line looks like (session.stream_line).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sessionstore.disk import files
from sessionstore.errors import TimeOrderError
from sessionstore.session.stream_line import line_bytes
from sessionstore.session.stream_order import StreamOrder
from sessionstore.session.stream_record import payload_of

#: One stream keeps no more in memory; hundreds of topics are usual.
_CHUNK_BYTES = 1 << 18


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
