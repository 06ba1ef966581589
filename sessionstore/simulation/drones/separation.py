"""Who gives way: two hulls never come nearer than 0.5 m.

Every tick each moving drone has a stopping line: from where it is to where full braking would end, widened by
what one more tick may add. When the lines of two drones come too near, the junior one brakes; when even that
is not enough, both do. A braking drone only shortens its line, so what is apart stays apart. Braked for a
second, the junior looks for a way out. Not here: buildings (navigation).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt

from sessionstore.simulation.drones.drone import TICK_S, Drone
from sessionstore.simulation.drones.kinds import CLIMBER, LIFELINE, MULE, OVERSEER, SCOUT, SEPARATION_M, UTILITY
from sessionstore.simulation.world.geometry import Vec3

SENIORITY = {CLIMBER: 0, LIFELINE: 1, MULE: 2, OVERSEER: 3, SCOUT: 4, UTILITY: 5}
CELL_M = 40.0
EVADE_AFTER_TICKS = 20
NEAR_M = SEPARATION_M + 1.0 + 1e-6  # beyond the hulls and what both may fly: the last for how floats round
AWAY = 0.1  # the cosine to the straight way out from which on a drone leaves; 0 would be along the edge


def least_distance_m(one: Drone, two: Drone) -> float:
    """Between the centres of two drones."""
    return one.kind.radius_m + two.kind.radius_m + SEPARATION_M


def separate(drones: Sequence[Drone]) -> list[Drone]:
    """Set the brakes for the coming tick; return those who have been blocked long enough to look for a way
    out.
    """
    ranked = sorted((d for d in drones if d.mode != "retired" and d.mode != "lost"), key=rank)
    for drone in ranked:
        drone.brake = False
    blocked: list[Drone] = []
    for senior, junior in _pairs(ranked):
        _decide(senior, junior)
    for drone in ranked:
        if drone.brake and drone.path and drone.speed < 0.3:
            drone.blocked_ticks += 1
            drone.day.blocked_s += TICK_S
            if drone.blocked_ticks % EVADE_AFTER_TICKS == 0:
                blocked.append(drone)
        elif not drone.brake:
            drone.blocked_ticks = max(0, drone.blocked_ticks - 1)
    return blocked


def rank(drone: Drone) -> tuple[int, int, str]:
    """Drones that sit somewhere come first, then by role, then by name."""
    return (0 if drone.mode != "flying" else 1, SENIORITY[drone.kind.role], drone.id)


def _pairs(ranked: Sequence[Drone]) -> list[tuple[Drone, Drone]]:
    """Pairs of which at least one moves and that may be within reach, in a fixed order."""
    moving = [bool(d.path) or d.vx != 0.0 or d.vy != 0.0 or d.vz != 0.0 for d in ranked]
    spots = [(d.x, d.y, d.z, d.kind.radius_m + _reach_m(d, d.speed)) for d in ranked]
    found: list[tuple[int, int]] = []
    for here, there in _neighbours(ranked):
        for i in here:
            x, y, z, reach = spots[i]
            moves, reach = moving[i], reach + NEAR_M
            for j in there:
                if (moves or moving[j]) and (i < j or there is not here):
                    ox, oy, oz, other = spots[j]
                    if (x - ox) ** 2 + (y - oy) ** 2 + (z - oz) ** 2 <= (reach + other) ** 2:
                        found.append((i, j) if i < j else (j, i))
    return [(ranked[i], ranked[j]) for i, j in sorted(set(found))]


def _neighbours(ranked: Sequence[Drone]) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
    """Yield the numbers of drones whose cells touch, or are one; a few drones are all in one cell."""
    if len(ranked) <= 12:
        all_of_them = range(len(ranked))
        yield all_of_them, all_of_them
        return
    cells: dict[tuple[int, int], list[int]] = {}
    for i, drone in enumerate(ranked):
        cells.setdefault((int(drone.x // CELL_M), int(drone.y // CELL_M)), []).append(i)
    for (cx, cy), here in cells.items():
        yield here, here
        for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1)):
            if there := cells.get((cx + dx, cy + dy)):
                yield here, there


def _reach_m(drone: Drone, speed: float) -> float:
    """How far it may get before it stands: one tick at most, then full braking."""
    return speed * (TICK_S * 2 + speed / (2 * drone.accel_mps2))


def _decide(senior: Drone, junior: Drone) -> None:
    least = least_distance_m(senior, junior)
    speed_s, speed_j = senior.speed, junior.speed
    reach = least + 1.0 + _reach_m(senior, speed_s) + _reach_m(junior, speed_j)
    dx, dy, dz = senior.x - junior.x, senior.y - junior.y, senior.z - junior.z
    if dx * dx + dy * dy + dz * dz > reach * reach:
        return
    line_s, line_j = _stopping_line(senior, speed_s), _stopping_line(junior, speed_j)
    apart = segments_apart_m(senior.position, line_s, junior.position, line_j)
    slack_s = 0.0 if senior.brake else _slack_m(senior, speed_s)
    slack_j = 0.0 if junior.brake else _slack_m(junior, speed_j)
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
