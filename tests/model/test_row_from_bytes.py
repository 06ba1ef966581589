"""The short way to a row gives what the long way gives, byte for byte, or leaves it to the long way; never a third."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sessionstore.errors import Unreadable
from sessionstore.model import json_text, records, row_from_bytes
from sessionstore.model.record import RECORD_FIELDS, SessionRecord
from sessionstore.model.row import Owner, SessionRow, to_row
from sessionstore.session import documents, handle
from sessionstore.store import SessionStore
from tests.model.test_field_rules import ODD

STATUS = os.stat(__file__)
RECORD = SessionRecord.new(
    session_id="202611231430-Butterfly", uuid="019ab000-0000-7000-8000-000000000000", rev=7, status="running",
    created_at="2026-11-23T14:30:00.000000Z", updated_at="2026-11-23T14:31:00.500000Z", session_name="Nachtflug ä",
    started_at="2026-11-23T14:30:01.000000Z", tags=["night", "roof"], duration_planned_s=60, duration_sim_s=1.5,
    gps={"lat": 51.9, "lon": 4}, drones=[{"id": "scout-1", "kind": "scout"}, {"id": "c-1", "kind": "climber"}, {}],
    metadata={"pilot": 'Ada "the first"\n', "wind": 2.5, "checks": [1, {"deep": [None, True]}], "": {}},
    progress={"points": 12, "distance_m": 3.5}, performance_metrics={"totals": {"points": 13, "windows_cleaned": 2}},
    owner={"host": "here", "pid": 12}, created_by="tests", streams={"motion": 3}, artifacts=[{"name": "a.txt"}],
    provenance={"seed": 7, "packages": {"numpy": "2.0"}},
).to_dict()  # fmt: skip
TABLES: dict[str, Any] = {"session": {"1": RECORD}, "workflow": {"1": {"field": "status", "old": "created"}}}


def long_way(data: bytes) -> SessionRow | None:
    """Return the row that the strict parser, shape and schema give; None for a file that they refuse."""
    try:
        tables = documents.check_tables(json_text._parse_strictly(data, "p"), data, "p")
        record = records.read_record(tables, data, "p", "folder")
    except Unreadable:
        return None
    return to_row(record, STATUS)


def agree(data: bytes) -> bool:
    """Compare the two ways; return whether the short one went all the way."""
    short = row_from_bytes.row_of(data, STATUS, "folder")
    if short is not None:
        long = long_way(data)
        assert long is not None, "the short way took what is refused"
        assert msgspec.json.encode(short) == msgspec.json.encode(long)
        assert short == long and list(map(type, msgspec.structs.astuple(short))) == list(
            map(type, msgspec.structs.astuple(long))
        )
    return short is not None


# ---------------------------------------------------------------- files as somebody may have left them

VALUES: Any = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.sampled_from(ODD),
    st.recursive(
        st.integers() | st.text(max_size=3) | st.floats() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    ),
)  # fmt: skip
TOKENS = (
    "1", "1.0", "-0.0", "0", "-0", "1e5", "1E400", "1e-400", "9007199254740992", "9007199254740993", "9.1e15",
    "18446744073709551616", "123456789012345678901234567890", "0.1e1", "true", "null", "NaN", "-Infinity", "01", ".5",
    '""', '"x"', r'"\u0022"', r'"\ud800"', r'"\u00e9"', r'"a\/b"', r'"\\u0041"', '"\\\\"', r'"\""', '"\0"', "[]", "{}",
    r'{"a":1,"a":"\u0022\u0022"}', r'["\ud800\u0022", "\ud83d\ude00"]',
    '{"a":1,"a":2}', '{"a":1,"\\u0061":2}', '[{"b":"","b":""}]', '"2026-02-30T00:00:00.000000Z"', "'x'", "",
    '"2024-02-29T00:00:00.000000Z"', '"2026-11-23 14:30:00.000000Z"', '"2026-11-23T24:00:00.000000Z"',
    '"2026-W47-1T14:30:00.00000Z"', '"019AB000-0000-7000-8000-000000000000"', '"running"', '"ended"',
    '"' + "é" * 1025 + '"',
    "[" * 300 + "]" * 300,
)  # fmt: skip
_KEY = re.compile(r'"(?:[^"\\]|\\.)*"\s*:\s*')
_SCALAR = re.compile(r'(?<=[:\[,] )(?:"(?:[^"\\]|\\.)*"|-?[0-9.eE+-]+|true|false|null)(?=\s*[,\]}])')


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    """Tables whose record has a few fields that are odd, missing or unknown, beside others."""
    record = dict(RECORD)
    for name in draw(st.lists(st.sampled_from(RECORD_FIELDS), max_size=1)):
        record[name] = draw(VALUES)
    if draw(st.integers(0, 5)) == 0:
        record.pop(draw(st.sampled_from(RECORD_FIELDS)), None)
    if draw(st.integers(0, 5)) == 0:
        record[draw(st.text(max_size=4))] = draw(VALUES)
    found: dict[str, Any] = {"session": {draw(st.sampled_from(["1", "1", "1", "0", "12", "", "a", "-1", "٣"])): record}}
    if draw(st.booleans()):
        found["workflow"] = draw(
            st.just({}) | st.dictionaries(st.sampled_from(["1", "2", "x", "", " 1"]), st.just({}) | VALUES, max_size=2)
        )
    if draw(st.integers(0, 5)) == 0:
        found["session"]["2"] = draw(st.just(record) | VALUES)
    if draw(st.integers(0, 5)) == 0:
        found[draw(st.text(max_size=4))] = draw(st.just({"1": {}}) | VALUES)
    return found


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """The text of such tables, in one of several layouts, with a key set twice, a token replaced or a byte changed."""
    value = draw(st.just(TABLES) | tables())
    indent = draw(st.sampled_from([None, 2]))
    text = json.dumps(value, indent=indent, ensure_ascii=draw(st.integers(0, 3)) == 0, sort_keys=draw(st.booleans()))
    for _ in range(draw(st.sampled_from([0, 1, 1, 2]))):
        kind = draw(st.sampled_from(["twice", "token", "byte", "nothing"]))
        places = list((_KEY if kind == "twice" else _SCALAR).finditer(text))
        if not places:
            continue
        place = draw(st.sampled_from(places))
        token = draw(st.sampled_from(TOKENS))
        if kind == "twice":
            text = f"{text[: place.start()]}{place[0]}{token}, {text[place.start() :]}"
        elif kind == "token":
            text = text[: place.start()] + token + text[place.end() :]
        elif kind == "byte":
            at = draw(st.integers(0, len(text) - 1))
            text = text[:at] + draw(st.sampled_from(' "\\{}[]:,0-.e\0\ufeff')) + text[at + draw(st.integers(0, 1)) :]
    data = text.encode(errors="surrogatepass")
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(data) - 1))
        data = data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]
    return data


@given(data=texts())
@example(data=json_text.layout(TABLES))
@example(data=b"")
@example(data=b"\xef\xbb\xbf" + json_text.layout(TABLES))
@settings(max_examples=500)
def test_the_short_way_gives_the_row_of_the_long_way_or_none(data: bytes) -> None:
    agree(data)


@pytest.mark.parametrize("token", TOKENS)
def test_no_odd_value_and_no_second_key_anywhere_in_a_file_slips_through(token: str) -> None:
    text = json.dumps(TABLES, ensure_ascii=False)
    for place in _KEY.finditer(text):
        agree(f"{text[: place.start()]}{place[0]}{token}, {text[place.start() :]}".encode())
        agree(f"{text[: place.end()]}{token}, {place[0]}{text[place.end() :]}".encode())
    for place in _SCALAR.finditer(text):
        agree((text[: place.start()] + token + text[place.end() :]).encode())


@pytest.mark.parametrize("doc_id", ["", "1", "01", "a", "-1", "٣", " 1", "1_0", "²", "1.0"])
def test_a_document_under_an_odd_number_is_never_taken(doc_id: str) -> None:
    for found in ({"session": {doc_id: RECORD}}, {**TABLES, "workflow": {"1": {}, doc_id: {}}}):
        assert agree(json.dumps(found, ensure_ascii=False).encode()) == (doc_id in ("1", "01"))


@pytest.mark.parametrize("name", RECORD_FIELDS)
def test_every_odd_value_of_every_field_gives_the_same_row_or_goes_the_long_way(name: str) -> None:
    for value in (None, True, False, *ODD):
        agree(
            json.dumps({"session": {"1": {**RECORD, name: value}}}, ensure_ascii=False).encode(errors="surrogatepass")
        )


# ---------------------------------------------------------------- what is plain, and what is not


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"status": "completed", "owner": None, "ended_at": "2026-11-23T15:30:00.000000Z", "drones": []},
        {"session_name": None, "duration_planned_s": None, "base_position": None, "num_buildings": None},
        {"duration_wall_s": 3, "progress": {}, "performance_metrics": {}}, {"owner": {"pid": "odd"}}, {"rev": 2**53},
        {"performance_metrics": {"totals": "odd"}, "progress": {"points": True, "distance_m": 1e300}},
    ],
)  # fmt: skip
def test_what_the_package_writes_goes_the_short_way(changes: dict[str, Any]) -> None:
    assert agree(json_text.layout({**TABLES, "session": {"1": {**RECORD, **changes}}}))


def test_sessions_of_a_store_go_the_short_way(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    flying = store.create("Butterfly", drones=[{"id": "scout-1"}], tags=["night"])
    flying.update(status="running", workflow_state="EXECUTE")
    store.create(None)
    monkeypatch.setattr(handle, "_record_of", None)
    assert [row.status for row in store.find()] == ["created", "running"]
    assert store.rebuild() == 2


@pytest.mark.parametrize(
    "tables",
    [
        {"session": {"1": RECORD}, "notes": {"1": {}}}, {"session": {"1": {**RECORD, "pilot": "Ada"}}},
        {"session": {"1": {name: value for name, value in RECORD.items() if name != "streams"}}},
        {"session": {"1": {**RECORD, "metadata": {"bell": "\a"}}}},
        {"session": {"1": {**RECORD, "session_name": "x" * 4096}}},
    ],
)  # fmt: skip
def test_what_is_right_but_unusual_is_read_the_long_way(tables: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "session.json").write_bytes(json_text.layout(tables))
    assert row_from_bytes.row_of(json_text.layout(tables), STATUS, "folder") is None
    assert handle.read_row(str(tmp_path), "folder").uuid == RECORD["uuid"]


def test_every_field_of_a_row_is_that_of_the_record() -> None:
    told = {"ended_at": "2026-11-23T15:30:00.000000Z", "end_reason": "done", "duration_wall_s": 2.5}
    record = SessionRecord(**{**RECORD, **told, "num_buildings": 3, "num_invisible_buildings": 4})
    row = to_row(record, STATUS)
    derived = {
        "size": STATUS.st_size, "mtime_ns": STATUS.st_mtime_ns, "num_drones": 3, "points": 13, "distance_m": 3.5,
        "drones": {"scout": 1, "climber": 1, "drone": 1}, "windows_cleaned": 2, "problem": None,
        "owner": Owner(host="here", pid=12), "raw_metadata": msgspec.Raw(msgspec.json.encode(record.metadata)),
        "host": None, "store": None, "openable": True, "copies": (), "merged_uuid": None, "remark": None,
    }  # fmt: skip
    for name in row.__struct_fields__:
        assert getattr(row, name) == (derived[name] if name in derived else getattr(record, name)), name
