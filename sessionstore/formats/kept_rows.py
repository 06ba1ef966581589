"""Rows of one type of numpy, kept until all of a log was read: on disk beyond a few megabytes, and given back by time.

Not here: which rows are kept (ulog_flight).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

_IN_MEMORY = 4 << 20
_AT_ONCE = 8192
Rows = npt.NDArray[np.void]


class KeptRows:
    """Rows in the order of their field ``t``; rows that came in order are never in memory together.

    Args:
        fields: the type of a row: ``t`` is a time in microseconds.
    """

    def __init__(self, fields: list[tuple[Any, ...]]) -> None:
        self.dtype = np.dtype(fields)
        self.count = 0
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  # until close
        self._latest = 0
        self._in_order = True

    def append(self, rows: Rows) -> None:
        """Add rows."""
        if not len(rows):
            return
        times = rows["t"]
        self._in_order = self._in_order and int(times[0]) >= self._latest and bool(np.all(times[1:] >= times[:-1]))
        self._latest = max(self._latest, int(times.max()))
        self._file.write(rows.tobytes())
        self.count += len(rows)

    def blocks(self) -> Iterator[Rows]:
        """Yield all rows by time, those of one time as they came."""
        self._file.seek(0)
        if not self._in_order:
            rows = np.frombuffer(self._file.read(), self.dtype)
            rows = rows[np.argsort(rows["t"], kind="stable")]
            yield from (rows[first : first + _AT_ONCE] for first in range(0, len(rows), _AT_ONCE))
            return
        while part := self._file.read(_AT_ONCE * self.dtype.itemsize):
            yield np.frombuffer(part, self.dtype)

    def close(self) -> None:
        """Give the memory and the file back."""
        self._file.close()


class Latest:
    """The latest row at a moment; the moments that are asked for never go back."""

    def __init__(self, rows: KeptRows) -> None:
        self._blocks = rows.blocks()
        self._window: Rows = np.zeros(0, rows.dtype)
        self._is_whole = False

    def at(self, times: npt.NDArray[np.uint64]) -> tuple[Rows, npt.NDArray[np.bool_]]:
        """Return the row at each moment, and whether there is one; ``times`` are in order."""
        while not self._is_whole and (not len(self._window) or self._window["t"][-1] <= times[-1]):
            following = next(self._blocks, None)
            if following is None:
                self._is_whole = True
            else:
                before = max(int(np.searchsorted(self._window["t"], times[0], "right")) - 1, 0)
                self._window = np.concatenate([self._window[before:], following])
        if not len(self._window):
            return np.zeros(len(times), self._window.dtype), np.zeros(len(times), bool)
        found = np.searchsorted(self._window["t"], times, "right") - 1
        return self._window[np.maximum(found, 0)], found >= 0
