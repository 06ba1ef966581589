"""The rows that a repair or an acceptance leaves in session.json, so that what it explains is not a fault for ever.

Not here: reading them (checks.accepted).
"""

from __future__ import annotations

from typing import Any

from sessionstore.maintenance.checks.accepted import REPAIRS
from sessionstore.model.instants import now_text
from sessionstore.session import Session
from sessionstore.session.documents import Tables

_SAME = ("stream", "expected", "found", "kind", "count", "last")


def note(session: Session, rows: list[dict[str, Any]], what: str) -> None:
    """Add rows, each once. Raises: as ``Session.update``; nothing changed."""

    def add(tables: Tables) -> None:
        table = tables.setdefault(REPAIRS, {})
        known = {tuple(row.get(name) for name in _SAME) for row in table.values()}
        for row in rows:
            if tuple(row.get(name) for name in _SAME) not in known:
                number = str(max(map(int, table), default=0) + 1)
                table[number] = {**row, "what": what, "at": now_text()}

    if rows:
        session.update(edit_tables=add)
