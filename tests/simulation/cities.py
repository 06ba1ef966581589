"""Small cities for tests: by hand, and as hypothesis strategies that aim at what is narrow, adjacent or
enclosed.
"""

from __future__ import annotations

from math import cos, radians, sin

from hypothesis import strategies as st

from sessionstore.simulation.world.buildings import City, Footprint
from sessionstore.simulation.world.geometry import Ring
from sessionstore.simulation.world.world import World


def box(x: float, y: float, width: float, depth: float, turn_deg: float = 0.0) -> Ring:
    """A rectangle around (x, y), turned."""
    c, s = cos(radians(turn_deg)), sin(radians(turn_deg))
    corners = ((-width / 2, -depth / 2), (width / 2, -depth / 2), (width / 2, depth / 2), (-width / 2, depth / 2))
    return tuple((x + u * c - v * s, y + u * s + v * c) for u, v in corners)


def tower(name: str, ring: Ring, roof_m: float, ground_m: float = 0.0, hidden: bool = False) -> Footprint:
    return Footprint(name, (ring,), ground_m, roof_m, hidden)


def world_of(*footprints: Footprint, ceiling_m: float | None = None, seed: str = "1") -> World:
    return World(City(list(footprints)), ceiling_m, seed)


def courtyard(roof_m: float = 20.0, side_m: float = 40.0, wall_m: float = 6.0) -> Footprint:
    """A block around a yard: its footprint has a hole."""
    inner = side_m - 2 * wall_m
    return Footprint("block", (box(0, 0, side_m, side_m), box(0, 0, inner, inner)), 0.0, roof_m)


heights = st.sampled_from([3.0, 9.6, 19.99, 20.0, 20.01, 35.0])
#: 0 and just around twice the margin: alleys that are walled up, just too narrow, and just wide enough.
gaps = st.sampled_from([0.0, 0.5, 4.7, 4.79, 4.81, 4.9, 8.0])


@st.composite
def cities(draw: st.DrawFn, low: int = 1, high: int = 7) -> list[Footprint]:
    """Rows of buildings whose distances sit at the limits, and turned ones strewn between them."""
    found: list[Footprint] = []
    x = -30.0
    for number in range(draw(st.integers(low, high))):
        width = draw(st.floats(4.0, 25.0))
        depth = draw(st.floats(4.0, 25.0))
        y = draw(st.sampled_from([-18.0, 0.0, 0.0, 14.0]))
        turn = draw(st.sampled_from([0.0, 0.0, 1e-7, 30.0, 45.0, 89.9]))
        found.append(tower(f"b{number}", box(x + width / 2, y, width, depth, turn), draw(heights)))
        x += width + draw(gaps)
    if draw(st.booleans()):
        found.append(courtyard(draw(heights)))
    return found
