"""Which session a key names: its typed name, its uuid, the name part of its id, or the beginning of its id.

From 1,000 sessions on (journal engine) the columns are asked first; sessions of the name are compared with their files.
All rows, compared with all files, are asked where the columns know none that fits: so a session that was renamed by
hand is found as well. Sessions of this store come before those of another host.
Not here: an id as it is, and `latest` (store.store), the columns (store.pages).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

from sessionstore.errors import AmbiguousSession
from sessionstore.index import PageOrder
from sessionstore.model.row import SessionRow
from sessionstore.query import Compare, Path
from sessionstore.store.folder_rows import MISSING_FOLDER
from sessionstore.store.pages import StorePages

_NEWEST_FIRST = PageOrder(("created_at",), descending=True)


def in_columns(pages: StorePages, key: str) -> str | None:
    """Return the id of the session that the columns know by this key; None: they know none, or there are none.

    Raises: AmbiguousSession, naming the candidates.
    """
    if not key:
        return None
    named = _with(pages, ("session_name",), key)
    if named is None:
        return None
    if named:
        return _only(key, named)
    heads = pages.heads() or []
    ids = [session_id for session_id, status, *_ in reversed(heads) if status != MISSING_FOLDER]
    same = [session_id for session_id in ids if session_id.endswith(key) and session_id.partition("-")[2] == key]
    if _is_uuid(key):
        same += [session_id for session_id in _with(pages, ("uuid",), key) or [] if session_id not in same]
    return _only(key, same or [session_id for session_id in ids if session_id.startswith(key)])


def _with(pages: StorePages, path: Path, value: str) -> list[str] | None:
    """Return the ids of the sessions that hold a value, newest first; None where all rows are to be asked."""
    found = pages.page(Compare(path, "=", value), _NEWEST_FIRST, verify=True)
    if found is None:
        return None
    return [row.session_id for row in found.rows if row.status != MISSING_FOLDER and row.get(path) == value]


def _is_uuid(key: str) -> bool:
    with suppress(ValueError):
        return str(UUID(key)) == key
    return False


def in_rows(rows: list[SessionRow], key: str) -> SessionRow | None:
    """Return the row that fits best, or None. Raises: AmbiguousSession, naming the candidates."""
    tests: tuple[Callable[[SessionRow], bool], ...] = (
        lambda row: row.session_name == key,
        lambda row: key != "" and key in (row.uuid, row.session_id.partition("-")[2]),  # a folder renamed by hand
        lambda row: key != "" and row.session_id.startswith(key),
    )
    for place in ([row for row in rows if row.host is None], rows):
        for fits in tests:
            if found := [row for row in place if fits(row)]:
                _only(key, [row.session_id for row in found])
                return found[0]
    return None


def _only(key: str, found: list[str]) -> str | None:
    if len(found) > 1:
        shown = ", ".join(found[:5]) + (" ..." if len(found) > 5 else "")
        raise AmbiguousSession(f"{len(found)} sessions fit {key!r}: {shown}")
    return found[0] if found else None
