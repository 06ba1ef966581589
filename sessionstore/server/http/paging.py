"""Pages that neither skip nor repeat: a cursor names the last row seen, not a count of rows.

Sessions that appear or go between two pages shift nothing: the next page begins behind that row, or, when it is gone,
where it would be.
Not here: sorting (store.catalog).
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from sessionstore.errors import InvalidQuery
from sessionstore.index import Page
from sessionstore.index.filtering import sort_key
from sessionstore.model.row import FILTER_ALIASES, SessionRow
from sessionstore.store import SessionStore
from sessionstore.store.catalog import Behind

Key = tuple[int, Any]


class _Cursor(msgspec.Struct, array_like=True):
    question: str
    key: tuple[int, Any]
    created_at: str
    session_id: str


def page(
    store: SessionStore, where: str | None, sort: str, cursor: str | None, limit: int, verify: bool, offset: int = 0
) -> tuple[Page, str | None]:
    """Return one page and the cursor of the next; None at the end.

    Args:
        offset: how many rows are passed over, for a place in a long list.

    Raises: InvalidQuery: the cursor is not one, or belongs to another question; and as ``SessionStore.page``.
    """
    if offset and cursor is not None:
        raise InvalidQuery("give offset or cursor, not both")
    question = f"{sort}|{where or ''}"
    behind = None if cursor is None else _behind(_parse(cursor, question), sort)
    found = store.page(where, sort, limit, offset, verify=verify, behind=behind)
    if not found.rows or found.begin + len(found.rows) >= found.total:
        return found, None
    last = found.rows[-1]
    return found, _text(_Cursor(question, _key(last, sort), last.created_at, last.session_id))


def _text(cursor: _Cursor) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def _parse(text: str, question: str) -> _Cursor:
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        cursor = msgspec.json.decode(data, type=_Cursor)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise InvalidQuery("the cursor is not one that this server gave") from error
    if cursor.question != question:
        raise InvalidQuery("the cursor belongs to another filter or order; begin again without it")
    return cursor


def _key(row: SessionRow, sort: str) -> Key:
    """Return what a row is ordered by, as the catalog orders: numbers, texts, all else; rows without it last."""
    path = tuple(sort.removeprefix("-").split("."))
    return sort_key(row.get((FILTER_ALIASES.get(path[0], path[0]), *path[1:]))) or (3, "")


def _behind(cursor: _Cursor, sort: str) -> Behind:
    """Return the place behind the row that the cursor names, or behind all that come before where it was."""

    def place(rows: list[SessionRow]) -> int:
        for index, row in enumerate(rows):
            if row.session_id == cursor.session_id:
                return index + 1
        descending = sort.startswith("-")
        gone = _order(cursor.key, cursor.created_at, cursor.session_id)
        for index, row in enumerate(rows):
            if _comes_after(_order(_key(row, sort), row.created_at, row.session_id), gone, descending):
                return index
        return len(rows)

    return Behind(cursor.session_id, place)


def _order(key: Key, created_at: str, session_id: str) -> tuple[bool, Key, str, str]:
    return key[0] == 3, key, created_at, session_id


def _comes_after(one: tuple[bool, Key, str, str], other: tuple[bool, Key, str, str], descending: bool) -> bool:
    if one[0] != other[0]:
        return one[0]  # rows without the field come last in either direction
    try:
        if one[1] != other[1]:
            return (one[1] < other[1]) if descending else (one[1] > other[1])
    except TypeError:  # a cursor that was tampered with
        return True
    return one[2:] > other[2:]
