"""The one table of drone kinds: mass, speeds, battery, limits, role and how a page draws it, each with where the figure
comes from; and the names of the roles.

"known" marks figures of the fleet that is modelled; all others are chosen by us within what such airframes
do, and say so. Hover power follows from the battery and the endurance, so that a drone that only hovers lasts
as long as the table says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from sessionstore.simulation.world.weather import FLEET_WIND_LIMIT_MPS, SCOUT_WIND_LIMIT_MPS

#: The roles. Scouts, climbers and overseers are also kinds of that name.
SCOUT, CLIMBER, OVERSEER, MULE, LIFELINE, UTILITY = "scout", "climber", "overseer", "mule", "lifeline", "utility"

GENERIC = "quadcopter"  # chosen: the kind of a recorded drone whose record does not say one

RESERVE = 0.20  # known: missions plan with a reserve of 20 %
LOW_BATTERY = 0.25  # chosen: a warning just before the drone turns home
CRITICAL_BATTERY = 0.10  # chosen
RECHARGED = 0.95  # chosen: a drone goes on from here
CHARGE_TIME_S = 900.0  # chosen: from empty to full on the berth's fast charger
SEPARATION_M = 0.5  # known: free air between two hulls
FLUID_LOW = 0.20  # known: the mule comes when the cartridge is below this


@dataclass(frozen=True)
class Kind:
    """One kind of drone. Speeds and accelerations are limits that the flight never exceeds."""

    name: str
    role: str
    mass_kg: float
    radius_m: float
    motors: int
    cruise_mps: float
    climb_mps: float
    accel_mps2: float
    battery_wh: float
    endurance_min: float
    wind_limit_mps: float
    drag_area_m2: float
    payload_kg: float = 0.0
    cartridge_l: float = 0.0
    shape: str = field(kw_only=True)  # the outline that a page draws (web/player/shapes.js)
    drawn_m: float = field(kw_only=True)  # chosen: its radius on a page, larger than the hull
    usual: int = field(default=0, kw_only=True)  # how many fly when no fleet is chosen
    aliases: tuple[str, ...] = field(default=(), kw_only=True)  # what the users' programs call it

    @cached_property
    def hover_w(self) -> float:
        """Power to hover without payload at sea level."""
        return self.battery_wh * 60.0 / self.endurance_min

    @property
    def survives_motor_loss(self) -> bool:
        """Six rotors and more fly on with one dead; a quadcopter does not."""
        return self.motors >= 6


_KINDS = (
    # known: 3-5 kg, 30-45 min, 25 km/h of wind, LiDAR 16 channels 10 Hz 100 m. chosen: 8 m/s, 3 m/s up, 3
    # m/s2, 300 Wh
    Kind(SCOUT, SCOUT, 4.0, 0.35, 4, 8.0, 3.0, 3.0, 300.0, 37.0, SCOUT_WIND_LIMIT_MPS, 0.05,
         shape="arrow", drawn_m=0.6, usual=2),
    # known: cleans on the wall, no-fly sphere 1.2 m. chosen: all figures, for a 12 kg hexacopter with a 3 l
    # cartridge
    Kind(CLIMBER, CLIMBER, 12.0, 0.40, 6, 5.0, 2.0, 2.0, 800.0, 25.0, FLEET_WIND_LIMIT_MPS, 0.12, 3.0, 3.0,
         shape="clamp", drawn_m=0.7, usual=2, aliases=("worker",)),
    # known: inspects, scares birds. chosen: all figures, for a 6 kg camera hexacopter
    Kind(OVERSEER, OVERSEER, 6.0, 0.45, 6, 8.0, 3.0, 3.0, 450.0, 40.0, FLEET_WIND_LIMIT_MPS, 0.07,
         shape="diamond", drawn_m=0.7, usual=1),
    # known: 120-150 kg octocopter, 62 min. chosen: 7 m/s, 2 m/s up, 1.5 m/s2, 20 kWh, eight cartridges
    Kind("tanker-mule", MULE, 135.0, 1.20, 8, 7.0, 2.0, 1.5, 20000.0, 62.0, FLEET_WIND_LIMIT_MPS, 0.9, 24.0, 3.0,
         shape="octagon", drawn_m=1.5, aliases=("tanker", MULE)),
    # known: tether with power and fluid, 50 m of it. chosen: the airframe, a mule without cartridges
    Kind("tanker-lifeline", LIFELINE, 60.0, 0.90, 8, 5.0, 2.0, 1.5, 9000.0, 50.0, FLEET_WIND_LIMIT_MPS, 0.5, 10.0,
         shape="hexagon", drawn_m=1.2, aliases=(LIFELINE,)),
    # known: 150 Wh as an example battery. chosen: the rest; they fly where commands send them
    Kind(GENERIC, UTILITY, 2.0, 0.30, 4, 10.0, 4.0, 4.0, 150.0, 28.0, FLEET_WIND_LIMIT_MPS, 0.03,
         shape="star-of-four", drawn_m=0.5),
    Kind("hexacopter", UTILITY, 4.5, 0.45, 6, 9.0, 3.5, 3.5, 300.0, 30.0, FLEET_WIND_LIMIT_MPS, 0.06,
         shape="star-of-six", drawn_m=0.6),
    # chosen: a flapping-wing drone is light, slow and does not like wind; one lost wing drive ends its flight
    Kind("ornithopter", UTILITY, 0.6, 0.35, 2, 6.0, 2.0, 2.5, 40.0, 20.0, 5.0, 0.04,
         shape="wings", drawn_m=0.6),
)  # fmt: skip
KINDS: dict[str, Kind] = {kind.name: kind for kind in _KINDS}
#: The kind that each other name stands for.
ALIASES = {alias: kind.name for kind in _KINDS for alias in kind.aliases}
