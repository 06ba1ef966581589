"""An MLflow store as sessions, one for each run: a folder ``mlruns``, one experiment or run in it, or its SQLite file.

Params, tags, metrics with all their steps, artifacts, status, times, and the parent of a nested run. A second import
adds new runs, and to the others what they have more.
Not here: where the runs are (mlflow_folders, mlflow_database), what all trackers have in common (run).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

from sessionstore.errors import Corrupt
from sessionstore.formats.importing import part_uuid
from sessionstore.formats.protocol import ImportReport, Options, Part
from sessionstore.formats.trackers import run as runs

if TYPE_CHECKING:
    from sessionstore.formats.draft import SessionDraft

STATUSES = {
    "RUNNING": "running", "SCHEDULED": "created", "FINISHED": "completed", "FAILED": "failed", "KILLED": "stopped",
}  # fmt: skip
_NOTE, _PARENT, _NAME = "mlflow.note.content", "mlflow.parentRunId", "mlflow.runName"


@dataclass(slots=True)
class MlflowRun:
    """One run as MLflow has it; times in milliseconds since 1970."""

    run_id: str
    name: str
    experiment_id: str
    experiment: str
    status: str
    start_ms: int | None = None
    end_ms: int | None = None
    user: str = ""
    artifact_uri: str = ""
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    inputs: list[dict[str, Any]] = field(default_factory=list)
    fingerprint: str = ""


class MlflowPlace(Protocol):
    """Where the runs of an MLflow store are."""

    root: Path

    def run_ids(self, report: ImportReport) -> Iterator[str]:
        """Yield the ids of the active runs; deleted ones are counted in the report."""
        ...

    def run(self, run_id: str) -> MlflowRun:
        """Return a run without its metrics. Raises: Corrupt."""
        ...

    def metrics(self, run_id: str, report: ImportReport) -> Iterator[tuple[str, float | None, int, int]]:
        """Yield (key, value, milliseconds since 1970, step) in an order that further values do not change.

        Raises: Corrupt: damaged from there on.
        """
        ...


class MlflowStore:
    """MLflow's tracking store; it can be read."""

    name = "mlflow"
    about = "runs of MLflow: a folder mlruns, or its SQLite file"
    extensions = (".db", ".sqlite", ".sqlite3")
    requires: tuple[str, ...] = ()

    def sniff(self, head: bytes, path: Path) -> float:
        """Return 0.95 for a folder of experiments, an experiment, a run, or a SQLite file with MLflow's tables."""
        from sessionstore.formats.trackers import mlflow_database, mlflow_folders

        is_one = mlflow_folders.is_store(path) if path.is_dir() else mlflow_database.is_store(head, path)
        return 0.95 if is_one else 0.0

    def parts(self, path: Path, options: Options, report: ImportReport) -> Iterator[Part]:
        """Yield the runs. Raises: Corrupt: not a store of MLflow; InvalidQuery: PyYAML is missing for a folder."""
        place = _place(path)
        seen = set[str]()
        for run_id in place.run_ids(report):
            if run_id in seen:
                continue
            seen.add(run_id)
            try:
                found = place.run(run_id)
            except (OSError, ValueError) as error:  # Corrupt is a ValueError
                report.count("(runs)", records_out=0, stream="")
                report.problems.append(f"run {run_id} is left out: {error}"[:300])
                continue
            report.count("(runs)", stream="(sessions)")
            yield Part(run_id, found.name or run_id, found.fingerprint, (place, found))

    def read_part(self, path: Path, part: Part, into: SessionDraft, options: Options) -> ImportReport:
        """Read one run. Raises: Corrupt."""
        place, found = part.handle
        report = ImportReport(str(path), self.name)
        started, ended = runs.utc(found.start_ms), runs.utc(found.end_ms)
        status = STATUSES.get(found.status, "completed")
        sink = runs.MetricSink(into, report, started)
        try:
            for key, value, at_ms, step in place.metrics(found.run_id, report):
                sink.take(key, value, runs.utc(at_ms), step)
        except Corrupt as error:
            report.problems.append(f"partial: the metrics end after {sink.count} values ({error})"[:300])
        sink.end()
        into.set(status=status, end_reason=found.status.lower() if status in ("failed", "stopped") else None)
        runs.set_times(into, started, ended, status not in ("running", "created"))
        runs.set_name(into, found.name or found.tags.get(_NAME), found.run_id)
        runs.set_metadata(into, report, _metadata(found, self.name))
        into.set(notes=found.tags.get(_NOTE, ""))
        if folder := artifact_folder(found, place.root, report):
            runs.copy_files(into, report, folder)
        report.count("(params)", len(found.params), len(found.params), "(metadata)")
        report.count("(tags)", len(found.tags), len(found.tags), "(metadata)")
        return report


def _place(path: Path) -> MlflowPlace:
    if path.is_dir():
        from sessionstore.formats.trackers.mlflow_folders import Folders

        return Folders(path)
    from sessionstore.formats.trackers.mlflow_database import Database

    return Database(path)


def _metadata(found: MlflowRun, format_name: str) -> dict[str, Any]:
    """Return the params under their own names, and all else under ``mlflow``."""
    more: dict[str, Any] = {
        "run_id": found.run_id,
        "experiment": found.experiment,
        "experiment_id": found.experiment_id,
        "status": found.status,
        "user": found.user,
        "tags": found.tags,
    }
    if found.inputs:
        more["inputs"] = found.inputs
    if parent := found.tags.get(_PARENT):
        more["parent_run_id"], more["parent"] = parent, part_uuid(format_name, parent)
    params = {key if key != "mlflow" else "param.mlflow": runs.typed(text) for key, text in found.params.items()}
    return {**params, "mlflow": more}


def artifact_folder(found: MlflowRun, root: Path, report: ImportReport) -> Path | None:
    """Return the folder of a run's artifacts: beside the store, else where MLflow wrote it.

    A folder that is not named by the run (``.../RUN_ID/artifacts``) is not read, also when the store names it.
    """
    below = (found.experiment_id, found.run_id, "artifacts")
    beside = [root.joinpath(*below), *(root.joinpath(each, *below) for each in ("mlruns", "mlartifacts"))]
    parts = urlsplit(found.artifact_uri)
    written = Path(unquote(parts.path)) if parts.scheme in ("", "file") and parts.path else None
    if written is not None:
        beside += [root.joinpath(*written.parts[-3:]), root.joinpath(*written.parts[-2:])]
        if tuple(written.parts[-2:]) == (found.run_id, "artifacts"):
            beside.append(written if written.is_absolute() else root / written)
    for folder in beside:
        if folder.is_dir() and not folder.is_symlink() and folder.parts[-2:] == (found.run_id, "artifacts"):
            return folder
    if parts.scheme not in ("", "file", "mlflow-artifacts"):
        where = f"{parts.scheme}://{parts.hostname or ''}{PurePosixPath(parts.path or '/')}"
        report.problems.append(f"the artifacts are not copied: they are at {where}")
    elif parts.scheme == "mlflow-artifacts" and not (root / "mlartifacts").is_dir():
        report.problems.append("the artifacts are not copied: they are with MLflow's server (its folder mlartifacts)")
    return None
