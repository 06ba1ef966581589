"""What a run does on a full disk: each refused write is tried again for at most 30 s, then its error is raised.

A write is tried again only when nothing of it was written (``StoreUnusable`` with ENOSPC or EDQUOT), so nothing is
stored twice. The streams and the record of a run share the 30 s, from the first refused write on: once they are over,
each further write is tried once and raises at once, until what was refused is stored.
Refused: waiting for other errors, and after an fsync that failed (``OutcomeUnknown``).
Not here: taking back half a write (disk.append_file), the streams (session.run_clock), the record (session.recorder).
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sessionstore.errors import StoreUnusable

#: How long the writes of a run wait for room on the disk, in seconds.
FULL_DISK_WAIT_S = 30.0
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.05, 1.0
_FULL = (errno.ENOSPC, errno.EDQUOT)
_logger = logging.getLogger("sessionstore")
Result = TypeVar("Result")


def is_full(error: StoreUnusable) -> bool:
    """Whether a write was refused because the disk or the quota is used up."""
    return error.errno in _FULL


class FullDiskWait:
    """The wait of one run; safe for threads."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.refused: dict[str, float] = {}  # what was refused last, and since when, by the monotonic clock

    def problem(self) -> str | None:
        """Return what the run waits for; None while nothing was refused. Reads without a lock."""
        refused = list(self.refused.values())
        if not refused:
            return None
        waited_s = time.monotonic() - min(refused)
        since = f"writes are refused since {waited_s:.0f} s; a run waits {FULL_DISK_WAIT_S:g} s"
        return f"the disk is full (No space left on device): {since}"

    def call(self, target: str, write: Callable[[], Result]) -> Result:
        """Return what ``write`` to a stream or the record returns, tried again while the disk is full.

        Raises: as ``write``.
        """
        try:
            result = write()
        except StoreUnusable as error:
            return self.again(target, error, write)
        self.stored(target)
        return result

    def again(self, target: str, error: StoreUnusable, write: Callable[[], Result]) -> Result:
        """Try a refused write again until there is room or the time is over. Raises: as ``write``."""
        if not is_full(error):
            raise error
        if not self.refused:
            _logger.warning("%s: the disk is full; its writes wait for at most %g s", self.name, FULL_DISK_WAIT_S)
        self.refused.setdefault(target, time.monotonic())
        deadline_s, pause_s = min(list(self.refused.values())) + FULL_DISK_WAIT_S, _FIRST_PAUSE_S
        while is_full(error) and (left_s := deadline_s - time.monotonic()) > 0:
            time.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, _LAST_PAUSE_S)
            try:
                result = write()
            except StoreUnusable as refused_again:
                error = refused_again
            else:
                self.stored(target)
                return result
        raise error

    def stored(self, target: str) -> None:
        """Note that a write succeeded: the next full disk is waited for anew."""
        if self.refused.pop(target, None) is not None and not self.refused:
            _logger.warning("%s: the disk has room again", self.name)
