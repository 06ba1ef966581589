"""Merging, packing, push and pull, as methods of the store.

Not here: how (exchange).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sessionstore import late_imports

if TYPE_CHECKING:
    from sessionstore.late_imports import MergeReport, PackReport
    from sessionstore.query import Filter

Progress = Callable[[int], None]


class Moving:
    """How sessions come from another store and go to one."""

    def merge(
        self,
        source: str | Path | Iterable[str | Path],
        where: str | Filter | None = None,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> MergeReport:
        """Take the sessions of a store, session folder, bundle or URL into this store; one undo takes them back.

        Args:
            source: one of these or several; none of them is written to.
            where: take only sessions that match this filter.
            dry_run: report what would happen, and write nothing.
            progress: called with each number of bytes that were read; its method ``expect``, if any, with their total.

        Raises:
            SessionNotFound, InvalidQuery, Corrupt, UnsafeFile: nothing was taken.
            StoreUnusable, LockTimeout, OutcomeUnknown: what was taken stays; run it again.
        """
        return late_imports.merge()(self, source, where, dry_run, progress)

    def pack(
        self,
        path: str | Path,
        *keys: str,
        where: str | Filter | None = None,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> PackReport:
        """Write sessions (all when neither named nor filtered) to a new bundle: ``.zip``, ``.tar.zst`` or a folder.

        With ``dry_run`` the report says what would be packed, and nothing is written.

        Raises:
            SessionNotFound: no session matches. Conflict: the file exists. InvalidName: another suffix.
            StoreUnusable: nothing is left of the bundle.
        """
        return late_imports.pack_sessions()(self, path, keys, where, dry_run, progress)

    def push(
        self, url: str, where: str | Filter | None = None, dry_run: bool = False, progress: Progress | None = None
    ) -> MergeReport:
        """Send to a store behind a URL what it lacks of the sessions here; nothing is deleted there.

        Raises: RemoteUnavailable, RemoteRefused: run it again; ReadOnlyStore: the place is a ZIP.
        """
        return late_imports.push()(self, url, where, dry_run, progress)

    def pull(
        self, url: str, where: str | Filter | None = None, dry_run: bool = False, progress: Progress | None = None
    ) -> MergeReport:
        """Take from a store behind a URL what this one lacks: a merge, which one undo takes back.

        Raises: StoreNotFound, RemoteUnavailable, RemoteRefused: run it again; as :meth:`merge`.
        """
        return self.merge(url, where, dry_run, progress)
