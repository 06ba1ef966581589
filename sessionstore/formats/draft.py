"""A session being imported: built in staging, whole and durable, then named by one rename, or not at all.

It has the names of a recorder (``motion``, ``stream``, ``event``, ``log``), and takes the instants, artifacts and
tables of a run that is over. A dry run counts and checks, and writes nothing.
Not here: what is in a file (the formats), which files were imported before (importing).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, Self

from sessionstore import __version__
from sessionstore.disk import files
from sessionstore.errors import InvalidRecord
from sessionstore.formats.staged_stream import StagedStream
from sessionstore.layout import DOCUMENT
from sessionstore.model import json_text, names, records
from sessionstore.model.instants import instant, new_uuid
from sessionstore.model.record import SessionRecord
from sessionstore.model.row import to_row
from sessionstore.session import stream_names
from sessionstore.session.handle import CLOCK_STREAM
from sessionstore.session.motion import MOTION_STREAM, MotionWriter, movement_totals
from sessionstore.store import SessionStore

#: Fields that the draft itself sets.
_OWN_FIELDS = ("provenance", "artifacts")


class SessionDraft:
    """One session that does not exist yet; ``commit`` makes it, leaving the ``with`` block without removes it.

    Args:
        store: where it is to be.
        uuid: made of the content of its source, so that the same content is found again.
        dry_run: check and count, write nothing.
        durable: sync each file; otherwise who takes the sealed draft syncs all of it.
    """

    def __init__(self, store: SessionStore, uuid: str, dry_run: bool = False, durable: bool = True) -> None:
        self.store, self.uuid, self.dry_run, self._durable = store, uuid, dry_run, durable
        self.session_id: str | None = None  # a format may propose one; by default from created_at and the name
        self.created_at: datetime | None = None  # by default the present minute
        self.source: dict[str, Any] = {}  # provenance.imported_from
        self.created_by = f"sessionstore {__version__} import"
        self._fields: dict[str, Any] = {}
        self._tables: dict[str, dict[str, Any]] = {}
        self._artifacts: list[dict[str, Any]] = []
        self._writers: dict[str, StagedStream] = {}
        self._folder: Path | None = None
        self.motion = MotionWriter(_Counted(self, MOTION_STREAM))  # type: ignore[arg-type]

    # ---------------------------------------------------------------- content

    def set(self, **fields: Any) -> None:
        """Set fields of the record: session_name, metadata, tags, status, started_at, drones, base_position ...

        Raises: InvalidRecord: a field or value that a record cannot hold; nothing was set.
        """
        if refused := [name for name in fields if name in _OWN_FIELDS]:
            raise InvalidRecord(f"the draft sets {', '.join(refused)} itself")
        self._fields.update(records.check_changes(fields))

    def has(self, field: str) -> bool:
        """Whether a field of the record was set."""
        return self._fields.get(field) is not None

    def stream(self, name: str) -> _Counted:
        """Return the writer of a stream: ``append(record, t_s)`` and ``extend(records, t_s)``.

        Raises: InvalidName: not a name for a stream (by the first append).
        """
        return _Counted(self, name)

    def points(
        self,
        drones: Sequence[str],
        times_s: Sequence[float],
        positions: Sequence[list[float]],
        velocities: Sequence[Any] | None = None,
        **more: Sequence[Any],
    ) -> None:
        """Store many motion points; far faster than ``motion.append``.

        Args:
            positions: three finite numbers each, metres east-north-up; velocities likewise.
            more: further fields by column, such as ``orientation``.

        ``msgspec.UNSET`` stands in the place of what a point lacks.
        """
        fields = {"position": positions, **({"velocity": velocities} if velocities is not None else {}), **more}
        self.stream(MOTION_STREAM).extend_columns(("drone", *fields), (drones, *fields.values()), times_s, finite=True)
        self.motion.take_in_many(drones, times_s, positions, velocities)

    def event(self, kind: str, message: str = "", t_s: float | None = None, level: str = "info", **data: Any) -> None:
        """Add an event."""
        self.stream(stream_names.EVENTS).append({"kind": kind, "level": level, "message": message, **data}, t_s)

    def log(self, message: str, level: str = "info", t_s: float | None = None, **data: Any) -> None:
        """Add a line of the log."""
        self.stream(stream_names.LOG).append({"level": level, "message": message, **data}, t_s)

    def clock(self, t_s: float, utc: datetime) -> None:
        """Say which UTC instant a sim_time had; a pair every few seconds is enough."""
        self.stream(CLOCK_STREAM).append({"utc": json_text.utc_text(utc)}, t_s)

    def table(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Set a table of the document, such as ``scene`` with the buildings."""
        self._tables[name] = {str(number): dict(row) for number, row in enumerate(rows, 1)}

    def artifact(self, name: str, parts: bytes | Iterable[bytes]) -> None:
        """Keep a file with the session; ``name`` may have folders in it (``legacy/notes.txt``).

        Raises: InvalidRecord: a name that leaves the folder.
        """
        place = Path(name)
        if place.is_absolute() or ".." in place.parts or not place.parts:
            raise InvalidRecord(f"an artifact's name stays in its folder, not {name!r}")
        digest, size = sha256(), 0

        def measured() -> Iterable[bytes]:
            nonlocal size
            for part in (parts,) if isinstance(parts, bytes) else parts:
                digest.update(part)
                size += len(part)
                yield part

        if self.dry_run:
            for _ in measured():
                pass
        else:
            target = self._staged() / "artifacts" / place
            files.make_dirs(target.parent)
            files.put(target, measured(), sync=self._durable)
        self._artifacts.append({"name": name, "size": size, "sha256": digest.hexdigest()})

    # ---------------------------------------------------------------- what is staged

    def staged_streams(self) -> dict[str, Path]:
        """Return the files of the streams so far, whole; none of a dry run."""
        for writer in self._writers.values():
            writer.flush()
        return {name: writer.path for name, writer in self._writers.items() if writer.path is not None and writer.count}

    def staged_artifact(self, name: str) -> Path:
        """Return the staged file of an artifact."""
        return self._staged() / "artifacts" / name

    def tables(self) -> dict[str, dict[str, Any]]:
        """Return the tables that were set."""
        return self._tables

    # ---------------------------------------------------------------- the end

    @property
    def records_out(self) -> dict[str, int]:
        """The number of records of each stream so far."""
        return {name: writer.count for name, writer in self._writers.items() if writer.count}

    @property
    def _last_s(self) -> float:
        timed = (writer.latest_s for name, writer in self._writers.items() if name != CLOCK_STREAM)
        return max(0.0, *timed, 0.0)

    def record(self) -> SessionRecord:
        """Return the record as it will be stored. Raises: InvalidRecord: its fields contradict each other."""
        created = self.created_at or datetime.now(UTC)
        drones = {name: movement.to_dict() for name, movement in self.motion.movements.items()}
        given: dict[str, Any] = {
            "status": "completed",
            "duration_sim_s": self._last_s if self.records_out else None,
            **({"performance_metrics": {"totals": movement_totals(drones), "drones": drones}} if drones else {}),
            **({"drones": [{"id": name} for name in drones]} if drones else {}),
            **self._fields,
            "artifacts": sorted(self._artifacts, key=lambda artifact: str(artifact["name"])),
        }
        name = given.get("session_name")
        record = SessionRecord.new(
            self.session_id or names.make_id(created, name if isinstance(name, str) else None),
            self.uuid,
            created_at=json_text.utc_text(created),
        )
        for key, value in records.check_changes({**self._end(given), **given}).items():
            setattr(record, key, value)
        record.created_by = self.created_by
        record.provenance = {"imported_from": dict(self.source)}
        return record

    def _end(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the end and the duration by the wall clock, from when the data began and how long it lasts."""
        started, lasted_s = given.get("started_at"), given["duration_sim_s"]
        if started is None or lasted_s is None or given["status"] != "completed":
            return {}
        try:
            ended = instant(started) + timedelta(seconds=lasted_s)
        except OverflowError:
            return {}  # a damaged time: no calendar has that end
        return {"ended_at": json_text.utc_text(ended), "duration_wall_s": lasted_s}

    def commit(self) -> str:
        """Name the session, durably, and return its id; the id of the other one when another import was faster.

        Raises: InvalidRecord, LockTimeout, StoreUnusable: nothing is there. OutcomeUnknown: named, maybe not durable.
        """
        root, record, staged = self.store.root, self.record(), self._staged()
        for writer in self._writers.values():
            writer.flush()
        record.streams = dict(sorted(self.records_out.items()))
        with root.locks.store():
            known = known_session(self.store, self.uuid)
            if known is not None:
                return known
            label, number = record.session_id, 1
            while os.path.lexists(root.folder(record.session_id)):
                number += 1
                record.session_id = names.numbered(label, number)
            tables = {"session": {"1": record.to_dict()}, "workflow": {}, **self._tables}
            status = files.put(staged / DOCUMENT, json_text.layout(tables))
            files.rename_new(staged, root.folder(record.session_id))
            self._folder = None
            files.prove_renamed(root.path)
        self.store.catalog.delivery.deliver([to_row(record, status)])
        return record.session_id

    def seal(self) -> Built:
        """Return what was built, whole and not durable; the caller makes it a session, or removes it.

        Raises: InvalidRecord, StoreUnusable: the draft is as it was.
        """
        record, staged = self.record(), self._staged()
        for writer in self._writers.values():
            writer.flush(sync=False)
        record.streams = dict(sorted(self.records_out.items()))
        document = {"session": {"1": record.to_dict()}, "workflow": {}, **self._tables}
        files.put(staged / DOCUMENT, json_text.layout(document), sync=False)
        self._folder = None
        return Built(staged, record, self._tables)

    def discard(self) -> None:
        """Remove what was built in staging; after a commit there is nothing to remove."""
        if self._folder is not None and self._folder.is_dir():
            files.remove_tree(self._folder)
        self._folder = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.discard()

    def _staged(self) -> Path:
        if self._folder is None:
            self.store.root.prepare()
            # Not named by the session's uuid: another import may build the same one.
            self._folder = self.store.root.staging / new_uuid()
            files.make_dir(self._folder)
        return self._folder

    def _writer(self, name: str) -> StagedStream:
        if name not in self._writers:
            path = self.store.catalog.session(self.uuid).stream_path(name)  # refuses names that no stream may have
            self._writers[name] = StagedStream(None if self.dry_run else self._staged() / path.name)
        return self._writers[name]


class Built(NamedTuple):
    """A sealed draft: its folder in staging, its record, and the further tables of its document."""

    folder: Path
    record: SessionRecord
    tables: dict[str, dict[str, Any]]


class _Counted:
    """The writer of one stream of a draft."""

    def __init__(self, draft: SessionDraft, name: str) -> None:
        self._draft, self.name = draft, name
        self._stream: StagedStream | None = None

    @property
    def _staged(self) -> StagedStream:
        if self._stream is None:
            self._stream = self._draft._writer(self.name)
        return self._stream

    def append(self, record: Mapping[str, Any], t_s: float | None = None) -> None:
        """Store one record. Raises: as ``StagedStream.append``."""
        self._staged.append(record, t_s)

    def extend(self, rows: Iterable[Mapping[str, Any]], t_s: float | None = None) -> None:
        """Store records of one moment. Raises: as ``StagedStream.extend``."""
        self._staged.extend(rows, t_s)

    def extend_timed(self, rows: Iterable[tuple[float, Mapping[str, Any]]]) -> int:
        """Store records of many moments, as (sim_time, record), and return their number. Raises: as ``append``."""
        append, count = self._staged.append, 0
        for t_s, record in rows:
            append(record, t_s)
            count += 1
        return count

    def extend_rows(self, names: Sequence[str], rows: Iterable[Sequence[Any]], times_s: Sequence[float]) -> int:
        """Store the rows of a table of JSON's own types, and return their number. Raises: as ``append``."""
        return self._staged.extend_rows(names, rows, times_s)

    def extend_columns(
        self, names: Sequence[str], columns: Sequence[Sequence[Any]], times_s: Sequence[float], finite: bool = False
    ) -> int:
        """Store a table by its columns. Raises: as ``StagedStream.extend_columns``."""
        return self._staged.extend_columns(names, columns, times_s, finite)


def known_sessions(store: SessionStore) -> dict[str, str]:
    """Return the ids of all sessions by their uuids."""
    rows = store.find(verify=False) if store.root.path.is_dir() else ()
    return {row.uuid: row.session_id for row in rows}


def known_session(store: SessionStore, uuid: str) -> str | None:
    """Return the id of the session with this uuid, or None."""
    return known_sessions(store).get(uuid)
