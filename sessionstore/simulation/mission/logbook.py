"""The logbook of a fleet: the lines of the present tick by stream, and the open decisions.

Lines are kept until `drain` takes them; a decision becomes a line when its outcome is known.
Not here: writing streams to disk (session.stream_writer), who calls drain (hmrs_simulation_live).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sessionstore.session import stream_names
from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.mission.clock import Clock
from sessionstore.simulation.mission.decisions import Decision, Ledger


class Logbook:
    """What a fleet reports."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ledger = Ledger()
        self._lines: dict[str, list[dict[str, object]]] = {}

    def record(self, stream: str, line: dict[str, object]) -> None:
        """Add a line to a stream."""
        self._lines.setdefault(stream, []).append(line)

    def extend(self, stream: str, lines: Iterable[dict[str, object]]) -> None:
        """Add lines to a stream."""
        self._lines.setdefault(stream, []).extend(lines)

    def event(self, kind: str, message: str, level: str = "info", **data: Any) -> None:
        """Add a line to the events."""
        self.record(stream_names.EVENTS, {"kind": kind, "message": message, "level": level, **data})

    def decide(
        self, kind: str, drone: Drone | None, features: Mapping[str, object], decision: Mapping[str, object]
    ) -> Decision:
        """Open a decision of a drone, or of the fleet."""
        return self._ledger.decide(kind, drone.id if drone else "fleet", self._clock.t_s, features, decision)

    def close_decisions(self, why: str) -> None:
        """Close the open decisions without an outcome."""
        self._ledger.close_all(why)

    def collect(self, messages: list[dict[str, object]]) -> None:
        """Move radio messages and decisions with an outcome into the lines of this tick."""
        for stream, lines in ((stream_names.COMMUNICATION, messages), (stream_names.TRAINING, self._ledger.done)):
            if lines:
                self.extend(stream, lines)
                lines.clear()

    def drain(self) -> dict[str, list[dict[str, object]]]:
        """Return all lines since the last call, and forget them."""
        lines, self._lines = self._lines, {}
        return lines
