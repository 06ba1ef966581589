"""What changed in the list of a store since it was looked at before, and a text that names its state.

Where the engine has pages only rows that changed are read; elsewhere all rows are compared with those of before.
Not here: who is informed (server.live.store_changes), which files are compared (store.watching).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import NamedTuple

from sessionstore.errors import IndexUnavailable, Unreadable
from sessionstore.index import PageView, look
from sessionstore.model.row import SessionRow, as_interrupted
from sessionstore.store import open_runs
from sessionstore.store.catalog import Catalog


class Sight(NamedTuple):
    """One look at the list: a view with the rows of open runs as they are shown, or all rows."""

    view: PageView | None
    rows: dict[str, SessionRow]
    total: int


class Change(NamedTuple):
    """What differs between two looks; None: so much that the list is to be read again."""

    changed: list[SessionRow]
    removed: list[str]


def look_at(catalog: Catalog) -> Sight:
    """Return the list as it is now. Raises: StoreUnusable, StoreNotFound."""
    catalog.check_exists()
    found = catalog.pages.seen(lambda view: Sight(view, _open_runs(catalog, view.active()), view.count()))
    if found is not None:
        return found
    rows = open_runs.completed(catalog.root, catalog.find(sort="created_at"))
    return Sight(None, {row.session_id: row for row in rows}, len(rows))


def between(catalog: Catalog, before: Sight, now: Sight) -> Change | None:
    """Return what changed from one look to the next."""
    if before.view is None and now.view is None:
        old = before.rows
        changed = [row for name, row in now.rows.items() if (was := old.get(name)) is not row and was != row]
        return Change(changed, [name for name in old if name not in now.rows])
    if before.view is None or now.view is None:
        return None
    found = now.view.changes_since(before.view)
    if found is None:
        return None
    rows, removed = found
    stated = {row.session_id: row for row in rows} | {
        name: row for name, row in now.rows.items() if before.rows.get(name) != row
    }
    return Change(list((stated | {name: now.rows[name] for name in stated.keys() & now.rows.keys()}).values()), removed)


def revision(catalog: Catalog) -> str:
    """Return a text that differs from an earlier one when the list may have changed in between.

    Asked before a list is read, and after a look that later changes are found from: when both are the same, nothing
    happened in between.
    """
    try:
        version = catalog.index.version()
        view = catalog.pages.seen(lambda view: view) or look(catalog.index)
        runs = _open_runs(catalog, view.active())
    except (IndexUnavailable, Unreadable):
        return os.urandom(8).hex()  # unknown: another one each time
    facts = sorted((row.session_id, row.status, row.points, row.remark) for row in runs.values())
    return hashlib.blake2b(repr((version, facts)).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _open_runs(catalog: Catalog, active: Sequence[SessionRow]) -> dict[str, SessionRow]:
    """Return the rows that say they run, as they are shown."""
    why = catalog.interrupted(active)
    rows = [as_interrupted(row, why[row.session_id]) if row.session_id in why else row for row in active]
    return {row.session_id: row for row in open_runs.completed(catalog.root, rows)}
