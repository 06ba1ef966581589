"""MLflow's SQLite file (1.x to 3.x), opened for reading only; no library of MLflow is needed.

Not here: what becomes of a run (mlflow).
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionstore.errors import Corrupt

if TYPE_CHECKING:
    from sessionstore.formats.protocol import ImportReport
    from sessionstore.formats.trackers.mlflow import MlflowRun

_MAGIC = b"SQLite format 3\0"
_TABLES = {"runs", "experiments", "metrics", "params", "tags"}
#: What MLflow stores for an infinity.
_HUGE = 1.797e308


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a file for reading. Raises: Corrupt: SQLite cannot read it."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)) as opened:
            opened.text_factory = lambda data: data.decode("utf-8", "replace")
            opened.row_factory = sqlite3.Row
            yield opened
    except sqlite3.Error as error:
        raise Corrupt(f"SQLite cannot read it ({error})", path) from error


def is_store(head: bytes, path: Path) -> bool:
    """Whether a file is a SQLite file with the tables of MLflow."""
    if not head.startswith(_MAGIC):
        return False
    try:
        with _opened(path) as opened:
            return _tables(opened) >= _TABLES
    except Corrupt:
        return b"mlflow" in path.name.lower().encode()


def _tables(opened: sqlite3.Connection) -> set[str]:
    return {row[0] for row in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


class Database:
    """The runs in a SQLite file."""

    def __init__(self, path: Path) -> None:
        self.root, self._path = path.absolute().parent, path

    def run_ids(self, report: ImportReport) -> Iterator[str]:
        """Yield the ids of the active runs, in the order in which they began. Raises: Corrupt."""
        with _opened(self._path) as opened:
            if not _tables(opened) >= _TABLES:
                raise Corrupt("a SQLite file without the tables of MLflow", self._path)
            rows = opened.execute("SELECT run_uuid, lifecycle_stage FROM runs ORDER BY start_time, run_uuid").fetchall()
        deleted = sum(row["lifecycle_stage"] == "deleted" for row in rows)
        if deleted:
            report.count("(deleted runs)", deleted, 0, "")
            report.notes.append(f"{deleted} deleted runs are left out")
        yield from (str(row["run_uuid"]) for row in rows if row["lifecycle_stage"] != "deleted")

    def run(self, run_id: str) -> MlflowRun:
        """Return a run without its metrics. Raises: Corrupt."""
        from sessionstore.formats.trackers.mlflow import MlflowRun

        with _opened(self._path) as opened:
            row = dict(opened.execute("SELECT * FROM runs WHERE run_uuid = ?", (run_id,)).fetchone() or {})
            experiment = opened.execute(
                "SELECT name FROM experiments WHERE experiment_id = ?", (row.get("experiment_id"),)
            ).fetchone()
            params = _pairs(opened, "params", run_id)
            tags = _pairs(opened, "tags", run_id)
            count = opened.execute("SELECT COUNT(*), MAX(rowid) FROM metrics WHERE run_uuid = ?", (run_id,)).fetchone()
            inputs = _inputs(opened, run_id)
        return MlflowRun(
            run_id=run_id,
            name=str(row.get("name") or ""),
            experiment_id=str(row.get("experiment_id")),
            experiment=str(experiment["name"]) if experiment is not None else "",
            status=str(row.get("status") or "FINISHED"),
            start_ms=_whole(row.get("start_time")),
            end_ms=_whole(row.get("end_time")),
            user=str(row.get("user_id") or ""),
            artifact_uri=str(row.get("artifact_uri") or ""),
            params=params,
            tags=tags,
            inputs=inputs,
            fingerprint=hashlib.sha256(repr((row, params, tags, tuple(count), inputs)).encode()).hexdigest(),
        )

    def metrics(self, run_id: str, report: ImportReport) -> Iterator[tuple[str, float | None, int, int]]:
        """Yield the values of all metrics in the order in which they were stored. Raises: Corrupt."""
        with _opened(self._path) as opened:
            asked = "SELECT key, value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ? ORDER BY rowid"
            for key, value, timestamp, step, is_nan in opened.execute(asked, (run_id,)):
                finite = isinstance(value, int | float) and math.isfinite(value) and abs(value) < _HUGE and not is_nan
                yield str(key), value if finite else None, _whole(timestamp) or 0, _whole(step) or 0


def _pairs(opened: sqlite3.Connection, table: str, run_id: str) -> dict[str, str]:
    rows = opened.execute(f"SELECT key, value FROM {table} WHERE run_uuid = ? ORDER BY key", (run_id,))
    return {str(key): "" if value is None else str(value) for key, value in rows}


def _inputs(opened: sqlite3.Connection, run_id: str) -> list[dict[str, Any]]:
    """Return the data sets of a run (MLflow 2.4 and later)."""
    if not {"inputs", "datasets"} <= _tables(opened):
        return []
    asked = (
        "SELECT d.name, d.digest, d.dataset_source_type, d.dataset_source FROM inputs i JOIN datasets d "
        "ON d.dataset_uuid = i.source_id WHERE i.source_type = 'DATASET' AND i.destination_id = ? ORDER BY d.name"
    )
    return [dict(row) for row in opened.execute(asked, (run_id,))]


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
