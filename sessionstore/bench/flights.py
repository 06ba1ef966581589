"""W14: flying fleets, with all that they record: seconds of simulation for a second of CPU on one core.

Making the world and the session, and its end, are counted. In the ready scenario `hundred` a part of the fleet waits
on its berths, or works on walls; in the other case of a hundred drones all of them fly all the time.
Not here: the simulation (simulation), sweeps of many sessions (sweeps).
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from sessionstore.bench import OURS
from sessionstore.bench.figures import Figure, Operation, Target, in_turn

if TYPE_CHECKING:
    from sessionstore.bench.workloads import Bench
    from sessionstore.simulation.running.scenarios import Scenario

TIMES_REAL_TIME = Target("median", ">=", 25.0)


def flights(bench: Bench) -> None:
    """W14."""
    from sessionstore.simulation.drones.kinds import GENERIC
    from sessionstore.simulation.running.scenarios import DEFAULT_FLEET, Group, Scenario, load_scenario

    duration_s = bench.plan.flight_s
    hundred = replace(load_scenario("hundred"), duration_s=duration_s)
    _measure(bench, "the usual fleet", Scenario(seed=1, fleet=DEFAULT_FLEET, duration_s=duration_s))
    _measure(bench, "the scenario hundred", hundred, TIMES_REAL_TIME)
    all_flying = replace(hundred, fleet=(Group(GENERIC, 100),), duration_s=duration_s / 4)
    _measure(bench, "all fly all the time", all_flying)


def _measure(bench: Bench, case: str, plan: Scenario, target: Target | None = None) -> None:
    values = in_turn({OURS: _flown(bench, plan)}, bench.plan.rounds, lambda one: plan.duration_s / _cpu_s(one))
    drones = sum(plan.counts().values())
    figure = Figure("W14", f"{case}, of real time", OURS, "times", values[OURS], drones, target=target)
    bench.figures.add(figure)


def _flown(bench: Bench, plan: Scenario) -> Operation:
    """Return the operation that flies a scenario into an empty store."""
    from sessionstore.simulation.hmrs_simulation_live import HMRSSimulationLive

    def fly() -> int:
        HMRSSimulationLive(plan, training_sessions_dir=bench.folder("flights")).run()
        return 1

    return fly


def _cpu_s(operation: Operation) -> float:
    begin = time.process_time()
    operation()
    return time.process_time() - begin
