"""From the faces of a city model to a footprint: outline, ground and roof.

The outline covers every face, overhangs included; where no group of faces does, it is the convex hull, which is
larger than the building and never smaller. Not here: reading faces from a file (cityjson).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sessionstore.simulation.world.geometry import (
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
    for group in (called, upward, level) if len(spots) <= MANY_CORNERS else ():
        rings = outline(_flat(face.rings[0]) for face in group)
        if rings and _covers(rings, spots):
            holes = tuple(tuple(_flat(hole)) for face in group for hole in face.rings[1:])
            return rings + holes, ground, roof
    hull = convex_hull((x, y) for x, y, _ in corners)
    if len(hull) < 3 or abs(signed_area_m2(hull)) < 0.05:
        return None
    return (hull,), ground, roof


def is_flat(faces: Sequence[Face]) -> bool:
    """Whether faces are an outline only: level, and without any wall."""
    heights = [p[2] for face in faces for ring in face.rings for p in ring]
    if not heights or max(heights) - min(heights) >= FLAT_M:
        return False
    looks = [normal_z(face.rings[0]) for face in faces]
    return all(abs(n) > 0.05 for n in looks) and not (max(looks) > 0.05 and min(looks) < -0.05)


def _covers(rings: Sequence[Ring], spots: set[Vec2]) -> bool:
    known = {(round(x, 2), round(y, 2)) for ring in rings for x, y in ring}
    edges = ring_edges(rings)
    return all(
        inside(x, y, edges) or any(point_to_edge_m(x, y, edge) <= COVER_M for edge in edges) for x, y in spots - known
    )


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
