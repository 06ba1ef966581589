"""What one tick costs a drone, and what its berth gives back.

Not here: the formula of the power (simulation.drones.battery).
"""

from __future__ import annotations

from sessionstore.simulation.drones.battery import STANDBY_W, WALL_POWER_W, flight_power_w
from sessionstore.simulation.drones.drone import TICK_S, Drone
from sessionstore.simulation.drones.kinds import CLIMBER, MULE
from sessionstore.simulation.mission.views import Losing
from sessionstore.simulation.world.weather import air_density

FILL_LPS = 0.15  # chosen: the base fills a cartridge in 20 s
CARTRIDGES = 8
RESTOCK_EVERY_TICKS = 100  # chosen: a cartridge each 5 s


def spend(fleet: Losing, drone: Drone) -> None:
    """Take the energy of one tick; an empty battery in the air loses the drone."""
    mode = drone.mode
    modes = drone.day.modes
    if not modes or modes[-1][1] != mode:
        modes.append((fleet.clock.t_s, mode))
    if mode == "docked":
        _serve_on_berth(fleet, drone)
        drone.day.berth_s += TICK_S
    elif mode == "wall":
        drone.battery.use(WALL_POWER_W, TICK_S)
        drone.day.wall_s += TICK_S
    elif mode == "flying":
        drone.battery.use(flight_w(fleet, drone), TICK_S)
        drone.day.flight_s += TICK_S
    else:
        return
    if drone.battery.energy_j <= 0.0 and drone.airborne:
        fleet.lose(drone, "battery empty")


def flight_w(fleet: Losing, drone: Drone) -> float:
    """The power of a flying drone in the present wind."""
    weather = fleet.weather
    origin = fleet.world.city.origin
    return flight_power_w(
        drone.kind,
        drone.payload_kg,
        air_density(origin.height_m + drone.z),
        (drone.vx - weather.east_mps, drone.vy - weather.north_mps, drone.vz),
        (drone.ax, drone.ay, drone.az),
    )


def _serve_on_berth(fleet: Losing, drone: Drone) -> None:
    battery = drone.battery
    if battery.energy_j < battery.capacity_j:
        battery.load_on_berth(TICK_S)
    battery.use(STANDBY_W, TICK_S)
    if drone.fluid_l < drone.kind.cartridge_l and drone.kind.role == CLIMBER:
        drone.fluid_l = min(drone.kind.cartridge_l, drone.fluid_l + FILL_LPS * TICK_S)
    if drone.kind.role == MULE and drone.cartridges < CARTRIDGES and fleet.clock.ticks % RESTOCK_EVERY_TICKS == 0:
        drone.cartridges += 1
