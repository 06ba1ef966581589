"""The clock of a run: sim_time in seconds from the start, and the UTC instant that each sim_time stands for.

A live run takes UTC from this machine. A flight that is imported takes it from its data: its start was given
(``started_at``), or its times are seconds since 1970 (``start="epoch"``), of which the first one becomes the start.
Not here: the stream of the clock (recorder), order of times (stream_writer).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sessionstore.errors import InvalidRecord, StoreUnusable, TimeOrderError
from sessionstore.model import json_text
from sessionstore.model.instants import instant, now_text
from sessionstore.session.full_disk import FullDiskWait
from sessionstore.session.stream_lease import LeasedWriter

#: ``zero``: times count from 0; ``epoch``: they are seconds since 1970; ``keep``: store even such times as they are.
Start = Literal["zero", "epoch", "keep"]
_EPOCH_S = (1e9, 4e9)  # from 2001 to 2096
#: Units in which other programs count from 1970, and how many of each are a second.
_UNITS = {"seconds": 1.0, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}


class RunClock:
    """Sim_time and UTC of one run.

    Args:
        start: what the times of the program count from.
        started_at: the UTC instant of sim_time 0, of a flight that was flown before; None: it is flown now.
        begun: called with the instant of the start, once it is known from the data.
    """

    def __init__(self, start: Start, started_at: str | None, begun: Callable[[str], None]) -> None:
        if start not in ("zero", "epoch", "keep"):
            raise InvalidRecord(f"the start is zero, epoch or keep, not {start!r}")
        self._start = start
        self._zero_s: float | None = None  # in epoch seconds
        self._started = None if started_at is None else instant(started_at)
        self._begun = begun

    def sim_time_s(self, t_s: Any) -> Any:
        """Return the sim_time of a time of the program.

        Raises: TimeOrderError: it looks like seconds since 1970, and ``start`` does not say so.
        """
        if type(t_s) is float and t_s < _EPOCH_S[0] and self._start == "zero":
            return t_s
        if t_s is None or self._start == "keep" or isinstance(t_s, bool) or not hasattr(t_s, "__float__"):
            return t_s
        if self._start == "epoch":
            if self._zero_s is None:
                started = _instant(t_s)
                self._begun(json_text.utc_text(started))  # first: when it is refused, the next time is the first one
                self._zero_s, self._started = float(t_s), started
            return round(float(t_s) - self._zero_s, 6)  # a float holds such seconds to 0.24 us
        if unit := _unit_of(t_s):
            day = datetime.fromtimestamp(float(t_s) / _UNITS[unit], UTC).strftime("%Y-%m-%d")
            divided = "" if unit == "seconds" else f", divided by {_UNITS[unit]:.0e}".replace("e+0", "e")
            raise TimeOrderError(
                f't_s={t_s!r} looks like {unit} since 1970 ({day}); is it? record(..., start="epoch") counts seconds '
                f'from the first one{divided}, start="keep" stores the number as it is'
            )
        return t_s

    def utc_text(self, sim_time_s: float) -> str:
        """Return the UTC instant of a sim_time: by the data of an imported flight, else now."""
        if self._started is None:
            return now_text()
        return json_text.utc_text(self._started + timedelta(seconds=sim_time_s))

    @property
    def is_imported(self) -> bool:
        """Whether the instants come from the data."""
        return self._started is not None


def _unit_of(t_s: Any) -> str | None:
    """Return the unit in which a time looks like one since 1970."""
    number = float(t_s)
    return next((unit for unit, each in _UNITS.items() if _EPOCH_S[0] <= number / each <= _EPOCH_S[1]), None)


def _instant(t_s: Any) -> datetime:
    """Return the instant of a time in seconds since 1970. Raises: TimeOrderError: of another unit, or none at all."""
    unit = _unit_of(t_s)
    if unit not in (None, "seconds"):
        raise TimeOrderError(f"t_s={t_s!r} looks like {unit} since 1970; divide it by {_UNITS[str(unit)]:.0f}")
    try:
        return datetime.fromtimestamp(float(t_s), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise TimeOrderError(f"t_s={t_s!r} is not an instant in seconds since 1970: {error}") from error


class RunWriter(LeasedWriter):
    """A stream of a run: times of the program become sim_time, and a full disk is waited for (full_disk)."""

    clock: RunClock
    full_disk: FullDiskWait

    def append(self, record: Mapping[str, Any], t_s: float | None = None, at_least_s: float = -math.inf) -> None:
        """Store one record; see :meth:`LeasedWriter.append`."""
        sim_time_s = self.clock.sim_time_s(t_s)
        try:
            super().append(record, sim_time_s, at_least_s)
        except StoreUnusable as error:
            write = super().append
            self.full_disk.again(self.path.name, error, lambda: write(record, sim_time_s, at_least_s))
        if self.full_disk.refused:
            self.full_disk.stored(self.path.name)

    def extend(self, records: Iterable[Mapping[str, Any]], t_s: float | None = None) -> None:
        """Store many records of one moment; see :meth:`StreamWriter.extend`."""
        kept, sim_time_s, write = list(records), self.clock.sim_time_s(t_s), super().extend
        self.full_disk.call(self.path.name, lambda: write(kept, sim_time_s))

    def mark(self, content: Mapping[str, Any]) -> None:
        """Store a line that is not a record; see :meth:`StreamWriter.mark`."""
        write = super().mark
        self.full_disk.call(self.path.name, lambda: write(content))
