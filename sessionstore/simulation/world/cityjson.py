"""Read CityJSON 1.0, 1.1 and 2.0, and CityJSONSeq: each Building or BuildingPart becomes one footprint with
heights; roads, water, land, plants and terrain are kept as ground.

Every geometry type counts (MultiSurface, CompositeSurface, Solid, MultiSolid, CompositeSolid, GeometryInstance); of
one object all geometries of the most detailed level that has faces. A flat outline of a Building whose BuildingParts
have bodies is passed over. One geometry that is not understood costs that geometry alone; semantics that are not
understood cost the kinds of its surfaces alone; all that is passed over or replaced is counted. Refuses: what is not
CityJSON, unknown versions, a sequence without its header, unknown units.
Not here: heights as text (heights), limits and names (raw_city), the local frame (city), windows (facades).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from sessionstore.simulation.errors import CityFileError
from sessionstore.simulation.world.buildings import Footprint
from sessionstore.simulation.world.city_faces import Face, drawn_faces, footprint_of, is_flat
from sessionstore.simulation.world.cityjson_text import Repeated, documents_of
from sessionstore.simulation.world.geometry import Vec3
from sessionstore.simulation.world.ground import MAX_OBJECTS, USES, Surfaces
from sessionstore.simulation.world.heights import (
    DEFAULT_HEIGHT_M,
    HIGHEST_GROUND_M,
    LOWEST_GROUND_M,
    MAX_HEIGHT_M,
    elevation_m,
    first_height_m,
    first_levels_m,
    is_nodata,
)
from sessionstore.simulation.world.raw_city import RawCity
from sessionstore.simulation.world.reference_system import ReferenceSystem, UnknownUnit, system_of

BUILDING_TYPES = ("Building", "BuildingPart")
HEIGHT_ATTRIBUTES = ("measuredHeight", "height", "roofHeight", "building:height")  # above the ground
ELEVATION_ATTRIBUTES = (  # above the datum
    "b3_h_dak_max", "b3_h_max", "h_dak_max", "b3_h_dak_70p", "b3_h_dak_50p", "roof_elevation", "roofElevation",
)  # fmt: skip
GROUND_ATTRIBUTES = ("b3_h_maaiveld", "h_maaiveld", "ground_elevation", "groundElevation")
LEVEL_ATTRIBUTES = ("storeysAboveGround", "b3_bouwlagen", "building:levels")
HIGH_GROUND_M, MANY_HEIGHTS, LOWEST_BUILDING_M = 60.0, 10, 2.0  # chosen: see _are_elevations
NOT_UNDERSTOOD = (IndexError, KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError)


def read_cityjson(path: Path, text: str, default_height_m: float | None = None) -> RawCity:
    """Return all buildings and the ground of a CityJSON or CityJSONSeq text, in metres.

    Raises:
        CityFileError: nothing is returned; it names the place at fault.
    """
    repeated = Repeated()
    documents = list(documents_of(path, text, repeated))
    reader = _Reader(path, documents[0], default_height_m or DEFAULT_HEIGHT_M)
    for document in documents:
        reader.read(document)
    reader.check_heights()
    reader.lower_elevations()
    for what, number in repeated.counts.items():
        reader.raw.replaced[what] = reader.raw.replaced.get(what, 0) + number
    return reader.raw


class _Named(NamedTuple):
    """A height that an attribute of a flat outline gives."""

    number: int  # of its footprint
    height_m: float
    floor_m: float
    levels_m: float | None


class _Reader:
    def __init__(self, path: Path, header: Mapping[str, Any], default_height_m: float) -> None:
        self.path, self.default_height_m = path, default_height_m
        transform = header.get("transform")
        transform = transform if isinstance(transform, Mapping) else {}
        self.scale = self._triple("scale", transform.get("scale"), 1.0)
        self.translate = self._triple("translate", transform.get("translate"), 0.0)
        templates = header.get("geometry-templates")
        self.templates: Mapping[str, Any] = templates if isinstance(templates, Mapping) else {}
        metadata = header.get("metadata")
        system = metadata.get("referenceSystem") if isinstance(metadata, Mapping) else ""
        try:
            self.system: ReferenceSystem = system_of(system if isinstance(system, str) else "")
        except UnknownUnit as error:
            raise CityFileError(str(path), "metadata.referenceSystem", str(error)) from error
        if self.system.degrees:
            raise CityFileError(
                str(path), "metadata.referenceSystem", f"{self.system.name} is in degrees; a projected system is needed"
            )
        self.raw = RawCity(crs=self.system.name, unit_m=self.system.unit_m)
        self.vertices: list[Vec3 | None] = []
        self.too_high: list[tuple[str, float]] = []
        self.named: list[_Named] = []  # heights out of attributes, which may turn out to be elevations

    def _triple(self, name: str, value: object, default: float) -> tuple[float, float, float]:
        if value is None or value == []:
            return (default, default, default)
        try:
            x, y, z = (float(v) for v in value)  # type: ignore[attr-defined]
        except NOT_UNDERSTOOD as error:
            raise CityFileError(str(self.path), f"transform.{name}", "three numbers are needed") from error
        if not all(isfinite(v) and (v != 0.0 or default == 0.0) for v in (x, y, z)):
            raise CityFileError(str(self.path), f"transform.{name}", "not finite, or a scale of 0")
        return (x, y, z)

    def read(self, document: Mapping[str, Any]) -> None:
        objects = document.get("CityObjects")
        if not isinstance(objects, Mapping):
            raise CityFileError(str(self.path), "CityObjects", "missing, or not a mapping")
        vertices = document.get("vertices", ())
        if not isinstance(vertices, list | tuple):
            raise CityFileError(str(self.path), "vertices", "not a list")
        self.vertices = [self._vertex(v) for v in vertices]
        found: list[tuple[str, Mapping[str, Any], list[Face]]] = []
        for name, item in objects.items():
            kind = item.get("type") if isinstance(item, Mapping) else None
            if kind not in BUILDING_TYPES:
                self._around(name, str(kind)[:60], item)
                continue
            faces = self._most_detailed(name, item)
            if faces is not None:
                found.append((name, item, faces))
        with_bodies = _parents_of_bodies(objects, found)
        for name, item, faces in found:
            if name in with_bodies and is_flat(faces):
                self.raw.pass_over("outline of a building whose parts have bodies")
            else:
                self._building(name, item, faces, objects)

    def _around(self, name: str, kind: str, item: object) -> None:
        """What is not a building: ground is kept to be drawn, all else is counted."""
        room = len(self.raw.ground) < MAX_OBJECTS
        faces = self._most_detailed(name, item) if kind in USES and room and isinstance(item, Mapping) else None
        known = _without_nodata(faces or ())
        if known:
            self.raw.ground.append(Surfaces(kind, known))
        else:
            self.raw.pass_over(kind)

    def _vertex(self, v: Any) -> Vec3 | None:
        """In metres; None for what is not three numbers: only geometries that use it are lost."""
        unit, height_unit, s, t = self.system.unit_m, self.system.height_unit_m, self.scale, self.translate
        try:
            x, y, z = (float(v[i]) * s[i] + t[i] for i in range(3))
        except NOT_UNDERSTOOD:
            return None
        if not (isfinite(x) and isfinite(y)):
            return None
        return (x * unit, y * unit, z * height_unit) if unit != 1.0 or height_unit != 1.0 else (x, y, z)

    def _most_detailed(self, name: str, item: Mapping[str, Any]) -> list[Face] | None:
        """All faces of the highest level of detail that has any; None when there is no usable geometry."""
        geometries = item.get("geometry") or []
        by_level: dict[float, list[Face]] = {}
        bad = 0
        for geometry in geometries if isinstance(geometries, list) else [geometries]:
            try:
                faces = self._faces(geometry)
            except NOT_UNDERSTOOD as error:
                bad += 1
                self.raw.not_understood(f"CityObjects.{name[:60]}", f"bad geometry: {type(error).__name__} {error}")
                continue
            if faces:
                by_level.setdefault(_lod(geometry.get("lod")), []).extend(faces)
        if by_level:
            return by_level[max(by_level)]
        if not bad and not item.get("children") and item.get("type") in BUILDING_TYPES:
            self.raw.pass_over("Building without geometry")
        return None

    def _faces(self, geometry: Mapping[str, Any]) -> list[Face]:
        if geometry["type"] == "GeometryInstance":
            return self._instance(geometry)
        semantics = geometry.get("semantics") or {}
        try:
            kinds, values = [s.get("type", "") for s in semantics.get("surfaces") or ()], semantics.get("values")
        except NOT_UNDERSTOOD:
            self.raw.replace("semantics not understood: surfaces taken without their kinds")
            kinds, values = [], None
        faces: list[Face] = []
        _collect(geometry["boundaries"], values, kinds, self.vertices, faces)
        return faces

    def _instance(self, geometry: Mapping[str, Any]) -> list[Face]:
        """A template, multiplied by its 4x4 matrix and moved to its reference point."""
        template = self.templates["templates"][geometry["template"]]
        m = [float(v) for v in geometry["transformationMatrix"]]
        anchor = _corner(self.vertices, geometry["boundaries"][0])
        unit = self.system.unit_m
        corners: list[Vec3 | None] = []
        for x, y, z in self.templates["vertices-templates"]:
            moved = [(m[r] * x + m[r + 1] * y + m[r + 2] * z + m[r + 3]) * unit for r in (0, 4, 8)]
            corners.append((moved[0] + anchor[0], moved[1] + anchor[1], moved[2] + anchor[2]))
        faces: list[Face] = []
        _collect(template["boundaries"], None, [], corners, faces)
        return faces

    def _building(self, name: str, item: Mapping[str, Any], faces: list[Face], objects: Mapping[str, Any]) -> None:
        known = _without_nodata(faces)
        if len(known) < len(faces):
            self.raw.replace("face with a nodata height left out")
        try:
            shape = footprint_of(known) or footprint_of(_flattened(faces))
        except NOT_UNDERSTOOD as error:
            self.raw.not_understood(f"CityObjects.{name[:60]}", f"bad geometry: {error}")
            return
        if shape is None:
            self.raw.pass_over("Building without area")
            return
        rings, ground, roof = shape
        attributes = [a for each in _family(item, objects) if isinstance(a := each.get("attributes"), Mapping)]
        if not LOWEST_GROUND_M <= ground <= HIGHEST_GROUND_M or roof - ground > MAX_HEIGHT_M:
            self.too_high.append((name, max(roof - ground, abs(ground))))
            ground = ground if LOWEST_GROUND_M <= ground <= HIGHEST_GROUND_M else 0.0
            roof = ground + self._height_m(attributes, ground, "implausible height")
        elif not known or is_flat(known):
            ground, roof = ground, ground + self._height_m(attributes, ground, "no height")
        else:
            self.raw.footprints.append(Footprint(name, rings, ground, roof, faces=drawn_faces(known)))
            return
        self.raw.footprints.append(Footprint(name, rings, ground, roof))

    def _height_m(self, attributes: Sequence[Mapping[str, Any]], ground: float, what: str) -> float:
        """The height above the ground from attributes, its own first, then its parent's; else the default."""
        unit = self.system.height_unit_m
        for each in attributes:
            height = first_height_m(each, HEIGHT_ATTRIBUTES, unit)
            if height is not None:
                floor, levels = _floor_m(each, ground, unit), first_levels_m(each, LEVEL_ATTRIBUTES)
                self.named.append(_Named(len(self.raw.footprints), height, floor, levels))
                return height
            height = _elevation_height_m(each, ground, unit)
            if height is None:
                height = first_levels_m(each, LEVEL_ATTRIBUTES)
            if height is not None:
                return height
        self.raw.replace(f"{what}: {self.default_height_m:g} m taken")
        return self.default_height_m

    def lower_elevations(self) -> None:
        """Where the heights of a file are elevations of roofs, take them over the ground; counted."""
        if not _are_elevations(self.named):
            return
        for number, height, floor, _ in self.named:
            footprint = self.raw.footprints[number]
            self.raw.footprints[number] = replace(footprint, roof_m=footprint.ground_m + height - floor)
            self.raw.replace("height that is an elevation: taken over the ground")

    def check_heights(self) -> None:
        """Refuse a file whose heights are not in metres. Raises: CityFileError."""
        number = len(self.raw.footprints)
        if self.too_high and 2 * len(self.too_high) > number:
            name, height = self.too_high[0]
            raise CityFileError(
                str(self.path),
                "heights",
                f"{len(self.too_high)} of {number} buildings have implausible heights (as {name[:60]}: {height:.6g} m; "
                f"at most {MAX_HEIGHT_M:g} m): are they in millimetres, or is the transform missing?",
            )


def _collect(node: Any, values: Any, kinds: Sequence[str], vertices: Sequence[Vec3 | None], faces: list[Face]) -> None:
    """Walk boundaries of any depth down to the surfaces (lists of rings of indices)."""
    if node and isinstance(node[0], list) and node[0] and isinstance(node[0][0], int):
        kind = kinds[values] if isinstance(values, int) and 0 <= values < len(kinds) else ""
        rings = tuple(tuple(_corner(vertices, i) for i in ring) for ring in node)
        if len(rings[0]) > 2:
            faces.append(Face(tuple(ring for ring in rings if len(ring) > 2), str(kind)))
        return
    if not isinstance(node, list):
        raise TypeError("boundaries are lists")
    for i, child in enumerate(node):
        below = values[i] if isinstance(values, list) and i < len(values) else None
        _collect(child, below, kinds, vertices, faces)


def _corner(vertices: Sequence[Vec3 | None], index: int) -> Vec3:
    if index < 0:
        raise IndexError(f"vertex {index}")
    corner = vertices[index]
    if corner is None:
        raise ValueError(f"vertex {index} is not three numbers")
    return corner


def _parents_of_bodies(
    objects: Mapping[str, Any], found: Sequence[tuple[str, Mapping[str, Any], list[Face]]]
) -> set[str]:
    """The buildings with a part that has more than an outline."""
    bodies = {name for name, item, faces in found if item["type"] == "BuildingPart" and not is_flat(faces)}
    parents = {p for name in bodies for p in _names(objects[name].get("parents"))}
    return parents | {
        name
        for name, item in objects.items()
        if isinstance(item, Mapping) and not bodies.isdisjoint(_names(item.get("children")))
    }


def _names(value: object) -> list[str]:
    return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []


def _family(item: Mapping[str, Any], objects: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The object and its parents: publishers write the attributes at the Building."""
    yield item
    for name in _names(item.get("parents")):
        if isinstance(parent := objects.get(name), Mapping):
            yield parent


def _without_nodata(faces: Sequence[Face]) -> list[Face]:
    return [f for f in faces if not any(is_nodata(p[2]) for ring in f.rings for p in ring)]


def _flattened(faces: Sequence[Face]) -> list[Face]:
    """Faces whose heights are unknown, laid on the ground."""
    return [
        Face(tuple(tuple((x, y, 0.0 if is_nodata(z) else z) for x, y, z in ring) for ring in f.rings), f.kind)
        for f in faces
    ]


def _lod(value: object) -> float:
    try:
        lod = float(str(value))
    except ValueError:
        return -1.0
    return lod if isfinite(lod) else -1.0


def _floor_m(attributes: Mapping[str, Any], ground: float, unit_m: float) -> float:
    """The elevation of the ground that attributes name, or that of the geometry."""
    named = (elevation_m(attributes.get(key), unit_m) for key in GROUND_ATTRIBUTES)
    return next((floor for floor in named if floor is not None), ground)


def _elevation_height_m(attributes: Mapping[str, Any], ground: float, unit_m: float) -> float | None:
    """The height out of the elevation of a roof; a "height" that no building has may be one too."""
    floor = _floor_m(attributes, ground, unit_m)
    tops = [elevation_m(attributes.get(key), unit_m) for key in ELEVATION_ATTRIBUTES]
    tops += [
        top for key in HEIGHT_ATTRIBUTES if (top := elevation_m(attributes.get(key), unit_m)) and top > MAX_HEIGHT_M
    ]
    return next((top - floor for top in tops if top is not None and 0.0 < top - floor <= MAX_HEIGHT_M), None)


def _are_elevations(named: Sequence[_Named]) -> bool:
    """Whether all heights of a file stand above the ground's own elevation: then they are elevations of roofs.

    Heights over the ground are hardly ever all larger than an elevation of 60 m (30 m where many agree). Where levels
    are given, they decide.
    """
    if not named or not all(each.height_m >= each.floor_m + LOWEST_BUILDING_M for each in named):
        return False
    if median(each.floor_m for each in named) < (HIGH_GROUND_M if len(named) < MANY_HEIGHTS else HIGH_GROUND_M / 2):
        return False
    votes = [
        abs(each.height_m - each.floor_m - each.levels_m) < abs(each.height_m - each.levels_m)
        for each in named
        if each.levels_m is not None
    ]
    return 2 * sum(votes) >= len(votes)
