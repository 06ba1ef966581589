"""The mission's phases: SCAN -> PLAN -> EXECUTE -> VERIFY, and from VERIFY back to SCAN or EXECUTE; nothing
else.

Time in each phase accumulates in whole ticks. An illegal move raises and changes nothing.
Not here: when a phase is over (crew), what happens in it (roles).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sessionstore.simulation.errors import IllegalTransition

PHASES = ("SCAN", "PLAN", "EXECUTE", "VERIFY")
ALLOWED: dict[str, tuple[str, ...]] = {
    "SCAN": ("PLAN",),
    "PLAN": ("EXECUTE",),
    "EXECUTE": ("VERIFY",),
    "VERIFY": ("SCAN", "EXECUTE"),
}


@dataclass
class Mission:
    """The current phase, how long each has lasted, and how often each was entered."""

    tick_s: float
    phase: str = "SCAN"
    ticks: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PHASES, 0))
    entries: dict[str, int] = field(default_factory=lambda: {**dict.fromkeys(PHASES, 0), "SCAN": 1})
    loops_back: int = 0

    def move_to(self, phase: str) -> None:
        """Enter another phase.

        Raises:
            IllegalTransition: the phase is unchanged.
        """
        if phase not in ALLOWED[self.phase]:
            raise IllegalTransition(self.phase, phase, ALLOWED[self.phase])
        if self.phase == "VERIFY":
            self.loops_back += 1
        self.phase = phase
        self.entries[phase] += 1

    def count_tick(self) -> None:
        """Count a tick for the present phase."""
        self.ticks[self.phase] += 1

    def durations_s(self) -> dict[str, float]:
        """Return the seconds in each phase so far."""
        return {phase: round(count * self.tick_s, 3) for phase, count in self.ticks.items()}
