"""What a flight costs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from sessionstore.simulation.drones.battery import Battery, flight_power_w
from sessionstore.simulation.drones.kinds import KINDS
from sessionstore.simulation.world.weather import SEA_LEVEL_DENSITY, air_density

STILL = (0.0, 0.0, 0.0)
kinds = st.sampled_from(sorted(KINDS))


@given(kinds)
def test_hovering_at_sea_level_lasts_as_long_as_the_table_says(name: str) -> None:
    kind = KINDS[name]
    power = flight_power_w(kind, 0.0, SEA_LEVEL_DENSITY, STILL, STILL)
    assert kind.battery_wh / power * 60 == approx(kind.endurance_min)


@given(kinds, st.floats(0.1, 1.0))
def test_power_grows_with_the_square_of_thrust(name: str, share: float) -> None:
    kind = KINDS[name]
    loaded = flight_power_w(kind, kind.mass_kg * share, SEA_LEVEL_DENSITY, STILL, STILL)
    assert loaded == approx(kind.hover_w * (1 + share) ** 2)


@given(kinds, st.floats(1.0, 10.0))
def test_wind_altitude_and_acceleration_cost_power(name: str, wind: float) -> None:
    kind = KINDS[name]
    hover = flight_power_w(kind, 0.0, SEA_LEVEL_DENSITY, STILL, STILL)
    assert flight_power_w(kind, 0.0, SEA_LEVEL_DENSITY, (wind, 0.0, 0.0), STILL) > hover
    assert flight_power_w(kind, 0.0, air_density(100 * wind), STILL, STILL) > hover
    assert flight_power_w(kind, 0.0, SEA_LEVEL_DENSITY, STILL, (0.0, 0.0, wind)) > hover


@given(kinds, st.lists(st.tuples(st.booleans(), st.floats(0, 5e5)), max_size=60), st.floats(0, 1))
def test_the_energy_balance_is_exact_and_within_the_capacity(
    name: str, story: list[tuple[bool, float]], charge: float
) -> None:
    battery = Battery(KINDS[name], charge)
    for loads, power in story:
        (battery.load if loads else battery.use)(power, 60.0)
        assert 0.0 <= battery.energy_j <= battery.capacity_j
        balance = battery.start_j + battery.charged_j - battery.used_j
        assert balance == approx(battery.energy_j, abs=1e-6 * battery.capacity_j + 1e-3)
