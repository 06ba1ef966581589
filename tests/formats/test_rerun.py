"""Recordings of Rerun: verified by Rerun's own command, with all entities on the timeline sim_time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sessionstore.errors import Conflict
from sessionstore.formats import registry
from sessionstore.formats.scene_shapes import prisms, triangulated
from sessionstore.store import SessionStore

RERUN = Path(sys.executable).with_name("rerun")
L_SHAPE = ((0.0, 0.0), (10.0, 0.0), (10.0, 4.0), (4.0, 4.0), (4.0, 9.0), (0.0, 9.0))


def rerun(home: Path, *arguments: str) -> str:
    return subprocess.run(
        [str(RERUN), "rrd", *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": str(home)},
    ).stdout


@pytest.fixture
def flown(store: SessionStore) -> SessionStore:
    tower = {
        "kind": "building",
        "name": "tower/1",
        "footprint": [[list(p) for p in L_SHAPE]],
        "ground_m": 1.0,
        "roof_m": 21.0,
    }
    with store.record("fly", gps={"lat": 52.0, "lon": 4.3, "alt": 0.0}) as session:
        for step in range(40):
            for drone in ("d 0", "d1"):
                battery = None if step == 3 else 1 - step / 100
                session.motion.append(drone, step / 10, [step, 2, 5], [10, 0, 0], [0, 0, 0.3], battery=battery)
            session.stream("radio").append({"link": {"rssi": -50 - step}, "text": "x", "up": True}, t_s=step / 10)
        session.stream("log").append({"level": "warning", "message": "wind"}, t_s=3.0)
        session.event("landed", drone="d1", t_s=4.0)
    store.get("fly").table("scene").insert(tower)
    return store


def test_a_recording_has_drones_buildings_paths_scalars_and_logs_on_one_timeline(
    flown: SessionStore, tmp_path: Path
) -> None:
    pytest.importorskip("rerun")
    path = flown.get("fly").export(tmp_path / "fly.rrd")
    rerun(tmp_path, "verify", str(path))  # it raises where the command fails
    rows: dict[str, int] = {}
    for count, entity in re.findall(r"with (\d+) rows .*? - (/\S*(?:\\ \S*)*) - ", rerun(tmp_path, "print", str(path))):
        rows[entity] = rows.get(entity, 0) + int(count)
    expected = {
        r"/map/buildings/tower\/1": 1, r"/map/drones/d\ 0": 41, "/map/drones/d1": 41, "/map/paths/d1": 1, "/geo/d1": 1,
        "/scalars/motion_history/battery/d1": 39, "/scalars/motion_history/altitude_m/d1": 40,
        "/scalars/motion_history/speed_mps/d1": 40, "/scalars/radio/link.rssi": 40, "/scalars/radio/up": 40,
        "/log": 1, "/events": 1,
    }  # fmt: skip
    assert {entity: rows.get(entity) for entity in expected} == expected
    chunks = rerun(tmp_path, "print", "-vv", str(path)).split("entity_path: /")
    ours = [chunk for chunk in chunks if chunk.startswith(("map/", "scalars/", "log", "events", "geo/"))]
    assert {name for chunk in ours for name in re.findall(r"index_name: (\w+)", chunk)} == {"sim_time"}
    with pytest.raises(Conflict):
        flown.get("fly").export(path)
    assert [each.name for each in tmp_path.glob("*.rrd")] == ["fly.rrd"] and not list(tmp_path.glob(".tmp*"))


def test_what_is_missing_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    installs = {each.name: each.install() for each in registry.formats() if each.source == "sessionstore"}
    assert installs["rerun"] == "pip install 'sessionstore[rerun]'" and installs["kml"] == ""
    assert installs["mcap"] == installs["ulog"] == "pip install 'sessionstore[formats]'"
    with pytest.raises(Exception, match=r"rerun needs rerun: pip install 'sessionstore\[rerun\]'"):
        registry.find("rerun")


def test_triangles_cover_a_footprint_and_nothing_else() -> None:
    shapely = pytest.importorskip("shapely")
    for ring in (L_SHAPE, L_SHAPE[::-1], ((0.0, 0.0), (4.0, 0.0), (4.0, 4.0))):
        pieces = [shapely.Polygon([ring[index] for index in triangle]) for triangle in triangulated(ring)]
        assert len(pieces) == len(ring) - 2
        assert sum(piece.area for piece in pieces) == pytest.approx(shapely.Polygon(ring).area)
        assert shapely.union_all(pieces).symmetric_difference(shapely.Polygon(ring)).area < 1e-9


def test_a_building_without_a_footprint_is_the_box_on_its_ground() -> None:
    (prism,) = prisms(
        [{"kind": "building", "position": [1, 2, 0], "size": [4, 6, 10]}, {"kind": "base"}, {"kind": "building"}]
    )
    corners, triangles = prism.mesh()
    assert (prism.ground_m, prism.roof_m) == (0.0, 10.0) and len(triangles) == 10
    assert (min(corners), max(corners)) == ((-1.0, -1.0, 0.0), (3.0, 5.0, 10.0))
