"""Lines that are computed from recorded ones: rate of change, moving mean, difference of two sessions.

A line is a list of (sim_time in seconds, value) in the order of time. All of it is computed from every recorded value,
before anything is thinned for a picture.
Not here: where the values come from (server.routes.field_series), thinning (playback.charts).
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections import deque
from typing import Any

Line = list[tuple[float, float]]


def norm(value: Any) -> float | None:
    """Return the Euclidean length of a list of numbers; None for anything else."""
    if not isinstance(value, list) or not value:
        return None
    if any(isinstance(each, bool) or not isinstance(each, int | float) for each in value):
        return None
    return math.hypot(*value)


def rate(line: Line) -> Line:
    """Return the change for each second between neighbours, at the later one; equal moments have none."""
    found: Line = []
    for (t0_s, before), (t1_s, value) in itertools.pairwise(line):
        if t1_s > t0_s:
            found.append((t1_s, (value - before) / (t1_s - t0_s)))
    return found


def moving_mean(line: Line, window_s: float) -> Line:
    """Return at each moment the mean of the values of the seconds up to it, its own included."""
    found: Line = []
    held: deque[tuple[float, float]] = deque()
    for t_s, value in line:
        held.append((t_s, value))
        while held[0][0] <= t_s - window_s:
            held.popleft()
        found.append((t_s, math.fsum(each for _, each in held) / len(held)))
    return found


def difference(line: Line, other: Line) -> Line:
    """Return line minus other at the moments of the first one; the other is linear between its points.

    Moments before the first or after the last point of the other have no difference.
    """
    times = [t_s for t_s, _ in other]
    found: Line = []
    for t_s, value in line:
        right = bisect_left(times, t_s)
        if right == len(times) or (right == 0 and times[0] > t_s):
            continue
        (t1_s, after) = other[right]
        t0_s, before = other[right - 1] if right and t1_s > t_s else (t1_s, after)
        share = (t_s - t0_s) / (t1_s - t0_s) if t1_s > t0_s else 0.0
        found.append((t_s, value - (before + (after - before) * share)))
    return found
