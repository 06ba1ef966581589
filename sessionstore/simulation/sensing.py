"""Hidden buildings: known to the physics only, until a drone comes near enough to sense them.

Then the planner knows them, and every way is planned anew. Not here: paths (navigation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionstore.simulation.errors import NoPath

if TYPE_CHECKING:
    from sessionstore.simulation.fleet import Fleet

SENSE_M = 15.0  # chosen; longer than any drone's way to brake. Scouts, with their LiDAR, see twice as far


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
                replan_all(fleet)
                break


def replan_all(fleet: Fleet) -> None:
    """Give every flying drone a path that knows of all buildings; one without a way stops."""
    for drone in fleet.drones:
        if drone.mode == "flying" and drone.path:
            try:
                drone.path = fleet.plan(drone, drone.path[-1])
            except NoPath as error:
                drone.halt()
                fleet.event("no_path", str(error), level="warning", drone=drone.id)
