"""What was tried and what went wrong, counted while it runs: the only source of every number in the report.

    with tally("T4 power cut, ext4") as count:
        count(cuts=1)                # whenever one was made, not before
        count.wrong.append("...")    # one sentence for each anomaly; the block fails when there is one

Each block writes one line to the file that PROOF_FIGURES names, also when it fails; without it nothing is written.
Not here: adding up and printing (report).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: The row of what must go red.
CONTROLS = "Negative controls (a)-(f): protocols broken on purpose; an anomaly is one that nobody noticed"


class Tally:
    """The counts of one block: how much of what, and what was wrong."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.parts: dict[str, Counter[str]] = {}
        self.measured: dict[str, str] = {}
        self.wrong: list[str] = []

    def __call__(self, **more: int) -> None:
        """Count what was just done: cuts, kills, errors, states, processes, operations ..."""
        self.counts.update(more)

    def within(self, operation: str, **more: int) -> None:
        """Tell within which operation it was done: the report has these in a table of their own."""
        self.parts.setdefault(operation, Counter()).update(more)

    def measure(self, name: str, value: str) -> None:
        """Tell a figure that is not added up, such as a time."""
        self.measured[name] = value


@contextmanager
def tally(row: str) -> Iterator[Tally]:
    """Count for one row of the report; several blocks of one row are added up.

    Raises: AssertionError: the sentences in ``wrong``, when there are any.
    """
    count, unexpected = Tally(), 0
    try:
        yield count
        assert count.wrong == [], "\n".join(count.wrong)
    except BaseException:
        unexpected = not count.wrong  # something else failed: that is an anomaly too
        raise
    finally:
        tell(row, count, unexpected)


def tell(row: str, count: Tally, unexpected: int = 0) -> None:
    """Write one line for the report."""
    if path := os.environ.get("PROOF_FIGURES"):
        facts: dict[str, Any] = {"counts": dict(count.counts), "measured": count.measured}
        facts |= {"anomalies": len(count.wrong) + unexpected, "parts": count.parts}
        with open(path, "a") as file:
            file.write(json.dumps({"row": row, **facts}) + "\n")
