"""Strokes, tether, radio, GPS, weather: the small models one by one."""

from __future__ import annotations

from itertools import pairwise
from math import hypot
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstore.simulation.drones.communication import THRESHOLD_DBM, Radio, rssi_dbm
from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.drones.gps import Noise, fix_of, measured
from sessionstore.simulation.drones.kinds import KINDS
from sessionstore.simulation.drones.strokes import BRUSH_M, stroke_path
from sessionstore.simulation.drones.tether import Tether
from sessionstore.simulation.world.weather import CONDITIONS, Weather


@given(st.floats(0.6, 3.0), st.floats(0.6, 3.0), st.booleans())
def test_strokes_pass_every_spot_of_the_glass_and_overlap_by_15_percent(
    width: float, height: float, wide: bool
) -> None:
    points = stroke_path(width, height, wide)
    lanes = sorted({round(v if wide else u, 9) for u, v in points})
    across = height if wide else width
    assert lanes[0] <= BRUSH_M / 2 + 1e-9 and lanes[-1] >= across - BRUSH_M / 2 - 1e-9
    assert all(b - a <= BRUSH_M * 0.85 + 1e-9 for a, b in pairwise(lanes))
    assert all(0 <= u <= width and 0 <= v <= height for u, v in points)


def test_a_wide_facade_is_wiped_in_rows_from_the_top_and_a_tall_one_in_columns() -> None:
    rows, columns = stroke_path(1.4, 1.5, True), stroke_path(1.4, 1.5, False)
    assert rows[0][1] == rows[1][1] and rows[0][1] > rows[-1][1]
    assert columns[0][0] == columns[1][0]


@given(st.lists(st.floats(-0.5, 0.5), min_size=20, max_size=20))
def test_the_winch_keeps_10_to_20_newton_while_the_climber_crawls(speeds: list[float]) -> None:
    distance, tether = 20.0, Tether.between(20.0)
    for speed in speeds:
        for tick in range(40):
            distance += speed * min(1.0, tick / 10) / 20
            tether.step(distance, 0.05)
            assert 10.0 <= tether.tension_n <= 20.0


def test_a_snag_is_told_once_and_its_end_once() -> None:
    tether = Tether.between(20.0)
    told = []
    for tick in range(400):
        tether.pull_n = 9.0 if 100 <= tick < 140 else 0.0
        change = tether.step(20.0, 0.05)
        if change:
            told.append(change)
    assert told[:2] == ["snag", "free"] and told.count("snag") <= 2
    assert tether.tension_n == pytest.approx(15.0, abs=1.0)


def test_signal_strength_falls_by_the_exponent_per_decade() -> None:
    assert rssi_dbm(1.0) == -20.0
    assert rssi_dbm(10.0) - rssi_dbm(100.0) == pytest.approx(27.0)
    assert rssi_dbm(0.1) == rssi_dbm(1.0)


def test_messages_from_far_away_are_dropped_and_counted() -> None:
    radio = Radio("1")
    near, far = (Drone(name, KINDS["scout"], (x, 0.0, 5.0)) for name, x in (("near", 30.0), ("far", 3000.0)))
    results = [radio.send(drone, None, "STATUS", "hello", 1.0) for drone in (near, far) for _ in range(20)]
    assert results == [True] * 20 + [False] * 20
    assert (radio.sent, radio.dropped, radio.dropped_by_drone["far"]) == (40, 20, 20)
    last = radio.log[-1]
    assert last["dropped_because"] == "weak signal" and float(str(last["rssi_dbm"])) < THRESHOLD_DBM


def test_a_handshake_is_three_messages_and_the_master_sets_the_clocks() -> None:
    radio = Radio("1")
    master, other = (Drone(name, KINDS["overseer"], (x, 0.0, 5.0)) for name, x in (("m", 0.0), ("o", 9.0)))
    assert radio.handshake(master, 0.0) and radio.handshake(other, 0.0)
    assert [m["type"] for m in radio.log[:3]] == ["HELLO", "WELCOME", "READY"]
    radio.clocks["o"].drift = 2e-5
    assert radio.clocks["o"].error_s(10.0) == pytest.approx(2e-4)
    radio.sync_clocks(master, [other], 10.0)
    assert abs(radio.clocks["o"].error_s(10.0)) < 1e-5
    assert radio.log[-1]["data"] == {"error_us": 200.0}


def test_gps_noise_is_drawn_as_the_standard_library_draws_it() -> None:
    noise, random = Noise("seed"), Random("seed")
    for _ in range(50):
        assert noise.three() == (random.gauss(0.0, 1.0), random.gauss(0.0, 1.0), random.gauss(0.0, 1.0))


def test_gps_noise_is_a_centimetre_with_an_rtk_fix_and_metres_without() -> None:
    drone = Drone("d", KINDS["scout"], (10.0, 20.0, 30.0))
    drone.mode = "flying"
    noise = Noise("1")
    for age_s, fix, low, high in ((0.5, "SINGLE", 1.0, 2.0), (60.0, "RTK_FIX", 0.008, 0.012)):
        assert fix_of(drone, age_s) == fix
        errors = [place[0] - 10.0 for _ in range(2000) if (place := measured(drone, fix, noise))]
        assert low < (sum(e * e for e in errors) / len(errors)) ** 0.5 < high
    drone.gps_out = True
    assert fix_of(drone, 60.0) == "NO_FIX" and measured(drone, "NO_FIX", noise) is None


@pytest.mark.parametrize("name", sorted(CONDITIONS))
def test_the_wind_stays_with_its_condition(name: str) -> None:
    weather = Weather("5", name, 0.05)
    means, winds = [], []
    for _ in range(20 * 600):
        weather.step()
        means.append(weather.mean_mps)
        winds.append(weather.wind_mps)
    condition = CONDITIONS[name]
    assert condition.wind_low_mps <= min(means) and max(means) <= condition.wind_high_mps
    assert max(winds) < condition.wind_high_mps + 6 * condition.gust_mps
    assert min(winds) >= 0.0
    assert hypot(weather.east_mps, weather.north_mps) == pytest.approx(weather.wind_mps)


def test_there_are_six_conditions_and_a_storm_blows_15_to_25_metres_a_second() -> None:
    assert len(CONDITIONS) == 6
    assert (CONDITIONS["storm"].wind_low_mps, CONDITIONS["storm"].wind_high_mps) == (15.0, 25.0)
    assert len({c.visibility_m for c in CONDITIONS.values()}) == 6
