"""The columns of ``list``: one table of names, fields and forms.

A column is one of :data:`COLUMNS` or :data:`MORE`, a field of a row, or ``metadata.KEY``.
Not here: filters and sorting (query, index.filtering), layout (cli.text).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sessionstore.cli import text
from sessionstore.errors import InvalidQuery
from sessionstore.query import MISSING, Path, parse_path

if TYPE_CHECKING:
    from sessionstore.model.row import SessionRow


def _plain(value: Any) -> str:
    if value is None:
        return "-"
    return text.shown(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class Column:
    """What a column shows: the path of its value, and how the value is written."""

    path: Path
    form: Callable[[Any], str] = _plain
    rank: int = 0  # a narrow terminal leaves out the highest first; 0 stays

    def value(self, row: SessionRow) -> Any:
        """Return the value as stored: seconds, metres, counts; None if missing."""
        if self.path == _NOTE:
            return note(row)
        value = row.get(self.path)
        return None if value is MISSING else value

    def cell(self, row: SessionRow) -> str:
        """Return the value for reading."""
        return self.form(self.value(row))


_NOTE = ("note",)
#: How a value is written follows from the unit in the name of its field.
_FORMS: dict[str, Callable[[Any], str]] = {"at": text.when, "s": text.duration, "m": text.distance}
_COUNTS = ("windows_cleaned", "points")


def _of(field: str, rank: int = 0) -> Column:
    form = text.count if field in _COUNTS else _FORMS.get(field.rpartition("_")[2], _plain)
    return Column((field,), form, rank)


COLUMNS = {
    "status": _of("status"),
    "session": _of("session_id"),
    "started": _of("started_at"),
    "planned": _of("duration_planned_s", 6),
    "simulated": _of("duration_sim_s", 1),
    "phase": _of("workflow_state", 4),
    "windows": _of("windows_cleaned", 3),
    "distance": _of("distance_m", 2),
    "points": _of("points", 5),
    "note": Column(_NOTE, _plain),
}
#: Columns that are shown when they are asked for; the page has the same names.
MORE = {
    "created": Column(("created_at",), text.when),
    "updated": Column(("updated_at",), text.when),
    "ended": Column(("ended_at",), text.when),
    "buildings": Column(("num_buildings",), text.count),
}


def column(name: str) -> Column:
    """Return a column by name. Raises: InvalidQuery."""
    from sessionstore.model.row import FILTER_ALIASES, FILTER_FIELDS

    if name in COLUMNS or name in MORE:
        return COLUMNS.get(name) or MORE[name]
    first, dot, rest = name.partition(".")
    if first in COLUMNS and dot:
        first = COLUMNS[first].path[0]
    try:
        return Column(parse_path(first + dot + rest, FILTER_FIELDS, FILTER_ALIASES))
    except InvalidQuery as error:
        known = ", ".join((*COLUMNS, *MORE, *FILTER_FIELDS))
        raise InvalidQuery(f"there is no column {name!r} (there are {known}, metadata.KEY)") from error


def named(text_given: str) -> dict[str, Column]:
    """Return the columns of a comma-separated list. Raises: InvalidQuery."""
    return {name.strip(): column(name.strip()) for name in text_given.split(",") if name.strip()}


def default(rows: Iterable[SessionRow], width: int | None) -> dict[str, Column]:
    """Return the columns that fit a terminal of this width; the note only if one row has a note."""
    noted = any(map(note, rows))
    found = {name: each for name, each in COLUMNS.items() if name != "note" or noted}
    for dropped in sorted(found, key=lambda name: -found[name].rank):
        if width is None or sum(_LEAST.get(name, 9) + 2 for name in found) <= width or not found[dropped].rank:
            break
        del found[dropped]
    return found


#: The width that a column needs; of the others 9.
_LEAST = {"session": 20, "started": 16, "status": 11, "windows": 7, "points": 7, "distance": 8, "note": 16}


def note(row: SessionRow) -> str:
    """Return what a reader should know of a session: another host, a problem, an unusual end."""
    place = f"on {row.host}" + ("" if row.openable else ", not here") if row.host is not None else ""
    ended = row.end_reason if row.end_reason and row.end_reason != row.status else ""
    return "; ".join(part for part in (place, row.problem or ended, row.remark) if part)
