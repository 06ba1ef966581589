"""What the SQL engines share: rows as they are stored, and listings out of what a condition found.

A row is stored as the JSON text that the journal writes, so that a migration changes nothing (SQLite keeps its metadata
apart); searched columns stand beside it. A find fetches what the filter implies (prefilter), merges the copies of
several stores (store_copies), and applies the filter itself to each row.
Not here: SQL (index.sql.sqlite, index.sql.postgres), timeouts (index.circuit_breaker).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from sessionstore.errors import Corrupt
from sessionstore.index.filtering import select
from sessionstore.index.sql.prefilter import Condition, Narrowing
from sessionstore.index.sql.store_copies import Place, as_stored, merge, this_place
from sessionstore.model.row import SessionRow, as_interrupted
from sessionstore.query import Filter

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(SessionRow).decode
_LARGEST = 2**63 - 1

#: (store, session_id as the driver gives it, row as the engine stores it)
Found = tuple[int, bytes | str, Any]


def encoded(row: SessionRow) -> bytes:
    """Return a row as every engine stores it."""
    return _encode(as_stored(row))


def revision(row: SessionRow) -> int:
    """Return the revision as a column holds it (a hand-written one may be any number)."""
    return min(row.rev, _LARGEST)


def newest(rows: Iterable[SessionRow], exact: bool) -> list[SessionRow]:
    """Return one row a session id, as if they had been put one after the other."""
    kept: dict[str, SessionRow] = {}
    for row in rows:
        known = kept.get(row.session_id)
        if exact or known is None or known.uuid != row.uuid or known.rev <= row.rev:
            kept[row.session_id] = row
    return list(kept.values())


class SqlIndex(ABC):
    """The reading half of an SQL engine; see :class:`sessionstore.index.SessionIndex`."""

    _narrowing: Narrowing

    def __init__(self, root: Path) -> None:
        self._place = this_place(root)

    @abstractmethod
    def _places(self) -> dict[int, Place]:
        """Return all stores by number."""

    @abstractmethod
    def _where(self, condition: Condition | None, also: Collection[str]) -> list[Found]:
        """Return the rows that meet a condition, and this store's rows of these session ids whether they do or not."""

    @abstractmethod
    def _of_uuids(self, uuids: list[str]) -> list[Found]:
        """Return every row of these uuids."""

    def find(self, tree: Filter | None = None, interrupted: Mapping[str, str] | None = None) -> list[SessionRow]:
        """Return the rows that fit, oldest first, those of other hosts with where they are."""
        why = interrupted or {}
        condition = self._narrowing.of(tree)
        shown = self._merged(self._where(condition, why.keys()), condition is None)
        if why:
            shown = [
                as_interrupted(row, why[row.session_id]) if row.host is None and row.session_id in why else row
                for row in shown
            ]
        if tree is not None:
            shown = select(shown, tree)
        shown.sort(key=_order)
        return shown

    def _merged(self, found: list[Found], is_all: bool) -> list[SessionRow]:
        """Return found rows as sessions: once each, and with the copies that other stores have."""
        places = self._places()
        here = next((number for number, place in places.items() if place == self._place), None)
        if is_all and here is not None and len(places) == 1:
            return self._decoded(row for _, _, row in found)
        unique = {(store, session_id): row for store, session_id, row in found if store in places}
        if not is_all and len(places) > 1:  # the copy that is shown decides, not the one that was found
            uuids = {row.uuid for row in self._decoded(unique.values()) if row.uuid}
            also = self._of_uuids(sorted(uuids))
            unique.update(((store, session_id), row) for store, session_id, row in also if store in places)
        stores = [store for store, _ in unique]
        return merge(zip(stores, self._decoded(unique.values()), strict=True), places, here)

    def _decoded(self, rows: Iterable[Any]) -> list[SessionRow]:
        """Return stored rows decoded; here each is the JSON of a row."""
        try:
            return [_decode(row) for row in rows]
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Corrupt(f"a row does not parse: {error}", self._shown_place()) from error

    @abstractmethod
    def _shown_place(self) -> str:
        """Return where the rows are, for messages."""


def _order(row: SessionRow) -> tuple[str, str, str, str]:
    return row.created_at, row.session_id, row.host or "", row.store or ""
