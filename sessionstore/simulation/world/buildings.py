"""Buildings: what a city file says about one, and the upright prism that a flight must not come near to.

Hidden buildings are known to the physics only, until a drone senses them. Not here: all of them together (world.world),
their walls and windows (world.facades), reading files (world.cityjson, world.geojson).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import hypot
from typing import Any

from sessionstore.simulation.world.geometry import (
    Ring,
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
    faces: tuple[tuple[Vec3, ...], ...] = ()  # walls and roofs of the file, to be drawn; flights keep to the prism

    @property
    def floor_m(self) -> float:
        """Where the walls begin."""
        return self.ground_m if self.bottom_m is None else self.bottom_m


class Building:
    """An upright prism. Distances are exact; the bounding circle only skips work."""

    def __init__(self, footprint: Footprint) -> None:
        self.name = footprint.name
        self.rings = tuple(merge_collinear(ring) for ring in footprint.rings)
        self.edges = ring_edges(self.rings)
        self.ground_m, self.floor_m, self.roof_m = footprint.ground_m, footprint.floor_m, footprint.roof_m
        self.hidden, self.faces = footprint.hidden, footprint.faces
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
        row: dict[str, object] = {
            "kind": "building",
            "name": self.name,
            "position": [round(self.center[0], 3), round(self.center[1], 3), round(self.floor_m, 3)],
            "size": [round(x1 - x0, 3), round(y1 - y0, 3), round(self.height_m, 3)],
            "footprint": [[[round(x, 3), round(y, 3)] for x, y in ring] for ring in self.rings],
            "ground_m": round(self.floor_m, 3),
            "roof_m": round(self.roof_m, 3),
            "visible": not self.hidden,
        }
        if self.faces:
            row["faces"] = [[round(each, 2) for corner in face for each in corner] for face in self.faces]
        return row


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
    """What a reader of city files returns: footprints in a local frame, the ground, and what it passed over."""

    footprints: list[Footprint]
    origin: Origin = field(default_factory=Origin)
    ignored: dict[str, int] = field(default_factory=dict)
    replaced: dict[str, int] = field(default_factory=dict)
    source: str = ""
    sha256: str = ""
    ground: list[dict[str, Any]] = field(default_factory=list)  # rows of the scene, to be drawn
