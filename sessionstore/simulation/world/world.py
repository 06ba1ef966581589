"""The world: buildings, their facades and windows, the base, and the one question "how close is that?".

Local frame: metres, east-north-up, the base at (0, 0, 0). A building is an upright prism: a footprint, a
ground height and a roof height, so a free place stays free upwards; the planner relies on that.
Hidden buildings are known to the physics only, until a drone senses them.
Not here: reading files (cityjson, geojson, simulation.world.city), paths (simulation.drones.navigation).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil, hypot

from sessionstore.simulation.world.facades import Facade, Window, build_facades
from sessionstore.simulation.world.geometry import (
    Ring,
    Vec2,
    Vec3,
    edge_to_edge_m,
    inside,
    merge_collinear,
    point_to_edge_m,
    ring_edges,
)


@dataclass(frozen=True)
class Footprint:
    """What a city file says about one building, in local metres."""

    name: str
    rings: tuple[Ring, ...]
    ground_m: float
    roof_m: float
    hidden: bool = False
    bottom_m: float | None = None  # where its walls begin, for a part that does not reach the ground

    @property
    def floor_m(self) -> float:
        return self.ground_m if self.bottom_m is None else self.bottom_m


class Building:
    """An upright prism. Distances are exact; the bounding circle only skips work."""

    def __init__(self, footprint: Footprint) -> None:
        self.name = footprint.name
        self.rings = tuple(merge_collinear(ring) for ring in footprint.rings)
        self.edges = ring_edges(self.rings)
        self.ground_m, self.floor_m, self.roof_m = footprint.ground_m, footprint.floor_m, footprint.roof_m
        self.hidden = footprint.hidden
        self.known = not footprint.hidden
        xs = [p[0] for ring in self.rings for p in ring]
        ys = [p[1] for ring in self.rings for p in ring]
        self.box = (min(xs), min(ys), max(xs), max(ys))
        self.center = ((self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2)
        self.radius_m = hypot(self.box[2] - self.box[0], self.box[3] - self.box[1]) / 2

    @property
    def height_m(self) -> float:
        return self.roof_m - self.floor_m

    def distance_m(self, x: float, y: float) -> float:
        """Horizontal distance from the footprint; 0 inside."""
        if inside(x, y, self.edges):
            return 0.0
        return min(point_to_edge_m(x, y, edge) for edge in self.edges)

    def nearer_than(self, ax: float, ay: float, bx: float, by: float, margin_m: float) -> bool:
        """Whether the straight way from a to b comes nearer to the footprint than the margin."""
        dx, dy = bx - ax, by - ay
        length = hypot(dx, dy)
        cx, cy = self.center[0] - ax, self.center[1] - ay
        reach = self.radius_m + margin_m
        if length < 1e-9:
            if hypot(cx, cy) > reach:
                return False
            return self.distance_m(ax, ay) < margin_m
        ux, uy = dx / length, dy / length
        along = cx * ux + cy * uy
        if abs(cx * uy - cy * ux) > reach or along < -reach or along > length + reach:
            return False
        way = (ax, ay, bx, by)
        for edge in self.edges:
            side1 = (edge[0] - ax) * uy - (edge[1] - ay) * ux
            side2 = (edge[2] - ax) * uy - (edge[3] - ay) * ux
            if (side1 > margin_m and side2 > margin_m) or (side1 < -margin_m and side2 < -margin_m):
                continue
            if edge_to_edge_m(way, edge) < margin_m:
                return True
        return inside(ax, ay, self.edges)

    def as_record(self) -> dict[str, object]:
        """The scene row: what a replay needs to draw it."""
        x0, y0, x1, y1 = self.box
        return {
            "kind": "building",
            "name": self.name,
            "position": [round(self.center[0], 3), round(self.center[1], 3), round(self.floor_m, 3)],
            "size": [round(x1 - x0, 3), round(y1 - y0, 3), round(self.height_m, 3)],
            "footprint": [[[round(x, 3), round(y, 3)] for x, y in ring] for ring in self.rings],
            "ground_m": round(self.floor_m, 3),
            "roof_m": round(self.roof_m, 3),
            "visible": not self.hidden,
        }


@dataclass(frozen=True)
class Gps:
    """A place on the globe, WGS 84."""

    lat_deg: float
    lon_deg: float
    alt_m: float

    def as_record(self) -> dict[str, float]:
        return {"lat": round(self.lat_deg, 7), "lon": round(self.lon_deg, 7), "alt": round(self.alt_m, 2)}


@dataclass(frozen=True)
class Origin:
    """Local (0, 0, 0) in the coordinates of the city file."""

    easting_m: float = 0.0
    northing_m: float = 0.0
    height_m: float = 0.0
    crs: str = "local"
    gps: Gps | None = None


@dataclass
class City:
    """What a reader of city files returns: footprints in a local frame, and what it passed over."""

    footprints: list[Footprint]
    origin: Origin = field(default_factory=Origin)
    ignored: dict[str, int] = field(default_factory=dict)
    replaced: dict[str, int] = field(default_factory=dict)
    source: str = ""
    sha256: str = ""


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
