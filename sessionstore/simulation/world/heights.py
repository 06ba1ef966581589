"""Heights as publishers write them: metres, feet, words, decimal commas, several levels.

``length_m`` reads one value; ``plausible_height_m`` refuses what no building has. A value that is not readable is
None, never 0. Not here: which attribute of which format holds the height (cityjson, geojson).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import isfinite

FOOT_M = 0.3048
STOREY_M = 3.0  # chosen: where a file gives levels only
DEFAULT_HEIGHT_M = 9.0  # chosen: three storeys, where a file gives no height that can be read
MAX_HEIGHT_M = 1000.0  # the tallest building has 828 m
LOWEST_GROUND_M, HIGHEST_GROUND_M = -500.0, 9000.0
NODATA = (-9999.0, -32768.0, -99999.0)

_UNITS = {"": 1.0, "m": 1.0, "meter": 1.0, "meters": 1.0, "metre": 1.0, "metres": 1.0, "mtr": 1.0, "ft": FOOT_M,
          "foot": FOOT_M, "feet": FOOT_M, "'": FOOT_M, "’": FOOT_M, "′": FOOT_M, "cm": 0.01, "mm": 0.001,
          "km": 1000.0, "in": FOOT_M / 12, '"': FOOT_M / 12, "″": FOOT_M / 12}  # fmt: skip
_NUMBER = r"[-+]?[0-9]*[.,]?[0-9]+(?:e[-+]?[0-9]+)?"
_ONE = re.compile(rf"[~<>≈]?\s*({_NUMBER})\s*([a-z]*|['’′\"″])\.?", re.IGNORECASE)
_FEET_INCHES = re.compile(r"([0-9]+)\s*(?:['’′]|ft)\s*([0-9]+(?:\.[0-9]+)?)\s*(?:[\"″]|''|in)?", re.IGNORECASE)
_MAX_TEXT = 60


def is_nodata(value: float) -> bool:
    """Whether a number is a mark for "no data" instead of a height."""
    return not isfinite(value) or abs(value) >= 1e6 or value in NODATA


def length_m(value: object, unit_m: float = 1.0) -> float | None:
    """A length in metres; of several values ("3;4") the largest; None where it cannot be read.

    Args:
        unit_m: metres of one unit, where the value names none.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            return None
        return None if is_nodata(number) else number * unit_m
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        return None
    found = [
        length for part in re.split(r"[;|/]| - | to ", value) if (length := _one_m(part.strip(), unit_m)) is not None
    ]
    return max(found, default=None)


def _one_m(text: str, unit_m: float) -> float | None:
    match = _FEET_INCHES.fullmatch(text)
    if match:
        return (float(match[1]) + float(match[2]) / 12) * FOOT_M
    match = _ONE.fullmatch(text)
    if match is None or match[2].lower() not in _UNITS:
        between = re.fullmatch(rf"({_NUMBER})\s*[-–]\s*({_NUMBER})\s*([a-z]*)", text, re.IGNORECASE)
        return _one_m(between[2] + between[3], unit_m) if between else None
    number = float(match[1].replace(",", "."))
    unit = match[2].lower()
    return None if is_nodata(number) else number * (_UNITS[unit] if unit else unit_m)


def plausible_height_m(value: object, unit_m: float = 1.0) -> float | None:
    """A building's height in metres: above 0 and at most 1,000 m, else None."""
    length = length_m(value, unit_m)
    return length if length is not None and 0.0 < length <= MAX_HEIGHT_M else None


def levels_height_m(value: object) -> float | None:
    """The height of a number of levels."""
    levels = length_m(value)
    return levels * STOREY_M if levels is not None and 0.0 < levels * STOREY_M <= MAX_HEIGHT_M else None


def first_height_m(properties: Mapping[str, object], keys: Iterable[str], unit_m: float = 1.0) -> float | None:
    """The first attribute that is a plausible height."""
    return next((h for key in keys if (h := plausible_height_m(properties.get(key), unit_m)) is not None), None)


def first_levels_m(properties: Mapping[str, object], keys: Iterable[str]) -> float | None:
    """The first attribute that is a plausible number of levels, as a height."""
    return next((h for key in keys if (h := levels_height_m(properties.get(key))) is not None), None)


def elevation_m(value: object, unit_m: float = 1.0) -> float | None:
    """A height above the datum, where one is given that is plausible."""
    length = length_m(value, unit_m)
    return length if length is not None and LOWEST_GROUND_M <= length <= HIGHEST_GROUND_M + MAX_HEIGHT_M else None
