"""Groups over columns are those of all rows, to the last bit of a sum, with numpy and without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessionstore.errors import InvalidQuery
from sessionstore.index.filtering import select
from sessionstore.index.journal import columns, table
from sessionstore.index.journal.table import Codes, Table
from sessionstore.model.row import FILTER_ALIASES, FILTER_FIELDS, as_interrupted
from sessionstore.query import parse
from sessionstore.store import SessionStore, column_groups
from sessionstore.store.grouping import Figure, grouped
from tests.index.test_columns import Twin, in_order

BY = (
    "status", "tags", "day", "name", "points", "distance_m", "metadata.n", "metadata.mix", "metadata.sub.k", "rev",
    "end_reason", "drones.scout", "metadata.big", "metadata.sub", "remark",
)  # fmt: skip
OF = ("points", "distance_m", "metadata.n", "metadata.f", "metadata.mix", "name", "metadata.big")
WHERE = ("", "status=failed", "status=interrupted", "metadata.n>1", "storm", "not tags=night", "created_at>2030")


@pytest.fixture(autouse=True)
def pages_of_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MIN_ROWS", 1)
    monkeypatch.setattr(columns, "_ROW_BYTES", 1)


@pytest.fixture(params=["numpy", "plain"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(table, "NUMPY_FROM", 0 if request.param == "numpy" else 1 << 40)
    return str(request.param)


def compared(twin: Twin, where: str, by: str) -> bool:
    """Compare groups with those of all rows; return whether the columns could answer."""
    rng, rows = twin.rng, in_order(twin.rows)
    why = {row.session_id: "gone" for row in rows if row.owner and rng.random() < 0.5}
    tree, of = parse(where, FILTER_FIELDS, FILTER_ALIASES) if where else None, rng.sample(OF, 3)
    shown = [as_interrupted(row, "gone") if row.session_id in why else row for row in rows]
    wanted = select(shown, tree)[::-1]  # newest first, as a listing
    found = column_groups.in_columns(twin.view(), tree, by, of, why)
    if found is None:
        return False
    assert found[1] == len(wanted)
    groups = [group.to_dict() for group in found[0]]
    assert groups == [group.to_dict() for group in grouped(wanted, by, of)]
    return True


def random_life(twin: Twin, rounds: int) -> float:
    answered = asked = 0
    for _ in range(rounds):
        for _ in range(twin.rng.randrange(8)):
            twin.change()
        if twin.rng.random() < 0.2:
            twin.write_anew()
        if twin.rng.random() < 0.3:
            twin.index = twin.opened()
        for by in BY:
            asked += 1
            answered += compared(twin, twin.rng.choice(WHERE), by)
    return answered / asked


def test_groups_are_those_of_all_rows_whatever_was_written(tmp_path: Path, way: str) -> None:
    assert random_life(Twin(tmp_path, 3), 12) > 0.5


def _oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Table._ordered
    monkeypatch.setattr(Table, "_ordered", lambda *given: original(*given)[::-1])


def _late_values_shifted(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Table._with
    monkeypatch.setattr(Table, "_with", lambda self, values, codes, late: original(self, values, codes, late[::-1]))


def _true_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_key", lambda value: ("", str(value)[:1]))


def _first_tag_only(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Table.field

    def field(self: Table, path: tuple[str, ...]) -> Codes:
        found = original(self, path)
        return Codes([value[:1] for value in found.values], found.codes) if path == ("tags",) else found

    monkeypatch.setattr(Table, "field", field)


@pytest.mark.parametrize("plant", [_oldest_first, _late_values_shifted, _true_is_one, _first_tag_only])
def test_a_planted_fault_is_noticed(
    plant: Callable[[pytest.MonkeyPatch], None], tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        random_life(Twin(tmp_path, 3), 12)


def test_groups_of_a_store_are_read_from_columns_and_see_what_came_since(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        store.create(f"run {number}", metadata={"site": "AB"[number % 2], "n": number}, tags=["t"] * (number > 3))
    column_groups.prepare(store.catalog)
    monkeypatch.setattr("sessionstore.index.journal.engine.JournalIndex.snapshot", None)
    store.create("later", metadata={"site": "A", "n": 0.5})
    groups, total = column_groups.groups(store.catalog, "", "metadata.site", ["metadata.n"])
    assert total == 7 and [(group.value, group.count) for group in groups] == [("A", 4), ("B", 3)]
    assert groups[0].figures["metadata.n"] == Figure(4, 6.5, 0.0, 4.0)
    with pytest.raises(InvalidQuery):
        column_groups.groups(store.catalog, "", "colour", [])


def test_columns_of_several_fields_are_made_by_one_reading_of_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin, readings = Twin(tmp_path, 5), []
    original: Any = columns.Columns._of_lines
    monkeypatch.setattr(columns.Columns, "_of_lines", lambda *given: (readings.append(1), original(*given))[1])
    assert column_groups.in_columns(twin.view(), None, "rev", ["points", 'metadata."\x01"'], {}) is None
    assert len(readings) == 1
    assert column_groups.in_columns(twin.view(), None, "rev", ["distance_m", "metadata.n"], {}) is not None
    assert len(readings) == 2


def test_what_was_prepared_is_not_read_from_the_journal_again(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create("Butterfly")
    column_groups.prepare(store.catalog)
    monkeypatch.setattr(columns.Columns, "_of_lines", None)
    assert store.page("butter").total == 1
    assert column_groups.groups(store.catalog, "butter", "day")[1] == 1
