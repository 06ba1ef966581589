"""Frames: a stream of one session, or the sessions that a filter fits, for pandas, Arrow or polars, exactly.

Integers stay integers and null stays null (pandas: columns of Arrow types); instants keep their zone. Lines that cannot
be trusted are left out, and a warning counts them.
Not here: which rows and columns there are (analysis.streams, analysis.tables), SQL (analysis.query).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any, Literal

import pyarrow as pa
from pyarrow import compute

from sessionstore.analysis.streams import LeftOut, stream_table
from sessionstore.analysis.tables import sessions_table
from sessionstore.errors import InvalidQuery
from sessionstore.model.records import SessionRow
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
    table = stream_table(str(session.folder.parent), name, [session.folder.name], left_out)
    if from_s is not None:
        table = table.filter(compute.greater_equal(table["sim_time"], from_s))
    if to_s is not None:
        table = table.filter(compute.less_equal(table["sim_time"], to_s))
    if drones is not None:
        table = table.filter(compute.is_in(_selected(table, ["drone"])["drone"], pa.array(list(drones), pa.string())))
    if sentences := left_out.sentences():
        warnings.warn("; ".join(sentences), stacklevel=3)
    return in_form(_selected(table, columns), form)


def sessions_frame(rows: list[SessionRow], keys: list[str] | None, form: Form) -> Any:
    """Return one row for each session. Raises: InvalidQuery: a column or form that is not there."""
    return in_form(_selected(sessions_table(rows), keys), form)


def _selected(table: pa.Table, columns: list[str] | None) -> pa.Table:
    if columns is None:
        return table
    if missing := [name for name in columns if name not in table.column_names]:
        raise InvalidQuery(f"there is no column {', '.join(missing)} (there are {', '.join(table.column_names)})")
    return table.select(columns)


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
