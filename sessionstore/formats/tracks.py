"""Tracks of a session for maps (GeoJSON, GPX, KML, CZML): one for each drone, with the instants of the wall clock.

Positions are longitude and latitude in degrees (WGS 84) and metres of altitude, from the origin ``gps`` of the session.
Refused: a session without an origin or without positions. Left out: attitude, buildings, other streams.
Not here: geodesy (geodesy).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from sessionstore.disk import files
from sessionstore.errors import Conflict, InvalidRecord
from sessionstore.formats.geodesy import Origin, origin_of
from sessionstore.formats.protocol import Options
from sessionstore.model import json_text
from sessionstore.model.instants import instant
from sessionstore.session import stream_names

if TYPE_CHECKING:
    from sessionstore.session import Session

_START = datetime(1970, 1, 1, tzinfo=UTC)


class _Tracks:
    """A map format: subclasses give the parts of the file."""

    name = ""
    about = ""
    extensions: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()

    def sniff(self, head: bytes, path: Path) -> float:
        """Return 0.0: these formats are written only."""
        return 0.0

    def write(self, session: Session, path: Path, options: Options) -> Path:
        """Write the tracks of all drones. Raises: InvalidRecord: no origin, no positions; Conflict."""
        return self.write_together([session], path, options)

    def write_together(self, sessions: Sequence[Session], path: Path, options: Options) -> Path:
        """Write the tracks of several sessions; a drone is named with its session then. Raises: as :meth:`write`."""
        flights = []
        for session in sessions:
            flight = Flight(session, origin_of(session.record.gps, session.session_id), alone=len(sessions) == 1)
            if not flight.drones:
                raise InvalidRecord(f"{session.session_id} has no positions")
            flights.append(flight)
        try:
            files.create(path, (part.encode() for part in self._parts(flights)))
        except FileExistsError as error:
            raise Conflict(f"{path} exists already and was not changed") from error
        return path

    def _parts(self, flights: Sequence[Flight]) -> Iterator[str]:
        raise NotImplementedError


class Flight:
    """Positions of a session in degrees and instants; each pass reads the stream again, so memory stays small.

    Args:
        alone: whether its drones keep their own names.
    """

    def __init__(self, session: Session, origin: Origin, alone: bool = True) -> None:
        record = session.record
        self.session, self.origin, self._alone = session, origin, alone
        self.name = record.session_name or session.session_id
        started = record.started_at or record.created_at
        self.start = instant(started) if started else _START
        ends: dict[str, tuple[float, float]] = {}
        for line in self._lines():
            drone = str(line.data["drone"])
            ends[drone] = (ends[drone][0] if drone in ends else line.t_s, line.t_s)
        self.drones = sorted(ends)
        self.ends = ends

    def label(self, drone: str) -> str:
        """Return the name of a track: that of its drone, with the session's where several are in one file."""
        return drone if self._alone else f"{self.session.session_id} {drone}"

    def _lines(self) -> Iterator[Any]:
        for line in self.session.tape(stream_names.MOTION).in_time():
            if "drone" in line.data and "position" in line.data:
                yield line

    def points(self, drone: str) -> Iterator[tuple[float, str, tuple[float, float, float]]]:
        """Yield sim_time, instant, and (longitude, latitude, altitude), rounded to a millimetre."""
        for line in self._lines():
            if str(line.data["drone"]) == drone:
                latitude, longitude, altitude = self.origin.to_geographic(*line.data["position"])
                place = (round(longitude, 8), round(latitude, 8), round(altitude, 3))
                yield line.t_s, self.instant(line.t_s), place

    def instant(self, t_s: float) -> str:
        """Return the instant of a sim_time."""
        return json_text.utc_text(self.start + timedelta(seconds=t_s))


def _tracks(flights: Sequence[Flight]) -> Iterator[tuple[Flight, str]]:
    for flight in flights:
        for drone in flight.drones:
            yield flight, drone


def _title(flights: Sequence[Flight]) -> str:
    return flights[0].name if len(flights) == 1 else f"{len(flights)} sessions"


class GeoJson(_Tracks):
    """A LineString for each drone; sim_time and instants in ``properties.coordinateProperties``."""

    name = "geojson"
    about = "tracks as GeoJSON (RFC 7946)"
    extensions = (".geojson",)

    def _parts(self, flights: Sequence[Flight]) -> Iterator[str]:
        yield '{"type":"FeatureCollection","features":['
        for number, (flight, drone) in enumerate(_tracks(flights)):
            points = list(flight.points(drone))
            places: list[Any] = [list(place) for _, _, place in points]
            single = len(places) == 1
            times = {"times": [at for _, at, _ in points], "sim_times": [t for t, _, _ in points]}
            feature = {
                "type": "Feature",
                "geometry": {
                    "type": "Point" if single else "LineString",
                    "coordinates": places[0] if single else places,
                },
                "properties": {"name": flight.label(drone), "session": flight.name, "coordinateProperties": times},
            }
            yield ("," if number else "") + json.dumps(feature, ensure_ascii=False)
        yield "]}\n"


class Gpx(_Tracks):
    """A track for each drone."""

    name = "gpx"
    about = "tracks as GPX 1.1"
    extensions = (".gpx",)

    def _parts(self, flights: Sequence[Flight]) -> Iterator[str]:
        yield '<?xml version="1.0" encoding="UTF-8"?>\n<gpx version="1.1" creator="sessionstore" '
        yield f'xmlns="http://www.topografix.com/GPX/1/1">\n<metadata><name>{_xml(_title(flights))}</name></metadata>\n'
        for flight, drone in _tracks(flights):
            yield f"<trk><name>{_xml(flight.label(drone))}</name><trkseg>\n"
            for _, at, (longitude, latitude, altitude) in flight.points(drone):
                yield f'<trkpt lat="{latitude}" lon="{longitude}"><ele>{altitude}</ele><time>{at}</time></trkpt>\n'
            yield "</trkseg></trk>\n"
        yield "</gpx>\n"


class Kml(_Tracks):
    """A placemark with a track (gx:Track) for each drone."""

    name = "kml"
    about = "tracks as KML 2.2"
    extensions = (".kml",)

    def _parts(self, flights: Sequence[Flight]) -> Iterator[str]:
        yield '<?xml version="1.0" encoding="UTF-8"?>\n<kml xmlns="http://www.opengis.net/kml/2.2" '
        yield 'xmlns:gx="http://www.google.com/kml/ext/2.2">\n'
        yield f"<Document><name>{_xml(_title(flights))}</name>\n"
        for flight, drone in _tracks(flights):
            yield f"<Placemark><name>{_xml(flight.label(drone))}</name>"
            yield "<gx:Track><altitudeMode>absolute</altitudeMode>\n"
            yield from (f"<when>{at}</when>\n" for _, at, _ in flight.points(drone))
            yield from (f"<gx:coord>{x} {y} {z}</gx:coord>\n" for _, _, (x, y, z) in flight.points(drone))
            yield "</gx:Track></Placemark>\n"
        yield "</Document></kml>\n"


class Czml(_Tracks):
    """A packet with sampled positions for each drone, for Cesium."""

    name = "czml"
    about = "tracks as CZML for Cesium"
    extensions = (".czml",)

    def _parts(self, flights: Sequence[Flight]) -> Iterator[str]:
        start = min(flight.instant(0.0) for flight in flights)
        end = max(flight.instant(last) for flight in flights for _, last in flight.ends.values())
        clock = {"interval": f"{start}/{max(start, end)}", "currentTime": start, "multiplier": 1}
        yield "[" + json.dumps({"id": "document", "name": _title(flights), "version": "1.0", "clock": clock})
        for flight, drone in _tracks(flights):
            samples = [value for t, _, place in flight.points(drone) for value in (t, *place)]
            first, last = (flight.instant(t_s) for t_s in flight.ends[drone])
            packet = {
                "id": flight.label(drone),
                "name": flight.label(drone),
                "availability": f"{first}/{last}",
                "position": {"epoch": flight.instant(0.0), "cartographicDegrees": samples},
                "point": {"pixelSize": 8, "color": {"rgba": [255, 140, 0, 255]}},
                "path": {"width": 2, "leadTime": 0},
            }
            yield ",\n" + json.dumps(packet, ensure_ascii=False)
        yield "]\n"


def _xml(text: str) -> str:
    return escape("".join(each for each in text if each.isprintable()))
