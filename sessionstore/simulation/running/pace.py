"""Real time: when the next tick is due. The simulation itself knows nothing of it.

Not here: what a tick does (simulation.mission.fleet), pausing (hmrs_simulation_live).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """Keeps sim time at a factor of wall time; without a factor it never waits."""

    def __init__(self, factor: float | None) -> None:
        self.factor = factor
        self.restart(0.0)

    def restart(self, t_s: float) -> None:
        self._wall_s, self._sim_s = time.monotonic(), t_s

    def wait(self, t_s: float, wake: threading.Condition, woken: Callable[[], bool]) -> bool:
        """Wait until the next tick is due; False when something came in before."""
        if self.factor is None:
            return True
        due_s = self._wall_s + (t_s - self._sim_s) / self.factor
        with wake:
            while (left_s := due_s - time.monotonic()) > 0:
                if woken():
                    return False
                wake.wait(left_s)
        return True
