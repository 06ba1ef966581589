"""ROS 1 and ROS 2 bags, read without ROS: each topic a stream, and what robot_messages makes of it.

Messages whose type the bag does not define are read by the definitions of ROS 2 Humble or ROS 1 Noetic.
Not here: what a message means (robot_messages), bags in MCAP alone (mcap_file).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionstore.errors import InvalidRecord
from sessionstore.formats.partial import until_damaged
from sessionstore.formats.protocol import ImportReport, Options
from sessionstore.formats.robot_messages import MessageSink

if TYPE_CHECKING:
    from sessionstore.formats.draft import SessionDraft

_CLOCK_EVERY_NS = 5 * 10**9


class RosBag:
    """A .bag file, or the folder of a ROS 2 bag; it can be read."""

    name = "rosbag"
    about = "ROS 1 bags, and folders of ROS 2 bags"
    extensions = (".bag",)
    requires = ("rosbags",)

    def sniff(self, head: bytes, path: Path) -> float:
        """Return 1.0 for the magic bytes of ROS 1, or a folder with the metadata of ROS 2."""
        if path.is_dir():
            return 1.0 if (path / "metadata.yaml").is_file() else 0.0
        return 1.0 if head.startswith(b"#ROSBAG V2.0") else 0.0

    def read(self, path: Path, into: SessionDraft, options: Options) -> ImportReport:
        """Read a bag. Raises: Corrupt: it cannot be opened; InvalidRecord: it holds no messages."""
        report = ImportReport(str(path), self.name)
        sink, start_ns, clock_ns = MessageSink(into, report), None, 0
        for topic, kind, at_ns, message in until_damaged(_messages(path, report), report, path):
            if start_ns is None:
                start_ns = at_ns
                into.created_at = datetime.fromtimestamp(at_ns / 1e9, UTC)
            t_s = (at_ns - start_ns) / 1e9
            sink.take(topic, kind, t_s, message)
            if at_ns - clock_ns > _CLOCK_EVERY_NS:
                clock_ns = at_ns
                into.clock(t_s, datetime.fromtimestamp(at_ns / 1e9, UTC))
        if start_ns is None and not report.topics:
            raise InvalidRecord(f"{path.name} holds no messages")
        return report


def _messages(path: Path, report: ImportReport) -> Iterator[tuple[str, str, int, Any]]:
    from rosbags.highlevel import AnyReader
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE if path.is_dir() else Stores.ROS1_NOETIC)
    with AnyReader([path], default_typestore=store) as reader:
        for connection, at_ns, data in reader.messages():
            if connection.msgtype not in reader.typestore.fielddefs:
                if connection.topic not in report.topics:
                    report.problems.append(f"{connection.topic}: the type {connection.msgtype} is not defined")
                report.count(connection.topic, records_out=0, stream="")
                continue
            yield connection.topic, connection.msgtype, at_ns, reader.deserialize(data, connection.msgtype)
