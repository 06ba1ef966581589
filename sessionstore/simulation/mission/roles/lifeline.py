"""Tanker-lifeline: hovers above a climber on the wall and feeds it power and fluid through a tether under
tension control.
"""

from __future__ import annotations

from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.drones.navigation import PATH_MARGIN_M
from sessionstore.simulation.drones.tether import LENGTH_M
from sessionstore.simulation.errors import NoPath
from sessionstore.simulation.mission.pilot import Behaviour, fly_to, go_home, wait
from sessionstore.simulation.mission.views import Flying
from sessionstore.simulation.world.facades import STANDOFF_M
from sessionstore.simulation.world.geometry import Vec3

ABOVE_ROOF_M = 3.5  # chosen
REACH_M = 0.8 * LENGTH_M  # chosen: some tether is left to follow with
FOLLOW_BEYOND_M = 3.0  # chosen: how far the climber may crawl aside before the lifeline follows


def lifeline(fleet: Flying, drone: Drone) -> Behaviour:
    """Serve one climber after the other; rest on the berth while none sits on a wall."""
    while True:
        client = fleet.supply.next_to_tether(drone)
        if client is None:
            if drone.mode != "docked":
                yield from go_home(fleet, drone, "idle")
            drone.activity = "waiting for a climber"
            yield from wait(0.5)
            continue
        try:
            yield from _serve(fleet, drone, client)
        finally:
            fleet.supply.drop_tether(drone)
            fleet.supply.promised.discard(client.id)
        yield from wait(1.0)


def _above(client: Drone) -> Vec3 | None:
    """Where to hover for a climber: out from the wall, above the roof where the tether is long enough."""
    if client.facade is None:
        return None
    x, y, _ = client.facade.off_wall(client.position, STANDOFF_M)
    above_roof = client.facade.building.roof_m + max(ABOVE_ROOF_M, PATH_MARGIN_M)
    return (x, y, min(above_roof, client.z + REACH_M))


def _serve(fleet: Flying, drone: Drone, client: Drone) -> Behaviour:
    while client.active and client.facade is not None:
        spot = _above(client)
        if spot is None:
            return
        if drone.distance_to(spot) > (FOLLOW_BEYOND_M if drone.tether else 0.1):
            drone.activity = f"following {client.id}"
            try:
                yield from fly_to(fleet, drone, spot, 1.0 if drone.tether else None)
            except NoPath as error:
                fleet.log.event("no_path", str(error), level="warning", drone=drone.id, client=client.id)
                yield from wait(10.0)
                return
        elif drone.tether is None:
            fleet.supply.tie(drone, client)
        else:
            drone.activity = f"feeding {client.id}"
            yield
