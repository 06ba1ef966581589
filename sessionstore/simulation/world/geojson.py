"""Read GeoJSON (RFC 7946) buildings: polygons with a height or a number of levels, in degrees of WGS 84.

Degrees become metres on the plane that touches the ellipsoid in the middle of the file: 1 cm good over a few
kilometres. Features that are no polygons, or have neither height nor levels, are passed over and counted.
Not here: the base and the rest of the local frame (city.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from math import cos, radians, sin, sqrt
from pathlib import Path
from typing import Any

from sessionstore.simulation.errors import CityFileError
from sessionstore.simulation.world.cityjson import STOREY_M, RawCity
from sessionstore.simulation.world.geometry import Ring
from sessionstore.simulation.world.world import Footprint, Gps

HEIGHT_KEYS = ("height", "building:height", "measuredHeight", "render_height")
LEVEL_KEYS = ("building:levels", "levels", "storeysAboveGround", "num_floors")
A_M = 6378137.0  # WGS 84: semi-major axis
E2 = 6.69437999014e-3  # WGS 84: first eccentricity squared


def metres_per_degree(lat_deg: float) -> tuple[float, float]:
    """(east, north) metres of one degree on the WGS 84 ellipsoid."""
    s = 1 - E2 * sin(radians(lat_deg)) ** 2
    north = A_M * (1 - E2) / (s * sqrt(s))
    east = A_M / sqrt(s) * cos(radians(lat_deg))
    return radians(1) * east, radians(1) * north


def read_geojson(path: Path, text: str) -> tuple[RawCity, Gps]:
    """Return the buildings and the place of their local origin.

    Raises:
        CityFileError: nothing is returned; it names the feature at fault.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise CityFileError(str(path), f"line {error.lineno} column {error.colno}", error.msg) from error
    features = document.get("features") if isinstance(document, Mapping) else None
    if document.get("type") != "FeatureCollection" or not isinstance(features, list):
        raise CityFileError(str(path), "type", "no FeatureCollection with features")
    ignored: dict[str, int] = {}
    found = list(_buildings(path, features, ignored))
    points = [p for _, rings, _, _ in found for ring in rings for p in ring]
    if not points:
        return RawCity([], "EPSG:4326", ignored), Gps(0.0, 0.0, 0.0)
    lon0 = (min(p[0] for p in points) + max(p[0] for p in points)) / 2
    lat0 = (min(p[1] for p in points) + max(p[1] for p in points)) / 2
    east, north = metres_per_degree(lat0)
    footprints = [
        Footprint(name, tuple(_local(r, lon0, lat0, east, north) for r in rings), low, high)
        for name, rings, low, high in found
    ]
    return RawCity(footprints, "EPSG:4326", ignored), Gps(lat0, lon0, 0.0)


def _local(ring: Sequence[tuple[float, float]], lon0: float, lat0: float, east: float, north: float) -> Ring:
    return tuple(((lon - lon0) * east, (lat - lat0) * north) for lon, lat in ring)


_Found = tuple[str, list[list[tuple[float, float]]], float, float]


def _buildings(path: Path, features: Sequence[Any], ignored: dict[str, int]) -> Iterator[_Found]:
    for number, feature in enumerate(features):
        where = f"features[{number}]"
        geometry = feature.get("geometry") if isinstance(feature, Mapping) else None
        kind = geometry.get("type") if isinstance(geometry, Mapping) else None
        if not isinstance(geometry, Mapping) or kind not in ("Polygon", "MultiPolygon"):
            ignored[str(kind)] = ignored.get(str(kind), 0) + 1
            continue
        properties = feature.get("properties") or {}
        height = _height_m(properties)
        if height is None:
            ignored["Polygon without height or levels"] = ignored.get("Polygon without height or levels", 0) + 1
            continue
        try:
            polygons = [geometry["coordinates"]] if kind == "Polygon" else geometry["coordinates"]
            rings = [[_degrees(p) for p in ring] for polygon in polygons for ring in polygon]
        except (TypeError, ValueError, IndexError, KeyError) as error:
            raise CityFileError(str(path), where, f"bad coordinates: {error}") from error
        ground = _number(properties.get("ground_m", properties.get("ele", 0.0))) or 0.0
        name = str(feature.get("id") or properties.get("@id") or properties.get("name") or f"building-{number + 1}")
        yield name, rings, ground, ground + height


def _degrees(point: Sequence[float]) -> tuple[float, float]:
    lon, lat = float(point[0]), float(point[1])
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise ValueError(f"({lon}, {lat}) are no degrees")
    return lon, lat


def _height_m(properties: Mapping[str, Any]) -> float | None:
    for key in HEIGHT_KEYS:
        value = _number(properties.get(key))
        if value:
            return value
    for key in LEVEL_KEYS:
        value = _number(properties.get(key))
        if value:
            return value * STOREY_M
    return None


def _number(value: object) -> float | None:
    """OpenStreetMap writes heights as text, with or without a unit."""
    try:
        number = float(str(value).replace("m", "").strip())
    except ValueError:
        return None
    return number if number > 0 else None
