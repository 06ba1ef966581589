"""GeoJSON buildings: degrees to metres, heights and levels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sessionstore.simulation.errors import CityFileError
from sessionstore.simulation.world.city import open_city, rd_to_wgs84
from sessionstore.simulation.world.geojson import metres_per_degree


def feature(properties: dict[str, Any], kind: str = "Polygon", west: float = 4.0) -> dict[str, Any]:
    ring = [[west, 52.0], [west + 0.0003, 52.0], [west + 0.0003, 52.0002], [west, 52.0002], [west, 52.0]]
    coordinates: Any = {"Polygon": [ring], "MultiPolygon": [[ring]], "Point": [west, 52.0]}[kind]
    return {"type": "Feature", "properties": properties, "geometry": {"type": kind, "coordinates": coordinates}}


def write(path: Path, *features: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return path


def test_degrees_are_as_long_as_the_ellipsoid_says() -> None:
    # Snyder, Map Projections, table of lengths of a degree: 45 degrees north
    east, north = metres_per_degree(45.0)
    assert east == pytest.approx(78847, abs=2)
    assert north == pytest.approx(111132, abs=2)
    assert metres_per_degree(0.0)[0] == pytest.approx(111319.5, abs=1)


def test_heights_and_levels_become_buildings_and_the_rest_is_counted(tmp_path: Path) -> None:
    path = write(
        tmp_path / "town.geojson",
        feature({"height": "12.5 m", "name": "a"}),
        feature({"building:levels": "4", "name": "b"}, "MultiPolygon", 4.002),
        feature({"name": "no height"}),
        feature({}, "Point"),
    )
    city = open_city(path)
    assert {f.name: f.roof_m for f in city.footprints} == {"a": 12.5, "b": 12.0}
    assert city.ignored == {"Polygon without height or levels": 1, "Point": 1}
    xs = [x for x, _ in city.footprints[0].rings[0]]
    ys = [y for _, y in city.footprints[0].rings[0]]
    assert max(xs) - min(xs) == pytest.approx(20.6, abs=0.05)
    assert max(ys) - min(ys) == pytest.approx(22.25, abs=0.05)


def test_the_base_keeps_its_place_on_the_globe(tmp_path: Path) -> None:
    city = open_city(write(tmp_path / "town.geojson", feature({"height": 10})))
    gps = city.origin.gps
    assert gps is not None
    east, north = metres_per_degree(52.0)
    corner = city.footprints[0].rings[0][0]
    assert gps.lon_deg + corner[0] / east == pytest.approx(4.0, abs=1e-7)
    assert gps.lat_deg + corner[1] / north == pytest.approx(52.0, abs=1e-7)


def test_metres_in_place_of_degrees_are_refused_with_the_feature(tmp_path: Path) -> None:
    wrong = feature({"height": 10})
    wrong["geometry"]["coordinates"] = [[[85000, 447000], [85010, 447000], [85010, 447010]]]
    with pytest.raises(CityFileError, match=r"features\[0\]: bad coordinates.*no degrees"):
        open_city(write(tmp_path / "town.geojson", wrong))


def test_dutch_coordinates_become_degrees() -> None:
    # the church tower of Amersfoort is the origin of the system
    assert rd_to_wgs84(155000.0, 463000.0) == pytest.approx((52.15517, 5.38721), abs=1e-5)
