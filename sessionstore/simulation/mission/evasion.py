"""The way out of a deadlock: a drone that has been blocked for a second steps aside and plans the rest from
there.

Six directions are tried, beginning with one that the seed chooses; none is taken that comes near a building
or a drone. Not here: who is blocked (simulation.drones.separation).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.drones.kinds import MULE
from sessionstore.simulation.drones.navigation import PATH_MARGIN_M, plan_path
from sessionstore.simulation.drones.separation import AWAY, least_distance_m, rank
from sessionstore.simulation.errors import NoPath
from sessionstore.simulation.world.geometry import Vec3
from sessionstore.simulation.world.world import World

LOWEST_M = 3.0  # chosen: above the base


class Evasion:
    """Ways aside in one world; the random stream is its own."""

    def __init__(self, world: World, seed: str) -> None:
        self._world = world
        self._random = Random(f"{seed}/evasion")

    def resolve(self, drone: Drone, drones: Sequence[Drone]) -> None:
        """Let a blocked drone step aside, or the one that hovers in its way when that is the junior."""
        other = drone.blocked_by
        if other is None or not drone.path:
            return
        hovers = other.mode == "flying" and not other.path and other.kind.role != MULE  # a mule hands over
        if hovers and (drone.mode == "wall" or rank(drone) < rank(other)):
            self._step_aside(other, drone, other.position, drones)
        elif drone.mode == "flying":
            self._step_aside(drone, other, drone.path[-1], drones)

    def _step_aside(self, drone: Drone, other: Drone, goal: Vec3, drones: Sequence[Drone]) -> None:
        """Give a drone a path around another one; it keeps its old one when no side is free."""
        for dx, dy, dz in _sides(drone, other, self._random.randrange(6)):
            aside = (drone.x + dx, drone.y + dy, drone.z + dz)
            if aside[2] < self._world.base_m[2] + LOWEST_M or not may_step(self._world, drone, aside, drones):
                continue
            try:
                rest = plan_path(self._world, aside, goal, aside[2])
            except NoPath:
                continue  # another side may do
            drone.go([aside, *rest])
            return


def _sides(drone: Drone, other: Drone, turn: int) -> list[Vec3]:
    """Straight away from the other one, then up, down and sideways; face to face only what leads away."""
    least = least_distance_m(drone, other)
    apart = max(drone.distance_to(other.position), 1e-6)
    step = least + 2.0
    out = ((drone.x - other.x) / apart, (drone.y - other.y) / apart, (drone.z - other.z) / apart)
    axes: list[Vec3] = [(0, 0, 1), (1, 0, 0), (0, 1, 0), (-1, 0, 0), (0, -1, 0), (0, 0, -1)]
    axes = [out, *axes[turn:], *axes[:turn]]
    if apart < least + 1.0:  # there the rule of separation lets only those go who leave
        axes = [a for a in axes if a[0] * out[0] + a[1] * out[1] + a[2] * out[2] > 1.5 * AWAY]
    return [(a[0] * step, a[1] * step, a[2] * step) for a in axes]


def may_step(world: World, drone: Drone, aside: Vec3, drones: Sequence[Drone]) -> bool:
    """Whether a short straight step keeps the margins."""
    low = min(drone.z, aside[2])
    if aside[2] > world.ceiling_m or not world.free(aside, PATH_MARGIN_M):
        return False
    if world.blockers((drone.x, drone.y), aside[:2], low, PATH_MARGIN_M - 0.3):
        return False
    return all(
        d is drone or d.mode in ("lost", "retired") or d.distance_to(aside) > least_distance_m(d, drone) + 0.5
        for d in drones
    )
