"""The town of a recorded session, out of the scene in its folder: to fly again where it was flown.

Buildings and ground are as the scene holds them, hidden ones stay hidden; the origin and its GPS come from the base.
Refused: a folder whose scene cannot be read. A session without buildings gives open ground.
Not here: writing the scene (boxes.session_buildings_box), city files (city).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sessionstore.boxes.session_buildings_box import SCENE
from sessionstore.errors import SessionStoreError
from sessionstore.layout import DOCUMENT, StoreRoot
from sessionstore.model import json_text
from sessionstore.session import Session
from sessionstore.simulation.errors import CityFileError
from sessionstore.simulation.world.buildings import City, Footprint, Gps, Origin
from sessionstore.simulation.world.geometry import Vec3


def is_session(path: str | Path) -> bool:
    """Whether a path is the folder of a session."""
    return (Path(path) / DOCUMENT).is_file()


def city_of_session(path: str | Path) -> City:
    """The town of the session in a folder.

    Raises:
        CityFileError: the record or the scene cannot be read; nothing was loaded.
    """
    folder = Path(path).expanduser().resolve()
    try:
        rows = list(Session(StoreRoot(folder.parent), folder.name).tables().get(SCENE, {}).values())
        footprints = [_footprint(row) for row in rows if row.get("kind") == "building"]
        ground = [row for row in rows if row.get("kind") == "ground"]
        origin = next((_origin(row) for row in rows if row.get("kind") == "base"), Origin())
    except (SessionStoreError, KeyError, TypeError, ValueError) as error:
        raise CityFileError(str(path), "scene", f"{type(error).__name__}: {error}") from error
    digest = hashlib.sha256(json_text.layout(rows)).hexdigest()
    return City(footprints, origin, source=f"session {folder.name}", sha256=digest, ground=ground)


def _footprint(row: Mapping[str, Any]) -> Footprint:
    """A building of the scene; one without a footprint (of other programs) is the box of its size."""
    if "footprint" in row:
        rings = tuple(tuple((float(x), float(y)) for x, y in ring) for ring in row["footprint"])
        low, high = float(row["ground_m"]), float(row["roof_m"])
    else:
        (x, y, low), (width, depth, height) = row["position"], row.get("size") or row["dimensions"]
        x0, x1, y0, y1 = x - width / 2, x + width / 2, y - depth / 2, y + depth / 2
        rings, high = (((x0, y0), (x1, y0), (x1, y1), (x0, y1)),), low + height
    faces = tuple(_corners(face) for face in row.get("faces") or ())
    return Footprint(str(row["name"]), rings, low, high, hidden=row.get("visible") is False, faces=faces)


def _corners(face: Sequence[float]) -> tuple[Vec3, ...]:
    numbers = [float(each) for each in face]
    return tuple(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True))


def _origin(row: Mapping[str, Any]) -> Origin:
    origin, gps = row.get("origin") or {}, row.get("gps")
    place = Gps(gps["lat"], gps["lon"], gps["alt"]) if gps else None
    east, north, up = (float(origin.get(name, 0.0)) for name in ("easting_m", "northing_m", "height_m"))
    return Origin(east, north, up, origin.get("crs", "local"), place)
