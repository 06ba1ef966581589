"""Addresses that the users' notes name, beside those of the control: each answers from the store and the simulation.

Sensors of a drone, commands and controls of the fleet, training buildings, the current weather, training data, and the
scenarios that come with the package. They read; orders go through the control.
Not here: orders and flights (control), the picture now (control_state).
"""

from __future__ import annotations

import itertools
from typing import Any

from marshmallow import fields, validate

from sessionstore.server.context import Context
from sessionstore.server.http.operations import Call, Operation
from sessionstore.server.http.problems import ApiProblem
from sessionstore.server.http.reply import Reply, json_reply
from sessionstore.server.routes import api_schemas, control_state
from sessionstore.server.routes import control_schemas as shapes
from sessionstore.session import Session, stream_names
from sessionstore.simulation.drones.kinds import KINDS
from sessionstore.simulation.mission.commands import COMMAND_TYPES
from sessionstore.simulation.running.scenarios import load_scenario, ready_scenarios
from sessionstore.simulation.running.training_export import training_rows

TAG = "simulation"
_CONTROLS = ("start", "pause", "resume", "stop", "reset", "restart", "spawn", "command")


class TrainingQuery(api_schemas.Strict):
    """Of training data."""

    where = api_schemas.text(4096, metadata={"description": "A filter of sessions."})
    limit = fields.Integer(load_default=1000, validate=validate.Range(min=1, max=100_000))


class CommandsQuery(shapes.WhichQuery):
    """Of the commands of a session."""

    limit = fields.Integer(load_default=200, validate=validate.Range(min=1, max=10_000))


def drone_sensors(call: Call) -> Reply:
    """Return what the sensors of a drone say: place, attitude, GPS, battery and link of its last record."""
    name = call.path["drone"]
    found = control_state.state_of(call.context, call.query.get("session_id"))
    drone = find_drone(found["drones"], name)
    if drone is None:
        raise ApiProblem(404, "no-drone", unknown_drone(name, found["drones"]))
    carried = KINDS.get(str(drone.get("kind")))
    sensors = {
        label: drone[key]
        for label, key in (
            ("position", "position"), ("velocity", "velocity"), ("orientation", "orientation"), ("gps", "gps"),
            ("battery", "battery"), ("link", "link"), ("rssi_dbm", "rssi_dbm"),
        )
        if key in drone
    }  # fmt: skip
    return json_reply(
        {
            "success": True, "session_id": found["session_id"], "drone": drone.get("name") or drone.get("id"),
            "kind": drone.get("kind"), "role": getattr(carried, "role", None), "sim_time": found.get("sim_time"),
            "sensors": sensors,
        }
    )  # fmt: skip


def find_drone(drones: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    """Return the drone of this name, in either case: the users' programs write both Scout-1 and scout-1."""
    wanted = name.lower()
    return next(
        (each for each in drones if wanted in (str(each.get("id")).lower(), str(each.get("name")).lower())), None
    )


def unknown_drone(name: str, drones: list[dict[str, Any]]) -> str:
    names = ", ".join(str(each.get("id") or each.get("name")) for each in drones) or "none"
    return f"there is no drone {name[:64]!r} (there are: {names[:500]})"


def list_commands(call: Call) -> Reply:
    """Return the commands of a session, each with its latest status, and the types there are."""
    session = _session(call)
    found: dict[int, dict[str, Any]] = {}
    if session is not None:
        for line in session.tape(stream_names.COMMANDS).read(damaged="skip"):
            number = line.data.get("id")
            if isinstance(number, int):
                found[number] = {**found.get(number, {}), **line.data, "command_id": number, "sim_time": line.t_s}
    commands = list(found.values())[-call.query["limit"] :]
    return json_reply(
        {
            "success": True, "session_id": session.session_id if session else None, "commands": commands,
            "total": len(found), "command_types": list(COMMAND_TYPES),
        }
    )  # fmt: skip


def master_controls(call: Call) -> Reply:
    """Return the commands that the fleet as a whole takes now, and the request for each."""
    found = control_state.state_of(call.context, call.query.get("session_id"))
    flies = bool(found["running"])
    able = {
        "start": not flies, "pause": flies and not found["paused"], "resume": flies and bool(found["paused"]),
        "stop": flies, "reset": True, "restart": call.context.simulations.current is not None, "spawn": True,
        "command": flies,
    }  # fmt: skip
    controls = [
        {"control": name, "method": "POST", "path": f"/api/{name}", "possible": able[name]} for name in _CONTROLS
    ]
    return json_reply(
        {"success": True, "session_id": found["session_id"], "status": found["status"], "controls": controls}
    )


def training_buildings(call: Call) -> Reply:
    """Return the buildings of the sessions that were stored, newest first: what a model is trained with."""
    context = call.context
    rows = context.store.find(call.query.get("where"))
    sessions = [row for row in rows if row.num_buildings][: call.query["limit"]]
    found = [
        {"session_id": row.session_id, "buildings": context.buildings.list_buildings(row.session_id)}
        for row in sessions
    ]
    return json_reply({"success": True, "sessions": found, "total": len(found)})


def training_data(call: Call) -> Reply:
    """Return features, decisions and outcomes of the sessions, as ``sessionstore export`` writes them for training."""
    rows = list(itertools.islice(training_rows(call.context.store, call.query.get("where")), call.query["limit"]))
    return json_reply({"success": True, "rows": rows, "count": len(rows)})


def list_scenarios(call: Call) -> Reply:
    """Return the scenarios that come with the package."""
    found = []
    for name, path in ready_scenarios().items():
        scenario = load_scenario(path)
        found.append(
            {
                "name": name, "description": scenario.description, "duration_s": scenario.duration_s,
                "drones": scenario.counts(),
            }
        )  # fmt: skip
    return json_reply({"success": True, "scenarios": found, "total": len(found)})


def _session(call: Call) -> Session | None:
    context: Context = call.context
    return control_state.subject_of(context, call.query.get("session_id"))


def operations() -> list[Operation]:
    """Return the routes of this module."""
    which: dict[str, Any] = {
        "tag": TAG, "reply": api_schemas.ANY_REPLY, "query": shapes.WHICH_QUERY, "problems": (400, 404, 409),
    }  # fmt: skip
    commands: dict[str, Any] = {**which, "query": CommandsQuery()}
    training: dict[str, Any] = {**which, "query": TrainingQuery(), "problems": (400, 409)}
    table: list[tuple[str, str, Any, str, dict[str, Any]]] = [
        ("get_sensors", "/api/sensors/{drone}", drone_sensors, "Get the sensors of a drone", which),
        ("get_drone_sensors", "/api/drones/{drone}/sensors", drone_sensors, "Get the sensors of a drone", which),
        ("list_commands", "/api/commands", list_commands, "List the commands", commands),
        ("list_master_commands", "/api/master/commands", list_commands, "List the commands", commands),
        (
            "list_master_controls",
            "/api/master/controls",
            master_controls,
            "List the commands that the fleet takes",
            which,
        ),
        (
            "get_training_buildings",
            "/api/training/buildings",
            training_buildings,
            "Get buildings for training",
            training,
        ),
        (
            "get_buildings_for_training",
            "/api/training-buildings",
            training_buildings,
            "Get buildings for training",
            training,
        ),
        ("get_ml_learning", "/api/ml-learning", training_data, "Get training data", training),
        ("get_current_weather", "/api/weather/current", control_state.weather, "Get the weather", which),
    ]
    return [
        *(
            Operation("GET", path, handler, summary, operation_id=name, **more)
            for name, path, handler, summary, more in table
        ),
        Operation("GET", "/api/scenarios", list_scenarios, "List the scenarios", TAG, reply=api_schemas.ANY_REPLY),
    ]
