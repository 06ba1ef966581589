"""One module per role: a generator that is a drone's whole day, resumed once a tick. `behaviour_of` chooses
it.
"""

from __future__ import annotations

from collections.abc import Callable

from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.drones.kinds import CLIMBER, LIFELINE, MULE, OVERSEER, SCOUT, UTILITY
from sessionstore.simulation.mission.pilot import Behaviour
from sessionstore.simulation.mission.roles.along import fly_along
from sessionstore.simulation.mission.roles.climber import climber
from sessionstore.simulation.mission.roles.lifeline import lifeline
from sessionstore.simulation.mission.roles.mule import mule
from sessionstore.simulation.mission.roles.overseer import overseer
from sessionstore.simulation.mission.roles.scout import scout
from sessionstore.simulation.mission.roles.utility import utility
from sessionstore.simulation.mission.views import AnyRole

ROLES: dict[str, Callable[[AnyRole, Drone], Behaviour]] = {
    SCOUT: scout,
    CLIMBER: climber,
    MULE: mule,
    LIFELINE: lifeline,
    OVERSEER: overseer,
    UTILITY: utility,
}


def behaviour_of(fleet: AnyRole, drone: Drone) -> Behaviour:
    """The generator of a drone from its beginning: that of its trajectory when it has one, else that of its role."""
    flight = fleet.trajectories.get(drone.id.lower())
    if flight is not None:
        return fly_along(fleet, drone, flight)
    return ROLES[drone.kind.role](fleet, drone)
