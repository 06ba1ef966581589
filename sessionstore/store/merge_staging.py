"""What a merge holds in staging: sessions that have no name yet, and unpacked bundles; one merge at a time.

Merges into one store follow each other by a lock, so that what is here without that lock belongs to a merge that
died: the next merge removes it at once, and so does any creation once it is old.
Not here: merging (exchange.merge), staging of creations (store.trash).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sessionstore.disk import files
from sessionstore.disk.locks import Locks
from sessionstore.errors import LockTimeout, StoreUnusable
from sessionstore.layout import StoreRoot
from sessionstore.model.instants import new_uuid

SESSION, UNPACKED = "merge-", "unpacked-"
#: How long a merge waits for another merge into the same store.
WAIT_S = 3600.0


@contextlib.contextmanager
def alone(root: StoreRoot, wait_s: float = WAIT_S) -> Iterator[None]:
    """Be the only merge into this store, and remove what a merge that died left in staging.

    Raises: LockTimeout: another merge runs; StoreUnusable.
    """
    root.prepare()
    with Locks(root.private / "locks" / "merge", force=root.force).store(wait_s):
        for entry in files.entries(root.staging):
            if is_of_merge(entry.name):
                files.remove_tree(entry.path)
        yield


def is_of_merge(name: str) -> bool:
    """Whether a name in staging is that of a merge."""
    return name.startswith((SESSION, UNPACKED))


def sweep(root: StoreRoot) -> None:
    """Remove what a merge that died left, unless another merge runs now."""
    with contextlib.suppress(LockTimeout, StoreUnusable), alone(root, 0.0):
        pass


def new_folder(root: StoreRoot, prefix: str) -> Path:
    """Make an empty folder in staging. Raises: StoreUnusable."""
    folder = root.staging / f"{prefix}{new_uuid()}"
    files.make_dir(folder)
    return folder
