"""Units of columns: the words for them, and how many SI units one of each is.

Not here: which column is what (plan), what a cell holds (cells).
"""

from __future__ import annotations

import math
import re

#: Words for each unit, by what is measured: the factor to metres, metres a second, radians, degrees, fractions.
LENGTH = {
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1.0),
    **dict.fromkeys(("km", "kilometer", "kilometers"), 1000.0),
    **dict.fromkeys(("dm",), 0.1),
    **dict.fromkeys(("cm", "centimeters", "centimetres"), 0.01),
    **dict.fromkeys(("mm", "millimeters", "millimetres"), 0.001),
    **dict.fromkeys(("ft", "feet", "foot"), 0.3048),
    **dict.fromkeys(("mi", "mile", "miles"), 1609.344),
    **dict.fromkeys(("nmi", "nm"), 1852.0),
}
SPEED = {
    **dict.fromkeys(("m/s", "mps", "m_s", "ms-1", "m s-1", "m s^-1"), 1.0),
    **dict.fromkeys(("km/h", "kmh", "kph", "km_h"), 1 / 3.6),
    **dict.fromkeys(("cm/s", "cm_s"), 0.01),
    **dict.fromkeys(("mm/s", "mm_s"), 0.001),
    **dict.fromkeys(("ft/s", "fps", "ft_s"), 0.3048),
    **dict.fromkeys(("mph", "mi/h"), 0.44704),
    **dict.fromkeys(("kt", "kts", "kn", "knot", "knots"), 1852 / 3600),
}
ANGLE = {
    **dict.fromkeys(("rad", "radian", "radians"), 1.0),
    **dict.fromkeys(("deg", "degree", "degrees", "°"), math.pi / 180),
    **dict.fromkeys(("cdeg", "centidegrees"), math.pi / 18000),
    **dict.fromkeys(("mrad",), 0.001),
}
GEOGRAPHIC = {
    **dict.fromkeys(("deg", "degree", "degrees", "°"), 1.0),
    **dict.fromkeys(("dege7", "1e7", "e7"), 1e-7),
    **dict.fromkeys(("rad", "radian", "radians"), 180 / math.pi),
}
FRACTION = {**dict.fromkeys(("%", "pct", "percent", "percentage"), 0.01), **dict.fromkeys(("fraction", "ratio"), 1.0)}
#: Ticks in a second.
TIME = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millis", "millisecond", "milliseconds"), 1e3),
    **dict.fromkeys(("us", "usec", "µs", "μs", "micros", "microsecond", "microseconds"), 1e6),
    **dict.fromkeys(("ns", "nsec", "nanos", "nanosecond", "nanoseconds"), 1e9),
    **dict.fromkeys(("min", "minute", "minutes"), 1 / 60),
    **dict.fromkeys(("h", "hour", "hours"), 1 / 3600),
}
KINDS = {
    "length": LENGTH, "speed": SPEED, "angle": ANGLE, "geographic": GEOGRAPHIC, "fraction": FRACTION, "time": TIME,
}  # fmt: skip
ALL = frozenset(unit for words in KINDS.values() for unit in words)
#: Units that a name may end with, behind an underscore; the longest first.
_SUFFIXES = sorted(
    ("m", "km", "cm", "mm", "ft", "feet", "meters", "mps", "m_s", "ms", "us", "ns", "s", "sec", "usec", "msec", "nsec",
     "seconds", "deg", "rad", "degrees", "radians", "dege7", "e7", "pct", "percent", "percentage", "kmh", "kph",
     "mph", "kt", "knots", "millis"),
    key=len, reverse=True,
)  # fmt: skip
_BRACKETS = re.compile(r"\s*[(\[]\s*([^()\[\]]*?)\s*[)\]]\s*$")


def split(name: str) -> tuple[str, str | None]:
    """Return a column's name without its unit, and the unit: ``alt (ft)``, ``alt[ft]``, ``alt_ft``."""
    found = _BRACKETS.search(name)
    if found is not None and (not found[1] or found[1].lower() in ALL):
        return name[: found.start()], found[1].lower() or None
    lower = name.lower()
    for suffix in _SUFFIXES:
        if lower.endswith(f"_{suffix}") and len(lower) > len(suffix) + 1:
            return name[: -len(suffix) - 1], suffix
    return name, None


def factor(kind: str, unit: str | None) -> float | None:
    """Return how many SI units one of a unit is (ticks in a second for times), None for one of another kind."""
    return KINDS[kind].get(unit.lower()) if unit is not None and kind in KINDS else None
