"""Read CityJSON 1.0, 1.1 and 2.0, and CityJSONSeq: each Building or BuildingPart becomes one footprint with
heights.

Every geometry type counts (MultiSurface, CompositeSurface, Solid, MultiSolid, CompositeSolid,
GeometryInstance) and every level of detail from 0 up; the most detailed one is taken. Objects of other types
are passed over and counted. Refuses, naming the place: what is no CityJSON, unknown versions, indices that
point nowhere. Not here: the move to the local frame and the base (city.py), facades and windows (facades).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sessionstore.simulation.errors import CityFileError
from sessionstore.simulation.world.geometry import Ring, Vec2, Vec3, convex_hull, outline, signed_area_m2
from sessionstore.simulation.world.world import Footprint

VERSIONS = ("1.0", "1.1", "2.0")
BUILDING_TYPES = ("Building", "BuildingPart")
HEIGHT_ATTRIBUTES = ("measuredHeight", "height", "h_dak_max", "b3_h_dak_max")
STOREY_M = 3.0  # chosen: where a file gives storeys only
FALLBACK_HEIGHT_M = 3.0  # chosen: nothing is flatter than one storey


@dataclass
class RawCity:
    """Footprints in the coordinates of the file, before the move to the local frame."""

    footprints: list[Footprint]
    crs: str
    ignored: dict[str, int]


def read_cityjson(path: Path, text: str) -> RawCity:
    """Return all buildings of a CityJSON or CityJSONSeq text.

    Raises:
        CityFileError: nothing is returned; it names the object at fault.
    """
    documents = list(_documents(path, text))
    reader = _Reader(path, documents[0])
    for document in documents:
        reader.read(document)
    return RawCity(reader.footprints, reader.crs, reader.ignored)


def _documents(path: Path, text: str) -> Iterator[dict[str, Any]]:
    """One document for a .json file, one per line for a sequence."""
    try:
        yield _checked(path, json.loads(text))
        return
    except json.JSONDecodeError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or not lines[0].rstrip().endswith("}"):
            raise CityFileError(str(path), f"line {error.lineno} column {error.colno}", error.msg) from error
    for number, line in enumerate(lines, 1):
        try:
            yield _checked(path, json.loads(line))
        except json.JSONDecodeError as error:
            raise CityFileError(str(path), f"line {number} column {error.colno}", error.msg) from error


def _checked(path: Path, document: object) -> dict[str, Any]:
    if not isinstance(document, dict) or document.get("type") not in ("CityJSON", "CityJSONFeature"):
        raise CityFileError(str(path), "type", "neither CityJSON nor CityJSONFeature")
    version = document.get("version", VERSIONS[-1])
    if document["type"] == "CityJSON" and str(version)[:3] not in VERSIONS:
        raise CityFileError(str(path), "version", f"{version!r} is none of {', '.join(VERSIONS)}")
    return document


class _Reader:
    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        transform = header.get("transform") or {}
        self.scale = transform.get("scale", (1.0, 1.0, 1.0))
        self.translate = transform.get("translate", (0.0, 0.0, 0.0))
        self.templates = header.get("geometry-templates") or {}
        system = (header.get("metadata") or {}).get("referenceSystem", "")
        self.crs = _crs_name(str(system or ""))
        self.footprints: list[Footprint] = []
        self.ignored: dict[str, int] = {}
        self.vertices: list[Vec3] = []

    def read(self, document: Mapping[str, Any]) -> None:
        objects = document.get("CityObjects")
        if not isinstance(objects, Mapping):
            raise CityFileError(str(self.path), "CityObjects", "missing or no mapping")
        try:
            self.vertices = [self._vertex(v) for v in document.get("vertices", ())]
        except (TypeError, ValueError, IndexError) as error:
            raise CityFileError(str(self.path), "vertices", "a vertex is three numbers") from error
        for name, item in objects.items():
            kind = item.get("type") if isinstance(item, Mapping) else None
            if kind not in BUILDING_TYPES:
                self._pass_over(str(kind))
                continue
            try:
                self._building(name, item)
            except (IndexError, KeyError, TypeError, ValueError) as error:
                raise CityFileError(str(self.path), f"CityObjects.{name}", f"bad geometry: {error}") from error

    def _vertex(self, v: Sequence[float]) -> Vec3:
        x, y, z = (float(v[i]) * self.scale[i] + self.translate[i] for i in range(3))
        return (x, y, z)

    def _pass_over(self, why: str) -> None:
        self.ignored[why] = self.ignored.get(why, 0) + 1

    def _building(self, name: str, item: Mapping[str, Any]) -> None:
        geometries = item.get("geometry") or []
        if not geometries:
            if not item.get("children"):
                self._pass_over("Building without geometry")
            return
        faces = self._faces(max(geometries, key=lambda g: _lod(g.get("lod"))))
        shape = footprint_of(faces)
        if shape is None:
            self._pass_over("Building without area")
            return
        rings, ground, roof = shape
        if roof - ground < 0.5:  # LoD 0: a flat outline; its height is an attribute or one storey
            roof = ground + _attribute_height_m(item.get("attributes") or {})
        self.footprints.append(Footprint(name, rings, ground, roof))

    def _faces(self, geometry: Mapping[str, Any]) -> list[_Face]:
        if geometry["type"] == "GeometryInstance":
            return self._instance(geometry)
        semantics = geometry.get("semantics") or {}
        kinds = [s.get("type", "") for s in semantics.get("surfaces", ())]
        faces: list[_Face] = []
        _collect(geometry["boundaries"], semantics.get("values"), kinds, self.vertices, faces)
        return faces

    def _instance(self, geometry: Mapping[str, Any]) -> list[_Face]:
        """A template, multiplied by its 4x4 matrix and moved to its reference point."""
        template = self.templates["templates"][geometry["template"]]
        m = [float(v) for v in geometry["transformationMatrix"]]
        anchor = self.vertices[geometry["boundaries"][0]]
        corners = []
        for x, y, z in self.templates["vertices-templates"]:
            moved = [m[r] * x + m[r + 1] * y + m[r + 2] * z + m[r + 3] for r in (0, 4, 8)]
            corners.append((moved[0] + anchor[0], moved[1] + anchor[1], moved[2] + anchor[2]))
        faces: list[_Face] = []
        _collect(template["boundaries"], None, [], corners, faces)
        return faces


@dataclass(frozen=True)
class _Face:
    rings: tuple[tuple[Vec3, ...], ...]
    kind: str


def _collect(node: Any, values: Any, kinds: Sequence[str], vertices: Sequence[Vec3], faces: list[_Face]) -> None:
    """Walk boundaries of any depth down to the surfaces (lists of rings of indices)."""
    if node and isinstance(node[0], list) and node[0] and isinstance(node[0][0], int):
        kind = kinds[values] if isinstance(values, int) and values < len(kinds) else ""
        faces.append(_Face(tuple(tuple(vertices[i] for i in ring) for ring in node), kind))
        return
    for i, child in enumerate(node):
        below = values[i] if isinstance(values, list) and i < len(values) else None
        _collect(child, below, kinds, vertices, faces)


def footprint_of(faces: Sequence[_Face]) -> tuple[tuple[Ring, ...], float, float] | None:
    """The outline on the ground with ground and roof height; None when the faces enclose no area.

    Tried in this order: faces called GroundSurface, faces that look up (the roof seen from above), the lowest
    level faces, and the convex hull, which is larger than the building and never smaller.
    """
    heights = [p[2] for face in faces for ring in face.rings for p in ring]
    if not heights:
        return None
    ground, roof = min(heights), max(heights)
    called = [f for f in faces if f.kind == "GroundSurface"]
    upward = [f for f in faces if _normal_z(f.rings[0]) > 0.05]
    level = [f for f in faces if abs(_normal_z(f.rings[0])) > 0.05]
    for group in (called, upward, level):
        rings = outline(_flat(face.rings[0]) for face in group)
        if rings:
            holes = tuple(tuple(_flat(hole)) for face in group for hole in face.rings[1:])
            return rings + holes, ground, roof
    hull = convex_hull((x, y) for face in faces for ring in face.rings for x, y, _ in ring)
    if len(hull) < 3 or abs(signed_area_m2(hull)) < 0.05:
        return None
    return (hull,), ground, roof


def _flat(ring: Sequence[Vec3]) -> list[Vec2]:
    return [(x, y) for x, y, _ in ring]


def _normal_z(ring: Sequence[Vec3]) -> float:
    """The upward part of the unit normal (Newell's method)."""
    nx = ny = nz = 0.0
    for (ax, ay, az), (bx, by, bz) in zip(ring, (*ring[1:], ring[0]), strict=True):
        nx += (ay - by) * (az + bz)
        ny += (az - bz) * (ax + bx)
        nz += (ax - bx) * (ay + by)
    length = (nx * nx + ny * ny + nz * nz) ** 0.5
    return nz / length if length else 0.0


def _lod(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return -1.0


def _attribute_height_m(attributes: Mapping[str, Any]) -> float:
    for key in HEIGHT_ATTRIBUTES:
        value = attributes.get(key)
        if isinstance(value, int | float) and value > 0:
            return float(value)
    storeys = attributes.get("storeysAboveGround")
    return float(storeys) * STOREY_M if isinstance(storeys, int | float) and storeys > 0 else FALLBACK_HEIGHT_M


def _crs_name(system: str) -> str:
    """EPSG:7415 out of "urn:ogc:def:crs:EPSG::7415" or ".../EPSG/0/7415"."""
    tail = system.replace("/", ":").rsplit(":", 1)[-1]
    return f"EPSG:{tail}" if tail.isdigit() else "unknown"
