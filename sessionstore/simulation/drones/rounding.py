"""Rounding many numbers at once: what `round` returns, to the bit, in half the time.

`round` writes a number as text and reads it back. Here it is scaled and rounded to a whole number by adding what leaves
no room for a fraction (1.5 * 2**52), which is exact but next to a half: there, at 0 and far out `round` is asked.
"""

from __future__ import annotations

from collections.abc import Iterable

_NO_FRACTION = 6755399441055744.0  # 1.5 * 2**52
_SURE = 0.499  # scaling is off by less than 0.001 up to 10**12
_FAR_SQUARED = 1e24


def rounded(values: Iterable[float], digits: int) -> list[float]:
    """Return `round(value, digits)` of each value."""
    scale = 10.0**digits
    return [
        whole / scale
        if 0.0 < (whole := (large := value * scale) + _NO_FRACTION - _NO_FRACTION) * whole < _FAR_SQUARED
        and -_SURE < large - whole < _SURE
        else round(value, digits)
        for value in values
    ]
