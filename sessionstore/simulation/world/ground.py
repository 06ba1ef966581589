"""The ground of a city: roads, water, land, plants and terrain of a file, as the rows of a scene near the base.

Guarantees at most :data:`MAX_CORNERS` corners (of the surfaces nearest to the base; what is left out is counted) and
:data:`MAX_NODES` heights of terrain, since every record of a session carries them. Surfaces of one object become its
outline, simplified by :data:`SIMPLER_M`; holes are joined to the outline, so that each face is one ring.
Drawn only: flights keep to the buildings. Not here: reading faces (cityjson), buildings (city_faces).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from math import ceil, floor, hypot
from typing import Any, NamedTuple

from sessionstore.simulation.world.city_faces import Face, normal_z
from sessionstore.simulation.world.geometry import (
    Ring,
    Vec2,
    Vec3,
    inside,
    outline,
    point_to_edge_m,
    ring_edges,
    signed_area_m2,
)

#: The uses of ground by the types of CityJSON.
USES = {
    "Road": "road", "Railway": "rail", "TransportSquare": "road", "TransportationComplex": "road", "Bridge": "road",
    "WaterBody": "water", "Waterway": "water", "LandUse": "land", "PlantCover": "plants", "TINRelief": "terrain",
}  # fmt: skip
MAX_CORNERS = 5_000  # chosen: 90 kB of each session.json
MISFITS = 12  # objects larger than what is left; then the rest is not tried
MAX_NODES = 64  # of a side of the terrain: 20 kB
MAX_OBJECTS = 100_000  # of a file: the memory that reading takes
TERRAIN_REACH_M = 320.0
SIMPLER_M = 0.25
CROWN_M = 8.0  # chosen: that wide are cells that have the ground somewhere
STEEPEST = 1.0  # metres up for a metre aside: what is steeper in plant cover is a crown, not the ground


class Surfaces(NamedTuple):
    """The faces of one object in the frame of the file."""

    kind: str  # type of CityJSON
    faces: Sequence[Face]


def scaled(surfaces: Surfaces, scale: float) -> Surfaces:
    """The same with its east and north multiplied."""
    faces = [
        Face(tuple(tuple((x * scale, y * scale, z) for x, y, z in ring) for ring in face.rings), face.kind)
        for face in surfaces.faces
    ]
    return Surfaces(surfaces.kind, faces)


def ground_rows(objects: Iterable[Surfaces], east: float, north: float, up: float) -> tuple[list[Any], dict[str, int]]:
    """Return the rows of a scene and the number of objects of each type that are beyond the limit.

    Args:
        east, north, up: of the base, in the frame of the file.
    """
    terrain: list[Face] = []
    rest: list[tuple[float, int, Surfaces]] = []
    for number, each in enumerate(objects):
        if USES[each.kind] == "terrain":
            terrain += _moved(each, east, north, up).faces
        else:
            rest.append((_distance(each, east, north), number, each))
    faces: dict[str, list[tuple[Vec3, ...]]] = {}
    beyond: dict[str, int] = {}
    left, misfits = MAX_CORNERS, 0
    for _, _, each in sorted(rest, key=lambda found: found[:2]):
        rings = _drawn(_moved(each, east, north, up)) if misfits < MISFITS else []
        corners = sum(map(len, rings))
        if misfits == MISFITS or corners > left:
            misfits = min(MISFITS, misfits + 1)
            beyond[each.kind] = beyond.get(each.kind, 0) + 1
        else:
            left -= corners
            faces.setdefault(USES[each.kind], []).extend(rings)
    rows: list[Any] = [_row(use, rings) for use, rings in sorted(faces.items()) if rings]
    heights = _heights(terrain)
    return ([heights] if heights else []) + rows, beyond


def _row(use: str, rings: Sequence[Sequence[Vec3]]) -> dict[str, Any]:
    flat = [[round(value, 1) for corner in ring for value in corner] for ring in rings]
    return {"kind": "ground", "name": f"ground-{use}", "use": use, "faces": flat}


def _moved(surfaces: Surfaces, east: float, north: float, up: float) -> Surfaces:
    """In the local frame; only what looks up or down, not the sides of a body."""
    faces = [
        Face(tuple(tuple((x - east, y - north, z - up) for x, y, z in ring) for ring in face.rings), face.kind)
        for face in surfaces.faces
        if abs(normal_z(face.rings[0])) > 0.05
    ]
    return Surfaces(surfaces.kind, faces)


def _distance(surfaces: Surfaces, east: float, north: float) -> float:
    return min(hypot(x - east, y - north) for face in surfaces.faces for x, y, _ in face.rings[0])


def _drawn(surfaces: Surfaces) -> list[tuple[Vec3, ...]]:
    """The outline of an object as rings without holes; its faces where they have no outline."""
    heights: dict[Vec2, float] = {}
    for x, y, z in (corner for face in surfaces.faces for ring in face.rings for corner in ring):
        place = round(x, 3), round(y, 3)
        heights[place] = min(z, heights.get(place, z))
    flat = [[(x, y) for x, y, _ in face.rings[0]] for face in surfaces.faces]
    holes = [tuple((x, y) for x, y, _ in hole) for face in surfaces.faces for hole in face.rings[1:]]
    rings = [*outline(flat), *holes]
    if not rings or len(rings) == len(holes):
        rings = [tuple(ring) for ring in flat]
    lowered = _plants_down(heights) if surfaces.kind == "PlantCover" else heights.__getitem__
    whole = without_holes([simpler(ring) for ring in rings if len(ring) > 2])
    return [tuple((x, y, lowered((round(x, 3), round(y, 3)))) for x, y in ring) for ring in whole]


def _plants_down(heights: Mapping[Vec2, float]) -> Callable[[Vec2], float]:
    """Return the height of a corner; crowns that a scan from the air took for plant cover come down to the ground."""
    lowest: dict[Vec2, tuple[float, Vec2]] = {}
    for place, z in heights.items():
        cell = place[0] // CROWN_M, place[1] // CROWN_M
        lowest[cell] = min((z, place), lowest.get(cell, (z, place)))

    def lowered(corner: Vec2) -> float:
        x, y = corner
        slopes = (low + STEEPEST * hypot(x - px, y - py) for low, (px, py) in lowest.values())
        return min(heights[corner], *slopes)

    return lowered


def simpler(ring: Ring) -> Ring:
    """The ring without corners that are nearer than :data:`SIMPLER_M` to the line of their neighbours.

    Ramer (1972), Douglas and Peucker (1973), from the two corners that are farthest apart from the first.
    """
    far = max(range(len(ring)), key=lambda i: hypot(ring[i][0] - ring[0][0], ring[i][1] - ring[0][1]))
    kept = {0, far}
    waiting = [(0, far), (far, len(ring))]
    while waiting:
        first, last = waiting.pop()
        edge = (*ring[first], *ring[last % len(ring)])
        middle = [(point_to_edge_m(*ring[i], edge), i) for i in range(first + 1, last)]
        if middle and (worst := max(middle))[0] > SIMPLER_M:
            kept.add(worst[1])
            waiting += [(first, worst[1]), (worst[1], last)]
    return tuple(ring[i] for i in sorted(kept)) if len(kept) > 2 else ring


def without_holes(rings: Sequence[Ring]) -> list[Ring]:
    """Rings in which each hole is joined to the ring around it by a bridge that is walked both ways."""
    edges = [ring_edges([ring]) for ring in rings]
    around = [
        [n for n, other in enumerate(edges) if n != number and inside(*_within(ring), other)]
        for number, ring in enumerate(rings)
    ]
    joined = {n: _turned(ring, 1) for n, ring in enumerate(rings) if len(around[n]) % 2 == 0}
    holes = [n for n in range(len(rings)) if len(around[n]) % 2]
    for number in sorted(holes, key=lambda n: -max(rings[n])[0]):  # from the east: a bridge crosses no later hole
        outer = [n for n in around[number] if n in joined]
        if outer:
            nearest = max(outer, key=lambda n: len(around[n]))
            joined[nearest] = _bridged(joined[nearest], _turned(rings[number], -1))
    return list(joined.values())


def _within(ring: Ring) -> Vec2:
    """A point next to the first edge, inside of a ring: a corner may be shared with the ring around it."""
    (ax, ay), (bx, by) = next((a, b) for a, b in pairwise((*ring, ring[0])) if a != b)
    length, way = hypot(bx - ax, by - ay), 1.0 if signed_area_m2(ring) > 0 else -1.0
    return (ax + bx) / 2 - way * (by - ay) / length * 1e-3, (ay + by) / 2 + way * (bx - ax) / length * 1e-3


def _turned(ring: Ring, way: int) -> Ring:
    return ring if signed_area_m2(ring) * way > 0 else tuple(reversed(ring))


def _bridged(outer: Ring, hole: Ring) -> Ring:
    """One ring of both: from the easternmost corner of the hole to a corner of the outer ring that it sees.

    Eberly, "Triangulation by ear clipping" (2002), section 3.
    """
    start = max(range(len(hole)), key=lambda i: hole[i])
    x, y = hole[start]
    hits: list[tuple[float, int]] = []
    for i, ((ax, ay), (bx, by)) in enumerate(pairwise((*outer, outer[0]))):
        if (ay > y) != (by > y) and (at := ax + (y - ay) / (by - ay) * (bx - ax)) >= x:
            hits.append((at, i if ax > bx else (i + 1) % len(outer)))
    if not hits:
        return outer
    hit_x, seen = min(hits)
    tip = outer[seen]
    triangle = ring_edges([((x, y), (hit_x, y), tip)])
    hidden = [i for i, corner in enumerate(outer) if corner != tip and inside(*corner, triangle)]
    if hidden:  # corners between: the one at the least angle to the east
        seen = min(hidden, key=lambda i: (abs(outer[i][1] - y) / max(1e-9, outer[i][0] - x), outer[i][0] - x))
    return (*outer[: seen + 1], *hole[start:], *hole[: start + 1], *outer[seen:])


def _heights(faces: Sequence[Face]) -> dict[str, Any] | None:
    """The terrain around the base as heights on a grid: rows from the south, null where no surface is."""
    reach = TERRAIN_REACH_M
    near = [
        f.rings[0] for f in faces if all(_overlaps([corner[axis] for corner in f.rings[0]], reach) for axis in (0, 1))
    ]
    if not near:
        return None
    xs, ys = ([min(reach, max(-reach, corner[axis])) for ring in near for corner in ring] for axis in (0, 1))
    west, south = min(xs), min(ys)
    step = max(1.0, ceil(10 * max(max(xs) - west, max(ys) - south) / (MAX_NODES - 1)) / 10)
    columns, rows = int((max(xs) - west) / step) + 1, int((max(ys) - south) / step) + 1
    grid: list[list[float | None]] = [[None] * columns for _ in range(rows)]
    for ring in near:
        for corners in ((ring[0], b, c) for b, c in pairwise(ring[1:])):
            for column, row, z in _nodes(corners, west, south, step, columns, rows):
                grid[row][column] = round(z, 1)
    origin = [round(west, 1), round(south, 1)]
    return {"kind": "ground", "name": "terrain", "use": "terrain", "origin": origin, "step_m": step, "heights": grid}


def _overlaps(values: Sequence[float], reach: float) -> bool:
    return min(values) < reach and max(values) > -reach


def _nodes(
    corners: tuple[Vec3, Vec3, Vec3], west: float, south: float, step: float, columns: int, rows: int
) -> Iterable[tuple[int, int, float]]:
    """The nodes of a grid that a triangle covers, with its height there."""
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = corners
    twice = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
    if abs(twice) < 1e-9:
        return
    first, last = floor((min(ax, bx, cx) - west) / step), ceil((max(ax, bx, cx) - west) / step)
    low, high = floor((min(ay, by, cy) - south) / step), ceil((max(ay, by, cy) - south) / step)
    for column in range(max(0, first), min(columns - 1, last) + 1):
        for row in range(max(0, low), min(rows - 1, high) + 1):
            x, y = west + column * step, south + row * step
            u = ((x - ax) * (cy - ay) - (cx - ax) * (y - ay)) / twice
            v = ((bx - ax) * (y - ay) - (x - ax) * (by - ay)) / twice
            if u >= -1e-6 and v >= -1e-6 and u + v <= 1 + 1e-6:
                yield column, row, az + u * (bz - az) + v * (cz - az)
