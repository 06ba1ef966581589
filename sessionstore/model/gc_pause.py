"""Pause Python's cyclic garbage collector while rows are decoded: it takes half of the time, and JSON has no cycles.

New rows are moved to the oldest generation at most once per full collection, since every move postpones the next one.
Not here: the rows (index.journal, store.catalog), JSON (json_text).
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator

_FREEZE_FROM = 20_000  # objects; the collector scans fewer within a millisecond
_waking: set[object] = set()  # the open blocks that will enable it again
_made_old_at = -1  # the number of full collections at the last move to the oldest generation


@contextlib.contextmanager
def gc_paused() -> Iterator[None]:
    """Disable the collector in the block; move many new objects to the oldest generation afterwards."""
    collecting, mine = gc.isenabled(), object()
    try:
        if collecting:
            _waking.add(mine)
        gc.disable()
        yield
        if collecting and gc.get_count()[0] > _FREEZE_FROM:
            _make_old()
    finally:
        if collecting:
            gc.enable()
            _waking.discard(mine)


def _make_old() -> None:
    """Move all objects to the oldest generation, at most once per full collection."""
    global _made_old_at
    times = gc.get_stats()[-1]["collections"]
    if times != _made_old_at and not gc.get_freeze_count():  # the program uses freeze itself
        _made_old_at = times
        gc.freeze()
        gc.unfreeze()


def _wake() -> None:
    """Enable the collector in a forked child: the threads that paused it do not exist there."""
    if _waking:
        _waking.clear()
        gc.enable()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_wake)
