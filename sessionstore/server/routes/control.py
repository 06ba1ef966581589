"""Control of the live simulation over HTTP, under the addresses that the users' programs know.

``create-demo`` and ``spawn`` make a session that waits; ``start`` flies that one and makes no second. ``stop`` answers
when the session is stored. Addresses without a session id mean the current simulation.
Not here: what it looks like now (server.routes.control_state), processes (server.flights.simulations).
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

from sessionstore.boxes.session_db_box import as_dict
from sessionstore.errors import InvalidRecord
from sessionstore.server.context import Context
from sessionstore.server.flights.plans import Plan, default_height_m, drones_of, kind_of, store_city
from sessionstore.server.flights.simulation_process import SimulationProcess
from sessionstore.server.http.operations import Call, Operation
from sessionstore.server.http.problems import ApiProblem
from sessionstore.server.http.reply import Reply, encode, json_reply
from sessionstore.server.routes import api_schemas, control_schemas, control_state
from sessionstore.server.routes.known_addresses import find_drone, unknown_drone
from sessionstore.server.routes.sessions import create
from sessionstore.session import stream_names
from sessionstore.simulation.drones.kinds import KINDS, SCOUT

TAG = "simulation"
MAX_CITY_BYTES = 64 << 20


# ---------------------------------------------------------------- sessions that wait


def create_demo(call: Call) -> Reply:
    """Make a session with random buildings that waits for a start."""
    return json_reply(make_waiting(call.context, dict(call.body)))


def spawn_session(call: Call) -> Reply:
    """Make a session with random buildings that waits for a start."""
    return json_reply(make_waiting(call.context, dict(call.body)))


def make_waiting(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    """Make a session, store its buildings, and make it the next to fly; return the report of the creation."""
    drones = drones_of(_fleet_of(given))
    plan = _next_plan(context)
    plan.drones = drones or plan.drones
    plan.buildings = given.pop("num_buildings")
    plan.hidden_buildings = given.pop("num_invisible_buildings", 0)
    plan.base_position = given.get("base_position", plan.base_position)
    plan.seed = given.pop("seed", plan.seed) % (1 << 31)
    result = create(
        context, {**given, "num_buildings": plan.buildings, "num_invisible_buildings": plan.hidden_buildings}
    )
    context.simulations.wait_in(result["session_id"], plan)
    return {**result, "num_buildings": plan.buildings, "waiting": True}


def _next_plan(context: Context) -> Plan:
    """Return a plan with the drones that were entered before there was a session."""
    draft = context.simulations.draft
    return draft if draft.session_id is None else Plan(realtime=draft.realtime, condition=draft.condition)


def spawn_random_buildings(call: Call) -> Reply:
    """Give the next flight random buildings, in a session that waits."""
    given, simulations = call.body, call.context.simulations
    number = given.get("num_buildings", given.get("count", 5))
    _not_while_flying(call.context)
    draft = simulations.draft
    if draft.session_id is None:
        wanted = {name: given[name] for name in ("session_name", "seed") if name in given}
        made = make_waiting(
            call.context,
            {**wanted, "num_buildings": number, "num_invisible_buildings": given["num_invisible_buildings"]},
        )
        return json_reply({**made, "buildings": _scene(call.context, made["session_id"])})
    draft.buildings, draft.hidden_buildings, draft.city = number, given["num_invisible_buildings"], None
    draft.seed = given.get("seed", draft.seed)
    simulations.wait_in(draft.session_id, draft)
    scene = _scene(call.context, draft.session_id)
    return json_reply(
        {"success": True, "session_id": draft.session_id, "num_buildings": number, "waiting": True, "buildings": scene}
    )


def load_buildings(call: Call) -> Reply:
    """Give the next flight the buildings of a city: the body is CityJSON or GeoJSON."""
    context, simulations = call.context, call.context.simulations
    _not_while_flying(context)
    if not isinstance(call.body, dict) or call.body.get("type") not in ("CityJSON", "FeatureCollection"):
        raise ApiProblem(400, "bad-city", "the body is a CityJSON object or a GeoJSON FeatureCollection")
    height_m = default_height_m(call.query)
    plan = _next_plan(context) if simulations.draft.session_id is None else simulations.draft
    fresh = plan.session_id is None
    session_id = plan.session_id or create(context, {"session_name": call.query.get("session_name")})["session_id"]
    session = context.store.get(session_id)
    before = plan.city, plan.default_height_m
    try:
        plan.city, plan.default_height_m = store_city(session, encode(call.body)), height_m
        city = simulations.wait_in(session_id, plan)
    except Exception:
        plan.city, plan.default_height_m = before
        if fresh:  # a session without its city must not wait for a start
            plan.session_id = None
            context.store.delete(session_id)
        raise
    scene = _scene(context, session_id)
    reply = {"success": True, "session_id": session_id, "num_buildings": len(scene), "waiting": True}
    left_out = {"passed_over": dict(city.ignored), "replaced": dict(city.replaced)}
    return json_reply({**reply, **left_out, "buildings": scene})


def _scene(context: Context, session_id: str) -> list[dict[str, Any]]:
    return context.buildings.list_buildings(session_id)


def _not_while_flying(context: Context) -> None:
    current = context.simulations.current
    if current is not None and current.running:
        raise ApiProblem(
            409, "already-running", "buildings do not change in flight: stop it first", session_id=current.session_id
        )


# ---------------------------------------------------------------- the run


def start(call: Call) -> Reply:
    """Start the session that waits, or a new one; answers when it flies."""
    given, simulations = dict(call.body), call.context.simulations
    changes: dict[str, Any] = {}
    duration = given.get("duration", given.get("duration_s"))
    if duration is not None:
        if duration <= 0:
            raise ApiProblem(400, "bad-body", "duration: a flight lasts more than 0 s")
        changes["duration_s"] = duration
    if "realtime_factor" in given:
        changes["realtime"] = given["realtime_factor"] or None
    for name, field in (("seed", "seed"), ("weather", "condition"), ("num_buildings", "buildings")):
        if name in given:
            changes[field] = given[name]
    if {"seed", "num_buildings"} & given.keys() and simulations.draft.session_id is not None:
        raise ApiProblem(409, "buildings-stand", "a session waits, and its buildings stand: reset, or leave these out")
    if drones := drones_of(_fleet_of(given)):
        changes["drones"] = drones
    run = simulations.start(
        changes, given.get("session_id"), given.get("session_name"), given.get("metadata"), given["parallel"]
    )
    return json_reply({**_run_reply(call.context, run), "duration_s": run.plan.duration_s})


def _fleet_of(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Take the fleet out of a body. Raises: ApiProblem: it is given twice."""
    found = [given.pop(name) for name in ("drones", "fleet") if name in given]
    if len(found) > 1:
        raise ApiProblem(400, "bad-body", "fleet: give either drones or fleet")
    return found[0] if found else []


def _run_reply(context: Context, run: SimulationProcess) -> dict[str, Any]:
    record = as_dict(context.store.get(run.session_id))
    names = ("status", "workflow_state", "end_reason", "duration_sim_s", "replay_available", "session_dir_path")
    return {
        "success": True,
        "session_id": run.session_id,
        "running": run.running,
        "realtime_factor": run.plan.realtime,
        "pid": run.pid,
        **{name: record[name] for name in names},
    }


def stop(call: Call) -> Reply:
    """End the run; answers when its session is stored. Without a run the reply says so; that is not an error."""
    run = call.context.simulations.stop(call.body.get("session_id"), call.body.get("reason", "stopped by user"))
    return json_reply(_stopped(call.context, run))


def reset(call: Call) -> Reply:
    """End the run, and forget what was planned."""
    return json_reply(_stopped(call.context, call.context.simulations.reset()))


def _stopped(context: Context, run: SimulationProcess | None) -> dict[str, Any]:
    if run is None:
        return {
            "success": True,
            "stopped": False,
            "running": False,
            "session_id": None,
            "detail": "nothing was running",
        }
    return {**_run_reply(context, run), "stopped": True}


def restart(call: Call) -> Reply:
    """End the run, and fly the same plan again in a new session."""
    return json_reply(_run_reply(call.context, call.context.simulations.restart()))


def pause(call: Call) -> Reply:
    """Hold the run."""
    return _tell(call, "pause")


def resume(call: Call) -> Reply:
    """Go on after a pause."""
    return _tell(call, "resume")


def _tell(call: Call, what: str) -> Reply:
    run = call.context.simulations.need(what, call.body.get("session_id"))
    run.ask(what)
    return json_reply({"success": True, "session_id": run.session_id, "paused": what == "pause"})


# ---------------------------------------------------------------- drones and commands


def spawn(call: Call) -> Reply:
    """Have a drone join: at once when a simulation flies, else at the start of the next one."""
    given, simulations = call.body, call.context.simulations
    kind = kind_of(given.get("type") or given.get("drone_type") or SCOUT)
    name, position = given.get("name"), given.get("position")
    run = simulations.find(given.get("session_id"))
    if run is not None and run.running:
        number = run.ask("command", type="spawn", drone=name or "", target=position, args={"kind": kind})
        return json_reply(_queued(run, number, {"drone_name": name, "name": name, "kind": kind}))
    if "session_id" in given and given["session_id"] != simulations.draft.session_id:
        raise ApiProblem(409, "not-running", "that simulation is not running, and does not wait")
    drone = simulations.draft.add_drone(kind, name, position)
    simulations.changed_draft()
    return json_reply(
        {
            "success": True,
            "drone_name": drone.name,
            "drone_id": drone.name,
            "name": drone.name,
            "kind": kind,
            "status": "planned",
            "session_id": simulations.draft.session_id,
        }
    )


def command(call: Call) -> Reply:
    """Queue an order; its outcome can be asked for, and stands in the session."""
    given = call.body
    kind = given.get("command_type") or given.get("type")
    drone = given.get("drone_name") or given.get("drone") or ""
    if kind is None:
        raise ApiProblem(400, "bad-body", "command_type: is missing")
    if kind != "spawn" and not drone:
        raise ApiProblem(400, "bad-body", "drone_name: is missing")
    run = call.context.simulations.need("take a command", given.get("session_id"))
    args = {name: given[name] for name in ("leader", "duration_s", "kind") if name in given}
    target = given.get("target")
    if kind == "follow" and isinstance(target, str):  # whom to follow, under the name that the users' programs give it
        args["leader"], target = target, None
    elif isinstance(target, str):
        raise ApiProblem(400, "bad-body", "target: a place [x, y, z]; only follow takes the name of a drone")
    if kind != "spawn":
        known = run.state()["drones"]
        drone = known_drone(known, drone)
        if "leader" in args:
            args["leader"] = known_drone(known, args["leader"])
    if "kind" in args:
        args["kind"] = kind_of(args["kind"])
    number = run.ask("command", type=kind, drone=drone, target=target, args=args)
    return json_reply(_queued(run, number, {"drone_name": drone, "command_type": kind}))


def known_drone(drones: list[dict[str, Any]], name: str) -> str:
    """Return the name of a drone as the flight has it. Raises: ApiProblem: 404, it has no such drone."""
    found = find_drone(drones, name)
    if found is None:
        raise ApiProblem(404, "no-drone", unknown_drone(name, drones))
    return str(found.get("id") or found.get("name"))


def _queued(run: SimulationProcess, number: int, more: dict[str, Any]) -> dict[str, Any]:
    address = f"/api/commands/{number}?session_id={run.session_id}"
    return {
        "success": True, "session_id": run.session_id, "command_id": number, "status": "queued", "outcome": address,
        **more,
    }  # fmt: skip


def get_command(call: Call) -> Reply:
    """Return how far a command is; after the run, what the session says."""
    text = call.path["command_id"]
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ApiProblem(404, "no-command", "a command has a number")
    run = call.context.simulations.find(call.query.get("session_id"))
    session_id = run.session_id if run is not None else call.query.get("session_id")
    if session_id is None:
        raise ApiProblem(404, "no-command", "no simulation was started; say session_id")
    session = call.context.find(session_id)
    history = [
        {"sim_time": line.t_s, **line.data}
        for line in session.tape(stream_names.COMMANDS).read(damaged="skip")
        if line.data.get("id") == int(text)
    ]
    running = run is not None and run.running
    if history:  # only stored outcomes are reported
        last = history[-1]
        status = {"status": last["status"], "reason": last.get("reason", "")} if running else _final(last)
    elif run is not None and running:
        run.ask("command_status", id=int(text))  # refuses a number that was never given
        status = {"status": "queued", "reason": ""}
    else:
        raise ApiProblem(404, "no-command", f"the session {session.session_id} has no command {text}")
    return json_reply(
        {"success": True, "command_id": int(text), "session_id": session.session_id, **status, "history": history}
    )


def _final(last: dict[str, Any]) -> dict[str, str]:
    """Return the outcome of a command whose run is over: what was under way then was not done."""
    if last["status"] in ("done", "failed"):
        return {"status": last["status"], "reason": last.get("reason", "")}
    return {"status": "failed", "reason": f"the run ended while it was {last['status']}"}


def drone_configurations(call: Call) -> Reply:
    """Return the kinds of drones with their figures."""
    found = {name: {**asdict(kind), "hover_w": round(kind.hover_w, 1)} for name, kind in KINDS.items()}
    body = encode({"success": True, "drone_configurations": found, "total": len(found)})
    return Reply(body, etag=f'"{hashlib.blake2b(body, digest_size=8).hexdigest()}"')


def set_weather(call: Call) -> Reply:
    """Choose the weather of the next flight."""
    simulations = call.context.simulations
    if simulations.current is not None and simulations.current.running:
        raise InvalidRecord("the weather of a flight is chosen before it starts")
    simulations.draft.condition = call.body["condition"]
    simulations.changed_draft()
    return json_reply({"success": True, "condition": simulations.draft.condition})


# ---------------------------------------------------------------- routes


def session_operations() -> list[Operation]:
    """Return the routes that make sessions which wait."""
    made: dict[str, Any] = {
        "tag": "sessions", "body": api_schemas.DEMO_SESSION, "reply": api_schemas.CREATED_REPLY,
        "problems": (400, 503, 507),
    }  # fmt: skip
    return [
        Operation("POST", "/api/sessions/create-demo", create_demo, "Make a session that waits for a start", **made),
        Operation("POST", "/api/sessions/spawn", spawn_session, "Make a session that waits for a start", **made),
    ]


def operations() -> list[Operation]:
    """Return the routes of the simulation."""
    shapes = control_schemas
    common: dict[str, Any] = {"tag": TAG, "reply": api_schemas.ANY_REPLY}
    which: dict[str, Any] = {**common, "body": shapes.WHICH_BODY, "problems": (400, 404, 409, 503)}
    return [
        Operation("POST", "/api/start", start, "Start a flight", body=shapes.START, problems=(400, 404, 409), **common),
        Operation("POST", "/api/stop", stop, "End the flight, and store it", **which),
        Operation("POST", "/api/pause", pause, "Hold the flight", **which),
        Operation("POST", "/api/resume", resume, "Go on", **which),
        Operation("POST", "/api/reset", reset, "End the flight, and forget the plan", **which),
        Operation("POST", "/api/restart", restart, "Fly again, in a new session", **which),
        Operation("POST", "/api/spawn", spawn, "Have a drone join", body=shapes.SPAWN, problems=(400, 409), **common),
        Operation(
            "POST", "/api/command", command, "Order a drone", body=shapes.COMMAND, body_optional=False,
            problems=(400, 404, 409, 503), **common,
        ),
        Operation(
            "GET", "/api/commands/{command_id}", get_command, "Get the outcome of a command", query=shapes.WHICH_QUERY,
            problems=(400, 404, 409), **common,
        ),
        Operation(
            "POST", "/api/buildings/spawn-random", spawn_random_buildings, "Plan random buildings",
            body=shapes.RANDOM_BUILDINGS, problems=(400, 404, 409, 503, 507), **common,
        ),
        Operation(
            "POST", "/api/buildings/load", load_buildings, "Plan the buildings of a city", query=shapes.LOAD_QUERY,
            raw_body=True, max_body=MAX_CITY_BYTES, problems=(400, 404, 409, 413, 503, 507), **common,
        ),
        Operation("GET", "/api/drone-configurations", drone_configurations, "List the kinds of drones", **common),
        Operation(
            "POST", "/api/weather", set_weather, "Choose the weather", body=shapes.WEATHER, body_optional=False,
            problems=(400, 409), **common,
        ),
        *control_state.operations(),
    ]  # fmt: skip
