"""What machine learning wants from a run: each decision with its features before and its outcome after.

A decision is written when its outcome is known; `decided_t` says when it was made. Decisions without an
outcome at the end of a run are written as such. Not here: the stream itself (hmrs_simulation_live).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass
class Decision:
    """One open decision; `close` writes it."""

    ledger: Ledger
    record: dict[str, object]

    def close(self, outcome: Mapping[str, object]) -> None:
        """Write the outcome; the first one counts."""
        if self.ledger.open.pop(id(self), None) is not None:
            self.ledger.done.append({**self.record, "outcome": dict(outcome)})


class Ledger:
    """All decisions: `open` ones wait for their outcome, `done` ones for the next tick's recording."""

    def __init__(self) -> None:
        self.open: dict[int, Decision] = {}
        self.done: list[dict[str, object]] = []
        self.count = 0

    def decide(
        self,
        kind: str,
        drone: str,
        t_s: float,
        features: Mapping[str, object],
        decision: Mapping[str, object],
    ) -> Decision:
        """Open a decision."""
        self.count += 1
        record: dict[str, object] = {
            "id": self.count, "kind": kind, "drone": drone, "decided_t": t_s, "features": dict(features),
            "decision": dict(decision),
        }  # fmt: skip
        entry = Decision(self, record)
        self.open[id(entry)] = entry
        return entry

    def close_all(self, why: str) -> None:
        """Write the open decisions without an outcome."""
        for entry in list(self.open.values()):
            entry.close({"unknown": why})
