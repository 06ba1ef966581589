"""Lineage: descent is proved by chains of digests, never guessed, and a list of any length stays bounded."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sessionstore.model import lineage


def tables(notes: str, **more: Any) -> dict[str, Any]:
    return {"session": {"1": {"session_id": "a", "rev": 1, "notes": notes, **more}}, "workflow": {}}


def chain(*contents: str) -> list[str]:
    """Return the chain of a record that held these contents in turn."""
    found: list[str] = []
    for content in contents[:-1]:
        found = lineage.extended(found, lineage.digest(tables(content)))
    return [*found, lineage.digest(tables(contents[-1]))]


def test_progress_and_identity_are_not_content_and_all_else_is() -> None:
    known = lineage.digest(tables("x"))
    assert known == lineage.digest(tables("x", progress={"points": 3}, duration_sim_s=2.0, uuid="u", merged_from={}))
    assert known != lineage.digest(tables("y"))
    edited = tables("x")
    edited["ratings"] = {"1": {"stars": 5}}
    assert known != lineage.digest(edited)
    assert len(lineage.digest(tables("x", metadata={"n": 2**80}))) == 16


def test_each_relation() -> None:
    assert lineage.relation(chain("a", "b"), chain("a", "b")) == "same"
    assert lineage.relation(chain("a", "b"), chain("a")) == "ahead"
    assert lineage.relation(chain("a"), chain("a", "b", "c")) == "behind"
    assert lineage.relation(chain("a", "b"), chain("a", "c")) == "diverged"
    assert lineage.relation(chain("a"), chain("b")) == "diverged"  # nothing in common


def test_a_content_that_came_back_is_placed_by_its_history() -> None:
    assert lineage.relation(chain("a", "b", "a"), chain("a", "b")) == "ahead"
    assert lineage.relation(chain("a", "b"), chain("a", "b", "a")) == "behind"


@given(st.integers(0, 120), st.integers(0, 120))
def test_of_two_states_of_one_history_the_later_one_is_ahead_or_not_provable(first: int, second: int) -> None:
    ours, theirs = (chain(*(str(number) for number in range(each + 1))) for each in (first, second))
    assert len(ours) <= lineage.KEPT + 1
    found = lineage.relation(ours, theirs)
    if first == second:
        assert found == "same"
    elif abs(first - second) < lineage.KEPT - 1:
        assert found == ("ahead" if first > second else "behind")
    else:
        assert found in ("ahead" if first > second else "behind", "diverged")


@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=6), st.lists(st.sampled_from("cd"), min_size=1, max_size=6))
def test_two_branches_never_descend_from_each_other(ours: list[str], theirs: list[str]) -> None:
    assert lineage.relation(chain("0", *ours), chain("0", *theirs)) == "diverged"


def test_the_digest_does_not_change_its_tables() -> None:
    given_tables = tables("x")
    before = copy.deepcopy(given_tables)
    lineage.digest(given_tables)
    assert given_tables == before
