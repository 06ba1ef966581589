"""A document that this process laid out is changed in its text, and comes out as if all of it had been laid out."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sessionstore
from sessionstore.model import json_text
from sessionstore.session import documents, known_texts, shared_parts

_LONG = "a text that is long enough to make what holds it stand on several lines of its own, in any place"
_BASE: dict[str, Any] = {f"field_{number}": number for number in range(24)}
_leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "{", "}\n  }", ',\n      "', "\u00e9\u2603", '"quoted"', "\\u0041", _LONG]),
    st.text(max_size=9),
)  # fmt: skip
_values = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)
_names = st.sampled_from(["rev", "metadata", "tags", "notes", "lineage", "x y", "\n", _LONG])
_records = st.dictionaries(_names, _values, min_size=1, max_size=6)
_histories = st.lists(st.dictionaries(st.sampled_from(["field", "at", _LONG]), _leaves, max_size=3), max_size=3)
_further = st.dictionaries(st.sampled_from(["a", "zz"]), st.just({"1": {"k": _LONG}}), max_size=2)


def _numbered(rows: list[Any]) -> dict[str, Any]:
    return {str(number): row for number, row in enumerate(rows, 1)}


@given(_records, _histories, _further, _records, st.sets(_names), _histories)
def test_a_changed_text_is_the_layout_of_the_changed_tables(
    record: dict[str, Any], history: list[Any], further: Any, changes: Any, removed: set[str], added: list[Any]
) -> None:
    record = {**_BASE, **record}
    tables = {"session": {"1": record}, "workflow": _numbered(history), **further}
    try:
        data = json_text.layout(tables)
    except OverflowError:  # an integer of more than 64 bits
        return
    before = known_texts.KnownText(data, tables)
    for name in removed & record.keys():
        del record[name]
    record.update(changes)
    tables["workflow"].update(_numbered(history + added))
    found = before.changed(tables)
    assert found is None or found == json_text.layout(tables)


def test_a_short_record_may_come_to_stand_on_one_line() -> None:
    tables: Any = {"session": {"1": {"rev": 1, "notes": _LONG, "x": _LONG}}, "workflow": {}}
    before = known_texts.KnownText(json_text.layout(tables), tables)
    tables["session"]["1"].update(notes="", x="")
    assert before.changed(tables) is None


def test_a_usual_change_is_made_in_the_text() -> None:
    record = {**_BASE, "session_id": "a" * 60, "rev": 1, "metadata": {"pilot": "Ada", "note": _LONG}, "tags": ["x"]}
    tables: Any = {"session": {"1": record}, "workflow": {}, "buildings": {"1": {"height_m": 12.5}}}
    for number in range(1, 4):
        data = json_text.layout(tables)
        before = known_texts.KnownText(data, tables)
        record.update(rev=number, tags=["x", number], metadata={"pilot": "Grace", "n": number}, new=[])
        tables["workflow"][str(number)] = {"field": "status", "old": "created", "new": "running", "reason": _LONG}
        found = before.changed(tables)
        assert found is not None and found == json_text.layout(tables)


def test_a_value_that_was_edited_in_place_is_never_lost() -> None:
    tables: Any = {"session": {"1": {**_BASE, "metadata": {"n": 1}}}, "workflow": {}}
    before = known_texts.KnownText(json_text.layout(tables), tables)
    tables["session"]["1"]["metadata"]["n"] = 2
    assert before.changed(tables) is None


def test_a_shared_provenance_stays_as_it_is_and_its_change_is_seen(tmp_path: Path) -> None:
    with sessionstore.open(tmp_path) as store:
        session = store.create("Butterfly")
        for number in range(4):
            session.update(tags=[str(number)])
        path = session.folder / "session.json"
        data = path.read_bytes()
        assert known_texts.is_known(data)
        tables = shared_parts.parse(data, str(path), own=True)
        assert type(tables["session"]["1"]["provenance"]) is json_text.Fixed
        before = known_texts.KnownText(data, tables)
        tables["session"]["1"].update(rev=9)
        assert before.changed(tables) == json_text.layout(tables) != data
        session.update(provenance={"command": "another"})
        assert documents.load(str(path))[0]["session"]["1"]["provenance"] == {"command": "another"}


def test_a_text_edited_by_hand_is_laid_out_anew(tmp_path: Path) -> None:
    with sessionstore.open(tmp_path) as store:
        session = store.create("Butterfly", metadata={"pilot": "Ada"})
        session.update(tags=["a"])
        path = session.folder / "session.json"
        path.write_bytes(path.read_bytes().replace(b'"pilot": "Ada"', b'"pilot":\n "Grace"'))
        session.update(tags=["b"])
        data = path.read_bytes()
        assert b'"pilot": "Grace"' in data and data == json_text.layout(documents.load(str(path))[0])


@pytest.mark.parametrize("changes", [{"status": "running"}, {"metadata": {"a": [1, {"b": _LONG}]}}, {"notes": "x"}])
def test_updates_of_a_known_and_of_an_unknown_text_write_the_same(tmp_path: Path, changes: dict[str, Any]) -> None:
    found = []
    for forget in (False, True):
        with sessionstore.open(tmp_path / str(forget)) as store:
            session = store.create("Butterfly")
            session.update(tags=["a"])
            if forget:
                known_texts._known.clear()
            session.update(**copy.deepcopy(changes))
            data = (session.folder / "session.json").read_bytes()
            assert data == json_text.layout(documents.load(str(session.folder / "session.json"))[0])
            found.append(sorted(json_text.parse(data, "")["session"]["1"]))
    assert found[0] == found[1]


def test_a_session_is_changed_in_the_text_that_it_was_made_with(tmp_path: Path) -> None:
    session = sessionstore.open(tmp_path / "store").create("Moth", metadata={"pilot": "Ada"})
    assert known_texts.is_known((session.folder / "session.json").read_bytes())
    session.update(status="running")
    data = (session.folder / "session.json").read_bytes()
    assert data == documents.encode(documents.tables_of(data, "session.json"))


def test_a_function_edits_a_copy_of_the_record_all_of_its_own(tmp_path: Path) -> None:
    session = sessionstore.open(tmp_path / "store").create("Moth", metadata={"deep": [{"count": 1}]})
    seen: list[tuple[Any, Any]] = []

    def count(record: dict[str, Any]) -> None:
        record["metadata"]["deep"][0]["count"] += 1

    session.update(count, accepted=lambda uuid, before, after: seen.append((before, after)))
    ((before, after),) = seen
    assert before == {"metadata": {"deep": [{"count": 1}]}}
    assert after == {"metadata": {"deep": [{"count": 2}]}}
