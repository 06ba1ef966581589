"""The windows of a session as rows, in the form of a line for each facade and in that of a line for each window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sessionstore.playback.facade_windows import facade_windows, window_rows
from sessionstore.simulation.hmrs_simulation_live import HMRSSimulationLive
from sessionstore.simulation.running.scenarios import Group, Scenario


def test_every_window_of_a_flight_is_read_back_where_it_is(tmp_path: Path) -> None:
    plan = Scenario(name="t", seed=3, duration_s=1.0, buildings=5, fleet=(Group("scout"),))
    live = HMRSSimulationLive(plan, training_sessions_dir=tmp_path)
    session = live.session_db_box.store.get(live.run())
    rows = {row[0]: row[1:] for row in facade_windows(session)}
    assert set(rows) == set(live.fleet.world.windows_by_id) and len(rows) > 100
    for window in live.fleet.world.windows:
        x, y, z, nx, ny, width, height, dirt = rows[window.id]
        assert (x, y, z) == pytest.approx(window.center_m, abs=0.0025)
        assert (nx, ny) == pytest.approx(window.facade.normal, abs=1e-4)
        assert (width, height, dirt) == (1.4, 1.5, window.dirt)
    lines = list(session.tape("windows").read())
    assert len(lines) == len(live.fleet.world.facades)
    named = {f"{line.data['facade']}/r{row}c{column}" for line in lines for row, column in line.data["out_of_reach"]}
    assert named == {w.id for w in live.fleet.world.windows if not w.reachable}


OLD = {"window": "a/0/r0c0", "position": [1, 2, 3], "normal": [0, 1], "size": [1.4, 1.5], "dirt": 0.5}
FACADE = {"facade": "a/0", "first": [0, 0, 1], "step": [2, 0, 3], "normal": [0, -1], "size": [1, 1], "dirt": [[0.5]]}


def test_a_line_for_each_window_as_earlier_versions_wrote_is_read() -> None:
    assert list(window_rows(OLD)) == [["a/0/r0c0", 1, 2, 3, 0, 1, 1.4, 1.5, 0.5]]


def test_a_place_without_a_window_is_left_out() -> None:
    rows = list(window_rows({**FACADE, "dirt": [[None, 0.25], [], [0.75]]}))
    assert rows == [["a/0/r0c1", 2, 0, 1, 0, -1, 1, 1, 0.25], ["a/0/r2c0", 0, 0, 7, 0, -1, 1, 1, 0.75]]


@pytest.mark.parametrize("form", [OLD, FACADE])
@pytest.mark.parametrize("value", [None, "x", [], [True], [[True]], {}, [None, None, None], [[[]]]])
def test_lines_edited_by_hand_give_no_row_and_no_traceback(form: dict[str, Any], value: Any) -> None:
    for key in form:
        if key not in ("window", "facade"):
            assert list(window_rows({**form, key: value})) == []
    assert list(window_rows({"facade": "a"})) == [] and list(window_rows({})) == []


def test_a_line_of_more_places_than_any_facade_has_gives_no_row() -> None:
    assert list(window_rows({**FACADE, "dirt": [[0.5] * 100_001]})) == []
