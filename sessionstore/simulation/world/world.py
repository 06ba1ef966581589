"""The world: buildings, their facades and windows, the base, and the one question "how close is that?".

Local frame: metres, east-north-up, the base at (0, 0, 0). A building is an upright prism: a footprint, a
ground height and a roof height, so a free place stays free upwards; the planner relies on that.
Not here: one building (world.buildings), reading files (cityjson, geojson, simulation.world.city), paths
(simulation.drones.navigation).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, hypot

from sessionstore.simulation.world.buildings import Building, City
from sessionstore.simulation.world.facades import Facade, Window, build_facades
from sessionstore.simulation.world.geometry import Vec2, Vec3

CELL_M = 24.0
FAR_BELOW_M = -1e6  # asks for the horizontal distance, since no roof is below


class World:
    """All buildings with a grid to find the near ones; facades and windows ready to be worked on."""

    def __init__(
        self,
        city: City,
        ceiling_m: float | None = None,
        dirt_seed: str = "0",
        base_m: Vec3 = (0.0, 0.0, 0.0),
        with_facades: bool = True,
    ) -> None:
        self.city = city
        self.base_m = base_m
        self.buildings = [Building(f) for f in city.footprints]
        self.known = [b for b in self.buildings if b.known]
        self._grid: dict[tuple[int, int], list[Building]] = {}
        for building in self.known:
            self._enter(building)
        highest = max((b.roof_m for b in self.buildings), default=0.0)
        # chosen: 20 m above the highest roof and at least 60 m, so that every roof can be overflown
        self.ceiling_m = max(60.0, highest + 20.0, base_m[2] + 40.0) if ceiling_m is None else ceiling_m
        self.facades: list[Facade] = build_facades(self, dirt_seed) if with_facades else []
        self.windows: list[Window] = [w for f in self.facades for w in f.windows]
        self.windows_by_id = {w.id: w for w in self.windows}

    def _enter(self, building: Building, reach_m: float = 12.0) -> None:
        x0, y0, x1, y1 = building.box
        for i in range(int((x0 - reach_m) // CELL_M), int((x1 + reach_m) // CELL_M) + 1):
            for j in range(int((y0 - reach_m) // CELL_M), int((y1 + reach_m) // CELL_M) + 1):
                self._grid.setdefault((i, j), []).append(building)

    def reveal(self, building: Building) -> None:
        """A hidden building was sensed: from now on the planner knows it."""
        building.known = True
        self.known.append(building)
        self._enter(building)

    def near(self, x: float, y: float) -> Sequence[Building]:
        """The known buildings that can lie within 12 m of a point, and a few more."""
        return self._grid.get((int(x // CELL_M), int(y // CELL_M)), ())

    def clearance_m(self, point: Vec3, among: Iterable[Building] | None = None, limit_m: float = 12.0) -> float:
        """The distance in space from a point to the nearest known building, at most the limit."""
        x, y, z = point
        best = limit_m
        for b in self.near(x, y) if among is None else among:
            above = z - b.roof_m
            if above >= best or hypot(x - b.center[0], y - b.center[1]) - b.radius_m >= best:
                continue
            best = min(best, hypot(b.distance_m(x, y), max(0.0, above)))
        return best

    def free(self, point: Vec3, margin_m: float) -> bool:
        """Whether a point keeps the margin from every known building."""
        return self.clearance_m(point, limit_m=margin_m) >= margin_m

    def blockers(
        self, a: Vec2, b: Vec2, altitude_m: float, margin_m: float, among: Iterable[Building] | None = None
    ) -> list[Building]:
        """The known buildings that a level flight from a to b would come too near to."""
        found = []
        for building in self._along(a, b) if among is None else among:
            if building.roof_m + margin_m > altitude_m and building.nearer_than(*a, *b, margin_m):
                found.append(building)
        return found

    def _along(self, a: Vec2, b: Vec2) -> Iterable[Building]:
        """The known buildings near a straight way; all of them when that is less work."""
        steps = ceil(hypot(b[0] - a[0], b[1] - a[1]) / 8.0)
        if steps == 0:
            return self.near(*a)
        if steps > 40 or len(self.known) < 12:
            return self.known
        seen: dict[int, Building] = {}
        for i in range(steps + 1):
            t = i / steps
            for building in self.near(a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t):
                seen[id(building)] = building
        return seen.values()

    def from_base_m(self, point: Vec3) -> float:
        """Horizontal distance from the base."""
        return hypot(point[0] - self.base_m[0], point[1] - self.base_m[1])

    def ground_m(self, x: float, y: float) -> float:
        """The terrain height: that of the nearest known building, 0 where none is near."""
        close = min(self.near(x, y), key=lambda b: hypot(x - b.center[0], y - b.center[1]), default=None)
        return close.ground_m if close else 0.0

    def highest_ground_m(self, a: Vec2, b: Vec2) -> float:
        """The highest terrain along a straight way, as far as the buildings show it."""
        heights = [building.ground_m for building in self._along(a, b)]
        return max(self.base_m[2], *heights) if heights else self.base_m[2]

    def free_level(self, x: float, y: float, level_m: float, margin_m: float) -> float:
        """The lowest free altitude at or above a level."""
        tops = [b.roof_m + margin_m + 0.1 for b in self.near(x, y)]
        levels = sorted([level_m, *(top for top in tops if top > level_m)])
        return next(level for level in levels if self.free((x, y, level), margin_m))

    def berths(self, count: int, pitch_m: float, altitude_m: float) -> list[Vec3]:
        """The given number of places for berths around the base on a square lattice, fewer when there is no
        room.

        Far from walls first, so that a drone at work on a wall does not meet a parked one; within 60 m of the base
        first.
        """
        east, north, up = self.base_m
        found: dict[Vec3, None] = {}
        for reach_m, clear_m in ((60.0, 10.0), (60.0, 7.0), (250.0, 10.0), (250.0, 2.6)):
            side = int(reach_m // pitch_m)
            cells = [(i, j) for i in range(-side, side + 1) for j in range(-side, side + 1)]
            for i, j in sorted(cells, key=lambda c: (c[0] ** 2 + c[1] ** 2, c)):
                if len(found) >= count:
                    break
                x, y = east + i * pitch_m, north + j * pitch_m
                if self.clearance_m((x, y, FAR_BELOW_M), limit_m=clear_m) >= clear_m:
                    found.setdefault((x, y, up + altitude_m))
        return list(found)[:count]
