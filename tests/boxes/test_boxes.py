"""The boxes: the names and reports that existing programs rely on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sessionstore.boxes.session_buildings_box import SessionBuildingsBox
from sessionstore.boxes.session_creator_box import SessionCreatorBox
from sessionstore.boxes.session_db_box import SessionDBBox
from sessionstore.errors import InvalidRecord, SessionNotFound, StoreUnusable


@pytest.fixture
def box(tmp_path: Path) -> SessionCreatorBox:
    return SessionCreatorBox(training_sessions_dir=tmp_path / "training_sessions")


def test_a_creation_reports_each_step(box: SessionCreatorBox, tmp_path: Path) -> None:
    result = box.create_session(session_name="test_session", base_position=np.array([1, 2, 3]), num_buildings=4)
    done = {"status": "done", "reason": None}
    assert result["directory"] == result["record"] == result["index"] == done
    assert result["success"] is True and result["fallback_used"] is False
    assert result["session_id"].endswith("-test_session") and result["sanitised_name"] == "test_session"
    assert Path(result["session_dir_path"]) == tmp_path / "training_sessions" / result["session_id"]
    record = box.update_session(result["session_id"], status="running", workflow_state="buildings_spawned")
    assert (record["status"], record["workflow_state"]) == ("running", "buildings_spawned")
    assert (record["base_position"], record["num_buildings"]) == ([1.0, 2.0, 3.0], 4)
    assert record["uuid"] == result["uuid"]


def test_an_index_that_cannot_be_written_costs_no_session(box: SessionCreatorBox, tmp_path: Path) -> None:
    (tmp_path / "training_sessions" / "index.jsonl").mkdir(parents=True)
    result = box.create_session("kept")
    assert result["success"] and result["index"]["status"] == "pending" and "UnsafeFile" in result["index"]["reason"]
    (tmp_path / "training_sessions" / "index.jsonl").rmdir()
    assert [row["session_name"] for row in box.session_db_box.list_sessions()] == ["kept"]
    assert (tmp_path / "training_sessions" / "index.jsonl").is_file()


def test_a_creation_that_cannot_be_stored_raises(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnusable):
        SessionCreatorBox(training_sessions_dir=tmp_path / "file" / "store").create_session("x")
    with pytest.raises(InvalidRecord):
        SessionCreatorBox(training_sessions_dir=tmp_path / "store").create_session(num_buildings=-1)


def test_the_database_box_keeps_and_finds_records(tmp_path: Path) -> None:
    box = SessionDBBox(training_sessions_dir=tmp_path / "store")
    made = box.create_session("Butterfly", metadata={"n": 5})
    assert box.get_session(made["session_id"])["replay_available"] is False
    box.create_session("Storm")
    assert [row["session_name"] for row in box.list_sessions()] == ["Storm", "Butterfly"]
    assert [row["session_name"] for row in box.search("metadata.n>4")] == ["Butterfly"]
    assert box.list_sessions(status="failed") == [] and box.count() == 2 and box.count("storm") == 1
    assert box.health()["rows"] == 2
    assert box.delete_session("Storm")["session_id"].endswith("Storm") and box.count() == 1
    with pytest.raises(SessionNotFound):
        box.get_session("Storm")
    box.close()


def test_buildings_are_stored_with_their_session(box: SessionCreatorBox) -> None:
    buildings = SessionBuildingsBox(box.session_db_box)
    session_id = box.create_session("x")["session_id"]
    assert buildings.list_buildings(session_id) == [] and buildings.get_base(session_id) is None
    scene = [{"name": "Tower", "height_m": 120.0}, {"name": "Hidden", "visible": False}]
    assert buildings.save_buildings(session_id, scene, base={"position": [0, 0, 0]}) == 2
    assert [row["name"] for row in buildings.list_buildings(session_id)] == ["Tower", "Hidden"]
    assert buildings.get_base(session_id) == {"position": [0, 0, 0], "kind": "base"}
    record = box.session_db_box.get_session(session_id)
    assert (record["num_buildings"], record["num_invisible_buildings"]) == (1, 1)
    with pytest.raises(SessionNotFound):
        buildings.list_buildings("nothing")
