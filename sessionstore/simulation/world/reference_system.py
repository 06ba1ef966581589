"""The reference system of a city file: its name, and how many metres one unit has.

Common metric systems are known here; every other EPSG code is looked up by pyproj (extra ``towns``) and refused with
the reason where pyproj is not installed. A file that names no system is taken as metres.
Not here: the move to the local frame (city).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from math import cosh

METRIC = frozenset(
    {28992, 7415, 2056, 21781, 3857, 31370, 2154, 27700, 5514, 31256, 31467, 31468, 3067, 3035, 2180, 25884}
    | set(range(25828, 25839))
    | set(range(32601, 32661))
    | set(range(32701, 32761))
    | set(range(6669, 6688))  # Japan, plane rectangular
)
US_FOOT_M = 1200 / 3937
US_FEET = frozenset({2263, 6539, 2225, 2226, 2227, 2229, 2236, 2249, 2272, 2276, 2277, 2278, 2285, 2286, 3435, 3436})
WEB_MERCATOR, MERCATOR_RADIUS_M = "EPSG:3857", 6378137.0
DEGREES = frozenset({4326, 4979, 4258, 4269, 6318})


@dataclass(frozen=True)
class ReferenceSystem:
    """Name and units: metres of one unit, horizontal and vertical; ``degrees`` in place of the horizontal unit."""

    name: str = "unknown"
    unit_m: float = 1.0
    height_unit_m: float = 1.0
    degrees: bool = False


class UnknownUnit(ValueError):
    """The unit of a reference system is not known; nothing was read."""


def system_of(text: str) -> ReferenceSystem:
    """The system named by a URN, a URL or "EPSG:2263".

    Raises:
        UnknownUnit: it has a code whose unit is not known here.
    """
    name = crs_name(text)
    if name == "unknown":
        if text.upper().rstrip("/").endswith(("CRS84", "CRS84H")):
            return ReferenceSystem("EPSG:4326", degrees=True)
        return ReferenceSystem()
    code = int(name.removeprefix("EPSG:"))
    if code in METRIC:
        return ReferenceSystem(name)
    if code in US_FEET:
        return ReferenceSystem(name, US_FOOT_M, US_FOOT_M)
    if code in DEGREES:
        return ReferenceSystem(name, degrees=True)
    return _looked_up(name)


def crs_name(text: str) -> str:
    """EPSG:7415 out of "urn:ogc:def:crs:EPSG::7415" or ".../EPSG/0/7415"."""
    tail = text[:300].replace("/", ":").rstrip(":").rsplit(":", 1)[-1]
    return f"EPSG:{int(tail)}" if re.fullmatch(r"[0-9]{1,9}", tail) else "unknown"


def _looked_up(name: str) -> ReferenceSystem:
    if find_spec("pyproj") is None:
        raise UnknownUnit(f"the unit of {name} is not known; pip install 'sessionstore[towns]' looks it up (pyproj)")
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        axes = CRS.from_user_input(name).axis_info
    except CRSError as error:
        raise UnknownUnit(f"{name} is not a reference system: {str(error)[:120]}") from error
    if len(axes) < 2:
        raise UnknownUnit(f"{name} has no horizontal axes")
    height = axes[2].unit_conversion_factor if len(axes) > 2 else 0.0
    if axes[0].unit_name == "degree":
        return ReferenceSystem(name, height_unit_m=height or 1.0, degrees=True)
    unit = float(axes[0].unit_conversion_factor)
    return ReferenceSystem(name, unit, height or unit)


def mercator_scale(name: str, northing: float) -> float:
    """How many metres on the ground one metre of Web Mercator (EPSG:3857) has at a northing; 1 for other systems."""
    return 1.0 / cosh(northing / MERCATOR_RADIUS_M) if name == WEB_MERCATOR else 1.0


def to_wgs84(name: str, east: float, north: float) -> tuple[float, float] | None:
    """(lat, lon) of a place in the units of a system, or None without pyproj."""
    if find_spec("pyproj") is None or name == "unknown":
        return None
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    try:
        lon, lat = Transformer.from_crs(name, "EPSG:4326", always_xy=True).transform(east, north)
    except ProjError:
        return None
    return (lat, lon) if -90 <= lat <= 90 and -180 <= lon <= 180 else None
