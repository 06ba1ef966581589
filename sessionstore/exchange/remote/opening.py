"""The sessions of a remote store as the source of a merge.

Not here: what of them is taken (exchange.merge), sources on this machine (exchange.sources).
"""

from __future__ import annotations

from sessionstore.exchange.remote.store import open_place
from sessionstore.exchange.remote.tree import openers
from sessionstore.exchange.sources import Source
from sessionstore.exchange.trees import FolderTree, Tree
from sessionstore.store import SessionStore


def remote_source(store: SessionStore, url: str) -> Source:
    """Return the sessions behind a URL; of those that this store holds, little is transferred to compare them.

    Raises: StoreNotFound, RemoteUnavailable, RemoteRefused.
    """
    place = open_place(url)
    rows = store.find() if store.root.private.is_dir() else []
    known = {row.uuid: row.session_id for row in rows if not row.host}

    def ours(uuid: str) -> Tree | None:
        return FolderTree(store.root.folder(known[uuid])) if uuid in known else None

    return Source(place.label, openers(place, ours))
