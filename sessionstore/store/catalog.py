"""The catalog: the index, held against the folders whenever somebody looks.

The folders are the truth and the index a cache: every listing compares the two (one directory scan, one stat a
session), adopts folders that were copied in, rereads records that were edited by hand, and answers from the folders
alone when the index cannot be reached. What the index could not be told is found, and delivered, by a later listing.
Not here: making and deleting sessions (store), engines (index), one session (session).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

import msgspec

from sessionstore.disk import files, filesystem
from sessionstore.errors import Corrupt, NewerFormat, NotApplied, OutcomeUnknown, SessionGone, Unreadable, UnsafeFile
from sessionstore.index import RowStamp, SessionIndex
from sessionstore.index.filtering import select, sort_order
from sessionstore.index.gc_pause import gc_paused
from sessionstore.layout import DOCUMENT, StoreRoot
from sessionstore.model import json_text, liveness, names, records
from sessionstore.model.records import FILTER_ALIASES, FILTER_FIELDS, SessionRow
from sessionstore.query import Filter
from sessionstore.query import parse as parse_query
from sessionstore.session import Session
from sessionstore.session.handle import CLOCK_STREAM, read_row
from sessionstore.store import trash

#: What a listing shows in place of a status when the record cannot be read, and when the folder is gone.
UNREADABLE, MISSING_FOLDER = "unreadable", "missing"
MAX_RETRIES = 100
#: How long a listing waits for a deletion or restoration, which takes a millisecond.
MOVE_LOCK_WAIT_S = 0.2


@dataclass(frozen=True, slots=True)
class Step:
    """How one step of an operation ended: done, pending or failed, and why."""

    status: str
    reason: str | None = None


class Catalog:
    """All sessions of one store as rows, found through the index and true to the folders."""

    def __init__(self, root: StoreRoot, index: SessionIndex, pickled: tuple[Any, ...]) -> None:
        self.root = root
        self.index = index
        self._pickled = pickled  # a function and its arguments that return this catalog in another process
        #: What a person should know of the last listing: the index did not answer, or could not be told.
        self.notice: str | None = None
        self._pending: set[str] = set()
        self._at_rest: tuple[object, Set[str]] | None = None  # a state of index and folders in which the two agreed

    def __reduce__(self) -> tuple[Any, ...]:
        return self._pickled

    def session(self, session_id: str) -> Session:
        """Return a handle whose updates reach the index."""
        return Session(self.root, session_id, self.changed)

    def changed(self, row: SessionRow) -> None:
        """Take in the new row of a session."""
        self.deliver([row])

    def deliver(self, rows: list[SessionRow]) -> Step:
        """Tell the index; what it cannot take now goes with a later delivery, or is found by a later listing."""
        try:
            self._put(rows)
        except (NotApplied, OutcomeUnknown, Unreadable) as error:
            self._pending.update(row.session_id for row in rows)
            return Step("pending", f"{type(error).__name__}: {error}")
        if self._pending:
            self._catch_up()
        return Step("done")

    def _catch_up(self) -> None:
        """Deliver what an engine that is back could not take before, as the folders hold it now."""
        waiting, self._pending = self._pending, set()
        try:
            self._put(list(self.read_rows(waiting)), exact=True)
        except (NotApplied, OutcomeUnknown, Unreadable):
            self._pending |= waiting

    def _put(self, rows: list[SessionRow], exact: bool = False) -> None:
        """Put rows, and look again: who put a newer row in the meantime must not be covered by our older one."""
        for _ in range(MAX_RETRIES):
            self.index.put(rows, exact)
            if not (moved_on := [row.session_id for row in rows if self._stamp_of(row.session_id) != _stamp(row)]):
                return
            self._take_back(moved_on)
            rows = [row for row in self.read_rows(moved_on) if _stamp(row) not in (_NOT_READ, _NO_FILE)]
            if not rows:
                return

    def _take_back(self, told: list[str]) -> None:
        """Drop the rows of sessions that went while the index was told of them: who emptied the trash meanwhile has
        dropped them already, and nobody would do it again. A store that is away itself keeps them."""
        gone = [session_id for session_id in told if not os.path.lexists(self.root.folder(session_id))]
        if gone and files.is_folder(self.root.private):
            self.index.remove(gone)

    def forget(self, session_ids: list[str]) -> None:
        """Drop the rows of sessions that went to the trash; an index that is away is told by a later listing."""
        try:
            self.index.remove(session_ids)
        except (NotApplied, OutcomeUnknown, Unreadable):
            return

    def find(
        self,
        where: str | Filter | None = None,
        sort: str = "-created_at",
        limit: int | None = None,
        offset: int = 0,
        verify: bool = True,
    ) -> list[SessionRow]:
        """Return the rows that a filter fits, newest first unless sorted otherwise; to be read, not to be changed.

        Args:
            where: the filter language of :mod:`sessionstore.query`.
            sort: a field or ``metadata.key``, with ``-`` in front for descending; rows without it come last.
            verify: compare every row with its file (one stat a session), so that hand edits are seen. Folders that
                appeared or went are always seen.

        Raises: InvalidQuery, StoreUnusable, StoreNotFound.
        """
        self.root.check_exists()
        tree = parse_query(where, FILTER_FIELDS, FILTER_ALIASES) if isinstance(where, str) else where
        order, rows = sort_order(sort), self._select(tree, verify)
        rows = rows if order is None else order(rows)
        return rows[offset : None if limit is None else offset + limit]

    def _select(self, tree: Filter | None, verify: bool) -> list[SessionRow]:
        self.notice = None
        try:
            try:
                version = self.index.version()
                fresh, gone = self.reconcile(verify)
                if not fresh and not gone:
                    found = self.index.find(tree, self._interrupted(self.index.active()))
                    if self.index.version() == version:
                        return found
                known = self.index.find()
                overtaken = self.index.version() != version
            except Corrupt:
                self.rebuild()
                fresh, gone, known, overtaken = [], set(), self.index.find(), True
            if overtaken:
                late, away = self._overtaken(known, verify)
                fresh, gone = [*fresh, *late], gone | away
        except (NotApplied, OutcomeUnknown, NewerFormat, UnsafeFile) as error:  # away, not to be read, no plain file
            known, fresh, gone = [], list(self.read_rows(self._folders())), set()
            self.notice = f"the index does not answer, so {len(fresh)} folders were read instead: {error}"
        return self._answer(tree, known, fresh, gone)

    def _overtaken(self, known: list[SessionRow], verify: bool) -> tuple[list[SessionRow], set[str]]:
        """Hold rows that came in while we looked against the folders once more; return rows read anew, and ids gone.

        A writer that was stopped between its file and its row puts the row late: over a newer one, or after the session
        went to the trash; who deletes and was stopped drops the row of a session that was restored. Each is put right
        by the next listing, but whoever reads in between must not see a state older than one already acknowledged.
        """
        here = {row.session_id: row for row in known if row.host is None}
        on_disk = self.root.session_ids(known=here.keys())
        late = {name for name in on_disk - here.keys() if self._is_session(name)}
        if verify:
            late.update(name for name in on_disk & here.keys() if self._stamp_of(name) != _stamp(here[name]))
        away = here.keys() - on_disk
        trashed, back = self._whereabouts(away, on_disk)
        gone = {name for name in away - back if name in trashed or _stamp(here[name]) != _NO_FILE}
        return [_still_known(row, here.get(row.session_id)) for row in self.read_rows(late | back)], gone

    def _whereabouts(self, away: Set[str], on_disk: Set[str]) -> tuple[Set[str], Set[str]]:
        """Return which of the sessions that have a row and were not seen lie in the trash, and which are back.

        What went from the folder to the trash, or back, between the two looks was in neither: they are taken once more
        while nobody moves anything. A lock that cannot be had means one long operation, or a disk that nobody writes;
        it is not asked for when nothing moved in between, nor where there is no store (any more), which it would make.
        """

        def look() -> tuple[Set[str], Set[str]]:
            trashed = away & {entry.session_id for entry in trash.entries(self.root)}
            return trashed, {name for name in away - trashed if os.path.lexists(self.root.folder(name))}

        found = look() if away else (away, set[str]())
        if found[0] == away or self.root.is_unchanged(on_disk) or not files.is_folder(self.root.private):
            return found
        try:
            with self.root.locks.store(MOVE_LOCK_WAIT_S):
                return look()
        except NotApplied:
            return look()

    def _answer(
        self, tree: Filter | None, known: list[SessionRow], fresh: list[SessionRow], gone: set[str]
    ) -> list[SessionRow]:
        """Answer without the index, which is away or cannot be written (a read-only disk): right all the same."""
        rows = {row.session_id: row for row in known if row.host is None and row.session_id not in gone}
        rows.update((row.session_id, row) for row in fresh)
        why = self._interrupted(row for row in rows.values() if row.owner is not None)
        found = [records.as_interrupted(row, why[name]) if name in why else row for name, row in rows.items()]
        found += [row for row in known if row.host is not None]
        return sorted(select(found, tree), key=lambda row: (row.created_at, row.session_id))

    def _interrupted(self, rows: Iterable[SessionRow]) -> dict[str, str]:
        """Return the runs whose process is gone, and why."""
        found = {}
        for row in rows:
            facts = msgspec.to_builtins(row.owner)
            reason = liveness.why_interrupted(facts, self._beat_of(row.session_id))
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
        version = self.index.version()
        if not verify and self._rests(version):
            return [], set()
        stamps = self.index.stamps()
        on_disk, stale, away = self._compare(stamps, verify)
        if not stale and not away:
            self._at_rest = (version, on_disk) if len(on_disk) == len(stamps) else None
            return [], set()
        trashed, back = self._whereabouts(away, on_disk)
        away -= back
        fresh = list(self.read_rows(stale | back))
        if any(row.status == UNREADABLE for row in fresh):
            before = {row.session_id: row for row in self.index.find()}
            fresh = [_still_known(row, before.get(row.session_id)) for row in fresh]
        untold = [row for row in fresh if _stamp(row) == _NOT_READ]
        gone = set(trashed)
        if away - gone:
            rows = {row.session_id: row for row in self.index.find() if row.host is None}
            here = {row.uuid for row in (*rows.values(), *fresh) if row.session_id in on_disk | back and row.uuid}
            gone |= {name for name in away - gone if name in rows and rows[name].uuid in here}  # it was renamed
            lost = {name for name in away - gone if _stamp(stamps[name]) != _NO_FILE}
            fresh += [_as_missing(rows[name]) for name in lost if name in rows]
        if not fresh and not gone:
            return [], set()
        fresh.sort(key=lambda row: (row.created_at, row.session_id))  # an index made anew is the same, byte for byte
        try:
            filesystem.refuse_unsafe(self.root.path, self.root.force)  # even the index is a write
            self._put([row for row in fresh if _stamp(row) != _NOT_READ], exact=True)
            self.index.remove(gone)
        except (NotApplied, OutcomeUnknown) as error:
            self.notice = f"the index could not be told of {len(fresh) + len(gone)} sessions: {error}"
            return fresh, gone
        return untold, set()

    def _compare(self, stamps: Mapping[str, RowStamp], verify: bool) -> tuple[Set[str], set[str], set[str]]:
        """Return the folders that may be sessions, those that must be read, and the rows that have no folder: it is
        gone now, or was called missing before. At rest no further set is made."""
        known = stamps.keys()
        on_disk = self.root.session_ids(known)
        look = self._edited if verify else self._found_again
        if on_disk is known or on_disk == known:
            return on_disk, set(look(stamps.items())), set()
        stale = {name for name in on_disk - known if self._is_session(name)}
        stale.update(look([(name, row) for name, row in stamps.items() if name in on_disk]))
        return on_disk, stale, set(known - on_disk)

    def _rests(self, version: object) -> bool:
        """Whether neither index nor folders have changed since a listing found that they agree."""
        if self._at_rest is None or self._at_rest[0] != version:
            return False
        before = self._at_rest[1]
        now = self.root.session_ids(before)
        return now is before or now == before  # the same set is not gone through

    def _folders(self) -> set[str]:
        return {name for name in self.root.session_ids() if self._is_session(name)}

    def _is_session(self, name: str) -> bool:
        """Whether an unknown folder is one of ours: it has a record, or its name begins like an id."""
        return names.stamp_of(name) is not None or os.path.lexists(self.root.folder(name) / DOCUMENT)

    @staticmethod
    def _found_again(here: Iterable[tuple[str, RowStamp]]) -> Iterator[str]:
        """Yield the sessions whose row says that there is no file, though the folder is there."""
        return (name for name, row in here if row.size < 0 and _stamp(row) == _NO_FILE)

    def _edited(self, here: Iterable[tuple[str, RowStamp]]) -> Iterator[str]:
        """Yield the sessions whose file is not the one that their row mirrors."""
        look, folder, end = os.lstat, f"{self.root.path}/", f"/{DOCUMENT}"  # 10,000 times: each name looked up costs
        for name, row in here:
            try:
                found = look(folder + name + end)
            except OSError:
                yield name
                continue
            if found.st_mtime_ns != row.mtime_ns or found.st_size != row.size:
                yield name

    def _stamp_of(self, session_id: str) -> tuple[int, int]:
        try:
            status = os.stat(f"{self.root.path}/{session_id}/{DOCUMENT}", follow_symlinks=False)
        except OSError:
            return _NO_FILE
        return status.st_size, status.st_mtime_ns

    def read_rows(self, session_ids: Iterable[str]) -> Iterator[SessionRow]:
        """Yield the row of each folder; a broken one gives a row that says what is wrong, and stops nobody."""
        for session_id in sorted(session_ids):
            try:
                try:
                    yield self._row(session_id)
                except Unreadable:
                    stamp = self._stamp_of(session_id)  # before reading: what is mended meanwhile is then read again
                    try:
                        yield self._row(session_id)
                    except Unreadable as error:
                        yield _broken_row(session_id, self._within(error), stamp)
            except SessionGone:
                continue
            except NotApplied as error:  # the disk, permissions or open files are at fault, and may be well again
                yield _broken_row(session_id, self._within(error), _NOT_READ)

    def _within(self, error: Exception) -> str:
        """Return what an error says with its place as the store sees it: the row outlives a move of the store."""
        return str(error).replace(f"{self.root.path}{os.sep}", "")

    def _row(self, session_id: str) -> SessionRow:
        return read_row(f"{self.root.text}/{session_id}", session_id)

    def rebuild(self) -> int:
        """Make the index anew from the folders; return how many there are. Twice gives the same bytes.

        Raises: StoreUnusable, LockTimeout, IndexUnavailable: the old index is still there.
        """
        return self.fill(self.index)

    def fill(self, index: SessionIndex) -> int:
        """Make any index hold what the folders hold; return how many there are. Raises: as :meth:`rebuild`."""
        self.root.prepare()
        with gc_paused():
            with self.root.locks.store():
                rows = list(self.read_rows(self._folders()))
                index.replace_all(rows)
            moved_on = index is self.index and self._has_moved_on(rows)
        if moved_on:
            self.reconcile()
        return len(rows)

    def _has_moved_on(self, rows: list[SessionRow]) -> bool:
        """Whether anything was written while the folders were read: its row may have been covered by our older one.

        The index need not be asked: it held these rows, and what it was told after them is newer.
        """
        _, stale, away = self._compare({row.session_id: row for row in rows}, verify=True)
        return bool(stale or away)


#: In place of a file's size and time: there is none; it could not be looked at, so that the next listing tries again.
_NO_FILE, _NOT_READ = (-1, -1), (-2, -2)


def _stamp(row: RowStamp) -> tuple[int, int]:
    return row.size, row.mtime_ns


def _broken_row(session_id: str, problem: str, stamp: tuple[int, int]) -> SessionRow:
    stamped = names.stamp_of(session_id)
    created = json_text.utc_text(stamped) if stamped else ""
    return SessionRow(
        session_id=session_id, uuid="", rev=0, size=stamp[0], mtime_ns=stamp[1], status=UNREADABLE, workflow_state="",
        created_at=created, updated_at=created, problem=problem,
    )  # fmt: skip


def _still_known(row: SessionRow, before: SessionRow | None) -> SessionRow:
    """Return the row of a session that cannot be read now with what was known before: name, uuid, metadata, figures."""
    if row.status != UNREADABLE or before is None:
        return row
    return msgspec.structs.replace(
        before, status=UNREADABLE, problem=row.problem, size=row.size, mtime_ns=row.mtime_ns, rev=0, owner=None
    )


def _as_missing(row: SessionRow) -> SessionRow:
    problem, (size, mtime_ns) = "its folder is gone, and it is not in the trash", _NO_FILE
    changes = {"status": MISSING_FOLDER, "problem": problem, "size": size, "mtime_ns": mtime_ns}
    return msgspec.structs.replace(row, owner=None, copies=(), **changes)
