"""The users' sequences against a real server with a real simulation behind it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.server.conftest import Running

pytestmark = pytest.mark.slow


def post(served: Running, path: str, **body: Any) -> dict[str, Any]:
    reply = served.client.post(path, json=body)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    assert found["success"] is True
    return found


def get(served: Running, path: str) -> dict[str, Any]:
    reply = served.client.get(path)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def wait_until(holds: Callable[[], Any], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.05)
    return found


@pytest.mark.parametrize(
    ("fleet", "names"),
    [
        ({"drones": {"scout": 1, "hexacopter": 2}}, ["scout-1", "hexacopter-1", "hexacopter-2"]),
        ({"fleet": {"climber": 1}}, ["climber-1"]),
        ({"drones": [{"type": "scout", "name": "Eye"}, {"kind": "quadcopter", "count": 2}]},
         ["Eye", "quadcopter-1", "quadcopter-2"]),
    ],
)  # fmt: skip
def test_create_demo_flies_the_fleet_that_it_is_given(served: Running, fleet: dict[str, Any], names: list[str]) -> None:
    made = post(served, "/api/sessions/create-demo", session_name="Fleet", num_buildings=1, **fleet)
    post(served, "/api/start", duration=60, realtime_factor=1)
    wait_until(lambda: get(served, "/api/status")["sim_time"] > 0)
    assert [drone["id"] for drone in get(served, "/api/state")["drones"]] == names
    assert post(served, "/api/stop")["session_id"] == made["session_id"]
    record = get(served, f"/api/sessions/db/{made['session_id']}")
    assert [drone["id"] for drone in record["drones"]] == names and record["metadata"]["num_drones"] == len(names)


@pytest.mark.parametrize(
    ("fleet", "reason"),
    [
        ({"drones": {"zeppelin": 1}}, "zeppelin"),
        ({"drones": {"scout": 1}, "fleet": {"scout": 1}}, "either"),
        ({"drones": [{"name": "Eye"}]}, "kind"),
        ({"drones": [{"type": "scout", "name": "Eye", "count": 2}]}, "one drone"),
    ],
)
def test_a_fleet_that_cannot_be_made_is_refused_and_makes_no_session(
    served: Running, fleet: dict[str, Any], reason: str
) -> None:
    reply = served.client.post("/api/sessions/create-demo", json={"num_buildings": 1, **fleet})
    assert reply.status_code in (400, 422) and reason in reply.text
    assert get(served, "/api/sessions")["total"] == 0


def test_create_demo_start_move_stop_makes_one_session_that_can_be_replayed(served: Running) -> None:
    assert post(served, "/api/stop")["stopped"] is False
    made = post(served, "/api/sessions/create-demo", session_name="ReplayTest", num_buildings=3)
    assert made["directory"]["status"] == "done" and len(get(served, "/api/buildings/list")["buildings"]) == 3
    assert get(served, "/api/state")["workflow_state"] == "buildings_spawned"
    started = post(served, "/api/start", duration=60, headless=True)
    assert started["session_id"] == made["session_id"]
    state = get(served, "/api/state")
    assert state["running"] and not state["paused"] and len(state["drones"]) == 5 and len(state["buildings"]) == 3
    command = post(served, "/api/command", drone_name="scout-1", command_type="move_to", target=[8, 8, 20])
    address = f"/api/commands/{command['command_id']}"
    wait_until(lambda: get(served, address)["status"] in ("applied", "done"))
    wait_until(lambda: get(served, "/api/status")["sim_time"] > 2)
    stopped = post(served, "/api/stop")
    assert stopped["status"] == "stopped" and stopped["replay_available"]
    record = get(served, f"/api/sessions/db/{made['session_id']}")
    assert record["status"] == "stopped" and record["end_reason"] == "stopped by user"
    assert record["performance_metrics"]["totals"]["distance_m"] > 0.01
    assert get(served, "/api/sessions")["total"] == 1
    history = get(served, f"/api/sessions/{made['session_id']}/replay")["motion_history"]["scout-1"]
    assert history[-1]["position"] != history[0]["position"] and len(history) > 20
    selected = post(served, f"/api/sessions/{made['session_id']}/select")
    assert selected["session"]["replay_available"] and len(selected["replay_data"]["buildings"]) == 3
    assert selected["replay_data"]["motion_history"]["scout-1"][0]["timestamp"].endswith("Z")
    assert get(served, f"{address}?session_id={made['session_id']}")["status"] in ("done", "failed")


def test_the_training_loop_stops_resets_spawns_starts_and_polls(served: Running) -> None:
    sessions = []
    for _ in range(2):
        post(served, "/api/stop")
        post(served, "/api/reset")
        post(served, "/api/buildings/spawn-random", num_buildings=3)
        for kind in ("scout", "scout", "tanker"):
            assert post(served, "/api/spawn", type=kind)["drone_name"]
        started = post(served, "/api/start", duration=4, realtime_factor=0)
        state = wait_until(lambda: None if (found := get(served, "/api/state"))["running"] else found)
        assert state["status"] == "completed" and state["sim_time"] == 4.0
        assert {drone["name"] for drone in state["drones"]} == {"scout-1", "scout-2", "tanker-mule-1"}
        sessions.append(started["session_id"])
    assert len(set(sessions)) == 2
    kinds = get(served, "/api/sessions")["sessions"][0]["drones"]
    assert kinds == {"scout": 2, "tanker-mule": 1}


def test_pause_holds_sim_time_and_resume_goes_on(served: Running) -> None:
    post(served, "/api/start", duration=60)
    wait_until(lambda: get(served, "/api/status")["sim_time"] > 0.3)
    post(served, "/api/pause")
    held = get(served, "/api/status")
    assert held["paused"] and not held["running"]
    threading.Event().wait(0.4)
    assert get(served, "/api/status")["sim_time"] == held["sim_time"]
    assert get(served, f"/api/sessions/{held['session_id']}")["status"] == "paused"
    post(served, "/api/resume")
    wait_until(lambda: get(served, "/api/status")["sim_time"] > held["sim_time"])


def test_a_command_that_cannot_be_carried_out_says_why_in_the_session(served: Running) -> None:
    started = post(served, "/api/start", duration=60)
    refused = served.client.post("/api/command", json={"drone_name": "scout-1", "command_type": "move_to"})
    assert refused.status_code == 400 and "target" in refused.json()["detail"]
    unknown = served.client.post("/api/command", json={"drone_name": "nobody", "command_type": "hover"})
    assert unknown.status_code == 404 and "scout-1" in unknown.json()["detail"]
    number = post(served, "/api/command", drone_name="scout-1", command_type="move_to", target=[0, 0, -5])["command_id"]
    outcome = wait_until(
        lambda: found if (found := get(served, f"/api/commands/{number}"))["status"] == "failed" else None
    )
    assert outcome["reason"] and outcome["history"][-1]["status"] == "failed"
    spawned = post(served, "/api/spawn", type="quadcopter", name="Extra")
    wait_until(lambda: get(served, f"/api/commands/{spawned['command_id']}")["status"] == "done")
    assert "Extra" in {drone["name"] for drone in get(served, "/api/drones")["drones"]}
    wait_until(lambda: get(served, "/api/motion/extra?limit=5")["count"])
    assert get(served, "/api/communication?limit=5")["count"] > 0
    post(served, "/api/stop")
    stored = [line.data for line in served.store.get(started["session_id"]).tape("commands").read()]
    assert {(line["id"], line["status"]) for line in stored} >= {(number, "queued"), (number, "failed")}


def test_a_second_start_is_refused_and_parallel_flights_keep_apart(served: Running) -> None:
    first = post(served, "/api/start", duration=60, session_name="first")
    again = served.client.post("/api/start", json={})
    assert again.status_code == 409 and again.json()["session_id"] == first["session_id"]
    second = post(served, "/api/start", duration=60, session_name="second", parallel=True)
    assert get(served, "/api/state")["session_id"] == second["session_id"]
    assert get(served, f"/api/state?session_id={first['session_id']}")["running"]
    assert post(served, "/api/stop", session_id=first["session_id"])["session_id"] == first["session_id"]
    assert get(served, "/api/simulations")["running"] == [second["session_id"]]


def test_restart_flies_again_in_a_new_session(served: Running) -> None:
    post(served, "/api/sessions/create-demo", session_name="again", num_buildings=2, seed=5)
    first = post(served, "/api/start", duration=60)
    second = post(served, "/api/restart")
    assert second["session_id"] != first["session_id"] and second["running"]
    assert get(served, f"/api/sessions/{first['session_id']}")["status"] == "stopped"
    assert len(get(served, "/api/buildings/list")["buildings"]) == 2


def test_a_city_that_is_sent_is_flown_and_stays_with_its_session(served: Running) -> None:
    square = [[4.0, 52.0], [4.0003, 52.0], [4.0003, 52.0002], [4.0, 52.0002], [4.0, 52.0]]
    feature = {
        "type": "Feature", "properties": {"height": 20}, "geometry": {"type": "Polygon", "coordinates": [square]},
    }  # fmt: skip
    loaded = post(served, "/api/buildings/load", type="FeatureCollection", features=[feature])
    assert loaded["num_buildings"] == 1 and loaded["passed_over"] == {} == loaded["replaced"]
    started = post(served, "/api/start", duration=1, realtime_factor=0)
    assert started["session_id"] == loaded["session_id"]
    wait_until(lambda: not get(served, "/api/state")["running"])
    assert get(served, f"/api/sessions/{loaded['session_id']}/artifacts")["artifacts"][0]["name"] == "city.json"
    for rubbish in ({"type": "FeatureCollection", "features": []}, {"type": "CityJSON"}, {"type": "other"}):
        before = get(served, "/api/sessions")["total"]
        reply = served.client.post("/api/buildings/load", json=rubbish)
        assert reply.status_code == 400 and str(served.store.root.path) not in reply.text
        assert get(served, "/api/sessions")["total"] == before


def test_a_default_height_of_a_city_that_is_sent_is_flown_with_and_counted(served: Running) -> None:
    square = [[4.0, 52.0], [4.0003, 52.0], [4.0003, 52.0002], [4.0, 52.0002], [4.0, 52.0]]
    polygon = {"type": "Polygon", "coordinates": [square]}
    city = {"type": "FeatureCollection",
            "features": [{"type": "Feature", "properties": {"building": "yes"}, "geometry": polygon}]}  # fmt: skip
    for query, taken in (("default_height_m=12", "12 m taken"), ("default_levels=5", "15 m taken"), ("", "9 m taken")):
        loaded = served.client.post(f"/api/buildings/load?{query}", json=city).json()
        assert [what.partition(": ")[2] for what in loaded["replaced"]] == [taken]
        assert loaded["buildings"][0]["roof_m"] == float(taken.split()[0])
    post(served, "/api/start", duration=1, realtime_factor=0)
    wait_until(lambda: not get(served, "/api/state")["running"])
    for query in ("default_height_m=12&default_levels=4", "default_height_m=0", "default_levels=151"):
        assert served.client.post(f"/api/buildings/load?{query}", json=city).status_code == 400


def test_a_simulation_that_is_killed_is_told_as_interrupted_and_costs_nothing_else(served: Running) -> None:
    started = post(served, "/api/start", duration=60)
    wait_until(lambda: get(served, "/api/status")["sim_time"] > 0.5)
    os.kill(started["pid"], signal.SIGKILL)
    record = wait_until(
        lambda: (
            found if (found := get(served, f"/api/sessions/{started['session_id']}"))["status"] != "running" else None
        )
    )
    assert record["status"] == "interrupted" and "gone" in record["problem"] and record["replay_available"]
    wait_until(
        lambda: get(served, "/api/state")["status"] == "interrupted"
    )  # the pipe of a dead process takes a moment
    assert served.client.post("/api/pause").status_code == 409
    assert post(served, "/api/start", duration=1, realtime_factor=0)["session_id"] != started["session_id"]


def test_the_first_answer_after_the_death_of_a_simulation_tells_it(served: Running) -> None:
    for _ in range(3):
        started = post(served, "/api/start", duration=60)
        get(served, "/api/state")  # a picture that could be shown again
        os.kill(started["pid"], signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):  # taken in already
            os.waitid(os.P_PID, started["pid"], os.WEXITED | os.WNOWAIT)
        found = get(served, "/api/state")
        assert (found["status"], found["running"]) == ("interrupted", False) and "process" in found["problem"]
        assert (
            served.client.post("/api/command", json={"drone_name": "scout-1", "command_type": "hover"}).status_code
            == 409
        )


def test_a_session_that_is_deleted_after_its_flight_leaves_an_idle_state(served: Running) -> None:
    started = post(served, "/api/start", duration=1, realtime_factor=0)
    wait_until(lambda: get(served, "/api/state")["status"] == "completed")
    assert served.client.delete(f"/api/sessions/{started['session_id']}").status_code == 200
    for path in ("state", "status", "realtime-status", "data", "drones", "buildings/list", "communication", "weather"):
        assert get(served, f"/api/{path}")["success"]
    assert get(served, "/api/state")["status"] == "idle"
    assert served.client.get(f"/api/state?session_id={started['session_id']}").status_code == 404


def test_ending_the_server_stores_what_flies(served: Running) -> None:
    started = post(served, "/api/start", duration=60)
    served.server.should_exit = True
    record = served.store.get(started["session_id"])
    wait_until(lambda: record.record.status == "stopped")
    assert record.record.end_reason == "stopped: the server ended"


def test_a_live_viewer_sees_a_real_flight_whole(served: Running) -> None:
    started = post(served, "/api/start", duration=3, realtime_factor=2)
    seen: list[int] = []
    with served.client.stream("GET", f"/api/sessions/{started['session_id']}/live?streams=motion_history") as reply:
        event = ""
        for line in reply.iter_lines():
            event = line[7:] if line.startswith("event: ") else event
            if line.startswith("data: ") and event == "motion_history":
                seen += [record["n"] for record in json.loads(line[6:])]
            if event == "end" and line.startswith("data: "):
                break
    tape = served.store.get(started["session_id"]).tape("motion_history")
    assert seen == [line.n for line in tape.read()]


def test_what_no_simulation_can_do_is_a_4xx(served: Running) -> None:
    for path, body in (
        ("/api/pause", {}), ("/api/resume", {}), ("/api/restart", {}),
        ("/api/command", {"drone_name": "x", "command_type": "hover"}),
        ("/api/command", {"drone_name": "x", "command_type": "explode"}),
        ("/api/spawn", {"type": "submarine"}), ("/api/spawn", {"name": "../x"}), ("/api/start", {"duration": 0}),
        ("/api/start", {"duration": -5}), ("/api/start", {"drones": {"submarine": 1}}),
        ("/api/start", {"weather": "x"}), ("/api/start", {"session_id": "nothing"}),
        ("/api/weather", {"condition": "hail"}), ("/api/buildings/load", []),
    ):  # fmt: skip
        reply = served.client.post(path, json=body)
        assert 400 <= reply.status_code < 500 and reply.json()["detail"], (path, body, reply.text)
    assert get(served, "/api/sessions")["total"] == 0
