"""Programs with the old boxes: failures in the old manner, one default directory, the old import paths."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessionstore.boxes.fallback import create_with_fallback
from sessionstore.boxes.session_buildings_box import SessionBuildingsBox
from sessionstore.boxes.session_creator_box import SessionCreatorBox
from sessionstore.boxes.session_db_box import SessionDBBox
from sessionstore.boxes.shim import shim_files, write_shim
from sessionstore.errors import Conflict, InvalidRecord


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "returned 'None' in place of a session"),
        ({"success": False, "error": "no disk"}, "reported a failure: no disk"),
        ({"success": True, "session_id": "202601010000-nowhere"}, "is not stored"),
        ({"success": True}, "no session_id"),
        ("202601010000-nowhere", "in place of a session"),
    ],
)
def test_a_failure_reported_in_the_old_manner_still_gives_a_session(tmp_path: Path, answer: Any, reason: str) -> None:
    database = SessionDBBox(training_sessions_dir=tmp_path / "store")
    create: Callable[..., Any] = lambda **_: answer  # noqa: E731
    made = create_with_fallback(create, database, "flight", base_position=[0.0, 0.0, 0.0])
    assert made["fallback_used"] is True and reason in made["fallback_reason"]
    assert database.get_session(made["session_id"])["metadata"]["fallback_used"] is True


def test_a_session_of_the_creator_box_is_taken_as_it_is(tmp_path: Path) -> None:
    database = SessionDBBox(training_sessions_dir=tmp_path / "store")
    made = create_with_fallback(SessionCreatorBox(database).create_session, database, "flight")
    assert made["fallback_used"] is False and database.count() == 1


@pytest.mark.parametrize("position", ["abc", [1, 2], ["a", 0, 0], 7, [float("nan"), 0, 0], "123"])
def test_a_base_position_that_is_not_three_numbers_is_refused(tmp_path: Path, position: Any) -> None:
    box = SessionCreatorBox(training_sessions_dir=tmp_path / "store")
    with pytest.raises(InvalidRecord, match="base_position"):
        box.create_session("flight", base_position=position)
    assert box.session_db_box.count() == 0


def test_boxes_without_a_directory_open_one_store_from_a_subfolder_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SESSIONSTORE_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    SessionCreatorBox().create_session("first")
    (tmp_path / "below" / "deeper").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "below" / "deeper")
    roots = {box.store.root.path for box in (SessionCreatorBox(), SessionBuildingsBox(), SessionDBBox())}
    assert roots == {tmp_path / "training_sessions"}
    assert SessionDBBox().count() == 1


def test_the_shim_keeps_old_imports_and_programs_going_and_changes_no_file(tmp_path: Path) -> None:
    assert len(write_shim(tmp_path)) == len(list(shim_files()))
    assert write_shim(tmp_path) == []
    code = (
        "from simulation.swarm.boxes.session_creator_box import SessionCreatorBox as C\n"
        "from simulation.swarm.boxes.session_db_box import SessionDBBox\n"
        "from simulation.swarm.boxes.session_buildings_box import SessionBuildingsBox\n"
        "print(C(training_sessions_dir='s').create_session('x')['success'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "True", done.stderr
    program = [sys.executable, "simulation/create_and_verify_db_session.py", "--help"]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "Usage" in done.stdout, done.stderr
    own = tmp_path / "simulation" / "swarm" / "boxes" / "session_db_box.py"
    own.write_text("mine = 1\n")
    with pytest.raises(Conflict, match="session_db_box"):
        write_shim(tmp_path)
    assert own.read_text() == "mine = 1\n"
