"""RTK GPS: what a drone believes its place to be, beside where it truly is.

Known: 1 cm noise with an RTK fix, 20 Hz, NO_FIX to RTK_FIX. Chosen: the other noises, the time to a fix,
RTK_FLOAT on a wall, where half the sky is hidden. Not here: GPS loss as a fault (simulation.mission.faults).
"""

from __future__ import annotations

from random import Random

from sessionstore.simulation.drones.drone import Drone

SIGMA_M = {"SINGLE": 1.5, "DGPS": 0.5, "RTK_FLOAT": 0.1, "RTK_FIX": 0.01}
SATELLITES = {"NO_FIX": 2, "SINGLE": 6, "DGPS": 9, "RTK_FLOAT": 12, "RTK_FIX": 17}
ACQUIRE_S = (("SINGLE", 1.0), ("DGPS", 2.0), ("RTK_FLOAT", 4.0))


def fix_of(drone: Drone, age_s: float) -> str:
    """The quality of the fix: it improves in the first seconds, and is lost with the sky."""
    if drone.gps_out:
        return "NO_FIX"
    for fix, until_s in ACQUIRE_S:
        if age_s < until_s:
            return fix
    return "RTK_FLOAT" if drone.mode == "wall" else "RTK_FIX"


def measured(drone: Drone, fix: str, random: Random) -> list[float] | None:
    """The position by GPS, None without a fix."""
    if fix == "NO_FIX":
        return None
    sigma = SIGMA_M[fix]
    gauss = random.gauss
    return [
        round(drone.x + gauss(0.0, sigma), 3),
        round(drone.y + gauss(0.0, sigma), 3),
        round(drone.z + gauss(0.0, 2 * sigma), 3),  # height is half as good
    ]
