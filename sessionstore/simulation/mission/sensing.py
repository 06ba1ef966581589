"""Hidden buildings: known to the physics only, until a drone comes near enough to sense them.

Then the planner knows them, and who is on the way to one stops and plans anew.
Not here: paths (drones.navigation).
"""

from __future__ import annotations

from collections.abc import Sequence

from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.drones.kinds import SCOUT
from sessionstore.simulation.drones.navigation import PATH_MARGIN_M
from sessionstore.simulation.mission.logbook import Logbook
from sessionstore.simulation.world.buildings import Building
from sessionstore.simulation.world.world import World

SENSE_M = 20.0  # chosen; longer than any drone's way to brake. Scouts, with their LiDAR, see twice as far


def sense(hidden: list[Building], world: World, drones: Sequence[Drone], log: Logbook) -> None:
    """Reveal what a drone in the air has come near to."""
    for building in list(hidden):
        for drone in drones:
            reach = SENSE_M * (2 if drone.kind.role == SCOUT else 1)
            level = drone.airborne and drone.z < building.roof_m + reach
            if level and building.distance_m(drone.x, drone.y) < reach:
                hidden.remove(building)
                world.reveal(building)
                message = f"{drone.id} sensed {building.name}"
                data = {"drone": drone.id, "building": building.name}
                log.event("hidden_building", message, level="warning", **data)
                stop_in_front(world, drones, building)
                break


def stop_in_front(world: World, drones: Sequence[Drone], building: Building) -> None:
    """Let every drone whose way leads past the new building stop, and plan anew from there (pilot.fly_to)."""
    for drone in drones:
        if drone.mode != "flying" or not drone.path:
            continue
        here = drone.position
        for point in drone.path:
            low = min(here[2], point[2])
            if world.blockers(here[:2], point[:2], low, PATH_MARGIN_M, [building]):
                drone.halt()
                drone.interrupted = True
                break
            here = point
