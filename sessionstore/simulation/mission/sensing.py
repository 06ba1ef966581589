"""Hidden buildings: known to the physics only, until a drone comes near enough to sense them.

Then the planner knows them, and who is on the way to one stops and plans anew.
Not here: paths (drones.navigation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionstore.simulation.drones.navigation import PATH_MARGIN_M

if TYPE_CHECKING:
    from sessionstore.simulation.mission.fleet import Fleet
    from sessionstore.simulation.world.world import Building

SENSE_M = 20.0  # chosen; longer than any drone's way to brake. Scouts, with their LiDAR, see twice as far


def sense(fleet: Fleet) -> None:
    """Reveal what a drone in the air has come near to."""
    for building in list(fleet.hidden):
        for drone in fleet.drones:
            reach = SENSE_M * (2 if drone.kind.role == "scout" else 1)
            level = drone.airborne and drone.z < building.roof_m + reach
            if level and building.distance_m(drone.x, drone.y) < reach:
                fleet.hidden.remove(building)
                fleet.world.reveal(building)
                message = f"{drone.id} sensed {building.name}"
                data = {"drone": drone.id, "building": building.name}
                fleet.event("hidden_building", message, level="warning", **data)
                stop_in_front(fleet, building)
                break


def stop_in_front(fleet: Fleet, building: Building) -> None:
    """Let every drone whose way leads past the new building stop, and plan anew from there (pilot.fly_to)."""
    for drone in fleet.drones:
        if drone.mode != "flying" or not drone.path:
            continue
        here = drone.position
        for point in drone.path:
            low = min(here[2], point[2])
            if fleet.world.blockers(here[:2], point[:2], low, PATH_MARGIN_M, [building]):
                drone.halt()
                drone.interrupted = True
                break
            here = point
