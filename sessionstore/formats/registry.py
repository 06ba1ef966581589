"""Which formats there are: those of this package, and those that other packages register as entry points.

A format that cannot be loaded does not hide the others: it is listed with the reason.
Not here: the protocol (protocol).
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from sessionstore.disk import files
from sessionstore.errors import InvalidQuery, InvalidRecord
from sessionstore.formats.protocol import Collection, Format, Readable, Together, Writable

GROUP = "sessionstore.formats"
HEAD_BYTES = 4096
#: The formats of this package, by module and class; each is imported when it is asked for.
BUILT_IN = {
    "legacy": "sessionstore.legacy.format:LegacyFolders",
    "ulog": "sessionstore.formats.ulog:ULogFormat",
    "dataflash": "sessionstore.formats.dataflash:DataFlash",
    "tlog": "sessionstore.formats.tlog:TelemetryLog",
    "rerun": "sessionstore.formats.rerun_file:RerunFile",
    "mcap": "sessionstore.formats.mcap_file:McapFormat",
    "rosbag": "sessionstore.formats.rosbag:RosBag",
    "csv": "sessionstore.analysis.table_export:CsvTables",
    "jsonl": "sessionstore.formats.tables.jsonl:JsonLinesFormat",
    "parquet": "sessionstore.analysis.table_export:ParquetTables",
    "mlflow": "sessionstore.formats.trackers.mlflow:MlflowStore",
    "sacred": "sessionstore.formats.trackers.sacred:SacredRuns",
    "signac": "sessionstore.formats.trackers.signac:SignacProject",
    "geojson": "sessionstore.formats.tracks:GeoJson",
    "gpx": "sessionstore.formats.tracks:Gpx",
    "kml": "sessionstore.formats.tracks:Kml",
    "czml": "sessionstore.formats.tracks:Czml",
}


@dataclass(frozen=True, slots=True)
class Listed:
    """One format as ``sessionstore formats`` shows it; ``format`` is None when it could not be loaded."""

    name: str
    source: str
    format: Format | None
    problem: str = ""

    @property
    def reads(self) -> bool:
        """Whether it can be imported."""
        return isinstance(self.format, Readable | Collection)

    @property
    def writes(self) -> bool:
        """Whether sessions can be exported to it."""
        return isinstance(self.format, Writable)

    def missing(self) -> list[str]:
        """Return the modules that it needs and that are not installed."""
        needed = self.format.requires if self.format is not None else ()
        return [name for name in needed if importlib.util.find_spec(name.partition(".")[0]) is None]

    def install(self) -> str:
        """Return the command that installs what is missing; nothing when all is there."""
        missing = self.missing()
        if not missing:
            return ""
        if self.source == "sessionstore":
            return f"pip install 'sessionstore[{getattr(self.format, 'extra', 'formats')}]'"
        return f"pip install {' '.join(missing)}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for ``--json`` and the API."""
        return {
            "name": self.name,
            "reads": self.reads,
            "writes": self.writes,
            "extensions": list(self.format.extensions) if self.format else [],
            "missing": self.missing(),
            "install": self.install(),
            "together": isinstance(self.format, Together),
            "problem": self.problem,
            "from": self.source,
            "about": self.format.about if self.format else "",
        }


def formats() -> list[Listed]:
    """Return all formats by name, those of this package first when two have one name."""
    found: dict[str, Listed] = {}
    for name, target in BUILT_IN.items():
        found[name] = _loaded(name, "sessionstore", target)
    for point in metadata.entry_points(group=GROUP):
        if point.name not in found:
            source = point.dist.name if point.dist is not None else point.value
            found[point.name] = _loaded(point.name, source, point.value)
    return [found[name] for name in sorted(found)]


def _loaded(name: str, source: str, target: str) -> Listed:
    module, _, attribute = target.partition(":")
    try:
        made = getattr(import_module(module), attribute)()
    except Exception as error:  # noqa: BLE001  # a third party's module may raise anything
        return Listed(name, source, None, f"{type(error).__name__}: {error}")
    if not isinstance(made, Format) or made.name != name:
        return Listed(name, source, None, f"{target} is not a format named {name!r}")
    return Listed(name, source, made)


def find(name: str) -> Format:
    """Return a format by name. Raises: InvalidQuery: there is none, or it lacks a module (with the name)."""
    listed = {each.name: each for each in formats()}
    if name not in listed:
        raise InvalidQuery(f"no format {name!r}; there are {', '.join(listed)}")
    return _usable(listed[name])


def detect(path: Path) -> Format:
    """Return the format of a file or folder: the one with the highest confidence of all that can be read.

    Raises: InvalidRecord: no format recognises it. InvalidQuery: its format lacks a module.
    """
    head = head_of(path)
    sure = [(_confidence(each, head, path), each) for each in formats() if each.reads]
    confidence, best = max(sure, key=lambda pair: pair[0], default=(0.0, None))
    if best is None or confidence <= 0:
        known = ", ".join(each.name for _, each in sure)
        raise InvalidRecord(f"{path.name} has no known format ({known}); name one with --as")
    return _usable(best)


def _confidence(listed: Listed, head: bytes, path: Path) -> float:
    return listed.format.sniff(head, path) if listed.format is not None else 0.0


def _usable(listed: Listed) -> Format:
    if listed.format is None:
        raise InvalidQuery(f"the format {listed.name} cannot be loaded: {listed.problem}")
    if missing := listed.missing():
        raise InvalidQuery(f"the format {listed.name} needs {', '.join(missing)}: {listed.install()}")
    return listed.format


def head_of(path: Path) -> bytes:
    """Return the first bytes of a file; none for a folder. Raises: UnsafeFile, FileNotFoundError, StoreUnusable."""
    if path.is_dir():
        return b""
    return next(chunks(path, HEAD_BYTES), b"")


def chunks(path: Path, size: int = 1 << 20) -> Iterator[bytes]:
    """Yield the bytes of a plain file. Raises: UnsafeFile, FileNotFoundError, StoreUnusable."""
    with files.opened(path) as descriptor:
        while part := os.read(descriptor, size):
            yield part
