"""A simulated and a real flight side by side: by take-off, by given moments, and how far their paths are apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sessionstore.cli import group
from sessionstore.errors import InvalidQuery
from sessionstore.playback.alignment import takeoff_s
from sessionstore.playback.comparison import compare
from sessionstore.session import Session
from sessionstore.store import SessionStore
from tests.formats.autopilot_logs import circle, write_bin


def simulated(store: SessionStore, waits_s: float, name: str = "model", drift: float = 0.0) -> Session:
    """Record the circle of the logs as a simulation that waits before it climbs."""
    with store.record(name) as session:
        session.motion.append("model-1", 0.0, (100.0, 50.0, 3.0))
        for step in range(200):
            (north, east, down), _, _ = circle(step / 10)
            session.motion.append(
                "model-1", waits_s + step / 10, (100 + east + drift * step / 10, 50 + north, 3 - down)
            )
    return store.get(name)


def test_a_real_flight_is_compared_with_its_model_from_take_off_on(store: SessionStore, tmp_path: Path) -> None:
    pytest.importorskip("pymavlink")
    write_bin(tmp_path / "real.bin")
    real = store.get(store.import_file(tmp_path / "real.bin").session_id)
    model = simulated(store, 7.0)
    assert takeoff_s(real) == 1.0  # the event took_off
    assert takeoff_s(model) == pytest.approx(7.3)  # half a metre above where it began
    by_hand = compare([real, model], "1.0,8.0")["alignment"]
    assert by_hand["moments_s"] == [1.0, 8.0] and by_hand["apart"][0]["drones"] == ["ardupilot-1", "model-1"]
    assert by_hand["apart"][0]["max_m"] < 0.1 and by_hand["apart"][0]["overlap_s"] == pytest.approx(19.9, abs=0.01)
    by_takeoff = compare([real, model], "takeoff")["alignment"]
    assert by_takeoff["moments_s"] == [1.0, pytest.approx(7.3)]
    drifting = simulated(store, 7.0, "drifting", drift=0.5)
    assert compare([real, drifting], "1,8")["alignment"]["apart"][0]["max_m"] == pytest.approx(0.5 * 18.9, abs=0.2)
    assert compare([real, model])["alignment"] == {"by": "start", "moments_s": [0.0, 0.0], "apart": [None]}


def test_the_command_says_how_far_two_flights_are_apart(store: SessionStore) -> None:
    simulated(store, 2.0, "one")
    simulated(store, 5.0, "two")
    arguments = ["compare", "one", "two", "--align", "takeoff", "--dir", str(store.root.path)]
    shown = CliRunner().invoke(group, arguments)
    assert shown.exit_code == 0 and "5.30 s is 2.30 s of the first; model-1 and model-1 are 0.0 m apart" in shown.output
    found = json.loads(CliRunner().invoke(group, [*arguments, "--json"]).output)
    assert found["alignment"]["apart"][0]["max_m"] == 0.0 and found["first_difference"]["sim_time"] == 2.0


def test_flights_that_cannot_be_aligned_say_why(store: SessionStore) -> None:
    flight = simulated(store, 1.0)
    with store.record("parked") as session:
        session.motion.append("model-1", 0.0, (0, 0, 0))
    parked = store.get("parked")
    for align, reason in (
        ("takeoff", "nothing took off in .*parked"),
        ("soon", "align is start"),
        ("1", "needs 2"),
        ("0,nan", "needs 2"),
    ):
        with pytest.raises(InvalidQuery, match=reason):
            compare([flight, parked], align)
    apart = compare([flight, parked], "0,500")["alignment"]["apart"][0]
    assert apart["overlap_s"] == 0.0 and apart["mean_m"] is None
