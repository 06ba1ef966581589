"""Pages of a store: the rows that are shown, compared with their files; the others are not looked at.

Which sessions there are is always right: as long as the root folder has the time that it had when folders and index
agreed, and that time is older than a tick of the clock, no folder came or went; else the names are compared. What is
shown is compared with its file. A record that was edited by hand and is not shown yet stays where its row says, until
all files are compared: by a listing without a limit, ``list --verify``, the doctor, or the server in the background.
Engines without pages, stores of few sessions, and questions that only all rows can answer take the way of all rows.
Not here: listings of all rows (store.catalog), how an engine finds a page (index).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Set
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from sessionstore.disk import files, filesystem
from sessionstore.errors import NotApplied, OutcomeUnknown, SessionStoreError, Unreadable
from sessionstore.index import Head, Page, Paged, PageOrder, PagesDamaged, PageView
from sessionstore.layout import SETTLED_S, StoreRoot
from sessionstore.query import Filter
from sessionstore.store.folder_rows import ABSENT, MISSING_FOLDER, UNREADABLE

if TYPE_CHECKING:
    from sessionstore.store.catalog import Catalog
    from sessionstore.store.watching import Asked

_ROUNDS = 5  # names, files, the rows of a page; and other processes write
_LATEST = datetime.max.replace(tzinfo=UTC).timestamp()
RootState = tuple[int, int, int, int]
_Answer = TypeVar("_Answer")


class Agreement(msgspec.Struct, frozen=True):
    """A state of the root folder and the names in the index, in which the two agreed; and when files were compared."""

    root: RootState | None = None
    names: str = ""
    compared_at: float = 0.0


class Agreements:
    """The last agreement, kept in a file so that the next process need not compare the names.

    It is derived: lost or damaged, the names are compared once more. It is written only where it can be.
    """

    def __init__(self, root: StoreRoot) -> None:
        self._root = root
        self._path = root.private / "columns" / "agreement.json"
        self._known: Agreement | None = None

    def last(self) -> Agreement:
        """Return the last one that this process knows of, or that a process before it wrote down."""
        if self._known is None:
            try:
                found = msgspec.json.decode(files.read(self._path)[0], type=Agreement)
                self._known = found if 0 <= found.compared_at < _LATEST else Agreement()
            except (OSError, SessionStoreError, msgspec.MsgspecError, UnicodeDecodeError):
                self._known = Agreement()
        return self._known

    def note(self, **changes: Any) -> None:
        """Remember an agreement, and write it down where that is allowed."""
        before = self.last()
        self._known = msgspec.structs.replace(before, **changes)
        if self._known != before and filesystem.is_ours(self._path.parent):
            with contextlib.suppress(NotApplied, OutcomeUnknown, FileNotFoundError):  # the next process compares names
                files.put(self._path, msgspec.json.encode(self._known), sync=False)

    def is_trusted(self, state: RootState | None) -> bool:
        """Whether any later change certainly gives the folder another time: it is local, and rested for a while."""
        if state is None or not filesystem.is_local(self._root.path):
            return False
        return time.time() - max(state[2:]) / 1e9 > SETTLED_S


class _AllRows(Exception):
    """Only all rows can answer."""


class _Again(Exception):
    """The index was changed: ask a new view."""


class StorePages:
    """Finds pages for one catalog; each method returns None where all rows are to be asked."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog, self._root = catalog, catalog.root
        self._agreements = Agreements(catalog.root)

    def page(self, tree: Filter | None, order: PageOrder, verify: bool) -> Page | None:
        """Return a page.

        Args:
            verify: compare its rows with their files.
        """
        began = time.time()
        return self._answer(lambda view: self._shown(view, tree, order, verify, began))

    def heads(self) -> list[Head] | None:
        """Return the heads of all sessions, oldest first; not compared with their files."""
        return self._answer(lambda view: view.heads())

    def seen(self, ask: Callable[[PageView], _Answer]) -> _Answer | None:
        """Return what a view says that has a row for each folder, and of each file that was noted as written."""
        return self._answer(ask)

    def agree(self) -> bool:
        """Whether the index has a row for each folder, brought up to date where it had not; False: unknown."""
        return self._answer(lambda view: True) is True

    def compare_all(self) -> float | None:
        """Compare every file with its row, and bring the index up to date; return when that began (since 1970, s)."""
        began = time.time()
        if self._compare_files() is None:
            return None
        self._agreements.note(compared_at=began)
        return began

    def _answer(self, ask: Callable[[PageView], _Answer]) -> _Answer | None:
        index = self._catalog.index
        if not isinstance(index, Paged) or self._catalog.delivery.pending:
            return None
        try:
            for _ in range(_ROUNDS):
                asked = self._catalog.watching.ask()
                if (view := index.page_view()) is None:
                    return None
                try:
                    self._check_names(view)
                    self._check_files(view, asked)
                    return ask(view)
                except PagesDamaged:
                    view.discard()
                except _Again:  # we changed the index, or another process did
                    continue
        except (_AllRows, NotApplied, OutcomeUnknown, Unreadable):
            return None  # all rows say what is wrong
        return None

    def _check_names(self, view: PageView) -> None:
        """Make sure that each folder has a row, and each row a folder. Raises: _Again, _AllRows, as ``reconcile``."""
        state, names_key = self._root.state(), view.names_key()
        last = self._agreements.last()
        if (state, names_key) == (last.root, last.names):
            return
        trusted = self._agreements.is_trusted(state)  # before they are compared
        if view.has_status(MISSING_FOLDER) or not self._same_names(view.names()):
            self._bring_up_to_date(view, verify=False)
        if trusted:
            self._agreements.note(root=state, names=names_key)

    def _same_names(self, known: Set[str]) -> bool:
        on_disk = self._root.session_ids(known)
        return on_disk is known or on_disk == known

    def _check_files(self, view: PageView, asked: Asked) -> None:
        """Bring the rows up to date whose files were noted as written, where the files are watched.

        Raises: _Again, _AllRows, as ``reconcile``.
        """
        watching = self._catalog.watching
        suspects = watching.suspects(asked, view)
        if not suspects:
            return
        stale, new = set[str](), False
        for name in suspects:
            known, now = view.stamp_of(name), self._catalog.folders.stamp_of(name)
            if known is None:
                new = new or (now != ABSENT)
            elif known != now:
                stale.add(name)
        watching.compared(asked, view, stale)
        if new:
            self._bring_up_to_date(view, verify=False)
        if stale:
            self._read_again(sorted(stale))
            raise _Again

    def _compare_files(self) -> bool | None:
        """Compare every file with its row; None where all rows are to be asked."""
        watching = self._catalog.watching
        asked, once = watching.ask(), False

        def compared(view: PageView) -> bool:
            nonlocal once
            if not once or watching.suspects(asked, view) is None:
                stale, once = set(self._catalog.folders.edited(view.states())), True
                watching.compared(asked, view, stale)
                if stale:
                    self._bring_up_to_date(view, verify=True, asked=watching.ask() if watching.is_on else None)
            return True

        return self._answer(compared)

    def _bring_up_to_date(self, view: PageView, verify: bool, asked: Asked | None = None) -> None:
        difference = self._catalog.reconcile(verify, view, asked)
        if difference.fresh or difference.gone:  # the index cannot be written: all rows are right all the same
            raise _AllRows
        if difference.written:
            raise _Again

    def _shown(self, view: PageView, tree: Filter | None, order: PageOrder, verify: bool, began: float) -> Page:
        found = view.page(tree, order, self._catalog.interrupted(view.active()))
        if found is None:
            raise _AllRows
        if verify and (moved := self._catalog.folders.moved_on(found.rows)):
            self._read_again(moved)
            raise _Again
        watched = self._catalog.watching.is_verified(view)
        return found._replace(compared_at=began if watched else self._agreements.last().compared_at)

    def _read_again(self, session_ids: list[str]) -> None:
        """Put the rows of records that were edited. Raises: _AllRows: one is gone, or cannot be read."""
        rows = list(self._catalog.folders.read(session_ids))
        if len(rows) < len(session_ids) or any(row.status == UNREADABLE for row in rows):
            raise _AllRows
        filesystem.refuse_unsafe(self._root.path, self._root.force)
        self._catalog.delivery.put(rows, exact=True)
