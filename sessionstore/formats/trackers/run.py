"""What the runs of all trackers have: typed parameters, files, metrics over time, their end.

Not here: where the runs are (mlflow, signac, sacred).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from sessionstore.errors import Corrupt, InvalidName, InvalidRecord
from sessionstore.formats import registry
from sessionstore.formats.folders import plain_files
from sessionstore.model import json_text, names
from sessionstore.session import stream_names

if TYPE_CHECKING:
    from sessionstore.formats.draft import SessionDraft
    from sessionstore.formats.protocol import ImportReport

MAX_JSON_BYTES = 32 << 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CLOCK_EVERY_S = 5.0
#: A metric whose instant is further from the start of its run has a time of another kind.
_FAR_S = 10 * 365 * 86400.0


def typed(text: str) -> Any:
    """Return a text as the number or truth value that is written exactly so, else the text: "3" -> 3, "03" stays."""
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if str(value) == text and math.isfinite(value):
            return value
    return text


def utc(milliseconds: Any) -> datetime | None:
    """Return the instant of milliseconds since 1970; None where there is none."""
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float) or milliseconds <= 0:
        return None
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except (OverflowError, ValueError):
        return None


def read_json(path: Path) -> Any:
    """Return the content of a JSON file. Raises: Corrupt: it is none, or beyond 32 MiB."""
    if path.stat().st_size > MAX_JSON_BYTES:
        raise Corrupt(f"more than {MAX_JSON_BYTES} bytes", path)
    try:
        return json.loads(b"".join(registry.chunks(path)))
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"not JSON ({error})", path) from error


class MetricSink:
    """Stores metrics: each value is a record of the stream ``metrics`` with its step.

    Args:
        started: sim_time 0; None: the instant of the first value.
    """

    def __init__(self, into: SessionDraft, report: ImportReport, started: datetime | None) -> None:
        self._into, self._report, self._started = into, report, started
        self._clock_s = -math.inf
        self._without_time = 0
        self.last: dict[str, Any] = {}
        self.count = 0

    def take(self, key: str, value: float | None, at: datetime | None, step: int | None) -> None:
        """Store one value. Without an instant, or with one far from the run, its sim_time is its step."""
        if self._started is None:
            self._started = at
        t_s = (at - self._started).total_seconds() if at is not None and self._started is not None else math.inf
        if abs(t_s) > _FAR_S:
            t_s = float(step or 0)
            self._without_time += 1
        elif at is not None and t_s - self._clock_s >= _CLOCK_EVERY_S:
            self._clock_s = t_s
            self._into.clock(t_s, at)
        name = key if key != "step" else "metric.step"
        self._into.stream(stream_names.METRICS).append(
            {name: value, **({"step": step} if step is not None else {})}, t_s
        )
        self.last[key] = value
        self.count += 1
        self._report.count(f"metric {key}", stream=stream_names.METRICS)

    def end(self) -> None:
        """Set the last value of each metric."""
        if self.last:
            self._into.set(performance_metrics={"last": self.last})
        if self._without_time:
            self._report.notes.append(f"{self._without_time} values without a time of the run: sim_time is their step")


def set_times(into: SessionDraft, started: datetime | None, ended: datetime | None, is_over: bool) -> None:
    """Set when a run began and ended, by the wall clock."""
    if started is not None:
        into.created_at = started
        into.set(started_at=json_text.utc_text(started))
    if ended is not None and is_over:
        into.set(ended_at=json_text.utc_text(ended))
        if started is not None and ended >= started:
            seconds = (ended - started).total_seconds()
            into.set(duration_wall_s=seconds, duration_sim_s=seconds)


def copy_files(
    into: SessionDraft, report: ImportReport, folder: Path, but: Iterable[str] = (), below: str = ""
) -> None:
    """Keep the plain files below a folder as artifacts, with their folders; names become portable."""
    left, taken = set(but), set[str]()
    for path in plain_files(folder):
        relative = PurePosixPath(below, path.relative_to(folder).as_posix())
        if str(relative) in left:
            continue
        name = portable(relative, taken)
        if name != str(relative):
            report.notes.append(f"the file {str(relative)!r} is kept as {name!r}")
        into.artifact(name, registry.chunks(path))
        report.count("(files)", stream="(artifacts)")


def portable(name: PurePosixPath, taken: set[str]) -> str:
    """Return a name that is one and the same file on every system, and none of those taken."""
    kept = "/".join(_portable_part(part) for part in name.parts)
    label, number = kept, 1
    while kept.casefold() in taken:
        number += 1
        kept = f"{label}_{number}"
    taken.add(kept.casefold())
    return kept


def _portable_part(part: str) -> str:
    try:
        return names.check_file_name(part)
    except InvalidName:
        pass
    cleaned = "".join(char if char.isalnum() or char in "._-+()@, " else "_" for char in part).strip(" .")[:150]
    try:
        return names.check_file_name(cleaned)
    except InvalidName:
        return names.sanitise(cleaned)


def set_metadata(into: SessionDraft, report: ImportReport, metadata: Mapping[str, Any]) -> None:
    """Set the metadata; a value that a record cannot hold is left out, and is in the report."""
    kept: dict[str, Any] = {}
    for key, value in metadata.items():
        try:
            into.set(metadata={key: value})
            kept[key] = value
        except InvalidRecord as error:
            report.problems.append(f"{key!r} is left out: {error}"[:300])
    into.set(metadata=kept)


def set_name(into: SessionDraft, name: str | None, usual: str) -> None:
    """Set the name of the session; one that a session cannot have is replaced by the usual one."""
    for each in (name, usual):
        if each:
            try:
                into.set(session_name=each)
                return
            except InvalidRecord:
                continue
