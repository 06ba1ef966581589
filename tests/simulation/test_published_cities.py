"""Published cities, read and flown, against an independent reader (json and shapely).

The cities of ../shared/data are always checked; SESSIONSTORE_CITY_FILES names a folder with more of them (CityJSON as
``*.json``, sequences as ``*.jsonl``, GeoJSON as ``*.geojson``).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from math import cos, dist, exp, hypot, sin
from pathlib import Path
from typing import Any

import pytest
import shapely
from shapely.affinity import translate
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry
from shapely.strtree import STRtree

from sessionstore.simulation.hmrs_simulation_live import HMRSSimulationLive
from sessionstore.simulation.running.scenarios import Group, Scenario
from sessionstore.simulation.world.city import open_city
from tests.conftest import DATA
from tests.simulation import published

MORE = os.environ.get("SESSIONSTORE_CITY_FILES", "")
SHARED = [DATA / name for name in ("delft.json", "rotterdam_subset.json")]
FILES = (
    SHARED + sorted(p for p in Path(MORE).iterdir() if p.suffix in (".json", ".jsonl", ".geojson")) if MORE else SHARED
)
FLOWN_S = 30.0


@pytest.fixture(params=FILES, ids=lambda path: path.name)
def city_file(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    if not path.exists():
        pytest.skip(f"{path.name} is not in ../shared/data")
    return path


def default_of(path: Path) -> float | None:
    """GeoJSON of outlines without any tag or height needs a default."""
    text = path.read_text("utf-8-sig")
    return 9.0 if path.suffix == ".geojson" and '"building' not in text and '"height"' not in text else None


def test_a_published_city_has_the_buildings_of_an_independent_reader(city_file: Path) -> None:
    city, wanted = open_city(city_file, default_of(city_file)), published.read(city_file)
    assert len(city.footprints) == len(wanted), (city.ignored, city.replaced)
    ours = sorted(f.roof_m - f.floor_m for f in city.footprints)
    assert ours == pytest.approx(sorted(each.high_m - each.low_m for each in wanted), abs=0.02)
    outlines = [_outline(f.rings) for f in city.footprints]
    wanted = aligned(wanted, vars(city.origin), outlines)
    for each, outline in _pairs(wanted, outlines):
        seen = each.area
        assert seen.difference(outline.buffer(0.31)).area < 0.01 * seen.area + 0.05, each.name
        assert outline.area <= max(each.hull.area, seen.area) * 1.01 + 0.1, each.name


def _outline(rings: Any) -> BaseGeometry:
    """Even-odd, as a footprint is meant."""
    shape: BaseGeometry = Polygon()
    for ring in rings:
        shape = shape.symmetric_difference(Polygon(ring).buffer(0))
    return shape


def aligned(
    solids: list[published.Solid], origin: dict[str, Any], outlines: list[BaseGeometry]
) -> list[published.Solid]:
    """Buildings in the local frame: moved by the origin.

    In degrees and in Web Mercator the two readers chose their frames apart: there the corners of the towns are laid
    on one another.
    """
    east, north = -origin["easting_m"], -origin["northing_m"]
    if origin.get("crs") in (None, "EPSG:3857", "EPSG:4326"):
        west, south, *_ = shapely.total_bounds(outlines)
        here = shapely.total_bounds([each.hull for each in solids])
        east, north = west - here[0], south - here[1]
    return [
        replace(each, area=translate(each.area, east, north), hull=translate(each.hull, east, north)) for each in solids
    ]


def _pairs(wanted: list[published.Solid], outlines: list[BaseGeometry]) -> list[tuple[published.Solid, BaseGeometry]]:
    """Each building with the outline that covers it best; no outline is used twice."""
    tree, taken, found = STRtree(outlines), set[int](), []
    for each in sorted(wanted, key=lambda solid: -solid.area.area):
        here = each.area
        near = [int(n) for n in tree.query(here) if int(n) not in taken]
        best = max(near, key=lambda n: outlines[n].intersection(here).area / outlines[n].union(here).area, default=None)
        assert best is not None, f"{each.name} was not read"
        taken.add(best)
        found.append((each, outlines[best]))
    return found


# --- flights


@dataclass
class Flight:
    """What a session of a flight holds, read as plain JSON."""

    folder: Path
    motion: dict[str, list[dict[str, Any]]]
    weather: list[dict[str, Any]]
    record: dict[str, Any]
    origin: dict[str, Any]
    footprints: list[Any]


@pytest.fixture
def flight(city_file: Path, tmp_path: Path) -> Flight:
    plan = Scenario(
        name="published", seed=5, duration_s=FLOWN_S, city=str(city_file), default_height_m=default_of(city_file),
        condition="calm", fleet=(Group("scout", 2), Group("climber", 2), Group("overseer"), Group("tanker-mule")),
    )  # fmt: skip
    live = HMRSSimulationLive(plan, training_sessions_dir=tmp_path)
    folder = tmp_path / live.run()
    motion: dict[str, list[dict[str, Any]]] = {}
    for line in _lines(folder / "motion_history.jsonl"):
        motion.setdefault(line["drone"], []).append(line)
    tables = json.loads((folder / "session.json").read_text())
    base = next(row for row in tables["scene"].values() if row["kind"] == "base")
    footprints = [row["footprint"] for row in tables["scene"].values() if row["kind"] == "building"]
    return Flight(folder, motion, _lines(folder / "weather.jsonl"), tables["session"]["1"], base["origin"], footprints)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


RADII_M = {"scout": 0.35, "climber": 0.40, "overseer": 0.45, "tanker-mule": 1.20}
#: mass kg, drag area m2, battery Wh, minutes of hovering (docs/simulation.md names the table)
FIGURES = {"scout": (4.0, 0.05, 300.0, 37.0), "overseer": (6.0, 0.07, 450.0, 40.0)}


def test_a_flight_in_a_published_city_keeps_out_of_buildings_and_its_energy_adds_up(
    city_file: Path, flight: Flight
) -> None:
    assert flight.record["status"] == "completed"
    assert sum(hypot(*line["velocity"]) > 1.0 for lines in flight.motion.values() for line in lines) > 100
    _no_point_inside(city_file, flight)
    _hulls_apart(flight)
    _energy_by_integral(flight)


def _no_point_inside(city_file: Path, flight: Flight) -> None:
    """No point of any drone lies inside a building made of all surfaces, as the independent reader sees it."""
    solids = aligned(published.read(city_file), flight.origin, [_outline(rings) for rings in flight.footprints])
    up = flight.origin["height_m"]
    tree = STRtree([each.area for each in solids])
    for drone, lines in flight.motion.items():
        points = shapely.points([line["position"][:2] for line in lines])
        for number, building in tree.query(points, predicate="intersects").T:
            z = lines[number]["position"][2]
            low, high = solids[building].low_m - up, solids[building].high_m - up
            assert not low < z < high, (drone, lines[number]["t"], solids[building].name)


def _hulls_apart(flight: Flight) -> None:
    """At every moment, all hulls have 0.5 m of air between them."""
    moments: dict[float, dict[str, list[float]]] = {}
    for drone, lines in flight.motion.items():
        for line in lines:
            moments.setdefault(line["t"], {})[drone] = line["position"]
    radius = {each["id"]: RADII_M[each["kind"]] for each in flight.record["drones"]}
    last: dict[str, list[float]] = {}
    for t_s in sorted(moments):
        last |= moments[t_s]
        for one, two in combinations(last, 2):
            assert dist(last[one], last[two]) - radius[one] - radius[two] > 0.499, (t_s, one, two)


def _energy_by_integral(flight: Flight) -> None:
    """The energy used, integrated over the recorded velocities, is what the record says, within 1 %."""
    checked = 0
    for each in flight.record["drones"]:
        lines = flight.motion[each["id"]]
        flying = [line for line in lines if line["mode"] == "flying"]
        if each["kind"] not in FIGURES or len(flying) < 200:
            continue
        used = flying[0]["battery"] - flying[-1]["battery"]
        joules = sum(
            (two["t"] - one["t"]) * _power_w(FIGURES[each["kind"]], one, two, flight) for one, two in pairwise(flying)
        )
        assert joules / 3600 == pytest.approx(used * FIGURES[each["kind"]][2], rel=0.01)
        checked += 1
    assert checked >= 2


def _power_w(
    figures: tuple[float, float, float, float], one: dict[str, Any], two: dict[str, Any], flight: Flight
) -> float:
    """Thrust squared over hovering thrust squared times hovering power, and drag (docs/simulation.md)."""
    mass, drag_area, battery_wh, minutes = figures
    dt = two["t"] - one["t"]
    density = 1.225 * exp(-(two["position"][2] + flight.origin["height_m"]) / 8500.0)
    air = [v - w for v, w in zip(two["velocity"], _wind(flight, two["t"]), strict=True)]
    speed = hypot(*air)
    per_speed = 0.5 * density * drag_area * speed
    rate = [(b - a) / dt for a, b in zip(one["velocity"], two["velocity"], strict=True)]
    thrust = [mass * (a + g) + per_speed * v for a, g, v in zip(rate, (0, 0, 9.80665), air, strict=True)]
    ratio = sum(t * t for t in thrust) / (mass * 9.80665) ** 2
    return battery_wh * 60 / minutes * ratio * (1.225 / density) ** 0.5 + per_speed * speed * speed


def _wind(flight: Flight, t_s: float) -> tuple[float, float, float]:
    line = max((w for w in flight.weather if w["t"] <= t_s + 1e-9), key=lambda w: w["t"], default=flight.weather[0])
    return line["wind_mps"] * cos(line["direction_rad"]), line["wind_mps"] * sin(line["direction_rad"]), 0.0
