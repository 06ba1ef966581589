"""Scout: flies along facades, finds their windows and how dirty they are, ten minutes ahead of the
climbers.
"""

from __future__ import annotations

from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.drones.kinds import CLIMBER
from sessionstore.simulation.errors import NoPath
from sessionstore.simulation.mission.pilot import Behaviour, fly_to, go_home, wait
from sessionstore.simulation.mission.views import Mapping
from sessionstore.simulation.world.facades import Facade

DWELL_S = 1.0  # chosen: ten LiDAR turns at 10 Hz


def scout(fleet: Mapping, drone: Drone) -> Behaviour:
    """Map facades while there are any and the climbers are not far enough behind; else rest on the berth."""
    while True:
        facade = None
        if not fleet.crew.far_ahead(fleet.roster.count_role(CLIMBER)):
            facade = fleet.crew.next_to_map(drone)
        if facade is None:
            if drone.mode != "docked":
                yield from go_home(fleet, drone, "idle")
            drone.activity = "nothing to map"
            yield from wait(1.0)
            continue
        try:
            yield from _map(fleet, drone, facade)
        finally:
            fleet.crew.leave_unmapped(facade)


def _map(fleet: Mapping, drone: Drone, facade: Facade) -> Behaviour:
    drone.activity = f"mapping {facade.id}"
    found = 0
    for viewpoint in facade.viewpoints:
        try:
            yield from fly_to(fleet, drone, viewpoint)
        except NoPath as error:
            fleet.log.event("no_path", str(error), level="warning", drone=drone.id)
            continue
        drone.face(facade)
        yield from wait(DWELL_S)
        sigma = 0.05 if fleet.weather.condition.visibility_m >= 5000.0 else 0.1  # chosen: haze blurs
        fresh = fleet.crew.observe(facade, viewpoint, sigma)
        found += len(fresh)
        drone.day.windows_found += len(fresh)
    message = f"{facade.id}: {found} windows"
    while not fleet.radio.send(drone, None, "MAP", message, fleet.clock.t_s, {"facade": facade.id, "windows": found}):
        yield from wait(2.0)
    fleet.crew.finish_map(facade)
