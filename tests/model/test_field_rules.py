"""The quick tests of a record never pass what the schema refuses; what the schema says stays word for word."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstore.errors import InvalidRecord
from sessionstore.model import records
from sessionstore.model.instants import new_uuid, now_text
from sessionstore.model.record import RECORD_FIELDS, SessionRecord
from sessionstore.model.schemas import RecordSchema

SCHEMA = RecordSchema()
RIGHT = SessionRecord.new(
    session_id="202611231430-Butterfly", uuid=new_uuid(), created_at=now_text(),
    updated_at=now_text(), started_at=now_text(), tags=["night"], duration_sim_s=1.5,
    gps={"lat": 51.9, "lon": 4.5}, drones=[{"id": "scout-1"}], owner={"pid": 1}, session_name="Butterfly",
).to_dict()  # fmt: skip
ODD: tuple[Any, ...] = (
        10**400, -(10**400), 0, 1, -1, -0.0, 1e308, 2**63, "", " ", "a" * 200, "a" * 201, "é" * 4097, "a" * 4097,
        "\U0001f681" * 1024, "\U0001f681" * 1025, "Nachtflug ä", "\ud800", "ä\udfff",
        "2026-02-30T00:00:00.000000Z", "2026-02-28T24:00:00.000000Z", "2026-02-28T23:59:60.000000Z",
        "2026-02-28T23:59:59.999999Z", "0000-01-01T00:00:00.000000Z", "２０２６-02-28T23:59:59.999999Z", "created",
        "lost",         [0.0, 0.0, 0.0], [0.0, 0.0], [0, 0, True], [0, 0, "0"], [0, 0, None], [{}], [[]],
        ["a"] * 101, ["a" * 201], [""],
        {}, {"a": 1.0}, {"a": "1"}, {"a": None}, "{019ab000-0000-7000-8000-000000000000}", "019ab000",
)  # fmt: skip
VALUES: Any = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=300), st.sampled_from(ODD),
    st.lists(st.integers() | st.text(max_size=3), max_size=4),
)  # fmt: skip


@given(name=st.sampled_from(RECORD_FIELDS), value=VALUES)
def test_what_passes_quickly_passes_the_schema_too(name: str, value: Any) -> None:
    for values, partial in (({**RIGHT, name: value}, False), ({name: value}, True)):
        if records.keeps_rules(values, partial):
            assert SCHEMA.validate(values, partial=partial) == {}


@pytest.mark.parametrize("name", RECORD_FIELDS)
def test_no_odd_value_of_any_field_passes_that_the_schema_refuses(name: str) -> None:
    for value in (None, True, False, *ODD):
        assert not records.keeps_rules({name: value}, True) or SCHEMA.validate({name: value}, partial=True) == {}, value


@pytest.mark.parametrize("name", RECORD_FIELDS)
def test_a_missing_field_is_judged_as_by_the_schema(name: str) -> None:
    values = {key: value for key, value in RIGHT.items() if key != name}
    assert records.keeps_rules(values) is (SCHEMA.validate(values) == {})


def test_a_record_of_our_own_making_needs_no_schema() -> None:
    assert records.keeps_rules(RIGHT)
    assert set(RECORD_FIELDS) == set(SCHEMA.fields)


def test_a_name_of_any_script_needs_no_schema() -> None:
    for name in ("Nachtflug ä", "夜間飛行", "\U0001f681" * 1024, "a" * 4096):
        assert records.keeps_rules({**RIGHT, "session_name": name})


def test_an_unknown_field_is_left_to_the_schema() -> None:
    assert not records.keeps_rules({"pilot": "Ada"}, partial=True)
    with pytest.raises(InvalidRecord, match="pilot: Unknown field"):
        records.check_changes({"pilot": "Ada"})
