"""MCAP files: read from any recorder (JSON, protobuf, ROS 2), written for Foxglove.

Read: each topic a stream, and what robot_messages makes of it. A file of ours comes back as the session it was.
Read in the order of the file, chunk by chunk, so an unfinished file is read up to its end.
Not here: what is written (mcap_export), what a message means (robot_messages).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from sessionstore.errors import Corrupt, InvalidRecord
from sessionstore.formats.mcap_records import Sent, messages
from sessionstore.formats.partial import until_damaged
from sessionstore.formats.protobuf_values import ProtobufValues
from sessionstore.formats.protocol import ImportReport, Options
from sessionstore.formats.robot_messages import MessageSink
from sessionstore.session import stream_names

if TYPE_CHECKING:
    from sessionstore.formats.draft import SessionDraft
    from sessionstore.session import Session

MAGIC = b"\x89MCAP0\r\n"
#: Topics of this prefix are streams of a session as they were, with sim_time under TIME; other topics are made of them.
OWN = "/sessionstore/"
TIME = "@t"
_NOT_A_TIME_BEFORE_NS = 946_684_800 * 10**9
_CLOCK_EVERY_NS = 5 * 10**9
#: Takes the bytes of a message, its sim_time in seconds, and when it was logged.
Taker = Callable[[bytes, float, int], None]


class McapFormat:
    """MCAP; it can be read and written."""

    name = "mcap"
    about = "MCAP of Foxglove and ROS 2"
    extensions = (".mcap",)
    requires = ("mcap", "mcap_ros2", "mcap_protobuf", "foxglove")

    def sniff(self, head: bytes, path: Path) -> float:
        """Return 1.0 for the magic bytes."""
        return 1.0 if head.startswith(MAGIC) else 0.0

    def read(self, path: Path, into: SessionDraft, options: Options) -> ImportReport:
        """Read a file. Raises: Corrupt: damaged before the first message; InvalidRecord: it holds none."""
        report = ImportReport(str(path), self.name)
        _Reading(path, into, report).run()
        return report

    def write(self, session: Session, path: Path, options: Options) -> Path:
        """Write a session. Raises: Conflict: the file exists."""
        from sessionstore.formats.mcap_export import write_mcap

        return write_mcap(session, path)


class _Reading:
    def __init__(self, path: Path, into: SessionDraft, report: ImportReport) -> None:
        self._path, self._into, self._report = path, into, report
        self._sink = MessageSink(into, report)
        self._takers: dict[int, Taker] = {}
        self._start_ns: int | None = None
        self._clock_ns = 0

    def run(self) -> None:
        takers = self._takers
        with self._path.open("rb") as file:
            for sent in until_damaged(self._messages(file), self._report, self._path):
                log_time_ns = sent.log_time_ns
                if self._start_ns is None:
                    self._begin(log_time_ns)
                    assert self._start_ns is not None
                take = takers.get(sent.channel.id)
                if take is None:
                    take = takers[sent.channel.id] = self._taker(sent.schema, sent.channel)
                take(sent.data, (log_time_ns - self._start_ns) / 1e9, log_time_ns)
            if self._start_ns is None:
                raise InvalidRecord(f"{self._path.name} holds no messages")
            self._report.problems.extend(self._unfinished(file))

    def _messages(self, file: Any) -> Iterator[Sent]:
        from mcap.exceptions import EndOfFile

        try:
            yield from messages(file)
        except EndOfFile:
            if self._start_ns is None:
                raise

    def _unfinished(self, file: Any) -> list[str]:
        file.seek(0, 2)
        size = file.tell()
        file.seek(max(0, size - len(MAGIC)))
        if file.read() == MAGIC or any(problem.startswith("partial") for problem in self._report.problems):
            return []
        return [f"partial: the file ends at byte {size} without its closing mark"]

    def _taker(self, schema: Any, channel: Any) -> Taker:
        """Return what takes the messages of a channel; those of derived topics are counted and not even decoded."""
        topic: str = channel.topic
        if channel.metadata.get("sessionstore") == "derived":
            return self._counter(topic, "(derived from other topics)")
        decoder = _decoder_of(schema, channel)
        if decoder is None:
            encoding = f"{channel.message_encoding} with {schema.encoding if schema is not None else 'no schema'}"
            self._report.problems.append(f"{topic}: {encoding} is not decoded, its messages were left out")
            return self._counter(topic, "")
        name, is_json = schema.name if schema is not None else "", channel.message_encoding == "json"

        def take(data: bytes, t_s: float, log_time_ns: int) -> None:
            try:
                value = decoder(data)
            except Exception as error:  # a decoder may raise anything on damaged bytes
                raise Corrupt(f"{topic}: {type(error).__name__}: {error}"[:300], self._path) from error
            if topic.startswith(OWN) and isinstance(value, dict) and TIME in value:
                self._restore(topic, value)
                return
            self._sink.take(topic, name, t_s, value, is_json)
            self._tick(t_s, log_time_ns)

        return take

    def _counter(self, topic: str, stream: str) -> Taker:
        self._report.count(topic, 0, 0, stream)
        counted = self._report.topics[topic]

        def count(data: bytes, t_s: float, log_time_ns: int) -> None:
            counted.messages_in += 1

        return count

    def _begin(self, log_time_ns: int) -> None:
        self._start_ns = log_time_ns
        if log_time_ns > _NOT_A_TIME_BEFORE_NS:
            self._into.created_at = datetime.fromtimestamp(log_time_ns / 1e9, UTC)

    def _tick(self, t_s: float, log_time_ns: int) -> None:
        if log_time_ns > _NOT_A_TIME_BEFORE_NS and log_time_ns - self._clock_ns > _CLOCK_EVERY_NS:
            self._clock_ns = log_time_ns
            self._into.clock(t_s, datetime.fromtimestamp(log_time_ns / 1e9, UTC))

    def _restore(self, topic: str, value: dict[str, Any]) -> None:
        stream, t_s = topic.removeprefix(OWN), value.pop(TIME)
        if stream == "session":
            self._into.set(**value)
            self._report.count(topic, stream="(record)")
            return
        if stream == "scene":
            self._into.table("scene", value["rows"])
            self._report.count(topic, stream="(scene)")
            return
        if stream == stream_names.MOTION:
            self._into.motion.append(
                value.pop("drone"),
                t_s,
                value.pop("position"),
                value.pop("velocity", None),
                value.pop("orientation", None),
                **value,
            )
        else:
            self._into.stream(stream).append(value, t_s)
        self._report.count(topic, stream=stream)


def _decoder_of(schema: Any, channel: Any) -> Callable[[bytes], Any] | None:
    if channel.message_encoding == "json":
        return msgspec.json.Decoder().decode
    if channel.message_encoding == "protobuf":
        from mcap_protobuf.decoder import DecoderFactory as Protobuf

        protobuf = Protobuf().decoder_for("protobuf", schema)
        if protobuf is None:
            return None
        values = ProtobufValues()
        return lambda data: values.of(protobuf(data))
    from mcap_ros2.decoder import DecoderFactory as Ros2

    found: Callable[[bytes], Any] | None = Ros2().decoder_for(channel.message_encoding, schema)
    return found
