"""The ground of a city: what is read, what it costs, and that it comes back from a session."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sessionstore.boxes.session_buildings_box import SessionBuildingsBox
from sessionstore.simulation.hmrs_simulation_live import HMRSSimulationLive
from sessionstore.simulation.running.scenarios import Scenario
from sessionstore.simulation.world import ground
from sessionstore.simulation.world.city import open_city
from sessionstore.simulation.world.geometry import signed_area_m2

HOUSE = [[x, y, z] for z in (0, 9) for x, y in ((0, 0), (10, 0), (10, 6), (0, 6))]
WALLS = [[[3, 2, 1, 0]], [[4, 5, 6, 7]], [[0, 1, 5, 4]], [[1, 2, 6, 5]], [[2, 3, 7, 6]], [[3, 0, 4, 7]]]


def city(path: Path, kind: str, corners: list[list[float]], boundaries: Any) -> Path:
    """A file of one house, and one object of another kind whose corners are numbered from 8."""
    objects = {
        "house": {"type": "Building", "geometry": [{"type": "MultiSurface", "lod": "1", "boundaries": WALLS}]},
        "rest": {"type": kind, "geometry": [{"type": "MultiSurface", "lod": "1", "boundaries": boundaries}]},
    }
    path.write_text(
        json.dumps({"type": "CityJSON", "version": "2.0", "CityObjects": objects, "vertices": HOUSE + corners})
    )
    return path


def rings(row: dict[str, Any]) -> list[list[tuple[float, ...]]]:
    return [list(zip(face[::3], face[1::3], face[2::3], strict=True)) for face in row["faces"]]


def area(ring: list[tuple[float, ...]]) -> float:
    return signed_area_m2([(x, y) for x, y, _ in ring])


def test_a_real_city_has_ground_within_the_limit_and_says_what_is_beyond(data: Path) -> None:
    delft = open_city(data / "delft.json")
    assert [row["use"] for row in delft.ground] == ["land", "plants", "road", "water"]
    assert sum(len(face) // 3 for row in delft.ground for face in row["faces"]) <= ground.MAX_CORNERS
    beyond = {why.partition(" ")[0]: count for why, count in delft.ignored.items() if "beyond" in why}
    assert beyond.keys() <= {"PlantCover", "LandUse", "Road", "WaterBody", "Bridge"} and sum(beyond.values()) > 10
    assert len(json.dumps(delft.ground, separators=(",", ":"))) < 100_000
    heights = [z for row in delft.ground for ring in rings(row) for _, _, z in ring]
    assert min(heights) > -1 and max(heights) < 6, "no crowns of trees, which reach 16 m there"
    water = next(row for row in delft.ground if row["use"] == "water")
    assert sum(map(area, rings(water))) == pytest.approx(11_000, rel=0.5)


def test_a_hole_is_joined_to_its_outline(tmp_path: Path) -> None:
    outer = [[-40, -40, 1], [60, -40, 1], [60, 60, 2], [-40, 60, 2]]
    holes = [
        [-30, -30, 1],
        [-30, -20, 1],
        [-20, -20, 1],
        [-20, -30, 1],
        [30, 30, 1],
        [30, 40, 1],
        [40, 40, 1],
        [40, 30, 1],
    ]
    square, first, second = [8, 9, 10, 11], [12, 13, 14, 15], [16, 17, 18, 19]
    found = open_city(city(tmp_path / "x.json", "LandUse", outer + holes, [[square, first, second]]))
    (row,) = found.ground
    (ring,) = rings(row)
    assert len(ring) == 4 + 2 * (4 + 2) and area(ring) == pytest.approx(100 * 100 - 2 * 100, abs=1)
    assert {z for _, _, z in ring} == {1.0, 2.0} and not found.ignored


def test_triangles_of_one_object_become_its_outline_and_straight_lines_two_corners(tmp_path: Path) -> None:
    strip = [[float(x), y, 0.0] for x in range(0, 30, 2) for y in (-30.0, -25.0)]
    faces = []
    for at in range(8, 8 + len(strip) - 2, 2):
        faces += [[[at, at + 2, at + 3]], [[at, at + 3, at + 1]]]
    (row,) = open_city(city(tmp_path / "x.json", "Road", strip, faces)).ground
    (ring,) = rings(row)
    assert row["use"] == "road" and len(ring) == 4 and area(ring) == pytest.approx(28 * 5)


def test_crowns_in_plant_cover_come_down_and_a_slope_stays(tmp_path: Path) -> None:
    slope = [[0.0, -60.0, 0.0], [40.0, -60.0, 20.0], [40.0, -20.0, 20.0], [20.0, -20.0, 22.0], [0.0, -20.0, 0.0]]
    (row,) = open_city(city(tmp_path / "x.json", "PlantCover", slope, [[[8, 9, 10, 11, 12]]])).ground
    assert {z for ring in rings(row) for _, _, z in ring} == {0.0, 20.0}, "22 m at 20 m from the foot is no slope"


def test_terrain_is_a_grid_of_heights(tmp_path: Path) -> None:
    corners = [[-500.0, -500.0, -50.0], [500.0, -500.0, 50.0], [500.0, 500.0, 50.0], [-500.0, 500.0, -50.0]]
    town = open_city(city(tmp_path / "x.json", "TINRelief", corners, [[[8, 9, 10]], [[8, 10, 11]]]))
    (row,) = town.ground
    heights, step, (west, south) = row["heights"], row["step_m"], row["origin"]
    assert max(len(heights), *map(len, heights)) <= ground.MAX_NODES and south == -ground.TERRAIN_REACH_M
    east = town.origin.easting_m
    for line in heights:
        assert None not in line
        assert line == pytest.approx([(west + i * step + east) / 10 for i in range(len(line))], abs=0.06)
        assert all(a < b for a, b in pairwise(line))


def test_ground_is_in_the_scene_of_a_flight_and_a_town_flown_again_has_it(data: Path, tmp_path: Path) -> None:
    plan = Scenario(name="x").with_options(city=str(data / "delft.json"), duration_s=0.2)
    live = HMRSSimulationLive(plan, training_sessions_dir=tmp_path)
    session_id = live.run()
    box = SessionBuildingsBox(live.session_db_box)
    kept = box.list_ground(session_id)
    assert {row["use"] for row in kept} == {"land", "plants", "road", "water"} and len(
        box.list_buildings(session_id)
    ) == 160
    folder = live.session_db_box.store.get(session_id).folder
    live.session_db_box.close()
    assert open_city(folder).ground == kept


def test_a_file_whose_ground_is_damaged_gives_its_buildings(tmp_path: Path) -> None:
    town = open_city(city(tmp_path / "x.json", "Road", [[0.0, 0.0, 0.0]], [[[8, 9, 99]]]))
    assert len(town.footprints) == 1 and town.ground == [] and town.ignored == {"geometry not understood": 1, "Road": 1}
