"""One module per role: a generator that is a drone's whole day, resumed once a tick. `behaviour_of` chooses
it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.mission.pilot import Behaviour
from sessionstore.simulation.mission.roles.climber import climber
from sessionstore.simulation.mission.roles.lifeline import lifeline
from sessionstore.simulation.mission.roles.mule import mule
from sessionstore.simulation.mission.roles.overseer import overseer
from sessionstore.simulation.mission.roles.scout import scout
from sessionstore.simulation.mission.roles.utility import utility

if TYPE_CHECKING:
    from sessionstore.simulation.mission.fleet import Fleet

ROLES = {
    "scout": scout,
    "climber": climber,
    "mule": mule,
    "lifeline": lifeline,
    "overseer": overseer,
    "utility": utility,
}


def behaviour_of(fleet: Fleet, drone: Drone) -> Behaviour:
    """The role's generator for a drone, from its beginning."""
    return ROLES[drone.kind.role](fleet, drone)
