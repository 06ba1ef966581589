"""Read GeoJSON (RFC 7946) buildings: polygons with a height or a number of levels, in degrees of WGS 84.

Degrees become metres on the plane that touches the ellipsoid in the middle of the file: 1 cm good over a few
kilometres. Where the file tags buildings (``building``, ``building:part``; nested ``tags`` count too), only those are
taken, and a height that is missing or cannot be read is replaced by the default; else every polygon with a height is.
An outline is passed over where its parts cover it. One feature that is not understood costs that feature alone.
Not here: heights as text (heights), limits and names (raw_city), the local frame (city).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, isfinite, radians, sin, sqrt
from pathlib import Path
from statistics import median
from typing import Any

from sessionstore.simulation.errors import CityFileError
from sessionstore.simulation.world.buildings import Footprint, Gps
from sessionstore.simulation.world.cityjson import NOT_UNDERSTOOD
from sessionstore.simulation.world.geometry import Ring, inside, ring_edges, signed_area_m2
from sessionstore.simulation.world.heights import (
    DEFAULT_HEIGHT_M,
    FOOT_M,
    elevation_m,
    first_height_m,
    first_levels_m,
)
from sessionstore.simulation.world.raw_city import MAX_EXTENT_M, RawCity, box_of
from sessionstore.simulation.world.reference_system import ReferenceSystem, UnknownUnit, system_of

HEIGHT_KEYS = ("height", "building:height", "measuredHeight", "render_height", "est_height", "height_m")
FOOT_KEYS = ("heightroof", "height_roof", "HEIGHTROOF", "HEIGHT_ROOF", "height_ft")  # New York's open data
FOOT_GROUND_KEYS = ("groundelev", "ground_elevation", "GROUNDELEV", "GROUND_ELEVATION")
LEVEL_KEYS = ("building:levels", "levels", "storeysAboveGround", "num_floors", "building:levels:aboveground",
              "number_of_stories_above_ground", "number_of_stories")  # fmt: skip
ELEVATION_KEYS = ("b3_h_dak_max", "h_dak_max", "roof_elevation", "roof:elevation", "ele:roof", "absolute_height")
GROUND_KEYS = ("ground_m", "ele", "b3_h_maaiveld", "h_maaiveld", "ground")
MIN_HEIGHT_KEYS = ("min_height", "building:min_height", "render_min_height", "base_height")
MIN_LEVEL_KEYS = ("building:min_level", "min_level")
WITHOUT_HEIGHT = "Polygon without height or levels"
COVERED_SHARE = 0.75  # chosen: parts that cover so much of an outline stand for the building
A_M = 6378137.0  # WGS 84: semi-major axis
E2 = 6.69437999014e-3  # WGS 84: first eccentricity squared


def metres_per_degree(lat_deg: float) -> tuple[float, float]:
    """(east, north) metres of one degree on the WGS 84 ellipsoid."""
    s = 1 - E2 * sin(radians(lat_deg)) ** 2
    north = A_M * (1 - E2) / (s * sqrt(s))
    east = A_M / sqrt(s) * cos(radians(lat_deg))
    return radians(1) * east, radians(1) * north


@dataclass
class _Found:
    name: str
    rings: list[list[tuple[float, float]]]
    ground: float
    floor: float
    roof: float
    is_part: bool


def read_geojson(path: Path, document: object, default_height_m: float | None = None) -> tuple[RawCity, Gps | None]:
    """Return the buildings and the place of their local origin (None where the file is in metres).

    Args:
        default_height_m: for buildings without a height that can be read; given, it also makes every polygon that is
            not tagged as something else a building.

    Raises:
        CityFileError: nothing is returned.
    """
    features = document.get("features") if isinstance(document, Mapping) else None
    if not isinstance(document, Mapping) or document.get("type") != "FeatureCollection":
        raise CityFileError(str(path), "type", "not a FeatureCollection")
    if not isinstance(features, list):
        raise CityFileError(str(path), "features", "missing, or not a list")
    system = _system(path, document)
    raw = RawCity(crs=system.name, unit_m=system.unit_m)
    found = _Reader(raw, system, default_height_m).read(features)
    if not found:
        if raw.ignored.get(WITHOUT_HEIGHT):
            raw.first_bad = ("features", "no polygon has a height or is tagged as a building; give a default height")
        return raw, None
    if not system.degrees:
        unit = system.unit_m
        for each in found:
            each.rings = [[(x * unit, y * unit) for x, y in ring] for ring in each.rings]
        _enter(raw, found, (0.0, 0.0), (1.0, 1.0))
        return raw, None
    lon0, lat0 = _middle(found)
    _enter(raw, found, (lon0, lat0), metres_per_degree(lat0))
    return raw, Gps(lat0, lon0, 0.0)


def _system(path: Path, document: Mapping[str, Any]) -> ReferenceSystem:
    """Degrees of WGS 84, unless the file has the "crs" member of older GeoJSON."""
    crs = document.get("crs")
    properties = crs.get("properties") if isinstance(crs, Mapping) else None
    name = properties.get("name") if isinstance(properties, Mapping) else None
    if not isinstance(name, str):
        return ReferenceSystem("EPSG:4326", degrees=True)
    try:
        system = system_of(name)
    except UnknownUnit as error:
        raise CityFileError(str(path), "crs", str(error)) from error
    return ReferenceSystem("EPSG:4326", degrees=True) if system.name == "unknown" else system


def _middle(found: Sequence[_Found]) -> tuple[float, float]:
    """The middle of the mass: what is more than 50 km from the median does not count."""
    lon = median(each.rings[0][0][0] for each in found)
    lat = median(each.rings[0][0][1] for each in found)
    east, north = metres_per_degree(lat)
    near = [
        each
        for each in found
        if abs(each.rings[0][0][0] - lon) * east <= MAX_EXTENT_M
        and abs(each.rings[0][0][1] - lat) * north <= MAX_EXTENT_M
    ]
    points = [p for each in near for ring in each.rings for p in ring] or [(lon, lat)]
    lon0 = (min(p[0] for p in points) + max(p[0] for p in points)) / 2
    lat0 = (min(p[1] for p in points) + max(p[1] for p in points)) / 2
    return lon0, lat0


def _enter(raw: RawCity, found: Sequence[_Found], origin: tuple[float, float], unit: tuple[float, float]) -> None:
    for each in _without_covered_outlines(raw, found):
        rings = tuple(_local(r, *origin, *unit) for r in each.rings)
        if abs(signed_area_m2(rings[0])) < 0.05:
            raw.pass_over("Building without area")
            continue
        bottom = each.floor if each.floor > each.ground else None
        raw.footprints.append(Footprint(each.name, rings, each.ground, each.roof, bottom_m=bottom))


def _local(ring: Sequence[tuple[float, float]], lon0: float, lat0: float, east: float, north: float) -> Ring:
    return tuple(((lon - lon0) * east, (lat - lat0) * north) for lon, lat in ring)


class _Reader:
    """Features to buildings; what is passed over or replaced is counted in the raw city."""

    def __init__(self, raw: RawCity, system: ReferenceSystem, default_height_m: float | None) -> None:
        self.raw, self.system = raw, system
        self.wants_all = default_height_m is not None
        self.default_height_m = default_height_m or DEFAULT_HEIGHT_M

    def read(self, features: Sequence[Any]) -> list[_Found]:
        tagged = any(_building_tag(_tags(f)) for f in features)
        found = []
        for number, feature in enumerate(features):
            try:
                building = self._building(number, feature, tagged)
            except NOT_UNDERSTOOD as error:
                self.raw.not_understood(f"features[{number}]", f"bad coordinates: {error}")
                continue
            if building is not None:
                found.append(building)
        return found

    def _building(self, number: int, feature: Any, tagged: bool) -> _Found | None:
        geometry = feature.get("geometry") if isinstance(feature, Mapping) else None
        kind = geometry.get("type") if isinstance(geometry, Mapping) else None
        if not isinstance(geometry, Mapping) or kind not in ("Polygon", "MultiPolygon"):
            self.raw.pass_over(str(kind)[:60])
            return None
        tags = _tags(feature)
        tag = _building_tag(tags)
        if tagged and not tag:
            self.raw.pass_over("Polygon that is not a building")
            return None
        height, guessed = self._height_m(tags, bool(tag))
        if height is None:
            self.raw.pass_over(WITHOUT_HEIGHT)
            return None
        polygons = [geometry["coordinates"]] if kind == "Polygon" else geometry["coordinates"]
        if not isinstance(polygons, list):
            raise TypeError("coordinates are lists")
        rings = [ring for polygon in polygons for each in polygon if len(ring := self._ring(each)) > 2]
        if not rings:
            raise ValueError("a ring has three points and more")
        if guessed:
            self.raw.replace(guessed)
        ground = self._ground_m(tags)
        low = first_height_m(tags, MIN_HEIGHT_KEYS) or first_levels_m(tags, MIN_LEVEL_KEYS) or 0.0
        floor = ground + (low if low < height else 0.0)
        name = feature.get("id") or tags.get("@id") or tags.get("name")
        text = str(name)[:120] if isinstance(name, str | int | float) and name else f"building-{number + 1}"
        return _Found(text, rings, ground, floor, ground + height, tag == "part")

    def _ring(self, points: Sequence[Any]) -> list[tuple[float, float]]:
        return [self._point(p) for p in points]

    def _point(self, point: Sequence[float]) -> tuple[float, float]:
        x, y = float(point[0]), float(point[1])
        if not (isfinite(x) and isfinite(y)):
            raise ValueError("not finite")
        if self.system.degrees and not (-180 <= x <= 180 and -90 <= y <= 90):
            raise ValueError(f"({x}, {y}) are no degrees")
        return x, y

    def _height_m(self, tags: Mapping[str, Any], is_building: bool) -> tuple[float | None, str]:
        """The height over the ground; the default, and why, where a building has none that can be read."""
        unit = self.system.height_unit_m
        height = first_height_m(tags, HEIGHT_KEYS, unit) or first_height_m(tags, FOOT_KEYS, FOOT_M)
        if height is None and (top := _first_elevation(tags, ELEVATION_KEYS, unit)) is not None:
            height = top - self._ground_m(tags) if 0.0 < top - self._ground_m(tags) <= 1000.0 else None
        if height is None and (height := first_levels_m(tags, LEVEL_KEYS)) is not None:
            height += first_levels_m(tags, ("roof:levels",)) or 0.0
        if height is not None:
            return height, ""
        unreadable = any(
            tags.get(key) not in (None, "") for key in (*HEIGHT_KEYS, *FOOT_KEYS, *LEVEL_KEYS, *ELEVATION_KEYS)
        )
        if not (is_building or unreadable or (self.wants_all and not _is_something_else(tags))):
            return None, ""
        what = "height that cannot be read" if unreadable else "no height"
        return self.default_height_m, f"{what}: {self.default_height_m:g} m taken"

    def _ground_m(self, tags: Mapping[str, Any]) -> float:
        ground = _first_elevation(tags, GROUND_KEYS, self.system.height_unit_m)
        if ground is None:
            ground = _first_elevation(tags, FOOT_GROUND_KEYS, FOOT_M)
        return ground or 0.0


def _first_elevation(tags: Mapping[str, Any], keys: Sequence[str], unit_m: float) -> float | None:
    return next((e for key in keys if (e := elevation_m(tags.get(key), unit_m)) is not None), None)


def _tags(feature: Any) -> Mapping[str, Any]:
    """The properties, and the tags that some exports nest below them."""
    properties = feature.get("properties") if isinstance(feature, Mapping) else None
    if not isinstance(properties, Mapping):
        return {}
    nested = properties.get("tags")
    return {**nested, **properties} if isinstance(nested, Mapping) else properties


def _building_tag(tags: Mapping[str, Any]) -> str:
    """The words "part" and "outline" for what OpenStreetMap calls a building, else nothing."""
    part, whole = tags.get("building:part"), tags.get("building")
    if part not in (None, "", "no", False):
        return "part"
    return "outline" if whole not in (None, "", "no", False) and not isinstance(whole, Mapping | list) else ""


def _is_something_else(tags: Mapping[str, Any]) -> bool:
    return any(key in tags for key in ("leisure", "landuse", "natural", "highway", "waterway", "water", "boundary"))


def _without_covered_outlines(raw: RawCity, found: Sequence[_Found]) -> list[_Found]:
    """Leave out the outlines whose parts cover them (Simple 3D Buildings of OpenStreetMap)."""
    parts = sorted(((box_of(_tuples(each)), each) for each in found if each.is_part), key=lambda pair: pair[0])
    kept = []
    for each in found:
        if not each.is_part and parts and _covered_share(each, parts) >= COVERED_SHARE:
            raw.pass_over("outline whose parts are buildings")
        else:
            kept.append(each)
    return kept


def _tuples(each: _Found) -> tuple[Ring, ...]:
    return tuple(tuple(ring) for ring in each.rings)


def _covered_share(outline: _Found, parts: Sequence[tuple[tuple[float, float, float, float], _Found]]) -> float:
    x0, y0, x1, y1 = box_of(_tuples(outline))
    edges = ring_edges(outline.rings)
    area = abs(signed_area_m2(outline.rings[0]))
    covered = 0.0
    for box, part in parts:
        if box[0] > x1:
            break
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        if x0 <= x <= x1 and y0 <= y <= y1 and inside(x, y, edges):
            covered += abs(signed_area_m2(part.rings[0]))
    return covered / area if area else 0.0
