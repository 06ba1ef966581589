"""The messages of a ULog into a draft: rows of each topic in blocks, logged text, dropouts and parameters one by one.

Not here: where messages are (ulog_scan), the derived flight (ulog_flight).
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from sessionstore.formats.protocol import ImportReport
from sessionstore.formats.topic_streams import TopicStreams
from sessionstore.formats.ulog_definitions import TIMESTAMP, Definitions, Topic, Unreadable, is_plain, key_and_value
from sessionstore.formats.ulog_flight import Flight
from sessionstore.formats.ulog_scan import LogScan, Piece
from sessionstore.session import stream_names

if TYPE_CHECKING:
    from sessionstore.formats.draft import SessionDraft

Rows = npt.NDArray[np.void]
Key = tuple[str, int]
_LEVELS = ("critical", "critical", "critical", "error", "warning")  # emergency, alert, critical, error, warning
_POSITION = "vehicle_local_position"
#: Rows wait until those of a stream reach the first number, or all of them the second.
_ROWS_AT_ONCE = 2048
_WAITING_BYTES = 16 << 20
_EXACT_US = 1 << 53
_LOGGED, _TAGGED = struct.Struct("<BQ"), struct.Struct("<BHQ")  # level, (tag,) timestamp


@dataclass
class Survey:
    """What must be known before the first message: the moment that becomes sim_time 0, and which topics have data.

    ``start_us`` is the first position, else the first sample; times that are not set do not count, and samples before
    it have a sim_time below 0.
    """

    start_us: int
    counts: Counter[tuple[str, int]]

    @classmethod
    def of(cls, file: BinaryIO, path: Path) -> Self:
        """Read a log for it. Raises: Corrupt."""
        first: dict[bool, int] = {}
        counts: Counter[tuple[str, int]] = Counter()
        for piece in LogScan(file, path).pieces():
            times = piece.times()
            for topic, numbers in piece.by_topic():
                if topic.time_at < 0:
                    continue
                counts[topic.key] += len(numbers)
                if len(found := times[numbers][times[numbers] > 0]):
                    flown, earliest = topic.name == _POSITION, int(found.min())
                    first[flown] = min(first.get(flown, earliest), earliest)
        return cls(first.get(True, first.get(False, 0)), counts)


class TopicReader:
    """Reads the messages of one log into a draft."""

    def __init__(self, into: SessionDraft, report: ImportReport, survey: Survey) -> None:
        self._into, self._report, self._start_us = into, report, survey.start_us
        self._counts = survey.counts
        self._flight = Flight(survey.counts, survey.start_us)
        streams = TopicStreams()
        self._streams = {key: streams.of(_label(key)) for key in sorted(survey.counts)}
        self._waiting: dict[Key, list[Rows]] = {}
        self._topics: dict[Key, Topic] = {}
        self._waiting_rows: Counter[Key] = Counter()
        self._waiting_bytes = 0
        self._untimed: Counter[Key] = Counter()
        self._others: Counter[tuple[str, str]] = Counter()
        self._latest_us = 0

    def read(self, file: BinaryIO, path: Path) -> None:
        """Read all of it. Raises: Corrupt."""
        try:
            self._read(LogScan(file, path))
        finally:
            self._flight.close()

    def _read(self, scan: LogScan) -> None:
        for piece in scan.pieces():
            self._take(piece, scan)
        for key in list(self._waiting):
            self._write(key)
        points = self._flight.write(self._into)
        for key, count in sorted(self._counts.items()):
            self._report.count(_label(key), count, count, self._streams[key])
        for key, count in sorted(self._untimed.items()):
            self._report.count(_label(key), count, 0, "")
        for (topic, stream), count in self._others.items():
            self._report.count(topic, count, count, stream)
        self._report.count("(motion points of the vehicle)", 0, points)
        self._report.problems += scan.problems()
        self._into.set(metadata={"px4": _metadata(scan.definitions)})

    def _take(self, piece: Piece, scan: LogScan) -> None:
        times = piece.times()
        before = np.maximum.accumulate(times) if piece.others and len(times) else times
        for number, kind, body in piece.others:
            latest_us = max(self._latest_us, int(before[number - 1]) if number else 0)
            try:
                self._take_other(kind, body, latest_us)
            except Unreadable:
                scan.damaged_messages += 1
        if len(times):
            self._latest_us = max(self._latest_us, int(times.max()))
        for topic, numbers in piece.by_topic():
            if topic.time_at < 0:
                self._untimed[topic.key] += len(numbers)
            else:
                self._take_rows(topic, piece.rows(topic, numbers))
        if self._waiting_bytes > _WAITING_BYTES:
            for key in list(self._waiting):
                self._write(key)

    def _take_rows(self, topic: Topic, rows: Rows) -> None:
        key = topic.key
        if key in self._topics and self._topics[key].dtype != topic.dtype:
            self._write(key)
        self._topics[key] = topic
        self._waiting.setdefault(key, []).append(rows)
        self._waiting_rows[key] += len(rows)
        self._waiting_bytes += rows.nbytes
        if self._waiting_rows[key] >= _ROWS_AT_ONCE:
            self._write(key)

    def _write(self, key: Key) -> None:
        """Write the rows of a topic that wait."""
        parts = self._waiting.pop(key, [])
        if not parts:
            return
        rows = np.concatenate(parts)
        self._waiting_rows[key] = 0
        self._waiting_bytes -= rows.nbytes
        topic = self._topics[key]
        names = topic.names
        finite = all(np.isfinite(rows[name]).all() for name in names if rows.dtype[name].base.kind == "f")
        columns = [rows[name].tolist() for name in names]
        self._into.stream(self._streams[key]).extend_columns(names, columns, self._seconds(rows[TIMESTAMP]), finite)
        self._flight.take(topic, rows)

    def _seconds(self, times: npt.NDArray[np.uint64]) -> list[float]:
        if int(times.max()) < _EXACT_US and self._start_us < _EXACT_US:
            seconds: list[float] = ((times.astype(np.int64) - self._start_us) / 1e6).tolist()
            return seconds
        return [(t - self._start_us) / 1e6 for t in times.tolist()]

    def _take_other(self, kind: int, body: bytes, latest_us: int) -> None:
        """Store a logged text, a dropout or a changed parameter. Raises: Unreadable."""
        t_s = (latest_us - self._start_us) / 1e6
        if kind in b"LC":
            head = _LOGGED if kind == ord("L") else _TAGGED
            level, *_, at_us = head.unpack_from(body)
            text = body[head.size :].decode("utf-8", "ignore")
            number = level - ord("0")
            name = _LEVELS[number] if 0 <= number < len(_LEVELS) else "info"
            self._into.log(text, name, (at_us - self._start_us) / 1e6)
            self._others["(logged messages)", stream_names.LOG] += 1
        elif kind == ord("O"):
            (duration,) = struct.unpack("<H", body)
            self._into.event("dropout", f"no data for {duration} ms", t_s, "warning", duration_ms=duration)
            self._others["(dropouts)", stream_names.EVENTS] += 1
        else:
            name, value = key_and_value(body)
            value = value if is_plain(value) else repr(value)
            self._into.event("parameter", f"{name} = {value}", t_s, name=name, value=value)
            self._others["(changed parameters)", stream_names.EVENTS] += 1


def _label(key: Key) -> str:
    name, instance = key
    return f"{name}_{instance}" if instance else name


def _metadata(found: Definitions) -> dict[str, Any]:
    plain = {name: value for name, value in found.information.items() if is_plain(value)}
    parameters = {name: value for name, value in found.parameters.items() if is_plain(value)}
    texts = {name: ["".join(map(str, part)) for part in parts] for name, parts in found.texts.items()}
    return {"information": {**plain, **texts}, "parameters": parameters}
