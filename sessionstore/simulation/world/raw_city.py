"""What a reader of city files hands over: footprints in metres of the file's own frame, and what it did not take.

``ignored`` counts what was passed over, ``replaced`` counts values that were guessed or replaced; both by reason.
Guarantees for the footprints of ``tidy``: names differ, none is there twice, all stand near each other.
Not here: the local frame of a flight (city), the formats (cityjson, geojson).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import hypot
from pathlib import Path
from statistics import median

from sessionstore.simulation.errors import CityFileError
from sessionstore.simulation.world.buildings import Footprint
from sessionstore.simulation.world.geometry import Ring, Vec2
from sessionstore.simulation.world.ground import Surfaces, scaled
from sessionstore.simulation.world.reference_system import mercator_scale

MAX_EXTENT_M = 50_000.0  # from the middle of the mass; a drone flies a few kilometres
MAX_BUILDING_M = 3_000.0  # the longest buildings have about 2 km
STRAY_SHARE = 0.2  # more than that so far away is not a stray building, but a wrong unit or transform
MAX_BUILDINGS = 200_000


@dataclass
class RawCity:
    """Footprints in the frame of the file, in metres."""

    footprints: list[Footprint] = field(default_factory=list)
    ground: list[Surfaces] = field(default_factory=list)  # what is drawn around the buildings
    crs: str = "unknown"
    ignored: dict[str, int] = field(default_factory=dict)
    replaced: dict[str, int] = field(default_factory=dict)
    first_bad: tuple[str, str] | None = None  # the first geometry that was not understood: place, reason
    unit_m: float = 1.0  # metres of one horizontal unit of the file

    def pass_over(self, why: str) -> None:
        self.ignored[why] = self.ignored.get(why, 0) + 1

    def replace(self, what: str) -> None:
        self.replaced[what] = self.replaced.get(what, 0) + 1

    def not_understood(self, where: str, reason: str) -> None:
        """Count one geometry that cannot be read; the first is kept for the error message."""
        self.pass_over("geometry not understood")
        self.first_bad = self.first_bad or (where, reason[:200])


def tidy(path: Path, raw: RawCity) -> RawCity:
    """Leave out twins, stray and implausible buildings, and make names differ.

    Raises:
        CityFileError: no building is left, or the extent is not that of a town.
    """
    if len(raw.footprints) > MAX_BUILDINGS:
        raise CityFileError(str(path), "buildings", f"{len(raw.footprints)} buildings; at most {MAX_BUILDINGS}")
    _shrink_mercator(raw)
    _leave_out_wide(path, raw)
    _leave_out_strays(path, raw)
    _leave_out_twins(raw)
    _name_apart(raw)
    if not raw.footprints:
        where, reason = raw.first_bad or ("buildings", "no building in this file")
        passed = ", ".join(f"{count} x {why}" for why, count in raw.ignored.items())
        raise CityFileError(str(path), where, reason + (f" (no building; passed over: {passed})" if passed else ""))
    return raw


def _shrink_mercator(raw: RawCity) -> None:
    """Web Mercator draws a town at 52 degrees 1.6 times too large: take metres on the ground."""
    if not raw.footprints:
        return
    scale = mercator_scale(raw.crs, median(f.rings[0][0][1] for f in raw.footprints))
    if scale != 1.0:
        raw.unit_m *= scale
        raw.ground = [scaled(each, scale) for each in raw.ground]
        raw.footprints = [
            replace(f, rings=tuple(tuple((x * scale, y * scale) for x, y in ring) for ring in f.rings))
            for f in raw.footprints
        ]


def box_of(rings: tuple[Ring, ...]) -> tuple[float, float, float, float]:
    """West, south, east and north of rings."""
    xs = [p[0] for ring in rings for p in ring]
    ys = [p[1] for ring in rings for p in ring]
    return min(xs), min(ys), max(xs), max(ys)


def _leave_out_wide(path: Path, raw: RawCity) -> None:
    kept = []
    widest = 0.0
    for footprint in raw.footprints:
        x0, y0, x1, y1 = box_of(footprint.rings)
        width = max(x1 - x0, y1 - y0)
        if width <= MAX_BUILDING_M:
            kept.append(footprint)
        else:
            widest = max(widest, width)
            raw.pass_over(f"building wider than {MAX_BUILDING_M:g} m")
    if raw.footprints and len(kept) * 2 < len(raw.footprints):
        raise CityFileError(
            str(path),
            "extent",
            f"{len(raw.footprints) - len(kept)} of {len(raw.footprints)} buildings are wider than {MAX_BUILDING_M:g} m "
            f"(up to {widest:.4g} m): a wrong unit, or a transform that is missing or wrong",
        )
    raw.footprints = kept


def _leave_out_strays(path: Path, raw: RawCity) -> None:
    """Buildings far from the mass, as one at (0, 0), do not move the frame."""
    if not raw.footprints:
        return
    corners = [f.rings[0][0] for f in raw.footprints]
    x, y = median(c[0] for c in corners), median(c[1] for c in corners)
    kept = [f for f, c in zip(raw.footprints, corners, strict=True) if hypot(c[0] - x, c[1] - y) <= MAX_EXTENT_M]
    away = len(raw.footprints) - len(kept)
    if away > max(1, STRAY_SHARE * len(raw.footprints)) or not kept:
        raise CityFileError(
            str(path),
            "extent",
            f"{away} of {len(raw.footprints)} buildings are more than {MAX_EXTENT_M / 1000:g} km from the middle: "
            "not one town",
        )
    for _ in range(away):
        raw.pass_over(f"building more than {MAX_EXTENT_M / 1000:g} km from the others")
    raw.footprints = kept


def _leave_out_twins(raw: RawCity) -> None:
    """A building that two tiles hold counts once."""
    seen: dict[tuple[object, ...], Footprint] = {}
    for footprint in raw.footprints:
        corners: list[Vec2] = sorted({(round(x, 2), round(y, 2)) for ring in footprint.rings for x, y in ring})
        key = (*corners, round(footprint.floor_m), round(footprint.roof_m))
        if key in seen:
            raw.pass_over("building that is there twice")
        else:
            seen[key] = footprint
    raw.footprints = list(seen.values())


def _name_apart(raw: RawCity) -> None:
    """Equal names (in any case) get -2, -3 ... in the order of the file."""
    given = {f.name.lower() for f in raw.footprints}
    taken: set[str] = set()
    numbers: dict[str, int] = {}
    for place, footprint in enumerate(raw.footprints):
        name = footprint.name
        while name.lower() in taken:
            number = numbers.get(footprint.name.lower(), 1) + 1
            numbers[footprint.name.lower()] = number
            name = f"{footprint.name}-{number}"
            if name.lower() in given:
                name = footprint.name  # that name is another building's own: take the next number
        taken.add(name.lower())
        if name != footprint.name:
            raw.replace("name that two buildings share")
            raw.footprints[place] = replace(footprint, name=name)
