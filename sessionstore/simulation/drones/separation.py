"""Who gives way: two hulls never come nearer than 0.5 m.

Every tick each moving drone has a stopping line: from where it is to where full braking would end, widened by
what one more tick may add. When the lines of two drones come too near, the junior one brakes; when even that
is not enough, both do. A braking drone only shortens its line, so what is apart stays apart. Braked for a
second, the junior looks for a way out. Not here: buildings (navigation), who is near (neighbours).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from sessionstore.simulation.drones.drone import TICK_S, Drone
from sessionstore.simulation.drones.kinds import CLIMBER, LIFELINE, MULE, OVERSEER, SCOUT, SEPARATION_M, UTILITY
from sessionstore.simulation.drones.neighbours import Neighbours, reach_m
from sessionstore.simulation.world.geometry import Vec3

SENIORITY = {CLIMBER: 0, LIFELINE: 1, MULE: 2, OVERSEER: 3, SCOUT: 4, UTILITY: 5}
EVADE_AFTER_TICKS = 20
ROUNDING_M = 1e-6  # for how floats round
NEAR_M = SEPARATION_M + 1.0 + ROUNDING_M  # beyond the hulls and what both may fly
AWAY = 0.1  # the cosine to the straight way out from which on a drone leaves; 0 would be along the edge


def least_distance_m(one: Drone, two: Drone) -> float:
    """Between the centres of two drones."""
    return one.kind.radius_m + two.kind.radius_m + SEPARATION_M


class Separation:
    """The rule for one fleet."""

    def __init__(self) -> None:
        self.neighbours = Neighbours(rank, NEAR_M)

    def separate(self, drones: Sequence[Drone]) -> list[Drone]:
        """Set the brakes for the coming tick; return those who have been blocked long enough to look for a way
        out.
        """
        pairs = self.neighbours.pairs(drones)
        ranked = self.neighbours.ranked
        for drone in ranked:
            drone.brake = False
        stops: dict[int, _Stop] = {}
        for i, j in pairs:
            stop_i = stops.get(i) or stops.setdefault(i, _Stop(ranked[i]))
            stop_j = stops.get(j) or stops.setdefault(j, _Stop(ranked[j]))
            _decide(ranked[i], ranked[j], stop_i, stop_j)
        blocked: list[Drone] = []
        for drone in ranked:
            if drone.brake:
                if drone.path and drone.speed < 0.3:
                    drone.blocked_ticks += 1
                    drone.day.blocked_s += TICK_S
                    if drone.blocked_ticks % EVADE_AFTER_TICKS == 0:
                        blocked.append(drone)
            elif drone.blocked_ticks:
                drone.blocked_ticks -= 1
        return blocked


def rank(drone: Drone) -> tuple[int, int, str]:
    """Drones that sit somewhere come first, then by role, then by name."""
    return (0 if drone.mode != "flying" else 1, SENIORITY[drone.kind.role], drone.id)


class _Stop:
    """Where full braking brings a drone in this tick: the straight line there, the box around it, and the slack."""

    __slots__ = ("high", "line", "low", "reach_m", "slack_m")

    def __init__(self, drone: Drone) -> None:
        speed = drone.speed
        self.reach_m = reach_m(drone, speed)
        self.line = (drone.position, _stopping_line(drone, speed))
        self.slack_m = _slack_m(drone, speed)
        (x, y, z), (tx, ty, tz) = self.line
        slack = self.slack_m + ROUNDING_M
        self.low = ((x if x < tx else tx) - slack, (y if y < ty else ty) - slack, (z if z < tz else tz) - slack)
        self.high = ((x if x > tx else tx) + slack, (y if y > ty else ty) + slack, (z if z > tz else tz) + slack)


def _boxes_apart(one: _Stop, two: _Stop, least_m: float) -> bool:
    """Whether the boxes alone show that two lines keep the distance, the slack of both included."""
    lx, ly, lz = one.low
    hx, hy, hz = two.high
    if lx - hx >= least_m or ly - hy >= least_m or lz - hz >= least_m:
        return True
    lx, ly, lz = two.low
    hx, hy, hz = one.high
    return lx - hx >= least_m or ly - hy >= least_m or lz - hz >= least_m


def _decide(senior: Drone, junior: Drone, stop_s: _Stop, stop_j: _Stop) -> None:
    least = least_distance_m(senior, junior)
    if _boxes_apart(stop_s, stop_j, least):
        return
    reach = least + 1.0 + stop_s.reach_m + stop_j.reach_m
    dx, dy, dz = senior.x - junior.x, senior.y - junior.y, senior.z - junior.z
    if dx * dx + dy * dy + dz * dz > reach * reach:
        return
    apart = segments_apart_m(*stop_s.line, *stop_j.line)
    slack_s = 0.0 if senior.brake else stop_s.slack_m
    slack_j = 0.0 if junior.brake else stop_j.slack_m
    if apart >= least + slack_s + slack_j:
        return
    if slack_j and not _leaves(junior, senior):
        junior.brake, junior.blocked_by = True, senior
        slack_j = 0.0
    if slack_s and apart < least + slack_s + slack_j and not _leaves(senior, junior):
        senior.brake, senior.blocked_by = True, junior


def _slack_m(drone: Drone, speed: float) -> float:
    """How much further the end of the stopping line can be after one tick of free flight."""
    if not drone.path:
        return 0.0 if speed == 0.0 else 0.01
    gain = drone.accel_mps2 * TICK_S
    return (speed + gain) * TICK_S + (2 * speed * gain + gain * gain) / (2 * drone.accel_mps2) + 0.01


def _leaves(drone: Drone, other: Drone) -> bool:
    """Whether both its speed and its way lead away from the other one: then the distance can only grow.

    Two drones that leave each other may both do so: each adds to the distance on its own.
    """
    if not drone.path:
        return False
    ox, oy, oz = drone.x - other.x, drone.y - other.y, drone.z - other.z
    tx, ty, tz = drone.path[0]
    way = (tx - drone.x, ty - drone.y, tz - drone.z)
    apart = sqrt(ox * ox + oy * oy + oz * oz)
    for dx, dy, dz in (way, (drone.vx, drone.vy, drone.vz)):
        length = sqrt(dx * dx + dy * dy + dz * dz)
        if dx * ox + dy * oy + dz * oz < AWAY * apart * length:
            return False
    return True


def _stopping_line(drone: Drone, speed: float) -> Vec3:
    """Where full braking ends."""
    k = speed / (2 * drone.accel_mps2)
    return (drone.x + drone.vx * k, drone.y + drone.vy * k, drone.z + drone.vz * k)


def segments_apart_m(p1: Vec3, q1: Vec3, p2: Vec3, q2: Vec3) -> float:
    """The distance between two straight lines in space (Ericson, Real-Time Collision Detection, 5.1.9)."""
    d1x, d1y, d1z = q1[0] - p1[0], q1[1] - p1[1], q1[2] - p1[2]
    d2x, d2y, d2z = q2[0] - p2[0], q2[1] - p2[1], q2[2] - p2[2]
    rx, ry, rz = p1[0] - p2[0], p1[1] - p2[1], p1[2] - p2[2]
    a = d1x * d1x + d1y * d1y + d1z * d1z
    e = d2x * d2x + d2y * d2y + d2z * d2z
    f = d2x * rx + d2y * ry + d2z * rz
    c = d1x * rx + d1y * ry + d1z * rz
    s = t = 0.0
    if a > 1e-12 and e > 1e-12:
        b = d1x * d2x + d1y * d2y + d1z * d2z
        denominator = a * e - b * b
        s = min(1.0, max(0.0, (b * f - c * e) / denominator)) if denominator > 1e-12 else 0.0
        t = (b * s + f) / e
        if t < 0.0:
            t, s = 0.0, min(1.0, max(0.0, -c / a))
        elif t > 1.0:
            t, s = 1.0, min(1.0, max(0.0, (b - c) / a))
    elif a > 1e-12:
        s = min(1.0, max(0.0, -c / a))
    elif e > 1e-12:
        t = min(1.0, max(0.0, f / e))
    gx, gy, gz = rx + d1x * s - d2x * t, ry + d1y * s - d2y * t, rz + d1z * s - d2z * t
    return sqrt(gx * gx + gy * gy + gz * gz)
