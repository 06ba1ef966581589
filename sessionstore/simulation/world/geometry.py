"""Plane geometry of footprints: distances, insides, outlines of faces.

Pure functions over tuples of floats in metres; the same input gives the same bits on every run.
A footprint is a tuple of rings and its inside is even-odd, so that courtyards and split buildings need no
special case. Not here: heights and margins (world), the search for a way around (simulation.drones.navigation).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import hypot

Vec2 = tuple[float, float]
Vec3 = tuple[float, float, float]
Ring = tuple[Vec2, ...]
Edge = tuple[float, float, float, float]


def point_to_edge_m(px: float, py: float, edge: Edge) -> float:
    """The distance from a point to a straight edge."""
    ax, ay, bx, by = edge
    dx, dy = bx - ax, by - ay
    length2 = dx * dx + dy * dy
    if length2 == 0.0:
        return hypot(px - ax, py - ay)
    t = ((px - ax) * dx + (py - ay) * dy) / length2
    t = 0.0 if t < 0.0 else 1.0 if t > 1.0 else t
    return hypot(px - ax - t * dx, py - ay - t * dy)


def edges_cross(one: Edge, two: Edge) -> bool:
    """Whether two straight edges properly cross; touching ends are left to the distances."""
    ax, ay, bx, by = one
    cx, cy, dx, dy = two
    d1 = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    d2 = (bx - ax) * (dy - ay) - (by - ay) * (dx - ax)
    d3 = (dx - cx) * (ay - cy) - (dy - cy) * (ax - cx)
    d4 = (dx - cx) * (by - cy) - (dy - cy) * (bx - cx)
    return d1 * d2 < 0.0 and d3 * d4 < 0.0


def edge_to_edge_m(one: Edge, two: Edge) -> float:
    """The distance between two straight edges; 0 when they cross."""
    if edges_cross(one, two):
        return 0.0
    return min(
        point_to_edge_m(one[0], one[1], two),
        point_to_edge_m(one[2], one[3], two),
        point_to_edge_m(two[0], two[1], one),
        point_to_edge_m(two[2], two[3], one),
    )


def inside(x: float, y: float, edges: Iterable[Edge]) -> bool:
    """Even-odd rule over all edges of a footprint."""
    odd = False
    for ax, ay, bx, by in edges:
        if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
            odd = not odd
    return odd


def signed_area_m2(ring: Sequence[Vec2]) -> float:
    """Positive when the ring runs counter-clockwise."""
    total = 0.0
    for (ax, ay), (bx, by) in zip(ring, (*ring[1:], ring[0]), strict=True):
        total += ax * by - bx * ay
    return total / 2


def ring_edges(rings: Iterable[Sequence[Vec2]]) -> tuple[Edge, ...]:
    """All edges of all rings, without those of no length."""
    found: list[Edge] = []
    for ring in rings:
        for (ax, ay), (bx, by) in zip(ring, (*ring[1:], ring[0]), strict=True):
            if ax != bx or ay != by:
                found.append((ax, ay, bx, by))
    return tuple(found)


def merge_collinear(ring: Sequence[Vec2], tolerance_m: float = 0.02) -> Ring:
    """The same ring without repeated points and without points on a straight line: one wall is one edge."""
    points = [p for i, p in enumerate(ring) if p != ring[i - 1]] if len(ring) > 1 else list(ring)
    changed = True
    while changed and len(points) > 3:
        changed = False
        for i in range(len(points)):
            (ax, ay), (px, py), (bx, by) = points[i - 1], points[i], points[(i + 1) % len(points)]
            if point_to_edge_m(px, py, (ax, ay, bx, by)) <= tolerance_m:
                del points[i]
                changed = True
                break
    return tuple(points)


def convex_hull(points: Iterable[Vec2]) -> Ring:
    """The counter-clockwise hull (Andrew's monotone chain)."""
    ordered = sorted(set(points))
    if len(ordered) < 3:
        return tuple(ordered)

    def half(chain: Iterable[Vec2]) -> list[Vec2]:
        out: list[Vec2] = []
        for p in chain:
            while len(out) > 1 and _turn(out[-2], out[-1], p) <= 0:
                out.pop()
            out.append(p)
        return out

    return tuple(half(ordered)[:-1] + half(reversed(ordered))[:-1])


def _turn(a: Vec2, b: Vec2, c: Vec2) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def outline(faces: Iterable[Sequence[Vec2]]) -> tuple[Ring, ...]:
    """The rings around a set of faces that share edges; () when the edges do not close.

    Edges that two faces walk in opposite directions cancel; what is left over is chained to rings.
    Coordinates are compared in whole millimetres, which is the resolution of CityJSON files.
    """
    border: dict[tuple[Vec2, Vec2], int] = {}
    for face in faces:
        ring = [(round(x, 3), round(y, 3)) for x, y in face]
        if signed_area_m2(ring) < 0:
            ring.reverse()
        for a, b in zip(ring, ring[1:] + ring[:1], strict=True):
            if a == b:
                continue
            if border.get((b, a), 0) > 0:
                border[b, a] -= 1
            else:
                border[a, b] = border.get((a, b), 0) + 1
    following: dict[Vec2, list[Vec2]] = {}
    for (a, b), count in border.items():
        following.setdefault(a, []).extend([b] * count)
    return _chain(following)


def _chain(following: dict[Vec2, list[Vec2]]) -> tuple[Ring, ...]:
    rings: list[Ring] = []
    for start in list(following):
        while following[start]:
            ring = [start]
            here = following[start].pop()
            while here != start:
                ring.append(here)
                if not following.get(here):
                    return ()
                here = following[here].pop()
            if len(ring) > 2 and abs(signed_area_m2(ring)) > 0.05:
                rings.append(tuple(ring))
    return tuple(rings)
