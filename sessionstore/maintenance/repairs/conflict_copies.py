"""Accepting a conflict copy of a sync program, or the file beside it; the bytes of the other go to quarantine first.

Not here: knowing copies by their names (model.foreign_names), what they differ in (checks.foreign_files).
"""

from __future__ import annotations

from typing import Literal

from sessionstore.disk import files
from sessionstore.errors import Conflict
from sessionstore.layout import DOCUMENT
from sessionstore.maintenance.findings import Finding
from sessionstore.session.documents import tables_of
from sessionstore.session.sealing import file_to_append
from sessionstore.store import SessionStore

Side = Literal["ours", "theirs"]


def take(store: SessionStore, finding: Finding, side: Side) -> str:
    """Keep the file (ours) or put the copy into its place (theirs); return what was done.

    Raises: Corrupt: the copy of a record does not parse; Conflict: one of the two is gone; LockTimeout, StoreUnusable:
        nothing changed.
    """
    folder = store.root.folder(str(finding.session_id))
    original, copy = folder / finding.data["original"], folder / finding.data["copy"]
    try:
        theirs = files.read(copy)[0]
    except FileNotFoundError as error:
        raise Conflict(f"{copy.name} is gone") from error
    if side == "theirs" and original.name == DOCUMENT:
        tables_of(theirs, str(copy))
        with store.root.locks.session(folder.name):
            store.root.quarantine(original, 0, files.read(original)[0])
            files.put(original, theirs)
    elif side == "theirs":
        stream = file_to_append(original)  # a sealed one is made plain first, or it would stay beside, and differ
        stream.lock()
        try:
            store.root.quarantine(original, 0, files.read(original)[0])
            files.put(original, theirs)
        finally:
            stream.unlock()
            stream.close()
    else:
        store.root.quarantine(copy, 0, theirs)
    files.remove(copy)
    return f"{original.name} is {'the copy' if side == 'theirs' else 'kept'}; the other is in quarantine"
