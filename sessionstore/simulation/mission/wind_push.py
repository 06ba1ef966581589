"""Wind that pushes: the drag of the wind accelerates a flying drone, and the drone leans against it (an option).

    a = rho CdA / (2 m) |w - v| (w - v)        w the wind, v the drone's velocity, both level

A drone knows the push half a second late: gusts move it by centimetres. What it needs to hold comes off its
acceleration, so it starts and brakes more slowly, and others give way earlier. One that cannot hold drifts, and the
events report it; driven into a building it is lost. Distances are not guaranteed while a drone drifts.
Not here: the wind itself (simulation.world.weather), who may fly in it (mission.pilot).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

from sessionstore.simulation.drones.drone import TICK_HZ, TICK_S, Drone
from sessionstore.simulation.mission.views import Losing
from sessionstore.simulation.world.weather import air_density

LAG_S = 0.5  # chosen: how late a drone knows the push
SPARE = 0.1  # chosen: the share of its acceleration that a drone keeps for its way, also in a storm
DRIFT_TICKS = TICK_HZ  # a push that it cannot hold for a second is a drift


@dataclass
class Hold:
    """How one drone stands against the wind: what it leans against, and how long it could not hold."""

    east: float = 0.0
    north: float = 0.0
    weak_ticks: int = 0
    drift_s: float = 0.0


class WindPush:
    """The push on all drones of a fleet; called once a tick for each, after its own motion."""

    def __init__(self, fleet: Losing) -> None:
        self._fleet = fleet
        self.holds: dict[str, Hold] = {}

    def step(self, drone: Drone) -> None:
        """Move a flying drone by what it does not hold against; one that stands somewhere is not pushed."""
        base = drone.kind.accel_mps2 * (0.5 if drone.motor_out else 1.0)
        hold = self.holds.setdefault(drone.id, Hold())
        if drone.mode != "flying":
            if drone.windy:
                drone.windy, drone.accel_mps2 = False, base
                self.holds[drone.id] = Hold(drift_s=hold.drift_s)
            return
        drone.windy = True
        k = self._drag_per_m(drone)
        east, north = self._push_mps2(drone, k)
        hold.east += (east - hold.east) * TICK_S / LAG_S
        hold.north += (north - hold.north) * TICK_S / LAG_S
        needed = hypot(hold.east, hold.north)
        most = (1.0 - SPARE) * base
        share = min(1.0, most / needed) if needed > 0.0 else 1.0
        drone.accel_mps2 = base - needed * share
        ax, ay = east - hold.east * share, north - hold.north * share
        drone.vx += ax * TICK_S
        drone.vy += ay * TICK_S
        drone.x += ax * TICK_S * TICK_S / 2
        drone.y += ay * TICK_S * TICK_S / 2
        # Against the wind at full speed it may need more, too: then it only flies more slowly.
        self._report(drone, hold, needed > most and k * self._fleet.weather.wind_mps**2 > most)

    def _drag_per_m(self, drone: Drone) -> float:
        """The acceleration by drag for an air speed of 1 m/s."""
        density = air_density(self._fleet.world.city.origin.height_m + drone.z)
        return 0.5 * density * drone.kind.drag_area_m2 / (drone.kind.mass_kg + drone.payload_kg)

    def _push_mps2(self, drone: Drone, k: float) -> tuple[float, float]:
        """The acceleration that the air gives, east and north."""
        weather = self._fleet.weather
        we, wn = weather.east_mps - drone.vx, weather.north_mps - drone.vy
        air = hypot(we, wn)
        return k * air * we, k * air * wn

    def _report(self, drone: Drone, hold: Hold, weak: bool) -> None:
        wind = round(self._fleet.weather.wind_mps, 1)
        if weak:
            hold.weak_ticks += 1
            if hold.weak_ticks == DRIFT_TICKS:
                self._fleet.log.event("drift", f"{drone.id} drifts: it cannot hold against {wind} m/s of wind",
                                      level="warning", drone=drone.id, wind_mps=wind)  # fmt: skip
            if hold.weak_ticks >= DRIFT_TICKS:
                hold.drift_s += TICK_S
            self._strike(drone)
        elif hold.weak_ticks:
            if hold.weak_ticks >= DRIFT_TICKS:
                self._fleet.log.event("drift", f"{drone.id} holds against the wind again", drone=drone.id, over=True,
                                      drift_s=round(hold.drift_s, 2))  # fmt: skip
                if drone.path:  # its old way begins elsewhere
                    drone.halt()
                    drone.interrupted = True
            hold.weak_ticks = 0

    def _strike(self, drone: Drone) -> None:
        """Lose a drone whose hull the wind drives into a building."""
        world = self._fleet.world
        if world.clearance_m(drone.position, world.buildings, 5.0) < drone.kind.radius_m:
            self._fleet.lose(drone, "blown into a building")
