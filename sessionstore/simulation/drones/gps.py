"""RTK GPS: what a drone believes its place to be, beside where it truly is.

Known: 1 cm noise with an RTK fix, 20 Hz, NO_FIX to RTK_FIX. Chosen: the other noises, the time to a fix,
RTK_FLOAT on a wall, where half the sky is hidden. Not here: GPS loss as a fault (simulation.mission.faults).
"""

from __future__ import annotations

from math import cos, log, pi, sin, sqrt
from random import Random

from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.drones.rounding import rounded

SIGMA_M = {"SINGLE": 1.5, "DGPS": 0.5, "RTK_FLOAT": 0.1, "RTK_FIX": 0.01}
SATELLITES = {"NO_FIX": 2, "SINGLE": 6, "DGPS": 9, "RTK_FLOAT": 12, "RTK_FIX": 17}
ACQUIRE_S = (("SINGLE", 1.0), ("DGPS", 2.0), ("RTK_FLOAT", 4.0))
SETTLED_S = ACQUIRE_S[-1][1]


class Noise:
    """Normally distributed numbers, three at a time: those that `Random(seed).gauss(0, 1)` draws, in its order
    (Box and Muller, Ann. Math. Stat. 29, 1958: two of each pair of uniform ones).
    """

    def __init__(self, seed: str) -> None:
        self._uniform = Random(seed).random
        self._kept: float | None = None

    def three(self) -> tuple[float, float, float]:
        """Draw the next three."""
        one, two = self._pair()
        if self._kept is not None:
            kept, self._kept = self._kept, None
            return kept, one, two
        three, self._kept = self._pair()
        return one, two, three

    def _pair(self) -> tuple[float, float]:
        angle = self._uniform() * (2.0 * pi)
        radius = sqrt(-2.0 * log(1.0 - self._uniform()))
        return cos(angle) * radius, sin(angle) * radius


def fix_of(drone: Drone, age_s: float) -> str:
    """The quality of the fix: it improves in the first seconds, and is lost with the sky."""
    if drone.gps_out:
        return "NO_FIX"
    if age_s < SETTLED_S:
        return next(fix for fix, until_s in ACQUIRE_S if age_s < until_s)
    return "RTK_FLOAT" if drone.mode == "wall" else "RTK_FIX"


def measured(drone: Drone, fix: str, noise: Noise) -> list[float] | None:
    """The position by GPS, None without a fix."""
    if fix == "NO_FIX":
        return None
    sigma = SIGMA_M[fix]
    east, north, up = noise.three()
    # Height is half as good.
    return rounded((drone.x + east * sigma, drone.y + north * sigma, drone.z + up * (2 * sigma)), 3)
