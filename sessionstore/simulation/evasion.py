"""The way out of a deadlock: a drone that has been blocked for a second steps aside and plans the rest from
there.

Six directions are tried, beginning with one that the seed chooses; none is taken that comes near a building
or a drone. Not here: who is blocked (separation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionstore.simulation.drone import Drone
from sessionstore.simulation.errors import NoPath
from sessionstore.simulation.geometry import Vec3
from sessionstore.simulation.navigation import PATH_MARGIN_M, plan_path
from sessionstore.simulation.separation import least_distance_m

if TYPE_CHECKING:
    from sessionstore.simulation.fleet import Fleet

LOWEST_M = 3.0  # chosen: above the base


def evade(fleet: Fleet, drone: Drone) -> None:
    """Give a blocked drone a path around; it keeps its old one when no side is free."""
    other = drone.blocked_by
    if drone.mode != "flying" or other is None or not drone.path:
        return
    step = least_distance_m(drone, other) + 2.0
    sides: list[Vec3] = [(0, 0, step), (step, 0, 0), (0, step, 0), (-step, 0, 0), (0, -step, 0), (0, 0, -step)]
    turn = fleet.evasion_random.randrange(len(sides))
    goal = drone.path[-1]
    for dx, dy, dz in sides[turn:] + sides[:turn]:
        aside = (drone.x + dx, drone.y + dy, drone.z + dz)
        if aside[2] < fleet.world.base_m[2] + LOWEST_M or not may_step(fleet, drone, aside):
            continue
        try:
            rest = plan_path(fleet.world, aside, goal, aside[2])
        except NoPath:
            continue  # another side may do
        drone.path = [aside, *rest]
        return


def may_step(fleet: Fleet, drone: Drone, aside: Vec3) -> bool:
    """Whether a short straight step keeps the margins."""
    world = fleet.world
    low = min(drone.z, aside[2])
    if aside[2] > world.ceiling_m or not world.free(aside, PATH_MARGIN_M):
        return False
    if world.blockers((drone.x, drone.y), aside[:2], low, PATH_MARGIN_M - 0.3):
        return False
    return all(
        d is drone or d.mode in ("lost", "retired") or d.distance_to(aside) > least_distance_m(d, drone) + 0.5
        for d in fleet.drones
    )
