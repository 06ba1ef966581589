"""Sacred's FileStorageObserver as sessions, one for each run: config, metrics, info, output, artifacts, status, times.

A second import adds new runs, and to the others what they have more. No library of Sacred is needed.
Not here: what all trackers have in common (run).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionstore.errors import Corrupt, InvalidRecord
from sessionstore.formats import registry
from sessionstore.formats.folders import quick_fingerprint
from sessionstore.formats.protocol import ImportReport, Options, Part
from sessionstore.formats.trackers import run as runs
from sessionstore.session import stream_names
from sessionstore.session.mappings import DATA_TABLE

if TYPE_CHECKING:
    from sessionstore.formats.draft import SessionDraft

RUN, CONFIG, METRICS, INFO, OUTPUT = "run.json", "config.json", "metrics.json", "info.json", "cout.txt"
STATUSES = {
    "QUEUED": "created", "RUNNING": "running", "COMPLETED": "completed", "FAILED": "failed", "INTERRUPTED": "stopped",
    "TIMEOUT": "failed", "DIED": "failed",
}  # fmt: skip
_OF_A_RUN = ("experiment", "command", "host", "meta", "result", "resources")
_MAX_OUTPUT_LINES = 100_000
_MAX_TRACE = 100_000


class SacredRuns:
    """The folder of a FileStorageObserver, or one run in it."""

    name = "sacred"
    about = "runs of Sacred: the folder of a FileStorageObserver"
    extensions: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()

    def sniff(self, head: bytes, path: Path) -> float:
        """Return 0.9 for a folder of runs, each with run.json and config.json."""
        return 0.9 if path.is_dir() and next(_runs(path), None) is not None else 0.0

    def parts(self, path: Path, options: Options, report: ImportReport) -> Iterator[Part]:
        """Yield the runs; one whose run.json is damaged goes into the report."""
        for folder in _runs(path):
            try:
                run = runs.read_json(folder / RUN)
            except (Corrupt, OSError) as error:
                report.count("(runs)", records_out=0, stream="")
                report.problems.append(f"run {folder.name} is left out: {error}"[:300])
                continue
            run = run if isinstance(run, dict) else {}
            report.count("(runs)", stream="(sessions)")
            # The number of a run is its folder's; its experiment and start distinguish it from another observer's.
            key = f"{_inner(run, 'experiment').get('name')}:{folder.name}:{run.get('start_time')}"
            yield Part(
                key,
                f"{_inner(run, 'experiment').get('name') or 'run'} {folder.name}",
                quick_fingerprint(folder),
                folder,
            )

    def read_part(self, path: Path, part: Part, into: SessionDraft, options: Options) -> ImportReport:
        """Read one run. Raises: Corrupt."""
        folder: Path = part.handle
        report = ImportReport(str(path), self.name)
        run = runs.read_json(folder / RUN)
        if not isinstance(run, dict):
            raise Corrupt("a run is an object", folder / RUN)
        status = STATUSES.get(str(run.get("status")), "completed")
        started = _instant(run.get("start_time"))
        ended = _instant(run.get("stop_time")) or _instant(run.get("heartbeat"))
        sink = runs.MetricSink(into, report, started)
        for key, value, at, step in _metrics(self._json(folder / METRICS, report), report):
            sink.take(key, value, at, step)
        sink.end()
        into.set(status=status, end_reason=self._reason(run, status))
        runs.set_times(into, started, ended, status not in ("running", "created"))
        config = self._json(folder / CONFIG, report)
        more = {key: run[key] for key in _OF_A_RUN if run.get(key) not in (None, [], {})}
        runs.set_metadata(into, report, {**config, "sacred": {"run": folder.name, "status": run.get("status"), **more}})
        runs.set_name(into, part.name, folder.name)
        report.count("(config)", len(config), len(config), "(metadata)")
        if info := self._json(folder / INFO, report):
            into.table(DATA_TABLE, [info])
            report.count("(info)", len(info), len(info), "(data)")
        self._output(folder / OUTPUT, into, report)
        if trace := run.get("fail_trace"):
            text = "".join(map(str, trace)) if isinstance(trace, list) else str(trace)
            into.event("exception", self._reason(run, status) or "", 0.0, "error", traceback=text[-_MAX_TRACE:])
            report.count("(fail_trace)", stream=stream_names.EVENTS)
        runs.copy_files(into, report, folder, but=(RUN, CONFIG, METRICS, INFO))
        return report

    def _json(self, path: Path, report: ImportReport) -> dict[str, Any]:
        if not path.is_file():
            return {}
        try:
            found = runs.read_json(path)
        except Corrupt as error:
            report.problems.append(f"{path.name} is left out: {error}"[:300])
            return {}
        return found if isinstance(found, dict) else {}

    def _reason(self, run: dict[str, Any], status: str) -> str | None:
        if status not in ("failed", "stopped"):
            return None
        trace = run.get("fail_trace")
        return str(trace[-1]).strip()[:500] if isinstance(trace, list) and trace else str(run.get("status")).lower()

    def _output(self, path: Path, into: SessionDraft, report: ImportReport) -> None:
        """Store the lines of the output in the log; Sacred keeps no times of them, so all have sim_time 0."""
        if not path.is_file():
            return
        rest, count = b"", 0
        for part in registry.chunks(path):
            *lines, rest = (rest + part).split(b"\n")
            rest = rest[-(1 << 16) :]
            for line in lines:
                count += 1
                if count <= _MAX_OUTPUT_LINES:
                    into.log(line.decode("utf-8", "replace")[: 1 << 16], "info", 0.0)
        if rest:
            count += 1
            into.log(rest.decode("utf-8", "replace"), "info", 0.0)
        stored = min(count, _MAX_OUTPUT_LINES)
        report.count("(output lines)", count, stored, stream_names.LOG)
        if stored < count:
            report.notes.append(
                f"of {count} lines of output the first {stored} are in the log, all in the artifact {OUTPUT}"
            )


def _runs(path: Path) -> Iterator[Path]:
    if _is_run(path):
        yield path
        return
    try:
        names = [each.name for each in path.iterdir()]
    except OSError as error:
        raise InvalidRecord(f"{path} cannot be listed: {error}") from error
    for name in sorted(names, key=lambda each: (len(each), each)):
        if not name.startswith("_") and _is_run(path / name):
            yield path / name


def _is_run(folder: Path) -> bool:
    return (folder / RUN).is_file() and ((folder / CONFIG).is_file() or (folder / OUTPUT).is_file())


def _metrics(
    found: dict[str, Any], report: ImportReport
) -> Iterator[tuple[str, float | None, datetime | None, int | None]]:
    """Yield the values of all metrics by their instants."""
    rows: list[tuple[str, float | None, datetime | None, int | None]] = []
    for key, series in found.items():
        if not isinstance(series, dict):
            report.problems.append(f"metric {key} is left out: not an object")
            continue
        steps, times, values = (_list(series.get(name)) for name in ("steps", "timestamps", "values"))
        for number, value in enumerate(values):
            step = steps[number] if number < len(steps) else None
            at = _instant(times[number]) if number < len(times) else None
            rows.append((key, _value(value), at, int(step) if isinstance(step, int | float) else None))
    first = datetime.min.replace(tzinfo=UTC)
    rows.sort(key=lambda row: row[2] or first)
    yield from rows


def _value(value: Any) -> float | None:
    """Return a number, also one of numpy as jsonpickle stores it; None for what is none."""
    if isinstance(value, dict):
        value = value.get("value")
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def _instant(text: Any) -> datetime | None:
    """Return an instant of Sacred, which is UTC without saying so."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _inner(record: dict[str, Any], key: str) -> dict[str, Any]:
    found = record.get(key)
    return found if isinstance(found, dict) else {}
