"""What each part of a mission sees of its fleet: narrow protocols, so that a role depends on what it uses.

A fleet fits all of them; a test may hand a role less. Not here: the fleet itself (mission.fleet), what the parts do
(mission.pilot, mission.roles, mission.commands, mission.faults).
"""

from __future__ import annotations

from typing import Protocol

from sessionstore.simulation.drones.communication import Radio
from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.mission.clock import Clock
from sessionstore.simulation.mission.crew import Crew
from sessionstore.simulation.mission.homeward import WaysHome
from sessionstore.simulation.mission.logbook import Logbook
from sessionstore.simulation.mission.phases import Mission
from sessionstore.simulation.mission.roster import Roster
from sessionstore.simulation.mission.supply import Supply
from sessionstore.simulation.mission.trajectory_flight import TrajectoryFlight
from sessionstore.simulation.world.birds import Birds
from sessionstore.simulation.world.buildings import Building
from sessionstore.simulation.world.geometry import Vec3
from sessionstore.simulation.world.weather import Weather
from sessionstore.simulation.world.world import World


class Reporting(Protocol):
    """The time, and where to report: what every part needs."""

    clock: Clock
    log: Logbook


class Inspecting(Reporting, Protocol):
    """For a verdict on a window."""

    crew: Crew


class Conducting(Inspecting, Protocol):
    """For moving the mission through its phases."""

    mission: Mission
    roster: Roster


class Flying(Inspecting, Protocol):
    """For what every drone can do; a lifeline needs nothing else."""

    weather: Weather
    supply: Supply
    ways_home: WaysHome

    def plan(self, drone: Drone, goal_m: Vec3) -> list[Vec3]: ...


class Talking(Flying, Protocol):
    """For a mule: flying, and the radio."""

    radio: Radio


class Cleaning(Talking, Protocol):
    """For a climber: the phase, the walls, and the birds that disturb it."""

    mission: Mission
    world: World
    birds: Birds


class Watching(Talking, Protocol):
    """For an overseer: the phase, and who works where."""

    mission: Mission
    roster: Roster


class Mapping(Talking, Protocol):
    """For a scout: how many climbers follow it."""

    roster: Roster


class Patrolling(Flying, Protocol):
    """For a utility drone: its number, and the ground."""

    roster: Roster
    world: World


class Following(Flying, Protocol):
    """For a drone with a trajectory: the buildings that are not known yet."""

    @property
    def trajectories(self) -> dict[str, TrajectoryFlight]: ...
    @property
    def hidden(self) -> list[Building]: ...


class AnyRole(Cleaning, Watching, Mapping, Patrolling, Following, Protocol):
    """For whichever role a drone has."""


class Commanding(Talking, Protocol):
    """For commands from outside."""

    roster: Roster

    def retire(self, drone: Drone) -> None: ...


class Losing(Reporting, Protocol):
    """For what takes a drone out of the sky: an empty battery, in the wind of the place."""

    weather: Weather
    world: World

    def lose(self, drone: Drone, reason: str) -> None: ...


class Failing(Losing, Protocol):
    """For faults."""

    roster: Roster
    supply: Supply

    def end(self, status: str, reason: str) -> None: ...
