"""Tracks on maps, read by other libraries: shapely, gpxpy, fastkml; one session or several in a file."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sessionstore.cli import group
from sessionstore.errors import Conflict, InvalidQuery, InvalidRecord
from sessionstore.formats.geodesy import Origin
from sessionstore.session import Session
from sessionstore.store import SessionStore

GPS = {"lat": 52.0, "lon": 4.3, "alt": 1.5}
NAMES = ["d0", 'd1 <"&> é', "d2"]


def flown(store: SessionStore, name: str, **fields: Any) -> Session:
    with store.record(name, gps=GPS, **fields) as session:
        for step in range(50):
            for number, drone in enumerate(NAMES):
                session.motion.append(drone, step * 0.1, [step / 3, number * 2.123456789, 5.0 + step / 10])
    return store.get(name)


@pytest.fixture
def session(store: SessionStore) -> Session:
    return flown(store, "fly")


def expected(session: Session, drone: int, step: int) -> tuple[float, float, float, datetime]:
    """Return longitude, latitude, altitude and instant of a point."""
    place = Origin(52.0, 4.3, 1.5).to_geographic(step / 3, drone * 2.123456789, 5.0 + step / 10)
    started = datetime.fromisoformat(str(session.record.started_at))
    return place[1], place[0], place[2], started + timedelta(seconds=step * 0.1)


def test_geojson_is_read_by_shapely_with_times(session: Session, tmp_path: Path) -> None:
    shapely = pytest.importorskip("shapely")
    text = session.export(tmp_path / "fly.geojson").read_text()
    lines = shapely.get_parts(shapely.from_geojson(text))
    assert len(lines) == 3 and all(line.geom_type == "LineString" and line.is_valid for line in lines)
    longitude, latitude, altitude, at = expected(session, 1, 7)
    assert lines[1].coords[7] == pytest.approx((longitude, latitude, altitude), abs=1e-3)
    properties = json.loads(text)["features"][1]["properties"]
    assert properties["name"] == NAMES[1]
    assert datetime.fromisoformat(properties["coordinateProperties"]["times"][7]) == at


def test_gpx_is_read_by_gpxpy_with_times(session: Session, tmp_path: Path) -> None:
    gpxpy = pytest.importorskip("gpxpy")
    found = gpxpy.parse(session.export(tmp_path / "fly.gpx").read_text(), version="1.1")
    assert [track.name for track in found.tracks] == NAMES
    point = found.tracks[1].segments[0].points[7]
    longitude, latitude, altitude, at = expected(session, 1, 7)
    assert (point.longitude, point.latitude, point.elevation) == pytest.approx(
        (longitude, latitude, altitude), abs=1e-3
    )
    assert point.time == at and len(found.tracks[1].segments[0].points) == 50


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_kml_is_read_by_fastkml_with_times_and_fits_the_schema(session: Session, tmp_path: Path) -> None:
    kml, validator = pytest.importorskip("fastkml.kml"), pytest.importorskip("fastkml.validator")
    path = session.export(tmp_path / "fly.kml")
    assert validator.validate(file_to_validate=path)
    (document,) = kml.KML.parse(path).features
    assert [placemark.name for placemark in document.features] == NAMES
    items = document.features[1].kml_geometry.track_items
    longitude, latitude, altitude, at = expected(session, 1, 7)
    assert items[7].coord.coords[0] == pytest.approx((longitude, latitude, altitude), abs=1e-3)
    assert items[7].when.dt == at and len(items) == 50


def test_czml_has_a_document_and_a_sampled_position_for_each_drone(session: Session, tmp_path: Path) -> None:
    document, *packets = json.loads(session.export(tmp_path / "fly.czml").read_text())
    assert (document["id"], document["version"]) == ("document", "1.0")
    assert [packet["id"] for packet in packets] == NAMES
    position = packets[1]["position"]
    t_s, *place = position["cartographicDegrees"][7 * 4 : 8 * 4]
    longitude, latitude, altitude, at = expected(session, 1, 7)
    assert place == pytest.approx([longitude, latitude, altitude], abs=1e-3)
    assert datetime.fromisoformat(position["epoch"]) + timedelta(seconds=t_s) == at
    start, end = map(datetime.fromisoformat, packets[1]["availability"].split("/"))
    assert (end - start).total_seconds() == pytest.approx(4.9) and at > start
    moments = position["cartographicDegrees"][::4]
    assert moments == sorted(moments) and len(moments) == 50


@pytest.mark.parametrize("to", ["geojson", "gpx", "kml", "czml"])
def test_several_sessions_stand_in_one_file_by_their_names(store: SessionStore, tmp_path: Path, to: str) -> None:
    flown(store, "one")
    flown(store, "two")
    arguments = ["export", "one", "two", "--file", str(tmp_path / f"both.{to}"), "--dir", str(store.root.path)]
    shown = CliRunner().invoke(group, arguments)
    assert shown.exit_code == 0, shown.output
    text = (tmp_path / f"both.{to}").read_text()
    assert all(f"{store.get(name).session_id} d0" in text for name in ("one", "two"))
    again = CliRunner().invoke(group, arguments)
    assert isinstance(again.exception, Conflict) and (tmp_path / f"both.{to}").read_text() == text


def test_a_map_needs_an_origin_and_a_file_of_one_session_takes_no_second(
    store: SessionStore, session: Session, tmp_path: Path
) -> None:
    with pytest.raises(InvalidQuery, match=r"holds one session; several fit into .*czml, geojson, gpx, kml"):
        store.export([session, flown(store, "two")], tmp_path / "both.mcap")
    (tmp_path / "there.kml").write_text("mine")
    with pytest.raises(Conflict):
        session.export(tmp_path / "there.kml")
    assert (tmp_path / "there.kml").read_text() == "mine"
    session.update(gps=None)
    with pytest.raises(InvalidRecord, match="GPS origin"):
        session.export(tmp_path / "again.kml")
    with store.record("still", gps=GPS):
        pass
    with pytest.raises(InvalidRecord, match="no positions"):
        store.get("still").export(tmp_path / "again.kml")
    assert sorted(path.name for path in tmp_path.glob("*.kml")) == ["there.kml"]
