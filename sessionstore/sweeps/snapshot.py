"""Results and counts of a sweep at rest, kept whole: read at once, as long as the index has not changed.

Only of the journal index, whose state is that of one file, and only while no session of the sweep runs: a process that
dies changes no file. Derived, and may be deleted.
Not here: how results are made (results).
"""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

import msgspec

from sessionstore.disk import files
from sessionstore.errors import SessionStoreError
from sessionstore.model.field_rules import FINAL_STATUSES
from sessionstore.model.gc_pause import gc_paused
from sessionstore.store import SessionStore
from sessionstore.sweeps.folder import SweepFolder
from sessionstore.sweeps.results import WAITING, ResultRow, Results

#: Smaller sweeps are read as quickly without.
LEAST_ROWS = 1000
_RESULTS, _COUNTS = "results.json", "counts.json"
_AT_REST = {*FINAL_STATUSES, WAITING}


class _Kept(msgspec.Struct):
    state: list[Any]
    rows: list[ResultRow]


class _KeptCounts(msgspec.Struct):
    state: list[Any]
    counts: dict[str, int]


_decode = msgspec.json.Decoder(_Kept).decode
_decode_counts = msgspec.json.Decoder(_KeptCounts).decode


def state_of(store: SessionStore, folder: SweepFolder) -> list[Any] | None:
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
    with gc_paused(), contextlib.suppress(OSError, msgspec.MsgspecError):
        found = _decode((folder.path / _RESULTS).read_bytes())
        if found.state == state_of(store, folder):
            return Results(folder.definition(), found.rows)
    return None


def read_counts(store: SessionStore, folder: SweepFolder) -> dict[str, int] | None:
    """Return how many points are in which state as it is kept, or None when something has changed since."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        found = _decode_counts((folder.path / _COUNTS).read_bytes())
        if found.state == state_of(store, folder):
            return found.counts
    return None


def keep(store: SessionStore, folder: SweepFolder, state: list[Any] | None, found: Results) -> None:
    """Keep results, and their counts, for the next reader when the sweep is large and at rest.

    Args:
        state: of :func:`state_of` before the results were read: what changed meanwhile is not kept.
    """
    counts = dict(Counter(row.status for row in found.rows))
    if _is_at_rest(store, folder, state, counts):
        _put(folder, _RESULTS, _Kept(state or [], found.rows))
        _put(folder, _COUNTS, _KeptCounts(state or [], counts))


def keep_counts(store: SessionStore, folder: SweepFolder, state: list[Any] | None, counts: dict[str, int]) -> None:
    """Keep how many points are in which state, as :func:`keep`."""
    if _is_at_rest(store, folder, state, counts):
        _put(folder, _COUNTS, _KeptCounts(state or [], counts))


def _is_at_rest(store: SessionStore, folder: SweepFolder, state: list[Any] | None, counts: dict[str, int]) -> bool:
    if sum(counts.values()) < LEAST_ROWS or not counts.keys() <= _AT_REST:
        return False
    return state is not None and state == state_of(store, folder)


def _put(folder: SweepFolder, name: str, found: _Kept | _KeptCounts) -> None:
    with contextlib.suppress(SessionStoreError, OSError):  # a store that is only read
        files.put(folder.path / name, msgspec.json.encode(found), sync=False)
