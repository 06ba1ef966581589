"""Create a session through the API and prove that it exists: ``python -m ... create_and_verify_db_session [NAME]``.

With a name by create-demo, without one by start; then the record by /api/sessions/db/{id}, the listing, and the folder
on disk must agree. Prints a line per check and exits 0 or 1.
Not here: movement (create_replayable_session).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from sessionstore.simulation.running.api_client import Api, CallFailed, Report, server, server_options

SHORT_FLIGHT_S = 10.0


@click.command()
@click.argument("session_name", required=False)
@click.option("--buildings", type=click.IntRange(0, 500), default=3, show_default=True)
@server_options
def main(session_name: str | None, buildings: int, url: str | None, token: str | None, folder: str | None) -> None:
    """Create a session (create-demo when named, start when not) and verify it in the database and on disk."""
    report = Report()
    with server(url, token, folder) as api:
        made = create(api, session_name, buildings)
        session_id = str(made.get("session_id"))
        report.check(made.get("success") is True, f"the API made session {session_id}")
        for step in ("directory", "record", "index"):
            if step in made:
                outcome = made[step]
                report.check(outcome["status"] == "done", f"step {step} is {outcome['status']}", str(outcome["reason"]))
        verify(api, report, session_id, session_name)
        if session_name is None:
            stopped = api.post("/api/stop")
            report.check(stopped.get("stopped") is True, "the flight was stopped and stored")
    report.end(session_id)


def create(api: Api, name: str | None, buildings: int) -> dict[str, Any]:
    """Make the session. Raises: CallFailed."""
    if name is not None:
        return api.post("/api/sessions/create-demo", {"session_name": name, "num_buildings": buildings})
    return api.post("/api/start", {"duration": SHORT_FLIGHT_S, "headless": True})


def verify(api: Api, report: Report, session_id: str, name: str | None) -> None:
    """Check the record, the listing and the folder against one another."""
    try:
        record = api.record(session_id)
    except CallFailed as error:
        report.check(False, f"/api/sessions/db/{session_id} has it", error.message)
        return
    report.check(record.get("session_id") == session_id, "the database has its record")
    if name is not None:
        report.check(record.get("session_name") == name, "the name is as typed", repr(record.get("session_name")))
    report.note(f"status {record['status']}, workflow {record['workflow_state']}, revision {record['rev']}")
    listed = api.get("/api/sessions?limit=1000&fields=session_id")["sessions"]
    report.check({"session_id": session_id} in listed, "it is listed")
    check_folder(report, record)


def check_folder(report: Report, record: dict[str, Any]) -> None:
    """Check that the folder holds what the database says."""
    folder = Path(record["session_dir_path"])
    if not report.check(folder.is_dir(), f"its folder is there: {folder}"):
        return
    try:
        tables = json.loads((folder / "session.json").read_text("utf-8"))
        (stored,) = tables["session"].values()
    except (OSError, ValueError, KeyError) as error:
        report.check(False, "session.json can be read", str(error))
        return
    report.check(stored["uuid"] == record["uuid"], "session.json is of the same session")
    buildings = [row for row in tables.get("scene", {}).values() if row.get("kind") == "building"]
    expected = stored["num_buildings"] + stored["num_invisible_buildings"]
    report.check(len(buildings) == expected, f"{expected} buildings are stored", f"found {len(buildings)}")


if __name__ == "__main__":
    main()
