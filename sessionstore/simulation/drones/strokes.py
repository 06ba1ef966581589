"""The way of the brush: Z (row by row) on wide facades, N (column by column) on tall ones, with 15 % overlap.

Pure functions; (u, v) are metres from the lower left corner of the window. Not here: moving along it
(simulation.mission.roles.climber).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sessionstore.simulation.world.facades import Window

OVERLAP = 0.15  # known
BRUSH_M = 0.50  # chosen
BRUSH_MPS = 0.30  # chosen: a window of 1.4 x 1.5 m takes about 25 s
FLUID_L_PER_M2 = 0.12  # chosen


def stroke_path(width_m: float, height_m: float, wide: bool) -> list[tuple[float, float]]:
    """Way points of the brush's middle; every spot is passed, neighbouring strokes overlap by at least 15
    %.
    """
    across = height_m if wide else width_m
    length = width_m if wide else height_m
    count = max(1, ceil((across - BRUSH_M) / (BRUSH_M * (1 - OVERLAP)) - 1e-9) + 1)
    pitch = (across - BRUSH_M) / (count - 1) if count > 1 else 0.0
    points: list[tuple[float, float]] = []
    half = min(BRUSH_M / 2, length / 2)
    for i in range(count):
        offset = across / 2 if count == 1 else BRUSH_M / 2 + i * pitch
        ends = (half, length - half) if i % 2 == 0 else (length - half, half)
        points.extend((end, offset) if wide else (offset, end) for end in ends)
    if wide:
        points = [(u, height_m - v) for u, v in points]  # from the top down: dirty water runs down
    return points


def facade_order(windows: Sequence[Window], wide: bool) -> list[Window]:
    """The order of the windows of one facade: Z from the top down, N column by column."""
    if wide:
        return sorted(windows, key=lambda w: (-w.row, w.column if w.row % 2 == 0 else -w.column))
    return sorted(windows, key=lambda w: (w.column, -w.row if w.column % 2 == 0 else w.row))
