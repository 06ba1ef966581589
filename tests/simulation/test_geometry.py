"""Distances and outlines in the plane."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from sessionstore.simulation.world.geometry import (
    convex_hull,
    edge_to_edge_m,
    inside,
    merge_collinear,
    outline,
    point_to_edge_m,
    ring_edges,
    signed_area_m2,
)
from tests.simulation.cities import box

coordinate = st.floats(-50, 50)
edge = st.tuples(coordinate, coordinate, coordinate, coordinate)


def test_distance_to_an_edge_is_to_its_nearest_point_and_not_to_its_line() -> None:
    assert point_to_edge_m(0, 3, (-1, 0, 1, 0)) == 3
    assert point_to_edge_m(4, 4, (-1, 0, 1, 0)) == 5
    assert point_to_edge_m(3, 4, (0, 0, 0, 0)) == 5


@given(edge, edge)
def test_distance_of_edges_is_never_above_that_of_any_of_their_points(one: tuple, two: tuple) -> None:  # type: ignore[type-arg]
    distance = edge_to_edge_m(one, two)
    for i in range(5):
        t = i / 4
        x, y = one[0] + (one[2] - one[0]) * t, one[1] + (one[3] - one[1]) * t
        assert distance <= point_to_edge_m(x, y, two) + 1e-6
    assert distance == approx(edge_to_edge_m(two, one))


def test_a_hole_is_outside() -> None:
    edges = ring_edges([box(0, 0, 10, 10), box(0, 0, 4, 4)])
    assert inside(4, 0, edges)
    assert not inside(0, 0, edges)
    assert not inside(6, 0, edges)


def test_outline_of_triangles_is_their_common_border_whatever_their_orientation() -> None:
    one, two = [(0.0, 0.0), (4.0, 0.0), (4.0, 4.0)], [(0.0, 0.0), (0.0, 4.0), (4.0, 4.0)]
    rings = outline([one, two])
    assert len(rings) == 1
    assert abs(signed_area_m2(rings[0])) == approx(16)
    assert set(rings[0]) == {(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)}


def test_outline_of_a_ring_of_faces_has_the_yard_as_a_second_ring() -> None:
    squares = [box(x, y, 2, 2) for x in (-2, 0, 2) for y in (-2, 0, 2) if (x, y) != (0, 0)]
    rings = outline(squares)
    areas = sorted(abs(signed_area_m2(ring)) for ring in rings)
    assert areas == [approx(4), approx(36)]


def test_points_on_a_straight_wall_are_merged() -> None:
    ring = ((0.0, 0.0), (2.0, 0.0), (4.0, 0.0), (4.0, 3.0), (0.0, 3.0), (0.0, 3.0))
    assert merge_collinear(ring) == ((0.0, 0.0), (4.0, 0.0), (4.0, 3.0), (0.0, 3.0))


@given(st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=20))
def test_hull_holds_every_point(points: list[tuple[float, float]]) -> None:
    hull = convex_hull(points)
    if len(hull) > 2 and signed_area_m2(hull) > 1e-3:
        for i, (ax, ay) in enumerate(hull):
            bx, by = hull[(i + 1) % len(hull)]
            assert all((bx - ax) * (y - ay) - (by - ay) * (x - ax) >= -1e-6 for x, y in points)
