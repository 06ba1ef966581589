"""The quick selection gives what the matcher, which defines the meaning, gives row by row."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sessionstore.index.filtering import select
from sessionstore.model.row import SessionRow
from sessionstore.query import Filter, matcher
from tests.rows import betweens, compares, filters, matches, rows


@settings(max_examples=300)
@given(given=st.lists(rows(), min_size=1, max_size=4), tree=compares | betweens | matches | filters)
def test_many_rows_at_once_are_judged_as_one_by_one(given: list[SessionRow], tree: Filter | None) -> None:
    fits = matcher(tree, SessionRow.get)
    assert select(given, tree) == [row for row in given if fits(row)]
