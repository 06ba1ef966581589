"""Python's garbage collector, which costs half of the time while a hundred thousand rows are made: none is in a cycle.

Not here: what is made meanwhile (catalog, index).
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def resting() -> Iterator[None]:
    """Let nobody look for garbage inside; afterwards it is as it was."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
