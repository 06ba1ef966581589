"""What the user gives with ``--map``: roles of columns, their units, and settings of the file.

    t=time_ms:ms,x=px:ft,y=py:ft,drone=id        a role, a column, a unit behind a colon
    x=*_px,y=*_py                                a drone for each name that * stands for
    t=1,x=2,y=3,z=4                              columns by number, from 1
    battery=-                                    no column has this role
    drone='uav-1'                                a value in place of a column
    frame=ned,zone=Europe/Berlin,rate=50,delimiter=;,decimal=comma,encoding=cp1252

Not here: the roles (roles), what is guessed for roles that are not given (plan).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sessionstore.errors import InvalidQuery
from sessionstore.formats.tables import roles, units

_NAMED = {"comma": ",", "point": ".", "dot": ".", "tab": "\t", "semicolon": ";", "space": " ", "pipe": "|"}


@dataclass(frozen=True, slots=True)
class Given:
    """One column that the user named: its name or pattern, and its unit."""

    column: str
    unit: str | None = None
    constant: bool = False

    @property
    def is_none(self) -> bool:
        """Whether no column has the role."""
        return self.column == "-" and not self.constant


@dataclass(slots=True)
class Mapping:
    """The roles and settings that were given."""

    roles: dict[str, Given] = field(default_factory=dict)
    frame: str | None = None
    zone: tzinfo = UTC
    zone_given: bool = False
    rate_hz: float | None = None
    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None


def parse(text: str | None) -> Mapping:
    """Return what a map says. Raises: InvalidQuery: it cannot be understood, with what it may hold."""
    found = Mapping()
    for part in _parts(text or ""):
        role, equals, column = (each.strip() for each in part.partition("="))
        if not equals or (not column and role != "delimiter"):
            raise InvalidQuery(f"a map is ROLE=COLUMN[:UNIT],..., not {part!r}")
        if role in roles.SETTINGS:
            _set(found, role, column)
        elif role in roles.KIND:
            found.roles[role] = _given(role, column)
        else:
            raise InvalidQuery(f"no role {role!r} in a map; there are {', '.join((*roles.KIND, *roles.SETTINGS))}")
    return found


def _parts(text: str) -> list[str]:
    """Split at commas; a part that holds one is in double quotes, and ``decimal=,`` is taken as it is meant."""
    if not text.strip():
        return []
    text = text.replace("decimal=,", "decimal=comma").replace("delimiter=,", "delimiter=comma")
    return [part for part in next(csv.reader([text], skipinitialspace=True)) if part.strip()]


def _given(role: str, column: str) -> Given:
    if len(column) > 1 and column[0] == column[-1] == "'":
        if role not in ("drone", "mode"):
            raise InvalidQuery(f"only drone and mode take a value in quotes, not {role}")
        return Given(column[1:-1], constant=True)
    name, colon, unit = column.rpartition(":")
    kind = roles.KIND[role]
    if colon and name and unit.lower() in units.ALL:
        if units.factor(kind, unit) is None:
            raise InvalidQuery(
                f"{role} cannot be in {unit}; its units are {', '.join(units.KINDS.get(kind, ('none',)))}"
            )
        return Given(name, unit.lower())
    return Given(column)


def _set(found: Mapping, name: str, value: str) -> None:
    if name == "frame":
        if value not in ("enu", "ned"):
            raise InvalidQuery(f"frame is enu or ned, not {value!r}")
        found.frame = value
    elif name == "zone":
        try:
            found.zone, found.zone_given = ZoneInfo(value), True
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise InvalidQuery(f"no time zone {value!r}") from error
    elif name == "rate":
        try:
            found.rate_hz = float(value.removesuffix("Hz"))
        except ValueError:
            found.rate_hz = 0.0
        if not 0 < found.rate_hz < 1e9:
            raise InvalidQuery(f"rate is the number of rows a second, not {value!r}")
    else:
        mark = _NAMED.get(value, value)
        if name == "decimal" and mark not in (",", "."):
            raise InvalidQuery(f"decimal is comma or point, not {value!r}")
        if name == "delimiter" and len(mark) != 1:
            raise InvalidQuery(f"a delimiter is one character, not {value!r}")
        setattr(found, name, mark)
