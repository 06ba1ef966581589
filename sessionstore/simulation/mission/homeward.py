"""What the way home costs: a drone turns back while its battery still holds that and the reserve, so that it lands
with 20 %.

The way is the planner's own, from where the drone is to its berth, in the present wind as a head wind. The energy is
an upper estimate: 5 % and five seconds of hovering more than the way itself. A drone that other drones hold up for
longer lands with less. Not here: flying home (mission.pilot), the formula of the power (simulation.drones.battery).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import dist, sqrt

from sessionstore.simulation.drones.battery import flight_power_w
from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.drones.kinds import RESERVE
from sessionstore.simulation.errors import NoPath
from sessionstore.simulation.mission.clock import Clock
from sessionstore.simulation.world.facades import STANDOFF_M
from sessionstore.simulation.world.geometry import Vec3
from sessionstore.simulation.world.weather import Weather, air_density
from sessionstore.simulation.world.world import World

Plan = Callable[[Drone, Vec3, Vec3], list[Vec3]]  # a drone's path to a goal from a start

LOOK_TICKS = 10  # twice a second
WAIT_S = 5.0  # chosen: for stopping, turning, and drones that give way
MORE = 1.05  # chosen: accelerations cost up to 5 %
DETOUR = 3.0  # chosen: from this many straight ways home on, the real way is planned
UNDOCK_S = 6.0  # chosen: from the wall to the free air


class WaysHome:
    """Which drones have to turn back for their battery; looked at twice a second."""

    def __init__(self, clock: Clock, world: World, weather: Weather, plan: Plan) -> None:
        self._clock, self._world, self._weather, self._plan = clock, world, weather, plan

    def is_due(self, drone: Drone) -> bool:
        """Whether what is above the reserve is needed for the way home."""
        if drone.battery.charge <= RESERVE:
            return True
        return self._clock.ticks % LOOK_TICKS == 0 and self._look(drone)

    def _look(self, drone: Drone) -> bool:
        spare_j = drone.battery.energy_j - RESERVE * drone.battery.capacity_j
        straight_j = self._energy_j(drone, [drone.position, drone.berth_m])
        if spare_j > DETOUR * straight_j:
            return False
        return spare_j <= self._energy_j(drone, self._way(drone))

    def _way(self, drone: Drone) -> list[Vec3]:
        """The planned way home; where there is none, a detour of the straight one."""
        start = drone.position
        if drone.facade is not None:
            along = (drone.x - drone.facade.start_m[0]) * drone.facade.normal[0]
            along += (drone.y - drone.facade.start_m[1]) * drone.facade.normal[1]
            start = drone.facade.off_wall(start, STANDOFF_M - along)
        try:
            return [start, *self._plan(drone, drone.berth_m, start)]
        except NoPath:
            return [start, drone.berth_m, start, drone.berth_m]

    def _energy_j(self, drone: Drone, way: list[Vec3]) -> float:
        return energy_j(drone, way, self._weather.wind_mps, self._world.city.origin.height_m)


def energy_j(drone: Drone, way: list[Vec3], wind_mps: float, ground_m: float) -> float:
    """Return an upper estimate of the energy for a way, in joules; the local zero is `ground_m` above the sea."""
    kind = drone.kind
    cruise = kind.cruise_mps / 2 if drone.motor_out or drone.gps_out else kind.cruise_mps
    top_m = max(point[2] for point in way)
    density = air_density(ground_m + top_m)
    air = (cruise + wind_mps, 0.0, kind.climb_mps)
    power_w = flight_power_w(kind, drone.payload_kg, density, air, (0.0, 0.0, 0.0))
    seconds = WAIT_S + (UNDOCK_S if drone.mode == "wall" else 0.0)
    for here, there in pairwise(way):
        seconds += leg_s(dist(here, there), abs(there[2] - here[2]), cruise, kind.climb_mps, drone.accel_mps2)
    return MORE * power_w * seconds


def leg_s(length_m: float, rise_m: float, cruise_mps: float, climb_mps: float, accel_mps2: float) -> float:
    """The time of a straight leg from rest to rest: a drone gains speed at its limit and brakes half as hard."""
    if length_m < 1e-9:
        return 0.0
    speed = min(cruise_mps, climb_mps * length_m / rise_m) if rise_m > 0.0 else cruise_mps
    if length_m < 1.5 * speed * speed / accel_mps2:
        return 3.0 * sqrt(2.0 * length_m / (3.0 * accel_mps2))
    return length_m / speed + 1.5 * speed / accel_mps2
