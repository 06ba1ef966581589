"""Battery: what a flight costs. Power grows with thrust squared, with drag, with altitude and with payload.

    P = P_hover (T / m g)^2 sqrt(rho0 / rho) + D v_air

T is the thrust for weight with payload, acceleration and drag, m the mass without payload, D the drag at air
speed v_air. Momentum theory has the exponent 1.5; 2 is the fleet's own figure and the more careful one. The
balance is exact: start + charged - used = left, in joules, to rounding.
"""

from __future__ import annotations

from math import sqrt

from sessionstore.simulation.drones.kinds import CHARGE_TIME_S, Kind
from sessionstore.simulation.world.weather import SEA_LEVEL_DENSITY

G_MPS2 = 9.80665
WALL_POWER_W = 90.0  # chosen: suction, brush and pump of a climber on the wall
STANDBY_W = 8.0  # chosen: avionics on the berth


def flight_power_w(
    kind: Kind,
    payload_kg: float,
    density: float,
    air_velocity_mps: tuple[float, float, float],
    acceleration_mps2: tuple[float, float, float],
) -> float:
    """Electrical power of a flying drone."""
    vx, vy, vz = air_velocity_mps
    ax, ay, az = acceleration_mps2
    speed = sqrt(vx * vx + vy * vy + vz * vz)
    per_speed = 0.5 * density * kind.drag_area_m2 * speed  # drag = per_speed * velocity
    mass = kind.mass_kg + payload_kg
    tx = mass * ax + per_speed * vx
    ty = mass * ay + per_speed * vy
    tz = mass * (az + G_MPS2) + per_speed * vz
    ratio = (tx * tx + ty * ty + tz * tz) / (kind.mass_kg * G_MPS2) ** 2
    return kind.hover_w * ratio * sqrt(SEA_LEVEL_DENSITY / density) + per_speed * speed * speed


class Battery:
    """Energy in joules; never below 0, never above the capacity; every joule in and out is counted."""

    def __init__(self, kind: Kind, charge: float = 1.0) -> None:
        self.capacity_j = kind.battery_wh * 3600.0
        self.energy_j = self.start_j = self.capacity_j * charge
        self.used_j = self.charged_j = 0.0

    @property
    def charge(self) -> float:
        """From 0 (empty) to 1 (full)."""
        return self.energy_j / self.capacity_j

    def use(self, power_w: float, dt_s: float) -> None:
        """Take energy out."""
        wanted = power_w * dt_s
        taken = wanted if wanted < self.energy_j else self.energy_j
        self.energy_j -= taken
        self.used_j += taken

    def load(self, power_w: float, dt_s: float) -> None:
        """Charge with a power, up to the capacity."""
        room = self.capacity_j - self.energy_j
        given = min(power_w * dt_s, room)
        self.energy_j += given
        self.charged_j += given

    def load_on_berth(self, dt_s: float) -> None:
        """Charge for one tick as a berth does."""
        self.load(self.capacity_j / CHARGE_TIME_S, dt_s)

    def as_record(self) -> dict[str, float]:
        """The balance in watt-hours."""
        figures = {
            "start_wh": self.start_j,
            "used_wh": self.used_j,
            "charged_wh": self.charged_j,
            "left_wh": self.energy_j,
        }
        return {name: round(joules / 3600.0, 3) for name, joules in figures.items()}
