"""Towns as publishers write them: what public reports of city files show, each as a small input."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sessionstore.cli.world import world as world_command
from sessionstore.simulation.errors import CityFileError
from sessionstore.simulation.world import reference_system
from sessionstore.simulation.world.buildings import City, Footprint
from sessionstore.simulation.world.city import open_city
from sessionstore.simulation.world.heights import DEFAULT_HEIGHT_M, length_m, levels_height_m, plausible_height_m
from sessionstore.simulation.world.world import World
from tests.simulation.test_cityjson import FACES
from tests.simulation.test_geojson import feature

Open = Callable[[Any], City]


def corners(x: float, y: float, low: float, high: float, width: float = 10.0, depth: float = 8.0) -> list[list[float]]:
    return [
        [x + u, y + v, z] for z in (low, high) for u, v in ((0, 0), (width, 0), (width, depth), (0, depth))
    ]  # fmt: skip


def solid(first: int, lod: str = "2.2") -> dict[str, Any]:
    faces = [[[i + first for i in ring] for ring in face] for face in FACES]
    return {"type": "Solid", "lod": lod, "boundaries": [faces]}


def flat(first: int, lod: str = "0") -> dict[str, Any]:
    return {"type": "MultiSurface", "lod": lod, "boundaries": [[[first, first + 1, first + 2, first + 3]]]}


def cityjson(objects: dict[str, Any], vertices: list[list[float]], **more: Any) -> dict[str, Any]:
    return {"type": "CityJSON", "version": "2.0", "CityObjects": objects, "vertices": vertices, **more}


def houses(count: int = 3, high: float = 9.0, **more: Any) -> dict[str, Any]:
    objects = {f"h{i}": {"type": "Building", "geometry": [solid(8 * i)]} for i in range(count)}
    return cityjson(objects, [c for i in range(count) for c in corners(40.0 * i, 0, 0, high)], **more)


@pytest.fixture
def read(tmp_path: Path) -> Open:
    def open_it(document: Any) -> City:
        path = tmp_path / "town.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return open_city(path)

    return open_it


def collection(*features: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features), **more}


def box_feature(tags: dict[str, Any], west: float, south: float, side: float, **more: Any) -> dict[str, Any]:
    ring = [[west, south], [west + side, south], [west + side, south + side], [west, south + side], [west, south]]
    return {
        "type": "Feature",
        "properties": tags,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        **more,
    }


# --- CityJSON


def three_d_bag() -> dict[str, Any]:
    """An outline in the Building, bodies in its part, roofs above the datum."""
    vertices = corners(0, 0, 100.0, 130.0)
    objects = {
        "NL.1": {"type": "Building", "children": ["NL.1-0"], "geometry": [flat(0)],
                 "attributes": {"b3_h_dak_max": 130.0, "b3_h_maaiveld": 100.0}},
        "NL.1-0": {"type": "BuildingPart", "parents": ["NL.1"],
                   "geometry": [flat(0), solid(0, "1.2"), solid(0, "1.3"), solid(0, "2.2")]},
    }  # fmt: skip
    return cityjson(objects, vertices)


def test_an_outline_is_not_a_second_building_beside_the_body_of_its_part(read: Open) -> None:
    city = read(three_d_bag())
    assert [(f.name, f.roof_m - f.ground_m) for f in city.footprints] == [("NL.1-0", 30.0)]
    assert city.ignored == {"outline of a building whose parts have bodies": 1}


@pytest.mark.parametrize(
    ("attributes", "height_m"),
    [
        ({"b3_h_dak_max": 108.0, "b3_h_maaiveld": 100.0}, 8.0),
        ({"b3_h_dak_max": 108.0}, 8.0),
        ({"h_dak_max": "108,0"}, 8.0),
        ({"measuredHeight": "40 ft"}, 12.192),
        ({"measuredHeight": -9999, "storeysAboveGround": "2"}, 6.0),
        ({"measuredHeight": 1e7}, DEFAULT_HEIGHT_M),
        ({"measuredHeight": -2147483.648}, DEFAULT_HEIGHT_M),
        ({}, DEFAULT_HEIGHT_M),
    ],
)
def test_attribute_heights_are_read_over_the_ground(read: Open, attributes: dict[str, Any], height_m: float) -> None:
    objects = {"house": {"type": "Building", "geometry": [flat(0)], "attributes": attributes}}
    city = read(cityjson(objects, corners(0, 0, 100.0, 100.0)))
    assert city.footprints[0].roof_m - city.footprints[0].ground_m == pytest.approx(height_m)
    assert bool(city.replaced) is (height_m == DEFAULT_HEIGHT_M)


def lowland(heights: list[tuple[float, Any]], **attributes: Any) -> dict[str, Any]:
    """Flat outlines, each with the elevation of its ground and a measuredHeight."""
    objects, vertices = {}, []
    for i, (ground, value) in enumerate(heights):
        objects[f"h{i}"] = {
            "type": "Building",
            "geometry": [flat(8 * i)],
            "attributes": {"measuredHeight": value, **attributes},
        }
        vertices += corners(40.0 * i, 0, ground, ground)
    return cityjson(objects, vertices)


@pytest.mark.parametrize(
    ("heights", "attributes", "read_m"),
    [
        ([(100.0, 108.0)], {}, [8.0]),  # the house of the report: 108 m and 980 windows
        ([(100.0, 108.0), (90.0, 97.5)], {}, [8.0, 7.5]),
        ([(2240.0, 2252.0)], {}, [12.0]),  # Mexico City: above what any building has
        ([(35.0, 41.0 + i) for i in range(12)], {}, [6.0 + i for i in range(12)]),
        ([(35.0, 41.0)], {}, [41.0]),  # one alone, on low ground: it may be so high
        ([(100.0, 108.0), (90.0, 12.0)], {}, [108.0, 12.0]),  # one that cannot be an elevation
        ([(100.0, 108.0)], {"storeysAboveGround": 35}, [108.0]),  # a tower: its levels say so
        ([(100.0, 108.0)], {"storeysAboveGround": 3}, [8.0]),
        ([(100.0, 108.0)], {"b3_h_maaiveld": 1.0}, [108.0]),
    ],
)
def test_a_measured_height_that_is_an_elevation_is_taken_over_the_ground(
    read: Open, heights: list[tuple[float, Any]], attributes: dict[str, Any], read_m: list[float]
) -> None:
    city = read(lowland(heights, **attributes))
    assert [f.roof_m - f.ground_m for f in city.footprints] == pytest.approx(read_m)
    lowered = city.replaced.get("height that is an elevation: taken over the ground", 0)
    assert lowered == (len(heights) if read_m[0] < 40 and heights[0][0] < 1000 else 0)


def test_two_objects_of_one_name_in_the_json_are_both_kept_and_counted(read: Open) -> None:
    text = json.dumps(houses(3)).replace('"h1":', '"h0":').replace('"h2":', '"h0":')
    city = read(text)
    assert sorted(f.name for f in city.footprints) == ["h0", "h0-2", "h0-3"]
    assert city.replaced == {"name that two objects share": 2}
    free = read(json.dumps(houses(3)).replace('"h1":', '"h0":').replace('"h2":', '"h0-2":'))
    assert len(free.footprints) == 3


def test_a_value_that_is_there_twice_is_counted(read: Open) -> None:
    text = json.dumps(collection(feature({"height": 12}))).replace('"height": 12', '"height": 30, "height": 12')
    city = read(text)
    assert city.footprints[0].roof_m == 12.0 and city.replaced == {"key that is there twice: the last value taken": 1}


def test_a_building_in_two_tiles_counts_once(read: Open) -> None:
    header = cityjson({}, [], transform={"scale": [1, 1, 1], "translate": [0, 0, 0]})
    tile = {"type": "CityJSONFeature", **{k: v for k, v in houses(1).items() if k in ("CityObjects", "vertices")}}
    city = read("\n".join(json.dumps(line) for line in (header, tile, tile)))
    assert [f.name for f in city.footprints] == ["h0"]
    assert city.ignored == {"building that is there twice": 1}


def test_buildings_of_one_name_are_two_with_windows_of_their_own(read: Open) -> None:
    town = collection(*(feature({"height": 12, "name": "Main"}, west=4.0 + 0.001 * i) for i in range(3)))
    city = read(town)
    assert [f.name for f in city.footprints] == ["Main", "Main-2", "Main-3"]
    world = World(city)
    assert len({w.id for w in world.windows}) == len(world.windows) == len(world.windows_by_id) > 0


def test_feet_of_new_york_become_metres(read: Open) -> None:
    town = houses(1, 100.0, metadata={"referenceSystem": "https://www.opengis.net/def/crs/EPSG/0/2263"})
    city = read(town)
    assert city.footprints[0].roof_m == pytest.approx(30.48, abs=0.001)
    xs = [x for x, _ in city.footprints[0].rings[0]]
    assert max(xs) - min(xs) == pytest.approx(3.048, abs=0.001)


def test_a_unit_is_looked_up_and_refused_with_the_reason_where_it_cannot_be(
    read: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyproj")
    town = houses(1, 100.0, metadata={"referenceSystem": "urn:ogc:def:crs:EPSG::2230"})  # California, US feet
    assert read(town).footprints[0].roof_m == pytest.approx(30.48, abs=0.001)
    monkeypatch.setattr(reference_system, "find_spec", lambda name: None)
    with pytest.raises(CityFileError, match=r"metadata\.referenceSystem: the unit of EPSG:2230 is not known.*towns"):
        read(town)


def test_a_stray_building_does_not_move_the_frame(read: Open) -> None:
    objects = {f"h{i}": {"type": "Building", "geometry": [solid(8 * i)]} for i in range(4)}
    vertices = [c for i in range(3) for c in corners(85000 + 40.0 * i, 447000, 0, 9)] + corners(0, 0, 0, 9)
    city = read(cityjson(objects, vertices))
    assert len(city.footprints) == 3 and city.ignored == {"building more than 50 km from the others": 1}
    degrees = collection(
        *(feature({"height": 9}, west=4.0 + 0.001 * i) for i in range(4)), box_feature({"height": 9}, 0.0, 0.0, 0.0003)
    )
    city = read(degrees)
    xs = [x for x, _ in city.footprints[0].rings[0]]
    assert len(city.footprints) == 4 and max(xs) - min(xs) == pytest.approx(20.6, abs=0.05)


@pytest.mark.parametrize("transform", [None, {}, {"scale": None}, {"scale": [], "translate": []}])
def test_an_empty_transform_is_none(read: Open, transform: Any) -> None:
    assert read(houses(transform=transform)).footprints[0].roof_m == 9.0


def test_a_sequence_without_its_header_is_refused(read: Open) -> None:
    line = json.dumps({**houses(1), "type": "CityJSONFeature"})
    for text in (line, line + "\n" + line):
        with pytest.raises(CityFileError, match="line 1: a sequence without its header"):
            read(text)


@pytest.mark.parametrize(
    ("document", "where"),
    [
        (houses(high=9000.0), "heights"),
        (houses(high=900000.0), "heights"),
        (cityjson(houses(3)["CityObjects"], [[1000 * x, 1000 * y, z] for x, y, z in houses(3)["vertices"]]), "extent"),
        (cityjson({f"h{i}": {"type": "Building", "geometry": [solid(8 * i)]} for i in range(4)},
                  [c for i in range(4) for c in corners(1e6 * i, 0, 0, 9)]), "extent"),
        (houses(transform={"scale": "abc"}), "transform.scale"),
        (houses(transform={"scale": [0, 0, 0]}), "transform.scale"),
        (cityjson({"h": {"type": "Building", "geometry": [solid(0)]}}, corners(0, 0, 0, 990, 2900, 2900)), "windows"),
    ],
)  # fmt: skip
def test_what_is_not_plausible_is_refused_in_under_a_second(read: Open, document: Any, where: str) -> None:
    begin = time.monotonic()
    with pytest.raises(CityFileError) as caught:
        read(document)
    assert caught.value.where == where
    assert time.monotonic() - begin < 1.0


@pytest.mark.parametrize("nodata", [-2147483.648, 1e7, -9999.0])
def test_nodata_heights_of_a_geometry_do_not_become_towers(read: Open, nodata: float) -> None:
    town = houses(3)
    for corner in town["vertices"][4:8]:
        corner[2] = nodata
    city = read(town)
    assert [f.roof_m for f in city.footprints] == [DEFAULT_HEIGHT_M, 9.0, 9.0]
    assert city.replaced


def test_an_empty_highest_level_gives_way_to_the_next(read: Open) -> None:
    town = houses(1)
    geometry = town["CityObjects"]["h0"]["geometry"]
    geometry += [
        {"type": "Solid", "lod": "3", "boundaries": []},
        {"type": "MultiSurface", "lod": "3.1", "boundaries": [[]]},
    ]
    assert read(town).footprints[0].roof_m == 9.0


def test_all_geometries_of_one_level_count(read: Open) -> None:
    objects = {"h": {"type": "Building", "geometry": [solid(0), solid(8)]}}
    city = read(cityjson(objects, corners(0, 0, 0, 9) + corners(10, 0, 0, 25)))
    xs = [x for ring in city.footprints[0].rings for x, _ in ring]
    assert max(xs) - min(xs) == 20.0 and city.footprints[0].roof_m == 25.0


def test_a_thin_slab_stays_thin(read: Open) -> None:
    assert read(houses(high=0.3)).footprints[0].roof_m == pytest.approx(0.3)


def test_an_overhang_belongs_to_the_footprint(read: Open) -> None:
    ground = {"type": "GroundSurface"}
    lower, upper = FACES, [[[i + 8 for i in ring] for ring in face] for face in FACES]
    shape = {
        "type": "MultiSurface", "lod": "2", "boundaries": lower + upper,
        "semantics": {"surfaces": [ground, {"type": "WallSurface"}], "values": [0] + [1] * 11},
    }  # fmt: skip
    objects = {"h": {"type": "Building", "geometry": [shape]}}
    city = read(cityjson(objects, corners(0, 0, 0, 9) + corners(-4, 0, 9, 20, 18.0)))
    xs = [x for ring in city.footprints[0].rings for x, _ in ring]
    assert max(xs) - min(xs) == 18.0
    building = World(city).buildings[0]
    assert building.distance_m(min(xs) + 1.0, building.center[1]) == 0.0


def test_what_a_roof_spans_between_the_corners_of_the_walls_belongs_to_the_footprint(read: Open) -> None:
    """A U of ground, closed by a level roof: no corner stands outside of the U, but half of the roof does."""
    u = [(0, 0), (30, 0), (30, 30), (20, 30), (20, 10), (10, 10), (10, 30), (0, 30)]
    vertices = [[x, y, z] for z in (0, 12) for x, y in u]
    ground = {
        "type": "MultiSurface",
        "lod": "2",
        "boundaries": [[list(range(8))], [[8, 9, 10, 15]], [[0, 1, 9, 8]]],
        "semantics": {"surfaces": [{"type": "GroundSurface"}, {"type": "RoofSurface"}], "values": [0, 1, None]},
    }
    city = read(cityjson({"u": {"type": "Building", "geometry": [ground]}}, vertices))
    east, north = city.origin.easting_m, city.origin.northing_m
    assert World(city).clearance_m((15 - east, 20 - north, 5.0 - city.origin.height_m)) == 0.0


@pytest.mark.parametrize("roofed", [True, False])
def test_a_yard_is_a_hole_unless_a_roof_covers_it(read: Open, roofed: bool) -> None:
    square = [(0, 0), (30, 0), (30, 30), (0, 30)]
    yard = [(10, 10), (20, 10), (20, 20), (10, 20)]
    vertices = [[x, y, z] for z in (0, 12) for x, y in (*square, *yard)]
    roof = [[8, 9, 10, 11]] if roofed else [[8, 9, 10, 11], [15, 14, 13, 12]]
    geometry = {
        "type": "MultiSurface",
        "lod": "2",
        "boundaries": [[[3, 2, 1, 0], [4, 5, 6, 7]], roof, [[0, 1, 9, 8]]],
        "semantics": {"surfaces": [{"type": "GroundSurface"}, {"type": "RoofSurface"}], "values": [0, 1, None]},
    }
    city = read(cityjson({"b": {"type": "Building", "geometry": [geometry]}}, vertices))
    middle = (15 - city.origin.easting_m, 15 - city.origin.northing_m, 5.0)
    assert (World(city).clearance_m(middle) == 0.0) is roofed


def test_web_mercator_is_drawn_back_to_metres_on_the_ground(read: Open) -> None:
    """At 60 degrees north it is stretched to twice the length."""
    northing = 8_399_737.89
    vertices = corners(1_000_000.0, northing, 0, 9, width=40.0, depth=20.0)
    house = {"h": {"type": "Building", "geometry": [solid(0)]}}
    city = read(cityjson(house, vertices, metadata={"referenceSystem": "https://www.opengis.net/def/crs/EPSG/0/3857"}))
    x0, y0, x1, y1 = World(city).buildings[0].box
    assert (x1 - x0, y1 - y0) == pytest.approx((20.0, 10.0), abs=0.01)
    assert city.footprints[0].roof_m == 9.0
    gps = city.origin.gps
    assert gps is None or gps.lat_deg == pytest.approx(60.0, abs=0.01)
    square = [[1e6, northing], [1e6 + 40, northing], [1e6 + 40, northing + 20], [1e6, northing + 20], [1e6, northing]]
    polygon = {"type": "Feature", "properties": {"height": 9}, "geometry": {"type": "Polygon", "coordinates": [square]}}
    town = read(collection(polygon, crs={"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}))
    x0, y0, x1, y1 = World(town).buildings[0].box
    assert (x1 - x0, y1 - y0) == pytest.approx((20.0, 10.0), abs=0.01)


def test_outlines_without_any_height_or_tag_are_refused_with_the_way_out(read: Open, tmp_path: Path) -> None:
    with pytest.raises(CityFileError, match="give a default height"):
        read(collection(feature({"uID": 1})))
    assert open_city(tmp_path / "town.json", 12.0).footprints[0].roof_m == 12.0


def test_what_is_replaced_counts_buildings_only(read: Open) -> None:
    point = {
        "type": "Feature",
        "properties": {"building": "yes"},
        "geometry": {"type": "Polygon", "coordinates": [[[4, 52]]]},
    }
    city = read(collection(box_feature({"building": "yes"}, 4.0, 52.0, 0.0002), point))
    assert city.replaced == {"no height: 9 m taken": 1} and city.ignored == {"geometry not understood": 1}


@pytest.mark.parametrize(("tags", "low_m", "high_m"), [
    ({"height": 40, "base_height": 30}, 30.0, 40.0),  # Mapbox
    ({"number_of_stories": 5, "number_of_stories_above_ground": 4}, 0.0, 12.0),  # URBANopt
])  # fmt: skip
def test_keys_of_other_publishers_are_read(read: Open, tags: dict[str, Any], low_m: float, high_m: float) -> None:
    house = read(collection(feature(tags))).footprints[0]
    assert (house.floor_m, house.roof_m) == (low_m, high_m)


@pytest.mark.parametrize(
    "semantics", [[[0, 0, 2, 2, 2, 1]], {"surfaces": 7, "values": [[0]]}, {"surfaces": ["RoofSurface"]}, "WallSurface"]
)
def test_semantics_that_are_not_understood_cost_the_kinds_of_the_surfaces_alone(read: Open, semantics: Any) -> None:
    document = houses()  # as in cjio's mt-2-triangulated.json: the bare values, without their surfaces
    document["CityObjects"]["h1"]["geometry"][0]["semantics"] = semantics
    city = read(document)
    assert [round(f.roof_m - f.floor_m, 3) for f in city.footprints] == [9.0, 9.0, 9.0]
    assert city.replaced == {"semantics not understood: surfaces taken without their kinds": 1}
    assert city.ignored == {}


def test_one_geometry_that_is_not_understood_costs_that_geometry_alone(read: Open) -> None:
    town = houses(3)
    town["CityObjects"]["h1"]["geometry"][0]["boundaries"] = [[[[0, 1, 999]]]]
    town["CityObjects"]["h2"]["geometry"].append({"type": "Solid", "lod": "3"})
    town["vertices"].append(["x"])
    city = read(town)
    assert [f.name for f in city.footprints] == ["h0", "h2"]
    assert city.ignored == {"geometry not understood": 2}


# --- GeoJSON


@pytest.mark.parametrize(
    ("text", "metres"),
    [
        ("40 ft", 12.192), ("574'", 174.9552), ("12 metres", 12.0), ("12,5", 12.5), ("12.5 m", 12.5), ("7m", 7.0),
        ("6'6\"", 1.9812), ("~12", 12.0), ("10-12", 12.0), ("3;4", 4.0), (" 8 ", 8.0), ("1200 cm", 12.0), (12, 12.0),
        ("high", None), ("", None), (None, None), (True, None), ([], None), (float("nan"), None), ("1e99", None),
        ("12 parsec", None), ("9" * 5000, None), (10**400, None),
    ],
)  # fmt: skip
def test_lengths_are_read_as_people_write_them(text: object, metres: float | None) -> None:
    assert length_m(text) == (None if metres is None else pytest.approx(metres))


def test_heights_and_levels_have_limits() -> None:
    assert plausible_height_m("1200") is None and plausible_height_m(-3) is None and plausible_height_m(0) is None
    assert levels_height_m("3;4") == 12.0 and levels_height_m(5000) is None


@pytest.mark.parametrize(
    ("tags", "height_m"),
    [
        ({"building": "yes", "height": "40 ft"}, 12.192),
        ({"building": "yes", "height": "574'"}, 174.9552),
        ({"building": "yes", "building:levels": "3;4"}, 12.0),
        ({"building": "yes", "height": "tall", "building:levels": "5"}, 15.0),
        ({"building": "yes", "height": "tall"}, DEFAULT_HEIGHT_M),
        ({"building": "yes", "height": -2147483.648}, DEFAULT_HEIGHT_M),
        ({"building": "yes"}, DEFAULT_HEIGHT_M),
        ({"tags": {"building": "yes", "height": "20"}}, 20.0),
        ({"heightroof": 100.0, "groundelev": 50}, 30.48),
        ({"height": "tall"}, DEFAULT_HEIGHT_M),
        ({"h_dak_max": 108.0, "h_maaiveld": 100.0}, 8.0),
    ],
)
def test_every_building_stands_at_its_height_or_the_stated_default(
    read: Open, tags: dict[str, Any], height_m: float
) -> None:
    city = read(collection(feature(tags)))
    assert city.footprints[0].roof_m - city.footprints[0].ground_m == pytest.approx(height_m)
    assert bool(city.replaced) is (height_m == DEFAULT_HEIGHT_M)


@pytest.mark.parametrize("coordinates", [[], [[]], [[[4.0, 52.0]]], None, "x", [[["a", "b"]] * 4], [[4.0] * 4], {}])
def test_degenerate_polygons_cost_themselves_alone(read: Open, coordinates: Any) -> None:
    bad = feature({"height": 10})
    bad["geometry"]["coordinates"] = coordinates
    city = read(collection(bad, feature({"height": 12, "name": "good"})))
    assert [f.name for f in city.footprints] == ["good"] and city.ignored == {"geometry not understood": 1}
    with pytest.raises(CityFileError, match=r"features\[0\]: bad coordinates"):
        read(collection(bad))


def test_a_late_type_is_found(read: Open) -> None:
    document = {"name": "x" * 10_000, "features": [feature({"height": 10})], "type": "FeatureCollection"}
    assert len(read(document).footprints) == 1


def test_only_buildings_are_buildings_where_the_file_tags_them(read: Open) -> None:
    city = read(collection(
        feature({"building": "house", "height": 8}), feature({"leisure": "park", "height": 30}, west=4.002),
        feature({"building": "no", "height": 30}, west=4.004),
    ))  # fmt: skip
    assert [f.roof_m for f in city.footprints] == [8.0]
    assert city.ignored == {"Polygon that is not a building": 2}


def test_parts_stand_for_their_outline_and_min_height_lifts_a_part(read: Open) -> None:
    city = read(collection(
        box_feature({"building": "yes", "height": 50, "name": "whole"}, 4.0, 52.0, 0.0004),
        box_feature({"building:part": "yes", "height": 20, "name": "low"}, 4.0, 52.0, 0.0004),
        box_feature({"building:part": "yes", "height": 50, "min_height": 20, "name": "tower"}, 4.0001, 52.0001, 0.0002),
        box_feature({"building": "yes", "height": 9, "name": "other"}, 4.002, 52.0, 0.0002),
    ))  # fmt: skip
    assert {f.name: (f.floor_m, f.roof_m) for f in city.footprints} == {
        "low": (0.0, 20.0), "tower": (20.0, 50.0), "other": (0.0, 9.0)
    }  # fmt: skip
    assert city.ignored == {"outline whose parts are buildings": 1}
    tower = next(b for b in World(city).buildings if b.name == "tower")
    assert tower.as_record()["ground_m"] == 20.0 and World(city).ground_m(*tower.center) == 0.0
    assert all(w.center_m[2] > 20.0 for w in World(city).windows if w.facade.building.name == "tower")


def test_an_export_without_heights_flies_with_the_default_and_says_how_many(read: Open, tmp_path: Path) -> None:
    town = collection(*(
        box_feature({"building": "yes"}, 4.0 + 0.0006 * (i % 30), 52.0 + 0.0004 * (i // 30), 0.0002) for i in range(831)
    ))  # fmt: skip
    city = read(town)
    assert len(city.footprints) == 831 and city.replaced == {"no height: 9 m taken": 831}
    assert open_city(tmp_path / "town.json", 15.0).footprints[0].roof_m == 15.0


# --- the whole


def town_of(count: int) -> City:
    side = 24.0
    edge = int(count**0.5) + 1
    found = []
    for i in range(count):
        x, y = 30.0 + side * (i % edge - edge // 2), 30.0 + side * (i // edge - edge // 2)
        ring = ((x, y), (x + 12, y), (x + 12, y + 10), (x, y + 10))
        found.append(Footprint(f"b{i}", (ring,), 0.0, 6.0 + i % 20))
    return City(found)


def test_a_large_town_has_windows_only_near_the_work_and_is_ready_in_seconds() -> None:
    begin = time.process_time()
    world = World(town_of(8530))
    assert time.process_time() - begin < 6.0
    assert len(world.buildings) == 8530 and 5_000 < len(world.windows) <= 20_000
    farthest = max(world.from_base_m(w.center_m) for w in world.windows)
    assert farthest < max(world.from_base_m((*b.center, 0.0)) for b in world.buildings) / 2


#: Runs the command line, then prints the seconds of the processor and the most memory (KiB; ru_maxrss is the parent's).
MEASURED_RUN = """
import re, resource, sys
from pathlib import Path
from sessionstore.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc, which tells the most memory used")
def test_a_flight_over_8530_buildings_takes_ten_seconds_of_the_processor_and_200_mb(tmp_path: Path) -> None:
    """The limits count processor time, since other tests run beside; 4 s and 110 MB were measured."""
    path = tmp_path / "town.json"
    path.write_text(json.dumps(cityjson_of(town_of(8530))))
    command = [sys.executable, "-c", MEASURED_RUN, "run", "-q", "--city", str(path), "--duration", "10", "--dir"]
    ended = subprocess.run([*command, str(tmp_path / "store")], capture_output=True, text=True, check=True)
    cpu_s, most_kib = ended.stdout.split()[-2:]
    assert float(cpu_s) < 10.0 and int(most_kib) < 200 * 1024
    stored = sum(each.stat().st_size for each in (tmp_path / "store").glob("*/windows.jsonl"))
    assert 50_000 < stored < 1_000_000  # 20,000 windows; one line for each took 3.5 MB


def cityjson_of(city: City) -> dict[str, Any]:
    """A file of solids, in whole millimetres."""
    vertices: list[list[int]] = []
    objects: dict[str, Any] = {}
    for each in city.footprints:
        first, ring = len(vertices), each.rings[0]
        vertices += [[round(x * 1000), round(y * 1000), z] for z in (0, round(each.roof_m * 1000)) for x, y in ring]
        walls = [[[first + k, first + (k + 1) % 4, first + 4 + (k + 1) % 4, first + 4 + k]] for k in range(4)]
        shell = [[[first + k for k in (3, 2, 1, 0)]], [[first + k for k in (4, 5, 6, 7)]], *walls]
        objects[each.name] = {"type": "Building", "geometry": [{"type": "Solid", "lod": "2", "boundaries": [shell]}]}
    transform = {"scale": [0.001, 0.001, 0.001], "translate": [0, 0, 0]}
    return {"type": "CityJSON", "version": "2.0", "transform": transform, "CityObjects": objects, "vertices": vertices}


def test_the_world_command_reports_what_was_read_and_draws_the_plan(tmp_path: Path) -> None:
    path, plan = tmp_path / "town.json", tmp_path / "plan.svg"
    path.write_text(
        json.dumps(collection(feature({"height": 12}), feature({"height": "?"}, west=4.001), feature({}, "Point")))
    )
    result = CliRunner().invoke(world_command, [str(path), "-o", str(plan)])
    assert result.exit_code == 0, result.output
    for words in (
        "buildings   2",
        "passed over 1 x Point",
        "replaced    1 x height that cannot be read: 9 m taken",
        "B",
    ):
        assert words in result.output
    assert plan.read_text().count("<path") == 2
    facts = json.loads(CliRunner().invoke(world_command, [str(path), "--json"]).stdout)
    assert facts["buildings"] == 2 and facts["height_m"] == {"lowest": 9.0, "median": 12.0, "highest": 12.0}


def mutated(rng: random.Random, document: Any) -> Any:
    """The document with one to three values anywhere replaced, removed, or doubled; it is changed in place."""
    for _ in range(rng.randint(1, 3)):
        here: Any = document
        while True:
            keys = list(here) if isinstance(here, dict) else list(range(len(here)))
            if not keys:
                break
            key = rng.choice(keys)
            below = here[key]
            if isinstance(below, dict | list) and below and rng.random() < 0.85:
                here = below
                continue
            if rng.random() < 0.2:
                del here[key]
            else:
                here[key] = rng.choice(
                    [None, "", "abc", -1, 0, 1e308, -2147483.648, 10**400, float("nan"), [], {}, [[]], [[[]]], True,
                     {"type": "Building"}, below, [below], [below, below], -9999, 1e7, "3;4", "1e400", "type"]
                )  # fmt: skip
            break
    return document


#: 10,000 in all; houses of Rotterdam take four times as long as the others, since they have more windows.
OFTEN = {"rotterdam_subset.json": 1_500, "delft.json": 4_250, "geojson": 4_250}


@pytest.mark.parametrize(
    ("name", "times"),
    [(name, 100) for name in OFTEN]
    + [pytest.param(*each, marks=[pytest.mark.slow, pytest.mark.timeout(600)]) for each in OFTEN.items()],
)
def test_mutated_city_files_are_read_or_refused_with_a_typed_error_and_never_hang(
    name: str, times: int, data: Path, tmp_path: Path
) -> None:
    if name == "geojson":
        tags = [{"building": "yes", "height": f"{i} m"} for i in range(1, 9)]
        whole: Any = collection(*(feature(each, west=4.0 + i / 1000) for i, each in enumerate(tags)))
    else:
        whole = json.loads((data / name).read_text())
        houses = {n: o for n, o in whole["CityObjects"].items() if o["type"] == "Building" and o.get("geometry")}
        names = sorted(houses, key=lambda n: len(_indices(houses[n]["geometry"])))[:3]  # the smallest: 3 times as fast
        used = sorted({i for n in names for i in _indices(whole["CityObjects"][n].get("geometry", []))})
        number = {old: new for new, old in enumerate(used)}
        whole["vertices"] = [whole["vertices"][i] for i in used]
        whole["CityObjects"] = {n: _renumbered(whole["CityObjects"][n], number) for n in names}
    rng = random.Random(f"{name}/1")
    path, text = tmp_path / "mutated.json", json.dumps(whole)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(times):
        path.write_text(json.dumps(mutated(rng, json.loads(text))))
        begin = time.process_time()
        try:
            World(open_city(path))
            outcomes["read"] += 1
        except CityFileError as error:
            assert str(error)
            outcomes["refused"] += 1
        assert time.process_time() - begin < 2.0
    assert outcomes["read"] > times / 5 and outcomes["refused"] > times / 50


def _indices(geometries: Any) -> list[int]:
    found: list[int] = []
    stack = [g.get("boundaries", []) for g in geometries]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
        else:
            found.append(node)
    return found


def _renumbered(item: dict[str, Any], number: dict[int, int]) -> dict[str, Any]:
    def walk(node: Any) -> Any:
        return [walk(n) for n in node] if isinstance(node, list) else number[node]

    return {**item, "geometry": [{**g, "boundaries": walk(g["boundaries"])} for g in item.get("geometry", [])]}
