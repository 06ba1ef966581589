"""Python's garbage collector, which costs half of the time while a hundred thousand rows are made: none is in a cycle.

Not here: what is made meanwhile (catalog, index).
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def resting() -> Iterator[None]:
    """Let nobody look for garbage inside; what was made there counts as old afterwards, and is not gone through."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            if not gc.get_freeze_count():  # there and back again, unless somebody else has frozen what is theirs
                gc.freeze()
                gc.unfreeze()
            gc.enable()
