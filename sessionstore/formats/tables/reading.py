"""A table of any file into a draft: the first rows decide what the columns are, then all rows are taken in order.

Not here: files (delimited, jsonl, parquet), the roles (plan).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sessionstore.errors import InvalidQuery, InvalidRecord
from sessionstore.formats.partial import until_damaged
from sessionstore.formats.tables import plan as plans
from sessionstore.formats.tables.blocks import AT_ONCE, BlockFlight
from sessionstore.formats.tables.flight import stream_of
from sessionstore.formats.tables.mapping import Mapping
from sessionstore.formats.tables.plan import Row

if TYPE_CHECKING:
    from sessionstore.formats.draft import SessionDraft
    from sessionstore.formats.protocol import ImportReport

#: Rows that decide what the columns are.
SAMPLE = 200


def read_rows(
    path: Path,
    into: SessionDraft,
    report: ImportReport,
    given: Mapping,
    rows: Iterable[tuple[int, Row]],
    columns: Callable[[Sequence[Row]], Sequence[str]],
    where: Callable[[], str] | None = None,
) -> None:
    """Store the rows of a table.

    Args:
        rows: (number of the line or row, cells by column); an exception ends them, and the report says where.
        columns: the names of the columns, from the first rows.

    Raises: InvalidRecord: no rows, or columns that cannot be understood. Corrupt: damaged before the first row.
    """
    source = iter(until_damaged(rows, report, path, where))
    sample = list(itertools.islice(source, SAMPLE))
    if not sample:
        raise InvalidRecord(f"{path.name} holds no rows")
    first = [row for _, row in sample]
    try:
        plan = plans.make(columns(first), first, given)
    except InvalidQuery as error:
        raise InvalidRecord(str(error)) from error
    report.notes.extend(plan.notes)
    flight = BlockFlight(into, report, plan, stream_of(path.stem, plan))
    numbered = itertools.chain(sample, source)
    while block := list(itertools.islice(numbered, AT_ONCE)):
        flight.take_many(block)
    flight.end()
