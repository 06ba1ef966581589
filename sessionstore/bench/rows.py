"""Rows as a large store has them, the same for every engine, and filters whose answers are known in size.

Not here: whole sessions (generate), what is measured with them (engines).
"""

from __future__ import annotations

import msgspec

from sessionstore.index import SessionIndex
from sessionstore.model.row import SessionRow
from sessionstore.simulation.drones.kinds import CLIMBER, SCOUT

KEYS = ("metadata.batch", "metadata.wind_m_s")
#: Filters and how many of 100,000 sessions they fit; up to FEW, an index is all that it takes.
FEW = 100
FILTERS = {
    "metadata.batch=17": 100,
    "status=failed metadata.batch=17": 10,
    "metadata.wind_m_s>24.99": 40,
    "distance_m>99990": 10,
    "tags=rare": 50,
    "status=failed": 10_000,
}


def fill(index: SessionIndex, sessions: int) -> None:
    """Put ``count`` rows; the same number gives the same rows."""
    for start in range(0, sessions, 5000):
        index.put([a_row(number) for number in range(start, min(start + 5000, sessions))], exact=True)


def a_row(number: int, rev: int = 1) -> SessionRow:
    """Return a row of about 600 bytes as JSON, the size of a real one."""
    spread = number * 7919 % 100_003  # a prime step: neighbours differ
    metadata = {
        "pilot": f"pilot-{spread % 23}",
        "batch": spread % 1000,
        "wind_m_s": spread % 25_000 / 1000,
        "seed": spread,
        "site": {"name": f"tower-{spread % 40}", "floors": spread % 60},
        "notes": "facade north, second round, " * 4,
    }
    minute = number % 1_440
    return SessionRow(
        session_id=f"20261123{minute // 60:02}{minute % 60:02}-S{number}",
        uuid=f"01936b00-0000-7000-8000-{number:012x}",
        rev=rev,
        size=2000 + number % 100,
        mtime_ns=1_790_000_000_000_000_000 + number,
        status=("failed", "completed", "completed", "stopped", *["completed"] * 6)[spread % 10],
        workflow_state="VERIFY",
        created_at=f"2026-11-{1 + number % 28:02}T{minute // 60:02}:{minute % 60:02}:00.{number % 1_000_000:06}Z",
        updated_at="2026-11-23T14:30:00.000000Z",
        session_name=f"S{number}",
        duration_sim_s=spread % 300 + 0.5,
        num_drones=spread % 7,
        drones={SCOUT: 2, CLIMBER: 1},
        tags=["rare"] if spread % 2000 == 0 else ["night"],
        points=spread * 10,
        distance_m=float(spread),
        raw_metadata=msgspec.Raw(msgspec.json.encode(metadata)),
    )
