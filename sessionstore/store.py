"""The store: makes, finds, deletes and restores sessions; the only owner of the order of locks and writes.

Directory, then record: nothing is listed that is not on disk, nothing is acknowledged that is not durable. The folders
are the truth and the index a cache: every listing compares the two (one directory scan, one stat a session), adopts
folders that were copied in, rereads records that were edited by hand, and goes on with the folders alone when the
index cannot be reached.
Not here: one session (session), recording (recorder), checks and repairs (care), engines (index).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import msgspec

from sessionstore import __version__, files, jsontext, names, owner, provenance, records, trash
from sessionstore.claims import claim
from sessionstore.errors import (
    AmbiguousSession,
    Corrupt,
    IndexUnavailable,
    InvalidQuery,
    NotApplied,
    OutcomeUnknown,
    SessionGone,
    SessionNotFound,
    SessionStoreError,
    Unreadable,
)
from sessionstore.index import SessionIndex, open_index
from sessionstore.query import MISSING, Filter, matcher
from sessionstore.query import parse as parse_query
from sessionstore.recorder import Recorder
from sessionstore.records import FILTER_ALIASES, FILTER_FIELDS, SessionRecord, SessionRow
from sessionstore.root import DOCUMENT, StoreRoot, resolve
from sessionstore.session import CLOCK_STREAM, Session
from sessionstore.streams import SyncMode
from sessionstore.trash import TrashEntry

#: What a listing shows in place of a status when the record cannot be read, and when the folder is gone.
UNREADABLE, MISSING_FOLDER = "unreadable", "missing"


@dataclass(frozen=True, slots=True)
class Step:
    """How one step of a creation ended: done, pending or failed, and why."""

    status: str
    reason: str | None = None


class SessionStore:
    """All sessions below one folder; safe for threads and processes. Opening one makes nothing.

    Args:
        folder: the root; see :func:`sessionstore.root.resolve` for the default.
        index: the URL of the index engine; by default what format.json says, else the journal.
    """

    def __init__(self, folder: str | Path | None = None, index: str | None = None) -> None:
        self.root = StoreRoot(resolve(folder))
        settings = self.root.settings() or {}
        self.index: SessionIndex = open_index(index or settings.get("index"), self.root.path)
        self._swept = False

    def __repr__(self) -> str:
        return f"SessionStore({str(self.root.path)!r}, index={self.index.url!r})"

    def _repr_html_(self) -> str:
        """Return the newest sessions as a table for notebooks."""
        import html

        shown = ("session_id", "status", "workflow_state", "duration_sim_s", "points")
        head = "".join(f"<th>{name}</th>" for name in shown)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(str(getattr(row, name)))}</td>" for name in shown) + "</tr>"
            for row in self.find(limit=20)
        )
        return f"<table><tr>{head}</tr>{body}</table>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the index."""
        self.index.close()

    # ------------------------------------------------------------ create

    def create(self, name: str | None = None, **fields: Any) -> Session:
        """Make a session: its folder and record are durable, the index knows it or will.

        Args:
            name: as typed by a person; its sanitised form goes into the id.
            fields: of the record (metadata, base_position, drones, duration_planned_s ...); ``seed`` and
                ``scenario_hash`` go into its provenance; ``tables`` are further tables of session.json.

        Raises:
            InvalidName, InvalidRecord, LockTimeout, StoreUnusable: nothing was made.
            OutcomeUnknown: the folder is visible, a power cut may take it.
        """
        return self.create_with_report(name, **fields)[0]

    def create_with_report(self, name: str | None = None, **fields: Any) -> tuple[Session, dict[str, Step]]:
        """Make a session, and tell how each step ended (directory, record, index). Raises: as :meth:`create`."""
        if name is not None:
            names.check_typed_name(name)
        tables = {key: _numbered(rows) for key, rows in (fields.pop("tables", None) or {}).items()}
        seed, scenario_hash = fields.pop("seed", None), fields.pop("scenario_hash", None)
        given = records.check_changes({**fields, "session_name": name})
        self.root.prepare()
        self._sweep_once()
        created = datetime.now(UTC)
        record = SessionRecord(
            session_id=claim(self.root, created, name),
            uuid=records.new_uuid(),
            created_at=jsontext.utc_text(created),
            updated_at=jsontext.utc_text(created),
            created_by=f"sessionstore {__version__}",
            provenance=provenance.gather(seed, scenario_hash),
        )
        for field, value in given.items():
            setattr(record, field, value)
        status = self._build(record, created, tables)
        step = self._deliver([records.to_row(record, status)])
        return self._session(record.session_id), {
            "directory": Step("done"),
            "record": Step("done"),
            "index": step,
        }

    def _build(self, record: SessionRecord, created: datetime, tables: dict[str, Any]) -> os.stat_result:
        """Build the folder in staging, whole and durable, then give it its name; return the record's file status."""
        staged = self.root.staging / record.uuid
        try:
            files.make_dir(staged)
            while True:
                document = {"session": {"1": record.to_dict()}, "workflow": {}, **tables}
                status = files.put(staged / DOCUMENT, jsontext.layout(document))
                try:
                    files.rename_new(staged, self.root.folder(record.session_id))
                    break
                except FileExistsError:  # a folder that was copied here or restored has this name
                    record.session_id = claim(self.root, created, record.session_name)
        except OSError as error:
            if staged.is_dir():
                files.remove_tree(staged)
            if isinstance(error, SessionStoreError):
                raise
            raise files.refused(error, staged) from error
        files.prove_renamed(self.root.path)
        return status

    def _deliver(self, rows: list[SessionRow]) -> Step:
        """Tell the index; what it cannot take now is found and delivered by a later listing."""
        try:
            self.index.put(rows)
        except (NotApplied, OutcomeUnknown, Unreadable) as error:
            return Step("pending", f"{type(error).__name__}: {error}")
        return Step("done")

    def _sweep_once(self) -> None:
        """Remove what creators that died left in staging, once per handle."""
        if not self._swept:
            self._swept = True
            trash.sweep_staging(self.root)

    # ------------------------------------------------------------ record

    def record(self, name: str | None = None, sync: SyncMode = "batch", **fields: Any) -> Recorder:
        """Make a session and start recording it; use it in a ``with`` block. Raises: as :meth:`create`."""
        return self.start(self.create(name, **fields).session_id, sync)

    def start(self, session_id: str, sync: SyncMode = "batch") -> Recorder:
        """Start recording a session that was created before.

        Raises: SessionNotFound, IllegalTransition (it ended before), and as ``Session.update``.
        """
        found = self.get(session_id)
        return Recorder(self.root, found.session_id, self._changed, sync).start()

    def _changed(self, row: SessionRow) -> None:
        self._deliver([row])

    def _session(self, session_id: str) -> Session:
        return Session(self.root, session_id, self._changed)

    # ------------------------------------------------------------ find

    def get(self, key: str) -> Session:
        """Return the session with this id, uuid, typed name or unique beginning of the id; ``latest`` is the newest.

        Raises: SessionNotFound; AmbiguousSession, naming the candidates.
        """
        if names.is_session_folder_name(key) and (self.root.folder(key) / DOCUMENT).is_file():
            return self._session(key)
        rows = self.find(verify=False) if key != "latest" else self.find(limit=1)
        tests = (
            lambda row: row.session_name == key,
            lambda row: row.uuid == key,
            lambda row: key != "" and row.session_id.startswith(key),
            lambda row: key == "latest",
        )
        for fits in tests:
            found = [row.session_id for row in rows if row.status != MISSING_FOLDER and fits(row)]
            if len(found) == 1:
                return self._session(found[0])
            if found:
                shown = ", ".join(found[:5]) + (" ..." if len(found) > 5 else "")
                raise AmbiguousSession(f"{len(found)} sessions fit {key!r}: {shown}")
        raise SessionNotFound(f"no session is called {key!r} in {self.root.path}")

    def find(
        self,
        where: str | Filter | None = None,
        sort: str = "-created_at",
        limit: int | None = None,
        offset: int = 0,
        verify: bool = True,
    ) -> list[SessionRow]:
        """Return the rows that a filter fits, newest first unless sorted otherwise.

        Args:
            where: the filter language of :mod:`sessionstore.query`.
            sort: a field or ``metadata.key``, with ``-`` in front for descending; rows without it come last.
            verify: compare every row with its file (one stat a session), so that hand edits are seen. Folders that
                appeared or went are always seen.

        Raises: InvalidQuery, StoreUnusable.
        """
        tree = parse_query(where, FILTER_FIELDS, FILTER_ALIASES) if isinstance(where, str) else where
        order = _sort_order(sort)
        rows = self._select(tree, verify)
        if order is not None:
            rows = order(rows)
        return rows[offset : None if limit is None else offset + limit]

    def _select(self, tree: Filter | None, verify: bool) -> list[SessionRow]:
        try:
            fresh, gone = self.reconcile(verify)
            interrupted = self._interrupted(self.index.active())
            if not fresh and not gone:
                return self.index.find(tree, interrupted)
            rows = {row.session_id: row for row in self.index.find()}
        except Corrupt:
            self.rebuild()
            rows = {row.session_id: row for row in self.index.find()}
            fresh, gone = [], set()
        except IndexUnavailable:
            rows, fresh, gone = {}, list(self._read_rows(self.root.session_ids())), set()
        # The index cannot be written (a read-only disk, an engine that is away): the answer is right all the same.
        rows.update((row.session_id, row) for row in fresh)
        found = [row for name, row in rows.items() if name not in gone]
        why = self._interrupted(row for row in found if row.owner is not None)
        found = [records.as_interrupted(row, why[row.session_id]) if row.session_id in why else row for row in found]
        fits = matcher(tree, SessionRow.get)
        return sorted((row for row in found if fits(row)), key=lambda row: (row.created_at, row.session_id))

    def _interrupted(self, rows: Iterable[SessionRow]) -> dict[str, str]:
        """Return the runs whose process is gone, and why."""
        found = {}
        for row in rows:
            facts = msgspec.to_builtins(row.owner)
            reason = owner.why_interrupted(facts, self._beat_of(row.session_id))
            if reason is not None:
                found[row.session_id] = reason
        return found

    def _beat_of(self, session_id: str) -> float | None:
        try:
            return os.stat(self.root.path / session_id / f"{CLOCK_STREAM}.jsonl", follow_symlinks=False).st_mtime
        except OSError:
            return None

    # ------------------------------------------------------------ folders and index

    def reconcile(self, verify: bool = True) -> tuple[list[SessionRow], set[str]]:
        """Bring the index up to date with the folders; return what it could not be told (rows, ids gone).

        Raises: Corrupt, IndexUnavailable: of the index; StoreUnusable: the folder cannot be read.
        """
        stamps, on_disk = self.index.stamps(), self.root.session_ids()
        stale = on_disk - stamps.keys()
        if verify:
            stale.update(name for name, stamp in stamps.items() if name in on_disk and self._stamp_of(name) != stamp)
        lost = {name for name in stamps.keys() - on_disk if stamps[name] != _NO_FILE}
        if not stale and not lost:
            return [], set()
        fresh = list(self._read_rows(stale))
        trashed = {entry.session_id for entry in trash.entries(self.root)} if lost else set()
        gone = {name for name in lost if name in trashed}
        if lost - gone:
            known = {row.session_id: row for row in self.index.find()}
            fresh += [_as_missing(known[name]) for name in lost - gone if name in known]
        try:
            self.index.put(fresh)
            self.index.remove(gone)
        except (NotApplied, OutcomeUnknown):
            return fresh, gone
        return [], set()

    def _stamp_of(self, session_id: str) -> tuple[int, int]:
        try:
            status = os.stat(f"{self.root.path}/{session_id}/{DOCUMENT}", follow_symlinks=False)
        except OSError:
            return _NO_FILE
        return status.st_size, status.st_mtime_ns

    def _read_rows(self, session_ids: Iterable[str]) -> Iterator[SessionRow]:
        """Yield the row of each folder; a broken one gives a row that says what is wrong, and stops nobody."""
        for session_id in sorted(session_ids):
            try:
                yield self._session(session_id).row()
            except SessionGone:
                continue
            except (Unreadable, NotApplied) as error:
                yield _broken_row(session_id, str(error), self._stamp_of(session_id))

    def rebuild(self) -> int:
        """Make the index anew from the folders; return how many there are. Twice gives the same bytes.

        Raises: StoreUnusable, LockTimeout, IndexUnavailable: the old index is still there.
        """
        self.root.prepare()
        with self.root.locks.store():
            rows = list(self._read_rows(self.root.session_ids()))
            self.index.replace_all(rows)
            return len(rows)

    # ------------------------------------------------------------ change and delete

    def update(self, key: str, **changes: Any) -> SessionRecord:
        """Change fields of one session; see ``Session.update``."""
        return self.get(key).update(**changes)

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
        self._forget([session_id])
        return entry

    def _forget(self, session_ids: list[str]) -> None:
        try:
            self.index.remove(session_ids)
        except (NotApplied, OutcomeUnknown):
            return  # the next listing sees that the folder is in the trash, and removes the row

    def restore(self, key: str) -> Session:
        """Bring a session back from the trash, by its id or the entry's; of several the one deleted last.

        Raises: SessionNotFound; Conflict: its name is taken by now; StoreUnusable: nothing changed.
        """
        with self.root.locks.store():
            entry = trash.bring_back(self.root, key)
        session = self._session(entry.session_id)
        self._deliver(list(self._read_rows([entry.session_id])))
        return session

    def trash(self) -> list[TrashEntry]:
        """Return what is in the trash, the newest first."""
        return sorted(trash.entries(self.root), key=lambda entry: entry.entry_id, reverse=True)

    def empty_trash(self, older_than_s: float = 0.0) -> list[TrashEntry]:
        """Remove for good what was deleted at least so many seconds ago; return what was removed."""
        with self.root.locks.store():
            return trash.empty(self.root, older_than_s, time.time())


_NO_FILE = (-1, -1)


def _numbered(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {str(number): jsontext.plain(row, "tables") for number, row in enumerate(rows, 1)}


def _broken_row(session_id: str, problem: str, stamp: tuple[int, int]) -> SessionRow:
    stamped = names.stamp_of(session_id)
    created = jsontext.utc_text(stamped) if stamped else ""
    return SessionRow(
        session_id=session_id, uuid="", rev=0, size=stamp[0], mtime_ns=stamp[1], status=UNREADABLE, workflow_state="",
        created_at=created, updated_at=created, problem=problem,
    )  # fmt: skip


def _as_missing(row: SessionRow) -> SessionRow:
    size, mtime_ns = _NO_FILE
    problem = "its folder is gone, and it is not in the trash"
    return msgspec.structs.replace(
        row, status=MISSING_FOLDER, problem=problem, size=size, mtime_ns=mtime_ns, owner=None
    )


def _sort_order(sort: str) -> Any:
    """Return a function that sorts rows; None when they are in that order already (created_at ascending)."""
    descending, text = sort.startswith("-"), sort.removeprefix("-")
    path = tuple(text.split("."))
    path = (FILTER_ALIASES.get(path[0], path[0]), *path[1:])
    if path[0] not in FILTER_FIELDS:
        raise InvalidQuery(f"cannot sort by {text!r} (there are {', '.join(sorted(FILTER_FIELDS))})")
    if path == ("created_at",):
        return (lambda rows: rows[::-1]) if descending else None

    def key(row: SessionRow) -> tuple[int, Any]:
        value = row.get(path)
        if isinstance(value, bool | int | float):
            return 0, value
        return (1, value) if isinstance(value, str) else (2, str(value))

    def order(rows: list[SessionRow]) -> list[SessionRow]:
        having = [row for row in rows if row.get(path) is not None and row.get(path) is not MISSING]
        without = [row for row in rows if row.get(path) is None or row.get(path) is MISSING]
        return sorted(having, key=key, reverse=descending) + without

    return order
