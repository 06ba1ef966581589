"""Which column of a table is what: the roles given by the user, and for all others the usual names, with their units.

What is guessed depends on the names and on the first rows, and is in the notes of the report. A table is long (a row is
one drone at one moment) or wide (``uav1_x,uav1_y,uav2_x,...``: a row is all drones at one moment).
Not here: names and units (roles, units), points (flight).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sessionstore.errors import InvalidQuery
from sessionstore.formats.tables import cells, roles, times, units
from sessionstore.formats.tables.mapping import Given
from sessionstore.formats.tables.mapping import Mapping as UserMap

Row = Mapping[str, Any]
#: The roles that each drone of a wide table has of its own.
_OF_A_DRONE = frozenset(
    role for role, kind in roles.KIND.items() if kind in ("length", "speed", "angle", "geographic", "fraction")
) | {"qx", "qy", "qz", "qw", "mode"}
_OF_A_ROW = ("utc", "drone", "message", "level", "step")
_LOCAL = (("x", "y"), ("east", "north"))
_LEAST_FULL_CIRCLE = 2 * math.pi * 1.02
_PLACES = frozenset(("x", "y", "z", "east", "north", "up", "down"))


@dataclass(frozen=True, slots=True)
class Column:
    """One column with a role: how many SI units one of its own is, and the words for that."""

    name: str
    scale: float = 1.0
    unit: str = ""


@dataclass(slots=True)
class Craft:
    """What a row holds of one drone; ``name`` None: the column of the drones says which."""

    name: str | None
    columns: dict[str, Column]

    def has(self, *names: str) -> bool:
        """Whether all these roles have a column."""
        return all(name in self.columns for name in names)

    @property
    def is_local(self) -> bool:
        """Whether it has positions in metres."""
        return any(self.has(*pair) for pair in _LOCAL)

    @property
    def has_position(self) -> bool:
        """Whether it has positions."""
        return self.is_local or self.has("lat", "lon")


@dataclass(slots=True)
class Plan:
    """The roles of the columns of one table."""

    crafts: list[Craft]
    time: times.TimeColumn | None
    one: dict[str, Column] = field(default_factory=dict)  # utc, drone, message, level, step, mode
    constant: dict[str, str] = field(default_factory=dict)
    frame: str = "enu"
    decimal: str = "."
    notes: list[str] = field(default_factory=list)
    repeated: set[str] = field(default_factory=set)  # columns that say the same as others

    def used(self) -> set[str]:
        """Return the columns that have a role."""
        found = {column.name for craft in self.crafts for column in craft.columns.values()}
        found |= {column.name for column in self.one.values()}
        found |= self.repeated
        return found | ({self.time.name} if self.time is not None and self.time.name else set())


def make(columns: Sequence[str], sample: Sequence[Row], given: UserMap) -> Plan:
    """Return which column is what.

    Args:
        columns: the names, in order. sample: the first rows, by column.

    Raises: InvalidQuery: a column that the map names is not there, or there is no time (with the columns).
    """
    return _Planner(columns, sample, given).plan()


class _Planner:
    def __init__(self, columns: Sequence[str], sample: Sequence[Row], given: UserMap) -> None:
        self._columns, self._sample, self._given = list(columns), sample, given
        self._decimal = given.decimal or "."
        self._bases = {"--": ("--", None), **{name: units.split(name) for name in columns}}
        self._notes: list[str] = []
        self._free = list(columns)

    def plan(self) -> Plan:
        alone, by_drone, constant = self._from_map()
        for column in [*alone.values(), *(each for craft in by_drone.values() for each in craft.values())]:
            if column in self._free:
                self._free.remove(column)
        self._guess(alone)
        self._drop_half_a_place(alone)
        if not by_drone and not self._complete(alone):
            by_drone = self._wide(alone)
        crafts = [Craft(name, self._scaled(found)) for name, found in by_drone.items()]
        of_a_row = (*_OF_A_ROW, "mode") if crafts else _OF_A_ROW
        shared = {role: name for role, name in alone.items() if role in _OF_A_DRONE}
        if not crafts:
            crafts = [Craft(None, self._scaled(shared))]
        crafts = [craft for craft in crafts if craft.has_position]
        self._keep_one_kind_of_place(crafts)
        one: dict[str, Column] = {role: Column(alone[role]) for role in of_a_row if role in alone}
        plan = Plan(crafts, self._time(alone), one, constant, self._frame(crafts), self._decimal, self._notes)
        plan.repeated = self._repeated(alone)
        self._describe(plan)
        return plan

    def _repeated(self, alone: Mapping[str, str]) -> set[str]:
        """Return what a table of a stream of ours has twice: the place as a list beside x, y, z; and row numbers."""
        found: set[str] = set()
        for axis, number in (("x", 0), ("y", 1), ("z", 2)):
            name, column = f"position.{number}", alone.get(axis)
            if name in self._columns and column is not None and self._numbers(name) == self._numbers(column):
                found.add(name)
        if found and self._columns[:2] == ["n", "sim_time"]:
            found.add("n")
        return found

    # ------------------------------------------------------------ what is given

    def _from_map(self) -> tuple[dict[str, str], dict[str, dict[str, str]], dict[str, str]]:
        alone: dict[str, str] = {}
        by_drone: dict[str, dict[str, str]] = {}
        constant: dict[str, str] = {}
        for role, given in self._given.roles.items():
            if given.constant:
                constant[role] = given.column
            elif "*" in given.column and given.column not in self._columns:
                for drone, column in self._matching(role, given):
                    by_drone.setdefault(drone, {})[role] = column
            elif not given.is_none:
                alone[role] = self._named(role, given)
        return alone, by_drone, constant

    def _named(self, role: str, given: Given) -> str:
        column = given.column
        if column in self._columns:
            return column
        for name in self._columns:
            if name.lower() == column.lower() or self._bases[name][0].lower() == column.lower():
                return name
        if column.isdecimal() and 1 <= int(column) <= len(self._columns):
            return self._columns[int(column) - 1]
        raise InvalidQuery(f"no column {column!r} for {role}; there are {_listed(self._columns)}")

    def _matching(self, role: str, given: Given) -> Iterable[tuple[str, str]]:
        pattern = re.compile("(.+)".join(re.escape(part) for part in given.column.split("*", 1)))
        found = [(match[1], name) for name in self._columns if (match := pattern.fullmatch(name))]
        if not found:
            raise InvalidQuery(f"no column fits {given.column!r} for {role}; there are {_listed(self._columns)}")
        return found

    # ------------------------------------------------------------ what is guessed

    def _guess(self, alone: dict[str, str]) -> None:
        by_base: dict[str, str] = {}
        for name in self._free:
            by_base.setdefault(roles.plain(self._bases[name][0]), name)
            by_base.setdefault(roles.plain(name), name)
        for role, names in roles.NAMES.items():
            if role in self._given.roles:
                continue
            for usual in names:
                if usual in roles.ANGLES_IN_A_LIST and "orientation_3" in by_base:
                    continue  # a quaternion
                column = by_base.get(usual)
                if column is not None and column in self._free and self._fits(role, column):
                    alone[role] = column
                    self._free.remove(column)
                    break

    def _drop_half_a_place(self, alone: dict[str, str]) -> None:
        """Give up a north without an east (``n`` is often a number of rows), and the reverse."""
        if not {"east", "north"} <= alone.keys():
            for role in ("east", "north", "up", "down"):
                if role not in self._given.roles and len(self._bases[alone.get(role, "--")][0]) == 1:
                    self._free.append(alone.pop(role))

    def _fits(self, role: str, column: str) -> bool:
        """Whether the first rows hold what a role needs, and the unit of the name is one of its units."""
        values = self._values(column)
        if role == "drone":
            distinct = {str(value) for value in values}
            usual = roles.plain(column) not in ("id", "name", "track", "hex")
            return bool(values) and (usual or len(distinct) <= max(1, len(values) // 2))
        if role in ("mode", "message", "level"):
            return not values or any(isinstance(value, str) for value in values) or role != "message"
        if role == "t":
            return times.kind_of(values, self._decimal) is not None
        if role == "utc":
            return times.kind_of(values, self._decimal) == "instant" or self._epoch(values)
        unit = self._bases[column][1]
        if unit is not None and roles.KIND[role] and units.factor(roles.KIND[role], unit) is None:
            return False
        return not values or all(cells.number(value, self._decimal) is not None for value in values[:20])

    def _epoch(self, values: list[Any]) -> bool:
        numbers = [found for value in values if (found := cells.number(value, self._decimal)) is not None]
        return bool(numbers) and times.epoch_ticks(numbers[0]) is not None

    def _values(self, column: str) -> list[Any]:
        return [value for row in self._sample if not cells.is_missing(value := row.get(column))]

    def _numbers(self, column: str) -> list[float | None]:
        return [cells.number(value, self._decimal) for value in self._values(column)]

    def _complete(self, alone: Mapping[str, str]) -> bool:
        return any(all(role in alone for role in pair) for pair in (*_LOCAL, ("lat", "lon")))

    def _wide(self, alone: dict[str, str]) -> dict[str, dict[str, str]]:
        """Return the columns of each drone in a wide table; a single group of neutral names joins the other columns."""
        groups: dict[str, dict[str, str]] = {}
        for name in self._free:
            found = self._split_role(name)
            if found is not None and found[1] not in self._given.roles and self._fits(found[1], name):
                groups.setdefault(found[0], {}).setdefault(found[1], name)
        neutral = {name for name in groups if roles.plain(name) in roles.NEUTRAL}
        for name in sorted(neutral):
            for role, column in groups.pop(name).items():
                alone.setdefault(role, column)
        if self._complete(alone):
            return {}
        return {name: found for name, found in groups.items() if self._complete(found)}

    def _split_role(self, column: str) -> tuple[str, str] | None:
        """Return the drone and the role in names like uav1_x, x_uav1, uav1.pos.x, x1."""
        base = self._bases[column][0]
        name = roles.plain(base)
        base = base[: len(name)]
        best: tuple[int, str, str] | None = None
        for usual, role in roles.ROLE_OF_NAME.items():
            if role not in _OF_A_DRONE or (best is not None and len(usual) <= best[0]):
                continue
            if name.endswith(f"_{usual}"):
                best = (len(usual), base[: -len(usual) - 1], role)
            elif name.startswith(f"{usual}_"):
                best = (len(usual), base[len(usual) + 1 :], role)
            elif re.fullmatch(rf"{re.escape(usual)}\d+", name):
                best = (len(usual), base[len(usual) :], role)
        return (best[1].strip("._/-[] "), best[2]) if best is not None and best[1].strip("._/-[] ") else None

    # ------------------------------------------------------------ units

    def _scaled(self, found: Mapping[str, str]) -> dict[str, Column]:
        return {role: self._column(role, name) for role, name in found.items()}

    def _column(self, role: str, name: str) -> Column:
        kind, given = roles.KIND[role], self._given.roles.get(role)
        unit = given.unit if given is not None and given.unit is not None else self._bases[name][1]
        scale = units.factor(kind, unit)
        if scale is not None:
            return Column(name, scale, str(unit))
        numbers = [each for v in self._values(name) if (each := cells.number(v, self._decimal)) is not None]
        largest = max(map(abs, numbers), default=0.0)
        if kind == "angle" and _in_degrees(role, numbers):
            return Column(name, math.pi / 180, "deg, guessed")
        if kind == "geographic" and largest > 360:
            return Column(name, 1e-7, "1e7, guessed")
        if role == "alt" and largest >= 1e4 and all(isinstance(each, int) for each in numbers):
            return Column(name, 0.001, "mm, guessed")  # as MAVLink and PX4 log it beside degrees of 1e-7
        if kind == "fraction" and largest > 1.5:
            return Column(name, 0.01, "%, guessed")
        si = {"length": "m", "speed": "m/s", "angle": "rad", "geographic": "deg", "fraction": "fraction"}.get(kind, "")
        return Column(name, 1.0, si)

    def _keep_one_kind_of_place(self, crafts: list[Craft]) -> None:
        """Leave one kind of position: what the user named, else metres (the place in degrees then gives the origin)."""
        wants_degrees = "lat" in self._given.roles and not _PLACES & self._given.roles.keys()
        for craft in crafts:
            if wants_degrees:
                for role in _PLACES:
                    craft.columns.pop(role, None)
            if craft.has("east", "north") and "x" not in self._given.roles:
                for role in ("x", "y"):
                    craft.columns.pop(role, None)

    def _frame(self, crafts: list[Craft]) -> str:
        if self._given.frame is not None:
            return self._given.frame
        local = [craft for craft in crafts if craft.is_local]
        if not local:
            return "wgs84" if crafts else "enu"
        if "xy_valid" in self._columns and "z_valid" in self._columns:
            self._notes.append("frame: x, y, z are north, east, down, guessed from the columns of PX4 (frame=enu: not)")
            return "ned"
        return "enu"

    # ------------------------------------------------------------ time

    def _time(self, alone: Mapping[str, str]) -> times.TimeColumn | None:
        given = self._given.roles.get("t")
        if self._given.rate_hz is not None:
            return times.TimeColumn("", "row", self._given.rate_hz)
        column = alone.get("t") or alone.get("utc")
        if column is None and given is None and "step" in alone:
            return times.TimeColumn(alone["step"], "number", 1.0, note="the number of the step")
        if column is None:
            raise InvalidQuery(
                "no column of times was found; name one with --map t=COLUMN, or give the rows a second with "
                f"--map rate=50; the columns are {_listed(self._columns)}"
            )
        unit = given.unit if given is not None and given.unit else self._bases[column][1]
        unit = unit or roles.UNIT_OF_NAME.get(roles.plain(column))
        found = times.of_column(column, self._values(column), unit, self._decimal, self._given.zone)
        if found is None:
            raise InvalidQuery(f"the column {column!r} holds no times (numbers, ISO 8601 or HH:MM:SS)")
        if found.is_naive and not self._given.zone_given:
            self._notes.append(f"zone: times of {column!r} have none; UTC is taken (zone=Europe/Berlin: another)")
        return found

    # ------------------------------------------------------------ the report

    def _describe(self, plan: Plan) -> None:
        parts = []
        if plan.time is not None:
            parts.append(f"t = {plan.time.describe()}")
        parts += [f"{role} = {column.name!r}" for role, column in plan.one.items()]
        for craft in plan.crafts[:4]:
            prefix = f"{craft.name}." if craft.name is not None else ""
            parts += [f"{prefix}{role} = {col.name!r} ({col.unit or '1'})" for role, col in craft.columns.items()]
        if len(plan.crafts) > 4:
            parts.append(f"... {len(plan.crafts)} drones")
        self._notes.insert(0, f"columns: {', '.join(parts)}")
        used = plan.used()
        if rest := [name for name in self._columns if name not in used]:
            self._notes.append(f"other columns, kept as they are: {_listed(rest)}")
        vertical = {"z", "up", "down", "alt"}
        if any(not vertical & craft.columns.keys() for craft in plan.crafts):
            self._notes.append("height: no column; 0 is taken (z=COLUMN)")


def _in_degrees(role: str, numbers: list[float]) -> bool:
    """Whether angles without a unit are degrees: beyond a full circle, and a heading unless it looks like radians."""
    if any(abs(each) > _LEAST_FULL_CIRCLE for each in numbers):
        return True
    return role == "heading" and all(float(each).is_integer() for each in numbers)


def _listed(columns: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in columns[:30])
    return shown + (f" and {len(columns) - 30} more" if len(columns) > 30 else "")
