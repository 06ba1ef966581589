"""What is kept of a long flight: every extreme of every drone in any stretch, and nothing that was not recorded."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sessionstore
from sessionstore.playback import downsample as stretches
from sessionstore.playback import overview as summaries
from sessionstore.playback.charts import _speeds, figures
from sessionstore.playback.downsample import stretch, summary_of
from sessionstore.playback.overview import Summary
from sessionstore.playback.replay import Replay
from sessionstore.session import Session
from tests.web.long_flight import (
    SPIKE_CHARGE,
    SPIKE_DRONE,
    SPIKE_HEIGHT_M,
    SPIKE_SPEED_MPS,
    LongFlight,
    record_long_flight,
)

FLIGHT = LongFlight(duration_s=90.0, drones=8)
MEASURES = {
    "east": lambda point: point["position"][0],
    "north": lambda point: point["position"][1],
    "up": lambda point: point["position"][2],
    "battery": lambda point: point.get("battery"),
    "speed": lambda point: math.hypot(*point["velocity"]) if point.get("velocity") else point.get("speed"),
    "distance": lambda point: math.hypot(*point["position"]),
}


@pytest.fixture(scope="module")
def flown(tmp_path_factory: pytest.TempPathFactory) -> Session:
    store = sessionstore.open(tmp_path_factory.mktemp("summary") / "store")
    return store.get(record_long_flight(store, FLIGHT))


def extremes_of(points: list[dict[str, Any]]) -> dict[str, Any]:
    """The extremes of all points; where no velocity was recorded, the speed is that of the way between two points."""
    found = {}
    for name, measure in MEASURES.items():
        measured = _speeds(points) if name == "speed" else map(measure, points)
        values = [value for value in measured if value is not None]
        found[name] = pytest.approx((min(values), max(values)), abs=1e-6) if values else None
    return found


def bounds_of(points: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, measure in MEASURES.items():
        values = [value for value in map(measure, points) if value is not None]
        found[name] = (min(values), max(values)) if values else None
    return found


def check(session: Session, summary: Summary, start_s: float, end_s: float) -> None:
    """What the summary keeps of a stretch has the extremes of all its points, and only points of it."""
    every = Replay(session).window(start_s, end_s).history
    kept = summary.window(session.tape("motion_history"), start_s, end_s, None, 10).history
    assert kept.keys() == every.keys()
    for name, points in kept.items():
        times = [point["sim_time"] for point in points]
        assert times == sorted(times) and len(set(times)) == len(times)
        places = {(point["sim_time"], *point["position"]) for point in every[name]}
        assert {(point["sim_time"], *point["position"]) for point in points} <= places
        assert bounds_of(points) == extremes_of(every[name])


@given(st.tuples(st.floats(0, 90), st.floats(0, 90)).map(sorted))
def test_any_stretch_of_a_summary_has_the_extremes_of_all_its_points(flown: Session, ends: list[float]) -> None:
    check(flown, MADE.setdefault("summary", summary_of(flown)), *ends)


MADE: dict[str, Summary] = {}


@pytest.mark.parametrize("ends", [(0.0, 90.0), (0.0, 400.0), (30.0, 30.0), (0.25, 0.5), (0.25, 90.0), (89.9, 95.0)])
def test_stretches_at_the_edges_of_slices_have_their_extremes(flown: Session, ends: tuple[float, float]) -> None:
    check(flown, summary_of(flown), *ends)


def test_a_summary_is_much_smaller_than_the_flight_and_survives_its_packing(flown: Session) -> None:
    summary = summary_of(flown)
    data = b"".join(summary.packed())
    assert len(data) < flown.tape("motion_history").size()
    again = Summary.unpacked(data)
    assert again == summary
    check(flown, again, 10.0, 70.0)


def test_what_was_recorded_after_the_summary_is_read_from_the_file(tmp_path: Path) -> None:
    with sessionstore.open(tmp_path / "store") as store, store.record("grows") as session:
        for tick in range(200):
            session.motion.append("a", t_s=tick / 20, position_m=(tick % 7, 0, 5))
        session.motion._stream.flush()
        summary = summary_of(session)
        session.motion.append("a", t_s=9.95, position_m=(-70, 0, 5))  # at the very moment where the summary ends
        session.motion.append("a", t_s=10.5, position_m=(70, 0, 5))
        session.motion.append("b", t_s=11.0, position_m=(1, 2, 3))
        session.motion._stream.flush()
        found = summary.window(session.tape("motion_history"), 0.0, 20.0, None, 10).history
        assert {point["position"][0] for point in found["a"]} >= {0.0, 6.0, -70.0, 70.0}
        assert [point["position"] for point in found["b"]] == [[1.0, 2.0, 3.0]]


def test_lines_by_hand_count_and_damaged_ones_do_not(tmp_path: Path) -> None:
    with sessionstore.open(tmp_path / "store") as store:
        with store.record("odd") as session:
            for tick in range(100):
                session.motion.append("a", t_s=tick / 20, position_m=(0, 0, 5))
        path = session.tape("motion_history").path
        lines = path.read_bytes().splitlines(keepends=True)
        by_hand = b'{"n":50,"t":2.5,"drone":"a","position":[1,2,900],"battery":true,"velocity":"fast"}\n'
        damaged = lines[60].replace(b"5]", b"7[").replace(b"5.0]", b"7.0[")
        assert damaged != lines[60]
        path.write_bytes(
            b"".join([*lines[:50], by_hand, *lines[51:60], damaged, *lines[61:], b'{"t":5.0,"drone":5}\n'])
        )
        summary = summary_of(store.get("odd"))
        kept = summary.window(session.tape("motion_history"), 0.0, 9.0, None, 10).history["a"]
        heights = {point["position"][2] for point in kept}
        assert heights == {5.0, 900.0}
        by_hand_point = next(point for point in kept if point["position"][2] == 900.0)
        assert "battery" not in by_hand_point
        way_m = math.dist((0, 0, 5), (1, 2, 900))  # its velocity cannot be read: the speed is that of the way
        assert by_hand_point["speed"] == pytest.approx(way_m / (2.5 - 49 / 20))


def test_an_unrecorded_charge_or_speed_hides_no_recorded_one(tmp_path: Path) -> None:
    with sessionstore.open(tmp_path / "store") as store:
        with store.record("mixed") as session:
            for tick in range(40):
                known = {"battery": tick / 40, "velocity_mps": (tick, 0, 0)} if tick in (7, 9, 11) else {}
                session.motion.append("a", tick / 200, (0, 0, 0), **known)  # type: ignore[arg-type]
            session.motion.append("a", 600.0, (0, 0, 0))  # so that all before it lie in one slice
        session = store.get("mixed")
        check(session, summary_of(session), 0.0, 600.0)


@pytest.mark.parametrize("limit", [0, 1 << 30])
def test_the_charts_of_a_long_flight_keep_its_only_spike(
    flown: Session, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(stretches, "MOST_BYTES_FOLDED", limit)  # from a summary, or folded in one pass
    found = stretch(flown, None, None, 40, most_bytes=0)
    assert found.thinned == "extremes"
    monkeypatch.setattr(
        "sessionstore.playback.charts.stretch", lambda *given, **more: stretch(*given, **more, most_bytes=0)
    )
    drawn = figures(flown, points=60)
    (height,), (speed,), (charge,) = (
        [trace["y"] for trace in drawn[name]["data"] if trace["name"] == SPIKE_DRONE]
        for name in ("altitude", "speed", "battery")
    )
    assert (max(height), min(charge)) == pytest.approx((SPIKE_HEIGHT_M, 100 * SPIKE_CHARGE))
    assert max(speed) == pytest.approx(SPIKE_SPEED_MPS, abs=0.01)
    assert all(len(trace["x"]) <= 60 for name in ("altitude", "speed") for trace in drawn[name]["data"])


def test_a_short_flight_keeps_extremes_of_speed_too(flown: Session) -> None:
    speeds = next(trace for trace in figures(flown, points=40)["speed"]["data"] if trace["name"] == SPIKE_DRONE)
    assert max(speeds["y"]) == pytest.approx(SPIKE_SPEED_MPS, abs=0.01) and len(speeds["y"]) <= 40


def test_while_a_summary_is_being_made_moments_are_sampled(flown: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "MOST_BYTES_FOLDED", 0)
    found = stretch(flown, None, None, 40, max_points=30, most_bytes=0, find=lambda session: None)
    assert found.thinned == "sampled" and len(found.history) == FLIGHT.drones


def test_a_flight_without_points_has_an_empty_summary(tmp_path: Path) -> None:
    with sessionstore.open(tmp_path / "store") as store:
        session = store.create("empty")
        summary = summary_of(session)
        assert summary.window(session.tape("motion_history"), 0.0, 5.0, None, 10).history == {}


def test_slices_are_few_whatever_the_length(flown: Session) -> None:
    for length_s in (0.0, 1.0, 90.0, 3600.0, 86400.0 * 30):
        order = summaries.order_of(flown, 0.0, length_s)
        assert length_s / order.slice_s <= summaries.SLICES
