"""PX4 flight logs (ULog): every topic a stream, and the flight of the vehicle as motion points, phases and events.

Position and velocity become east-north-up metres, attitude roll, pitch and yaw; other fields keep PX4's units and axes.
pyulog reads a log whole: memory grows with the file.
Not here: the derived flight (ulog_flight).
"""

from __future__ import annotations

import contextlib
import io
import math
import re
import string
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionstore.errors import Corrupt, InvalidRecord
from sessionstore.formats.protocol import ImportReport, Options
from sessionstore.session import stream_names

if TYPE_CHECKING:
    from sessionstore.formats.draft import SessionDraft

MAGIC = b"ULog\x01\x12\x35"
_FLAG_BITS = ord("B")
_KINDS = frozenset(string.ascii_letters.encode())
_LEVELS = {"EMERGENCY": "critical", "ALERT": "critical", "CRITICAL": "critical", "ERROR": "error", "WARNING": "warning"}


class ULogFormat:
    """A PX4 log; it can be read."""

    name = "ulog"
    about = "PX4 flight logs"
    extensions = (".ulg",)
    requires = ("pyulog",)

    def sniff(self, head: bytes, path: Path) -> float:
        """Return 1.0 for the magic bytes."""
        return 1.0 if head.startswith(MAGIC) else 0.0

    def read(self, path: Path, into: SessionDraft, options: Options) -> ImportReport:
        """Read a log. Raises: Corrupt: it cannot be parsed; InvalidRecord: it holds no data."""
        from sessionstore.formats import ulog_flight

        report = ImportReport(str(path), self.name)
        log = _parsed(path)
        if (problem := _end_of(path)) is not None:
            report.problems.append(problem)
        topics = {(data.name, data.multi_id): _columns(data.data) for data in log.data_list}
        topics = {key: columns for key, columns in topics.items() if columns.get("timestamp")}
        if not topics:
            raise InvalidRecord(f"{path.name} holds no data")
        start_us = _start_of(topics)
        for (name, instance), columns in sorted(topics.items()):
            _write_topic(into, report, name, instance, columns, start_us)
        _write_messages(into, report, log, start_us)
        flight = ulog_flight.Flight(topics, start_us)
        count = flight.write(into)
        report.count("(motion points of the vehicle)", 0, count)
        into.set(metadata={"px4": _metadata(log)})
        return report


def _start_of(topics: dict[tuple[str, int], dict[str, list[Any]]]) -> int:
    """Return what becomes sim_time 0: the first position, else the first sample; times that are not set do not count.

    Samples before it have a sim_time below 0.
    """
    flown = [columns for (name, _), columns in topics.items() if name == "vehicle_local_position"] or topics.values()
    return min((t for columns in flown for t in columns["timestamp"] if t > 0), default=0)


def _parsed(path: Path) -> Any:
    try:
        with contextlib.redirect_stdout(io.StringIO()), _Definitions(io.FileIO(path)) as file:
            return _read(file)  # it prints what it finds wrong
    except Exception as error:  # damaged bytes lead it to exceptions of any class
        raise Corrupt(f"not a readable ULog ({type(error).__name__}: {error})"[:300], path) from error


class _Definitions(io.BufferedReader):
    """A file that ends the reading of definitions which goes back: pyulog would read the same bytes without end."""

    forward_only = False
    _before = _again = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a position. Raises: EOFError: backwards while the definitions are read."""
        position = super().seek(offset, whence)
        self._again = self._again + 1 if position == self._before else 0  # once at the end of the definitions
        if self.forward_only and (position < self._before or self._again > 1):
            raise EOFError("the definitions end within a message")
        self._before = position
        return position


def _read(file: _Definitions) -> Any:
    import pyulog

    class Log(pyulog.ULog):  # type: ignore[misc]  # it has no types
        def _read_file_definitions(self) -> None:
            file.forward_only = True
            super()._read_file_definitions()
            file.forward_only = False

    return Log(file)


def _end_of(path: Path) -> str | None:
    """Return what is wrong with the end of the file: the last message is cut off, or the file is damaged before it."""
    data, offset = path.read_bytes(), 16
    size = len(data)
    while offset + 3 <= size:
        length, kind = data[offset] | data[offset + 1] << 8, data[offset + 2]
        if kind == _FLAG_BITS and any(data[offset + 19 : offset + 43]):
            return None  # data was appended elsewhere: its messages do not follow one another
        if kind not in _KINDS or offset + 3 + length > size:
            break
        offset += 3 + length
    return None if offset == size else f"partial: whole messages end at byte {offset} of {size}"


def _columns(data: dict[str, Any]) -> dict[str, list[Any]]:
    """Return columns as lists under JSON names; ``q[0]`` .. ``q[3]`` become one column of lists."""
    found: dict[str, list[Any]] = {}
    groups: dict[str, list[list[Any]]] = {}
    for field, values in data.items():
        if field.startswith("_padding") or "._padding" in field:
            continue
        if (match := re.fullmatch(r"(.+)\[(\d+)\]", field)) is not None:
            groups.setdefault(match[1], []).append(values.tolist())
        else:
            found[field] = values.tolist()
    for field, parts in groups.items():
        found[field] = [list(row) for row in zip(*parts, strict=True)]
    return found


def _write_topic(
    into: SessionDraft, report: ImportReport, name: str, instance: int, columns: dict[str, list[Any]], start_us: int
) -> None:
    stream = f"{name}_{instance}" if instance else name
    fields = [field for field in columns if field != "timestamp"]
    times = columns["timestamp"]
    rows = zip(*(columns[field] for field in fields), strict=True) if fields else ([()] * len(times))
    count = into.stream(stream).extend_rows(fields, rows, [(t - start_us) / 1e6 for t in times])
    report.count(stream, count, count, stream)


def _write_messages(into: SessionDraft, report: ImportReport, log: Any, start_us: int) -> None:
    for message in [*log.logged_messages, *(each for tag in log.logged_messages_tagged.values() for each in tag)]:
        level = _LEVELS.get(message.log_level_str(), "info")
        into.log(message.message, level, (message.timestamp - start_us) / 1e6)
        report.count("(logged messages)", stream=stream_names.LOG)
    for dropout in log.dropouts:
        t_s = (dropout.timestamp - start_us) / 1e6
        into.event("dropout", f"no data for {dropout.duration} ms", t_s, "warning", duration_ms=dropout.duration)
        report.count("(dropouts)", stream=stream_names.EVENTS)
    for timestamp, name, value in log.changed_parameters:
        into.event("parameter", f"{name} = {value}", (timestamp - start_us) / 1e6, name=name, value=value)
        report.count("(changed parameters)", stream=stream_names.EVENTS)
    if log.file_corruption:
        report.problems.append("pyulog found damaged messages and passed over them")


def _metadata(log: Any) -> dict[str, Any]:
    plain = {name: value for name, value in log.msg_info_dict.items() if _is_plain(value)}
    parameters = {name: value for name, value in log.initial_parameters.items() if _is_plain(value)}
    texts = {name: ["".join(map(str, part)) for part in parts] for name, parts in log.msg_info_multiple_dict.items()}
    return {"information": {**plain, **texts}, "parameters": parameters}


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def utc_of(microseconds: int) -> datetime | None:
    """Return the instant of a GPS time, or None where it is not set (before 2000) or not a time."""
    if not 946_684_800_000_000 < microseconds < 4_102_444_800_000_000:
        return None
    return datetime.fromtimestamp(microseconds / 1e6, UTC)
