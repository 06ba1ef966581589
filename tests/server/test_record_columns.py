"""Lists sorted and grouped by values of records: from columns they are those of reading every record."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore.index.journal import columns, table
from sessionstore.server.live import record_columns
from sessionstore.server.live.record_columns import RecordColumns
from sessionstore.server.live.record_values import RecordValues, in_order
from sessionstore.store import SessionStore
from sessionstore.store.grouping import grouped

NAMES = ("metrics.loss", "metrics.totals.points", "metrics.mix", "seed", "provenance.host", "metrics.absent")


@pytest.fixture(autouse=True, params=["numpy", "plain"])
def few_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MIN_ROWS", 1)
    monkeypatch.setattr(columns, "_ROW_BYTES", 1)
    monkeypatch.setattr(table, "NUMPY_FROM", 0 if request.param == "numpy" else 1 << 40)


def metrics(rng: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {
        "last": {"loss": rng.choice([1, 2.5, 2, -3.0, None])},
        "totals": {"points": rng.randrange(3)},
    }
    return found | {"mix": rng.choice(["b", "a", None, [1], {"x": 1}])} if rng.random() < 0.7 else {}


def life(store: SessionStore, rounds: int) -> None:
    """Change sessions, and compare lists by each value with those of all records."""
    rng = random.Random(4)
    values = RecordValues(store)
    for number in range(rounds * 3):
        store.create(f"run {number}", performance_metrics=metrics(rng), metadata={"seed": rng.randrange(3)})
        if number % 3:
            continue
        key = rng.choice([row.session_id for row in store.find()])
        what = rng.randrange(5)
        if what == 0:
            store.update(key, performance_metrics=metrics(rng))
        elif what == 1:
            by_hand(store, key, rng)
        elif what == 2:
            store.delete(key)
        elif what == 3:
            store.rebuild()
            values = RecordValues(store) if rng.random() < 0.3 else values
        elif what == 4:
            store.update(key, performance_metrics=metrics(rng))
            store.rebuild()
        for name in NAMES:
            compared(store, values, name, rng)


def by_hand(store: SessionStore, key: str, rng: random.Random) -> None:
    path = store.get(key).folder / "session.json"
    document = json.loads(path.read_text())
    document["session"]["1"]["performance_metrics"] = metrics(rng)
    path.write_text("{" if rng.random() < 0.2 else json.dumps(document))
    store.compare()


def compared(store: SessionStore, values: RecordValues, name: str, rng: random.Random) -> None:
    where, down, begin = (
        rng.choice(["", "run", "metadata.seed=1", "status=created"]),
        rng.random() < 0.5,
        rng.randrange(4),
    )
    rows = store.find(where, verify=False)
    exact = RecordValues(store).of(rows, name)
    wanted = in_order(rows, exact, down)[begin : begin + 5]
    assert values.columns.page(where, name, down, begin, 5) == (wanted, len(rows))
    found = values.columns.groups(where, name, ["rev", "metadata.seed"])
    assert found is not None and found[1] == len(rows)
    groups = grouped(rows, name, ["rev", "metadata.seed"], exact)
    assert [group.to_dict() for group in found[0]] == [group.to_dict() for group in groups]


def test_lists_by_a_value_of_records_are_those_of_reading_every_record(store: SessionStore) -> None:
    life(store, 8)


def _trust_any_state(monkeypatch: pytest.MonkeyPatch) -> None:
    original: Any = RecordColumns._known

    class ById(dict[Any, Any]):
        def __contains__(self, key: object) -> bool:
            return any(key[0] == one[0] for one in self.keys())  # type: ignore[index]

        def __missing__(self, key: Any) -> Any:
            return next(value for one, value in self.items() if one[0] == key[0])

    monkeypatch.setattr(RecordColumns, "_known", lambda *given: ById(original(*given)))


def _forget_late_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RecordColumns, "_of_late", lambda *given: None)


def _lacking_first(monkeypatch: pytest.MonkeyPatch) -> None:
    original = record_columns.in_order
    monkeypatch.setattr(record_columns, "in_order", lambda found, codes, down: original(found, codes, down)[::-1])


@pytest.mark.parametrize("plant", [_trust_any_state, _forget_late_records, _lacking_first])
def test_a_planted_fault_is_noticed(
    plant: Callable[[pytest.MonkeyPatch], None], store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        life(store, 12)


def test_a_damaged_column_of_records_is_made_anew(store: SessionStore) -> None:
    rng = random.Random(1)
    for number in range(5):
        store.create(f"run {number}", performance_metrics={"loss": number}, metadata={"seed": 1})
    folder = Path(store.root.path) / ".sessionstore" / "columns"
    assert RecordValues(store).columns.page("", "metrics.loss", True, 0, 5) is not None
    for path in sorted(folder.glob("*.columns")):
        whole = path.read_bytes()
        for at in range(0, len(whole), max(1, len(whole) // 3)):
            for spoilt in (whole[:at], whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]):
                path.write_bytes(spoilt)
                with sessionstore.open(store.root.path) as other:
                    compared(other, RecordValues(other), "metrics.loss", rng)


def test_records_are_read_once_and_not_too_many_for_one_question(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        store.create(f"run {number}", performance_metrics={"loss": number})
    monkeypatch.setattr(record_columns, "MOST_READ", 2)
    assert RecordValues(store).columns.page("", "metrics.loss", True, 0, 5) is None
    monkeypatch.setattr(record_columns, "MOST_READ", 3)
    assert RecordValues(store).columns.page("", "metrics.loss", True, 0, 5) is not None
    monkeypatch.setattr(RecordColumns, "_read", None)
    with sessionstore.open(store.root.path) as other:
        found = RecordValues(other).columns.page("", "metrics.loss", True, 0, 2)
    assert found is not None and [row.session_name for row in found[0]] == ["run 2", "run 1"]
