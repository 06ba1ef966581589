"""One drone: its state, and its motion in fixed steps of 1/240 s within its limits.

Guarantees for a drone that is not lost: |v| <= cruise speed, |vz| <= climb speed, |dv| <= acceleration * dt,
always. The loop over the steps of one tick is written out flat: it is the hot spot of a run.
Not here: where to go (mission.roles, mission.pilot), who gives way (separation), what it costs (battery).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from math import atan2, hypot, sqrt

from sessionstore.simulation.drones.battery import G_MPS2, Battery
from sessionstore.simulation.drones.kinds import CLIMBER, MULE, Kind
from sessionstore.simulation.drones.tracking import Tracker
from sessionstore.simulation.world.facades import Facade
from sessionstore.simulation.world.geometry import Vec3

PHYSICS_HZ = 240
TICK_HZ = 20
STEPS_PER_TICK = PHYSICS_HZ // TICK_HZ
DT_S = 1 / PHYSICS_HZ
TICK_S = 1 / TICK_HZ
TURN_RADIUS_M = 0.3  # a way point in flight counts as reached from here; see navigation.TRACKING_M
WALL_RADIUS_M = 0.03  # the same for brush strokes
FAR = 1.0 + 1e-9  # for how floats round
STILL_MPS = 0.1  # chosen: gusts move a hovering drone as fast
TERMINAL_MPS = 25.0  # chosen: how fast a falling drone becomes


@dataclass
class Day:
    """What a drone did, for the metrics and the summary."""

    distance_m: float = 0.0
    max_speed_mps: float = 0.0
    flight_s: float = 0.0
    wall_s: float = 0.0
    berth_s: float = 0.0
    low_m: Vec3 = (float("inf"),) * 3
    high_m: Vec3 = (float("-inf"),) * 3
    windows_cleaned: int = 0
    windows_found: int = 0
    windows_inspected: int = 0
    swaps: int = 0
    returns: dict[str, int] = field(default_factory=dict)
    points: int = 0
    blocked_s: float = 0.0
    modes: list[tuple[float, str]] = field(default_factory=list)  # since when, which


class Drone:
    """A drone of the fleet. `mode` is one of docked, flying, wall, lost, retired."""

    def __init__(self, drone_id: str, kind: Kind, berth_m: Vec3, charge: float = 1.0) -> None:
        self.id, self.kind, self.berth_m = drone_id, kind, berth_m
        self.x, self.y, self.z = berth_m
        self.vx = self.vy = self.vz = 0.0
        self.ax = self.ay = self.az = 0.0
        self.yaw = 0.0
        self.accel_mps2 = kind.accel_mps2
        self.battery = Battery(kind, charge)
        self.fluid_l = kind.cartridge_l
        self.cartridges = 8 if kind.role == MULE else 0
        self.mode = "docked"
        self.activity = "waiting"
        self.path: list[Vec3] = []
        self.tracker: Tracker | None = None  # in place of the path, on a trajectory
        self.speed_mps = kind.cruise_mps
        self.brake = False
        self.interrupted = False  # it has to stop and plan anew
        self.blocked_ticks = 0
        self.still_ticks = 0
        self.blocked_by: Drone | None = None
        self.facade: Facade | None = None  # the wall it sits on
        self.tether: Drone | None = None  # the other end of a lifeline
        self.behaviour: Generator[None, None, None] | None = None
        self.duty = "role"
        self.why_dropped = "the run ended"  # why its last behaviour ended before it was done
        self.windy = False  # the wind pushes it: it stands when it hardly moves (mission.wind_push)
        self.stuck = self.motor_out = self.gps_out = self.link_out = False
        self.warned: set[str] = set()
        self.day = Day()
        self.spawned_at_s = 0.0
        self.last_contact_s = 0.0
        self.gps_lost_at_s = 0.0

    @property
    def position(self) -> Vec3:
        return (self.x, self.y, self.z)

    @property
    def speed(self) -> float:
        """Metres a second, in space."""
        return sqrt(self.vx * self.vx + self.vy * self.vy + self.vz * self.vz)

    @property
    def at_rest(self) -> bool:
        """Whether it stands in the air, as well as the wind lets it."""
        speed = self.speed
        return speed == 0.0 or (self.windy and speed < STILL_MPS)

    @property
    def active(self) -> bool:
        """Whether it can still do something."""
        return self.mode not in ("lost", "retired")

    @property
    def airborne(self) -> bool:
        """Whether it flies or sits on a wall."""
        return self.mode in ("flying", "wall")

    @property
    def payload_kg(self) -> float:
        """A litre of cleaning fluid weighs a kilogram."""
        role = self.kind.role
        return self.fluid_l if role == CLIMBER else self.cartridges * 3.0 if role == MULE else 0.0

    def go(self, path: list[Vec3], speed_mps: float | None = None) -> None:
        """Follow way points; the last one is where it stops."""
        self.path, self.tracker = list(path), None
        self.speed_mps = min(speed_mps or self.kind.cruise_mps, self.kind.cruise_mps)

    def face(self, facade: Facade) -> None:
        """Turn towards a wall."""
        self.yaw = atan2(-facade.normal[1], -facade.normal[0])

    def halt(self) -> None:
        """Stop where the brakes bring it."""
        self.path, self.tracker = [], None

    def distance_to(self, point: Vec3) -> float:
        """Metres to a point, in space."""
        return hypot(self.x - point[0], self.y - point[1], self.z - point[2])

    def advance(self, steps: int = STEPS_PER_TICK) -> None:
        """Move by the given number of physics steps; position, velocity and mean acceleration are new afterwards."""
        if self.mode == "lost":
            self._fall(steps)
            return
        vx0, vy0, vz0 = self.vx, self.vy, self.vz
        if not self.path and vx0 == vy0 == vz0 == 0.0:
            self.ax = self.ay = self.az = 0.0
            return
        x0, y0, z0 = self.x, self.y, self.z
        if self.tracker is not None:
            self.tracker.integrate(self, steps, DT_S)
        else:
            self._integrate(steps)
        span = steps * DT_S
        self.ax, self.ay, self.az = (self.vx - vx0) / span, (self.vy - vy0) / span, (self.vz - vz0) / span
        if self.mode == "flying" and self.vx * self.vx + self.vy * self.vy > 0.04:
            self.yaw = atan2(self.vy, self.vx)
        self._count(sqrt((self.x - x0) ** 2 + (self.y - y0) ** 2 + (self.z - z0) ** 2))

    def _integrate(self, steps: int) -> None:
        """Velocity tracking: towards the way point as fast as braking half as hard as possible allows."""
        path = self.path
        if not path or self.brake or self.stuck:
            self._stop(steps)
            return
        x, y, z, vx, vy, vz = self.x, self.y, self.z, self.vx, self.vy, self.vz
        accel, vmax, climb, dt = self.accel_mps2, self.speed_mps, self.kind.climb_mps, DT_S
        step_dv = accel * dt
        step_dv2 = step_dv * step_dv
        radius = WALL_RADIUS_M if self.mode == "wall" else TURN_RADIUS_M
        far = FAR * max(vmax * vmax / accel, vmax / 3.0)  # from here on neither root nor distance bounds the speed
        tx, ty, tz = path[0]
        for _ in range(steps):
            dx, dy, dz = tx - x, ty - y, tz - z
            d = sqrt(dx * dx + dy * dy + dz * dz)
            if d < radius and len(path) > 1:
                del path[0]
                tx, ty, tz = path[0]
                dx, dy, dz = tx - x, ty - y, tz - z
                d = sqrt(dx * dx + dy * dy + dz * dz)
            if d > far:
                k = vmax / d
            elif d > 1e-9:
                k = min(sqrt(accel * d), 3.0 * d, vmax) / d
            else:
                k = 0.0
            uz = dz * k
            if uz > climb or -uz > climb:
                k *= climb / abs(uz)
                uz = dz * k
            ux, uy, uz = dx * k - vx, dy * k - vy, uz - vz
            n2 = ux * ux + uy * uy + uz * uz
            if n2 > step_dv2:
                k = step_dv / sqrt(n2)
                ux *= k
                uy *= k
                uz *= k
            vx += ux
            vy += uy
            vz += uz
            x += vx * dt
            y += vy * dt
            z += vz * dt
        self.x, self.y, self.z, self.vx, self.vy, self.vz = x, y, z, vx, vy, vz
        if len(path) == 1 and self.distance_to(path[0]) < 0.02 and self.speed < step_dv:
            self.path = []  # the next step brakes to rest; setting the speed to 0 here would jump

    def _stop(self, steps: int) -> None:
        """Brake as hard as possible, until it stands."""
        step_dv = self.accel_mps2 * DT_S
        for _ in range(steps):
            vx, vy, vz = self.vx, self.vy, self.vz
            if vx == vy == vz == 0.0:
                return
            n2 = vx * vx + vy * vy + vz * vz
            k = step_dv / sqrt(n2) if n2 > step_dv * step_dv else 1.0
            self.vx, self.vy, self.vz = vx - vx * k, vy - vy * k, vz - vz * k
            self.x += self.vx * DT_S
            self.y += self.vy * DT_S
            self.z += self.vz * DT_S

    def _count(self, moved_m: float) -> None:
        day = self.day
        day.distance_m += moved_m
        speed = self.speed
        if speed > day.max_speed_mps:
            day.max_speed_mps = speed

    def _fall(self, steps: int) -> None:
        """A lost drone falls until it reaches the ground (`path` holds that point)."""
        floor = self.path[0][2] if self.path else self.z
        for _ in range(steps):
            if self.z <= floor:
                self.z, self.vx, self.vy, self.vz = floor, 0.0, 0.0, 0.0
                return
            self.vz = max(self.vz - G_MPS2 * DT_S, -TERMINAL_MPS)
            self.z += self.vz * DT_S

    def orientation(self) -> tuple[float, float, float]:
        """(roll, pitch, yaw) in radians: a multirotor leans into its acceleration."""
        if self.mode != "flying":
            return (0.0, 0.0, self.yaw)
        forward, sideways = self.leaning()
        return (atan2(-sideways, G_MPS2), atan2(forward, G_MPS2), self.yaw)

    def leaning(self) -> tuple[float, float]:
        """Acceleration in the drone's own axes: (forward, left)."""
        speed = hypot(self.vx, self.vy)
        if speed < 0.2:
            return (0.0, 0.0)
        cos_yaw, sin_yaw = self.vx / speed, self.vy / speed
        return (self.ax * cos_yaw + self.ay * sin_yaw, -self.ax * sin_yaw + self.ay * cos_yaw)
