"""Rows of several stores in one listing: a session that is in two of them is one session with two copies.

Copies share the session's uuid. This store's row goes first; of the others the highest revision is shown. Two folders
with one uuid within this store stay two rows, so that a folder copied beside itself is noticed.
Not here: which rows there are (index.sql.sqlite, index.sql.postgres).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sessionstore.model.row import SessionRow


@dataclass(frozen=True, slots=True)
class Place:
    """A store: the host that it is on, and its folder there."""

    host: str
    path: str

    def folder_of(self, session_id: str) -> str:
        """Return ``host:folder`` of a session."""
        return f"{self.host}:{self.path}/{session_id}"


def this_place(root: Path) -> Place:
    """Return the place of a store on this host (SESSIONSTORE_HOST names it where host names change, in containers)."""
    return Place(os.environ.get("SESSIONSTORE_HOST") or socket.gethostname(), str(root))


def merge(found: Iterable[tuple[int, SessionRow]], places: Mapping[int, Place], here: int | None) -> list[SessionRow]:
    """Return one row a session, in no order, from the rows of all stores.

    Args:
        found: (number of the store, row).
        here: the number of this store; None while it has none.
    """
    local: list[SessionRow] = []
    elsewhere: dict[tuple[str, int, str], list[tuple[int, SessionRow]]] = {}
    for store, row in found:
        if store == here:
            local.append(row)
        else:  # an unreadable record has no uuid, so it is not a copy
            key = (row.uuid, 0, "") if row.uuid else ("", store, row.session_id)
            elsewhere.setdefault(key, []).append((store, row))
    if not elsewhere:
        return local
    groups: dict[str, list[SessionRow]] = {}
    for row in local:
        groups.setdefault(row.uuid, []).append(row)
    shown = []
    for uuid, rows in groups.items():
        others = elsewhere.pop((uuid, 0, ""), []) if uuid else []
        shown += _with_copies(rows, others, places, here)
    return shown + [_remote(group, places, here) for group in elsewhere.values()]


def _with_copies(
    rows: list[SessionRow], others: list[tuple[int, SessionRow]], places: Mapping[int, Place], here: int | None
) -> list[SessionRow]:
    if not others or here is None:
        return rows
    copies = _folders_of([*others, *((here, row) for row in rows)], places)
    return [msgspec.structs.replace(row, copies=copies) for row in rows]


def _remote(group: list[tuple[int, SessionRow]], places: Mapping[int, Place], here: int | None) -> SessionRow:
    store, row = max(group, key=lambda each: (each[1].rev, each[1].updated_at, -each[0]))
    place = places[store]
    return msgspec.structs.replace(
        row,
        host=place.host,
        store=place.path,
        openable=_openable(place, row, places, here),
        copies=_folders_of(group, places),
    )


def _openable(place: Place, row: SessionRow, places: Mapping[int, Place], here: int | None) -> bool:
    ours = places[here].host if here is not None and here in places else this_place(Path()).host
    return place.host == ours and os.path.isfile(f"{place.path}/{row.session_id}/session.json")


def _folders_of(group: Iterable[tuple[int, SessionRow]], places: Mapping[int, Place]) -> tuple[str, ...]:
    return tuple(sorted(places[store].folder_of(row.session_id) for store, row in group))


def as_stored(row: SessionRow) -> SessionRow:
    """Return a row without what is answered when it is read."""
    if row.host is None and not row.copies:
        return row
    return msgspec.structs.replace(row, host=None, store=None, openable=True, copies=())
