"""Open a city: a file or a random one, moved to the local frame with the base in a free place at (0, 0, 0).

The coordinates of the file are kept as the origin, and as GPS where the reference system is known (Dutch RD,
WGS 84). Not here: the formats themselves (cityjson, geojson).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from math import cos, hypot, radians, sin
from pathlib import Path
from random import Random

from sessionstore.simulation.errors import CityFileError
from sessionstore.simulation.world.buildings import City, Footprint, Gps, Origin
from sessionstore.simulation.world.cityjson import read_cityjson
from sessionstore.simulation.world.cityjson_text import Repeated, parse_json
from sessionstore.simulation.world.facades import window_estimate
from sessionstore.simulation.world.geojson import metres_per_degree, read_geojson
from sessionstore.simulation.world.geometry import Ring, Vec2
from sessionstore.simulation.world.ground import MAX_CORNERS, ground_rows
from sessionstore.simulation.world.raw_city import RawCity, box_of, tidy
from sessionstore.simulation.world.recorded_city import city_of_session, is_session
from sessionstore.simulation.world.reference_system import to_wgs84
from sessionstore.simulation.world.world import FAR_BELOW_M, World

MAX_FILE_BYTES = 1 << 29
MAX_WINDOWS = 30_000  # of one building; the tallest has 24,000
RING_STEP_M = 4.0
MAX_FACE_CORNERS = 4_000  # chosen: 100 kB of each session.json
FINE_RINGS = 60  # further out a coarser search will do
NEAR_M = 160.0  # chosen: most bases stand within; the whole town is looked at only where none does
FARTHEST_BASE_M = 1600.0
BASE_CLEARANCE_M = 12.0  # chosen: room for a rack of berths, away from those who work on walls
RD_SYSTEMS = ("EPSG:7415", "EPSG:28992")
_GEOJSON = re.compile(r'"type"\s*:\s*"FeatureCollection"')


def open_city(path: str | Path, default_height_m: float | None = None) -> City:
    """Read a CityJSON, CityJSONSeq or GeoJSON file, or the town of a recorded session from its folder.

    Args:
        default_height_m: for buildings without a height that can be read; by default 9 m.

    Raises:
        CityFileError: the file is not there, has another format, or is damaged; nothing was loaded.
    """
    path = Path(path)
    if is_session(path):
        return city_of_session(path)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise CityFileError(str(path), "size", f"more than {MAX_FILE_BYTES >> 20} MiB; cut it to the site")
        raw_bytes = path.read_bytes()
        text = raw_bytes.decode("utf-8-sig")
    except OSError as error:
        raise CityFileError(str(path), "file", error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise CityFileError(str(path), f"byte {error.start}", "not UTF-8") from error
    raw, gps = _read(path, text, default_height_m)
    city = localise(tidy(path, raw), gps)
    check_windows(path, city)
    city.source, city.sha256 = path.name, hashlib.sha256(raw_bytes).hexdigest()
    return city


def _read(path: Path, text: str, default_height_m: float | None) -> tuple[RawCity, Gps | None]:
    """By the "type" of the document, wherever in the file it stands."""
    if _GEOJSON.search(text):
        repeated = Repeated()
        document = parse_json(path, text, repeated=repeated)
        if isinstance(document, dict) and document.get("type") == "FeatureCollection":
            raw, gps = read_geojson(path, document, default_height_m)
            raw.replaced |= repeated.counts
            return raw, gps
    return read_cityjson(path, text, default_height_m), None


def check_windows(path: Path, city: City) -> None:
    """Refuse a city whose nearest building alone has more windows than a fleet can be asked to hold.

    Raises:
        CityFileError: nothing was loaded.
    """
    for footprint in city.footprints:
        count = window_estimate(footprint.rings, footprint.roof_m - footprint.floor_m)
        if count > MAX_WINDOWS:
            raise CityFileError(
                str(path), "windows", f"{footprint.name[:60]} alone would have {count} windows; at most {MAX_WINDOWS}"
            )


def localise(raw: RawCity, gps: Gps | None = None) -> City:
    """Move a city so that (0, 0, 0) is a free place near its middle, on the ground."""
    xs = [p[0] for f in raw.footprints for ring in f.rings for p in ring]
    ys = [p[1] for f in raw.footprints for ring in f.rings for p in ring]
    middle = ((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2)
    east, north = _free_place(raw.footprints, middle)
    nearest = min(raw.footprints, key=lambda f: _distance(f, east, north))
    up = nearest.ground_m
    moved = _with_near_faces([_shift(f, east, north, up) for f in raw.footprints])
    where = _gps(raw, east, north, up, gps)
    ground, beyond = ground_rows(raw.ground, east, north, up)
    ignored = dict(raw.ignored)
    ignored |= {
        f"{kind} beyond the {MAX_CORNERS:,} corners of ground nearest to the base": n for kind, n in beyond.items()
    }
    return City(moved, Origin(east, north, up, raw.crs, where), ignored, dict(raw.replaced), ground=ground)


def _free_place(footprints: list[Footprint], middle: Vec2) -> Vec2:
    """The free place nearest to the building that is nearest to the middle: drones need not fly far."""
    heart = min(footprints, key=lambda f: _distance(f, *middle))
    x0, y0 = heart.rings[0][0]
    place = _free_within(footprints, (x0, y0), NEAR_M)
    return place or _free_within(footprints, (x0, y0), FARTHEST_BASE_M) or middle


def _free_within(footprints: list[Footprint], around: Vec2, reach_m: float) -> Vec2 | None:
    """The free place nearest to a point, at most so far away; only the buildings in reach are looked at."""
    x0, y0 = around
    most = reach_m + BASE_CLEARANCE_M
    near = [f for f in footprints if _reaches(f, x0 - most, y0 - most, x0 + most, y0 + most)]
    world = World(City([_shift(f, x0, y0, 0.0) for f in near]), with_facades=False)
    for ring in range(1, int(reach_m // RING_STEP_M)):
        reach = RING_STEP_M * ring
        steps = 8 * ring if ring <= FINE_RINGS else FINE_RINGS
        for step in range(steps):
            angle = radians(360.0 * step / steps)
            x, y = reach * cos(angle), reach * sin(angle)
            if world.clearance_m((x, y, FAR_BELOW_M)) >= BASE_CLEARANCE_M:
                return x0 + x, y0 + y
    return None


def _reaches(footprint: Footprint, west: float, south: float, east: float, north: float) -> bool:
    x0, y0, x1, y1 = box_of(footprint.rings)
    return x0 <= east and x1 >= west and y0 <= north and y1 >= south


def _distance(footprint: Footprint, x: float, y: float) -> float:
    return min(hypot(px - x, py - y) for ring in footprint.rings for px, py in ring)


def _shift(footprint: Footprint, east: float, north: float, up: float) -> Footprint:
    rings = tuple(tuple((x - east, y - north) for x, y in ring) for ring in footprint.rings)
    bottom = None if footprint.bottom_m is None else footprint.bottom_m - up
    faces = tuple(tuple((x - east, y - north, z - up) for x, y, z in face) for face in footprint.faces)
    return replace(
        footprint, rings=rings, ground_m=footprint.ground_m - up, roof_m=footprint.roof_m - up, bottom_m=bottom,
        faces=faces,
    )  # fmt: skip


def _with_near_faces(footprints: list[Footprint]) -> list[Footprint]:
    """The buildings, those nearest to the base with their faces: every record of a session carries them."""
    left = MAX_FACE_CORNERS
    kept: set[str] = set()
    for footprint in sorted(footprints, key=lambda f: _distance(f, 0.0, 0.0)):
        left -= sum(map(len, footprint.faces))
        if left < 0:
            break
        kept.add(footprint.name)
    return [f if not f.faces or f.name in kept else replace(f, faces=()) for f in footprints]


def _gps(raw: RawCity, east: float, north: float, up: float, gps: Gps | None) -> Gps | None:
    if gps is not None:
        per_east, per_north = metres_per_degree(gps.lat_deg)
        return Gps(gps.lat_deg + north / per_north, gps.lon_deg + east / per_east, up)
    if raw.crs in RD_SYSTEMS:
        lat, lon = rd_to_wgs84(east, north)
        return Gps(lat, lon, up)
    place = to_wgs84(raw.crs, east / raw.unit_m, north / raw.unit_m)
    return Gps(*place, up) if place else None


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
    return City(footprints, Origin(), source=f"random({buildings}, {hidden})")


def _lattice(count: int) -> list[tuple[int, int]]:
    """Cells around the base's own cell (0, 0), nearest first."""
    side = 2 + int(count**0.5)
    cells = [(i, j) for i in range(-side, side + 1) for j in range(-side, side + 1) if (i, j) != (0, 0)]
    return sorted(cells, key=lambda c: (c[0] ** 2 + c[1] ** 2, c))[:count]
