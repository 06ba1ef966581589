"""An independent reader of city files: json and shapely only, none of the code that the simulation reads with.

It takes buildings as the specifications have them: one solid each, made of all surfaces of its most
detailed geometries.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import atan, cos, exp, pi, radians, sin, sqrt
from pathlib import Path
from statistics import median
from typing import Any

import shapely
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

DEFAULT_M = 9.0  # stated in docs/towns.md, for buildings without a height
EARTH_M = 6378137.0


@dataclass
class Solid:
    """One building in metres of the file's own frame."""

    name: str
    area: BaseGeometry
    hull: BaseGeometry
    low_m: float
    high_m: float


def read(path: Path) -> list[Solid]:
    """All buildings of a file; of those that are there twice, one."""
    text = path.read_text("utf-8-sig")
    documents = [json.loads(text)] if not path.name.endswith("l") else [json.loads(x) for x in text.splitlines() if x]
    found = _of_geojson(documents[0]) if documents[0]["type"] == "FeatureCollection" else list(_of_cityjson(documents))
    once: dict[tuple[Any, ...], Solid] = {}
    for each in found:
        corners = sorted({(round(x, 1), round(y, 1)) for x, y in shapely.get_coordinates(each.hull)})
        once.setdefault((*corners, round(each.area.area, 1), round(each.low_m), round(each.high_m)), each)
    return list(once.values())


# --- CityJSON


def _of_cityjson(documents: list[dict[str, Any]]) -> Iterator[Solid]:
    header = documents[0]
    transform = header.get("transform") or {}
    scale, move = transform.get("scale", [1, 1, 1]), transform.get("translate", [0, 0, 0])
    shrink = _mercator_scale(documents, move, scale)
    for document in documents:
        vertices = [[v[i] * scale[i] + move[i] for i in range(3)] for v in document.get("vertices", ())]
        vertices = [(x * shrink, y * shrink, z) for x, y, z in vertices]
        objects = {n: o for n, o in document["CityObjects"].items() if o["type"] in ("Building", "BuildingPart")}
        faces = {name: _best_faces(item, vertices, header) for name, item in objects.items()}
        bodies = {name for name, found in faces.items() if _z_range(found) >= 0.5}
        for name, item in objects.items():
            outlined = name not in bodies and any(child in bodies for child in item.get("children", ()))
            if faces[name] and not outlined and (solid := _solid(name, item, objects, faces[name])) is not None:
                yield solid


def _mercator_scale(documents: list[dict[str, Any]], move: list[float], scale: list[float]) -> float:
    """Web Mercator is stretched by the latitude."""
    system = str(documents[0].get("metadata", {}).get("referenceSystem", ""))
    if not system.rstrip("/").endswith(("3857", ":3857")):
        return 1.0
    northing = median(v[1] * scale[1] + move[1] for document in documents for v in document.get("vertices", ()))
    return cos(2 * atan(exp(northing / EARTH_M)) - pi / 2)


def _best_faces(item: dict[str, Any], vertices: list[Any], header: dict[str, Any]) -> list[list[Any]]:
    levels: dict[float, list[list[Any]]] = {}
    for geometry in item.get("geometry") or ():
        if geometry["type"] != "GeometryInstance":
            surfaces = [[ring for ring in face if len(ring) > 2] for face in _surfaces(geometry["boundaries"])]
            found = [[[vertices[i] for i in ring] for ring in rings] for rings in surfaces if rings]
            if found:
                levels.setdefault(float(geometry.get("lod", -1)), []).extend(found)
    return levels[max(levels)] if levels else []


def _surfaces(node: Any) -> Iterator[list[list[int]]]:
    """Each surface as its rings: the outer one, then holes."""
    if node and isinstance(node[0], list) and node[0] and isinstance(node[0][0], int):
        yield node
    else:
        for child in node:
            yield from _surfaces(child)


def _z_range(faces: list[list[Any]]) -> float:
    heights = [z for rings in faces for ring in rings for _, _, z in ring]
    return max(heights) - min(heights) if heights else 0.0


def _solid(name: str, item: dict[str, Any], objects: dict[str, Any], faces: list[list[Any]]) -> Solid | None:
    flat = [[[(x, y) for x, y, _ in ring] for ring in rings] for rings in faces]
    shadows = [Polygon(rings[0], rings[1:]).buffer(0) for rings in flat]
    area = unary_union([s for s in shadows if s.area > 1e-6])
    hull = shapely.convex_hull(shapely.multipoints([p for rings in flat for ring in rings for p in ring]))
    if hull.area < 0.05:
        return None
    heights = [z for rings in faces for ring in rings for _, _, z in ring]
    low, high = min(heights), max(heights)
    if high - low < 0.5:
        high = low + _height_of(item, objects)
    return Solid(name, area, hull, low, high)


def _height_of(item: dict[str, Any], objects: dict[str, Any]) -> float:
    for each in (item, *(objects[p] for p in item.get("parents", ()) if p in objects)):
        value = each.get("attributes", {}).get("measuredHeight")
        if isinstance(value, int | float):
            return float(value)
    return DEFAULT_M


# --- GeoJSON


def _of_geojson(document: dict[str, Any]) -> list[Solid]:
    features = [f for f in document["features"] if (f.get("geometry") or {}).get("type") in ("Polygon", "MultiPolygon")]
    shapes = [
        (f["properties"], shapely.make_valid(shapely.from_geojson(json.dumps(f["geometry"]))))
        for f in features
        if _is_sound(f)
    ]
    tagged = any(p.get("building") not in (None, "no") for p, _ in shapes)
    projected = "3857" in json.dumps(document.get("crs") or {})
    middle = unary_union([shape for _, shape in shapes]).envelope.centroid
    east, north = (1.0, 1.0) if projected else _metres_per_degree(middle.y)
    if projected:
        east = north = cos(2 * atan(exp(middle.y / EARTH_M)) - pi / 2)
    found = []
    for number, (properties, shape) in enumerate(shapes):
        if tagged and properties.get("building") in (None, "no"):
            continue
        origin = (0.0, 0.0) if projected else (middle.x, middle.y)
        local = shapely.transform(shape, lambda p, o=origin: (p - o) * (east, north))
        low = float(properties.get("min_height") or properties.get("base_height") or 0.0)
        high = float(properties.get("height") or DEFAULT_M)
        if local.area >= 0.05:
            found.append(Solid(str(number), local.buffer(0), local.convex_hull, low if low < high else 0.0, high))
    return found


def _is_sound(feature: dict[str, Any]) -> bool:
    geometry = feature["geometry"]
    polygons = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    return all(len(ring) > 3 for polygon in polygons for ring in polygon)


def _metres_per_degree(latitude: float) -> tuple[float, float]:
    """WGS 84: (east, north)."""
    e2 = 0.00669437999014
    s = 1 - e2 * sin(radians(latitude)) ** 2
    return radians(1) * EARTH_M / sqrt(s) * cos(radians(latitude)), radians(1) * EARTH_M * (1 - e2) / s**1.5
