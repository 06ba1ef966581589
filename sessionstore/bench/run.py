"""A whole run: which workloads, how long, on which sizes.

Not here: the workloads themselves (workloads, scale), where the run is kept (cli.bench).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from sessionstore.bench import (
    analysis,
    calls,
    engines,
    filters,
    flights,
    formats,
    growth,
    moving,
    scale,
    sweeps,
    workloads,
)
from sessionstore.bench.figures import Figures


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how large a run is.

    Args:
        slice_s: how long one system works in one round.
        sizes: of the stores that all systems are measured on.
        scale_sizes: of the stores that only we and the limit are measured on; the engines hold the largest of them.
        sweep_processes: how many processes a sweep uses, one after the other; sweep_runs: with each of them.
        flight_s: how long a fleet flies, in seconds of simulation.
        moved: sessions that are merged and packed; ten times as many are listed elsewhere.
        postgresql: the URL of a server to measure; None: one of our own, where that can be.
    """

    slice_s: float
    rounds: int
    sizes: tuple[int, ...]
    storm_s: float
    storms: tuple[int, ...]
    stream_records: int
    scale_sizes: tuple[int, ...]
    moved: int
    sweep_processes: tuple[int, ...]
    sweep_runs: int
    sweep_rounds: int
    flight_s: float
    postgresql: str | None = None


QUICK = Plan(0.05, 3, (0, 1000), 0.4, (4, 16), 200_000, (1000, 10_000), 200, (1, 2), 8, 1, 40.0)
THOROUGH = Plan(
    0.25, 5, (0, 1000, 10_000), 1.5, (4, 16), 10_000_000, (1000, 10_000, 100_000), 2_000, (1, 2, 4, 8, 16), 16, 1, 60.0
)

Part = Callable[[workloads.Bench], None]
PARTS: dict[str, tuple[Part, tuple[str, ...]]] = {
    "create": (workloads.create, ("W1",)),
    "update": (workloads.update, ("W2",)),
    "append": (workloads.append, ("W3",)),
    "look": (workloads.look, ("W4", "W5", "W6")),
    "storm": (workloads.storm, ("W7",)),
    "calls": (calls.calls, ("W15",)),
    "busy": (calls.busy, ("W16",)),
    "seek": (workloads.seek, ("W8",)),
    "sizes": (scale.sizes, ("W1", "W4", "W5", "W6", "W9", "W10")),
    "imports": (scale.imports, ("W11",)),
    "engines": (engines.engines, ("E1", "E2", "E3", "E4")),
    "filters": (filters.filters, ("E5",)),
    "analysis": (analysis.analysis, ("A1", "A2", "A3", "A4", "A5", "A6", "A7")),
    "formats": (formats.formats, ("F1", "F2", "F3")),
    "moving": (moving.moving, ("M1", "M2", "M3", "M4", "M5", "M6")),
    "sweeps": (sweeps.sweeps, ("S1", "S2", "S3")),
    "flights": (flights.flights, ("W14",)),
    "growth": (growth.growth, ("G1",)),
}


def run(
    scratch: Path, plan: Plan, figures: Figures, parts: Collection[str] = (), systems: Collection[str] = ()
) -> None:
    """Run the parts that were asked for (all by default), and leave no files.

    Args:
        systems: names of contestants; the limit and the default engine are always among them.
    """
    bench = workloads.Bench(scratch, plan, figures, systems)
    for name, (part, _) in PARTS.items():
        if not parts or name in parts:
            begin = time.perf_counter()
            part(bench)
            figures.seconds[name] = round(time.perf_counter() - begin, 1)
