"""From a scenario to a fleet that is ready for its first tick.

Not here: the check of the scenario (scenarios), running and recording (hmrs_simulation_live).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

from sessionstore.model.gc_pause import gc_paused
from sessionstore.simulation.errors import CommandRefused, ScenarioError
from sessionstore.simulation.mission.commands import Command, check
from sessionstore.simulation.mission.fleet import Fleet
from sessionstore.simulation.running.scenarios import Order, Scenario
from sessionstore.simulation.running.trajectories import plan_trajectories
from sessionstore.simulation.world.buildings import City, Gps
from sessionstore.simulation.world.city import open_city, random_city
from sessionstore.simulation.world.geometry import Vec3
from sessionstore.simulation.world.world import World


def load_city(scenario: Scenario) -> City:
    """The scenario's city: its file, or a random one for its seed.

    Raises:
        CityFileError: the file cannot be read.
    """
    if scenario.city is not None:
        with gc_paused():  # a city has a million objects and no cycles
            return open_city(scenario.city, scenario.default_height_m)
    return random_city(str(scenario.seed), scenario.buildings, scenario.hidden_buildings)


def build_fleet(scenario: Scenario, city: City | None = None) -> Fleet:
    """World, weather and work board, without drones.

    Raises:
        CityFileError, ScenarioError: nothing was built.
    """
    for order in scenario.orders:
        _checked(scenario, order)
    city = load_city(scenario) if city is None else city
    if scenario.base_gps is not None:
        city.origin = replace(city.origin, gps=Gps(*scenario.base_gps))
    with gc_paused():
        world = World(city, dirt_seed=str(scenario.seed), base_m=scenario.base_position)
    flights = plan_trajectories(scenario, world)
    fleet = Fleet(world, str(scenario.seed), scenario.condition, scenario.batch_per_climber, scenario.wind_pushes)
    fleet.trajectories = flights
    return fleet


def _checked(scenario: Scenario, order: Order) -> Vec3 | None:
    """The target of a scenario's command. Raises: ScenarioError."""
    try:
        return check(order.type, order.drone, list(order.target) if order.target else None, order.args)
    except CommandRefused as error:
        raise ScenarioError(scenario.name, f"commands: {order.type} at {order.at_s} s", error.reason) from error


def man_fleet(fleet: Fleet, scenario: Scenario, command_ids: Iterator[int] | None = None) -> None:
    """Spawn the scenario's drones and enter its faults and commands.

    Raises:
        ScenarioError: no berth is left for a drone, or a command is malformed.
    """
    ids = command_ids or count(1)
    try:
        for group in scenario.fleet:
            for _ in range(group.count):
                fleet.roster.spawn(group.kind, charge=group.battery)
        for order in scenario.orders:
            target = _checked(scenario, order)
            fleet.submit(Command(next(ids), order.type, order.drone, target, dict(order.args), order.at_s))
    except CommandRefused as error:
        raise ScenarioError(scenario.name, error.command, error.reason) from error
    for fault in scenario.faults:
        fleet.schedule(fault)
    fleet.open_tape()
