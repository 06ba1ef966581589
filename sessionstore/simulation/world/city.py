"""Open a city: a file or a random one, moved to the local frame with the base in a free place at (0, 0, 0).

The coordinates of the file are kept as the origin, and as GPS where the reference system is known (Dutch RD,
WGS 84). Not here: the formats themselves (cityjson, geojson).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from math import cos, hypot, radians, sin
from pathlib import Path
from random import Random

from sessionstore.simulation.errors import CityFileError
from sessionstore.simulation.world.cityjson import RawCity, read_cityjson
from sessionstore.simulation.world.geojson import metres_per_degree, read_geojson
from sessionstore.simulation.world.geometry import Ring, Vec2
from sessionstore.simulation.world.world import FAR_BELOW_M, City, Footprint, Gps, Origin, World

BASE_CLEARANCE_M = 12.0  # chosen: room for a rack of berths, away from those who work on walls
RD_SYSTEMS = ("EPSG:7415", "EPSG:28992")


def open_city(path: str | Path) -> City:
    """Read a CityJSON, CityJSONSeq or GeoJSON file.

    Raises:
        CityFileError: the file is not there, is none of these, or is damaged; nothing was loaded.
    """
    path = Path(path)
    try:
        raw_bytes = path.read_bytes()
        text = raw_bytes.decode("utf-8-sig")
    except OSError as error:
        raise CityFileError(str(path), "file", error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise CityFileError(str(path), f"byte {error.start}", "not UTF-8") from error
    gps: Gps | None = None
    if '"FeatureCollection"' in text[:4096]:
        raw, gps = read_geojson(path, text)
    else:
        raw = read_cityjson(path, text)
    if not raw.footprints:
        raise CityFileError(str(path), "buildings", "no building in this file")
    city = localise(raw, gps)
    city.source, city.sha256 = path.name, hashlib.sha256(raw_bytes).hexdigest()
    return city


def localise(raw: RawCity, gps: Gps | None = None) -> City:
    """Move a city so that (0, 0, 0) is a free place near its middle, on the ground."""
    xs = [p[0] for f in raw.footprints for ring in f.rings for p in ring]
    ys = [p[1] for f in raw.footprints for ring in f.rings for p in ring]
    middle = ((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2)
    east, north = _free_place(raw.footprints, middle)
    nearest = min(raw.footprints, key=lambda f: _distance(f, east, north))
    up = nearest.ground_m
    moved = [_shift(f, east, north, up) for f in raw.footprints]
    where = _gps(raw.crs, east, north, up, gps)
    return City(moved, Origin(east, north, up, raw.crs, where), dict(raw.ignored))


def _free_place(footprints: list[Footprint], middle: Vec2) -> Vec2:
    """The free place nearest to the building that is nearest to the middle: drones need not fly far."""
    heart = min(footprints, key=lambda f: _distance(f, *middle))
    x0, y0 = heart.rings[0][0]
    world = World(City([_shift(f, x0, y0, 0.0) for f in footprints]))
    for ring in range(1, 400):
        reach = 4.0 * ring
        for step in range(8 * ring):
            angle = radians(360.0 * step / (8 * ring))
            x, y = reach * cos(angle), reach * sin(angle)
            if world.clearance_m((x, y, FAR_BELOW_M)) >= BASE_CLEARANCE_M:
                return x0 + x, y0 + y
    return middle


def _distance(footprint: Footprint, x: float, y: float) -> float:
    return min(hypot(px - x, py - y) for ring in footprint.rings for px, py in ring)


def _shift(footprint: Footprint, east: float, north: float, up: float) -> Footprint:
    rings = tuple(tuple((x - east, y - north) for x, y in ring) for ring in footprint.rings)
    return replace(footprint, rings=rings, ground_m=footprint.ground_m - up, roof_m=footprint.roof_m - up)


def _gps(crs: str, east: float, north: float, up: float, gps: Gps | None) -> Gps | None:
    if gps is not None:
        per_east, per_north = metres_per_degree(gps.lat_deg)
        return Gps(gps.lat_deg + north / per_north, gps.lon_deg + east / per_east, up)
    if crs in RD_SYSTEMS:
        lat, lon = rd_to_wgs84(east, north)
        return Gps(lat, lon, up)
    return None


def rd_to_wgs84(x_m: float, y_m: float) -> tuple[float, float]:
    """Dutch RD to (lat, lon) in degrees, good to a metre (Schreutelkamp and Strang van Hees, 2001)."""
    dx, dy = (x_m - 155000.0) * 1e-5, (y_m - 463000.0) * 1e-5
    lat_terms = (
        (0, 1, 3235.65389), (2, 0, -32.58297), (0, 2, -0.24750), (2, 1, -0.84978), (0, 3, -0.06550),
        (2, 2, -0.01709), (1, 0, -0.00738), (4, 0, 0.00530), (2, 3, -0.00039), (4, 1, 0.00033),
        (1, 1, -0.00012),
    )  # fmt: skip
    lon_terms = (
        (1, 0, 5260.52916), (1, 1, 105.94684), (1, 2, 2.45656), (3, 0, -0.81885), (1, 3, 0.05594),
        (3, 1, -0.05607), (0, 1, 0.01199), (3, 2, -0.00256), (1, 4, 0.00128), (0, 2, 0.00022),
        (2, 0, -0.00022),
        (5, 0, 0.00026),
    )  # fmt: skip
    lat = 52.15517440 + sum(k * dx**p * dy**q for p, q, k in lat_terms) / 3600
    lon = 5.38720621 + sum(k * dx**p * dy**q for p, q, k in lon_terms) / 3600
    return lat, lon


def random_city(seed: str, buildings: int, hidden: int = 0) -> City:
    """A block of rectangular buildings on a jittered lattice with streets of at least 9 m between them."""
    random = Random(f"{seed}/city")
    pitch = 44.0  # chosen
    cells = _lattice(buildings + hidden)
    footprints = []
    for number, (i, j) in enumerate(cells):
        width, depth = random.uniform(12.0, 28.0), random.uniform(12.0, 28.0)
        height = random.choice((9.6, 12.8, 19.2, 32.0, 48.0))  # chosen: 3 to 15 floors
        x = i * pitch + random.uniform(-3.0, 3.0)
        y = j * pitch + random.uniform(-3.0, 3.0)
        ring: Ring = (
            (x - width / 2, y - depth / 2), (x + width / 2, y - depth / 2),
            (x + width / 2, y + depth / 2), (x - width / 2, y + depth / 2),
        )  # fmt: skip
        is_hidden = number >= buildings
        name = f"hidden-{number - buildings + 1}" if is_hidden else f"building-{number + 1}"
        footprints.append(Footprint(name, (ring,), 0.0, height, hidden=is_hidden))
    return City(footprints, Origin(), {}, f"random({buildings}, {hidden})")


def _lattice(count: int) -> list[tuple[int, int]]:
    """Cells around the base's own cell (0, 0), nearest first."""
    side = 2 + int(count**0.5)
    cells = [(i, j) for i in range(-side, side + 1) for j in range(-side, side + 1) if (i, j) != (0, 0)]
    return sorted(cells, key=lambda c: (c[0] ** 2 + c[1] ** 2, c))[:count]
