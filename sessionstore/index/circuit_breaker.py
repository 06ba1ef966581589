"""A circuit breaker: after a failure, calls fail at once for a while instead of each waiting for the engine again.

Not here: how long a single call may wait (the engines).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from sessionstore.errors import IndexUnavailable


class CircuitBreaker:
    """Lets calls through until one raises IndexUnavailable; then none for ``rest_s`` seconds, and the next one tries.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, rest_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rest_s = rest_s
        self._clock = clock
        self._failed_at: float | None = None
        self._why = ""

    @contextlib.contextmanager
    def guard(self) -> Iterator[Callable[[], None]]:
        """Run a call; yield a check that raises as soon as another call has failed since this one began.

        A call that queued behind the one that failed checks before it waits for the engine itself.

        Raises: IndexUnavailable: what the call raised, or at once what the last one did.
        """
        failed_at = self._failed_at
        if failed_at is not None:
            age_s = self._clock() - failed_at
            if age_s < self._rest_s:
                left_s = self._rest_s - age_s
                raise IndexUnavailable(f"{self._why} ({age_s:.1f} s ago; asked again in {left_s:.1f} s)")
            self._failed_at = self._clock()  # this call tries; the others keep failing at once
        begun_with = self._failed_at

        def check() -> None:
            if self._failed_at is not None and self._failed_at != begun_with:
                raise IndexUnavailable(self._why)

        try:
            yield check
        except IndexUnavailable as error:
            self._failed_at, self._why = self._clock(), str(error)
            raise
        except BaseException:
            self._failed_at = failed_at
            raise
        self._failed_at = None

    def reset(self) -> None:
        """Let the next call through at once."""
        self._failed_at = None
