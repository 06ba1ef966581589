"""Results of a sweep at rest, kept whole: read in a second for 100,000 points, as long as the index has not changed.

Only of the journal index, whose state is that of one file; derived, and may be deleted.
Not here: how results are made (results).
"""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec

from sessionstore.disk import files
from sessionstore.errors import SessionStoreError
from sessionstore.model.gc_pause import gc_paused
from sessionstore.store import SessionStore
from sessionstore.sweeps.folder import SweepFolder
from sessionstore.sweeps.results import ResultRow, Results

#: Smaller sweeps are read as quickly without.
LEAST_ROWS = 1000
_NAME = "results.json"


class _Kept(msgspec.Struct):
    state: list[Any]
    rows: list[ResultRow]


_decode = msgspec.json.Decoder(_Kept).decode


def _state(store: SessionStore, folder: SweepFolder) -> list[Any] | None:
    """Return the state of index, folders and definition; None where it cannot be compared."""
    if not store.index.url.startswith("journal:") or folder.is_held():
        return None
    version = store.index.version()
    here = files.status(store.root.text, follow=True)
    mine = files.status(folder.path / "sweep.json")
    if not isinstance(version, tuple) or here is None or mine is None:
        return None
    return [*version, here.st_mtime_ns, mine.st_mtime_ns]


def read(store: SessionStore, folder: SweepFolder) -> Results | None:
    """Return the results that are kept, or None when something has changed since."""
    try:
        data = (folder.path / _NAME).read_bytes()
    except OSError:
        return None
    state = _state(store, folder)
    with gc_paused(), contextlib.suppress(msgspec.MsgspecError):
        kept = _decode(data)
        if state is not None and kept.state == state:
            return Results(folder.definition(), kept.rows)
    return None


def kept(store: SessionStore, folder: SweepFolder, found: Results) -> Results:
    """Keep results for the next reader when the sweep is large and at rest; return them."""
    if len(found.rows) >= LEAST_ROWS and (state := _state(store, folder)) is not None:
        with contextlib.suppress(SessionStoreError, OSError):  # a store that is only read
            files.put(folder.path / _NAME, msgspec.json.encode(_Kept(state, found.rows)), sync=False)
    return found
