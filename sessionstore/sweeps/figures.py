"""The figures of the sessions of a sweep, kept in ``figures.jsonl`` with the state of the files they were read from.

The process that runs a sweep keeps them as points end; a session that changed since, or is not there, is read (again)
by the next reader. The sessions are the truth: the file is derived, and may be deleted or torn.
Not here: rows, mean and interval (results).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from sessionstore.disk import files
from sessionstore.errors import SessionStoreError
from sessionstore.layout import DOCUMENT
from sessionstore.model.row import SessionRow
from sessionstore.store import SessionStore
from sessionstore.sweeps.folder import SweepFolder

_ENDED = ("completed", "failed", "stopped")
_FIELDS = ("duration_sim_s", "duration_wall_s")
_KEPT_AT_ONCE = 100
Values = dict[str, float]


class Figures(msgspec.Struct, gc=False):
    """The figures of one session, and the state of the file that they were read from."""

    session_id: str
    size: int
    mtime_ns: int
    values: Values
    reason: str = ""


class _Record(msgspec.Struct, gc=False):
    """What figures are made of, of a record that is known to be whole."""

    status: str
    end_reason: str | None = None
    duration_sim_s: float | None = None
    duration_wall_s: float | None = None
    performance_metrics: dict[str, Any] = {}  # msgspec copies it


class _Document(msgspec.Struct, gc=False):
    session: dict[str, _Record]


_lines_of = msgspec.json.Decoder(Figures)
_decode = msgspec.json.Decoder(_Document).decode


def figures_of(store: SessionStore, folder: SweepFolder, rows: Iterable[SessionRow]) -> dict[str, Figures]:
    """Return the figures of sessions that have ended; those that are not known yet are read from their documents."""
    known = _known(folder)
    found: dict[str, Figures] = {}
    new: list[Figures] = []
    for row in rows:
        if row.status not in _ENDED:
            continue
        kept = known.get(row.session_id)
        if kept is not None and (kept.size, kept.mtime_ns) == (row.size, row.mtime_ns):
            found[row.session_id] = kept
            continue
        read = _read(store, row)
        if read is not None:
            found[row.session_id] = read
            new.append(read)
    if new:
        _keep(folder, new)
    return found


class FiguresOfRun:
    """Figures that are kept while a sweep runs, some at a time."""

    def __init__(self, store: SessionStore, folder: SweepFolder) -> None:
        self._store, self._folder = store, folder
        self._new: list[Figures] = []

    def note(self, session_id: str) -> None:
        """Keep the figures of a session that has ended; one that cannot be read is left to the next reader."""
        found = _glance(self._store, session_id)
        if found is not None:
            self._new.append(found)
        if len(self._new) >= _KEPT_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what has come."""
        if self._new:
            _keep(self._folder, self._new)
            self._new = []


def _known(folder: SweepFolder) -> dict[str, Figures]:
    try:
        data = folder.figures.read_bytes()
    except OSError:
        return {}
    return {each.session_id: each for each in _lines(data)}


def _lines(data: bytes) -> Iterator[Figures]:
    whole = data[: data.rfind(b"\n") + 1]
    try:
        yield from _lines_of.decode_lines(whole)
    except msgspec.MsgspecError:  # a line was torn by a crash, and another one written after it
        for line in whole.split(b"\n"):
            try:
                yield _lines_of.decode(line)
            except msgspec.MsgspecError:
                continue  # it is read again from its session


def _read(store: SessionStore, row: SessionRow) -> Figures | None:
    """Return the figures of a session; None: it was deleted or damaged meanwhile, which a listing reports."""
    glance = _glance(store, row.session_id)
    if glance is not None and (glance.size, glance.mtime_ns) == (row.size, row.mtime_ns):
        return glance  # the very file from which the row was made, so a whole one
    try:
        record = store.catalog.session(row.session_id).record
    except SessionStoreError:
        return None
    return Figures(row.session_id, row.size, row.mtime_ns, *_values_of(record))


def _glance(store: SessionStore, session_id: str) -> Figures | None:
    """Return the figures of an ended session at a tenth of the time, unchecked; None: it is to be read in full."""
    try:
        data, status = files.read(os.path.join(store.root.text, session_id, DOCUMENT))
        (record,) = _decode(data).session.values()
    except (OSError, ValueError, SessionStoreError, msgspec.MsgspecError):
        return None
    if record.status not in _ENDED:
        return None
    return Figures(session_id, status.st_size, files.changed_ns(status), *_values_of(record))


def _values_of(record: Any) -> tuple[Values, str]:
    """Return the figures of a record, and why it ended unless it completed."""
    values = numbers_of(record.performance_metrics.get("totals"))
    for name in _FIELDS:
        value = getattr(record, name)
        if value is not None:
            values[name] = float(value)
    reason = "" if record.status == "completed" else (record.end_reason or "")
    return values, reason[:500]


def numbers_of(totals: Any, above: str = "") -> Values:
    """Return the numbers of a mapping, those of mappings in it by names with dots."""
    found: Values = {}
    for name, value in totals.items() if isinstance(totals, Mapping) else ():
        if isinstance(value, Mapping):
            found |= numbers_of(value, f"{above}{name}.")
        elif isinstance(value, int | float):
            found[f"{above}{name}"] = float(value)
    return found


def _keep(folder: SweepFolder, new: list[Figures]) -> None:
    """Append to the derived file; where the store cannot be written, they are read again the next time."""
    try:
        descriptor = files.open_to_append(folder.figures, durable=False)
        try:
            lines = b"".join(b"\n" * (not i) + msgspec.json.encode(e) + b"\n" for i, e in enumerate(new))
            files.write_all(descriptor, lines, folder.figures)
        finally:
            os.close(descriptor)
    except (OSError, SessionStoreError):
        return
