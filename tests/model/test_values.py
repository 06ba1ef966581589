"""Values of real programs: each row of the table, what is refused, and the hook."""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

import sessionstore
from sessionstore.errors import InvalidRecord
from sessionstore.model import values
from sessionstore.session.stream_record import payload_of
from sessionstore.store import SessionStore


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


@dataclass
class Wing:
    span_m: float
    colour: Colour


NAIVE = datetime(2026, 3, 1, 12, 30)  # noqa: DTZ001  # the point of the test


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2))), "2026-03-01T10:00:00.000000Z"),
        (NAIVE, NAIVE.astimezone().isoformat()),
        (date(2026, 3, 1), "2026-03-01"),
        (timedelta(minutes=2), 120.0),
        (Decimal("0.1"), 0.1), (Decimal(7), 7), (Decimal("1.00000000000000000001"), "1.00000000000000000001"),
        (Fraction(1, 3), "1/3"),
        (Colour.RED, "red"), (Level.HIGH, 3),
        (Wing(1.5, Colour.RED), {"span_m": 1.5, "colour": "red"}),
        (b"\x00\xff", {"base64": "AP8="}), (bytearray(b"a"), {"base64": "YQ=="}),
        (Path("a/b"), "a/b"), (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ((1, 2), [1, 2]), ({2, 1}, [1, 2]),
        (np.float32(0.5), 0.5), (np.int64(3), 3), (np.bool_(True), True), (np.zeros((1, 2)), [[0.0, 0.0]]),
        (np.datetime64("2026-03-01T10:00:00.000000000"), "2026-03-01T10:00:00.000000Z"),
        (np.timedelta64(1500, "ms"), 1.5), (np.datetime64("NaT"), None),
        (np.array(["2026-03-01"], dtype="datetime64[D]"), ["2026-03-01T00:00:00.000000Z"]),
        ({1: "a", 2.5: "b", Colour.RED: "c", False: "d", None: "e"},
         {"1": "a", "2.5": "b", "red": "c", "false": "d", "null": "e"}),
        (10**400, 10**400),
    ],
)  # fmt: skip
def test_each_row_of_the_table(value: Any, stored: Any) -> None:
    found = values.plain(value)
    assert found == stored and type(found) is type(stored)


def test_values_of_pandas_attrs_and_pydantic(store: SessionStore) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame({"a": [1, 2], "t": pandas.to_datetime(["2026-03-01", "2026-03-02"], utc=True)})
    given = {
        "stamp": pandas.Timestamp("2026-03-01T10:00", tz="UTC"), "nat": pandas.NaT, "na": pandas.NA,
        "series": pandas.Series([1.5]), "frame": frame, "delta": pandas.Timedelta("2s"),
    }  # fmt: skip
    assert values.plain(given) == {
        "stamp": "2026-03-01T10:00:00.000000Z", "nat": None, "na": None, "series": [1.5], "delta": 2.0,
        "frame": {"a": [1, 2], "t": ["2026-03-01T00:00:00.000000Z", "2026-03-02T00:00:00.000000Z"]},
    }  # fmt: skip


def test_values_of_attrs_and_pydantic() -> None:
    attrs = pytest.importorskip("attrs", reason="attrs is not installed")
    made = attrs.make_class("Made", ["x", "when"])
    assert values.plain(made(x=1, when=date(2026, 1, 1))) == {"x": 1, "when": "2026-01-01"}
    pydantic = pytest.importorskip("pydantic", reason="pydantic is not installed")
    model = pydantic.create_model("Model", x=(int, 1), when=(date, date(2026, 1, 1)))
    assert values.plain(model()) == {"x": 1, "when": "2026-01-01"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({1: "a", "1": "b"}, "two keys become the text '1'"),
        ({(1, 2): "a"}, "has no text form"),
        ({"a": [object()]}, r"x\.a\[0\]: builtins.object has no JSON form"),
        ({"a": 1 + 2j}, "builtins.complex has no JSON form"),
        ({"a": "\ud800"}, "lone surrogate"),
        ({"a": float("nan")}, "nan is not a number that JSON knows"),
        (Colour, "has no JSON form"),
    ],
)
def test_what_is_refused_is_named_with_its_place(value: Any, reason: str) -> None:
    with pytest.raises(InvalidRecord, match=reason):
        values.plain(value, "x")


def test_a_value_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidRecord, match="nested beyond 200"):
        values.plain(endless)


def test_a_type_that_was_registered_is_stored_as_its_function_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "registered", {})

    class Celsius:
        def __init__(self, degrees: float) -> None:
            self.degrees = degrees

    class Kelvin(Celsius): ...

    sessionstore.register_type(Celsius, lambda value: {"celsius": value.degrees, "on": date(2026, 1, 1)})
    assert values.plain([Kelvin(1.5)]) == [{"celsius": 1.5, "on": "2026-01-01"}]


def test_not_finite_numbers_of_metadata_are_null_named_and_reported(
    store: SessionStore, caplog: pytest.LogCaptureFixture
) -> None:
    session = store.create("x", metadata={"loss": float("nan"), "a/b": [1.0, float("-inf")]})
    assert session.record.metadata == {"loss": None, "a/b": [1.0, None]}
    assert session.record.extra["not_finite"] == {"/metadata/loss": "NaN", "/metadata/a~1b/1": "-Infinity"}
    assert "metadata.loss is NaN, and is stored as null" in caplog.text
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    session.metadata["loss"] = 0.5
    assert session.record.extra["not_finite"] == {"/metadata/a~1b/1": "-Infinity"}
    session.metadata["gain"] = np.float32("inf")
    assert session.record.extra["not_finite"] == {"/metadata/a~1b/1": "-Infinity", "/metadata/gain": "Infinity"}
    session.replace(session.record, if_rev=session.record.rev)
    session.metadata.clear()
    assert "not_finite" not in session.record.to_dict()
    (row,) = store.find("x")
    assert row.metadata == {}


def test_what_can_be_stored_of_a_value_is_salvaged() -> None:
    refused: dict[str, str] = {}
    value = {"a": 1, "b": {"c": object(), "d": 2}, "e": [1, object()], (1, 2): 3}
    assert values.salvaged(value, "x", {}, refused) == {"a": 1, "b": {"d": 2}, "e": [1, None]}
    assert set(refused) == {"/b/c", "/e/1", "/(1, 2)"}
    assert "has no JSON form" in refused["/b/c"]
    assert values.salvaged(object(), "x", {}, refused) is None


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2026-11-23T14:30:00Z", "2026-11-23T14:30:00.000000Z"),
        ("2026-11-23T15:30:00.5+01:00", "2026-11-23T14:30:00.500000Z"),
        ("2026-11-23T14:30:00.123456789Z", "2026-11-23T14:30:00.123456Z"),
        ("2026-11-23 14:30:00+0000", "2026-11-23T14:30:00.000000Z"),
    ],
)
def test_instants_of_any_iso_form_are_stored_in_one(store: SessionStore, text: str, canonical: str) -> None:
    session = store.create("x", created_at=text, started_at=text, ended_at=text)
    record = session.record
    assert record.created_at == record.started_at == record.ended_at == canonical
    assert session.session_id == "202611231430-x"
    session.update(ended_at=datetime(2027, 1, 1, tzinfo=UTC))
    assert session.record.ended_at == "2027-01-01T00:00:00.000000Z"
    path = session.folder / "session.json"
    path.write_text(path.read_text().replace(f'"started_at": "{canonical}"', f'"started_at": "{text}"'))
    assert session.record.started_at == canonical and store.find()[0].started_at == canonical


class Kelvin:
    def __init__(self, kelvin: float) -> None:
        self.kelvin = kelvin


class Pose(dict):  # type: ignore[type-arg]  # a type that has a form of its own already
    pass


@pytest.fixture
def registered() -> Iterator[None]:
    before = dict(values.registered)
    values.register(Kelvin, lambda value: {"kelvin": Decimal(str(value.kelvin))})
    values.register(Pose, lambda value: list(value.values()))
    yield
    values.registered.clear()
    values.registered.update(before)


ROWS = [
    Decimal("0.1"), Decimal("1.00000000000000000001"), Colour.RED, Level.HIGH, Wing(1.5, Colour.RED), b"\x00\xff",
    bytearray(b"a"), NAIVE, datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2))), date(2026, 3, 1),
    NAIVE.time(), timedelta(minutes=2), UUID(int=1), Path("a/b"), Fraction(1, 3), {2, 1}, frozenset("ba"), (1, (2,)),
    np.float64(0.5), np.float32(0.5), np.int64(3), np.bool_(True), np.zeros((1, 2)), np.array(1.5),
    np.datetime64("2026-03-01T10:00:00"), np.timedelta64(1500, "ms"), np.array(["2026-03-01"], dtype="datetime64[D]"),
    np.array([Decimal("1.5"), None], dtype=object), np.array(["a"]),
    {1: "a", 2.5: "b", Colour.RED: "c", False: "d", None: "e", date(2026, 3, 1): "f"}, 10**400, [0.5] * 100, [10**400],
    Kelvin(21.5), [Kelvin(21.5)], Pose(x=1, y=Kelvin(2)), OrderedDict(a=Colour.RED),
]  # fmt: skip


@pytest.mark.parametrize("value", ROWS, ids=lambda value: type(value).__name__)
@pytest.mark.usefixtures("registered")
def test_a_stream_and_metadata_store_a_value_alike(value: Any) -> None:
    """One table: a type that the encoder of streams knew by itself was stored by rules of its own."""
    record = {"value": value, "deep": {"list": [value]}}
    assert json.loads(payload_of(record)) == values.plain(record)


def test_values_of_pandas_attrs_and_pydantic_are_stored_alike_in_streams() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    attrs = pytest.importorskip("attrs", reason="attrs is not installed")
    pydantic = pytest.importorskip("pydantic", reason="pydantic is not installed")
    record = {
        "stamp": pandas.Timestamp("2026-03-01T10:00", tz="UTC"), "nat": pandas.NaT, "na": pandas.NA,
        "series": pandas.Series([1.5]), "frame": pandas.DataFrame({"a": [1, 2]}), "delta": pandas.Timedelta("2s"),
        "attrs": attrs.make_class("Made", ["x"])(x=date(2026, 1, 1)),
        "pydantic": pydantic.create_model("Model", x=(int, 1))(),
    }  # fmt: skip
    assert json.loads(payload_of(record)) == values.plain(record)


@pytest.mark.parametrize(
    "record",
    [{"v": 1 + 2j}, {"v": [object()]}, {(1, 2): "a"}, {"v": {1: "a", "1": "b"}}, {"v": "\ud800"}, {"\ud800": 1},
     {"v": 10**5000}, {"v": [10**5000]}, {"v": Colour}, {"v": {1, "a"}}],
)  # fmt: skip
def test_a_stream_and_metadata_refuse_a_value_with_the_same_words(record: Any) -> None:
    with pytest.raises(InvalidRecord) as expected:
        values.plain(record, "record")
    with pytest.raises(InvalidRecord) as caught:
        payload_of(record)
    assert str(caught.value) == str(expected.value)


def test_a_subclass_of_a_registered_type_is_stored_like_it(registered: None) -> None:
    class Warm(Kelvin):
        pass

    assert values.plain([Warm(1)]) == [{"kelvin": 1}] and json.loads(payload_of({"v": Warm(1)})) == {"v": {"kelvin": 1}}


@pytest.mark.parametrize("kind", [dict, list, tuple, str, int, float, bool, type(None)])
def test_a_type_of_json_itself_cannot_be_registered(kind: type, registered: None) -> None:
    with pytest.raises(InvalidRecord, match="has a form in JSON already"):
        sessionstore.register_type(kind, str)


def test_numbers_that_are_not_finite_are_found_in_values_of_any_type(registered: None) -> None:
    record = {"a": float("nan"), "b": np.array([1.0, np.inf]), "dec": Decimal("NaN"), "d": Kelvin(float("nan"))}
    assert json.loads(payload_of(record)) == {"a": None, "b": [1, None], "dec": None, "d": {"kelvin": None}, "nan": 4}
    not_finite: dict[str, str] = {}
    values.plain(record, "x", not_finite)
    assert not_finite == {"/a": "NaN", "/b/1": "Infinity", "/dec": "NaN", "/d/kelvin": "NaN"}


def test_what_counts_as_json_is_stored_as_it_is() -> None:
    assert values.is_json({"a": [1, (2.5, None), {"b": "c", "d": []}], "e": ["x"] * 50, "f": True})
    for value in (Colour.RED, np.float64(1), Decimal(1), {1}, b"", {1: 2}, [[{2: 3}]], ["x"] * 50 + [date(2026, 1, 1)]):
        assert not values.is_json({"a": value}) and not values.is_json({"a": {"b": [value]}})
