"""MLflow's file store (2.x): ``mlruns/EXPERIMENT/RUN`` with meta.yaml, params/, tags/, metrics/, inputs/.

Not here: what becomes of a run (mlflow).
"""

from __future__ import annotations

import heapq
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionstore.errors import Corrupt, InvalidQuery
from sessionstore.formats import registry
from sessionstore.formats.folders import plain_files, quick_fingerprint
from sessionstore.session import stream_names

if TYPE_CHECKING:
    from sessionstore.formats.protocol import ImportReport
    from sessionstore.formats.trackers.mlflow import MlflowRun

META = "meta.yaml"
_STATUSES = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_MAX_TEXT = 1 << 20


def is_store(path: Path) -> bool:
    """Whether a folder is a file store, an experiment of one, or a run of one."""
    return _kind(path) is not None or any(_kind(each) == "experiment" for each in _folders(path))


def _kind(folder: Path) -> str | None:
    try:
        head = registry.head_of(folder / META).decode("utf-8", "replace") if (folder / META).is_file() else ""
    except (OSError, ValueError):
        return None
    keys = {line.partition(":")[0] for line in head.splitlines()}
    if "run_uuid" in keys or {"run_id", "artifact_uri"} <= keys:
        return "run"
    return "experiment" if "experiment_id" in keys and "lifecycle_stage" in keys else None


def _folders(path: Path) -> Iterator[Path]:
    try:
        names = sorted(os.listdir(path))
    except OSError:
        return
    yield from (path / name for name in names if not name.startswith(".") and (path / name).is_dir())


class Folders:
    """The runs below a folder. Raises: InvalidQuery: PyYAML is missing."""

    def __init__(self, path: Path) -> None:
        try:
            import yaml  # noqa: F401
        except ImportError as error:
            raise InvalidQuery("folders of MLflow need PyYAML: pip install 'sessionstore[formats]'") from error
        kind = _kind(path)
        self.root = path.parent.parent if kind == "run" else path.parent if kind == "experiment" else path
        self._experiments = [path] if kind == "experiment" else [path.parent] if kind == "run" else list(_folders(path))
        self._only = path.name if kind == "run" else None
        self._places: dict[str, Path] = {}
        self._names: dict[Path, str] = {}

    def run_ids(self, report: ImportReport) -> Iterator[str]:
        """Yield the ids of the active runs."""
        deleted = 0
        for experiment in self._experiments:
            for folder in _folders(experiment):
                if _kind(folder) != "run" or (self._only is not None and folder.name != self._only):
                    continue
                if b"lifecycle_stage: deleted" in registry.head_of(folder / META):
                    deleted += 1
                    continue
                self._places[folder.name] = folder
                yield folder.name
        if deleted:
            report.count("(deleted runs)", deleted, 0, "")
            report.notes.append(f"{deleted} deleted runs are left out")

    def run(self, run_id: str) -> MlflowRun:
        """Return a run without its metrics. Raises: Corrupt."""
        from sessionstore.formats.trackers.mlflow import MlflowRun

        folder = self._places[run_id]
        meta = _yaml(folder / META)
        status = meta.get("status")
        return MlflowRun(
            run_id=run_id,
            name=str(meta.get("run_name") or ""),
            experiment_id=str(meta.get("experiment_id") or folder.parent.name),
            experiment=self._experiment(folder.parent),
            status=_STATUSES.get(status, "FINISHED") if isinstance(status, int) else str(status or "FINISHED"),
            start_ms=_whole(meta.get("start_time")),
            end_ms=_whole(meta.get("end_time")),
            user=str(meta.get("user_id") or ""),
            artifact_uri=str(meta.get("artifact_uri") or ""),
            params=_texts(folder / "params"),
            tags=_texts(folder / "tags"),
            inputs=list(_inputs(folder)),
            fingerprint=quick_fingerprint(folder),
        )

    def metrics(self, run_id: str, report: ImportReport) -> Iterator[tuple[str, float | None, int, int]]:
        """Yield the values of all metrics by their instants; those of one metric in the order of its file."""
        folder = self._places[run_id] / "metrics"
        if not folder.is_dir():
            return
        files = [(path.relative_to(folder).as_posix(), path) for path in plain_files(folder)]
        yield from heapq.merge(*(_values(key, path, report) for key, path in files), key=lambda each: each[2])

    def _experiment(self, folder: Path) -> str:
        if folder not in self._names:
            try:
                self._names[folder] = str(_yaml(folder / META).get("name") or folder.name)
            except (OSError, ValueError):
                self._names[folder] = folder.name
        return self._names[folder]


def _inputs(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the data sets of a run, as the database has them (MLflow 2.4 and later)."""
    for place in _folders(folder / "inputs"):
        if not (place / META).is_file():
            continue
        found = _yaml(place / META)
        described = folder.parent / "datasets" / Path(str(found.get("source_id"))).name / META
        dataset = _yaml(described) if described.is_file() else {}
        names = {"source_type": "dataset_source_type", "source": "dataset_source"}
        kept = {names.get(key, key): dataset[key] for key in ("name", "digest", *names) if key in dataset}
        yield kept or {"source_id": str(found.get("source_id"))}


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(_text(path))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Corrupt(f"not YAML ({type(error).__name__})", path) from error
    if not isinstance(found, dict):
        raise Corrupt("not the description of a run", path)
    return found


def _text(path: Path) -> str:
    data = b""
    for part in registry.chunks(path):
        data += part
        if len(data) > _MAX_TEXT:
            raise Corrupt(f"more than {_MAX_TEXT} bytes", path)
    return data.decode("utf-8", "replace")


def _texts(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): _text(path) for path in plain_files(folder)}


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _values(key: str, path: Path, report: ImportReport) -> Iterator[tuple[str, float | None, int, int]]:
    """Yield the lines of one file of a metric: instant, value, step; damaged ones go into the report."""
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(4096), b""), 1):
            if not line.endswith(b"\n"):
                return  # being written
            parts = line.split()
            if not parts:
                continue
            try:
                value = float(parts[1])
                yield key, value if math.isfinite(value) else None, int(parts[0]), int(parts[2]) if parts[2:] else 0
            except (ValueError, IndexError):
                report.count(f"metric {key}", records_out=0, stream=stream_names.METRICS)
                if len(report.problems) < 20:
                    report.problems.append(f"metric {key}, line {number}: not an instant, a value and a step")
