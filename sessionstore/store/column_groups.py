"""Groups of many rows, computed over columns: the same as :func:`sessionstore.store.grouping.grouped` of these rows.

Sums are added up in the order of the rows, so that they are the same to the last bit. Where a field has no column
(numbers beyond 2**53, whole objects), rows are few, or the engine has no columns, all rows are read.
Not here: what a group is (store.grouping), columns (index.journal.table).
"""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sessionstore.index import PageView
from sessionstore.index.journal.masks import NoColumn
from sessionstore.index.journal.pages import PageView as ColumnView
from sessionstore.index.journal.table import Codes, Table
from sessionstore.model.row import SessionRow
from sessionstore.query import Filter, Path
from sessionstore.store import open_runs
from sessionstore.store.catalog import Catalog, tree_of
from sessionstore.store.grouping import (
    DAY,
    DEFAULT_FIGURES,
    MOST_NAMED,
    Figure,
    Group,
    grouped,
    in_order,
    key_of,
    named,
    path_of,
    plain,
    where_of,
)

#: Answered when a listing looks at an open run, so that no column holds it.
_COMPUTED = {("remark",)}


def groups(
    catalog: Catalog, where: str | Filter | None, by: str, of: Sequence[str] = DEFAULT_FIGURES
) -> tuple[list[Group], int]:
    """Return the groups of the sessions that a filter fits, and how many sessions that are; see ``grouped``.

    Folders that came or went are seen; rows are not compared with their files.
    Raises: InvalidQuery; as ``Catalog.find``.
    """
    tree = tree_of(where)
    if by != DAY:
        path_of(by)
    for name in of:
        path_of(name)
    catalog.check_exists()
    found = catalog.pages.seen(lambda view: _of_view(catalog, view, tree, by, of))
    if found is not None:
        return found
    rows = open_runs.completed(catalog.root, catalog.find(tree, verify=False))
    return grouped(rows, by, of), len(rows)


def prepare(catalog: Catalog) -> None:
    """Make what a search for a word and groups with their usual figures are read from, where the engine has columns."""
    paths = [path_of(name) for name in DEFAULT_FIGURES]
    catalog.pages.seen(lambda view: view.prepare(paths) if isinstance(view, ColumnView) else None)


def _of_view(
    catalog: Catalog, view: PageView, tree: Filter | None, by: str, of: Sequence[str]
) -> tuple[list[Group], int] | None:
    if not isinstance(view, ColumnView):
        return None
    why = catalog.interrupted(view.active())
    return in_columns(view, tree, by, of, why, lambda rows: open_runs.completed(catalog.root, rows))


def in_columns(
    view: ColumnView, tree: Filter | None, by: str, of: Sequence[str], interrupted: Mapping[str, str],
    completed: Callable[[list[SessionRow]], list[SessionRow]] = lambda rows: rows,
) -> tuple[list[Group], int] | None:  # fmt: skip
    """Return the groups and the number of sessions; None where only all rows can answer. Raises: PagesDamaged.

    Args:
        interrupted: the runs whose process is gone, and why.
        completed: adds to their rows what is known of them now.
    """
    figures = {name: path_of(name) for name in of}
    paths = [*figures.values()] if by == DAY else [path_of(by), *figures.values()]
    if any(path in _COMPUTED for path in paths):
        return None
    with contextlib.suppress(NoColumn):
        table = view.table(tree, interrupted, paths, completed)
        return _of_table(table, by, figures), table.count
    return None


def _of_table(table: Table, by: str, of: dict[str, Path]) -> list[Group]:
    codes = table.days() if by == DAY else table.field(path_of(by))
    several = by != DAY and path_of(by) == ("tags",)
    return _grouped(table, codes, of, lambda value: where_of(by, value), several)


def groups_of(table: Table, codes: Codes, of: Sequence[str]) -> list[Group]:
    """Return the groups by values that rows do not hold; the filter of a small group names its sessions.

    Raises: NoColumn, PagesDamaged.
    """
    found = _grouped(table, codes, {name: path_of(name) for name in of}, lambda value: None, False)
    few: dict[str, list[str]] = {key_of(group.value): [] for group in found if group.count <= MOST_NAMED}
    keys = [key_of(value) for value in [*codes.values, None]]
    if few:
        for at, code in enumerate(codes.codes):
            if (names := few.get(keys[code])) is not None:
                names.append(table.session_id(at))
    for group in found:
        group.where = named(few.get(key_of(group.value), ()))
    return found


def _grouped(
    table: Table, codes: Codes, of: dict[str, Path], where: Callable[[Any], str | None], several: bool
) -> list[Group]:
    made: dict[str, int] = {}
    found: list[Group] = []

    def group_of(value: Any) -> int:
        key = key_of(value)
        if key not in made:
            made[key] = len(found)
            found.append(Group(plain(value), where(value), figures={name: Figure() for name in of}))
        return made[key]

    values = [*codes.values, None]  # the last for code -1
    places = [[group_of(each) for each in (value or [None])] if several else [group_of(value)] for value in values]
    figures = {name: table.field(path) for name, path in of.items()}
    fill = _fill_plain if table.numpy is None else _fill_by_numpy
    fill(table, found, places, codes.codes, table.field(("status",)), figures)
    return in_order([group for group in found if group.count])


def _fill_plain(
    table: Table, found: list[Group], places: list[list[int]], codes: Any, status: Codes, figures: dict[str, Codes]
) -> None:
    for at, code in enumerate(codes):
        name = status.values[status.codes[at]]
        for place in places[code]:
            group = found[place]
            if not group.count:
                group.newest = table.created(at)
            group.count += 1
            group.statuses[name] += 1
    for name, figure in figures.items():
        for code, own in zip(codes, figure.codes, strict=True):
            if own >= 0:
                for place in places[code]:
                    found[place].figures[name].add(figure.values[own])


def _fill_by_numpy(
    table: Table, found: list[Group], places: list[list[int]], codes: Any, status: Codes, figures: dict[str, Codes]
) -> None:
    np, total = table.numpy, len(found)
    rows = np.arange(table.count)
    if all(len(each) == 1 for each in places):
        groups = np.array([each[0] for each in places], "i8")[codes]  # -1 is the last
    else:
        lengths = np.array([len(each) for each in places])
        flat, begins = np.array([place for each in places for place in each]), np.cumsum(lengths) - lengths
        repeats = lengths[codes]
        rows = np.repeat(rows, repeats)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        groups = flat[np.repeat(begins[codes], repeats) + within]
    first = np.zeros(total, "i8")
    first[groups[::-1]] = rows[::-1]  # the last one that is put stays
    counts = np.bincount(groups, minlength=total)
    states = np.bincount(groups * len(status.values) + status.codes[rows], minlength=total * len(status.values))
    states = states.reshape(total, len(status.values)).tolist() if status.values else [[]] * total
    for number, group in enumerate(found):
        if counts[number]:
            group.count, group.newest = int(counts[number]), table.created(int(first[number]))
            group.statuses = Counter({name: n for name, n in zip(status.values, states[number], strict=True) if n})
    for name, figure in figures.items():
        _figures_by_numpy(np, found, name, figure, figure.codes[rows], groups)


def _figures_by_numpy(np: Any, found: list[Group], name: str, figure: Codes, own: Any, groups: Any) -> None:
    numbers = [value if _is_number(value) else math.nan for value in figure.values] + [math.nan]
    values = np.array(numbers, "f8")[own]
    having = np.isfinite(values)
    values, groups, total = values[having], groups[having], len(found)
    counts, sums = np.bincount(groups, minlength=total), np.bincount(groups, values, total)
    least, most = np.full(total, math.inf), np.full(total, -math.inf)
    np.minimum.at(least, groups, values)
    np.maximum.at(most, groups, values)
    for group, *known in zip(found, counts.tolist(), sums.tolist(), least.tolist(), most.tolist(), strict=True):
        group.figures[name] = Figure(*known)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
