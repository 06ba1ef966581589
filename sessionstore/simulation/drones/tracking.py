"""A drone on its course: it keeps to the line, as near to its timetable as its limits allow.

The drone chases a mark that moves along the course. The mark keeps the timetable, but never leaves the drone behind:
it waits while the drone is braked, stuck or more than 0.3 m off. So a drone that is held up comes later, by the same
line; it never takes a short cut. Same guarantees as in drone: |v| <= cruise, |vz| <= climb, |dv| <= acceleration * dt.
Not here: the line (course), leaving it (mission.roles.along).
"""

from __future__ import annotations

from math import sqrt
from typing import Protocol

from sessionstore.simulation.drones.course import Course
from sessionstore.simulation.drones.kinds import Kind
from sessionstore.simulation.world.geometry import Vec3

AHEAD_M = 2.0  # the way that other drones see: where it will be next
PULL_PER_S = 3.0  # chosen: an error of 0.1 m is flown back with 0.3 m/s
LET_GO_M = 0.3  # chosen: further off the mark waits
THERE_M = 0.02
STOP_SHARE = 1.2  # chosen: it stops with 0.6 of its acceleration (twice that, in v^2 = 2 a s); bends need the rest
EARLY_M = 0.05  # chosen: so far ahead of its timetable the mark stops


class Body(Protocol):
    """What tracking moves: a drone's place and velocity, within its limits."""

    x: float
    y: float
    z: float
    vx: float
    vy: float
    vz: float
    accel_mps2: float
    brake: bool
    stuck: bool
    motor_out: bool
    kind: Kind

    @property
    def speed(self) -> float: ...
    @property
    def at_rest(self) -> bool: ...


class Tracker:
    """The mark of one drone: at `s_m` metres of the course, with the speed `mark_mps`."""

    def __init__(self, course: Course, s_m: float = 0.0, stop_m: float | None = None) -> None:
        self.course, self.s_m = course, s_m
        self.stop_m = course.length_m if stop_m is None else stop_m
        self.mark_mps = 0.0
        self.t_s = course.start_s
        self.off_m = 0.0

    def arrived(self, drone: Body) -> bool:
        """Whether the drone stands at the end of what it may fly."""
        return self.s_m >= self.stop_m - THERE_M and drone.at_rest

    def can_stop_at(self, drone: Body, stop_m: float) -> bool:
        """Whether the drone, on its line, still comes to rest before a place of the course."""
        return drone.speed * drone.speed <= STOP_SHARE * drone.accel_mps2 * (stop_m - self.s_m)

    def look_ahead(self, drone: Body, t_s: float, tick_s: float) -> list[Vec3]:
        """What the drone heads for during the tick that ends at `t_s`; nothing while it stands and has to."""
        self.t_s = t_s - tick_s
        waits = min(self.course.due_m(t_s), self.stop_m) <= self.s_m + 1e-9
        if waits and self.mark_mps == 0.0 and drone.at_rest:
            return []
        return [self.course.at(min(self.s_m + AHEAD_M, self.stop_m))]

    def integrate(self, drone: Body, steps: int, dt_s: float) -> None:
        """Move the drone by physics steps."""
        course, kind = self.course, drone.kind
        step_dv = drone.accel_mps2 * dt_s
        held = drone.brake or drone.stuck
        x, y, z, vx, vy, vz = drone.x, drone.y, drone.z, drone.vx, drone.vy, drone.vz
        for _ in range(steps):
            self.t_s += dt_s
            px, py, pz = course.at(self.s_m)
            tx, ty, tz = course.direction(self.s_m)
            ex, ey, ez = px - x, py - y, pz - z
            off = sqrt(ex * ex + ey * ey + ez * ez)
            if held:
                self.mark_mps = max(0.0, vx * tx + vy * ty + vz * tz)
                ux = uy = uz = 0.0
            else:
                self._move_mark(off, drone.accel_mps2, dt_s)
                mark = self.mark_mps
                if mark == 0.0 and off < THERE_M and vx * vx + vy * vy + vz * vz < step_dv * step_dv:
                    ux = uy = uz = 0.0  # it stands: the error is let be, so that it comes to rest
                else:
                    ux, uy, uz = tx * mark + PULL_PER_S * ex, ty * mark + PULL_PER_S * ey, tz * mark + PULL_PER_S * ez
                    self.off_m = max(self.off_m, off)
            self.s_m = min(self.s_m + self.mark_mps * dt_s, self.stop_m)
            k = _within(ux, uy, uz, kind.cruise_mps if not drone.motor_out else kind.cruise_mps / 2, kind.climb_mps)
            ux, uy, uz = ux * k - vx, uy * k - vy, uz * k - vz
            n2 = ux * ux + uy * uy + uz * uz
            if n2 > step_dv * step_dv:
                k = step_dv / sqrt(n2)
                ux, uy, uz = ux * k, uy * k, uz * k
            vx, vy, vz = vx + ux, vy + uy, vz + uz
            x, y, z = x + vx * dt_s, y + vy * dt_s, z + vz * dt_s
        drone.x, drone.y, drone.z, drone.vx, drone.vy, drone.vz = x, y, z, vx, vy, vz

    def _move_mark(self, off_m: float, accel_mps2: float, dt_s: float) -> None:
        """The mark's speed for one step: the timetable's, and more while it is late; less while the drone is off."""
        course, s_m = self.course, self.s_m
        ahead = min(course.due_m(self.t_s), self.stop_m) - s_m
        planned = course.planned_mps(s_m) * min(1.0, 1.0 + ahead / EARLY_M) if ahead > -EARLY_M else 0.0
        weaker = min(1.0, accel_mps2 / course.kind.accel_mps2)  # against wind, or with a motor out
        wanted = min(weaker * course.limit_mps(s_m), max(0.0, planned + ahead))
        left = max(0.0, self.stop_m - s_m)
        wanted = min(wanted, sqrt(STOP_SHARE * accel_mps2 * left), 3.0 * left)
        most = 0.95 * accel_mps2
        across = min(self.mark_mps**2 * course.bend(s_m), 0.95 * most)
        gain = sqrt(most * most - across * across) * dt_s
        if off_m > LET_GO_M:
            wanted, gain = 0.0, min(gain, 0.4 * most * dt_s)  # braking hard would carry it further off
        self.mark_mps += min(gain, max(-gain, wanted - self.mark_mps))
        if left < THERE_M / 2 or (ahead <= 0.0 and self.mark_mps < 0.02):
            self.mark_mps = 0.0

    def late_s(self) -> float:
        """How much later than its timetable the mark is."""
        if self.course.due_m(self.t_s) - self.s_m < LET_GO_M:
            return 0.0
        return self.t_s - self.course.due_s(self.s_m)


def _within(ux: float, uy: float, uz: float, speed_mps: float, climb_mps: float) -> float:
    """The factor that brings a wanted velocity within both limits."""
    k = 1.0
    speed = sqrt(ux * ux + uy * uy + uz * uz)
    if speed > speed_mps:
        k = speed_mps / speed
    if abs(uz) * k > climb_mps:
        k = climb_mps / abs(uz)
    return k
