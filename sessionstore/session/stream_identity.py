"""Which session the streams of a folder belong to: marks in the stream of the clock, and their comparison.

Two runs of one seed have byte-identical streams, all but the clock; so the clock names the session, and at the end of a
run each stream with the number of its records and the checksum of the last one. Sessions without marks (older ones, or
never recorded by a Recorder) are not judged.
Not here: the marks as lines (stream_line), what the doctor makes of it (maintenance).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sessionstore.errors import SessionStoreError
from sessionstore.model.record import SessionRecord
from sessionstore.session import stream_names, stream_source
from sessionstore.session.stream_line import Mark
from sessionstore.session.stream_reader import Tape
from sessionstore.session.stream_writer import StreamWriter

_SESSION, _CREATED, _STREAM, _COUNT, _LAST = "session", "created_at", "stream", "n", "last"
_CHECKSUM_BYTES = slice(-10, -2)


def mark_begin(clock: StreamWriter, record: SessionRecord) -> None:
    """Store which session the streams belong to. Raises: as ``StreamWriter.append``."""
    clock.mark({_SESSION: record.uuid, _CREATED: record.created_at})


def mark_end(clock: StreamWriter, record: SessionRecord, tapes: Mapping[str, Tape]) -> None:
    """Store how each stream ends. Raises: as ``StreamWriter.append``."""
    for name, tape in tapes.items():
        if name != stream_names.CLOCK and (end := end_of(tape)) is not None:
            clock.mark(
                {_SESSION: record.uuid, _CREATED: record.created_at, _STREAM: name, _COUNT: end[0], _LAST: end[1]}
            )


def end_of(tape: Tape) -> tuple[int, str] | None:
    """Return the number of records and the checksum of the last one; None where that cannot be said."""
    try:
        last = tape.last()
        if last is None or not last.verified:
            return None
        with stream_source.opened(tape.path) as source:
            raw = source.read_at(last.end - last.offset, last.offset).rstrip()
    except (SessionStoreError, OSError):
        return None
    return last.n + 1, raw[_CHECKSUM_BYTES].decode("ascii", "replace")


def foreign_streams(record: SessionRecord, tapes: Mapping[str, Tape]) -> dict[str, str]:
    """Return the streams of a folder that belong to another session than the record, each with the reason."""
    found: dict[str, str] = {}
    marks = _marks(tapes.get(stream_names.CLOCK))
    for mark in marks:
        if mark.get(_SESSION) != record.uuid and mark.get(_CREATED) != record.created_at:
            found[stream_names.CLOCK] = f"it names the session {mark.get(_SESSION)}, the record is {record.uuid}"
    ends = {str(mark[_STREAM]): mark for mark in marks if _STREAM in mark}
    for name, mark in ends.items():
        end = end_of(tapes[name]) if name in tapes else None
        if end is not None and end[0] == mark.get(_COUNT) and end[1] != mark.get(_LAST):
            found[name] = f"its last record is not the one that the run of session {mark.get(_SESSION)} ended with"
        elif end is not None and stream_names.CLOCK in found and end == (mark.get(_COUNT), mark.get(_LAST)):
            found[name] = f"it ends as the run of session {mark.get(_SESSION)} did"
    return found


def _marks(clock: Tape | None) -> list[dict[str, Any]]:
    lines = [] if clock is None else clock.marks()
    return [mark.data for mark in lines if isinstance(mark, Mark) and _SESSION in mark.data]
