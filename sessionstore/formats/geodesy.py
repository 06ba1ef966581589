"""Between WGS 84 and east-north-up metres around an origin, exact to the micrometre (by earth-centred coordinates).

Refused: an origin outside latitude -90 to 90 or longitude -180 to 180.
Not here: orientations and other axes (session.frames).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sessionstore.errors import InvalidRecord
from sessionstore.session.frames import Vector3

_A_M = 6378137.0
_F = 1 / 298.257223563
_E2 = _F * (2 - _F)


@dataclass(frozen=True, slots=True)
class Origin:
    """The point on the ellipsoid that is (0, 0, 0): degrees, and metres above the ellipsoid or the sea, as given."""

    latitude_deg: float
    longitude_deg: float
    altitude_m: float = 0.0

    def __post_init__(self) -> None:
        if not (abs(self.latitude_deg) <= 90 and abs(self.longitude_deg) <= 180 and math.isfinite(self.altitude_m)):
            raise InvalidRecord(f"{self.latitude_deg}, {self.longitude_deg} is not a place in degrees")

    def as_record(self) -> dict[str, float]:
        """Return the field ``gps`` of a record."""
        return {"lat": self.latitude_deg, "lon": self.longitude_deg, "alt": self.altitude_m}

    def to_enu(self, latitude_deg: float, longitude_deg: float, altitude_m: float) -> Vector3:
        """Return (east, north, up) in metres of a geographic position."""
        here = _earth_centred(self.latitude_deg, self.longitude_deg, self.altitude_m)
        there = _earth_centred(latitude_deg, longitude_deg, altitude_m)
        dx, dy, dz = (b - a for a, b in zip(here, there, strict=True))
        sin_lat, cos_lat, sin_lon, cos_lon = self._axes()
        east = -sin_lon * dx + cos_lon * dy
        north = -sin_lat * cos_lon * dx - sin_lat * sin_lon * dy + cos_lat * dz
        return east, north, cos_lat * cos_lon * dx + cos_lat * sin_lon * dy + sin_lat * dz

    def to_geographic(self, east_m: float, north_m: float, up_m: float) -> Vector3:
        """Return (latitude, longitude, altitude) in degrees and metres of a position around the origin."""
        x, y, z = _earth_centred(self.latitude_deg, self.longitude_deg, self.altitude_m)
        sin_lat, cos_lat, sin_lon, cos_lon = self._axes()
        x += -sin_lon * east_m - sin_lat * cos_lon * north_m + cos_lat * cos_lon * up_m
        y += cos_lon * east_m - sin_lat * sin_lon * north_m + cos_lat * sin_lon * up_m
        return _geographic(x, y, z + cos_lat * north_m + sin_lat * up_m)

    def _axes(self) -> tuple[float, float, float, float]:
        latitude, longitude = math.radians(self.latitude_deg), math.radians(self.longitude_deg)
        return math.sin(latitude), math.cos(latitude), math.sin(longitude), math.cos(longitude)


def origin_of(gps: Mapping[str, Any] | None, session_id: str) -> Origin:
    """Return the origin of a session's field ``gps``. Raises: InvalidRecord: it has none (with what to do)."""
    given = gps or {}
    latitude, longitude = given.get("lat", given.get("latitude")), given.get("lon", given.get("longitude"))
    if latitude is None or longitude is None:
        raise InvalidRecord(
            f"{session_id} has no GPS origin, which geographic formats need: "
            "set the field gps to lat, lon (degrees) and alt (metres) of its base"
        )
    altitude = given.get("alt", given.get("altitude", 0.0))
    return Origin(float(latitude), float(longitude), float(altitude or 0.0))


def _earth_centred(latitude_deg: float, longitude_deg: float, altitude_m: float) -> Vector3:
    latitude, longitude = math.radians(latitude_deg), math.radians(longitude_deg)
    radius = _A_M / math.sqrt(1 - _E2 * math.sin(latitude) ** 2)
    flat = (radius + altitude_m) * math.cos(latitude)
    return (
        flat * math.cos(longitude),
        flat * math.sin(longitude),
        (radius * (1 - _E2) + altitude_m) * math.sin(latitude),
    )


def _geographic(x: float, y: float, z: float) -> Vector3:
    flat = math.hypot(x, y)
    latitude, altitude = math.atan2(z, flat * (1 - _E2)), 0.0
    for _ in range(6):  # converges by a factor of 300 a step
        radius = _A_M / math.sqrt(1 - _E2 * math.sin(latitude) ** 2)
        altitude = flat * math.cos(latitude) + z * math.sin(latitude) - _A_M**2 / radius
        latitude = math.atan2(z, flat * (1 - _E2 * radius / (radius + altitude)))
    return math.degrees(latitude), math.degrees(math.atan2(y, x)), altitude
