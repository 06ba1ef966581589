"""Mean and 95 % interval of a few numbers: Student's t distribution, two-sided.

The quantiles up to 30 degrees of freedom are those of NIST/SEMATECH (e-Handbook, 1.3.6.7.2); above, the expansion of
Abramowitz and Stegun 26.7.5. Not here: which numbers (results).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

_T_975 = (
    12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010, 2.1788, 2.1604, 2.1448,
    2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484,
    2.0452, 2.0423,
)  # fmt: skip
_Z_975 = 1.959963984540054


class Summary(msgspec.Struct):
    """Mean of n numbers, and half the width of its 95 % interval; None for a single number."""

    mean: float
    half_width: float | None
    n: int
    minimum: float
    maximum: float


def summary(values: Sequence[float]) -> Summary:
    """Return the summary of at least one finite number."""
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1:
        return Summary(mean, None, 1, mean, mean)
    variance = math.fsum((each - mean) ** 2 for each in values) / (n - 1)
    half = t_975(n - 1) * math.sqrt(variance / n)
    return Summary(mean, half, n, min(values), max(values))


def t_975(degrees: int) -> float:
    """Return the 97.5 % quantile of Student's t distribution."""
    if degrees <= len(_T_975):
        return _T_975[degrees - 1]
    z, v = _Z_975, degrees
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    return z + (z**3 + z) / (4 * v) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2) + third
