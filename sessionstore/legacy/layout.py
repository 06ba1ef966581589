"""One folder of the old system: its content, what is unknown, and what was wrong with it.

    motion_history.json       drone -> points        buildings.json           buildings with size or dimensions
    simulation_summary.json   counts, base, times    ml_training_data.json    features, decisions, outcomes
    communication_log.json    messages               detection_data.json      detections

Any of them may be missing, torn or broken: the others still count.
Not here: times and points (legacy.motion_history), writing sessions (importer), writing old folders (exporter).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

from sessionstore.disk import files
from sessionstore.errors import Corrupt, InvalidRecord, UnsafeFile
from sessionstore.legacy import instants
from sessionstore.legacy.motion_history import OldMotion, numbers, read_motion
from sessionstore.legacy.tolerant import load
from sessionstore.model import json_text, names
from sessionstore.session import stream_names

MOTION, SUMMARY, BUILDINGS, ML = (
    "motion_history.json", "simulation_summary.json", "buildings.json", "ml_training_data.json"
)  # fmt: skip
#: Files that become a stream each; the first name of a stream is the one that the exporter writes.
STREAM_FILES = {
    "communication_log.json": stream_names.COMMUNICATION,
    "communication.json": stream_names.COMMUNICATION,
    "detection_data.json": stream_names.DETECTIONS,
    "detections.json": stream_names.DETECTIONS,
}
KNOWN_FILES = (MOTION, SUMMARY, BUILDINGS, ML, *STREAM_FILES)
_STATUS = {
    "complete": "completed",
    "done": "completed",
    "finished": "completed",
    "error": "failed",
    "crashed": "failed",
}
_STREAM_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,50}")
_LATEST_S = 253402300799.0  # the last second of the year 9999
#: The largest count: beyond it a JSON number is not exact.
_MOST = 2**53
_CREATED = ("created_at", "creation_time", "created", "start_time", "timestamp")

Rows = list[tuple[float, dict[str, Any]]]


@dataclass(slots=True)
class OldSession:
    """What one folder holds; None is unknown."""

    folder: Path
    content: dict[str, bytes] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    motion: OldMotion | None = None
    buildings: list[dict[str, Any]] | None = None
    streams: dict[str, Rows] = field(default_factory=dict)
    ml_rest: Any = None
    created: datetime | None = None
    created_from: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        """A hash of the folder's name and of every file in it: the same folder is the same session."""
        parts = [self.folder.name, *(f"{name}:{digest(data)}" for name, data in sorted(self.content.items()))]
        return digest("\n".join(parts).encode("utf-8", "surrogatepass"))

    def record_fields(self) -> dict[str, Any]:
        """Return what the record says: only what is known, and null where "unknown" must be said."""
        found, motion = self.summary, self.motion
        hidden = [row.get("visible") for row in self.buildings or [] if isinstance(row.get("visible"), bool)]
        listed = None if self.buildings is None else len(self.buildings)
        invisible = hidden.count(False) if hidden else _count(found, "num_invisible_buildings")
        counted = _count(found, "num_buildings", "building_count", "buildings")
        return {
            "status": self.status(),
            "workflow_state": str(found.get("workflow_state") or "imported")[:200],
            "end_reason": found["end_reason"] if isinstance(found.get("end_reason"), str) else None,
            "base_position": numbers(_base(found), 3),
            "num_buildings": counted if listed is None else listed - hidden.count(False),
            "num_invisible_buildings": invisible,
            "duration_sim_s": motion.points[-1][0] if motion and motion.points else None,
            "drones": [{"id": name} for name in motion.drones] if motion else _drones(found),
            "metadata": self.metadata(),
        }

    def status(self) -> str:
        """Return how it ended, as far as it says so; the old system wrote its files when a run was stopped."""
        said = self.summary.get("status")
        word = _STATUS.get(said.lower(), said.lower()) if isinstance(said, str) else "stopped"
        if word not in ("completed", "stopped", "failed"):
            self.problems.append(f"the status {said!r} is not an end status: imported as stopped")
            return "stopped"
        return word

    def metadata(self) -> dict[str, Any]:
        """Return the metadata that it had, and the rest of the summary as it stood there."""
        own = self.summary.get("metadata")
        rest = {key: value for key, value in self.summary.items() if key not in ("metadata", "buildings")}
        more = {"legacy_summary": rest} if rest else {}
        more |= {} if self.ml_rest is None else {"legacy_ml": self.ml_rest}
        return {**(own if isinstance(own, dict) else {}), **more}


def digest(data: bytes) -> str:
    """Return the SHA-256 as text."""
    return hashlib.sha256(data).hexdigest()


def old_folders(place: Path) -> Iterator[Path]:
    """Yield the folder itself when it is an old session, else the folders in it, by name."""
    if any((place / name).exists() for name in KNOWN_FILES):
        yield place
        return
    with os.scandir(place) as entries:
        yield from sorted(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))


def read_folder(folder: Path, zone: tzinfo | None) -> OldSession:
    """Return what a folder of the old system holds.

    Raises:
        Corrupt: none of its files can be read; InvalidRecord: times that mean nothing without a zone; OSError.
    """
    old = OldSession(folder)
    _take_files(old)
    if not any(name in KNOWN_FILES for name in old.content):
        found = f"{len(old.content)} other files" if old.content else "it is empty"
        raise InvalidRecord(f"not a folder of the old system: {found}")
    values = {name: value for name in KNOWN_FILES if (value := _value(old, name)) is not None}
    if not values:
        raise Corrupt("none of its files can be read: " + "; ".join(old.problems), folder)
    summary = values.get(SUMMARY)
    if isinstance(summary, dict):
        old.summary = summary
    elif summary is not None:
        old.problems.append(f"{SUMMARY}: not an object")
    if MOTION in values:
        try:
            old.motion = read_motion(values[MOTION], zone)
            old.problems += old.motion.problems
        except Corrupt as error:
            old.problems.append(f"{MOTION}: {error.reason}")
    _take_buildings(old, values)
    for name, stream in STREAM_FILES.items():
        if name in values and stream not in old.streams:
            old.streams[stream] = _rows(old, name, _listed(values[name]), zone)
    if ML in values:
        _take_ml(old, values[ML], zone)
    _take_creation(old, zone)
    return old


def _take_files(old: OldSession) -> None:
    """Read the plain files at the top of the folder; links, pipes and folders are named, never followed."""
    with os.scandir(old.folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        try:
            old.content[entry.name] = files.read(entry.path)[0]
        except (UnsafeFile, OSError) as error:
            reason = "not a plain file" if isinstance(error, UnsafeFile) else error.strerror
            old.problems.append(f"{entry.name}: passed over ({reason})")


def _value(old: OldSession, name: str) -> Any:
    if name not in old.content:
        return None
    try:
        loaded = load(old.content[name])
    except Corrupt as error:
        place = "" if error.line is None else f"line {error.line}, column {error.column}: "
        old.problems.append(f"{name}: cannot be read ({place}{error.reason})")
        return None
    old.problems += [f"{name}: {problem}" for problem in loaded.problems]
    try:
        return json_text.plain(loaded.value, name)
    except InvalidRecord as error:  # lone surrogates, or nested beyond what a record holds
        old.problems.append(f"{name}: cannot be stored ({error})")
        return None


# ---------------------------------------------------------------- buildings


def _take_buildings(old: OldSession, values: dict[str, Any]) -> None:
    given = values.get(BUILDINGS, old.summary.get("buildings"))
    listed = given.get("buildings", given) if isinstance(given, dict) else given
    if isinstance(listed, dict):
        listed = [{"name": name, **row} for name, row in listed.items() if isinstance(row, dict)]
    if not isinstance(listed, list):
        return
    old.buildings = [_building(row) for row in listed if isinstance(row, dict)]
    said = given.get("count") if isinstance(given, dict) else None
    if isinstance(said, int) and said != len(old.buildings):
        old.problems.append(f"{BUILDINGS}: says {said} buildings and lists {len(old.buildings)}")


def _building(row: dict[str, Any]) -> dict[str, Any]:
    """Return a building with name, position and size, each null when it is not given."""
    size = row.get("size", row.get("dimensions"))
    if isinstance(size, dict):
        size = [size.get(key, size.get(short)) for key, short in (("width", "w"), ("depth", "d"), ("height", "h"))]
    position = row.get("position")
    if isinstance(position, dict):
        position = [position.get(axis) for axis in "xyz"]
    rest = {key: value for key, value in row.items() if key not in ("name", "position", "size", "dimensions", "kind")}
    kind = {"legacy_kind": row["kind"]} if "kind" in row else {}
    known = {"name": row.get("name"), "position": numbers(position, 3), "size": numbers(size, 3)}
    return {**known, **rest, **kind, "kind": "building"}


def _base(summary: dict[str, Any]) -> Any:
    for key in ("base_position", "base"):
        value = summary.get(key)
        if isinstance(value, dict):
            value = value.get("position", [value.get(axis) for axis in "xyz"])
        if value is not None:
            return value
    return None


def _count(summary: dict[str, Any], *keys: str) -> int | None:
    for key in keys:
        value = summary.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST:
            return value
    return None


def _drones(summary: dict[str, Any]) -> list[dict[str, Any]]:
    given = summary.get("drones")
    named = list(given) if isinstance(given, dict) else given if isinstance(given, list) else []
    ids = [
        each if isinstance(each, str) else (each or {}).get("name") for each in named if isinstance(each, str | dict)
    ]
    return [{"id": name} for name in ids if isinstance(name, str)]


# ---------------------------------------------------------------- streams


def _listed(value: Any) -> list[Any]:
    """Return the list in a file: the value itself, or the only list in an object."""
    if isinstance(value, dict):
        lists = [inner for inner in value.values() if isinstance(inner, list)]
        return lists[0] if len(lists) == 1 else [value]
    return value if isinstance(value, list) else [value]


def _rows(old: OldSession, name: str, items: list[Any], zone: tzinfo | None) -> Rows:
    """Return records with their sim_time, in order of it; what has none follows the one before it."""
    last, rows = 0.0, []
    for item in items:
        record = item if isinstance(item, dict) else {"value": item}
        moment = _moment(old, record, zone)
        last = last if moment is None else moment
        rows.append((last, _unreserved(record)))
    ordered = sorted(rows, key=lambda row: row[0])
    if [row[0] for row in ordered] != [row[0] for row in rows]:
        old.problems.append(f"{name}: out of order, sorted by time")
    return ordered


def _moment(old: OldSession, record: dict[str, Any], zone: tzinfo | None) -> float | None:
    sim_time = record.get("sim_time")
    if isinstance(sim_time, int | float) and not isinstance(sim_time, bool) and sim_time >= 0:
        return float(sim_time)
    found = instants.read(record.get("timestamp"), zone)
    if found.utc is not None and old.motion is not None and old.motion.began is not None:
        return max(0.0, (found.utc - old.motion.began).total_seconds())
    return None


def _unreserved(record: dict[str, Any]) -> dict[str, Any]:
    """Rename the keys that belong to the stream."""
    return {f"legacy_{key}" if key in ("n", "t", "c") else key: value for key, value in record.items()}


def _take_ml(old: OldSession, value: Any, zone: tzinfo | None) -> None:
    """Take decisions one by one where the lists belong together, else each list as a stream."""
    if isinstance(value, list):
        old.streams[stream_names.TRAINING] = _rows(old, ML, value, zone)
        return
    if not isinstance(value, dict):
        old.ml_rest = value
        return
    lists = {key: items for key, items in value.items() if isinstance(items, list) and _STREAM_KEY.fullmatch(key)}
    columns = [lists.get(key) for key in ("features", "decisions", "outcomes")]
    if all(column is not None and len(column) == len(columns[0] or []) for column in columns):
        triples = zip(*(lists.pop(key) for key in ("features", "decisions", "outcomes")), strict=True)
        rows = [{"features": one, "decision": two, "outcome": three} for one, two, three in triples]
        old.streams[stream_names.TRAINING] = _rows(old, ML, rows, zone)
    for key, items in lists.items():
        old.streams[f"ml_{key}"] = _rows(old, ML, items, zone)
    taken = {"features", "decisions", "outcomes"} if stream_names.TRAINING in old.streams else set()
    rest = {key: item for key, item in value.items() if key not in lists and key not in taken}
    old.ml_rest = rest or None


# ---------------------------------------------------------------- when


def _take_creation(old: OldSession, zone: tzinfo | None) -> None:
    """Find when it was made: the summary, the first point, the folder's name, the time of its files, in this order."""
    for key in _CREATED:
        found = instants.read(old.summary.get(key), zone)
        if found.utc is not None:
            old.created, old.created_from = found.utc, f"{key} of {SUMMARY}"
            return
        if found.kind == "naive":
            old.problems.append(f"{SUMMARY}: {key} has no zone and was not used (say --zone)")
    stamp = names.stamp_of(old.folder.name)
    if old.motion is not None and old.motion.began is not None:
        old.created, old.created_from = old.motion.began, "the first point"
    elif stamp is not None:
        old.created = stamp.replace(tzinfo=zone) if zone is not None else stamp
        old.created_from = "the name of the folder" + ("" if zone is not None else ", read as UTC")
        if zone is None:
            old.problems.append("the time in the folder's name was read as UTC (say --zone if it was another)")
    else:
        old.created, old.created_from = _newest(old), "the time of its files"


def _newest(old: OldSession) -> datetime:
    """Return when the youngest file was changed; copying programs leave any number there, also none of a calendar."""
    newest = max(os.stat(old.folder / name).st_mtime for name in old.content)
    return datetime.fromtimestamp(min(max(newest, 0.0), _LATEST_S), UTC)
