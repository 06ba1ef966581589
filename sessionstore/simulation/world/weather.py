"""Weather: six conditions from calm to storm; a mean wind that wanders and gusts on top of it.

Deterministic for a seed; one sample per recording tick. Known: storm is 15-25 m/s, no drone flies above 10 m/s,
scouts not above 6.9 m/s (25 km/h). Chosen: all other figures of the table and the time constants.
Not here: who stays at home (simulation.mission.pilot), the drag (simulation.drones.battery).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, exp, pi, sin, sqrt
from random import Random

FLEET_WIND_LIMIT_MPS = 10.0
SCOUT_WIND_LIMIT_MPS = 25 / 3.6
GUST_TIME_S = 4.0  # chosen: how long a gust lasts
WANDER_TIME_S = 120.0  # chosen: how slowly the mean wind changes
SEA_LEVEL_DENSITY = 1.225  # kg/m3, ISA
SCALE_HEIGHT_M = 8500.0  # of the isothermal atmosphere


@dataclass(frozen=True)
class Condition:
    """One kind of weather: the range of the mean wind, how gusty it is, and how far one sees."""

    name: str
    wind_low_mps: float
    wind_high_mps: float
    gust_mps: float
    visibility_m: float


CONDITIONS: dict[str, Condition] = {
    c.name: c
    for c in (
        Condition("calm", 0.0, 1.5, 0.2, 20000.0),
        Condition("light", 1.5, 3.5, 0.5, 15000.0),
        Condition("breeze", 3.5, 5.5, 0.6, 12000.0),
        Condition("fresh", 6.0, 8.0, 0.9, 8000.0),
        Condition("strong", 10.0, 14.0, 2.0, 4000.0),
        Condition("storm", 15.0, 25.0, 3.0, 1000.0),
    )
}

DEFAULT_CONDITION = "light"


def air_density(altitude_m: float) -> float:
    """kg/m3 at a height above the sea."""
    return SEA_LEVEL_DENSITY * exp(-altitude_m / SCALE_HEIGHT_M)


class Weather:
    """The wind over the whole site: `wind_mps` is its speed now, `east_mps` and `north_mps` its vector."""

    def __init__(self, seed: str, condition: str, dt_s: float) -> None:
        self._random = Random(f"{seed}/weather")
        self._keep_gust = exp(-dt_s / GUST_TIME_S)
        self._keep_mean = exp(-dt_s / WANDER_TIME_S)
        self._place = self._random.uniform(-0.5, 0.5)  # of the mean in its range, wanders
        self._gust_mps = 0.0
        self.direction_rad = self._random.uniform(-pi, pi)
        self.condition = CONDITIONS[condition]
        self.mean_mps = self.wind_mps = self.east_mps = self.north_mps = 0.0
        self._take()

    def change(self, condition: str) -> None:
        """The weather turns at once; the random stream goes on as it was."""
        self.condition = CONDITIONS[condition]
        self._take()

    def step(self) -> None:
        """Advance by one tick (two exact Ornstein-Uhlenbeck steps, so the tick's length does not matter)."""
        gauss = self._random.gauss
        spread = sqrt(1 - self._keep_gust * self._keep_gust)
        self._gust_mps = self._gust_mps * self._keep_gust + self.condition.gust_mps * spread * gauss(0.0, 1.0)
        drift = 0.3 * sqrt(1 - self._keep_mean * self._keep_mean)
        self._place = max(-0.5, min(0.5, self._place * self._keep_mean + drift * gauss(0.0, 1.0)))
        self.direction_rad += 0.002 * gauss(0.0, 1.0)
        self._take()

    def _take(self) -> None:
        low, high = self.condition.wind_low_mps, self.condition.wind_high_mps
        self.mean_mps = low + (self._place + 0.5) * (high - low)
        self.wind_mps = max(0.0, self.mean_mps + self._gust_mps)
        self.east_mps = self.wind_mps * cos(self.direction_rad)
        self.north_mps = self.wind_mps * sin(self.direction_rad)

    def as_record(self) -> dict[str, object]:
        """Return the line of the weather stream."""
        return {
            "condition": self.condition.name,
            "wind_mps": round(self.wind_mps, 3),
            "mean_mps": round(self.mean_mps, 3),
            "gust_mps": round(self._gust_mps, 3),
            "direction_rad": round(self.direction_rad, 4),
            "visibility_m": self.condition.visibility_m,
        }
