"""Python's garbage collector, which costs half of the time while a hundred thousand rows are made: none is in a cycle.

Whoever lists again and again must not keep it from its work: what is old is gone through only now and then, and what
is made old by hand puts that off. So that is done once between two times that it went through everything.
Not here: what is made meanwhile (catalog, index).
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator

_MANY = 20_000  # objects: to go through fewer takes a millisecond
_waking: set[object] = set()  # those inside who will wake it
_made_old_at = -1  # how often it had gone through everything when what was made last became old


@contextlib.contextmanager
def resting() -> Iterator[None]:
    """Let nobody look for garbage inside; when much was made there, it counts as old afterwards, and is not gone
    through at once."""
    collecting, mine = gc.isenabled(), object()
    try:
        if collecting:
            _waking.add(mine)
        gc.disable()
        yield
        if collecting and gc.get_count()[0] > _MANY:
            _make_old()
    finally:
        if collecting:
            gc.enable()
            _waking.discard(mine)


def _make_old() -> None:
    """Move all that lives to what is old, garbage too, unless it was not looked through since the last time."""
    global _made_old_at
    times = gc.get_stats()[-1]["collections"]
    if times != _made_old_at and not gc.get_freeze_count():  # somebody else has frozen what is theirs
        _made_old_at = times
        gc.freeze()
        gc.unfreeze()


def _wake() -> None:
    """Do in a child process what threads would have done that are not in it."""
    if _waking:
        _waking.clear()
        gc.enable()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_wake)
