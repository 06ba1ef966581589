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
from sessionstore.model.records import FILTER_ALIASES, SessionRow
from sessionstore.query import MISSING

Key = tuple[int, Any]


class _Cursor(msgspec.Struct, array_like=True):
    question: str
    key: tuple[int, Any]
    created_at: str
    session_id: str


def page(
    rows: list[SessionRow], sort: str, where: str | None, cursor: str | None, limit: int
) -> tuple[list[SessionRow], str | None]:
    """Return one page of sorted rows and the cursor of the next; None at the end.

    Raises: InvalidQuery: the cursor is not one, or belongs to another question.
    """
    question = f"{sort}|{where or ''}"
    begin = 0 if cursor is None else _behind(rows, sort, _parse(cursor, question))
    found = rows[begin : begin + limit]
    if not found or begin + limit >= len(rows):
        return found, None
    last = found[-1]
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
    value = row.get((FILTER_ALIASES.get(path[0], path[0]), *path[1:]))
    if value is None or value is MISSING:
        return 3, ""
    if isinstance(value, bool | int | float):
        return 0, value
    return (1, value) if isinstance(value, str) else (2, str(value))


def _behind(rows: list[SessionRow], sort: str, cursor: _Cursor) -> int:
    """Return the place behind the row that the cursor names, or behind all that come before where it was."""
    for index, row in enumerate(rows):
        if row.session_id == cursor.session_id:
            return index + 1
    descending = sort.startswith("-")
    gone = _order(cursor.key, cursor.created_at, cursor.session_id)
    for index, row in enumerate(rows):
        if _comes_after(_order(_key(row, sort), row.created_at, row.session_id), gone, descending):
            return index
    return len(rows)


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
