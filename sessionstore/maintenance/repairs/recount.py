"""Figures from the streams of a session: movement per drone, and the latest sim_time.

For sessions whose recorder did not write them at the end. Not here: figures of a run in progress (session.recorder).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sessionstore.errors import SessionStoreError
from sessionstore.session import Session
from sessionstore.session.handle import CLOCK_STREAM
from sessionstore.session.motion import MOTION_STREAM, Movement, movement_totals
from sessionstore.session.motion import take_point as take_point


@dataclass(slots=True)
class Figures:
    """Movement by drone, and the latest sim_time in seconds (None when no stream has one)."""

    movements: dict[str, Movement] = field(default_factory=dict)
    duration_sim_s: float | None = None

    def metrics(self) -> dict[str, Any]:
        """Return the figures as ``performance_metrics`` holds them."""
        drones = {name: movement.to_dict() for name, movement in self.movements.items()}
        return {"totals": movement_totals(drones) if drones else {}, "drones": drones}

    def drones(self) -> list[dict[str, Any]]:
        """Return the drones as the record names them."""
        return [{"id": name} for name in self.movements]


def of_session(session: Session) -> Figures:
    """Read the streams of a session; damaged lines are passed over, and nothing is written."""
    figures = Figures()
    for line in session.tape(MOTION_STREAM).in_time():
        take_point(figures.movements, line.data, line.t_s)
    for name, tape in session.tapes().items():
        try:
            last = tape.last() if name != CLOCK_STREAM else None
        except (SessionStoreError, OSError):
            continue  # a link or a pipe in place of a stream
        if last is not None:
            latest_s = tape.order().latest_s or 0.0
            figures.duration_sim_s = max(figures.duration_sim_s or 0.0, latest_s)
    return figures
