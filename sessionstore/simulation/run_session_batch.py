"""Fly N sessions unattended and show how each ended: ``python -m sessionstore.simulation.run_session_batch --count 5``.

Each gets its own seed; as many at once as asked for. The table comes from the stored records, so what it shows is what
was kept; a session that ended early, never moved or failed makes the exit code 1.
Not here: decisions over all sessions (training data).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from sessionstore.simulation.drones.kinds import ALIASES, CLIMBER, MULE, SCOUT
from sessionstore.simulation.running.api_client import Api, CallFailed, server, server_options

_POLL_S = 0.25
_ENDED = ("completed", "stopped", "failed", "interrupted")


@dataclass(frozen=True, slots=True)
class Batch:
    """What every session of a batch has in common."""

    duration_s: float
    buildings: int
    drones: dict[str, int]
    realtime_factor: float
    name: str


@click.command()
@click.option("--count", type=click.IntRange(1, 10_000), default=5, show_default=True, help="How many sessions.")
@click.option("--duration", type=click.FloatRange(0.05, 604_800), default=60.0, show_default=True, help="Sim seconds.")
@click.option("--buildings", type=click.IntRange(0, 500), default=3, show_default=True)
@click.option("--scouts", type=click.IntRange(0, 100), default=2, show_default=True)
@click.option("--tankers", type=click.IntRange(0, 100), default=1, show_default=True)
@click.option("--climbers", type=click.IntRange(0, 100), default=1, show_default=True)
@click.option("--parallel", type=click.IntRange(1, 16), default=2, show_default=True, help="How many at once.")
@click.option(
    "--realtime", type=click.FloatRange(0, 1000), default=0.0, show_default=True, help="0: as fast as it can."
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 20_000), default=1, show_default=True, help="Of the first one.")
@click.option("--name", default="Batch", show_default=True)
@server_options
def main(
    count: int, parallel: int, seed: int, url: str | None, token: str | None, folder: str | None, **o: Any
) -> None:
    """Fly COUNT sessions and print a table of their outcomes."""
    kinds = {SCOUT: o["scouts"], ALIASES[MULE]: o["tankers"], CLIMBER: o["climbers"]}
    drones = {kind: number for kind, number in kinds.items() if number}
    batch = Batch(o["duration"], o["buildings"], drones, o["realtime"], o["name"])
    with server(url, token, folder) as api:
        api.post("/api/reset")
        outcomes = fly_all(api, batch, count, parallel, seed)
    show(outcomes)
    raise SystemExit(0 if all(outcome["verdict"] == "ok" for outcome in outcomes) else 1)


def fly_all(api: Api, batch: Batch, count: int, parallel: int, seed: int) -> list[dict[str, Any]]:
    """Start the sessions, the given number at once, and return the outcome of each in order."""
    outcomes: dict[int, dict[str, Any]] = {}
    flying: dict[int, str] = {}
    left = list(range(count))
    while left or flying:
        while left and len(flying) < parallel:
            number = left.pop(0)
            try:
                flying[number] = begin(api, batch, number, seed + number)
            except CallFailed as error:
                outcomes[number] = {"session_id": "-", "verdict": error.message}
        time.sleep(_POLL_S)
        for number, session_id in list(flying.items()):
            record = api.record(session_id)
            if record["status"] in _ENDED:
                outcomes[number] = outcome_of(record, batch)
                del flying[number]
                click.echo(f"{session_id}: {record['status']} ({record['end_reason'] or record['problem']})", err=True)
    return [outcomes[number] for number in range(count)]


def begin(api: Api, batch: Batch, number: int, seed: int) -> str:
    """Start one session, and return its id. Raises: CallFailed."""
    started = api.post(
        "/api/start",
        {
            "duration": batch.duration_s,
            "headless": True,
            "session_name": f"{batch.name} {number + 1}",
            "num_buildings": batch.buildings,
            "seed": seed,
            "realtime_factor": batch.realtime_factor,
            "parallel": True,
            "metadata": {"batch": batch.name, "batch_number": number + 1, "seed": seed},
            **({"drones": batch.drones} if batch.drones else {}),
        },
    )
    return str(started["session_id"])


def outcome_of(record: dict[str, Any], batch: Batch) -> dict[str, Any]:
    """Return the line of the table for a stored record."""
    totals = record["performance_metrics"].get("totals", {})
    flown_s = record["duration_sim_s"] or 0.0
    if record["status"] != "completed":
        verdict = record["end_reason"] or record["problem"] or record["status"]
    elif flown_s < batch.duration_s - 0.1:
        verdict = f"ended after {flown_s:g} of {batch.duration_s:g} s"
    elif not record["replay_available"] or not totals.get("distance_m"):
        verdict = "nothing moved"
    else:
        verdict = "ok"
    return {
        "session_id": record["session_id"],
        "status": record["status"],
        "flown_s": flown_s,
        "distance_m": totals.get("distance_m"),
        "points": totals.get("points"),
        "windows": totals.get("windows_cleaned"),
        "verdict": verdict,
    }


def show(outcomes: list[dict[str, Any]]) -> None:
    """Print the table."""
    table = Table(title=f"{len(outcomes)} sessions")
    columns = ("session_id", "status", "flown_s", "distance_m", "points", "windows", "verdict")
    for name in columns:
        table.add_column(name, justify="right" if name in columns[2:6] else "left", overflow="fold")
    for outcome in outcomes:
        table.add_row(*(str(outcome.get(name, "-")) for name in columns))
    Console().print(table)


if __name__ == "__main__":
    main()
