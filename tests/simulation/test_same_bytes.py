"""A faster simulation writes the same bytes: recorded flights against hashes that were taken before it was made faster.

The hashes are in recorded_bytes.json; `python -m tests.simulation.test_same_bytes` takes them anew, which is right
only where the motion is meant to change (then `MOTION_MODEL` grows, too).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sessionstore.model.values import Plain, is_json
from sessionstore.session.motion import _checked as movement_point
from sessionstore.session.stream_record import payload_of
from sessionstore.simulation.mission.faults import Fault
from sessionstore.simulation.running.scenarios import Group, Order, Scenario, load_scenario
from sessionstore.store import SessionStore
from tests.simulation.flights import ALL_KINDS, launch, scenario
from tests.simulation.test_live import live_run, streams

KNOWN = Path(__file__).with_name("recorded_bytes.json")
SEEDS = (1, 2, 3, 5, 8)


def alone(seed: int) -> Scenario:
    """One drone, under commands."""
    orders = (
        Order(1.0, "move_to", "quadcopter-1", (20.0, 20.0, 25.0)),
        Order(9.0, "hover", "quadcopter-1"),
        Order(12.0, "move_to", "quadcopter-1", (-30.0, 5.0, 18.0)),
        Order(16.0, "return", "quadcopter-1"),
    )
    return scenario(seed=seed, duration_s=20.0, fleet=(Group("quadcopter"),), orders=orders)


def twenty(seed: int) -> Scenario:
    """Every kind of drone, a hidden building, commands among them."""
    fleet = tuple(Group(group.kind, 2 + (group.kind in ("scout", "climber"))) for group in ALL_KINDS)
    orders = (
        Order(2.0, "follow", "hexacopter-1", args={"leader": "quadcopter-1", "duration_s": 15}),
        Order(3.0, "move_to", "quadcopter-1", (25.0, -20.0, 30.0)),
        Order(5.0, "spawn", "late-one", args={"kind": "scout"}),
        Order(8.0, "retire", "ornithopter-2"),
    )
    return scenario(seed=seed, duration_s=12.0, hidden_buildings=1, fleet=fleet, orders=orders)


def hundred(seed: int) -> Scenario:
    """A hundred drones at forty buildings."""
    return load_scenario("hundred").with_options(seed=seed, duration_s=3.0)


def faulty(seed: int) -> Scenario:
    """One fault of each kind, and batteries that run out."""
    struck = (
        ("stuck", "scout-1", 6.0),
        ("gps_loss", "overseer-1", 8.0),
        ("link_loss", "climber-2", 10.0),
        ("motor_loss", "hexacopter-1", None),
        ("drone_lost", "climber-1", None),
        ("snag", "tanker-lifeline-1", 3.0),
        ("wind_storm", "", 8.0),
    )
    faults = tuple(Fault(kind, 2.0 + 3.0 * i, drone, lasts) for i, (kind, drone, lasts) in enumerate(struck))
    fleet = tuple(replace(group, count=2, battery=0.26) for group in ALL_KINDS)
    return scenario(seed=seed, duration_s=24.0, faults=faults, fleet=fleet)


def windy(seed: int) -> Scenario:
    """Wind that pushes, stronger than some of them can bear."""
    return scenario(seed=seed, duration_s=15.0, condition="fresh", wind_pushes=True, fleet=ALL_KINDS)


def along(seed: int) -> Scenario:
    """Trajectories."""
    plan = load_scenario("trajectories")
    early = tuple(replace(trajectory, at_s=2.0) for trajectory in plan.trajectories[1:])
    return replace(plan, seed=seed, duration_s=12.0, trajectories=early)


PLANS: dict[str, Callable[[int], Scenario]] = {
    "alone": alone, "twenty": twenty, "hundred": hundred, "faulty": faulty, "windy": windy, "along": along,
}  # fmt: skip


def recorded(store: SessionStore, plan: Scenario) -> dict[str, str]:
    """The hashes of all that one flight records: its streams, and the figures of its end."""
    live = live_run(store, plan)
    live.run()
    record = store.get(live.session_id).record
    figures = json.dumps([record.performance_metrics, record.drones, record.end_reason], sort_keys=True).encode()
    return {
        name: hashlib.sha256(content).hexdigest()[:12]
        for name, content in sorted({**streams(store, live.session_id), "figures": figures}.items())
    }


@pytest.mark.parametrize("name", PLANS)
def test_a_flight_records_the_bytes_that_it_has_always_recorded(store: SessionStore, name: str) -> None:
    known: dict[str, dict[str, str]] = json.loads(KNOWN.read_text())[name]
    for seed in SEEDS:
        assert recorded(store, PLANS[name](seed)) == known[str(seed)], f"seed {seed}"


def test_lines_that_are_not_looked_through_are_those_that_would_be_stored_if_they_were() -> None:
    flown = launch(faulty(1).with_options(duration_s=12.0))
    lines = []
    while flown.clock.t_s < 12.0:
        flown.tick()
        lines += flown.log.drain()["motion_history"]
    assert any(line["gps"] is None for line in lines) and all(type(line) is Plain for line in lines)
    for line in lines:
        assert payload_of(line) == payload_of(dict(line)) and is_json(dict(line))
        assert movement_point(line) == dict(line)


def taken(root: Path, stretched: float = 1.0) -> Iterator[tuple[str, dict[str, Any]]]:
    """The hashes of all flights, each a given number of times as long."""
    store = SessionStore(root)
    for name, plan in PLANS.items():
        flights = {seed: plan(seed) for seed in SEEDS}
        yield (
            name,
            {
                str(seed): recorded(store, flight.with_options(duration_s=flight.duration_s * stretched))
                for seed, flight in flights.items()
            },
        )


if __name__ == "__main__":
    KNOWN.write_text(json.dumps(dict(taken(Path(sys.argv[1]))), indent=1) + "\n")
