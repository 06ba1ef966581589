"""How far a drone is on its trajectory: where it is, how late, how far off, and why it broke off.

A trajectory that was broken off (battery, wind, link, a command) is gone on with where it was left as soon as the
drone is free again. Not here: flying it (mission.roles.along), the line (simulation.drones.course).
"""

from __future__ import annotations

from typing import Any

from sessionstore.simulation.drones.course import Course
from sessionstore.simulation.drones.tracking import Tracker
from sessionstore.simulation.drones.trajectory import Trajectory


class TrajectoryFlight:
    """The state of one trajectory. `over` when nothing of it is left to fly; `complete` when all of it was flown."""

    def __init__(self, trajectory: Trajectory, course: Course) -> None:
        self.trajectory, self.course = trajectory, course
        self.s_m = 0.0
        self.over = self.begun = False
        self.left_out_m = 0.0  # flown around, since a building is too near
        self.latest_s = self.off_m = self.late_s = 0.0
        self.reason = ""

    @property
    def complete(self) -> bool:
        return self.over and not self.reason

    def note(self, tracker: Tracker) -> None:
        """Take over where the mark is and what it found."""
        self.s_m = tracker.s_m
        self.late_s = tracker.late_s()
        self.latest_s = max(self.latest_s, self.late_s)
        self.off_m = max(self.off_m, tracker.off_m)

    def part(self) -> tuple[float, float] | None:
        """The part that is to be flown next, from and to in metres; None when none is left."""
        for from_m, to_m in self.course.free():
            if to_m > self.s_m + 0.02 or (to_m == self.course.length_m == 0.0 and not self.begun):
                return max(from_m, self.s_m), to_m
        return None

    def figures(self) -> dict[str, Any]:
        """What the record says of it."""
        return {
            "source": self.trajectory.source,
            "length_m": round(self.course.length_m, 2),
            "flown_m": round(self.s_m - self.left_out_m, 2),
            "flown_around_m": round(self.left_out_m, 2),
            "complete": self.complete,
            "latest_s": round(self.latest_s, 2),
            "off_m": round(self.off_m, 3),
            **({"reason": self.reason} if self.reason else {}),
        }

    def remark(self) -> str:
        """One line for the warnings of a run."""
        share = 100 * self.s_m / self.course.length_m if self.course.length_m else 0.0
        why = f" ({self.reason})" if self.reason else ""
        return f"its trajectory was flown to {share:.0f} %{why}"
