"""The catalog: listings of a store, reconciled with the folders each time.

The folders are the truth and the index a cache: every listing compares the two (one directory scan, one stat a
session), adopts folders that were copied in, rereads records that were edited by hand, and answers from the folders
alone when the index is unavailable. Rows that the index could not take are found, and delivered, by a later listing.
Not here: making and deleting sessions (store.store), reading folders (store.folder_rows), writing rows
(store.delivery), engines (index).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any, NamedTuple

import msgspec

from sessionstore.disk import files, filesystem
from sessionstore.errors import Corrupt, NewerFormat, NotApplied, OutcomeUnknown, UnsafeFile
from sessionstore.index import Page, PageOrder, RowStamp, SessionIndex, View, look
from sessionstore.index.filtering import parse_sort, select, sort_order
from sessionstore.index.lined import Lined
from sessionstore.layout import StoreRoot
from sessionstore.model import liveness
from sessionstore.model.gc_pause import gc_paused
from sessionstore.model.row import FILTER_ALIASES, FILTER_FIELDS, SessionRow, as_interrupted
from sessionstore.query import Filter
from sessionstore.query import parse as parse_query
from sessionstore.session import Session, stream_source
from sessionstore.session.handle import CLOCK_STREAM
from sessionstore.store import trash
from sessionstore.store.delivery import Delivery
from sessionstore.store.folder_rows import (
    MISSING_FOLDER,
    SIZE_AND_TIME,
    UNREAD,
    UNREADABLE,
    FolderRows,
    as_missing,
    stamp_in,
    still_known,
)
from sessionstore.store.pages import StorePages
from sessionstore.store.row_lines import read_lines
from sessionstore.store.watching import MIN_SESSIONS, Asked, FileWatch

#: How long a listing waits for a deletion or restoration, which takes a millisecond.
MOVE_LOCK_WAIT_S = 0.2


class Difference(NamedTuple):
    """What an index lacks after a reconciliation, so that an answer adds it: rows read anew, and ids that are gone."""

    fresh: list[SessionRow]
    gone: set[str]
    written: bool = False  # the index was changed, so that a view of it is old


class Behind(NamedTuple):
    """The last row of the page before, and how its place among all rows is found."""

    session_id: str
    place: Callable[[list[SessionRow]], int]


class Catalog:
    """All sessions of one store as rows, found through the index and true to the folders."""

    def __init__(self, root: StoreRoot, index: SessionIndex, pickled: tuple[Any, ...]) -> None:
        self.root = root
        self.index = index
        self._pickled = pickled  # a function and its arguments that return this catalog in another process
        #: What a person should know of the last listing: the index did not answer, or could not be updated.
        self.notice: str | None = None
        self.folders = FolderRows(root)
        self.watching = FileWatch(root)
        self.delivery = Delivery(root, index, self.folders, (_delivery_of, pickled))
        self.pages = StorePages(self)
        self._at_rest: tuple[object, Set[str]] | None = None  # a state of index and folders in which the two agreed

    def __reduce__(self) -> tuple[Any, ...]:
        return self._pickled

    def session(self, session_id: str) -> Session:
        """Return a handle whose updates reach the index."""
        return Session(self.root, session_id, self.delivery.changed)

    def check_exists(self) -> None:
        """Refuse a store that does not exist; an index outside it may list sessions before it has a folder.

        Raises: StoreNotFound.
        """
        if self.root.text in self.index.url:
            self.root.check_exists()

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
            limit: with it, the answer is a page: see :meth:`page`.
            verify: compare every row with its file (one stat a session), so that hand edits are seen. Folders that
                appeared or went are always seen.

        Raises: InvalidQuery, StoreUnusable, StoreNotFound.
        """
        if limit is not None:
            return self.page(where, sort, limit, offset, verify).rows
        self.check_exists()
        return self._sorted(tree_of(where), sort, verify)[offset:]

    def page(
        self,
        where: str | Filter | None = None,
        sort: str = "-created_at",
        limit: int = 50,
        offset: int = 0,
        verify: bool = True,
        behind: Behind | None = None,
    ) -> Page:
        """Return the rows of one page and how many fit in all; see :mod:`sessionstore.store.pages`.

        Args:
            verify: compare the rows of the page with their files; all rows where the engine has no pages.
            behind: begin behind this row, wherever it is.

        Raises: as :meth:`find`.
        """
        self.check_exists()
        tree, (path, descending) = tree_of(where), parse_sort(sort)
        if offset >= 0 and limit >= 0:
            self.notice = None
            order = PageOrder(path, descending, offset, limit, None if behind is None else behind.session_id)
            if (found := self.pages.page(tree, order, verify)) is not None:
                return found
        rows = self._sorted(tree, sort, verify)
        begin = offset if behind is None else behind.place(rows)
        return Page(rows[begin : begin + limit], len(rows), begin)

    def _sorted(self, tree: Filter | None, sort: str, verify: bool) -> list[SessionRow]:
        order, rows = sort_order(sort), self._select(tree, verify)
        return rows if order is None else order(rows)

    def _select(self, tree: Filter | None, verify: bool) -> list[SessionRow]:
        self.notice = None
        try:
            try:
                asked = self.watching.ask() if self.watching.is_on else None
                view = look(self.index)
                fresh, gone, written = self.reconcile(verify, view, asked)
                if not (fresh or gone or written):
                    found = view.find(tree, self.interrupted(view.active()))
                    if view.is_one_state():
                        return found
                overtaken = written or not view.is_one_state()
                known = [] if overtaken else view.find()
            except Corrupt:
                self.rebuild()
                fresh, gone, overtaken = [], set(), True
            if overtaken:
                known, late, away = self._overtaken(verify)
                fresh, gone = [*fresh, *late], gone | away
        except (NotApplied, OutcomeUnknown, NewerFormat, UnsafeFile) as error:  # away, not to be read, no plain file
            known, fresh, gone = [], list(self.folders.read(self.folders.names())), set()
            self.notice = f"the index does not answer, so {len(fresh)} folders were read instead: {error}"
        return self._answer(tree, known, fresh, gone)

    def _overtaken(self, verify: bool) -> tuple[list[SessionRow], list[SessionRow], set[str]]:
        """Return the rows of the index, those that must be read anew, and the sessions that are gone: checked again,
        since this listing, or other processes during it, wrote some.

        A writer that was stopped between its file and its row puts the row late: over a newer one, or after the session
        went to the trash; who deletes and was stopped drops the row of a session that was restored. Each is put right
        by the next listing, but no reader in between may see a state older than one already acknowledged.
        """
        asked = self.watching.ask()
        view = look(self.index)
        known = view.find()
        here = {row.session_id: row for row in known if row.host is None}
        on_disk = self.root.session_ids(known=here.keys())
        late = {name for name in on_disk - here.keys() if self.folders.is_session(name)}
        if verify:
            suspects = self.watching.suspects(asked, view)
            both = on_disk & here.keys()
            checked = both if suspects is None else both & suspects
            late.update(name for name in checked if self.folders.stamp_of(name) != stamp_in(here[name]))
        away = here.keys() - on_disk
        trashed, back = self._whereabouts(away, on_disk)
        gone = {name for name in away - back if name in trashed or here[name].status != MISSING_FOLDER}
        fresh = [still_known(row, here.get(row.session_id)) for row in self.folders.read(late | back)]
        return known, fresh, gone

    def _whereabouts(self, away: Set[str], on_disk: Set[str]) -> tuple[Set[str], Set[str]]:
        """Return which of the sessions that have a row and were not seen are in the trash, and which are back.

        A session moved between the two scans is in neither, so both are repeated under the store lock (0.2 s at most);
        not when certainly nothing moved in between, nor where there is no store (any more), which the lock would make.
        """

        def scan() -> tuple[Set[str], Set[str]]:
            trashed = away & trash.ids(self.root)
            return trashed, {name for name in away - trashed if os.path.lexists(self.root.folder(name))}

        found = scan() if away else (away, set[str]())
        if found[0] == away or self.root.is_unchanged(on_disk) or not files.is_folder(self.root.private):
            return found
        try:
            with self.root.locks.store(MOVE_LOCK_WAIT_S):
                return scan()
        except NotApplied:
            return scan()

    def _answer(
        self, tree: Filter | None, known: list[SessionRow], fresh: list[SessionRow], gone: set[str]
    ) -> list[SessionRow]:
        """Answer without the index, which is away or cannot be written (a read-only disk): right all the same."""
        rows = {row.session_id: row for row in known if row.host is None and row.session_id not in gone}
        rows.update((row.session_id, row) for row in fresh)
        why = self.interrupted(row for row in rows.values() if row.owner is not None)
        found = [as_interrupted(row, why[name]) if name in why else row for name, row in rows.items()]
        found += [row for row in known if row.host is not None]
        return sorted(select(found, tree), key=lambda row: (row.created_at, row.session_id))

    def interrupted(self, rows: Iterable[SessionRow]) -> dict[str, str]:
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
            found = stream_source.status(f"{self.root.text}/{session_id}/{CLOCK_STREAM}.jsonl")
        except OSError:
            return None
        return None if found is None else found.st_mtime

    # ------------------------------------------------------------ folders and index

    def reconcile(self, verify: bool = True, view: View | None = None, asked: Asked | None = None) -> Difference:
        """Bring the index up to date with the folders; return what it could not take.

        Args:
            view: what the index holds; by default it is asked now.
            asked: what was suspected before that; without it, all files are compared.

        Raises: Corrupt, IndexUnavailable: of the index; StoreUnusable: the folder cannot be read.
        """
        view = look(self.index) if view is None else view
        suspects = None if verify else set[str]()
        if verify and asked is not None:
            suspects = self.watching.suspects(asked, view)
        if suspects is not None and not suspects and not self.delivery.pending and self._rests(view.version):
            return Difference([], set())
        stamps = view.stamps()
        on_disk, stale, away = self._compare(stamps, verify, suspects)
        if verify and asked is not None:
            self.watching.compared(asked, view, stale)
        elif verify and len(stamps) >= MIN_SESSIONS:
            self.watching.count_pass()
        stale |= self.delivery.pending & on_disk  # never older than an update of this very process
        if not stale and not away:
            self._at_rest = (view.version, on_disk) if len(on_disk) == len(stamps) else None
            return Difference([], set())
        trashed, back = self._whereabouts(away, on_disk)
        away -= back
        fresh = list(self.folders.read(stale | back))
        emptied = (stale & stamps.keys()) - {row.session_id for row in fresh}
        if emptied:  # by rm -rf, or gone since the scan
            trashed = trashed | (emptied & {entry.session_id for entry in trash.entries(self.root)})
            away = away | emptied
        if any(row.status == UNREADABLE for row in fresh):
            before = {row.session_id: row for row in view.find()}
            fresh = [still_known(row, before.get(row.session_id)) for row in fresh]
        untold = [row for row in fresh if stamp_in(row) == UNREAD]
        gone = set(trashed)
        if away - gone:
            rows = {row.session_id: row for row in view.find() if row.host is None}
            present = (on_disk | back) - away
            here = {row.uuid for row in (*rows.values(), *fresh) if row.session_id in present and row.uuid}
            gone |= {name for name in away - gone if name in rows and rows[name].uuid in here}  # it was renamed
            if not trashed and _is_foreign(rows, fresh, present, stale):
                gone |= away
            lost = [rows[name] for name in away - gone if name in rows and rows[name].status != MISSING_FOLDER]
            fresh += map(as_missing, lost)
        if not fresh and not gone:
            return Difference([], set())
        fresh.sort(key=lambda row: (row.created_at, row.session_id))  # an index made anew is the same, byte for byte
        try:
            filesystem.refuse_unsafe(self.root.path, self.root.force)  # even the index is a write
            self.delivery.put([row for row in fresh if stamp_in(row) != UNREAD], exact=True)
            self.index.remove(gone)
        except (NotApplied, OutcomeUnknown) as error:
            self.notice = f"the index was not updated for {len(fresh) + len(gone)} sessions: {error}"
            return Difference(fresh, gone)
        return Difference(untold, set(), written=True)

    def _compare(
        self, stamps: Mapping[str, RowStamp], verify: bool, suspects: Set[str] | None = None
    ) -> tuple[Set[str], set[str], set[str]]:
        """Return the folders that may be sessions, those that must be read, and the rows that have no folder: it is
        gone now, or was called missing before. At rest no further set is made.

        Args:
            suspects: only the files of these are compared.
        """
        known, here, stale = stamps.keys(), stamps, set[str]()
        on_disk = self.root.session_ids(known)
        away = set[str]()
        if on_disk is not known and on_disk != known:
            stale.update(name for name in on_disk - known if self.folders.is_session(name))
            here, away = {name: row for name, row in stamps.items() if name in on_disk}, set(known - on_disk)
        if verify and suspects is not None:
            stale.update(
                name for name in suspects if name in here and self.folders.stamp_of(name) != stamp_in(here[name])
            )
        elif verify:
            stale.update(self.folders.edited(zip(here, map(SIZE_AND_TIME, here.values()), strict=True)))
        else:
            stale.update(self.folders.found_again(here.items()))
        return on_disk, stale, away

    def _rests(self, version: object) -> bool:
        """Whether neither index nor folders have changed since a listing found that they agree."""
        if self._at_rest is None or self._at_rest[0] != version:
            return False
        before = self._at_rest[1]
        now = self.root.session_ids(before)
        return now is before or now == before  # the same set is not gone through

    def rebuild(self) -> int:
        """Make the index anew from the folders; return how many there are. Twice gives the same bytes.

        Raises: StoreUnusable, LockTimeout, IndexUnavailable: the old index is still there.
        """
        return self.fill(self.index)

    def fill(self, index: SessionIndex) -> int:
        """Make any index hold what the folders hold; return how many there are. Raises: as :meth:`rebuild`."""
        self.root.prepare()
        with gc_paused(), self.root.locks.store():
            count, moved_on = self._fill_by_line(index) if isinstance(index, Lined) else self._fill_by_row(index)
        if moved_on and index is self.index:
            self.reconcile()
        return count

    def _fill_by_row(self, index: SessionIndex) -> tuple[int, bool]:
        """Return how many sessions there are, and whether anything was written while the folders were read: its row
        may have been covered by our older one. The index need not be asked: it held these rows, and later ones are
        newer."""
        rows = list(self.folders.read(self.folders.names()))
        index.replace_all(rows)
        _, stale, away = self._compare({row.session_id: row for row in rows}, verify=True)
        return len(rows), bool(stale or away)

    def _fill_by_line(self, index: Lined) -> tuple[int, bool]:
        """As :meth:`_fill_by_row`; who writes a session puts a row, so the files are not looked at once more."""
        since, at_rest = index.version(), self.root.state_at_rest()
        names = self.root.session_ids()
        lines = read_lines(self.folders, sorted(names), index.line_of)
        same = at_rest is not None and at_rest == self.root.state()  # asked now: the index changes the state, too
        alone = index.replace_lines(lines, since)
        return len(lines), not alone or not (same or self.root.session_ids(names) == names)


def tree_of(where: str | Filter | None) -> Filter | None:
    """Return a filter that was given as text or as a tree. Raises: InvalidQuery."""
    return parse_query(where, FILTER_FIELDS, FILTER_ALIASES) if isinstance(where, str) else where


def _delivery_of(make: Callable[..., Catalog], given: tuple[Any, ...]) -> Delivery:
    return make(*given).delivery


def _is_foreign(
    rows: Mapping[str, SessionRow], fresh: Iterable[SessionRow], on_disk: Set[str], stale: Set[str]
) -> bool:
    """Whether an index file was copied in from another store: sessions are here, and it knows none of them."""
    known = rows.keys() & on_disk
    same = {row.session_id for row in fresh if row.session_id in known and row.uuid == rows[row.session_id].uuid}
    return bool(on_disk) and not same and known <= stale
