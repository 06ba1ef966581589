"""Formats: content decides, the same content is imported once, and what fails leaves nothing."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sessionstore.cli import group
from sessionstore.errors import InvalidQuery, InvalidRecord
from sessionstore.formats import Format, ImportReport, Options, SessionDraft, detect, formats, import_path
from sessionstore.store import SessionStore


class Lines:
    """A third party's format: one point a line."""

    name = "lines"
    about = "points, one a line"
    extensions = (".pts",)
    requires: tuple[str, ...] = ()

    def sniff(self, head: bytes, path: Path) -> float:
        return 0.9 if head.startswith(b"POINTS") else 0.0

    def read(self, path: Path, into: SessionDraft, options: Options) -> ImportReport:
        report = ImportReport(str(path), self.name)
        for number, line in enumerate(path.read_text().splitlines()[1:]):
            try:
                into.motion.append("d1", t_s=number * 0.1, position_m=[float(each) for each in line.split()])
                report.count("pose")
            except ValueError as error:
                report.count("pose", records_out=0)
                report.problems.append(str(error))
        if options.get("explode"):
            raise InvalidRecord("as asked")
        into.event("imported", "all of it")
        into.artifact("original/points.pts", path.read_bytes())
        into.set(session_name="Points")
        return report


class Needy(Lines):
    name = "needy"
    requires = ("a_module_that_is_not_installed",)


class Broken:
    def __init__(self) -> None:
        raise RuntimeError("no licence")


@pytest.fixture(autouse=True)
def _third_parties(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        metadata.EntryPoint(name, f"{__name__}:{kind}", "sessionstore.formats")
        for name, kind in (("lines", "Lines"), ("needy", "Needy"), ("broken", "Broken"), ("legacy", "Lines"))
    ]
    monkeypatch.setattr(metadata, "entry_points", lambda group: points if group == "sessionstore.formats" else [])


@pytest.fixture
def points(tmp_path: Path) -> Path:
    path = tmp_path / "flight.bin"
    path.write_text("POINTS\n0 0 0\n0 0 5\nx y z\n3 4 5\n")
    return path


def test_the_old_system_is_a_format_and_third_parties_cannot_take_its_name() -> None:
    listed = {each.name: each for each in formats()}
    assert listed["legacy"].source == "sessionstore" and listed["legacy"].reads and listed["legacy"].writes
    assert isinstance(listed["lines"].format, Format) and listed["lines"].reads and not listed["lines"].writes
    assert listed["broken"].problem == "RuntimeError: no licence" and listed["broken"].format is None


def test_content_decides_and_a_file_of_no_format_is_refused(points: Path, tmp_path: Path) -> None:
    assert detect(points).name == "lines"
    (tmp_path / "other.pts").write_text("nothing of the kind")
    with pytest.raises(InvalidRecord, match="--as"):
        detect(tmp_path / "other.pts")


def test_a_file_becomes_a_session_once_and_every_message_is_counted(store: SessionStore, points: Path) -> None:
    report = import_path(store, points)
    assert (report.state, report.format) == ("imported", "lines")
    assert (report.topics["pose"].messages_in, report.topics["pose"].records_out) == (4, 3)
    assert len(report.problems) == 1
    session = store.get(str(report.session_id))
    record = session.record
    assert record.session_name == "Points" and record.status == "completed"
    assert record.performance_metrics["totals"]["distance_m"] == 10.0 and record.duration_sim_s == pytest.approx(0.3)
    assert (session.folder / "artifacts/original/points.pts").read_bytes() == points.read_bytes()
    assert store.doctor().findings == []
    again = points.with_name("copy-under-another-name")
    again.write_bytes(points.read_bytes())
    assert (import_path(store, again).state, len(store.find())) == ("already there", 1)


def test_what_is_refused_or_only_tried_leaves_nothing(store: SessionStore, points: Path) -> None:
    tried = import_path(store, points, dry_run=True)
    assert (tried.state, tried.topics["pose"].records_out) == ("would import", 3)
    assert list(store.root.path.iterdir()) == []
    refused = import_path(store, points, options={"explode": "yes"})
    assert (refused.state, refused.reason) == ("skipped", "as asked")
    assert store.find() == [] and list(store.root.staging.iterdir()) == []


def test_a_format_that_lacks_its_module_says_which(store: SessionStore, points: Path) -> None:
    with pytest.raises(InvalidQuery, match="pip install a_module_that_is_not_installed"):
        import_path(store, points, as_format="needy")
    with pytest.raises(InvalidQuery, match="no licence"):
        import_path(store, points, as_format="broken")
    with pytest.raises(InvalidQuery, match="no format"):
        import_path(store, points, as_format="nonsense")


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", ""])
def test_an_artifact_stays_in_its_folder(store: SessionStore, name: str) -> None:
    with SessionDraft(store, "u") as draft, pytest.raises(InvalidRecord):
        draft.artifact(name, b"x")


def test_an_old_folder_goes_in_by_the_protocol_and_by_its_own_command_as_the_same_session(
    store: SessionStore, tmp_path: Path
) -> None:
    from sessionstore.legacy.importer import import_legacy

    folder = tmp_path / "202501011200-Old"
    folder.mkdir()
    points = {"d": [{"sim_time": t, "position": [t, 0, 1], "timestamp": f"2025-01-01T12:00:0{t}Z"} for t in (0, 1)]}
    (folder / "motion_history.json").write_text(json.dumps(points))
    report = import_path(store, folder)
    assert (report.state, report.format, report.session_id) == ("imported", "legacy", "202501011200-Old")
    (old,) = import_legacy(store, folder)
    assert old.state == "already there"


def test_the_command_lists_what_is_ready_and_what_is_missing() -> None:
    listed: list[dict[str, Any]] = json.loads(CliRunner().invoke(group, ["formats", "--json"]).output)
    assert {each["name"]: (each["reads"], each["missing"]) for each in listed}["needy"] == (
        True,
        ["a_module_that_is_not_installed"],
    )
    shown = CliRunner().invoke(group, ["formats"]).output
    assert "needs a_module_that_is_not_installed" in shown and "ready" in shown and "no licence" in shown
