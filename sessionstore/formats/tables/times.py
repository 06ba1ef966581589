"""The column of times: numbers in a unit (from 0, or since 1970), instants, or times of day; as sim_time.

Not here: which column it is (plan), cells (cells).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Literal

from sessionstore.formats.tables import cells, units

Kind = Literal["number", "instant", "clock", "row"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Seconds since 1970 between 2001 and 2096, in each unit.
_EPOCH_TICKS = tuple((ticks, 1e9 * ticks, 4e9 * ticks) for ticks in (1.0, 1e3, 1e6, 1e9))
#: The least usual step of whole numbers, for each unit: 50 samples a second in ms, 300 in us and ns.
_STEPS = ((3e6, 1e9, "ns"), (3e3, 1e6, "us"), (20.0, 1e3, "ms"))


@dataclass(slots=True)
class TimeColumn:
    """The times of a table.

    Attributes:
        ticks: units in a second.
        since_1970: whether numbers count from 1970.
    """

    name: str
    kind: Kind
    ticks: float = 1.0
    since_1970: bool = False
    note: str = ""
    decimal: str = "."
    zone: tzinfo = UTC
    is_naive: bool = False
    first: float | None = None
    rows: int = 0

    def seconds(self, cell: Any) -> float | None:
        """Return the sim_time of a row; None where the cell holds no time."""
        if self.kind == "row":
            self.rows += 1
            return (self.rows - 1) / self.ticks
        found = self._ticks_of(cell)
        if found is None:
            return None
        if self.first is None:
            self.first = found
        return round((found - self.first) / self.ticks, 9)

    def _ticks_of(self, cell: Any) -> float | None:
        if self.kind == "number":
            return cells.number(cell, self.decimal)
        if self.kind == "clock":
            return cells.clock_time(cell)
        found = cells.instant(cell, self.zone)
        return None if found is None else (found - _EPOCH) // timedelta(microseconds=1)

    def started(self) -> datetime | None:
        """Return the instant of sim_time 0, where the times say so."""
        if self.first is None or not (self.since_1970 or self.kind == "instant"):
            return None
        return instant_of(self.first, self.ticks)

    def describe(self) -> str:
        """Return the words of the report."""
        if self.kind == "row":
            return f"{self.ticks:g} rows a second"
        words = {"instant": "instants", "clock": "HH:MM:SS"}.get(self.kind, f"{_unit_of(self.ticks)}")
        since = " since 1970" if self.since_1970 else ""
        return f"{self.name!r} ({words}{since}{', ' + self.note if self.note else ''})"


def instant_of(number: float, ticks: float) -> datetime | None:
    """Return the instant of a number of ticks since 1970; None where no calendar has it."""
    try:
        return _EPOCH + timedelta(seconds=number / ticks)
    except (OverflowError, ValueError):
        return None


def _unit_of(ticks: float) -> str:
    return {1.0: "s", 1e3: "ms", 1e6: "us", 1e9: "ns"}.get(ticks, f"1/{ticks:g} s")


def epoch_ticks(number: float) -> float | None:
    """Return the ticks in a second with which a number is an instant between 2001 and 2096."""
    return next((ticks for ticks, low, high in _EPOCH_TICKS if low <= number < high), None)


def kind_of(values: list[Any], decimal: str) -> Kind | None:
    """Return what the first values of a column are; None where they are no times."""
    some = values[:20]
    if not some:
        return None
    if all(cells.number(value, decimal) is not None for value in some):
        return "number"
    if all(isinstance(value, datetime | date) or cells.instant(value) is not None for value in some):
        return "instant"
    return "clock" if all(isinstance(v, time) or cells.clock_time(v) is not None for v in some) else None


def of_column(name: str, values: list[Any], unit: str | None, decimal: str, zone: tzinfo) -> TimeColumn | None:
    """Return the times of a column, from its first values and its unit (None: guessed)."""
    kind = kind_of(values, decimal)
    if kind is None:
        return None
    if kind != "number":
        naive = kind == "instant" and not _has_zone(values[0])
        return TimeColumn(name, kind, 1e6 if kind == "instant" else 1.0, decimal=decimal, zone=zone, is_naive=naive)
    numbers = [found for value in values if (found := cells.number(value, decimal)) is not None]
    epoch, ticks = epoch_ticks(numbers[0]), units.factor("time", unit)
    if ticks is not None:
        return TimeColumn(name, kind, ticks, epoch_ticks(numbers[0]) == ticks, decimal=decimal)
    if epoch is not None:
        return TimeColumn(name, kind, epoch, True, "guessed from the size", decimal)
    return TimeColumn(name, kind, *_guessed(numbers), decimal=decimal)


def _guessed(numbers: list[float]) -> tuple[float, bool, str]:
    """Return ticks in a second from the usual step between whole numbers."""
    steps = sorted(b - a for a, b in itertools.pairwise(numbers) if b > a)
    if steps and all(isinstance(each, int) or float(each).is_integer() for each in numbers):
        step = steps[len(steps) // 2]
        for least, ticks, _ in _STEPS:
            if step >= least:
                return ticks, False, f"guessed from steps of {step:g}"
    return 1.0, False, ""


def _has_zone(value: Any) -> bool:
    if isinstance(value, datetime):
        return value.tzinfo is not None
    found = cells._instant_of(value.strip()) if isinstance(value, str) else None
    return found is not None and found.tzinfo is not None
