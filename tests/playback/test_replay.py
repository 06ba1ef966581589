"""Replay: interpolation that can be computed by hand, windows that read only their bytes, extremes that survive."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstore.errors import InvalidQuery
from sessionstore.playback import replay
from sessionstore.playback.replay import Clock, Point, Replay, between, resample, thin
from sessionstore.session import Session
from sessionstore.store import SessionStore


def flown(store: SessionStore, seconds: int = 10) -> Session:
    """Two drones: one flies east at 1 m/s, the other stands and is recorded once a second."""
    with store.record("flown") as session:
        for tick in range(seconds * 20 + 1):
            session.motion.append("mover", t_s=tick / 20, position_m=(tick / 20, 0, 5), battery=1 - tick / 1000)
            if tick % 20 == 0:
                session.motion.append("stander", t_s=tick / 20, position_m=(0, 7, 0))
    return store.get(session.session_id)


def test_a_window_holds_its_stretch_and_nothing_else(store: SessionStore) -> None:
    window = Replay(flown(store)).window(2.0, 3.0)
    times = [point["sim_time"] for point in window.history["mover"]]
    assert times == [tick / 20 for tick in range(40, 61)]
    assert [point["sim_time"] for point in window.history["stander"]] == [2.0, 3.0]


def test_positions_between_points_are_interpolated(store: SessionStore) -> None:
    at = Replay(flown(store)).at(4.03)
    assert at["mover"]["position"][0] == pytest.approx(4.03)
    assert at["mover"]["battery"] == pytest.approx(1 - 4.03 / 50)
    assert at["stander"]["position"] == [0, 7, 0]


def test_a_window_behind_the_end_has_no_points_however_small_the_step(store: SessionStore) -> None:
    window = Replay(flown(store)).window(1e300, 1e301, step_s=1e-300)
    assert not any(window.history.values()) and window.thinned == "step"


def test_a_step_begins_where_asked_also_between_the_points_of_a_drone_that_stands(store: SessionStore) -> None:
    window = Replay(flown(store)).window(2.5, 3.5, step_s=0.25)
    assert {name: [point["sim_time"] for point in points] for name, points in window.history.items()} == {
        name: [2.5, 2.75, 3.0, 3.25, 3.5] for name in ("mover", "stander")
    }
    assert window.thinned == "step"


def test_headings_turn_the_short_way() -> None:
    one: Point = {"sim_time": 0.0, "position": [0, 0, 0], "orientation": [0, 0, math.radians(170)]}
    other: Point = {"sim_time": 1.0, "position": [0, 0, 0], "orientation": [0, 0, math.radians(-170)]}
    yaw = between(one, other, 0.5)["orientation"][2]
    assert abs(math.degrees(yaw)) == pytest.approx(180)


def test_before_its_first_point_a_drone_is_nowhere_and_after_its_last_it_stays() -> None:
    points: list[Point] = [{"sim_time": 1.0, "position": [1, 0, 0]}, {"sim_time": 2.0, "position": [2, 0, 0]}]
    found = resample(points, [0.5, 1.0, 1.5, 9.0])
    assert [(point["sim_time"], point["position"][0]) for point in found] == [(1.0, 1), (1.5, 1.5), (9.0, 2)]


@given(
    st.lists(st.tuples(*[st.floats(-1e6, 1e6)] * 3), min_size=1, max_size=300),
    st.integers(8, 64),
)
def test_thinning_keeps_order_ends_extremes_and_the_limit(places: list[tuple[float, ...]], most: int) -> None:
    points: list[Point] = [{"sim_time": n / 20, "position": list(place)} for n, place in enumerate(places)]
    kept = thin(points, most)
    times = [point["sim_time"] for point in kept]
    assert len(kept) <= most and times == sorted(set(times))
    assert kept[0] is points[0] and kept[-1] is points[-1]
    for axis in range(3):
        for extreme in (min, max):
            wanted = extreme(point["position"][axis] for point in points)
            assert extreme(point["position"][axis] for point in kept) == wanted


def test_a_single_spike_in_any_axis_survives_thinning() -> None:
    for axis in range(3):
        for spike in (-1e3, 1e3):
            points: list[Point] = [{"sim_time": n / 20, "position": [0.0, 0.0, 0.0]} for n in range(1000)]
            points[537]["position"][axis] = spike
            assert points[537] in thin(points, 16), (axis, spike)


def test_a_window_reads_its_own_bytes_only(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    session = flown(store, 60)
    lines: list[int] = []
    original = replay.point_of
    monkeypatch.setattr(replay, "point_of", lambda line: lines.append(line.n) or original(line))  # type: ignore[func-returns-value]
    Replay(session).window(30.0, 31.0)
    assert 0 < len(lines) < 40


def test_a_window_too_large_to_read_is_sampled_and_says_so(store: SessionStore) -> None:
    session = flown(store, 60)
    window = Replay(session).window(max_points=30, most_bytes=1000)
    assert window.thinned == "sampled"
    assert 25 <= len(window.history["mover"]) <= 32
    assert all(point["position"][0] == pytest.approx(point["sim_time"]) for point in window.history["mover"])


def test_following_goes_on_behind_a_window(store: SessionStore) -> None:
    session = flown(store)
    window = Replay(session).window(0.0, 5.0)
    behind = next(iter(session.tape("motion_history").read(window.offset)))
    assert behind.t_s == pytest.approx(5.05)


@pytest.mark.parametrize(
    "window", [(5.0, 1.0), (1.0, -1.0), (0.0, math.inf), (0, 1, 0.0), (0, 1, -1.0), (0, 9, 1e-9), (0, 1, None, None, 3)]
)
def test_impossible_windows_are_refused(store: SessionStore, window: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidQuery):
        Replay(flown(store)).window(*window)


def test_a_session_without_motion_is_an_empty_window(store: SessionStore) -> None:
    window = Replay(store.create("empty")).window()
    assert window.history == {} and (window.start_s, window.end_s) == (0.0, 0.0)


def test_lines_that_are_no_points_are_passed_over(store: SessionStore) -> None:
    with store.record("odd") as session:
        session.stream("motion_history").append({"drone": None, "position": [0, 0, 0]}, t_s=0.0)
        session.stream("motion_history").append({"drone": "a", "position": [0, None, 0]}, t_s=0.0)
        session.motion.append("a", t_s=0.1, position_m=(1, 2, 3))
    assert [len(points) for points in Replay(session).window().history.values()] == [1]


def test_utc_is_interpolated_between_beats(store: SessionStore) -> None:
    session = store.create("clock")
    writer = session.writer("clock")
    writer.append({"utc": "2026-11-23T10:00:00.000000Z"}, t_s=0.0)
    writer.append({"utc": "2026-11-23T10:00:10.000000Z"}, t_s=20.0)
    writer.close()
    clock = Clock(session)
    assert clock.utc(5.0) == "2026-11-23T10:00:02.500000Z"
    assert clock.utc(99.0) == "2026-11-23T10:00:10.000000Z"
    assert Clock(store.create("none")).utc(1.0) is None
