"""Windows and charts from columns show what the lines show: every extreme, every drone, and nothing when void."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

from sessionstore.analysis import columns, flight_columns
from sessionstore.playback.charts import figures
from sessionstore.playback.downsample import stretch
from sessionstore.playback.replay import Replay
from sessionstore.server.live.column_windows import flight_windows
from sessionstore.server.routes.field_series import series
from sessionstore.session import Session
from sessionstore.store import SessionStore, column_files


@pytest.fixture(autouse=True)
def _everything_is_long(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("sessionstore.playback.downsample.COLUMNS_FROM_BYTES", 0)
    monkeypatch.setattr(columns, "ROWS", 256)
    yield
    column_files._verified.clear()


def fly(store: SessionStore, velocity: bool = True) -> Session:
    chance = random.Random(4)
    with store.record("flight", base_position=[1.0, 2.0, 3.0]) as session:
        for tick in range(1500):
            for name in ("a-1", "b-2"):
                more: dict[str, Any] = {"velocity": [chance.uniform(-9, 9), 0.0, 1.0]} if velocity else {}
                session.motion.append(
                    name, t_s=tick / 10, position_m=(chance.uniform(-50, 50), math.sin(tick), 5.0),
                    battery=chance.random(), mode="flying", load={"mass_kg": chance.random()}, **more,
                )  # fmt: skip
    found = store.get(session.session_id)
    assert columns.make(found, "motion_history") is not None
    return found


def points_between(session: Session, start_s: float, end_s: float) -> dict[str, list[Any]]:
    return Replay(session).window(start_s, end_s).history


WINDOWS = [(0.0, 149.9), (10.0, 20.0), (33.3, 111.1), (149.0, 149.9)]


@pytest.mark.parametrize("overview", [False, True])
@pytest.mark.parametrize("velocity", [True, False])
def test_every_extreme_of_every_window_is_kept(
    store: SessionStore, overview: bool, velocity: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flight_columns, "MOST_FOLDED", 100 if overview else 10**9)
    session = fly(store, velocity)
    found = column_files.find(store.root, session.session_id, "motion_history")
    assert found is not None and (found.key.overview is not None) == overview
    for start_s, end_s in WINDOWS:
        truth = points_between(session, start_s, end_s)
        window = stretch(session, start_s, end_s, 5, columns=flight_windows)
        drawn = figures(session, start_s, end_s, 40, columns=flight_windows)
        wanted = figures(session, start_s, end_s, 10**6)
        for drone, points in truth.items():
            kept = window.history[drone]
            assert all(start_s <= point["sim_time"] <= end_s for point in kept)
            assert [point["sim_time"] for point in kept] == sorted(point["sim_time"] for point in kept)
            for axis in range(3):
                known = [point["position"][axis] for point in points]
                shown = [point["position"][axis] for point in kept]
                assert (min(shown), max(shown)) == (min(known), max(known))
            assert kept[0]["sim_time"] == points[0]["sim_time"] and kept[-1]["sim_time"] == points[-1]["sim_time"]
        for name in ("altitude", "battery", "distance", *(["speed"] if velocity else [])):
            assert [each["name"] for each in drawn[name]["data"]] == [each["name"] for each in wanted[name]["data"]]
            for ours, theirs in zip(drawn[name]["data"], wanted[name]["data"], strict=True):
                assert len(ours["y"]) < len(theirs["y"]) or len(theirs["y"]) <= 40
                assert (min(ours["y"]), max(ours["y"])) == (min(theirs["y"]), max(theirs["y"]))


def test_a_short_window_has_every_point(store: SessionStore) -> None:
    session = fly(store)
    window = stretch(session, 10.0, 12.0, 5, max_points=100, columns=flight_windows)
    assert window.thinned == "no" and {len(points) for points in window.history.values()} == {21}
    one = stretch(session, 10.0, 12.0, 5, ["b-2"], 100, columns=flight_windows)
    assert list(one.history) == ["b-2"]


def test_an_edited_flight_is_read_from_its_lines_which_show_the_edit(store: SessionStore) -> None:
    session = fly(store)
    assert flight_windows(session) is not None
    path = session.stream_path("motion_history")
    path.write_bytes(path.read_bytes().replace(b'"drone":"a-1"', b'"drone":"z-9"', 1))
    assert flight_windows(session) is None
    columns.make(session, "motion_history")  # of the verified lines
    assert flight_windows(session) is None
    assert "z-9" in stretch(session, 0.0, 1.0, 5, columns=flight_windows).history


@pytest.mark.parametrize("field", ["battery", "position.2", "position.0", "velocity.0", "load.mass_kg"])
def test_any_number_over_time_has_its_extremes_and_is_never_sampled(
    store: SessionStore, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = fly(store)
    monkeypatch.setattr("sessionstore.server.routes.field_series.MOST_BYTES", 0)
    query = {"stream": "motion_history", "field": field, "points": 40, "start": 3.0, "end": 80.0}
    shown = series(session, query)
    assert shown["layout"]["meta"]["thinned"] == "extremes"
    monkeypatch.setattr("sessionstore.server.routes.field_series.MOST_BYTES", 10**9)
    monkeypatch.setattr(column_files, "find", lambda *_: None)
    wanted = series(session, {**query, "points": 10**6})
    assert [each["name"] for each in shown["data"]] == [each["name"] for each in wanted["data"]] == ["a-1", "b-2"]
    for ours, theirs in zip(shown["data"], wanted["data"], strict=True):
        assert max(ours["y"]) == pytest.approx(max(theirs["y"]), abs=1e-12)
        assert min(ours["y"]) == pytest.approx(min(theirs["y"]), abs=1e-12)


def test_a_text_or_a_field_that_is_not_there_is_left_to_the_lines(store: SessionStore) -> None:
    session = fly(store)
    for field in ("mode", "nothing", "position.7", "position", "load.nothing", "n"):
        query = {"stream": "motion_history", "field": field, "points": 40}
        assert series(session, query)["data"] == []
