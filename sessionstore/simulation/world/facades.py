"""Facades and their windows: a grid per wall, a dirt score per window, and where a drone stands to reach
them.

A wall gets windows only where it is open to the air; a window can be served only if a drone that keeps the
planner's margin can hover in front of it. Chosen, not known: the window's size and pitch, and the first dirt.
Not here: who cleans what (simulation.drones.navigation), how a window is wiped (simulation.drones.strokes).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import hypot
from random import Random
from typing import Protocol

from sessionstore.simulation.world.buildings import Building
from sessionstore.simulation.world.geometry import Edge, Vec2, Vec3, inside, ring_edges

WINDOW_WIDTH_M = 1.4  # chosen: a common European casement
WINDOW_HEIGHT_M = 1.5  # chosen
WINDOW_PITCH_M = 2.6  # chosen
FLOOR_HEIGHT_M = 3.2  # chosen: domain.md's example has 30 floors on 120 m
SILL_M = 0.9  # chosen
STANDOFF_M = 2.6  # the planner's margin, its tracking allowance and 0.2 m more
VIEW_DISTANCES_M = (6.0, 4.0, STANDOFF_M)  # chosen: as far as it is free, for a wider view
VIEW_RANGE_M = 12.0  # chosen: a camera resolves dirt to there; the LiDAR's 100 m is for shapes
VIEW_SPACING_M = 8.0
MAX_CITY_WINDOWS = 20_000  # chosen: a fleet of 100 cleans a tenth of that in a day; further buildings get no windows
CLEAN_BELOW = 0.15  # chosen: a window counts as clean below this dirt score


class Surroundings(Protocol):
    """What a wall has around it, as a world answers it."""

    @property
    def base_m(self) -> Vec3: ...
    @property
    def buildings(self) -> Sequence[Building]: ...
    def near(self, x: float, y: float) -> Sequence[Building]: ...
    def free(self, point: Vec3, margin_m: float) -> bool: ...


@dataclass(eq=False)
class Window:
    """One window; dirt 1 is opaque, 0 is spotless. What the fleet believes is kept apart from what is
    true.
    """

    id: str
    facade: Facade
    row: int
    column: int
    center_m: Vec3
    dirt: float
    reachable: bool
    found: bool = False
    dirt_estimate: float | None = None
    cleanings: int = 0
    claimed: bool = False
    given_up: bool = False
    cleaned_at_s: float | None = None

    @property
    def standoff_m(self) -> Vec3:
        """Where a drone hovers in front of it."""
        return self.facade.off_wall(self.center_m, STANDOFF_M)


@dataclass(eq=False)
class Facade:
    """One straight wall seen from outside: `along` runs left to right, `normal` points into the air."""

    id: str
    building: Building
    start_m: Vec2
    along: Vec2
    normal: Vec2
    width_m: float
    windows: list[Window] = field(default_factory=list)
    viewpoints: list[Vec3] = field(default_factory=list)
    claimed_by: str | None = None
    mapped: bool = False

    @property
    def height_m(self) -> float:
        return self.building.height_m

    @property
    def is_wide(self) -> bool:
        """Wide facades are cleaned row by row (Z), tall ones column by column (N)."""
        return self.width_m >= self.height_m

    @property
    def serviceable(self) -> list[Window]:
        """The windows that a drone can reach."""
        return [w for w in self.windows if w.reachable]

    def off_wall(self, point: Vec3, distance_m: float) -> Vec3:
        """Return the point in front of the wall at a distance."""
        return (point[0] + self.normal[0] * distance_m, point[1] + self.normal[1] * distance_m, point[2])

    def sees(self, viewpoint: Vec3, window: Window) -> bool:
        """Whether a camera at the viewpoint reads this window: near enough, and not too slanted (60
        degrees).
        """
        dx, dy, dz = (viewpoint[i] - window.center_m[i] for i in range(3))
        distance = hypot(dx, dy, dz)
        return distance <= VIEW_RANGE_M and dx * self.normal[0] + dy * self.normal[1] >= 0.5 * distance


def window_estimate(rings: Iterable[Sequence[Vec2]], height_m: float) -> int:
    """The number of windows that the walls of a footprint have room for."""
    rows = max(1, int(height_m // FLOOR_HEIGHT_M))
    edges = ring_edges(rings)
    return rows * sum(int(hypot(bx - ax, by - ay) // WINDOW_PITCH_M) for ax, ay, bx, by in edges)


def worked_on(world: Surroundings) -> set[int]:
    """The buildings that get windows, by their ``id()``: the nearest to the base, until the budget is spent."""
    left = MAX_CITY_WINDOWS
    chosen: set[int] = set()
    base_x, base_y = world.base_m[:2]
    for building in sorted(world.buildings, key=lambda b: hypot(b.center[0] - base_x, b.center[1] - base_y)):
        left -= window_estimate(building.rings, building.height_m)
        if left < 0 and chosen:
            break
        chosen.add(id(building))
    return chosen


def build_facades(world: Surroundings, dirt_seed: str) -> list[Facade]:
    """All facades that have at least one window, in the order of the buildings' walls."""
    dirt = Random(f"{dirt_seed}/dirt")
    facades = []
    near = worked_on(world)
    for building in world.buildings:
        if building.hidden or id(building) not in near:
            continue
        for number, edge in enumerate(building.edges):
            facade = _facade_on(building, number, edge)
            if facade is not None:
                _add_windows(world, facade, dirt)
            if facade is not None and facade.windows:
                _add_viewpoints(world, facade)
                facades.append(facade)
    return facades


def _facade_on(building: Building, number: int, edge: Edge) -> Facade | None:
    ax, ay, bx, by = edge
    width = hypot(bx - ax, by - ay)
    if width < WINDOW_PITCH_M or building.height_m < SILL_M + WINDOW_HEIGHT_M:
        return None
    along = ((bx - ax) / width, (by - ay) / width)
    normal = (along[1], -along[0])
    mid_x, mid_y = (ax + bx) / 2, (ay + by) / 2
    if inside(mid_x + normal[0] * 0.05, mid_y + normal[1] * 0.05, building.edges):
        ax, ay, along, normal = bx, by, (-along[0], -along[1]), (-normal[0], -normal[1])
    return Facade(f"{building.name}/{number}", building, (ax, ay), along, normal, width)


def _add_windows(world: Surroundings, facade: Facade, dirt: Random) -> None:
    building = facade.building
    columns = int(facade.width_m // WINDOW_PITCH_M)
    rows = max(1, int(building.height_m // FLOOR_HEIGHT_M))
    left = (facade.width_m - (columns - 1) * WINDOW_PITCH_M) / 2
    for row in range(rows):
        z = building.floor_m + row * FLOOR_HEIGHT_M + SILL_M + WINDOW_HEIGHT_M / 2
        for column in range(columns):
            u = left + column * WINDOW_PITCH_M
            x, y = facade.start_m[0] + facade.along[0] * u, facade.start_m[1] + facade.along[1] * u
            score = round(dirt.betavariate(4, 2), 4)  # chosen: most windows are dirty, few are clean
            air = (x + facade.normal[0] * 0.4, y + facade.normal[1] * 0.4)
            if _walled_up(world, building, (*air, z)):
                continue  # a party wall has no windows
            name = f"{facade.id}/r{row}c{column}"
            window = Window(name, facade, row, column, (x, y, z), score, reachable=True)
            window.reachable = z > 0.5 + building.floor_m and world.free(window.standoff_m, STANDOFF_M - 0.1)
            facade.windows.append(window)


def _walled_up(world: Surroundings, own: Building, air: Vec3) -> bool:
    """Whether the air right in front of a window is another building."""
    near = world.near(air[0], air[1])
    return any((b is own or b.roof_m > air[2]) and inside(air[0], air[1], b.edges) for b in near)


def _add_viewpoints(world: Surroundings, facade: Facade) -> None:
    """As few hover points as see every window that can be served; windows that none sees cannot be served."""
    left = [w for w in facade.windows if w.reachable]  # row by row upwards
    while left:
        target = left[len(left) // 2] if len(left) < 4 else left[3]
        near = bisect_right(left, target.center_m[2] + 2 * VIEW_RANGE_M, key=lambda w: w.center_m[2])
        best: tuple[int, Vec3, list[Window]] | None = None
        for distance in VIEW_DISTANCES_M:
            point = facade.off_wall(target.center_m, distance)
            if distance != STANDOFF_M and not world.free(point, STANDOFF_M):
                continue
            west, east = point[0] - VIEW_RANGE_M, point[0] + VIEW_RANGE_M
            south, north = point[1] - VIEW_RANGE_M, point[1] + VIEW_RANGE_M
            unseen = [  # the quick test first: most windows of a long facade are far away
                w
                for w in left[:near]
                if not (west <= w.center_m[0] <= east and south <= w.center_m[1] <= north and facade.sees(point, w))
            ]
            seen = near - len(unseen)
            if best is None or seen > best[0]:
                best = (seen, point, unseen)
        if best is None or best[0] == 0:  # the target's own standoff always sees it
            target.reachable = False
            left.remove(target)
            continue
        facade.viewpoints.append(best[1])
        left[:near] = best[2]
