"""Recorded flights to be flown again: the track of one drone of a session, as a trajectory.

What it did on its berth before and after the flight is left out, and what it did on a wall. The session is the path of
its folder, or what `store.get` takes: an id or its beginning, a name, latest.
Not here: other sources (simulation.drones.trajectory), whether it can be flown here (running.trajectories).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import takewhile
from math import dist
from pathlib import Path

from sessionstore.errors import SessionStoreError
from sessionstore.layout import StoreRoot
from sessionstore.session import Session, stream_names
from sessionstore.simulation.drones.trajectory import TimedPoint, Trajectory, checked
from sessionstore.simulation.errors import ScenarioError
from sessionstore.simulation.running.scenarios import Scenario
from sessionstore.store import SessionStore

NOT_FLOWN = ("docked", "wall", "lost", "retired")
STILL_M = 0.2  # chosen: before and after the flight a drone stays within this


def with_recordings(scenario: Scenario, store: Callable[[], SessionStore]) -> Scenario:
    """The scenario with the tracks of its recorded flights.

    Raises:
        ScenarioError: a session or drone that there is not, or a track without two points.
    """
    if not any(trajectory.recording and not trajectory.points for trajectory in scenario.trajectories):
        return scenario
    return replace(scenario, trajectories=tuple(_read(trajectory, store) for trajectory in scenario.trajectories))


def _read(trajectory: Trajectory, store: Callable[[], SessionStore]) -> Trajectory:
    if not trajectory.recording or trajectory.points:
        return trajectory
    key, _, drone = trajectory.recording.rpartition(":")
    try:
        session = find(key, store)
    except SessionStoreError as error:
        raise ScenarioError(trajectory.source, "recording", str(error)) from error
    found = of_session(session, drone, trajectory.drone, trajectory.at_s)
    return replace(found, source=f"{session.session_id}:{drone}")


def find(key: str, store: Callable[[], SessionStore]) -> Session:
    """The session of a recording. Raises: SessionNotFound, AmbiguousSession."""
    path = Path(key).expanduser()
    if (path / "session.json").is_file():
        path = path.resolve()
        return Session(StoreRoot(path.parent), path.name)
    return store().get(key)


def of_session(session: Session, drone: str, pilot: str | None = None, at_s: float | None = None) -> Trajectory:
    """The track of a drone of a session as a trajectory for a drone, by default one of the same name.

    Raises:
        ScenarioError: the session has no such drone, or it did not fly.
    """
    points: list[TimedPoint] = []
    others: set[str] = set()
    for line in session.tape(stream_names.MOTION).in_time():
        name, position = str(line.data.get("drone", "")), line.data.get("position")
        if name.lower() != drone.lower():
            others.add(name)
            continue
        if not isinstance(position, list) or line.data.get("mode", "flying") in NOT_FLOWN:
            continue
        if not points or line.t_s > points[-1][0]:
            east, north, up = (float(value) for value in position)
            points.append((line.t_s, east, north, up))
    source = f"{session.session_id}:{drone}"
    points = _moving(points)
    if len(points) < 2:
        there = ", ".join(sorted(others)[:12]) or "no drone"
        raise ScenarioError(source, "recording", f"{drone!r} did not fly in this session; there are {there}")
    trajectory = Trajectory(pilot or drone, checked(points, source), recorded=True, at_s=at_s, source=source)
    return trajectory.shifted()


def _moving(points: list[TimedPoint]) -> list[TimedPoint]:
    """The points without the rest before the start and after the end."""
    for _ in range(2):
        if not points:
            return points
        rest = points[0][1:]
        still = sum(1 for _ in takewhile(lambda point, rest=rest: dist(point[1:], rest) < STILL_M, points))  # type: ignore[misc]
        points = points[still - 1 :][::-1]
    return points
