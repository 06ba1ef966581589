"""`run --fly-again SESSION:DRONE[=PILOT]`: the recorded flight of a drone, flown again by a drone of the new fleet.

Without a pilot: the drone of the same name, else the first drone without a trajectory; without a fleet, one drone of
the recorded kind. Without a town, the flight takes place in that of the recorded session.
Not here: reading the track (simulation.running.recordings), the other options (cli.run).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from sessionstore.cli.lookup import find_session

if TYPE_CHECKING:
    from sessionstore.session import Session
    from sessionstore.simulation.running.scenarios import Scenario
    from sessionstore.store import SessionStore


@dataclass(frozen=True)
class Recorded:
    """One recorded flight that is wanted; `pilot` is empty when none was named."""

    session: Session
    drone: str
    pilot: str
    kind: str


def recordings(texts: Sequence[str], store: SessionStore) -> list[Recorded]:
    """Return the flights that the options name. Raises: BadParameter, SessionNotFound, AmbiguousSession."""
    found = []
    for text in texts:
        flight, _, pilot = text.partition("=")
        key, colon, drone = flight.rpartition(":")
        if not (key and colon and drone):
            raise click.BadParameter(f"{text!r} is not SESSION:DRONE or SESSION:DRONE=PILOT", param_hint="--fly-again")
        session = find_session(store, key, elsewhere=True)
        found.append(Recorded(session, drone, pilot, _kind(session, drone)))
    return found


def _kind(session: Session, drone: str) -> str:
    """The kind of the recorded drone; a quadcopter where the record does not say one that there is."""
    from sessionstore.simulation.drones.kinds import GENERIC, KINDS

    kinds = {str(each.get("id", "")).lower(): str(each.get("kind")) for each in session.record.drones}
    kind = kinds.get(drone.lower(), "")
    return kind if kind in KINDS else GENERIC


def flown_again(scenario: Scenario, flights: Sequence[Recorded]) -> Scenario:
    """Return the scenario with these flights, in the town of the first one where no other was chosen.

    Raises:
        ScenarioError: a drone did not fly in its session, or no pilot is free.
    """
    from sessionstore.simulation.running.recordings import of_session
    from sessionstore.simulation.running.scenarios import Scenario as Plan
    from sessionstore.simulation.running.scenarios import check_drones

    if not flights:
        return scenario
    for flight in flights:
        track = of_session(flight.session, flight.drone, flight.pilot or _pilot(scenario, flight))
        scenario = replace(scenario, trajectories=(*scenario.trajectories, track))
    untouched = (scenario.city, scenario.buildings, scenario.hidden_buildings) == (None, Plan.buildings, 0)
    if untouched and scenario.name == "command line":
        last_s = max(track.points[-1][0] for track in scenario.trajectories if track.points)
        scenario = replace(scenario, city=str(flights[0].session.folder))
        if scenario.duration_s == Plan.duration_s:
            scenario = replace(scenario, duration_s=float(round(last_s + 60.0)))
    check_drones(scenario, "--fly-again")
    return scenario


def _pilot(scenario: Scenario, flight: Recorded) -> str:
    taken = {track.drone.lower() for track in scenario.trajectories}
    free = [name for name in scenario.drone_names() if name.lower() not in taken]
    same = [name for name in free if name.lower() == flight.drone.lower()]
    if not free:
        raise click.UsageError(f"no drone of the fleet is free to fly {flight.session.session_id}:{flight.drone}")
    return (same or free)[0]
