"""Figures and comparison: what a chart holds, that thinning keeps extremes, and where two flights part."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstore.errors import InvalidQuery
from sessionstore.playback.charts import FIGURES, extremes, figures
from sessionstore.playback.comparison import compare, first_difference
from sessionstore.session import Session
from sessionstore.store import SessionStore


def record(store: SessionStore, name: str, bend_at: int | None = None, steps: int = 100) -> Session:
    """Record one drone that climbs a metre in a second, and from a step on flies a little to the side."""
    with store.start(store.create(name, metadata={"wind": 3}).session_id) as run:
        for step in range(steps):
            east = 0.5 if bend_at is not None and step >= bend_at else 0.0
            run.motion.append("scout-1", step / 10, [east, 0.0, step / 10], [0.0, 0.0, 1.0], battery=1 - step / 1000)
            run.stream("communication").append({"from": "scout-1", "to": "base", "rssi_dbm": -40.0 - step}, step / 10)
        run.stream("metrics").append({"windows_found": 3, "windows_cleaned": 1}, steps / 10)
    return store.get(run.session_id)


def only(figure: dict[str, Any]) -> dict[str, Any]:
    (trace,) = figure["data"]
    return dict(trace)


def test_each_figure_holds_the_values_of_its_name(store: SessionStore) -> None:
    found = figures(record(store, "climb"))
    assert tuple(found) == FIGURES
    assert only(found["altitude"])["y"][-1] == 9.9
    assert only(found["speed"])["y"][5] == 1.0
    assert only(found["battery"])["y"][:2] == [100.0, 99.9]
    assert only(found["distance"])["y"] == only(found["altitude"])["y"]
    assert {trace["name"]: trace["y"] for trace in found["windows"]["data"]} == {"found": [3], "cleaned": [1]}
    assert only(found["link"])["y"][:2] == [-40.0, -41.0]


def test_a_stretch_is_a_stretch_and_an_unknown_figure_is_refused(store: SessionStore) -> None:
    session = record(store, "climb")
    trace = only(figures(session, 2.0, 3.0, names=("altitude",))["altitude"])
    assert (trace["x"][0], trace["x"][-1]) == (2.0, 3.0)
    with pytest.raises(InvalidQuery, match="no figure 'colour'"):
        figures(session, names=("colour",))


def test_thinned_figures_keep_the_highest_point(store: SessionStore) -> None:
    session = store.create("spike")
    with store.start(session.session_id) as run:
        for step in range(2000):
            run.motion.append("scout-1", step / 20, [0.0, 0.0, 77.0 if step == 1234 else 5.0])
    found = figures(store.get(session.session_id), points=100, names=("altitude",))["altitude"]
    assert max(only(found)["y"]) == 77.0
    assert len(only(found)["y"]) <= 100
    assert found["layout"]["meta"]["thinned"] == "extremes"


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=500), st.integers(4, 60))
def test_extremes_are_kept_in_order_and_bounded(values: list[float], most: int) -> None:
    pairs = list(enumerate(values))
    kept = extremes([(float(t), y) for t, y in pairs], most)
    assert len(kept) <= max(most, 4)
    assert kept == sorted(kept, key=lambda pair: pair[0])
    assert {kept[0][0], kept[-1][0]} == {0.0, float(len(values) - 1)}
    assert (min(y for _, y in kept), max(y for _, y in kept)) == (min(values), max(values))


def test_plot_gives_a_plotly_figure(store: SessionStore) -> None:
    pytest.importorskip("plotly", reason="plotly is not installed (the extra plot)")
    session = record(store, "climb")
    one = session.plot("altitude")
    assert type(one).__name__ == "Figure" and len(one.data) == 1
    assert len(session.plot().data) == 7  # windows has two


def test_the_first_difference_is_the_moment_and_the_drone(store: SessionStore) -> None:
    straight, bent = record(store, "one"), record(store, "two", bend_at=57)
    found = first_difference(straight, bent)
    assert found == {"sim_time": 5.7, "drone": "scout-1", "field": "position", "a": [0, 0, 5.7], "b": [0.5, 0, 5.7]}
    assert first_difference(straight, record(store, "three")) is None


def test_a_recording_that_ends_earlier_differs_where_it_ends(store: SessionStore) -> None:
    found = first_difference(record(store, "long"), record(store, "short", steps=60))
    assert found is not None
    assert (found["sim_time"], found["field"], found["b"]) == (6.0, "recording", "the recording ends")


def test_every_further_session_is_held_against_the_first(store: SessionStore) -> None:
    sessions = [record(store, "one"), record(store, "short", steps=60), record(store, "same")]
    found = compare(sessions)["first_differences"]
    assert found[0] is not None and found[1] is None


def test_hashes_come_last_in_what_differs(store: SessionStore) -> None:
    more: dict[str, Any] = {"metadata": {"city": {"sha256": "a"}, "wind": 3}}
    one = store.create("one", **more, scenario_hash="aa", seed=1)
    more["metadata"] = {"city": {"sha256": "b"}, "wind": 4}
    other = store.create("other", **more, scenario_hash="bb", seed=2)
    names = [row["name"] for row in compare([one, other])["parameters"]]
    assert names == ["seed", "metadata.wind", "scenario_hash", "metadata.city.sha256"]


def test_compare_lists_only_parameters_that_differ_and_all_metrics(store: SessionStore) -> None:
    one, other = record(store, "one"), record(store, "two", bend_at=10)
    other.update(metadata={"wind": 9})
    found = compare([one, other])
    assert {"name": "metadata.wind", "values": [3, 9]} in found["parameters"]
    assert all(row["values"][0] != row["values"][1] for row in found["parameters"])
    assert {"name": "points", "values": [100, 100]} in found["metrics"]
    with pytest.raises(InvalidQuery, match="between two and 6"):
        compare([one])
