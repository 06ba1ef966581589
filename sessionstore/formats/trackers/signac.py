"""A signac project as sessions, one for each job: state point, document, files. No library of signac is needed.

The state point becomes ``metadata.params``, the job's document ``session.data``, its files artifacts. A second import
adds new jobs, and to the others what they have more.
Not here: what all trackers have in common (run).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionstore.errors import Corrupt, InvalidRecord
from sessionstore.formats.folders import plain_files, quick_fingerprint
from sessionstore.formats.protocol import ImportReport, Options, Part
from sessionstore.formats.trackers import run as runs
from sessionstore.session.mappings import DATA_TABLE

if TYPE_CHECKING:
    from sessionstore.formats.draft import SessionDraft

STATE_POINT, DOCUMENT, PROJECT_DOCUMENT = (
    "signac_statepoint.json",
    "signac_job_document.json",
    "signac_project_document.json",
)
_JOB_ID = re.compile(r"[0-9a-f]{32}")
_FIRST_LOOK = 20


class SignacProject:
    """Projects of signac 1 and 2: the folder of the project, its workspace, or one job."""

    name = "signac"
    about = "jobs of a signac project: state point, document, files"
    extensions: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()

    def sniff(self, head: bytes, path: Path) -> float:
        """Return 0.9 for a folder with a workspace of jobs."""
        return 0.9 if path.is_dir() and next(_jobs(path, _FIRST_LOOK), None) is not None else 0.0

    def parts(self, path: Path, options: Options, report: ImportReport) -> Iterator[Part]:
        """Yield the jobs."""
        project = _project(path)
        for folder in _jobs(path):
            report.count("(jobs)", stream="(sessions)")
            # The id of a job is a hash of its state point, which two projects may share.
            yield Part(f"{project.name}:{folder.name}", folder.name[:8], quick_fingerprint(folder), (project, folder))

    def read_part(self, path: Path, part: Part, into: SessionDraft, options: Options) -> ImportReport:
        """Read one job. Raises: Corrupt: its state point is damaged."""
        project, folder = part.handle
        report = ImportReport(str(path), self.name)
        state_point = runs.read_json(folder / STATE_POINT)
        if not isinstance(state_point, dict):
            raise Corrupt("a state point is an object", folder / STATE_POINT)
        document = self._document(folder / DOCUMENT, report)
        more: dict[str, Any] = {"job_id": folder.name, "project": project.name}
        if shared := self._document(project / PROJECT_DOCUMENT, report):
            more["project_document"] = shared
        runs.set_metadata(into, report, {"params": state_point, "signac": more})
        runs.set_name(into, _name_of(state_point), part.name)
        if document:
            into.table(DATA_TABLE, [document])
            report.count("(document)", len(document), len(document), "(data)")
        runs.copy_files(into, report, folder, but=(STATE_POINT, DOCUMENT))
        times = [each.stat().st_mtime for each in plain_files(folder)]
        started, ended = (datetime.fromtimestamp(each, UTC) for each in (min(times), max(times)))
        into.created_at = started
        report.notes.append(
            f"signac keeps no times: the session is of {started:%Y-%m-%d %H:%M}, when its first file was written, "
            f"the last one at {ended:%Y-%m-%d %H:%M}"
        )
        return report

    def _document(self, path: Path, report: ImportReport) -> dict[str, Any]:
        if not path.is_file():
            return {}
        try:
            found = runs.read_json(path)
        except Corrupt as error:
            report.problems.append(f"{path.name} is left out: {error}"[:300])
            return {}
        return found if isinstance(found, dict) else {}


def _project(path: Path) -> Path:
    """Return the folder of the project that a path belongs to."""
    if _JOB_ID.fullmatch(path.name) and (path / STATE_POINT).is_file():
        path = path.absolute().parent
    return path.parent if path.name == "workspace" else path


def _jobs(path: Path, most: int | None = None) -> Iterator[Path]:
    if (path / STATE_POINT).is_file():
        yield path
        return
    workspace = path / "workspace" if (path / "workspace").is_dir() else path
    try:
        names = sorted(each.name for each in workspace.iterdir() if _JOB_ID.fullmatch(each.name))
    except OSError as error:
        raise InvalidRecord(f"{workspace} cannot be listed: {error}") from error
    for name in names[:most]:
        if (workspace / name / STATE_POINT).is_file():
            yield workspace / name


def _name_of(state_point: dict[str, Any]) -> str:
    """Return the first values of a state point as a name: ``num_drones=3 wind=2.5``."""
    parts = [f"{key}={value}" for key, value in state_point.items() if isinstance(value, str | int | float)]
    return " ".join(parts[:4])[:80]
