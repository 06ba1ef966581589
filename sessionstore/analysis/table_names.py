"""The tables of a query and their columns, as the newest sessions have them: for completion, without reading streams.

Not here: the tables themselves (analysis.tables, analysis.streams), running a query (analysis.query).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from sessionstore.analysis.streams import named_columns
from sessionstore.analysis.tables import DOCUMENT_TABLES, sessions_table
from sessionstore.errors import SessionStoreError
from sessionstore.session import stream_names
from sessionstore.session.stream_reader import Tape
from sessionstore.store import SessionStore

_NEWEST = 20
_LOOKED_AT = 20  # records at either end of a stream


def described_tables(store: SessionStore) -> dict[str, list[str]]:
    """Return the columns of each table by its name: records first, then streams."""
    rows = [row for row in store.find(limit=_NEWEST) if row.host is None]
    found: dict[str, list[str]] = {"sessions": list(sessions_table(rows).column_names)}
    found |= {name: ["session_id", *known] for name, (_, known) in DOCUMENT_TABLES.items()}
    keys: dict[str, dict[str, None]] = {name: {} for name in stream_names.KINDS}
    for row in rows:
        try:
            for name, tape in store.catalog.session(row.session_id).tapes().items():
                keys.setdefault(name, {}).update(dict.fromkeys(_keys(tape)))
        except (SessionStoreError, OSError):
            continue  # a session that cannot be read is no help here; a query counts it
    for name in sorted(keys):
        columns = ["session_id", "n", "sim_time", *named_columns(keys[name]).values()]
        found[name] = columns + [axis for axis in "xyz" if "position" in keys[name] and axis not in columns]
    return found


def _keys(tape: Tape) -> Iterable[str]:
    for offset in (0, tape.last_lines(_LOOKED_AT)):
        for line in itertools.islice(tape.read(offset, damaged="skip"), _LOOKED_AT):
            yield from line.data
