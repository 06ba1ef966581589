"""Rows in groups: by a field, a key of metadata, a tag or the day they were made, with figures of each group.

A group names the filter that finds its sessions, so that a reader can go on from there. A session with several tags
stands in the group of each; one without the value stands in a group of its own.
Not here: which rows (store.find), the filter language (query).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from sessionstore.errors import InvalidQuery
from sessionstore.model.row import FILTER_ALIASES, FILTER_FIELDS, SessionRow
from sessionstore.query import MISSING, parse_path

#: The day (UTC) that a session was made on: a prefix of the instant, which the filter language takes as a period.
DAY = "day"
DEFAULT_FIGURES = ("duration_sim_s", "points", "distance_m", "windows_cleaned")
MAX_GROUPS = 1000
MOST_NAMED = 40
_EXACT = 1 << 53  # whole numbers up to here are exact as 64-bit floats
_Path = tuple[str, ...]


class Figure(msgspec.Struct):
    """A number over the sessions of a group that have it; NaN and what is no number do not count."""

    count: int = 0
    sum: float = 0.0
    min: float = math.inf
    max: float = -math.inf

    def add(self, value: Any) -> None:
        """Take in one value."""
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            self.count += 1
            self.sum += value
            self.min, self.max = min(self.min, float(value)), max(self.max, float(value))

    def to_dict(self) -> dict[str, Any] | None:
        """Return count, sum, mean, min and max; None when no session has the number."""
        if not self.count:
            return None
        return {
            "count": self.count,
            "sum": self.sum,
            "mean": self.sum / self.count,
            "min": self.min,
            "max": self.max,
        }


class Group(msgspec.Struct):
    """The sessions that share a value (None: they have none), the newest of them, and the filter that finds them."""

    value: Any
    where: str | None
    count: int = 0
    newest: str = ""
    statuses: Counter[str] = msgspec.field(default_factory=Counter)
    figures: dict[str, Figure] = msgspec.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "value": self.value,
            "where": self.where,
            "count": self.count,
            "newest": self.newest,
            "statuses": dict(sorted(self.statuses.items(), key=lambda item: (-item[1], item[0]))),
            "figures": {name: figure.to_dict() for name, figure in self.figures.items()},
        }


def grouped(
    rows: Iterable[SessionRow],
    by: str,
    of: Sequence[str] = DEFAULT_FIGURES,
    own: Sequence[Any] | None = None,
) -> list[Group]:
    """Return the groups, the largest first; the one without a value last.

    Args:
        by: a field of the filter language (``metadata.site``), ``tags``, or ``day``.
        of: numbers that are added up, each a field or a key of metadata.
        own: the value of each row where rows do not hold it (None: no value); the filter of a group of up to
            40 sessions names them, that of a larger one is None.

    Raises: InvalidQuery: a field that does not exist.
    """
    values = _values_of(by) if own is None else None
    figures = {name: path_of(name) for name in of}
    found: dict[str, Group] = {}
    for at, row in enumerate(rows):
        for value in values(row) if values else (own or ())[at : at + 1]:
            key = key_of(value)
            group = found.get(key)
            if group is None:
                where = where_of(by, value) if values else ""
                group = found[key] = Group(plain(value), where, figures={name: Figure() for name in of})
            group.count += 1
            if not values:
                group.where = _named(group, row)
            group.newest = max(group.newest, row.created_at)
            group.statuses[row.status] += 1
            for name, path in figures.items():
                group.figures[name].add(row.get(path))
    return in_order(list(found.values()))


def in_order(groups: list[Group]) -> list[Group]:
    """Return groups, the largest first; the one without a value last."""
    return sorted(groups, key=lambda one: (one.value is None, -one.count, str(one.value), key_of(one.value)))


def key_of(value: Any) -> str:
    """Return the key of a group: 5 and 5.0 are one, as in a filter; 1 and true are two."""
    return json.dumps(plain(value), sort_keys=True, default=str)


def plain(value: Any) -> Any:
    """Return a whole number as an int, any other value as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT else value


def path_of(name: str) -> _Path:
    """Return the path of a field or a key of metadata. Raises: InvalidQuery."""
    return parse_path(name, FILTER_FIELDS, FILTER_ALIASES)


def _values_of(by: str) -> Callable[[SessionRow], Sequence[Any]]:
    """Return what gives the values of a row."""
    if by == DAY:
        return lambda row: (row.created_at[:10],)
    path = path_of(by)
    if path == ("tags",):
        return lambda row: row.tags or (None,)

    def value(row: SessionRow) -> Sequence[Any]:
        found = row.get(path)
        return (None if found is MISSING else found,)

    return value


def _named(group: Group, row: SessionRow) -> str | None:
    """Return the filter that names the sessions of a group and one more; None once there are too many to name."""
    if group.where is None or group.count > MOST_NAMED:
        return None
    return f"{group.where}{' or ' if group.where else ''}{named([row.session_id])}"


def named(session_ids: Sequence[str]) -> str | None:
    """Return the filter that finds some sessions; None without any."""
    return " or ".join(f"session_id={json.dumps(each, ensure_ascii=False)}" for each in session_ids) or None


def where_of(by: str, value: Any) -> str | None:
    """Return the filter that finds the sessions of a group; None where none can: values that are no scalar."""
    value, several = plain(value), by != DAY and path_of(by) == ("tags",)
    text = "created_at" if by == DAY else "tags" if several else by
    if value is None:
        return 'not tags~""' if several else f"{text} is null"
    if isinstance(value, dict | list) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if by == DAY:
        return f"{text}={value}"
    return f"{text}={json.dumps(value, ensure_ascii=False)}"


def check_groups(groups: list[Group]) -> None:
    """Refuse more groups than a reader can use. Raises: InvalidQuery."""
    if len(groups) > MAX_GROUPS:
        raise InvalidQuery(
            f"{len(groups):,} groups; at most {MAX_GROUPS:,} are shown: choose another field, or a filter"
        )
