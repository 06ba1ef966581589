"""Create a session that can be replayed, and prove it: stop, create-demo, start, wait, move, wait, stop, look.

The proof is in the data: replay_available, and at least one drone whose recorded positions lie more than 0.01 m apart.
Not here: several sessions (run_session_batch).
"""

from __future__ import annotations

import itertools
import math
import time
from typing import Any
from urllib.parse import quote

import click

from sessionstore.session.motion import MOVED_M
from sessionstore.simulation.create_and_verify_db_session import verify
from sessionstore.simulation.running.api_client import Api, CallFailed, Report, server, server_options

_STOP_TRIES = 3
_POLL_S = 0.2
_COMMAND_WAIT_S = 30.0


@click.command()
@click.option("--name", default="ReplayTest", show_default=True)
@click.option("--buildings", type=click.IntRange(0, 500), default=3, show_default=True)
@click.option(
    "--wait", "wait_s", type=click.FloatRange(0.5, 3600), default=60.0, show_default=True, help="Seconds to fly."
)
@server_options
def main(name: str, buildings: int, wait_s: float, url: str | None, token: str | None, folder: str | None) -> None:
    """Create a replayable session and prove that its drones moved."""
    report = Report()
    with server(url, token, folder) as api:
        stop(api)
        made = api.post("/api/sessions/create-demo", {"session_name": name, "num_buildings": buildings})
        session_id = str(made["session_id"])
        started = api.post("/api/start", {"duration": wait_s + 60.0})
        report.check(started["session_id"] == session_id, "start took the waiting session", started["session_id"])
        fly(api, report, session_id, wait_s)
        stopped = stop(api)
        report.check(stopped.get("session_id") == session_id, "stop stored it", str(stopped))
        verify(api, report, session_id, name)
        check_replay(api, report, session_id)
    report.end(session_id)


def stop(api: Api) -> dict[str, Any]:
    """Stop what runs; a server that is busy is asked again. Raises: CallFailed."""
    for attempt in range(1, _STOP_TRIES + 1):
        try:
            return api.post("/api/stop")
        except CallFailed as error:
            if attempt == _STOP_TRIES or error.status not in (503, None):
                raise
            time.sleep(attempt)
    raise AssertionError("unreachable")


def fly(api: Api, report: Report, session_id: str, wait_s: float) -> None:
    """Send a drone somewhere, and wait until the time is over."""
    until = time.monotonic() + wait_s
    drones = [drone["name"] for drone in api.get("/api/state")["drones"]]
    if report.check(bool(drones), "drones are flying"):
        order = {"drone_name": drones[0], "command_type": "move_to", "target": [8.0, 8.0, 25.0]}
        command = api.post("/api/command", order)
        address = f"/api/commands/{command['command_id']}?session_id={quote(session_id)}"
        limit = min(until, time.monotonic() + _COMMAND_WAIT_S)
        while (outcome := api.get(address))["status"] in ("new", "queued") and time.monotonic() < limit:
            time.sleep(_POLL_S)
        report.check(
            outcome["status"] in ("applied", "done"),
            f"{drones[0]} took move_to: {outcome['status']}",
            outcome["reason"],
        )
    while (left_s := until - time.monotonic()) > 0:
        time.sleep(min(left_s, 1.0))


def check_replay(api: Api, report: Report, session_id: str) -> None:
    """Check that the session can be replayed, and that something moved in it."""
    data = api.get(f"/api/sessions/{quote(session_id)}/replay?max_points=2000")
    report.check(data["replay_available"] is True, "replay is available")
    farthest_m = 0.0
    for drone, points in data["motion_history"].items():
        moved_m = movement_m(points)
        farthest_m = max(farthest_m, moved_m)
        report.note(f"{drone}: {len(points)} points, moved {moved_m:.3f} m")
        whole = all("position" in point and "sim_time" in point for point in points)
        report.check(whole, f"every point of {drone} has a position and a time")
    report.check(farthest_m > MOVED_M, f"something moved more than {MOVED_M} m ({farthest_m:.3f} m)")


def movement_m(points: list[dict[str, Any]]) -> float:
    """Return the length of the way through these points."""
    places = [point["position"] for point in points]
    return sum(math.dist(one, other) for one, other in itertools.pairwise(places))


if __name__ == "__main__":
    main()
