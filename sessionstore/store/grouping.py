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
            self.min, self.max = min(self.min, value), max(self.max, value)

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
            "statuses": dict(self.statuses.most_common()),
            "figures": {name: figure.to_dict() for name, figure in self.figures.items()},
        }


def grouped(rows: Iterable[SessionRow], by: str, of: Sequence[str] = DEFAULT_FIGURES) -> list[Group]:
    """Return the groups, the largest first; the one without a value last.

    Args:
        by: a field of the filter language (``metadata.site``), ``tags``, or ``day``.
        of: numbers that are added up, each a field or a key of metadata.

    Raises: InvalidQuery: a field that does not exist.
    """
    values, text = _values_of(by)
    figures = {name: _path(name) for name in of}
    found: dict[str, Group] = {}
    for row in rows:
        for value in values(row):
            key = json.dumps(value, sort_keys=True, default=str)
            group = found.get(key)
            if group is None:
                group = found[key] = Group(value, _where(by, text, value), figures={name: Figure() for name in of})
            group.count += 1
            group.newest = max(group.newest, row.created_at)
            group.statuses[row.status] += 1
            for name, path in figures.items():
                group.figures[name].add(row.get(path))
    return sorted(found.values(), key=lambda group: (group.value is None, -group.count, str(group.value)))


def _path(name: str) -> _Path:
    return parse_path(name, FILTER_FIELDS, FILTER_ALIASES)


def _values_of(by: str) -> tuple[Callable[[SessionRow], Sequence[Any]], str]:
    """Return what gives the values of a row, and the field as a filter names it."""
    if by == DAY:
        return (lambda row: (row.created_at[:10],)), "created_at"
    path = _path(by)
    if path == ("tags",):
        return (lambda row: row.tags or (None,)), "tags"

    def value(row: SessionRow) -> Sequence[Any]:
        found = row.get(path)
        return (None if found is MISSING else found,)

    return value, by


def _where(by: str, text: str, value: Any) -> str | None:
    """Return the filter that finds the sessions of a group; None where none can: values that are no scalar."""
    if value is None:
        return 'not tags~""' if text == "tags" else f"{text} is null"
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
