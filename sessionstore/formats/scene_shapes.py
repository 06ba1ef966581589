"""The buildings of a session as shapes that other programs draw: prisms of triangles, from the ground to the roof.

Left out: holes of a footprint in roofs (their walls are drawn), facades, windows.
Not here: what a scene holds (the table ``scene`` of a session), drawing (the formats).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from sessionstore.session.frames import Vector3

Point = tuple[float, float]
Triangle = tuple[int, int, int]
_LEAST_HEIGHT_M = 0.1


@dataclass(frozen=True, slots=True)
class Prism:
    """A building: its name, the rings of its footprint (metres east, north), ground and roof (metres)."""

    name: str
    rings: tuple[tuple[Point, ...], ...]
    ground_m: float
    roof_m: float

    def mesh(self) -> tuple[list[Vector3], list[Triangle]]:
        """Return corners and triangles: the walls of all rings, and the roof of the first one."""
        corners: list[Vector3] = []
        triangles: list[Triangle] = []
        for ring in self.rings:
            first, count = len(corners), len(ring)
            corners += [(x, y, self.ground_m) for x, y in ring] + [(x, y, self.roof_m) for x, y in ring]
            for index in range(count):
                low, low_next = first + index, first + (index + 1) % count
                triangles += [(low, low_next, low_next + count), (low, low_next + count, low + count)]
        roof = len(self.rings[0])
        triangles += [(a + roof, b + roof, c + roof) for a, b, c in triangulated(self.rings[0])]
        return corners, triangles


def is_vector(value: Any) -> TypeGuard[list[float]]:
    """Whether a value is a list of three finite numbers."""
    if type(value) is not list or len(value) != 3:
        return False
    x, y, z = value
    if type(x) is type(y) is type(z) is float and math.isfinite(x + y + z):
        return True
    return all(map(_is_number, value))


def prisms(rows: Iterable[Mapping[str, Any]]) -> list[Prism]:
    """Return the buildings of a scene; rows that have no shape are left out."""
    found = []
    for number, row in enumerate(rows):
        if row.get("kind") != "building":
            continue
        position, size = row.get("position"), row.get("size") or row.get("dimensions")
        ground = row.get("ground_m", position[2] if is_vector(position) else 0.0)
        roof = row.get("roof_m", ground + size[2] if is_vector(size) and _is_number(ground) else None)
        rings = _rings(row.get("footprint")) or _box(position, size)
        if rings and _is_number(ground) and _is_number(roof):
            name = str(row.get("name") or row.get("id") or f"building {number}")
            found.append(Prism(name, rings, float(ground), max(float(roof), ground + _LEAST_HEIGHT_M)))
    return found


def _rings(value: Any) -> tuple[tuple[Point, ...], ...]:
    if not isinstance(value, list):
        return ()
    rings = []
    for ring in value:
        points = [
            (float(p[0]), float(p[1])) for p in ring if isinstance(p, list) and len(p) >= 2 and all(map(_is_number, p))
        ]
        if len(points) > 1 and points[0] == points[-1]:
            points.pop()
        if len(points) >= 3:
            rings.append(tuple(points))
    return tuple(rings)


def _box(position: Any, size: Any) -> tuple[tuple[Point, ...], ...]:
    if not is_vector(position) or not is_vector(size):
        return ()
    x, y, dx, dy = position[0], position[1], size[0] / 2, size[1] / 2
    return (((x - dx, y - dy), (x + dx, y - dy), (x + dx, y + dy), (x - dx, y + dy)),)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def triangulated(ring: tuple[Point, ...]) -> list[Triangle]:
    """Return triangles that cover a simple polygon, by cutting off ears; of one that crosses itself, some cover.

    Source: https://www.geometrictools.com/Documentation/TriangulationByEarClipping.pdf
    """
    left = list(range(len(ring)))
    if sum(_cross((0.0, 0.0), a, b) for a, b in zip(ring, (*ring[1:], ring[0]), strict=True)) < 0:
        left.reverse()
    triangles = []
    while len(left) > 3:
        ear = next((index for index in range(len(left)) if _is_ear(ring, left, index)), 0)
        triangles.append((left[ear - 1], left[ear], left[(ear + 1) % len(left)]))
        del left[ear]
    return [*triangles, (left[0], left[1], left[2])]


def _is_ear(ring: tuple[Point, ...], left: list[int], index: int) -> bool:
    a, b, c = (ring[left[place % len(left)]] for place in (index - 1, index, index + 1))
    if _cross(a, b, c) <= 0:
        return False
    others = (ring[each] for each in left if ring[each] not in (a, b, c))
    return not any(_cross(a, b, p) >= 0 and _cross(b, c, p) >= 0 and _cross(c, a, p) >= 0 for p in others)


def _cross(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
