"""The benchmark: our engines, the limit that a disk allows by hand, and the peers, measured in turn in one run.

Absolute figures of a shared machine mean little: each stands beside a probe of the limit that ran next to it, and the
ratio of the two is what counts. Nothing here is imported by the rest of the package.
Not here: the command (cli.bench), the guards of continuous integration (tests/test_speed.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sessionstore.bench.systems import System

#: The contestants that the others are compared with: with and without a promise about power cuts.
LIMIT, LIMIT_DURABLE = "limit", "limit_fsync"
OURS, OURS_OS, OURS_SQLITE = "sessionstore", "sessionstore os", "sessionstore sqlite"


def contestants() -> dict[str, type[System]]:
    """Return everything that can be measured here, by its name in the tables."""
    from importlib.util import find_spec

    from sessionstore.bench import ours
    from sessionstore.bench.limit import DurableLimit, Limit

    found: dict[str, type[System]] = {LIMIT: Limit, LIMIT_DURABLE: DurableLimit}
    found |= {OURS: ours.Ours, OURS_OS: ours.OursOS, OURS_SQLITE: ours.OursSqlite}
    if find_spec("sessionstore.bench.peers"):  # in a checkout; the wheel does not carry them
        from sessionstore.bench import peers

        found |= peers.installed()
    return found
