"""The simulation's clock: whole ticks of 1/20 s, and what is due at a coming one.

Actions of one tick run in the order in which they were scheduled, so a run is repeatable. No wall clock.
Not here: pacing by the wall clock (simulation.running.pace), what a tick does (mission.fleet).
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from sessionstore.simulation.drones.drone import TICK_HZ


class Clock:
    """`ticks` counts, `t_s` is the simulated time of the present tick."""

    def __init__(self) -> None:
        self.ticks = 0
        self.t_s = 0.0
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()

    def advance(self) -> None:
        """Begin the next tick."""
        self.ticks += 1
        self.t_s = self.ticks / TICK_HZ

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Schedule an action; it runs at the next tick at the earliest."""
        heappush(self._due, (self.ticks + max(1, round(delay_s * TICK_HZ)), next(self._order), action))

    def run_due(self) -> None:
        """Run the actions of this tick."""
        while self._due and self._due[0][0] <= self.ticks:
            heappop(self._due)[2]()
