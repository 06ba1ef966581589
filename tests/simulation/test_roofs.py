"""The roofs of a city file: kept for drawing where they differ from a prism, within a budget, also when read again."""

from __future__ import annotations

from pathlib import Path

import pytest

import sessionstore
from sessionstore.boxes.session_buildings_box import SCENE
from sessionstore.simulation.world import city as city_module
from sessionstore.simulation.world.buildings import Building
from sessionstore.simulation.world.city import open_city
from sessionstore.simulation.world.city_faces import Face, drawn_faces
from sessionstore.simulation.world.recorded_city import city_of_session


def box(top: float, ridge: float) -> list[Face]:
    """Return a house of 10 by 10 m: level when the ridge is as high as the walls, else with a roof of two slopes."""
    a, b, c, d = (0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)
    ground = Face((tuple((*p, 0.0) for p in (d, c, b, a)),), "")
    walls = [Face((((*p, 0.0), (*q, 0.0), (*q, top), (*p, top)),), "") for p, q in ((a, b), (b, c), (c, d), (d, a))]
    south = Face((((*a, top), (*b, top), (10.0, 5.0, ridge), (0.0, 5.0, ridge)),), "")
    north = Face((((0.0, 5.0, ridge), (10.0, 5.0, ridge), (*c, top), (*d, top)),), "")
    return [ground, *walls, south, north]


def test_a_pitched_roof_is_drawn_as_it_is_and_a_level_one_as_a_prism() -> None:
    assert drawn_faces(box(6.0, 6.0)) == ()
    faces = drawn_faces(box(6.0, 9.0))
    assert len(faces) == 6, "walls and slopes, not the ground"
    assert max(z for face in faces for *_, z in face) == 9.0


def test_faces_stand_where_their_building_stands(data: Path) -> None:
    found = [each for each in open_city(data / "rotterdam_subset.json").footprints if each.faces]
    assert found
    for each in found:
        corners = [corner for face in each.faces for corner in face]
        (x0, y0, x1, y1), heights = Building(each).box, [z for *_, z in corners]
        assert all(x0 - 0.5 <= x <= x1 + 0.5 and y0 - 0.5 <= y <= y1 + 0.5 for x, y, _ in corners)
        assert max(heights) == pytest.approx(each.roof_m) and min(heights) >= each.ground_m - 0.01


def test_the_nearest_buildings_have_their_faces_within_the_budget(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(city_module, "MAX_FACE_CORNERS", 200)
    footprints = open_city(data / "rotterdam_subset.json").footprints
    kept = [each for each in footprints if each.faces]
    assert 0 < len(kept) < len(footprints) and sum(len(face) for each in kept for face in each.faces) <= 200


def test_faces_are_recorded_and_read_again(data: Path, store: sessionstore.SessionStore) -> None:
    footprints = open_city(data / "rotterdam_subset.json").footprints
    session = store.create("roofs")
    for each in footprints:
        session.table(SCENE).insert(dict(Building(each).as_record()))
    again = {each.name: each.faces for each in city_of_session(session.folder).footprints}
    for each in footprints:
        for face, read in zip(each.faces, again[each.name], strict=True):
            assert [value for corner in read for value in corner] == pytest.approx(
                [value for corner in face for value in corner], abs=0.006
            )
