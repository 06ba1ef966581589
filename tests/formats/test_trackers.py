"""Runs of MLflow, signac and Sacred, made by these programs, come over whole; a second import adds what is new.

The stores in fixtures/trackers were made by the programs beside them.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sqlite3
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from sessionstore.cli import group
from sessionstore.errors import InvalidQuery
from sessionstore.formats import detect
from sessionstore.formats.trackers.run import typed
from sessionstore.session import Session
from sessionstore.store import SessionStore

FIXTURES = Path(__file__).parents[2] / "fixtures" / "trackers"
FOLDERS, DATABASE = "mlflow-2.22-folders", "mlflow-3.17-sqlite"
PLACES = {FOLDERS: "mlruns", DATABASE: "mlflow.db"}


def unpacked(name: str, folder: Path) -> Path:
    with tarfile.open(FIXTURES / f"{name}.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    return folder / PLACES.get(name, "")


@pytest.fixture(params=sorted(PLACES))
def mlflow(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == FOLDERS:
        pytest.importorskip("yaml")
    return unpacked(request.param, tmp_path)


def named(store: SessionStore, name: str) -> Session:
    (row,) = [row for row in store.find(limit=None) if row.session_name == name]
    return store.get(row.session_id)


def metrics(session: Session) -> list[dict[str, object]]:
    return [line.data for line in session.tape("metrics").read()]


def test_a_hundred_runs_of_mlflow_come_over_whole(store: SessionStore, mlflow: Path) -> None:
    report = store.import_file(mlflow)
    assert (report.format, report.state, report.problems) == ("mlflow", "imported", [])
    assert len(report.sessions) == len(store.find(limit=None)) == 100
    counts = {topic: (each.messages_in, each.records_out) for topic, each in report.topics.items()}
    assert counts["(runs)"] == (100, 100) and counts["(deleted runs)"] == (1, 0) and counts["(files)"] == (20, 20)
    assert counts["metric loss"] == (791, 791) and counts["metric train/f1"] == (790, 790)
    statuses = sorted(row.status for row in store.find(limit=None))
    assert [statuses.count(each) for each in ("completed", "failed", "stopped", "running")] == [97, 1, 1, 1]
    child, parent = named(store, "child-3-0"), named(store, "sweep-3")
    assert (
        child.metadata["optimizer/name"] == "adam" and child.metadata["amsgrad"] is True and child.metadata["lr"] == 0
    )
    assert parent.metadata["code"] == "007" and parent.metadata["outer"] == 3 and parent.metadata["site"] == "tower é"
    about = child.metadata["mlflow"]
    assert about["parent"] == parent.uuid and about["parent_run_id"] == parent.metadata["mlflow"]["run_id"]
    assert about["experiment"] == "windows" and about["inputs"][0]["name"] == "flights"
    assert parent.metadata["mlflow"]["tags"]["team"] == "night" and child.record.notes == "a note\nof two lines"
    assert child.artifacts.read("plans/deep/plan.txt") == b"north"
    rows = metrics(child)
    assert [row["loss"] for row in rows if "loss" in row] == [1 / (step + 1) for step in range(10)]
    assert [row["train/f1"] for row in rows if "train/f1" in row] == [0, 1, 2, None, None, 5, 6, 7, 8, 9]
    assert [row["step"] for row in rows if "acc" in row] == list(range(10))
    assert child.metrics["last"]["acc"] == 0.9
    record = child.record
    assert record.started_at is not None and record.ended_at is not None and record.started_at < record.ended_at
    times = [line.t_s for line in child.tape("metrics").read()]
    assert times == sorted(times) and times[0] >= 0 and record.duration_wall_s is not None
    assert times[-1] <= record.duration_wall_s and store.doctor().findings == []


def test_a_second_import_adds_nothing_when_nothing_is_new(store: SessionStore, mlflow: Path, tmp_path: Path) -> None:
    store.import_file(mlflow)
    before = {row.session_id: row.rev for row in store.find(limit=None)}
    moved = tmp_path / "elsewhere"
    shutil.move(mlflow, moved)
    if mlflow.name == "mlflow.db":
        shutil.move(mlflow.parent / "artifacts", moved.parent / "other")
    report = store.import_file(moved)
    assert report.state == "already there" and {each.state for each in report.sessions} == {"already there"}
    assert {row.session_id: row.rev for row in store.find(limit=None)} == before


def go_on(place: Path) -> None:
    """Let the run that goes on log one value more of a metric and a new one, and end; begin a new run."""
    if place.name == "mlflow.db":
        with sqlite3.connect(place) as opened:
            (run,) = opened.execute("SELECT run_uuid FROM runs WHERE name = 'going on'").fetchone()
            at = opened.execute("SELECT MAX(timestamp) FROM metrics WHERE run_uuid = ?", (run,)).fetchone()[0]
            for key, value, step in (("loss", 0.5, 1), ("acc", 0.1, 1)):
                opened.execute(
                    "INSERT INTO metrics VALUES (?, ?, ?, ?, ?, 0)", (key, value, at + 100 * step, run, step)
                )
            opened.execute("UPDATE runs SET status = 'FINISHED', end_time = ? WHERE run_uuid = ?", (at + 200, run))
            opened.execute(
                "INSERT INTO runs (run_uuid, name, status, start_time, lifecycle_stage, artifact_uri, experiment_id) "
                "VALUES ('f00', 'new', 'FINISHED', ?, 'active', '', 1)", (at,),
            )  # fmt: skip
        opened.close()
        return
    (meta,) = [path for path in place.glob("*/*/meta.yaml") if "run_name: going on" in path.read_text()]
    at = int((meta.parent / "metrics/loss").read_text().split()[0])
    with (meta.parent / "metrics/loss").open("a") as file:
        file.write(f"{at + 100} 0.5 1\n")
    (meta.parent / "metrics/acc").write_text(f"{at + 100} 0.1 1\n")
    shutil.copytree(meta.parent, meta.parent.with_name("f00"))
    shutil.rmtree(meta.with_name("f00") / "metrics", ignore_errors=True)
    text = meta.read_text()
    meta.write_text(text.replace("status: 1", "status: 3").replace("end_time: null", f"end_time: {at + 200}"))
    new = meta.parent.with_name("f00")
    (new / "tags/mlflow.runName").unlink(missing_ok=True)
    (new / "meta.yaml").write_text(text.replace("going on", "new").replace("status: 1", "status: 3"))


def test_a_second_import_adds_new_runs_and_the_new_steps_of_a_run_that_went_on(
    store: SessionStore, mlflow: Path
) -> None:
    store.import_file(mlflow)
    session = named(store, "going on")
    session.metadata["mine"] = "stays"
    session.tags.add("looked-at")
    assert session.record.status == "running" and metrics(session) == [{"loss": 1.0, "step": 0}]
    go_on(mlflow)
    tried = store.import_file(mlflow, dry_run=True)
    assert sorted(each.state for each in tried.sessions if each.state != "already there") == [
        "would import",
        "would update",
    ]
    report = store.import_file(mlflow)
    states = [each.state for each in report.sessions]
    assert [states.count(each) for each in ("imported", "updated", "already there")] == [1, 1, 99]
    assert metrics(session) == [
        {"loss": 1.0, "step": 0},
        *[{"acc": 0.1, "step": 1}, {"loss": 0.5, "step": 1}],
    ] or metrics(session) == [{"loss": 1.0, "step": 0}, {"loss": 0.5, "step": 1}, {"acc": 0.1, "step": 1}]
    record = session.record
    assert record.status == "completed" and record.ended_at is not None and record.streams["metrics"] == 3
    assert record.metadata["mine"] == "stays" and record.tags == ["looked-at"]
    assert named(store, "new").status == "completed"
    assert store.import_file(mlflow).state == "already there" and store.doctor().findings == []


def test_a_value_that_was_logged_late_for_an_earlier_moment_is_added_once(store: SessionStore, tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    place = unpacked(FOLDERS, tmp_path)
    (meta,) = [path for path in place.glob("*/*/meta.yaml") if "run_name: child-5-1" in path.read_text()]
    store.import_file(meta.parent)
    (session,) = store.values()
    before = metrics(session)
    (at, *_), *rest = [line.split() for line in (meta.parent / "metrics/acc").read_text().splitlines()]
    (meta.parent / "metrics/late").write_text(f"{int(at) - 1} 7.0 0\n")
    assert store.import_file(meta.parent).state == "updated"
    after = metrics(session)
    assert len(rest) == 9 and len(after) == len(before) + 1 and after[-1] == {"late": 7.0, "step": 0}


def test_an_import_that_was_killed_between_streams_and_record_is_completed(
    store: SessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = unpacked(DATABASE, tmp_path)
    store.import_file(place)
    go_on(place)
    with monkeypatch.context() as patched:
        patched.setattr(
            "sessionstore.formats.adding._update", lambda *_, **__: (_ for _ in ()).throw(MemoryError("killed"))
        )
        assert any(each.state == "failed" for each in store.import_file(place).sessions)
    assert len(metrics(named(store, "going on"))) == 3 and named(store, "going on").record.status == "running"
    store.import_file(place)
    assert len(metrics(named(store, "going on"))) == 3 and named(store, "going on").record.status == "completed"


def test_a_folder_that_the_store_names_and_that_is_not_of_the_run_is_not_copied(
    store: SessionStore, tmp_path: Path
) -> None:
    place = unpacked(DATABASE, tmp_path)
    private = tmp_path / "private"
    private.mkdir()
    (private / "key").write_text("secret")
    shutil.rmtree(tmp_path / "artifacts")
    with sqlite3.connect(place) as opened:
        opened.execute("UPDATE runs SET artifact_uri = ?", (str(private),))
    opened.close()
    report = store.import_file(place)
    assert "(files)" not in report.topics and list(store.root.path.rglob("key")) == []


def test_folders_without_pyyaml_name_the_extra(
    store: SessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = unpacked(FOLDERS, tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    report = store.import_file(place)
    assert report.state == "failed" and "pip install 'sessionstore[formats]'" in str(report.reason)
    assert InvalidQuery.__name__ in str(report.reason)


def test_the_command_sums_up_the_runs_and_undo_takes_them_back(store: SessionStore, tmp_path: Path) -> None:
    place = unpacked(DATABASE, tmp_path)
    arguments = ["--dir", str(store.root.path)]
    shown = CliRunner().invoke(group, ["import", str(place), *arguments])
    assert shown.exit_code == 0 and "100 sessions: 100 imported" in shown.output and "791" in shown.output
    undone = CliRunner().invoke(group, ["undo", *arguments])
    assert undone.exit_code == 0 and store.find() == []


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("-2", -2), ("0.1", 0.1), ("True", True), ("007", "007"), ("1e3", "1e3"), ("nan", "nan"), ("1_0", "1_0"),
     ("9" * 30, int("9" * 30)), ("", "")],
)  # fmt: skip
def test_a_param_becomes_a_number_only_when_nothing_of_its_text_is_lost(text: str, value: object) -> None:
    assert typed(text) == value and type(typed(text)) is type(value)


def test_a_signac_project_has_state_points_documents_and_files(store: SessionStore, tmp_path: Path) -> None:
    unpacked("signac-2.4-sacred-0.8", tmp_path)
    project = tmp_path / "project"
    assert detect(project).name == detect(project / "workspace").name == "signac"
    report = store.import_file(project)
    assert report.state == "imported" and len(report.sessions) == 3 and report.problems == []
    (row,) = store.find("metadata.params.num_drones=3")
    session = store.get(row.session_id)
    assert session.metadata["params"] == {"num_drones": 3, "wind": {"speed": 2.5}} and session["windows"] == 120
    assert session.metadata["signac"]["project_document"] == {"site": "tower"}
    assert session.artifacts.read("sub/result.txt") == b"3 drones"
    job = project / "workspace" / str(session.metadata["signac"]["job_id"])
    (job / "signac_job_document.json").write_text('{"windows": 121, "again": true}')
    (job / "new.txt").write_text("new")
    session["mine"] = 1
    states = [each.state for each in store.import_file(project).sessions]
    assert sorted(states) == ["already there", "already there", "updated"]
    assert session.data.to_dict() == {"windows": 121, "again": True, "mine": 1}
    assert session.artifacts.read("new.txt") == b"new" and store.doctor().findings == []
    assert store.import_file(job).state == "already there"


def test_runs_of_sacred_have_config_metrics_output_and_the_reason_of_a_failure(
    store: SessionStore, tmp_path: Path
) -> None:
    unpacked("signac-2.4-sacred-0.8", tmp_path)
    report = store.import_file(tmp_path / "runs")
    assert (report.format, report.state, report.problems) == ("sacred", "imported", [])
    good, bad = named(store, "windows 1"), named(store, "windows 2")
    assert good.metadata["lr"] == 0.1 and good.metadata["net"] == {"layers": [1, 2]}
    assert good.metadata["sacred"]["result"] == 42 and good["best"] == 0.5
    rows = metrics(good)
    assert [row["loss"] for row in rows if "loss" in row] == [1 / (step + 1) for step in range(5)]
    assert [row["accuracy"] for row in rows if "accuracy" in row] == [0.5]
    assert [line.data["message"] for line in good.tape("log").read()] == ["hello", "from the run"]
    assert good.artifacts.read("plan.txt") == b"north" and good.record.status == "completed"
    assert bad.record.status == "failed" and bad.record.end_reason == "ValueError: no wind"
    (event,) = [line.data for line in bad.tape("events").read()]
    assert event["kind"] == "exception" and "Traceback" in event["traceback"]
    run = json.loads((tmp_path / "runs/1/run.json").read_text())
    assert str(good.record.started_at).startswith(run["start_time"][:19])
    assert math.isclose(good.record.duration_wall_s or 0, good.record.duration_sim_s or -1)
    found = json.loads((tmp_path / "runs/1/metrics.json").read_text())
    found["loss"]["steps"].append(5)
    found["loss"]["values"].append(0.1)
    found["loss"]["timestamps"].append(found["loss"]["timestamps"][-1])
    (tmp_path / "runs/1/metrics.json").write_text(json.dumps(found))
    assert store.import_file(tmp_path / "runs").state == "updated"
    assert [row["loss"] for row in metrics(good) if "loss" in row][-1] == 0.1 and len(metrics(good)) == 7


def test_a_run_that_is_damaged_costs_only_itself(store: SessionStore, tmp_path: Path) -> None:
    unpacked("signac-2.4-sacred-0.8", tmp_path)
    (tmp_path / "runs/1/run.json").write_text('{"half')
    job = next((tmp_path / "project/workspace").iterdir())
    (job / "signac_statepoint.json").write_bytes(os.urandom(50))
    report = store.import_file(tmp_path / "runs")
    assert len(report.sessions) == 1 and "run 1 is left out" in report.problems[0]
    report = store.import_file(tmp_path / "project")
    assert sorted(each.state for each in report.sessions) == ["failed", "imported", "imported"]
    assert any("not JSON" in problem for problem in report.problems) and store.doctor().findings == []
