"""Rows of a table by blocks: columns are read, turned and stored together, several times as fast as row by row.

A block in which any cell needs a closer look (no number where one belongs, a row without a position) is taken row by
row, before anything of it was stored.
Not here: what a single row becomes (flight).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import UNSET

from sessionstore.errors import InvalidRecord
from sessionstore.formats.tables import cells
from sessionstore.formats.tables.flight import TableFlight
from sessionstore.formats.tables.plan import Craft, Row
from sessionstore.formats.tables.times import TimeColumn

AT_ONCE = 1024
_MOST_INT = 1 << 63
_MOST_TEXT = 1 << 18
_PLAIN = frozenset((int, float, bool, str))


class _CloserLook(Exception):
    """A cell of the block is not of the usual kind."""


class BlockFlight(TableFlight):
    """Takes rows by blocks."""

    def take_many(self, rows: Sequence[tuple[int, Row]]) -> None:
        """Store rows, as :meth:`take` does one by one."""
        try:
            store = self._block([row for _, row in rows])
        except (_CloserLook, InvalidRecord, ValueError, OverflowError):
            for line, row in rows:
                self.take(row, line)
        else:
            store()

    def _block(self, rows: list[Row]) -> Callable[[], None]:
        """Return what stores rows. Raises: _CloserLook and others: nothing was stored, they are taken one by one."""
        names = rows[0].keys()
        if any(row.keys() != names for row in rows):
            raise _CloserLook
        clock = self._plan.time
        first = clock.first if clock is not None else None
        times = _times(clock, rows)
        drones = [self._drone(row) for row in rows]
        try:
            crafts = [self._points_of(craft, rows, drones) for craft in self._plan.crafts]
            others = self._other_columns(rows, drones)
        except Exception:
            if clock is not None:
                clock.first = first
            raise
        return lambda: self._store(rows, times, drones, crafts, others)

    def _store(
        self,
        rows: list[Row],
        times: list[float],
        drones: list[str],
        crafts: list[dict[str, list[Any]]],
        others: dict[str, list[Any]],
    ) -> None:
        if crafts:
            wide = len(crafts)
            points = {key: _interleaved([craft[key] for craft in crafts]) for key in crafts[0]}
            moments = times if wide == 1 else [t_s for t_s in times for _ in crafts]
            self._into.points(points.pop("drone"), moments, points.pop("position"), points.pop("velocity"), **points)
            self.points += len(moments)
            self._report.count("rows", len(rows), len(moments))
        if others:
            self._into.stream(self._rest).extend_columns(list(others), list(others.values()), times)
            self._report.count("other columns", len(rows), len(rows), self._rest)
        has_modes = "mode" in self._plan.one or any("mode" in craft.columns for craft in self._plan.crafts)
        for row, t_s, drone in zip(rows, times, drones, strict=True):
            if has_modes:
                self._mode(row, t_s, drone)
            if "message" in self._plan.one:
                self._message(row, t_s)
            self._tick(row, t_s)

    # ------------------------------------------------------------ columns

    def _points_of(self, craft: Craft, rows: list[Row], drones: list[str]) -> dict[str, list[Any]]:
        """Return the columns of the points of a drone or of a drone in each row."""
        found: dict[str, list[Any]] = {"drone": [craft.name] * len(rows) if craft.name else drones}
        plain = self._plan.frame == "enu" and craft.is_local
        if plain and self._origin is None and craft.has("lat", "lon"):
            plain = False
        if plain and craft.has("x", "y", "z"):
            found["position"] = self._vectors(craft, rows, ("x", "y", "z"))
        else:
            positions = [self._position(craft, row) for row in rows]
            found["position"] = [list(_there(position)) for position in positions]
        if plain and craft.has("vx", "vy", "vz") and not craft.has("ve", "vn"):
            found["velocity"] = self._vectors(craft, rows, ("vx", "vy", "vz"))
        else:
            found["velocity"] = _columns_of_vectors(self._velocity(craft, row) for row in rows)
        turned = any(name in craft.columns for name in ("qx", "roll", "pitch", "yaw", "heading"))
        angles = (self._orientation(craft, row) for row in rows) if turned else (None for _ in rows)
        found["orientation"] = _columns_of_vectors(angles)
        charges: list[Any] = [UNSET] * len(rows)
        if "battery" in craft.columns:
            given = [self._number(craft, row, "battery") for row in rows]
            charges = [min(each, 1.0) if each is not None and 0 <= each <= 1.0001 else UNSET for each in given]
        found["battery"] = charges
        modes: list[Any] = [UNSET] * len(rows)
        if "mode" in craft.columns:
            texts = [self._text(row, craft.columns["mode"].name) for row in rows]
            modes = [UNSET if text is None else text for text in texts]
            _check_texts(each for each in texts if each is not None)
        found["mode"] = modes
        _check_texts(found["drone"])
        return found

    def _vectors(self, craft: Craft, rows: list[Row], roles: tuple[str, ...]) -> list[list[float]]:
        axes = []
        for role in roles:
            column = craft.columns[role]
            numbers = _numbers([row[column.name] for row in rows], self._plan.decimal)
            axes.append([float(each) * column.scale for each in numbers])
        return list(map(list, zip(*axes, strict=True)))

    def _other_columns(self, rows: list[Row], drones: list[str]) -> dict[str, list[Any]]:
        """Return the columns without a role, as :meth:`_others` makes a record of each row."""
        plan, decimal = self._plan, self._plan.decimal
        names = [name for name in rows[0] if name not in self._used]
        found = {str(name): _values([row[name] for row in rows], decimal) for name in names}
        if not found:
            return {}
        if any(all(column[number] is UNSET for column in found.values()) for number in range(len(rows))):
            raise _CloserLook
        if (step := plan.one.get("step")) is not None:
            found["step"] = _values([row.get(step.name) for row in rows], decimal)
        if plan.one.get("drone") is not None or (plan.crafts and "drone" not in found):
            if "drone" in found:
                raise _CloserLook
            found = {"drone": drones, **found}
        return found


def _times(clock: TimeColumn | None, rows: list[Row]) -> list[float]:
    if clock is None or clock.kind != "number":
        raise _CloserLook
    numbers = _numbers([row[clock.name] for row in rows], clock.decimal)
    if clock.first is None:
        clock.first = numbers[0]
    first, ticks = clock.first, clock.ticks
    return [round((number - first) / ticks, 9) for number in numbers]


def _numbers(column: list[Any], decimal: str) -> list[float]:
    """Return the numbers of a column, ints where they are written as ints. Raises: _CloserLook: one is none."""
    if decimal == "." and set(map(type, column)) == {str}:
        texts = list(map(str.strip, column))
        try:
            found: list[float] = [int(t) if t.isdecimal() or _is_signed_int(t) else float(t) for t in texts]
        except ValueError as error:
            raise _CloserLook from error
        if "_" in "".join(texts):
            raise _CloserLook
    else:
        found = [number for cell in column if (number := cells.number(cell, decimal)) is not None]
    if len(found) < len(column) or not math.isfinite(sum(found)) or max(map(abs, found)) >= _MOST_INT:
        raise _CloserLook
    return found


def _is_signed_int(text: str) -> bool:
    return text[:1] in ("-", "+") and text[1:].isdecimal()


def _values(column: list[Any], decimal: str) -> list[Any]:
    """Return the values of a column, UNSET for nothing. Raises: _CloserLook: a kind that JSON has not."""
    try:
        return list(_numbers(column, decimal)) if type(column[0]) is str else _checked(column, decimal)
    except _CloserLook:
        return _checked(column, decimal)


def _checked(column: list[Any], decimal: str) -> list[Any]:
    values = [cells.value(cell, decimal) for cell in column]
    kinds = set(map(type, values))
    if not kinds <= _PLAIN | {type(None)}:
        raise _CloserLook
    if any(type(value) is int and abs(value) >= _MOST_INT for value in values):
        raise _CloserLook
    if str in kinds:
        _check_texts(value for value in values if type(value) is str)
    return [UNSET if value is None else value for value in values]


def _check_texts(texts: Iterable[str]) -> None:
    """Raise _CloserLook or UnicodeEncodeError for texts that no line holds as they are."""
    if len("".join(texts).encode()) > _MOST_TEXT:
        raise _CloserLook


def _there(vector: Sequence[float] | None) -> Sequence[float]:
    if vector is None or not all(map(math.isfinite, vector)):
        raise _CloserLook
    return vector


def _columns_of_vectors(vectors: Iterable[Sequence[float] | None]) -> list[Any]:
    return [UNSET if vector is None else list(_there(vector)) for vector in vectors]


def _interleaved(columns: list[list[Any]]) -> list[Any]:
    return columns[0] if len(columns) == 1 else [value for row in zip(*columns, strict=True) for value in row]
