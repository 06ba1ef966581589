"""City files: every version and geometry type that buildings come in, and clear refusals."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from sessionstore.simulation.errors import CityFileError
from sessionstore.simulation.world.buildings import Footprint
from sessionstore.simulation.world.city import open_city
from sessionstore.simulation.world.cityjson import read_cityjson
from sessionstore.simulation.world.geometry import signed_area_m2
from sessionstore.simulation.world.heights import DEFAULT_HEIGHT_M
from sessionstore.simulation.world.world import World

CORNERS = [[x, y, z] for z in (410, 425) for x, y in ((0, 0), (10, 0), (10, 6), (0, 6))]
FACES = [[[3, 2, 1, 0]], [[4, 5, 6, 7]], [[0, 1, 5, 4]], [[1, 2, 6, 5]], [[2, 3, 7, 6]], [[3, 0, 4, 7]]]
BOUNDARIES: dict[str, Any] = {
    "MultiSurface": FACES,
    "CompositeSurface": FACES,
    "Solid": [FACES],
    "MultiSolid": [[FACES]],
    "CompositeSolid": [[FACES]],
}


def document(version: str = "2.0", geometry: Any = None, **more: Any) -> dict[str, Any]:
    shape = geometry or {"type": "Solid", "lod": "2", "boundaries": BOUNDARIES["Solid"]}
    return {
        "type": "CityJSON",
        "version": version,
        "CityObjects": {"house": {"type": "Building", "geometry": [shape]}},
        "vertices": CORNERS,
        **more,
    }


def read(doc: dict[str, Any]) -> list[Footprint]:
    return read_cityjson(Path("x.json"), json.dumps(doc)).footprints


def assert_house(house: Footprint) -> None:
    assert abs(sum(signed_area_m2(ring) for ring in house.rings)) == pytest.approx(60.0)
    assert (house.ground_m, house.roof_m) == (410, 425)


@pytest.mark.parametrize("version", ["1.0", "1.0.3", "1.1", "2.0"])
@pytest.mark.parametrize("kind", sorted(BOUNDARIES))
def test_every_version_and_geometry_type_gives_the_footprint_and_heights(version: str, kind: str) -> None:
    (house,) = read(document(version, {"type": kind, "lod": "1.2", "boundaries": BOUNDARIES[kind]}))
    assert_house(house)


def test_a_ground_surface_is_taken_at_its_word() -> None:
    shape = {
        "type": "Solid", "lod": "2", "boundaries": [FACES],
        "semantics": {"surfaces": [{"type": "GroundSurface"}, {"type": "WallSurface"}], "values": [[0, 1, 1, 1, 1, 1]]},
    }  # fmt: skip
    (house,) = read(document(geometry=shape))
    assert_house(house)


def test_the_transform_is_applied() -> None:
    doc = document(transform={"scale": [0.001, 0.001, 0.001], "translate": [85000.0, 447000.0, 5.0]})
    doc["vertices"] = [[v * 1000 for v in corner] for corner in CORNERS]
    (house,) = read(doc)
    assert house.ground_m == pytest.approx(415) and min(x for x, _ in house.rings[0]) == pytest.approx(85000)


def test_the_most_detailed_geometry_counts_and_a_flat_one_gets_its_height_from_attributes() -> None:
    flat = {"type": "MultiSurface", "lod": "0", "boundaries": [[[0, 1, 2, 3]]]}
    doc = document(geometry=flat)
    assert read(doc)[0].roof_m == 410.0 + DEFAULT_HEIGHT_M
    doc["CityObjects"]["house"]["attributes"] = {"measuredHeight": 22.5}
    assert read(doc)[0].roof_m == 432.5
    doc["CityObjects"]["house"]["attributes"] = {"storeysAboveGround": 4}
    assert read(doc)[0].roof_m == 422.0
    doc["CityObjects"]["house"]["geometry"].append({"type": "Solid", "lod": "2.2", "boundaries": [FACES]})
    assert_house(read(doc)[0])


def test_building_parts_are_buildings_and_other_objects_are_counted() -> None:
    doc = document()
    part = {"type": "BuildingPart", "parents": ["house"], "geometry": doc["CityObjects"]["house"]["geometry"]}
    doc["CityObjects"] = {
        "house": {"type": "Building", "children": ["part"]}, "part": part, "tree": {"type": "PlantCover"},
        "river": {"type": "WaterBody"}, "bush": {"type": "PlantCover"},
    }  # fmt: skip
    raw = read_cityjson(Path("x.json"), json.dumps(doc))
    assert [f.name for f in raw.footprints] == ["part"]
    assert raw.ignored == {"PlantCover": 2, "WaterBody": 1}


def test_a_template_is_placed_by_its_matrix_and_reference_point() -> None:
    doc = document(
        geometry={
            "type": "GeometryInstance", "template": 0, "boundaries": [0],
            "transformationMatrix": [2, 0, 0, 100, 0, 2, 0, 200, 0, 0, 1, 0, 0, 0, 0, 1],
        }
    )  # fmt: skip
    doc["geometry-templates"] = {
        "templates": [{"type": "Solid", "lod": "2", "boundaries": [FACES]}],
        "vertices-templates": [[x, y, z - 410] for x, y, z in CORNERS],
    }
    (house,) = read(doc)
    assert min(x for x, _ in house.rings[0]) == 100 and max(x for x, _ in house.rings[0]) == 120
    assert (house.ground_m, house.roof_m) == (410, 425)


def test_a_sequence_of_features_is_read_line_by_line() -> None:
    header = {"type": "CityJSON", "version": "2.0", "CityObjects": {}, "vertices": [],
              "transform": {"scale": [1, 1, 1], "translate": [50, 0, 0]}}  # fmt: skip
    feature = {**document(), "type": "CityJSONFeature", "id": "house"}
    other = copy.deepcopy(feature)
    other["CityObjects"] = {"second": other["CityObjects"]["house"]}
    text = "\n".join(json.dumps(line) for line in (header, feature, other))
    raw = read_cityjson(Path("x.city.jsonl"), text)
    assert [f.name for f in raw.footprints] == ["house", "second"]
    assert min(x for x, _ in raw.footprints[0].rings[0]) == 50


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda d: d.update(type="FeatureCollection"), "features"),
        (lambda d: d.update(version="3.0"), "version"),
        (lambda d: d.pop("CityObjects"), "CityObjects"),
        (lambda d: d.update(vertices=7), "vertices"),
        (lambda d: d.update(vertices=[[1, 2]]), "CityObjects.house"),
        (lambda d: d["CityObjects"]["house"]["geometry"][0].update(boundaries=[[[[0, 1, 99]]]]), "CityObjects.house"),
        (lambda d: d["CityObjects"]["house"]["geometry"][0].pop("boundaries"), "CityObjects.house"),
    ],
)
def test_what_is_damaged_is_refused_with_the_place(tmp_path: Path, change: Any, where: str) -> None:
    doc = document()
    change(doc)
    path = tmp_path / "x.json"
    path.write_text(json.dumps(doc))
    with pytest.raises(CityFileError, match=rf"x\.json: {where}"):
        open_city(path)


def test_text_that_is_no_json_is_refused_with_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text('{"type": "CityJSON",\n oops}')
    with pytest.raises(CityFileError, match=r"broken\.json: line 2 column 2"):
        open_city(path)
    with pytest.raises(CityFileError, match="No such file"):
        open_city(tmp_path / "nowhere.json")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CityFileError, match="not UTF-8"):
        open_city(path)
    path.write_text(json.dumps({**document(), "CityObjects": {}}))
    with pytest.raises(CityFileError, match="no building"):
        open_city(path)


def test_high_terrain_comes_down_to_the_base_and_the_origin_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "alps.json"
    path.write_text(json.dumps(document(metadata={"referenceSystem": "urn:ogc:def:crs:EPSG::2056"})))
    city = open_city(path)
    assert (city.footprints[0].ground_m, city.footprints[0].roof_m) == (0.0, 15.0)
    assert (city.origin.height_m, city.origin.crs) == (410.0, "EPSG:2056")
    assert World(city).clearance_m((0.0, 0.0, 1.0)) >= 9.0


def test_real_cities_are_read_whole(data: Path) -> None:
    delft, rotterdam = open_city(data / "delft.json"), open_city(data / "rotterdam_subset.json")
    beyond = sum(count for why, count in delft.ignored.items() if "beyond" in why)
    assert (len(delft.footprints), sum(delft.ignored.values()) - beyond) == (160, 54), (
        "what is neither building nor ground"
    )
    assert (len(rotterdam.footprints), rotterdam.ignored) == (16, {})
    assert delft.origin.gps is not None
    assert delft.origin.gps.lat_deg == pytest.approx(52.012, abs=0.003)
    assert delft.origin.gps.lon_deg == pytest.approx(4.367, abs=0.003)
    for city in (delft, rotterdam):
        world = World(city)
        assert sum(window.reachable for window in world.windows) > 100
        assert all(0 < b.height_m < 60 and abs(b.box[0]) < 600 for b in world.buildings)
        assert world.clearance_m((0.0, 0.0, 0.0)) >= 9.0
