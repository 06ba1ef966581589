"""One session: its record, its tables and its streams, read from the folder as it is at this moment.

A handle holds no data: two of them, in two processes, see the same. Writing goes under the session's lock, one revision
at a time; reading takes no lock. The folder's name is the session's id, so that a renamed or copied folder just works.
Not here: making, finding and deleting sessions (store), recording a run (recorder).
"""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from sessionstore import late_imports
from sessionstore.disk import files
from sessionstore.errors import InvalidName, InvalidRecord
from sessionstore.layout import DOCUMENT, StoreRoot
from sessionstore.model import json_text, lineage, records, row_from_bytes
from sessionstore.model import liveness as owners
from sessionstore.model.record import RECORD_FIELDS, SessionRecord
from sessionstore.model.row import INTERRUPTED, SessionRow, to_row
from sessionstore.session import documents, sealing, stream_names, stream_source
from sessionstore.session.artifacts import Artifacts
from sessionstore.session.documents import Database, DocumentStorage, SharedTable, Tables
from sessionstore.session.mappings import Data, Metadata, Tags
from sessionstore.session.motion import MOTION_STREAM
from sessionstore.session.sealing import SealedStream
from sessionstore.session.state import OWN_TABLES, Accepted, Update, merged
from sessionstore.session.stream_reader import Tape
from sessionstore.session.stream_writer import StreamWriter, SyncMode

CLOCK_STREAM = stream_names.CLOCK


class Session:
    """A handle to one session folder.

    Args:
        root: the store that holds it; for a folder on its own, its parent.
        changed: called with the new row after each update (the store gives its index).
    """

    def __init__(self, root: StoreRoot, session_id: str, changed: Callable[[SessionRow], None] | None = None) -> None:
        self.session_id = session_id
        self.folder_text = f"{root.text}/{session_id}"
        self._root = root
        self._uuid: str | None = None  # of the only session that may be changed through this handle; None: any
        self._known_uuid: str | None = None
        self._data: Data | None = None
        self._told, self._changed = changed, changed or (lambda row: None)
        self._text_path = f"{self.folder_text}/{DOCUMENT}"
        self._storage = DocumentStorage(
            self._text_path,
            partial(root.locks.session, session_id),
            sync=root.durable,
            must_exist=True,
            evolve=lineage.note_change,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.session_id}>"

    @property
    def folder(self) -> Path:
        """The folder of the session."""
        return Path(self.folder_text)

    def __eq__(self, other: object) -> bool:
        """Whether the other is a handle to the same session: the one with this uuid, wherever its folder is."""
        return isinstance(other, Session) and self.uuid == other.uuid

    def __hash__(self) -> int:
        return hash(self.uuid)

    def __reduce__(self) -> tuple[Any, ...]:
        """A handle pickles as store and id; a recorder arrives as the handle of its session, for reading it."""
        return Session, (self._root, self.session_id, self._told)

    def __getitem__(self, key: str) -> Any:
        return self.data[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.data[key] = value

    def __delitem__(self, key: str) -> None:
        del self.data[key]

    def __contains__(self, key: object) -> bool:
        return key in self.data

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self.data)

    def _repr_html_(self) -> str:
        """Return a table for notebooks."""
        record, reason = self.record, self.interrupted()
        status = f"{INTERRUPTED}: {reason}" if reason else record.status
        cells = {
            "session": self.session_id,
            "status": status,
            "phase": record.workflow_state,
            "simulated": f"{record.duration_sim_s or 0:g} of {record.duration_planned_s or 0:g} s",
            "drones": ", ".join(str(drone.get("id", "?")) for drone in record.drones),
            "folder": str(self.folder),
        }
        rows = "".join(f"<tr><th>{key}</th><td>{html.escape(value)}</td></tr>" for key, value in cells.items())
        return f"<table>{rows}</table>"

    # ------------------------------------------------------------ reading

    path = folder

    @property
    def root(self) -> StoreRoot:
        """The paths and locks of the store that holds it."""
        return self._root

    @property
    def uuid(self) -> str:
        """What identifies the session for good, also when its folder is renamed or copied. Raises: as record."""
        if self._known_uuid is None:
            self._known_uuid = self.record.uuid
        return self._known_uuid

    @property
    def name(self) -> str | None:
        """The name as it was typed, or None."""
        return self.record.session_name

    @property
    def duration_s(self) -> float | None:
        """The simulated seconds so far, or None before any."""
        return self.record.duration_sim_s

    @property
    def metrics(self) -> dict[str, Any]:
        """The figures of the run: ``totals``, ``drones`` and what the program gave."""
        return self.record.performance_metrics

    @property
    def metadata(self) -> Metadata:
        """The metadata as a mapping: what is set, updated or removed here is stored at once, and loses no other key."""
        return Metadata(self)

    @metadata.setter
    def metadata(self, value: Mapping[str, Any]) -> None:
        self.update(metadata=dict(value))

    @property
    def tags(self) -> Tags:
        """The tags as a set that is stored at once (``add``, ``discard``)."""
        return Tags(self)

    @tags.setter
    def tags(self, value: Iterable[str]) -> None:
        self.update(tags=list(value))

    @property
    def data(self) -> Data:
        """A durable mapping of the program's own, beside the record: any JSON value under a text key."""
        if self._data is None:
            self._data = Data(self)  # kept: a batch of it is open between two calls
        return self._data

    @property
    def artifacts(self) -> Artifacts:
        """Files of the session by name, with size and SHA-256."""
        return Artifacts(self)

    @property
    def record(self) -> SessionRecord:
        """The record as it is on disk now.

        Raises:
            SessionGone: the folder is gone.
            Corrupt, NewerFormat, UnsafeFile, StoreUnusable: with file, line and column where that helps.
        """
        return self.read()[0]

    def read(self) -> tuple[SessionRecord, os.stat_result]:
        """Return the record and the status of the file it came from. Raises: as :attr:`record`."""
        tables, data, status = self._storage.load()
        return records.read_record(tables, data, self._text_path, self.session_id), status

    def row(self) -> SessionRow:
        """Return the row that an index keeps of this session. Raises: as :attr:`record`."""
        return read_row(self.folder_text, self.session_id)

    @property
    def status(self) -> str:
        """The status as it is: a run whose process is gone is ``interrupted``, also when the file says running."""
        return INTERRUPTED if self.interrupted() else self.record.status

    def interrupted(self) -> str | None:
        """Return why a run that says it is running is not; None while it is, or when it has ended."""
        record = self.record
        if record.status not in ("running", "paused"):
            return None
        return owners.why_interrupted(record.owner, self.last_beat())

    def last_beat(self) -> float | None:
        """Return when the recording process last gave a sign of life, in epoch seconds."""
        try:
            found = stream_source.status(f"{self.folder_text}/{CLOCK_STREAM}.jsonl")
        except OSError:
            return None
        return None if found is None else found.st_mtime

    def tables(self) -> Tables:
        """Return all tables of session.json as plain data."""
        return self._storage.load()[0]

    def table(self, name: str) -> SharedTable:
        """Return a TinyDB table of session.json, safe for many processes.

        Raises: InvalidName: the record and its transitions are changed with :meth:`update` only.
        """
        if name in OWN_TABLES:
            raise InvalidName(f"the table {name!r} is changed with update(), and read with tables()")
        found = self._database().table(name)
        assert isinstance(found, SharedTable)
        return found

    def _database(self) -> Database:
        return Database(storage=lambda: self._storage)

    def transitions(self) -> list[dict[str, Any]]:
        """Return the history of status and workflow state: old, new, reason, sim_time, at."""
        return list(self.tables().get("workflow", {}).values())

    def tapes(self) -> dict[str, Tape]:
        """Return the streams that have been begun, by name."""
        files_of = stream_names.files_of(entry.name for entry in files.entries(self.folder))
        return {name: Tape(self.folder / f"{name}.jsonl") for name in files_of if stream_names.is_stream_name(name)}

    def attempts(self) -> list[float]:
        """Return the sim_time at which each attempt after the first one resumed, in seconds (see ``store.start``)."""
        return self.tape(MOTION_STREAM).attempts() or self.tape(CLOCK_STREAM).attempts()

    def tape(self, name: str) -> Tape:
        """Return one stream for reading; it may not have been begun yet.

        Raises: InvalidName.
        """
        return Tape(self.stream_path(name))

    def stream_path(self, name: str) -> Path:
        """Return the file of a stream (a sealed one has ``.gz`` behind it). Raises: InvalidName."""
        return self.folder / f"{stream_names.check(name)}.jsonl"

    def writer(self, name: str, sync: SyncMode = "batch") -> StreamWriter:
        """Return a writer for one stream; any number of processes may have one.

        Raises: InvalidName: the name cannot be used (for a new stream: on some system), with one that can.
        """
        return StreamWriter(self._path_to_write(name), sync, self._root.quarantine)

    def _path_to_write(self, name: str, begun: Iterable[str] = ()) -> Path:
        path = self.stream_path(name)
        if name not in stream_names.KINDS and stream_source.status(path) is None:
            stream_names.check_new(name, {*self.tapes(), *begun})
        return path

    @property
    def replay_available(self) -> bool:
        """Whether at least one drone has two motion points."""
        return Tape(Path(f"{self.folder_text}/{MOTION_STREAM}.jsonl")).has_a_value_twice("drone")

    def frame(self, name: str = MOTION_STREAM, **window: Any) -> Any:
        """Return a stream as a frame: ``drones``, ``from_s``, ``to_s``, ``columns``, ``form`` ("pandas" by default)."""
        return late_imports.stream_frame()(self, name, **window)

    def plot(self, name: str | None = None, start_s: float | None = None, end_s: float | None = None) -> Any:
        """Return a plotly figure: altitude, speed, battery, distance, windows or link; by default all of them.

        Raises:
            ModuleNotFoundError: plotly is missing (``pip install 'sessionstore[plot]'``).
            InvalidQuery: there is no such figure.
        """
        return late_imports.plot()(self, name, start_s, end_s)

    def export(self, path: str | Path, to: str | None = None, **options: str) -> Path:
        """Write this session to a file of another program and return its path: MCAP, Rerun, KML ... (``formats``).

        Args:
            to: the format, by default that of the extension.

        Raises:
            InvalidQuery: no such format, or it lacks a module (with the command that installs it).
            Conflict: the path exists. InvalidRecord: the session lacks what the format needs.
        """
        return late_imports.export_session()(self, path, to, options)

    def seal(self) -> list[SealedStream]:
        """Compress the streams, a sixth of the disk; every reading gives what it gave. Raises: as ``sealing.seal``."""
        return sealing.seal(self)

    def unseal(self) -> list[SealedStream]:
        """Make the streams plain again; appending does it by itself. Raises: as ``sealing.unseal``."""
        return sealing.unseal(self)

    # ------------------------------------------------------------ writing

    def update(
        self,
        change: Callable[[dict[str, Any]], None] | None = None,
        *,
        if_rev: int | None = None,
        reason: str = "",
        sim_time_s: float | None = None,
        edit_tables: Callable[[Tables], None] | None = None,
        accepted: Accepted | None = None,
        written: Callable[[SessionRecord, os.stat_result], None] | None = None,
        **changes: Any,
    ) -> SessionRecord:
        """Change fields of the record, durably, and return it as it is now.

        Args:
            change: edits the record as a dict, in place, inside the lock: no update is lost. It is called again when
                the file was edited by hand meanwhile.
            if_rev: change only this revision.
            reason, sim_time_s: go into the history when status or workflow_state change.
            edit_tables: edits further tables of session.json in place, in the same step (plain data).
            accepted: called before the file is replaced, when all was accepted, with the uuid and the fields that
                are given: as they were, and as they will be. What it raises refuses the update.
            written: called at the end with the record and the status of the very file that holds it.
            changes: field=value; ``metadata`` is replaced as a whole.

        Raises:
            Conflict, InvalidRecord, IllegalTransition, SessionGone, Corrupt, LockTimeout, StoreUnusable: nothing
                changed.
            OutcomeUnknown: the change is visible, a power cut may undo it.
        """
        given = records.check_changes(changes) if changes else {}
        if reason or sim_time_s is not None:
            reason, sim_time_s = json_text.plain([reason, sim_time_s], "history")
        update = Update(self._text_path, self.session_id, self._uuid, if_rev, given, reason, sim_time_s, accepted)
        record, status = self._storage.update(partial(update.apply, change, edit_tables))
        self._changed(to_row(record, status))
        if written is not None:
            written(record, status)
        return record

    def merge(self, changes: Mapping[str, Any], *, if_rev: int | None = None, reason: str = "") -> SessionRecord:
        """Merge into the record as JSON Merge Patch (RFC 7396) does, and return the record as it is now.

        Objects (metadata, progress ...) keep the keys that are not given; a key given as None is removed from them.

        Raises: as :meth:`update`.
        """
        apply, fields = merge_of(changes)
        return self.update(apply, if_rev=if_rev, reason=reason, **fields)

    def replace(self, record: Mapping[str, Any] | SessionRecord, if_rev: int) -> SessionRecord:
        """Put a whole record in place of revision ``if_rev`` (what the store keeps by itself is left out of it).

        Raises: as :meth:`update`.
        """
        data = record.to_dict() if isinstance(record, SessionRecord) else dict(record)
        fields = {
            name: value for name, value in data.items() if name not in (*records.STORE_FIELDS, records.NOT_FINITE)
        }
        return self.update(if_rev=if_rev, **fields)


def merge_of(changes: Mapping[str, Any]) -> tuple[Callable[[dict[str, Any]], None], dict[str, Any]]:
    """Return changes as a function that merges the objects among them into a record, and the other fields.

    Raises: InvalidRecord: an object that is not a field of the record.
    """
    fields = {name: value for name, value in changes.items() if not isinstance(value, Mapping)}
    objects = {name: value for name, value in changes.items() if isinstance(value, Mapping)}
    kept = [name for name in objects if name not in RECORD_FIELDS]
    if kept:
        raise InvalidRecord(f"{', '.join(kept)}: not a field of the record")

    def apply(record: dict[str, Any]) -> None:
        for name, value in objects.items():
            record[name] = merged(record[name], value)

    return apply, fields


def read_row(folder: str, session_id: str) -> SessionRow:
    """Return the row of the session in a folder; a handle would cost as much again. Raises: as ``Session.record``."""
    path = f"{folder}/{DOCUMENT}"
    data, status = documents.read(path)
    row = row_from_bytes.row_of(data, status, session_id)
    return row if row is not None else to_row(_record_of(data, path, session_id), status)


def _record_of(data: bytes, path: str, session_id: str) -> SessionRecord:
    return records.read_record(documents.tables_of(data, path), data, path, session_id)
