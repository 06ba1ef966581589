"""The benchmark: our engines, the limit that a disk allows by hand, and the peers, measured in turn in one run.

Absolute figures of a shared machine mean little: each stands beside a probe of the limit that ran next to it, and the
ratio of the two is what counts. Nothing here is imported by the rest of the package.
Not here: the command (cli.bench), the guards of continuous integration (tests/test_speed.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sessionstore.bench.systems import System

#: The contestants that the others are held against: with and without a promise about power cuts.
LIMIT, LIMIT_DURABLE = "limit", "limit_fsync"
OURS, OURS_OS, OURS_SQLITE = "sessionstore", "sessionstore os", "sessionstore sqlite"


def contestants() -> dict[str, type[System]]:
    """Return everything that can be measured here, by its name in the tables."""
    from sessionstore.bench import ours, peers
    from sessionstore.bench.limit import DurableLimit, Limit

    own: dict[str, type[System]] = {OURS: ours.Ours, OURS_OS: ours.OursOS}
    if _has_sqlite():
        own[OURS_SQLITE] = ours.OursSqlite
    return {LIMIT: Limit, LIMIT_DURABLE: DurableLimit, **own, **peers.installed()}


def _has_sqlite() -> bool:
    from importlib.util import find_spec

    return find_spec("sessionstore.index.sql.sqlite") is not None
