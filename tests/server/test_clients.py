"""The users' sequences, as their programs send them: by curl, by requests and by a page in a browser.

Each gets through against ``sessionstore serve`` with a real simulation behind it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pages import DOCS, blocks
from tests.server.served_process import Served, eventually, served_process

Call = Callable[[str, str, Any], dict[str, Any]]


@contextlib.contextmanager
def by_curl(served: Served) -> Iterator[Call]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")

    def call(method: str, path: str, body: Any) -> dict[str, Any]:
        given = [] if body is None else ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
        command = ["curl", "-sS", "--fail-with-body", "-X", method, *given, served.url + path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(json.loads(done.stdout))

    yield call


@contextlib.contextmanager
def by_requests(served: Served) -> Iterator[Call]:
    requests = pytest.importorskip("requests", reason="requests is not installed")
    with requests.Session() as session:
        session.trust_env = False

        def call(method: str, path: str, body: Any) -> dict[str, Any]:
            reply = session.request(method, served.url + path, json=body, timeout=90)
            reply.raise_for_status()
            return dict(reply.json())

        yield call


_FETCH = """async ([method, path, body]) => {
    const given = body === null ? {} : {headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)};
    const reply = await fetch(path, {method, ...given});
    if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${await reply.text()}`);
    return await reply.json();
}"""


@contextlib.contextmanager
def by_a_browser(served: Served) -> Iterator[Call]:
    if (chromium := shutil.which("chromium")) is None:
        pytest.skip("chromium is not installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(served.url)
        yield lambda method, path, body: dict(page.evaluate(_FETCH, [method, path, body]))
        browser.close()


@pytest.mark.slow
@pytest.mark.parametrize("client", [by_curl, by_requests, pytest.param(by_a_browser, marks=pytest.mark.web)])
def test_a_program_of_the_users_gets_through_their_sequences(client: Any, tmp_path: Path) -> None:
    with served_process(tmp_path / "store") as served, client(served) as call:
        create_and_verify(call)
        create_replayable(call)
        one_of_a_batch(call)
        for round_number in range(2):
            one_training_run(call, round_number)
        assert call("GET", "/api/sessions", None)["total"] == 5


def create_and_verify(call: Call) -> None:
    made = call("POST", "/api/sessions/create-demo", {"session_name": "test_session", "num_buildings": 3})
    assert made["success"] and made["directory"]["status"] == made["record"]["status"] == "done"
    record = call("GET", f"/api/sessions/db/{made['session_id']}", None)
    assert record["session_name"] == "test_session" and Path(record["session_dir_path"], "session.json").is_file()
    assert made["session_id"] in {row["session_id"] for row in call("GET", "/api/sessions/db/list", None)["sessions"]}


def create_replayable(call: Call) -> None:
    for _ in range(3):  # stop, with retries
        assert call("POST", "/api/stop", None)["success"]
    made = call("POST", "/api/sessions/create-demo", {"session_name": "ReplayTest", "num_buildings": 3})
    started = call("POST", "/api/start", {"duration": 60, "headless": True})
    assert started["session_id"] == made["session_id"]
    drone = call("GET", "/api/drones", None)["drones"][0]["name"]
    told = call("POST", "/api/command", {"drone_name": drone, "command_type": "move_to", "target": [8, 8, 20]})
    eventually(lambda: call("GET", told["outcome"], None)["status"] in ("applied", "done"))
    eventually(lambda: moved(call("GET", f"/api/motion/{drone}?limit=500", None)["motion"]) > 0.01)
    assert call("POST", "/api/stop", None)["replay_available"] is True
    replay = call("GET", f"/api/sessions/{made['session_id']}/replay?start=0&end=30", None)
    assert replay["replay_available"] and moved(replay["motion_history"][drone]) > 0.01
    assert len(replay["buildings"]) == 3 and replay["base_position"] == [0.0, 0.0, 0.0]
    selected = call("POST", f"/api/sessions/{made['session_id']}/select", None)
    assert selected["replay_data"]["motion_history"].keys() == replay["motion_history"].keys()


def moved(points: list[dict[str, Any]]) -> float:
    """Return the way along points, each of which must bear position and time."""
    assert all(len(point["position"]) == 3 and point["sim_time"] >= 0 for point in points)
    return sum(math.dist(one["position"], two["position"]) for one, two in itertools.pairwise(points))


def one_of_a_batch(call: Call) -> None:
    made = call("POST", "/api/buildings/spawn-random", {"num_buildings": 5})
    assert len(call("GET", "/api/buildings/list", None)["buildings"]) == 5
    started = call("POST", "/api/start", {"duration": 20, "realtime_factor": 0})
    assert started["session_id"] == made["session_id"]
    eventually(lambda: not call("GET", "/api/status", None)["running"])
    assert call("GET", f"/api/sessions/{started['session_id']}", None)["status"] == "completed"


def one_training_run(call: Call, round_number: int) -> None:
    call("POST", "/api/stop", None), call("POST", "/api/reset", None)
    call("POST", "/api/sessions/spawn", {"num_buildings": 3, "session_name": f"ML {round_number}"})
    for kind in ("scout", "scout", "tanker"):
        call("POST", "/api/spawn", {"type": kind})
    assert call("GET", "/api/drones", None)["total"] == 3
    call("POST", "/api/start", {"duration": 120, "realtime_factor": 20})
    state = eventually(lambda: found if (found := call("GET", "/api/state", None))["sim_time"] > 1 else None)
    assert state["running"] and [drone["kind"] for drone in state["drones"]] == ["scout", "scout", "tanker-mule"]
    assert call("POST", "/api/stop", None)["status"] == "stopped"


@pytest.mark.slow
def test_the_lines_with_curl_in_the_reference_do_what_they_say(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (block,) = [each.text for each in blocks(DOCS / "api.md", "sh") if "curl " in each.text]
    lines = [line for line in block.splitlines() if line.startswith("curl ")]
    with served_process(tmp_path / "store") as served:
        given = f"H='Content-Type: application/json'; B={served.url}\n"
        given += 'curl() { command curl -sS --fail-with-body "$@"; }\n'
        for line in lines:
            done = subprocess.run(["bash", "-c", given + line], capture_output=True, text=True, timeout=90)
            live = "/live" in line  # ends when its time is over (28)
            assert done.returncode == 0 and done.stdout, f"{line}\n{done.stdout}\n{done.stderr}"
            assert live or json.loads(done.stdout)["success"] is True
        assert served.get("/api/sessions/latest")["status"] == "stopped"
    assert len(lines) >= 6
