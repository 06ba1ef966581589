"""What the live simulation looks like now, under the addresses that pollers know.

While it flies the answers come from the process itself; before, from the plan and its session; after, from what was
stored: a poller sees the end as an end, never as an error or as zeros.
Not here: control (simulation).
"""

from __future__ import annotations

import contextlib
from typing import Any

from sessionstore.boxes.session_db_box import as_dict
from sessionstore.errors import SessionNotFound
from sessionstore.server.context import Context
from sessionstore.server.flights.simulation_process import SimulationProcess
from sessionstore.server.http.operations import Call, Operation
from sessionstore.server.http.problems import ApiProblem, without_paths
from sessionstore.server.http.reply import Reply, json_reply
from sessionstore.server.routes import api_schemas
from sessionstore.server.routes import control_schemas as shapes
from sessionstore.session import Session, stream_names
from sessionstore.session.stream_reader import Tape
from sessionstore.simulation.errors import NotRunning

_SHORT = ("session_id", "running", "paused", "run_state", "status", "workflow_state", "phase", "sim_time",
          "duration_planned_s", "points", "windows", "end_reason", "problem")  # fmt: skip
#: A tick of a hundred drones has a hundred lines: the number of lines searched for one drone's points.
_MOST_LINES = 200_000


def state_of(context: Context, session_id: str | None) -> dict[str, Any]:
    """Return the whole picture: flags, sim time, phase, drones, buildings, base."""
    run = context.simulations.find(session_id)
    if run is not None and run.running:
        try:
            found = run.state()
            return {"success": True, "status": found["run_state"], **found}
        except NotRunning:
            pass  # it ended just now: what was stored is the answer
    draft = context.simulations.draft
    planned = [{"name": each.name, "id": each.name, "kind": each.kind} for each in draft.drones]
    session = subject_of(context, session_id)
    if session is not None:
        found = {**_stored(context, session), **_trouble(context.simulations.find(session.session_id), context.hidden)}
        return {**found, "drones": planned} if session.session_id == draft.session_id else found
    return {
        "success": True, "session_id": None, "running": False, "paused": False, "run_state": "idle", "status": "idle",
        "workflow_state": "idle", "phase": None, "sim_time": 0.0, "points": 0,
        "drones": planned, "buildings": [], "base": {"name": "base", "position": draft.base_position},
    }  # fmt: skip


def subject_of(context: Context, session_id: str | None) -> Session | None:
    """Return the session that a question is about: the named one, else what flies, waits or flew last, in this order.

    Raises: SessionNotFound: of a named one; an unnamed one that was deleted since is as none.
    """
    if session_id is not None:
        return context.find(session_id)
    run, waiting = context.simulations.current, context.simulations.draft.session_id
    flown = None if run is None else run.session_id
    for each in (flown, waiting) if run is not None and run.running else (waiting, flown):
        with contextlib.suppress(SessionNotFound):
            if each is not None:
                return context.store.get(each)
    return None


def _trouble(run: SimulationProcess | None, hidden: tuple[str, ...]) -> dict[str, str]:
    """Return why a run broke, when that could not be written into its session (a full disk)."""
    return {"problem": without_paths(run.detail, hidden)} if run is not None and run.detail else {}


def _stored(context: Context, session: Session) -> dict[str, Any]:
    record = as_dict(session)
    runs = record["status"] in ("running", "paused")
    last: dict[str, Any] = {}
    for line in session.tape(stream_names.MOTION).read(
        session.tape(stream_names.MOTION).last_lines(1000), damaged="skip"
    ):
        last[str(line.data.get("drone"))] = line.data
    drones = [
        {
            **drone,
            "name": drone.get("id"),
            **{k: v for k, v in last.get(str(drone.get("id")), {}).items() if k != "drone"},
        }
        for drone in record["drones"]
    ]
    totals = {**record["progress"], **record["performance_metrics"].get("totals", {})}
    return {
        "success": True,
        "session_id": session.session_id,
        "running": runs and record["status"] == "running",
        "paused": record["status"] == "paused",
        "run_state": record["status"],
        "status": record["status"],
        "workflow_state": record["workflow_state"],
        "phase": record["workflow_state"],
        "sim_time": record["duration_sim_s"] or 0.0,
        "duration_planned_s": record["duration_planned_s"],
        "end_reason": record["end_reason"],
        "problem": record["problem"],
        "points": totals.get("points"),
        "drones": drones,
        "buildings": context.buildings.list_buildings(session.session_id),
        "base": context.buildings.get_base(session.session_id),
    }


def _session_of(call: Call) -> Session | None:
    return subject_of(call.context, call.query.get("session_id"))


def state(call: Call) -> Reply:
    """Return the whole picture."""
    return json_reply(state_of(call.context, call.query.get("session_id")))


def status(call: Call) -> Reply:
    """Return the picture without drones and buildings."""
    found = state_of(call.context, call.query.get("session_id"))
    short = {name: found[name] for name in _SHORT if name in found}
    return json_reply({"success": True, **short, "num_drones": len(found["drones"])})


def realtime_status(call: Call) -> Reply:
    """Return how sim time runs against the clock on the wall."""
    found = state_of(call.context, call.query.get("session_id"))
    run = call.context.simulations.find(call.query.get("session_id"))
    return json_reply(
        {
            "success": True,
            **{name: found[name] for name in _SHORT if name in found},
            "realtime_factor": run.plan.realtime if run is not None else call.context.simulations.draft.realtime,
            "drones": found["drones"],
        }
    )


def data(call: Call) -> Reply:
    """Return the whole picture with the latest events and messages."""
    found = state_of(call.context, call.query.get("session_id"))
    session = _session_of(call)
    tails = {name: _tail(session.tape(name), 50) if session else [] for name in stream_names.TABS}
    return json_reply({**found, **tails})


def drones(call: Call) -> Reply:
    """Return the drones."""
    found = state_of(call.context, call.query.get("session_id"))
    return json_reply(
        {"success": True, "session_id": found["session_id"], "drones": found["drones"], "total": len(found["drones"])}
    )


def buildings(call: Call) -> Reply:
    """Return the buildings and the base."""
    found = state_of(call.context, call.query.get("session_id"))
    return json_reply(
        {
            "success": True,
            "session_id": found["session_id"],
            "buildings": found["buildings"],
            "total": len(found["buildings"]),
            "base": found["base"],
        }
    )


def motion(call: Call) -> Reply:
    """Return the latest points of a drone, oldest first."""
    session, name, limit = _session_of(call), call.path["drone"], call.query["limit"]
    if session is None:
        raise ApiProblem(404, "no-drone", "no simulation was started; say session_id")
    tape = session.tape(stream_names.MOTION)
    found: list[dict[str, Any]] = []
    lines = 4 * limit
    while True:
        found = [
            {"sim_time": line.t_s, **line.data}
            for line in tape.read(tape.last_lines(lines), damaged="skip")
            if str(line.data.get("drone")).lower() == name.lower()
        ]
        if len(found) >= limit or lines >= min(_MOST_LINES, tape.count()):
            break
        lines *= 8
    if not found and name.lower() not in {str(each.get("id")).lower() for each in session.record.drones}:
        raise ApiProblem(404, "no-drone", "the session has no such drone")
    points = found[-limit:]
    return json_reply(
        {"success": True, "session_id": session.session_id, "drone": name, "motion": points, "count": len(points)}
    )


def communication(call: Call) -> Reply:
    """Return the latest messages, oldest first."""
    session = _session_of(call)
    messages = (
        _tail(session.tape(stream_names.COMMUNICATION), call.query["limit"], call.query.get("since")) if session else []
    )
    found = session.session_id if session else None
    return json_reply({"success": True, "session_id": found, "messages": messages, "count": len(messages)})


def weather(call: Call) -> Reply:
    """Return the weather now, or that of the next flight."""
    session, simulations = _session_of(call), call.context.simulations
    now = _tail(session.tape(stream_names.WEATHER), 1) if session else []
    condition = simulations.draft.condition
    return json_reply({"success": True, "next_condition": condition, **(now[-1] if now else {"condition": condition})})


def simulations(call: Call) -> Reply:
    """Return the simulations that run, the current one, and the session that waits."""
    return json_reply({"success": True, **call.context.simulations.overview()})


def _tail(tape: Tape, limit: int, since_s: float | None = None) -> list[dict[str, Any]]:
    offset = tape.last_lines(limit)
    return [
        {"n": line.n, "sim_time": line.t_s, **line.data}
        for line in tape.read(offset, damaged="skip")
        if since_s is None or line.t_s >= since_s
    ]


def operations() -> list[Operation]:
    """Return the routes of this module."""
    common: dict[str, Any] = {
        "tag": "simulation", "reply": api_schemas.ANY_REPLY, "query": shapes.WHICH_QUERY, "problems": (400, 404, 409),
    }  # fmt: skip
    return [
        Operation(
            "GET", "/api/simulations", simulations, "List the flights", "simulation", reply=api_schemas.ANY_REPLY
        ),
        Operation("GET", "/api/state", state, "Get the whole picture", **common),
        Operation("GET", "/api/status", status, "Get the short picture", **common),
        Operation("GET", "/api/realtime-status", realtime_status, "Get the pace and the drones", **common),
        Operation("GET", "/api/data", data, "Get the picture with the latest events", **common),
        Operation("GET", "/api/drones", drones, "List the drones", **common),
        Operation("GET", "/api/buildings/list", buildings, "List the buildings", **common),
        Operation(
            "GET", "/api/motion/{drone}", motion, "Get the latest points of a drone",
            **{**common, "query": shapes.MOTION_QUERY},
        ),
        Operation(
            "GET", "/api/communication", communication, "Get the latest messages",
            **{**common, "query": shapes.COMMUNICATION_QUERY},
        ),
        Operation("GET", "/api/weather", weather, "Get the weather", **common),
    ]  # fmt: skip
