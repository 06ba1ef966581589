"""The filter language: what it means, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinydb import TinyDB
from tinydb.storages import MemoryStorage

from sessionstore.errors import InvalidQuery
from sessionstore.query import TinyDBQuery, in_mapping, matcher, parse

FIELDS = ("session_id", "session_name", "status", "tags", "metadata", "num_drones", "created_at")
ROWS: list[dict[str, Any]] = [
    {"session_id": "a", "session_name": "Butterfly", "status": "failed", "tags": ["night", "Wind"], "num_drones": 5,
     "created_at": "2026-11-01T00:00:00.000000Z",
     "metadata": {"n": 5, "text": "5", "on": True, "none": None, "a b": {"c.d": 2**70}, "list": [1, "x"]}},
    {"session_id": "b", "session_name": None, "status": "running", "tags": [], "num_drones": 12,
     "created_at": "2026-11-23T00:00:00.000000Z", "metadata": {"n": 7.5, "pilot": "Ada"}},
]  # fmt: skip


def fitting(text: str) -> list[str]:
    fits = matcher(parse(text, FIELDS, {"name": "session_name"}), in_mapping)
    return [row["session_id"] for row in ROWS if fits(row)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "ab"), ("status=failed", "a"), ("status!=failed", "b"), ("num_drones>5", "b"), ("num_drones>=5", "ab"),
        ("num_drones=5.0", "a"), ("metadata.n>7", "b"), ("metadata.n=5", "a"), ('metadata.n="5"', ""),
        ("metadata.text=5", ""), ('metadata.text="5"', "a"), ("metadata.on=true", "a"), ("metadata.on=1", ""),
        ("metadata.none=null", "a"), ("metadata.missing=null", ""), ("has metadata.none", "a"),
        ("metadata.missing!=1", "ab"), ("not has metadata.pilot", "a"),
        ('metadata."a b"."c.d"=1180591620717411303424', "a"),
        ("name~BUTTER", "a"), ("name=null", "b"), ("tags=night", "a"), ("tags!=night", "b"), ("tags~wind", "a"),
        ("metadata.list=x", "a"), ("metadata.list=1", "a"), ("created_at>2026-11-10", "b"), ("ada", "b"),
        ("butter", "a"),
        ("status=failed or status=running", "ab"), ("status=failed status=running", ""),
        ("not (status=failed or num_drones>100)", "b"), ("status=failed and not tags=night", ""), ('"night"', "a"),
        ("AND_x or butterfly", "a"), ("metadata.text~5", "a"),
    ],
)  # fmt: skip
def test_meaning(text: str, expected: str) -> None:
    assert "".join(fitting(text)) == expected


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("status=", "column 8"), ("foo=1", "column 1"), ("(status=x", "column 10"), ("status=x)", "column 9"),
        ("metadata..a=1", "a key is empty"), ("status=a or", "column 12"), ("!", "column 1"), ("a" * 5000, "4096"),
        ("(" * 60 + "a" + ")" * 60, "nested"), ("num_drones>1e999", "too large"), ("has", "expected a field"),
    ],
)  # fmt: skip
def test_a_mistake_is_explained_with_its_place(text: str, place: str) -> None:
    with pytest.raises(InvalidQuery, match=place):
        parse(text, FIELDS)


@given(st.text(max_size=80))
def test_any_text_is_a_filter_or_a_clear_mistake(text: str) -> None:
    try:
        tree = parse(text, FIELDS)
    except InvalidQuery as error:
        assert "column" in str(error) or "characters" in str(error)
    else:
        matcher(tree, in_mapping)(ROWS[0])


@given(st.sampled_from(["n", "text", "on", "none", "missing", "list"]),
       st.sampled_from(["=", "<", ">", "<=", ">=", "~"]),
       st.sampled_from(["5", '"5"', "true", "null", "x", "7.5"]))  # fmt: skip
def test_not_is_the_complement(key: str, operator: str, value: str) -> None:
    clause = f"metadata.{key}{operator}{value}"
    assert sorted(fitting(clause) + fitting(f"not {clause}")) == ["a", "b"]


def test_tinydb_takes_a_filter_as_a_query() -> None:
    database = TinyDB(storage=MemoryStorage)
    database.insert_multiple(ROWS)
    query = TinyDBQuery(parse("metadata.n>6", FIELDS))
    assert [row["session_id"] for row in database.search(query)] == ["b"]
    assert query == TinyDBQuery(parse("metadata.n > 6", FIELDS)) and hash(query) == hash(query)
