"""The old system's folders as a format: the first member of the protocol of :mod:`sessionstore.formats`.

Not here: importing many folders with progress (importer), what is in one (layout).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from sessionstore.errors import InvalidRecord
from sessionstore.formats import ImportReport, Options
from sessionstore.legacy.layout import KNOWN_FILES

if TYPE_CHECKING:
    from sessionstore.formats import SessionDraft
    from sessionstore.session import Session


class LegacyFolders:
    """Folders with ``motion_history.json`` and its companions; option ``zone`` for times without a zone."""

    name = "legacy"
    about = "folders of the old system (motion_history.json and its companions)"
    extensions: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()

    def sniff(self, head: bytes, path: Path) -> float:
        """Return 1.0 for a folder that holds one of the known files."""
        return 1.0 if path.is_dir() and any((path / name).is_file() for name in KNOWN_FILES) else 0.0

    def read(self, path: Path, into: SessionDraft, options: Options) -> ImportReport:
        """Read one folder into a draft. Raises: InvalidRecord, Corrupt: it cannot be used."""
        from sessionstore.legacy import importer
        from sessionstore.legacy.instants import zone_of
        from sessionstore.legacy.layout import read_folder

        zone = options.get("zone")
        old = read_folder(path, zone_of(zone))
        importer.fill(into, old, zone)
        report = ImportReport(str(path), self.name, problems=list(old.problems))
        for stream, count in into.records_out.items():
            report.count(stream, count, count, stream)
        return report

    def write(self, session: Session, path: Path, options: Options) -> Path:
        """Write a session as a folder in ``path``; option ``timestamps``: iso, epoch or none. Raises: Conflict."""
        from sessionstore.legacy.exporter import Timestamps, export_legacy

        timestamps = options.get("timestamps", "iso")
        if timestamps not in get_args(Timestamps):
            raise InvalidRecord(f"timestamps is iso, epoch or none, not {timestamps!r}")
        return export_legacy(session, path, cast(Timestamps, timestamps))
