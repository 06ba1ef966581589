"""Frames: a stream of one session, or the sessions that a filter fits, for pandas, Arrow or polars, exactly.

Integers stay integers and null stays null (pandas: columns of Arrow types); instants keep their zone. Lines that cannot
be trusted are left out, and a warning counts them.
Not here: which rows and columns there are (analysis.streams, analysis.tables), SQL (analysis.query).
"""

from __future__ import annotations

import functools
import operator
import warnings
from collections.abc import Iterable
from typing import Any, Literal

import pyarrow as pa
from pyarrow import compute

from sessionstore.analysis.sources import Source, sources_of
from sessionstore.analysis.streams import LeftOut
from sessionstore.analysis.tables import sessions_table
from sessionstore.errors import InvalidQuery
from sessionstore.model.row import SessionRow
from sessionstore.session import Session

Form = Literal["pandas", "arrow", "polars"]


def stream_frame(
    session: Session,
    name: str,
    drones: Iterable[str] | None = None,
    from_s: float | None = None,
    to_s: float | None = None,
    columns: list[str] | None = None,
    form: Form = "pandas",
) -> Any:
    """Return one stream of a session. Raises: InvalidName; InvalidQuery: a column or form that is not there."""
    session.stream_path(name)
    left_out = LeftOut()
    sources = sources_of(session.root, name, [session.folder.name], left_out)
    table = _window(sources[0], from_s, to_s, drones, columns)
    if sentences := left_out.sentences():
        warnings.warn("; ".join(sentences), stacklevel=3)
    return in_form(table, form)


def _window(
    source: Source, from_s: float | None, to_s: float | None, drones: Iterable[str] | None, columns: list[str] | None
) -> pa.Table:
    conditions = []
    if from_s is not None:
        conditions.append(compute.field("sim_time") >= from_s)
    if to_s is not None:
        conditions.append(compute.field("sim_time") <= to_s)
    if drones is not None:
        _check_columns(["drone"], source.names)
        conditions.append(compute.field("drone").isin(pa.array(list(drones), pa.string())))
    _check_columns(columns or [], source.names)
    where = functools.reduce(operator.and_, conditions) if conditions else None
    names = source.names if columns is None else columns
    if source.table is None:
        return source.some(names, where)
    return (source.table if where is None else source.table.filter(where)).select(names)


def sessions_frame(rows: list[SessionRow], keys: list[str] | None, form: Form) -> Any:
    """Return one row for each session. Raises: InvalidQuery: a column or form that is not there."""
    return in_form(_selected(sessions_table(rows), keys), form)


def _selected(table: pa.Table, columns: list[str] | None) -> pa.Table:
    if columns is None:
        return table
    _check_columns(columns, table.column_names)
    return table.select(columns)


def _check_columns(wanted: list[str], there: list[str]) -> None:
    if missing := [name for name in wanted if name not in there]:
        raise InvalidQuery(f"there is no column {', '.join(missing)} (there are {', '.join(there)})")


def in_form(table: pa.Table, form: Form) -> Any:
    """Return a table as pandas, Arrow or polars. Raises: InvalidQuery; ModuleNotFoundError: it is not installed."""
    if form == "arrow":
        return table
    if form == "polars":
        import polars

        return polars.from_arrow(table)
    if form == "pandas":
        import pandas

        return table.to_pandas(types_mapper=pandas.ArrowDtype)
    raise InvalidQuery(f"a frame is for pandas, arrow or polars, not {form!r}")
