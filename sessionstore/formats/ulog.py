"""PX4 flight logs (ULog): every topic a stream, and the flight of the vehicle as motion points, phases and events.

Position and velocity become east-north-up metres, attitude roll, pitch and yaw; other fields keep PX4's units and axes.
A log is read twice, piece by piece: first the moment that becomes sim_time 0, then all messages. Memory does not grow
with the log.
Not here: where messages are (ulog_scan), what definitions mean (ulog_definitions), the derived flight (ulog_flight).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sessionstore.errors import InvalidRecord
from sessionstore.formats.protocol import ImportReport, Options

if TYPE_CHECKING:
    from sessionstore.formats.draft import SessionDraft

MAGIC = b"ULog\x01\x12\x35"


class ULogFormat:
    """A PX4 log; it can be read."""

    name = "ulog"
    about = "PX4 flight logs"
    extensions = (".ulg",)
    requires = ("numpy",)

    def sniff(self, head: bytes, path: Path) -> float:
        """Return 1.0 for the magic bytes."""
        return 1.0 if head.startswith(MAGIC) else 0.0

    def read(self, path: Path, into: SessionDraft, options: Options) -> ImportReport:
        """Read a log. Raises: Corrupt: it cannot be parsed; InvalidRecord: it holds no data."""
        from sessionstore.formats.ulog_topics import Survey, TopicReader

        report = ImportReport(str(path), self.name)
        with path.open("rb") as file:
            survey = Survey.of(file, path)
            if not survey.counts:
                raise InvalidRecord(f"{path.name} holds no data")
            TopicReader(into, report, survey).read(file, path)
        return report
