"""Which drones are near enough to meet within braking distance: a list that is made once and serves several ticks.

Every drone has a sphere: its hull, how far it gets before it stands, and 3 m more. Two drones whose spheres are apart
cannot meet as long as each stays in its own sphere, with all that it needs for braking; so the list of touching spheres
(Verlet's neighbour list, Phys. Rev. 159, 1967) is made anew only when one drone leaves its own, or when another one
takes off, lands or joins. Of those who rest, only what moves can come near.
Not here: who gives way (separation).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, sqrt

from sessionstore.simulation.drones.drone import TICK_S, Drone

SKIN_M = 3.0  # chosen: less makes the list more often, more makes it longer

Spot = tuple[float, float, float, float, bool]  # x, y, z, the radius of hull and braking, whether it moves
Sphere = tuple[float, float, float, float, bool]  # x, y, z, radius, whether it rests: its list holds only while it does
_OUTSIDE: Sphere = (0.0, 0.0, 0.0, -inf, False)


class Neighbours:
    """The list of one fleet, and the fleet in its order of rank.

    Args:
        rank: the order of two drones: the first is the senior one. It may depend on the mode.
        near_m: free air between two spheres that still counts as touching.
    """

    def __init__(self, rank: Callable[[Drone], tuple[int, int, str]], near_m: float) -> None:
        self._rank, self._near_m = rank, near_m
        self._known: list[Drone] = []
        self._modes: list[str] = []
        self._spheres: list[Sphere] = []
        self._touching: list[tuple[int, list[int]]] = []  # the place in the ranks of each senior, and of its juniors
        self.ranked: list[Drone] = []
        self.made = 0  # how often the list was

    def pairs(self, drones: Sequence[Drone]) -> list[tuple[int, int]]:
        """The pairs within reach of each other of which one moves, by their places in `ranked`: senior, junior."""
        modes = [drone.mode for drone in drones]
        if modes != self._modes or drones != self._known:
            self._modes, self._known = modes, list(drones)
            self.ranked = sorted((d for d in drones if d.mode != "retired" and d.mode != "lost"), key=self._rank)
            self._spheres = [_OUTSIDE] * len(self.ranked)
        spots = [spot_of(drone) for drone in self.ranked]
        if not all(map(_stays, spots, self._spheres)):
            self._make(spots)
        return self._within_reach(spots)

    def _within_reach(self, spots: list[Spot]) -> list[tuple[int, int]]:
        found = []
        near_m = self._near_m
        for i, juniors in self._touching:
            x, y, z, radius, moves = spots[i]
            for j in juniors:
                ox, oy, oz, other, goes = spots[j]
                if moves or goes:
                    dx, dy, dz, reach = x - ox, y - oy, z - oz, radius + other + near_m
                    if dx * dx + dy * dy + dz * dz <= reach * reach:
                        found.append((i, j))
        return found

    def _make(self, spots: list[Spot]) -> None:
        """Make the list: sweep along x over the spheres, those behind the sweep dropped."""
        self.made += 1
        rests = [not spot[4] and drone.mode == "docked" for spot, drone in zip(spots, self.ranked, strict=True)]
        self._spheres = [
            (x, y, z, radius + (0.0 if still else SKIN_M), still)
            for (x, y, z, radius, _), still in zip(spots, rests, strict=True)
        ]
        near_m = self._near_m
        juniors: list[list[int]] = [[] for _ in spots]
        going: list[tuple[float, int]] = []
        resting: list[tuple[float, int]] = []
        for i in sorted(range(len(spots)), key=lambda i: self._spheres[i][0] - self._spheres[i][3]):
            x, y, z, radius, still = self._spheres[i]
            behind = x - radius - near_m
            going = [other for other in going if other[0] >= behind]
            met = going
            if not still:
                resting = [other for other in resting if other[0] >= behind]
                met = going + resting
            for _, j in met:
                ox, oy, oz, more, _ = self._spheres[j]
                if (x - ox) ** 2 + (y - oy) ** 2 + (z - oz) ** 2 <= (radius + more + near_m) ** 2:
                    juniors[min(i, j)].append(max(i, j))
            (resting if still else going).append((x + radius, i))
        self._touching = [(i, sorted(each)) for i, each in enumerate(juniors) if each]


def spot_of(drone: Drone) -> Spot:
    """Where a drone is, and how far it may get before it stands: one tick at most, then full braking."""
    vx, vy, vz = drone.vx, drone.vy, drone.vz
    if vx == vy == vz == 0.0:
        return (drone.x, drone.y, drone.z, drone.kind.radius_m, bool(drone.path))
    speed = sqrt(vx * vx + vy * vy + vz * vz)
    return (drone.x, drone.y, drone.z, drone.kind.radius_m + reach_m(drone, speed), True)


def reach_m(drone: Drone, speed: float) -> float:
    """How far it may get before it stands: one tick at most, then full braking."""
    return speed * (TICK_S * 2 + speed / (2 * drone.accel_mps2))


def _stays(spot: Spot, sphere: Sphere) -> bool:
    """Whether a drone with its way to brake is still within its sphere."""
    x, y, z, radius, moves = spot
    ox, oy, oz, limit, rested = sphere
    if rested:
        return not moves and x == ox and y == oy and z == oz
    dx, dy, dz = x - ox, y - oy, z - oz
    return sqrt(dx * dx + dy * dy + dz * dz) + radius <= limit
