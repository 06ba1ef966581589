"""Frames hold the same values as the stream, with exact types, in pandas, Arrow and polars."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

from sessionstore.errors import InvalidQuery
from sessionstore.session import Session
from sessionstore.store import SessionStore


def _without_null(values: Any) -> Any:
    return values.dropna() if hasattr(values, "dropna") else values.drop_nulls()


@pytest.fixture
def session(store: SessionStore) -> Session:
    with store.record("One", metadata={"pilot": "Ada"}) as recorder:
        for number in range(4):
            recorder.motion.append(f"d{number % 2}", t_s=float(number), position_m=(number, 0, 5))
        for value in (2**63 - 1, None):
            recorder.stream("own").append({"value": value}, t_s=0)
    return store.get(recorder.session_id)


def test_a_window_of_some_drones_and_columns(session: Session) -> None:
    found = session.frame(drones=["d1"], from_s=1.0, to_s=2.5, columns=["sim_time", "x"], form="arrow")
    assert found.to_pylist() == [{"sim_time": 1.0, "x": 1.0}]


@pytest.mark.parametrize("form", ["pandas", "arrow", "polars"])
def test_integers_beside_null_stay_exact(session: Session, form: Any) -> None:
    if form != "arrow":
        pytest.importorskip(form)
    values = session.frame("own", form=form)["value"]
    first = values[0].as_py() if form == "arrow" else values[0]
    assert (
        first == 2**63 - 1 and len(values) - len(values.drop_null() if form == "arrow" else _without_null(values)) == 1
    )


def test_sessions_as_a_frame(store: SessionStore, session: Session) -> None:
    found = store.frame("status=completed", keys=["session_id", "metadata_pilot"], form="arrow")
    assert found.to_pylist() == [{"session_id": session.session_id, "metadata_pilot": "Ada"}]
    assert store.frame("status=failed", form="arrow").num_rows == 0


def test_what_is_not_there_is_named(session: Session) -> None:
    with pytest.raises(InvalidQuery, match="no column speedy"):
        session.frame(columns=["speedy"])
    with pytest.raises(InvalidQuery, match="not 'excel'"):
        session.frame(form="excel")


def test_a_frame_reports_what_it_leaves_out(session: Session) -> None:
    with (session.folder / "motion_history.jsonl").open("ab") as file:
        file.write(b"not json\n")
    with pytest.warns(UserWarning, match="1 left out: it does not parse"):
        assert session.frame(form="arrow").num_rows == 4
