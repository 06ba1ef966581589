"""Trajectories of a scenario in its town: each is checked whole before anything starts.

Refused at once, with the time, the place and the reason: a way point or a leg inside or too near to a building (2.4 m
are needed), under the ground, above the ceiling, and times that the drone cannot keep. A recorded flight is refused
only where it leads through a building, under the ground or above the ceiling: near walls it is flown around, and where
the drone is slower it is flown later. Not here: hidden buildings (found in flight, mission.roles.along).
"""

from __future__ import annotations

from collections.abc import Sequence

from sessionstore.simulation.drones.course import Course
from sessionstore.simulation.drones.kinds import KINDS
from sessionstore.simulation.drones.navigation import PATH_MARGIN_M
from sessionstore.simulation.drones.trajectory import TimedPoint, Trajectory, simplified, too_fast
from sessionstore.simulation.errors import ScenarioError
from sessionstore.simulation.mission.trajectory_flight import TrajectoryFlight
from sessionstore.simulation.running.scenarios import Scenario, check_drones
from sessionstore.simulation.world.world import World

TOLERANCE_M = 0.05  # chosen: of what is left out of a recorded flight
LOWEST_M = 0.5  # chosen: a recorded flight is not flown lower than this, where it started and landed


def plan_trajectories(scenario: Scenario, world: World) -> dict[str, TrajectoryFlight]:
    """The flights of a scenario's trajectories, by the drones' names in lower case.

    Raises:
        ScenarioError: one cannot be flown; it names the drone and the reason.
    """
    check_drones(scenario, scenario.name)
    kinds = {name.lower(): KINDS[kind] for name, kind in scenario.drone_kinds().items()}
    flights: dict[str, TrajectoryFlight] = {}
    for trajectory in scenario.trajectories:
        kind = kinds[trajectory.drone.lower()]
        place = f"trajectory of {trajectory.drone} ({trajectory.source})"
        if not trajectory.points:
            raise ScenarioError(scenario.name, place, "the recorded flight was not read")
        points: Sequence[TimedPoint] = trajectory.points
        if trajectory.recorded:
            points = simplified(_above_ground(trajectory, world), TOLERANCE_M)
        elif reason := too_fast(points, kind.cruise_mps, kind.climb_mps):
            raise ScenarioError(scenario.name, place, f"{reason} ({kind.name})")
        course = Course(points, kind, world)
        if reason := course.reason_against(0.0 if trajectory.recorded else PATH_MARGIN_M):
            raise ScenarioError(scenario.name, place, reason)
        flights[trajectory.drone.lower()] = TrajectoryFlight(trajectory, course)
    return flights


def _above_ground(trajectory: Trajectory, world: World) -> list[TimedPoint]:
    return [(t, x, y, max(z, world.ground_m(x, y) + LOWEST_M)) for t, x, y, z in trajectory.points]
