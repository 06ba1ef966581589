"""Large tables are laid out once and copied in C: the bytes are those of the plain way."""

from __future__ import annotations

import json
import math
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstore.errors import InvalidRecord
from sessionstore.model import json_text

numbers = st.integers(-(1 << 70), 1 << 70) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
edits = st.lists(st.tuples(st.sampled_from(["scene", "session", "other"]), st.integers(0, 299), values), max_size=5)


@given(edits)
def test_a_document_that_is_edited_again_and_again_has_the_bytes_of_a_fresh_layout(
    changes: list[tuple[str, int, Any]],
) -> None:
    layouts = json_text.Layouts()
    scene = {str(n): {"name": f"b{n}", "ring": [[n, n + 0.5], [n + 10, 7]] * 5} for n in range(300)}
    tables: dict[str, dict[str, Any]] = {"session": {"1": {"rev": 1}}, "scene": scene, "other": {}}
    for table, number, value in [("session", 1, 2), *changes]:
        tables[table][str(number)] = {"value": value}
        assert layouts.layout(tables) == json_text.layout(tables)
        assert layouts.layout(tables) == json_text.layout(tables)


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    "value",
    [{"a": (1, 2)}, {"a": Colour.RED}, {1: "x"}, {"a": {3, 1}}, {"a": 1 << 80}, {"a": b"x"}, [True, 1, 1.0, -0.0]],
)
def test_a_copy_in_c_is_what_the_walk_through_the_value_gives(value: Any) -> None:
    copy, walked = json_text.plain_copy(value, "v"), json_text.plain(value, "v")
    assert repr(copy) == repr(walked) and copy is not value


@given(values)
def test_a_copy_of_json_data_is_equal_and_shares_nothing(value: Any) -> None:
    assert repr(json_text.plain_copy(value, "v")) == repr(json_text.plain(value, "v"))


def test_what_has_no_json_form_is_refused_with_its_place() -> None:
    nested: Any = []
    for _ in range(201):
        nested = [nested]
    for bad in ({"a": [math.nan]}, {"a": [math.inf]}, {"a": ["\ud800"]}, {"a": [object()]}, {"a": [nested]}):
        with pytest.raises(InvalidRecord, match=r"v\.a\[0\]"):
            json_text.plain_copy(bad, "v")


_shapes = st.recursive(
    st.sampled_from([None, 1, "", "a" * 30, "b" * 109, 'c"\n\0next\0', [], {}]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["", "k" * 40, '"', "n"]), inner),
    max_leaves=12,
)


def _by_hand(value: Any, indent: int) -> str:
    """Return the layout as the rule says it: what fits in 110 characters stands on one line, else an item a line."""
    text = json.dumps(value, ensure_ascii=False)
    if not value or not isinstance(value, list | dict) or len(text) + indent <= 110:
        return text
    blanks = "\n" + " " * (indent + 2)
    parts = [("", each) for each in value] if isinstance(value, list) else []
    parts = parts or [(f"{json.dumps(key)}: ", each) for key, each in value.items()]
    lines = [blanks + before + _by_hand(each, indent + 2) for before, each in parts]
    return text[0] + ",".join(lines) + blanks[:-2] + text[-1]


@given(_shapes)
def test_a_layout_is_what_its_rule_says(value: Any) -> None:
    assert json_text.layout(value).decode() == _by_hand(value, 0) + "\n"
