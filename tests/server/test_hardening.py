"""What hostile or broken surroundings may do to the server: half-open sockets, two lengths, torn lines, SIGHUP."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sessionstore.server.flights import simulation_process
from sessionstore.server.flights.simulation_process import SimulationProcess
from sessionstore.server.http import problems, protocol
from sessionstore.server.http.problems import problem_of
from tests.ports import free_port
from tests.server.conftest import Running
from tests.server.served_process import eventually, served_process


def test_a_thousand_half_open_connections_keep_nobody_out(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol.GuardedProtocol, "header_timeout_s", 600.0)  # none is closed by its age
    held = []
    try:
        for _ in range(1100):
            connection = socket.create_connection(("127.0.0.1", served.port), timeout=60)
            connection.sendall(b"GET /api/trash HTTP/1.1\r\n")
            held.append(connection)
        assert served.client.get("/api/trash", timeout=60).status_code == 200
    finally:
        for connection in held:
            connection.close()


def test_a_request_with_two_lengths_is_refused(served: Running) -> None:
    head = b"POST /api/stop HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n" % served.port
    reply = served.raw(head + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 400")
    assert b"connection: close" in reply.lower()


def test_a_process_killed_while_it_answers_is_seen_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    started = subprocess.Popen

    def torn(command: list[str], **more: Any) -> Any:
        program = (
            "import sys, os, signal; sys.stdin.readline();"
            'sys.stdout.write(\'{"event": "ready", "session_id": "202601010000-torn"}\\n\'); sys.stdout.flush();'
            'sys.stdin.readline(); sys.stdout.write(\'{"id": 1, "resu\'); sys.stdout.flush();'
            "os.kill(os.getpid(), signal.SIGKILL)"
        )
        return started([sys.executable, "-c", program], **more)

    monkeypatch.setattr(subprocess, "Popen", torn)
    monkeypatch.setattr(simulation_process, "ANSWER_TIMEOUT_S", 600.0)
    run = SimulationProcess({}, None)  # type: ignore[arg-type]
    with pytest.raises(Exception, match=r"(?i)not|gone"):  # no timeout is waited for
        run.ask("state")
    eventually(lambda: not run.running and run.ended == "gone")


def test_too_many_open_files_are_answered_and_reported_in_one_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problems, "_reported_at", [float("-inf")])
    for _ in range(100):
        problem = problem_of(OSError(24, "Too many open files"))
        assert problem.status == 503 and "retry-after" in problem.headers
    assert len(caplog.records) == 1 and caplog.records[0].exc_info is None


@pytest.mark.slow
def test_150_live_views_with_64_descriptors_are_refused_in_words_and_log_a_few_lines(tmp_path: Path) -> None:
    from sessionstore import open as open_store

    with (
        open_store(tmp_path / "store") as store,
        store.record("Flight") as run,
        contextlib.ExitStack() as opened,
    ):
        run.motion.append("scout-1", 0.0, (0, 0, 5))
        port = free_port()
        serve = f"ulimit -n 64; exec {sys.executable} -m sessionstore serve --port {port} --dir {tmp_path}/store"
        log = tmp_path / "log"
        with log.open("wb") as out:
            server = subprocess.Popen(["bash", "-c", serve], stderr=out, stdout=subprocess.DEVNULL)

        def answer(connection: socket.socket) -> bytes:
            try:
                return connection.recv(12)
            except OSError:
                return b""

        def asked(path: str) -> socket.socket:
            connection = opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            return connection

        began = time.monotonic()
        try:
            eventually(lambda: b"http://" in log.read_bytes())
            views = [asked(f"/api/sessions/{run.session_id}/live") for _ in range(150)]
            answers = [answer(view) for view in views]
            assert answers.count(b"HTTP/1.1 200") >= 5, "the others are refused (503) or closed, and come again"
            assert set(answers) <= {b"HTTP/1.1 200", b"HTTP/1.1 503", b""}
            for view in views:
                view.close()
            eventually(lambda: answer(asked("/api/trash")) == b"HTTP/1.1 200")
            most = 3 + (time.monotonic() - began) // 10
            assert log.read_bytes().count(b"Exceeded concurrency limit") <= most, "once in ten seconds"
            assert log.stat().st_size < 2000 + 200 * most, log.read_text()
        finally:
            server.terminate()
            assert server.wait(30) is not None


@pytest.mark.slow
def test_a_terminal_that_closes_stops_the_flight_and_stores_it(tmp_path: Path) -> None:
    with served_process(tmp_path / "store") as served:
        flight = served.post("/api/start", duration=600, drones={"scout": 1}, num_buildings=1)
        os.kill(served.process.pid, signal.SIGHUP)
        assert served.process.wait(60) is not None
    from sessionstore import open as open_store

    with open_store(tmp_path / "store") as store:
        assert store.get(flight["session_id"]).status == "stopped"


def test_a_command_for_an_unknown_drone_is_refused_at_once(served: Running) -> None:
    plan = {"duration": 600, "num_buildings": 1, "drones": {"scout": 2}}
    assert served.client.post("/api/start", json=plan).status_code == 200
    order = {"command_type": "hover", "drone_name": "nobody"}
    reply = served.client.post("/api/command", json=order)
    assert reply.status_code == 404 and "scout-1" in reply.json()["detail"]
    follow = {"command_type": "follow", "drone_name": "scout-1", "target": "Scout-2"}
    assert served.client.post("/api/command", json=follow).status_code == 200
    assert served.client.post("/api/command", json={**follow, "target": "nobody"}).status_code == 404
    served.client.post("/api/stop", json={})
