"""Paths around and over buildings: never through one, never nearer than the planner's margin.

A path climbs to a level, goes around what stands higher, and comes down on the goal. Buildings are upright
prisms, so the two vertical parts are free where their ends are. Of all levels the quickest wins. The level
part is a lazy visibility graph: only buildings that are in the way grow corners, and the result is checked
against all others until none is hit. Not here: other drones (separation), following the path (drone).
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from math import atan2, ceil, cos, hypot, pi, sin

from sessionstore.simulation.errors import NoPath
from sessionstore.simulation.world.buildings import Building
from sessionstore.simulation.world.geometry import Vec2, Vec3, inside
from sessionstore.simulation.world.world import World

PLANNER_MARGIN_M = 2.0  # known
TRACKING_M = 0.4  # chosen: how far a drone may cut or overshoot a corner of its path
PATH_MARGIN_M = PLANNER_MARGIN_M + TRACKING_M
CLIMB_COST = 2.0  # a metre up or down takes about as long as two metres level
CORNER_STEP_RAD = pi / 4
MANY_BUILDINGS = 14  # above this a level is given up while there are higher ones


def plan_path(world: World, start_m: Vec3, goal_m: Vec3, min_level_m: float) -> list[Vec3]:
    """Return the way points after the start; the last one is the goal.

    Args:
        min_level_m: level flight happens at or above this altitude; short hops below it are allowed when
        free.

    Raises:
        NoPath: start or goal is too near to a building, or every level up to the ceiling is walled in.
    """
    _refuse_near_goal(world, start_m, goal_m)
    hop = _hop(world, start_m, goal_m)
    if hop:
        return hop
    floor = max(start_m[2], goal_m[2], min(min_level_m, world.ceiling_m))
    a, b = start_m[:2], goal_m[:2]
    margin = _start_margin(world, start_m)
    in_way = world.blockers(a, b, floor, margin)
    tops = sorted({_above(building) for building in in_way})
    best: list[Vec3] | None = None
    best_cost = float("inf")
    others = sorted({_above(building) for building in world.known})
    for level in [*tops[-1:], floor, *others]:  # right over all of it is found at once and bounds the rest
        if level < floor or level > world.ceiling_m or (best is not None and level not in (floor, *tops[-1:])):
            continue
        climb = CLIMB_COST * (2 * level - start_m[2] - goal_m[2])
        limit = best_cost - climb
        if limit <= hypot(b[0] - a[0], b[1] - a[1]):
            continue
        patient = best is None and (not tops or tops[-1] > world.ceiling_m)
        flat = route(world, a, b, level, margin, limit, patient)
        if flat is not None and flat[0] < limit:
            best_cost = flat[0] + climb
            best = [(a[0], a[1], level), *((x, y, level) for x, y in flat[1]), goal_m]
    if best is None:
        raise NoPath(start_m, goal_m, f"walled in up to the ceiling of {world.ceiling_m:.0f} m")
    return _without_repeats(start_m, best)


def _above(building: Building) -> float:
    return building.roof_m + PATH_MARGIN_M + 1e-6


def _refuse_near_goal(world: World, start_m: Vec3, goal_m: Vec3) -> None:
    if goal_m[2] > world.ceiling_m or start_m[2] > world.ceiling_m:
        raise NoPath(start_m, goal_m, f"above the ceiling of {world.ceiling_m:.0f} m")
    if goal_m[2] < world.ground_m(goal_m[0], goal_m[1]):
        raise NoPath(start_m, goal_m, "the goal is under the ground")
    clearance = world.clearance_m(goal_m, limit_m=PATH_MARGIN_M)
    if clearance < PATH_MARGIN_M:
        raise NoPath(start_m, goal_m, f"the goal is {clearance:.1f} m from a building, {PATH_MARGIN_M} m are needed")
    clearance = world.clearance_m(start_m, limit_m=PLANNER_MARGIN_M)
    if clearance < PLANNER_MARGIN_M:
        raise NoPath(start_m, goal_m, f"the start is {clearance:.1f} m from a building")


def _start_margin(world: World, start_m: Vec3) -> float:
    """The full margin, or the start's own clearance where tracking has eaten into it."""
    return min(PATH_MARGIN_M, world.clearance_m(start_m, limit_m=PATH_MARGIN_M) - 1e-9)


def _hop(world: World, start_m: Vec3, goal_m: Vec3) -> list[Vec3]:
    """The straight way for short distances, as between two windows of one facade; [] when it is not free."""
    if hypot(*(goal_m[i] - start_m[i] for i in range(3))) > 15.0:
        return []
    low = min(start_m[2], goal_m[2])
    if world.blockers(start_m[:2], goal_m[:2], low, _start_margin(world, start_m)):
        return []
    return [goal_m]


def _without_repeats(start_m: Vec3, points: Sequence[Vec3]) -> list[Vec3]:
    """Drop points equal to the one before; the last point is kept exactly."""
    out: list[Vec3] = []
    last = start_m
    for point in points:
        if hypot(*(point[i] - last[i] for i in range(3))) > 1e-6:
            out.append(point)
            last = point
    return [*out[:-1], points[-1]]


def route(
    world: World, a: Vec2, b: Vec2, level_m: float, margin_m: float, limit_m: float, patient: bool
) -> tuple[float, list[Vec2]] | None:
    """The shortest level way (length, points after a), or None: walled in, or longer than the limit."""
    in_way = world.blockers(a, b, level_m, margin_m)
    if not in_way:
        return hypot(b[0] - a[0], b[1] - a[1]), [b]
    while patient or len(in_way) <= MANY_BUILDINGS:
        found = _shortest(a, b, in_way, level_m, margin_m, limit_m)
        if found is None:
            return None
        known = {id(building) for building in in_way}
        new: dict[int, Building] = {}
        here = a
        for point in found[1]:
            for building in world.blockers(here, point, level_m, margin_m):
                new.setdefault(id(building), building)
            here = point
        if not new:
            return found
        if known >= set(new):
            return None  # only the start's own narrow margin is in the way
        in_way = in_way + [building for key, building in new.items() if key not in known]
    return None


def _shortest(
    a: Vec2, b: Vec2, among: list[Building], level_m: float, margin_m: float, limit_m: float
) -> tuple[float, list[Vec2]] | None:
    """A* over the corners of the given buildings; sight is checked when a corner is reached, not before."""
    nodes = [a, b, *_corners(among, level_m)]
    cost: dict[int, float] = {0: 0.0}
    came: dict[int, int] = {}
    done: set[int] = set()
    heap = [(hypot(b[0] - a[0], b[1] - a[1]), 0)]
    while heap:
        _, i = heappop(heap)
        if i == 1:
            return cost[1], _trace(nodes, came)
        if i in done:
            continue
        done.add(i)
        x, y = nodes[i]
        for j, (px, py) in enumerate(nodes):
            if j in done or j == i:
                continue
            reached = cost[i] + hypot(px - x, py - y)
            guess = reached + hypot(b[0] - px, b[1] - py)
            if reached >= cost.get(j, float("inf")) or guess >= limit_m:
                continue
            if any(o.nearer_than(x, y, px, py, margin_m) for o in among):
                continue
            cost[j] = reached
            came[j] = i
            heappush(heap, (guess, j))
    return None


def _trace(nodes: list[Vec2], came: dict[int, int]) -> list[Vec2]:
    points: list[Vec2] = []
    i = 1
    while i != 0:
        points.append(nodes[i])
        i = came[i]
    return points[::-1]


def _corners(among: list[Building], level_m: float) -> list[Vec2]:
    """Points around the convex corners, on polygons drawn around circles of the margin."""
    corners: list[Vec2] = []
    for building in among:
        for ring in building.rings:
            for i in range(len(ring)):
                corners.extend(_around(ring[i - 1], ring[i], ring[(i + 1) % len(ring)], building))
    return [p for p in corners if not any(o.nearer_than(*p, *p, PATH_MARGIN_M) for o in among)]


def _around(before: Vec2, corner: Vec2, after: Vec2, building: Building) -> list[Vec2]:
    """The points at one corner that lie outside, from the normal of one wall to that of the other."""
    directions = []
    for p, q in ((before, corner), (corner, after)):
        nx, ny = q[1] - p[1], p[0] - q[0]
        mid = ((p[0] + q[0]) / 2, (p[1] + q[1]) / 2)
        length = hypot(nx, ny)
        if inside(mid[0] + nx / length * 0.01, mid[1] + ny / length * 0.01, building.edges):
            nx, ny = -nx, -ny
        directions.append(atan2(ny, nx))
    turn = (directions[1] - directions[0] + pi) % (2 * pi) - pi
    steps = max(1, ceil(abs(turn) / CORNER_STEP_RAD))
    radius = (PATH_MARGIN_M + 0.02) / cos(abs(turn) / steps / 2)
    return [
        (corner[0] + radius * cos(directions[0] + turn * k / steps),
         corner[1] + radius * sin(directions[0] + turn * k / steps))
        for k in range(steps + 1)
    ]  # fmt: skip
