"""The filter language: what it means, and what it refuses."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinydb import TinyDB
from tinydb.storages import MemoryStorage

from sessionstore.errors import InvalidQuery
from sessionstore.model.row import FILTER_FIELDS
from sessionstore.query import TinyDBQuery, describe, in_mapping, matcher, parse

FIELDS = ("session_id", "session_name", "status", "tags", "metadata", "num_drones", "created_at")
ROWS: list[dict[str, Any]] = [
    {"session_id": "a", "session_name": "Butterfly", "status": "failed", "tags": ["night", "Wind"], "num_drones": 5,
     "created_at": "2026-11-01T00:00:00.000000Z",
     "metadata": {"n": 5, "text": "5", "on": True, "none": None, "a b": {"c.d": 2**70}, "list": [1, "x"]}},
    {"session_id": "b", "session_name": None, "status": "running", "tags": [], "num_drones": 12,
     "created_at": "2026-11-23T00:00:00.000000Z", "metadata": {"n": 7.5, "pilot": "Ada"}},
]  # fmt: skip


NOW = datetime(2026, 11, 23, 10, 30, tzinfo=UTC)
TYPED = {name: kind for name, kind in FILTER_FIELDS.items() if name in FIELDS or name == "drones"}


def fitting(text: str, fields: Any = FIELDS) -> list[str]:
    fits = matcher(parse(text, fields, {"name": "session_name"}, NOW), in_mapping)
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("status in (created,failed)", "a"), ('status in (failed , "running")', "ab"), ("status not in (failed)", "b"),
        ("metadata.n in (5, 8)", "a"), ("name in (Butterfly) status=failed", "a"), ("name in (Butterfly, null)", "ab"),
        ("num_drones between 5 and 11", "a"), ("metadata.n not between 5 and 6", "b"),
        ("metadata.list between 0 and 2", "a"),
        ("metadata.none is null", "ab"), ("metadata.n is not null", "ab"), ("metadata.pilot is null", "a"),
        ("name is null", "b"), ("name is not null", "a"), ("name~/^Butter.ly$/", "a"), ("name~/^butter/", ""),
        ("name ~ /^butter/i", "a"), ("tags~/^(night|day)$/", "a"), ('name~"/"', ""),
        ("created_at=2026-11", "ab"), ("created_at=2026-11-01", "a"), ("created_at=2026", "ab"),
        ("created_at>2026-11", ""),
        ("created_at>=2026-11", "ab"), ("created_at<2026-11", ""), ("created_at<=2026-11-23", "ab"),
        ("created_at!=2026-11-01", "b"), ("created_at=today", "b"), ("created_at=yesterday", ""),
        ("created_at>-1d", "b"),
        ("created_at>-2w", "b"), ("created_at<-12h", "a"), ("created_at>-600m", ""), ("created_at<now", "ab"),
        ("created_at between 2026-11-01 and 2026-11-02", "a"), ("created_at in (today, 2026-11-01)", "ab"),
        ("created_at=2026-11-01T01:00:00+01:00", "a"), ("created_at is null", ""), ("num_drones=5.0", "a"),
        ("status~FAIL", "a"), ("tags=5", ""), ("session_id=a", "a"), ('metadata."a b"."c.d">5', "a"),
    ],
)  # fmt: skip
def test_meaning_where_the_types_of_the_fields_are_known(text: str, expected: str) -> None:
    assert "".join(fitting(text, TYPED)) == expected


@pytest.mark.parametrize(
    ("text", "advice", "column"),
    [
        ("status=failde", "did you mean failed", 8), ("status in (failed, runing)", "did you mean running", 1),
        ("status==failed", "use =", 7), ("status<>failed", "use !=", 7),
        ("num_drones<many", "is a number, not 'many'", 1),
        ("num_drones~5", "use =", 1), ("status>failed", r"use status in \(", 1),
        ("created_at>soon", "such as 2026-11-23", 1),
        ("created_at>2026-13", "such as 2026-11-23", 1), ("created_at=-1d", "use created_at>-1d", 12),
        ("tags>a", "use = or ~", 1), ("metadata=5", "name a key: metadata.KEY", 10), ("drones>5", "drones.KEY", 1),
        ("status.x=1", "status has no keys", 10), ("metadata.n>true", "true has no order", 1),
        ("metadata.n<null", "use metadata.n is null", 1), ("metadata.n>-1d", "in quotes it is text", 1),
        ("statsu=failed", "did you mean status", 1), ("name like butter", "use ~", 6),
        ("name contains butter", "use ~", 6),
        ("status=failed && name~x", "use and", 15), ("status:failed", "as status=failed", 7),
        ("butter in (a)", "no field", 1),
        ("in (a, b)", "needs a field before it", 1), ("storm is null", "no field 'storm'", 1),
        ("name is ada", "use =", 9),
        ("status in failed", r"expected \(", 11), ("status in (failed", "expected a value|expected \\)", 18),
        ("status in ()", "expected a value", 12), ("status in (failed running)", r"expected , or \)", 19),
        ("num_drones between 5 or 6", "expected and", 22), ("num_drones between 6 and 5", "lower to the higher", 1),
        ("metadata.n between 5 and x", "two numbers or two texts", 1), ("name~/a", "ends with /", 6),
        ("name~/a(/", "cannot be read", 6), ("name~/(a+)+/", "very long", 6), ("name~/(a|b)*/", "very long", 6),
        (r"name~/(a)\1/", "back references", 6), ("name~/(?=a)/", "no groups of the form", 6),
        ("name~/a*b*c*d*/", "at most 3", 6), ("name~/a/g", "ignore case", 6), ("!status=failed", "use not", 1),
        ('name="a', 'ends with "', 6),
    ],
)  # fmt: skip
def test_a_senseless_filter_names_its_column_and_what_to_write(text: str, advice: str, column: int) -> None:
    with pytest.raises(InvalidQuery, match=f"{advice}.* at column {column}$"):
        parse(text, TYPED, {"name": "session_name"}, NOW)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "every session"), ("status in (created,failed)", "status is one of created, failed"),
        ("metadata.pilot is null", "metadata.pilot is null or missing"), ('metadata."a.b"=1', 'metadata."a.b" is 1'),
        ("created_at=2026-11-01", "created at is between 2026-11-01T00:00:00.000000Z and 2026-11-01T23:59:59.999999Z"),
        ("name~/^a/i storm", "session name matches /^a/ ignoring case and “storm” in id, name, tags or metadata"),
        ("not (status=failed or has metadata.a)", "not (status is failed or has metadata.a)"),
    ],
)  # fmt: skip
def test_a_filter_is_explained_in_words(text: str, words: str) -> None:
    assert describe(parse(text, TYPED, {"name": "session_name"}, NOW)) == words


def test_a_refused_pattern_or_a_long_text_cannot_hold_up_a_search() -> None:
    tree = parse("metadata.text~/a.*b.*c.*d?$/", FIELDS)
    begin = time.perf_counter()
    assert not matcher(tree, in_mapping)({"metadata": {"text": "ab" * 100_000}})
    assert time.perf_counter() - begin < 5


@given(st.text(alphabet='abstunmin=<>~!()/\\"., -+*|[]{}?0123456789T:', max_size=40))
def test_any_text_of_its_signs_is_a_filter_or_a_clear_mistake(text: str) -> None:
    test_any_text_is_a_filter_or_a_clear_mistake.hypothesis.inner_test(text)  # type: ignore[attr-defined]


@given(st.text(max_size=80))
def test_any_text_is_a_filter_or_a_clear_mistake(text: str) -> None:
    try:
        tree = parse(text, FIELDS)
    except InvalidQuery as error:
        assert "column" in str(error) or "characters" in str(error)
    else:
        matcher(tree, in_mapping)(ROWS[0])


@given(st.sampled_from(["n", "text", "on", "none", "missing", "list"]),
       st.sampled_from(["=", "<", ">", "<=", ">=", "~", "~/", " in ", " between "]),
       st.sampled_from(["5", '"5"', "x", "7.5"]))  # fmt: skip
def test_not_is_the_complement(key: str, operator: str, value: str) -> None:
    value = {"~/": f"{value}/i", " in ": f"({value}, 8)", " between ": f"{value} and {value}"}.get(operator, value)
    clause = f"metadata.{key}{operator}{value}"
    assert sorted(fitting(clause) + fitting(f"not {clause}")) == ["a", "b"]


def test_tinydb_takes_a_filter_as_a_query() -> None:
    database = TinyDB(storage=MemoryStorage)
    database.insert_multiple(ROWS)
    query = TinyDBQuery(parse("metadata.n>6", FIELDS))
    assert [row["session_id"] for row in database.search(query)] == ["b"]
    assert query == TinyDBQuery(parse("metadata.n > 6", FIELDS)) and hash(query) == hash(query)
