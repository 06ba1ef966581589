"""From the faces of a city model to a footprint: outline, ground and roof.

The outline covers every face, overhangs included, and a yard that a roof covers is not a hole of it; where no group of
faces has such an outline, it is the convex hull, which is larger than the building and never smaller.
Not here: reading faces from a file (cityjson).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sessionstore.simulation.world.geometry import (
    Edge,
    Ring,
    Vec2,
    Vec3,
    convex_hull,
    inside,
    outline,
    point_to_edge_m,
    ring_edges,
    signed_area_m2,
)

COVER_M = 0.3  # chosen: so far may a face stand out of the outline; below the planner's tracking allowance
FLAT_M = 0.5
THIN_M = 0.02  # slivers hold no point that would count
MANY_CORNERS = 3_000  # above: the hull, since the check of the cover costs corners x edges


@dataclass(frozen=True)
class Face:
    """One surface: its outer ring, its holes, and what the file calls it."""

    rings: tuple[tuple[Vec3, ...], ...]
    kind: str


def footprint_of(faces: Sequence[Face]) -> tuple[tuple[Ring, ...], float, float] | None:
    """The outline on the ground with ground and roof height; None when the faces enclose no area.

    Tried in this order: faces called GroundSurface, faces that look up (the roof seen from above), all level faces;
    the first outline that covers every face counts, else the convex hull.
    """
    corners = [p for face in faces for ring in face.rings for p in ring]
    if not corners:
        return None
    heights = [p[2] for p in corners]
    ground, roof = min(heights), max(heights)
    called = [f for f in faces if f.kind == "GroundSurface"]
    upward = [f for f in faces if normal_z(f.rings[0]) > 0.05]
    level = [f for f in faces if abs(normal_z(f.rings[0])) > 0.05]
    spots = {(round(x, 2), round(y, 2)) for x, y, _ in corners}
    if len(spots) <= MANY_CORNERS:
        covered = [_Covered(face) for face in level]
        for group in (called, upward, level):
            rings = outline(_flat(face.rings[0]) for face in group)
            holes = tuple(tuple(_flat(hole)) for face in group for hole in face.rings[1:])
            for found in (_without_covered_holes(rings + holes, covered), _outer(rings)) if rings else ():
                if _covers(found, spots, covered):
                    return found, ground, roof
    hull = convex_hull((x, y) for x, y, _ in corners)
    if len(hull) < 3 or abs(signed_area_m2(hull)) < 0.05:
        return None
    return (hull,), ground, roof


def drawn_faces(faces: Sequence[Face]) -> tuple[tuple[Vec3, ...], ...]:
    """The outer rings of walls and roofs, for drawing; none where the prism of the footprint looks the same.

    A body of two heights with level roofs is a prism. What is on the ground is not drawn, and holes are closed.
    """
    rings = [face.rings[0] for face in faces if face.rings]
    heights = {round(corner[2], 1) for ring in rings for corner in ring}
    if len(heights) < 3:
        return ()
    lowest = min(heights)
    return tuple(ring for ring in rings if max(corner[2] for corner in ring) > lowest + FLAT_M)


def is_flat(faces: Sequence[Face]) -> bool:
    """Whether faces are an outline only: level, and without any wall."""
    heights = [p[2] for face in faces for ring in face.rings for p in ring]
    if not heights or max(heights) - min(heights) >= FLAT_M:
        return False
    looks = [normal_z(face.rings[0]) for face in faces]
    return all(abs(n) > 0.05 for n in looks) and not (max(looks) > 0.05 and min(looks) < -0.05)


class _Covered:
    """A face seen from above: its edges, its box, and a few points inside of it."""

    def __init__(self, face: Face) -> None:
        rings = [_flat(ring) for ring in face.rings]
        self.edges = ring_edges(rings)
        xs, ys = [p[0] for p in rings[0]], [p[1] for p in rings[0]]
        self.box = min(xs), min(ys), max(xs), max(ys)
        self.points = points_inside(self.edges)

    def covers(self, x: float, y: float) -> bool:
        west, south, east, north = self.box
        return west <= x <= east and south <= y <= north and inside(x, y, self.edges)


def points_inside(edges: Sequence[Edge], most_lines: int = 4) -> list[Vec2]:
    """Points inside of a shape: the middles of what level lines between its corners have of it."""
    levels = sorted({y for edge in edges for y in (edge[1], edge[3])})
    gaps = sorted(((b - a, (a + b) / 2) for a, b in pairwise(levels) if b - a > THIN_M), reverse=True)[:most_lines]
    found: list[Vec2] = []
    for _, y in gaps:
        xs = sorted((bx - ax) * (y - ay) / (by - ay) + ax for ax, ay, bx, by in edges if (ay > y) != (by > y))
        found += [
            ((left + right) / 2, y) for left, right in zip(xs[::2], xs[1::2], strict=False) if right - left > THIN_M
        ]
    return found


def _without_covered_holes(rings: Sequence[Ring], faces: Sequence[_Covered]) -> tuple[Ring, ...]:
    """The rings without those inside of another that a face covers: a roof over a yard closes it."""
    edges = [ring_edges([ring]) for ring in rings]
    kept = []
    for number, ring in enumerate(rings):
        points = points_inside(edges[number])
        around = sum(inside(*points[0], other) for n, other in enumerate(edges) if n != number) if points else 0
        if not (around % 2 and any(face.covers(x, y) for x, y in points for face in faces)):
            kept.append(ring)
    return tuple(kept)


def _outer(rings: Sequence[Ring]) -> tuple[Ring, ...]:
    """The rings that are inside of no other."""
    edges = [ring_edges([ring]) for ring in rings]
    kept = []
    for number, ring in enumerate(rings):
        points = points_inside(edges[number])[:1]
        if points and not any(inside(*points[0], other) for n, other in enumerate(edges) if n != number):
            kept.append(ring)
    return tuple(kept)


def _covers(rings: Sequence[Ring], spots: set[Vec2], faces: Sequence[_Covered]) -> bool:
    """Whether the outline holds all corners, and also what faces span between them."""
    known = {(round(x, 2), round(y, 2)) for ring in rings for x, y in ring}
    edges = ring_edges(rings)
    return all(_holds(edges, x, y) for x, y in spots - known) and all(
        _holds(edges, x, y) for face in faces for x, y in face.points
    )


def _holds(edges: Sequence[Edge], x: float, y: float) -> bool:
    return inside(x, y, edges) or any(point_to_edge_m(x, y, edge) <= COVER_M for edge in edges)


def _flat(ring: Sequence[Vec3]) -> list[Vec2]:
    return [(x, y) for x, y, _ in ring]


def normal_z(ring: Sequence[Vec3]) -> float:
    """The upward part of the unit normal (Newell's method)."""
    nx = ny = nz = 0.0
    for (ax, ay, az), (bx, by, bz) in zip(ring, (*ring[1:], ring[0]), strict=True):
        nx += (ay - by) * (az + bz)
        ny += (az - bz) * (ax + bx)
        nz += (ax - bx) * (ay + by)
    length = (nx * nx + ny * ny + nz * nz) ** 0.5
    return nz / length if length else 0.0
