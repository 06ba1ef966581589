"""Utility: quadcopters, hexacopters and ornithopters watch the perimeter; commands send them elsewhere."""

from __future__ import annotations

from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.drones.navigation import PATH_MARGIN_M
from sessionstore.simulation.errors import NoPath
from sessionstore.simulation.mission.pilot import Behaviour, fly_to, wait
from sessionstore.simulation.mission.views import Patrolling

ROUND_M = 30.0  # chosen: half the side of the square they patrol
LEVEL_M = 16.0  # chosen


def utility(fleet: Patrolling, drone: Drone) -> Behaviour:
    """Fly a square around the base, each drone at its own height."""
    east, north, up = fleet.world.base_m
    level = up + LEVEL_M + 3.0 * (fleet.roster.number_of(drone) % 8)
    corners = [(ROUND_M, ROUND_M), (-ROUND_M, ROUND_M), (-ROUND_M, -ROUND_M), (ROUND_M, -ROUND_M)]
    while True:
        for dx, dy in corners:
            x, y = east + dx, north + dy
            drone.activity = "watching the perimeter"
            try:
                yield from fly_to(fleet, drone, (x, y, fleet.world.free_level(x, y, level, PATH_MARGIN_M)))
            except NoPath as error:
                fleet.log.event("no_path", str(error), level="warning", drone=drone.id)
                yield from wait(10.0)
            yield from wait(2.0)
