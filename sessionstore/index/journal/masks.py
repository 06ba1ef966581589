"""Which rows of the columns a filter fits: a mask, one byte a row, 1 where it fits.

Not here: rows that were written since (index.journal.pages), one clause of one field (index.journal.field_column), a
word (index.journal.text_column).
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from sessionstore.index.filtering import has_column
from sessionstore.index.journal.columns import Columns
from sessionstore.index.journal.field_column import FieldColumn, combined
from sessionstore.query import And, Between, Compare, Filter, Has, Match, Not, Or, Path, Search, matcher

_CREATED = ("created_at",)
_INVERTED = bytes([1, 0]) + bytes(254)


class NoColumn(Exception):
    """The question cannot be answered from columns."""


def mask_of(columns: Columns, tree: Filter | None) -> bytearray:
    """Return which rows fit. Raises: NoColumn, Damaged."""
    if tree is None:
        return bytearray(b"\1") * columns.heads.count
    if isinstance(tree, And | Or):
        masks = (mask_of(columns, clause) for clause in tree.clauses)
        by: Callable[[int, int], int] = (lambda a, b: a & b) if isinstance(tree, And) else (lambda a, b: a | b)
        return functools.reduce(lambda one, other: combined(one, other, by), masks)
    if isinstance(tree, Not):
        return bytearray(mask_of(columns, tree.clause).translate(_INVERTED))
    if isinstance(tree, Search):
        found = columns.words().mask(tree.text)
        if found is None:
            raise NoColumn
        return found
    return _of_clause(columns, tree)


def _of_clause(columns: Columns, clause: Compare | Between | Match | Has) -> bytearray:
    if clause.path == ("status",):
        return _of_status(columns, clause)
    if clause.path == _CREATED and isinstance(clause, Compare | Between):
        mask = columns.heads.created_within(clause)
        if mask is not None:
            return mask
    return column_of(columns, clause.path).mask(clause)


def _of_status(columns: Columns, clause: Filter) -> bytearray:
    fits = matcher(clause, lambda value, path: value)
    table = bytearray(256)
    for code, status in enumerate(columns.heads.statuses):
        table[code] = fits(status)
    return bytearray(columns.heads.file.whole("status").translate(table))


def column_of(columns: Columns, path: Path) -> FieldColumn:
    """Return the column of a field or a key of metadata. Raises: NoColumn, Damaged."""
    found = columns.field(path) if has_column(path) else None
    if found is None:
        raise NoColumn
    return found
