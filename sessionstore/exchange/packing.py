"""Packing sessions of a store into a bundle, with a report of what was left out.

Not here: the bundle itself (exchange.bundle).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sessionstore.errors import SessionNotFound
from sessionstore.exchange.bundle import new_place, write_bundle
from sessionstore.exchange.sources import Progress, Total
from sessionstore.exchange.trees import FolderTree
from sessionstore.exchange.verify import unportable_names
from sessionstore.query import Filter
from sessionstore.store import SessionStore
from sessionstore.store.folder_rows import MISSING_FOLDER


@dataclass(slots=True)
class PackReport:
    """What a bundle holds, or would hold.

    Attributes:
        bytes: of the files of the sessions.
        left_out: links, devices and names that would leave their folder, each with the reason.
        not_portable: names that are packed, and that some operating system cannot store; the bundle's own too.
    """

    path: str
    sessions: list[str] = field(default_factory=list)
    bytes: int = 0
    left_out: list[str] = field(default_factory=list)
    not_portable: list[str] = field(default_factory=list)
    dry_run: bool = False

    @property
    def clean(self) -> bool:
        """Whether nothing was left out."""
        return not self.left_out

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for ``--json``."""
        return asdict(self)


def pack_sessions(
    store: SessionStore,
    path: str | Path,
    keys: Iterable[str] = (),
    where: str | Filter | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> PackReport:
    """Write sessions to a new bundle: those named, those that match, or all; with ``dry_run`` write nothing.

    Raises:
        SessionNotFound: there is none of this name, or none that matches.
        Conflict: the file or folder exists; InvalidName: another suffix; StoreUnusable: nothing is left of it.
    """
    trees = _trees(store, list(keys), where)
    if not trees:
        raise SessionNotFound(f"no session of {store.root.path} matches")
    size = sum(sum(tree.sizes.values()) for tree in trees)
    place = new_place(path)
    if not dry_run:
        Total(progress).expect(size)
        write_bundle(list(trees), place, progress)
    left_out = [f"{tree.name}/{file}: {reason}" for tree in trees for file, reason in tree.unsafe.items()]
    packed = [f"{tree.name}/{file}" for tree in trees for file in tree.sizes]
    not_portable = unportable_names([Path(path).name, *packed])
    return PackReport(str(path), [tree.name for tree in trees], size, left_out, not_portable, dry_run)


def _trees(store: SessionStore, keys: list[str], where: str | Filter | None) -> list[FolderTree]:
    named = {store.get(key).session_id for key in keys}
    rows = store.find(where, sort="created_at") if where is not None or not keys else []
    found = {row.session_id for row in rows if row.host is None and row.status != MISSING_FOLDER}
    wanted = named & found if keys and where is not None else named | found
    return [FolderTree(store.root.folder(session_id)) for session_id in sorted(wanted)]
