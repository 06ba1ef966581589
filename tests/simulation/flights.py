"""Whole flights for tests: small scenarios, and a run that checks every invariant at every tick."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from math import dist
from typing import Any

from sessionstore.simulation.drones.drone import TICK_S
from sessionstore.simulation.drones.kinds import KINDS
from sessionstore.simulation.drones.navigation import PLANNER_MARGIN_M
from sessionstore.simulation.drones.separation import least_distance_m
from sessionstore.simulation.mission.fleet import Fleet
from sessionstore.simulation.running.launch import build_fleet, man_fleet
from sessionstore.simulation.running.scenarios import DEFAULT_FLEET, Group, Scenario

ALL_KINDS = tuple(Group(kind) for kind in KINDS)


def scenario(**options: Any) -> Scenario:
    return Scenario(
        **{"name": "test", "seed": 7, "duration_s": 60.0, "buildings": 3, "fleet": DEFAULT_FLEET, **options}
    )


def launch(plan: Scenario) -> Fleet:
    fleet = build_fleet(plan)
    man_fleet(fleet, plan)
    return fleet


@dataclass
class Flown:
    """A fleet after its flight, with everything that it said."""

    fleet: Fleet
    lines: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines.get("events", []) if line["kind"] == kind]

    def as_text(self) -> str:
        """All lines as they would be written."""
        return json.dumps(self.lines)


def fly(plan: Scenario, each_tick: Callable[[Fleet], None] | None = None, checked: bool = False) -> Flown:
    """Fly a scenario to its end."""
    flown = Flown(launch(plan))
    fleet = flown.fleet
    while fleet.clock.t_s < plan.duration_s and fleet.ended is None:
        before = {d.id: (d.mode, (d.vx, d.vy, d.vz)) for d in fleet.roster.drones} if checked else {}
        if each_tick is not None:
            each_tick(fleet)
        fleet.tick()
        if checked:
            check_invariants(fleet, before)
        for stream, lines in fleet.log.drain().items():
            flown.lines.setdefault(stream, []).extend({"t": fleet.clock.t_s, **line} for line in lines)
    return flown


def check_invariants(fleet: Fleet, before: dict[str, tuple[str, tuple[float, ...]]]) -> None:
    """What holds at every tick of every flight."""
    present = [d for d in fleet.roster.drones if d.active]
    for i, one in enumerate(present):
        for two in present[i + 1 :]:
            gap = dist(one.position, two.position) - least_distance_m(one, two)
            assert gap >= 0, f"{fleet.clock.t_s}: {one.id} and {two.id} are {-gap:.3f} m too near"
        if one.mode == "flying" and "wall" not in one.activity:
            clearance = fleet.world.clearance_m(one.position, among=fleet.world.buildings, limit_m=4.0)
            assert clearance >= PLANNER_MARGIN_M, f"{fleet.clock.t_s}: {one.id} is {clearance:.2f} m from a building"
        assert one.speed <= one.kind.cruise_mps * (1 + 1e-9)
        assert abs(one.vz) <= one.kind.climb_mps * (1 + 1e-9)
        mode, velocity = before.get(one.id, ("", ()))
        if mode == one.mode:
            assert dist(velocity, (one.vx, one.vy, one.vz)) <= one.kind.accel_mps2 * TICK_S * (1 + 1e-9)
        battery = one.battery
        balance = battery.start_j + battery.charged_j - battery.used_j
        assert abs(balance - battery.energy_j) < 1e-3
        assert 0 <= battery.energy_j <= battery.capacity_j
