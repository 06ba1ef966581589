"""The store: makes, gets, deletes and restores sessions; the only owner of the order of locks and writes.

Directory, then record: a session is built in staging, whole and durable, gets its name by a rename that never replaces
anything, and only then is the index updated. Nothing is acknowledged that is not durable.
Not here: one session (session), recording (session.recorder), listing (catalog), checks and repairs
(maintenance).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from sessionstore import late_imports
from sessionstore.disk.reading import holds
from sessionstore.errors import InvalidRecord, SessionNotFound, SessionStoreError
from sessionstore.index import SessionIndex, choose_url, open_index
from sessionstore.index.url import kept_url
from sessionstore.layout import DOCUMENT, StoreRoot, resolve
from sessionstore.model import names, values
from sessionstore.model.record import SessionRecord
from sessionstore.model.row import SessionRow, to_row
from sessionstore.query import Filter
from sessionstore.session import Session
from sessionstore.session.motion import PointOrder
from sessionstore.session.recorder import Recorder
from sessionstore.session.run_clock import Start
from sessionstore.session.stream_writer import SyncMode
from sessionstore.store import column_files, lookup, merge_log, open_runs, trash
from sessionstore.store.batch import Batch
from sessionstore.store.catalog import Catalog
from sessionstore.store.creation import Creator
from sessionstore.store.delivery import Step
from sessionstore.store.folder_rows import MISSING_FOLDER
from sessionstore.store.mapping import StoreMapping
from sessionstore.store.trash import TrashEntry

if TYPE_CHECKING:
    from sessionstore.index.changes import Watch
    from sessionstore.late_imports import Report
    from sessionstore.store.history import History


class SessionStore(StoreMapping):
    """All sessions below one folder; safe for threads and processes. Opening one makes nothing.

    Args:
        folder: the root; see :func:`sessionstore.layout.resolve` for the default.
        index: the URL of the index engine; by default that of SESSIONSTORE_INDEX, format.json or DB_HOST, or journal:
        force: write even to a file system whose locks cannot be trusted (also by SESSIONSTORE_FORCE=1).
        sync: ``full``: creating and updating wait for the disk; ``os``: they survive the death of the process, and a
            power cut may take the last of them (deleting, and making the store, wait always).
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        index: str | None = None,
        force: bool = False,
        sync: Literal["full", "os"] = "full",
    ) -> None:
        if sync not in ("full", "os"):
            raise InvalidRecord(f"the sync mode of a store is full or os, not {sync!r}")
        self.root = StoreRoot(resolve(folder), force=force, durable=sync == "full")
        url = choose_url(index, os.environ, self.root.settings() or {})
        self.index: SessionIndex = open_index(url, self.root.path, self.root.quarantine)
        self._settings = {"index": kept_url(index)} if index and kept_url(index) else None  # of a new store
        self._opened_by = (str(self.root.path), index, force, sync)
        self.catalog = Catalog(self.root, self.index, (_catalog_of, self._opened_by))
        self._creator = Creator(self.root, self._settings)

    def __reduce__(self) -> tuple[Any, ...]:
        """A store pickles as its folder and the URL of its index, and opens anew where it arrives."""
        return SessionStore, self._opened_by

    def __repr__(self) -> str:
        return f"SessionStore({str(self.root.path)!r}, index={self.index.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the index, and watch the files no more."""
        self.catalog.watching.end()
        self.index.close()
        self._creator.close()

    # ------------------------------------------------------------ create

    def create(self, name: str | None = None, **fields: Any) -> Session:
        """Make a session: its folder and record are durable, the index lists it now or later.

        Args:
            name: as typed by a person; its sanitised form goes into the id.
            fields: of the record (metadata, base_position, drones, duration_planned_s ...); ``seed``, ``scenario_hash``
                and ``function`` (a mapping) go into its provenance; ``tables`` are further tables of session.json;
                ``created_at`` is the instant of a flight that is imported, which the id then begins with.

        Raises:
            InvalidName, InvalidRecord, LockTimeout, StoreUnusable: nothing was made.
            OutcomeUnknown: the folder is visible, a power cut may take it.
        """
        return self.create_with_report(name, **fields)[0]

    def create_with_report(self, name: str | None = None, **fields: Any) -> tuple[Session, dict[str, Step]]:
        """Make a session, and report how each step ended (directory, record, index). Raises: as :meth:`create`."""
        draft = self._creator.draft(name, fields)
        status = self._creator.build(draft)
        step = self.catalog.delivery.deliver([to_row(draft.record, status)])
        return self.catalog.session(draft.record.session_id), {
            "directory": Step("done"),
            "record": Step("done"),
            "index": step,
        }

    def batch(self) -> Batch:
        """Return a ``with`` block that makes many sessions durable together, at its end; see :mod:`store.batch`."""
        return Batch(self.root, self._creator, self.catalog)

    def create_many(self, sessions: Iterable[Mapping[str, Any]]) -> list[Session]:
        """Make many sessions, each from the arguments of :meth:`create` as a mapping; all are durable on return.

        Raises: as :meth:`create`: of the last group of 1,000 none was made; groups before it are there.
        """
        with self.batch() as batch:
            for given in sessions:
                batch.create(**given)
        return [self.catalog.session(session_id) for session_id in batch.session_ids]

    # ------------------------------------------------------------ record

    def record(
        self,
        name: str | None = None,
        sync: SyncMode = "batch",
        start: Start = "zero",
        order: PointOrder = "any",
        **fields: Any,
    ) -> Recorder:
        """Make a session and start recording it; use it in a ``with`` block.

        Args:
            start: ``epoch`` when the program's times are seconds since 1970: sim_time counts from the first one, and
                the record's instants come from the data. So they do when ``started_at`` is given.
            fields: as for :meth:`create`; a metadata value that cannot be stored is left out, with a warning and an
                event, and does not fail the run.

        Raises: as :meth:`create`; when only the start fails, a note on the error names the session, which waits.
        """
        refused: dict[str, str] = {}
        if isinstance(fields.get("metadata"), Mapping):
            fields["metadata"], refused = values.storable(fields["metadata"], "metadata")
        session_id = self.create(name, **fields).session_id
        try:
            recorder = self.start(session_id, sync, start, order=order)
        except SessionStoreError as error:
            error.add_note(f"the session {session_id} was created, and can be started or deleted")
            raise
        for key, reason in refused.items():
            recorder.value_refused(f"metadata.{key}", reason)
        return recorder

    def start(
        self,
        session_id: str,
        sync: SyncMode = "batch",
        start: Start = "zero",
        resume_at_s: float | None = None,
        order: PointOrder = "any",
    ) -> Recorder:
        """Start recording a session that was created before; ``start`` as for :meth:`record`.

        Args:
            resume_at_s: sim_time of a checkpoint: a new attempt replaces what readers get from there on.
            order: "any": motion points may arrive out of order; "drone": for each drone sim_time never goes back.

        Raises: SessionNotFound, IllegalTransition (it ended before), and as ``Session.update``.
        """
        found = self.get(session_id)
        recorder = Recorder(self.root, found.session_id, self.catalog.delivery.changed, sync, start, order)
        return recorder.start(resume_at_s)

    # ------------------------------------------------------------ find

    def get(self, key: str) -> Session:
        """Return the session with this id, uuid, typed name or unique beginning of the id; ``latest`` is the newest.

        Raises: SessionNotFound; AmbiguousSession, naming the candidates.
        """
        if names.is_session_folder_name(key) and self._holds(key):
            return self.catalog.session(key)
        if key != "latest" and (found := lookup.in_columns(self.catalog.pages, key)) is not None:
            return self.catalog.session(found)
        rows = [row for row in self.find(limit=1 if key == "latest" else None) if row.status != MISSING_FOLDER]
        if (row := lookup.in_rows(rows, key)) is not None:
            return self._open(row)
        here = [row for row in rows if row.host is None]
        if key == "latest" and here:
            return self._open(here[0])
        raise SessionNotFound(f"no session is called {key!r} in {self.root.path}")

    def _open(self, row: SessionRow) -> Session:
        """Return the session of a listed row, which may be in another store of this host."""
        if row.host is None:
            return self.catalog.session(row.session_id)
        if not row.openable or row.store is None:
            raise SessionNotFound(f"{row.session_id} is on {row.host} in {row.store}; it cannot be opened from here")
        return Session(StoreRoot(Path(row.store)), row.session_id)

    @property
    def notice(self) -> str | None:
        """What a person should know of the last listing (the index did not answer ...); None when all is well."""
        return self.catalog.notice

    def _holds(self, session_id: str) -> bool:
        """Whether a real folder of this name holds a document; a link to a folder elsewhere does not count."""
        return holds(f"{self.root.text}/{session_id}", DOCUMENT)

    def find(
        self,
        where: str | Filter | None = None,
        sort: str = "-created_at",
        limit: int | None = None,
        offset: int = 0,
        verify: bool = True,
    ) -> list[SessionRow]:
        """Return the rows that a filter fits, newest first; see :meth:`sessionstore.store.catalog.Catalog.find`."""
        return open_runs.completed(self.root, self.catalog.find(where, sort, limit, offset, verify))

    def watch(self, poll_s: float = 1.0) -> Watch:
        """Return what wakes up when sessions may have changed, on this host or another that shares the index."""
        from sessionstore.index.changes import Watch

        return Watch(self.index, poll_s)

    def watch_files(self, on: bool = True) -> bool:
        """Let the system note which files are written (inotify): lists compare only these. Return whether it does.

        No thread is started: each question first reads what was noted. A process that has compared all files of 1,000
        sessions or more three times begins by itself. False: there is no inotify, the file system is not local, or a
        user may not watch as many folders (fs.inotify.max_user_watches); then all files are compared, as before.

        Args:
            on: False ends it, and it does not begin by itself any more.
        """
        if on:
            return self.catalog.watching.begin()
        self.catalog.watching.end()
        return False

    def rebuild(self) -> int:
        """Make the index anew from the folders; return how many there are. Twice gives the same bytes.

        Raises: StoreUnusable, LockTimeout, IndexUnavailable: the old index is still there.
        """
        return self.catalog.rebuild()

    def doctor(self, deep: bool = True) -> Report:
        """Return all that is wrong with this store; nothing is written. ``sessionstore doctor --fix`` repairs it.

        Args:
            deep: read every document and stream; else only what the index has not seen yet, and open runs.
        """
        return late_imports.examine()(self.root.path, self.index.url, deep)

    # ------------------------------------------------------------ change and delete

    def update(self, key: str, **changes: Any) -> SessionRecord:
        """Change fields of one session; see ``Session.update``."""
        return self.get(key).update(**changes)

    def edit(
        self, key: str | Session, change: Callable[[dict[str, Any]], None] | None = None, **changes: Any
    ) -> SessionRecord:
        """Change fields as a person does: noted first, so that ``undo`` takes it back. See ``History.edit``."""
        return self._history().edit(key, change, **changes)

    def _history(self) -> History:
        from sessionstore.store.history import History

        return History(self)

    def replace(self, key: str, record: SessionRecord | dict[str, Any], if_rev: int) -> SessionRecord:
        """Put a record in place of exactly this revision; see ``Session.replace``."""
        return self.get(key).replace(record, if_rev)

    def delete(self, key: str) -> TrashEntry:
        """Move a session to the trash: not listed any more, writers get SessionGone, :meth:`restore` undoes it.

        Raises:
            SessionNotFound, AmbiguousSession, LockTimeout, StoreUnusable: nothing changed.
            OutcomeUnknown: it is in the trash, a power cut may bring it back.
        """
        session_id = self.get(key).session_id
        self.root.prepare()
        with self.root.locks.store(), self.root.locks.session(session_id):
            entry = trash.throw_away(self.root, session_id)
        self.catalog.delivery.forget([session_id])
        return entry

    def restore(self, key: str, noted: bool = True) -> Session:
        """Bring a session back from the trash, by its id, name, uuid or entry's id; of several the one deleted last.

        Raises: SessionNotFound; Conflict: its name is taken by now; StoreUnusable: nothing changed.
            OutcomeUnknown: it is back; the history does not show it, or a power cut may undo it.
        """
        with self.root.locks.store():
            entry = trash.bring_back(self.root, key)
        self.catalog.delivery.deliver(list(self.catalog.folders.read([entry.session_id])))
        if noted:
            self._history().restored(entry)
        return self.catalog.session(entry.session_id)

    def trash(self) -> list[TrashEntry]:
        """Return what is in the trash, the newest first."""
        return sorted(trash.entries(self.root), key=lambda entry: entry.entry_id, reverse=True)

    def empty_trash(self, older_than_s: float = 0.0) -> list[TrashEntry]:
        """Remove for good what was deleted at least ``older_than_s`` ago; return what was removed.

        Raises: IndexUnavailable, LockTimeout, StoreUnusable, OutcomeUnknown: what is left can still be restored.
        """
        self.root.prepare()
        with self.root.locks.store():
            due = trash.older_than(self.root, older_than_s, time.time())
            self._history().emptied(due)
            # First the rows, durably: one that outlived its trash entry would be listed as a missing session.
            logs = merge_log.logs(self.root) if older_than_s <= 0 else []
            self.index.remove(
                {entry.session_id for entry in due} | (merge_log.retired_ids(self.root) if logs else set())
            )
            for entry in due:
                trash.discard(self.root, entry.folder.parent)
                column_files.forget(self.root, entry.session_id)
            for log in logs:
                trash.discard(self.root, log)
        return due


def _catalog_of(*opened_by: Any) -> Catalog:
    return SessionStore(*opened_by).catalog
