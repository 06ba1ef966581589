"""Real faults behind a real server process with a real flight: no 5xx but truthful ones, and it recovers by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.postgres_server import PostgresServer, fill_up, running_server, with_settings
from tests.server.served_process import POLLED, Served, eventually, served_process

pytestmark = pytest.mark.slow


def fly(served: Served, name: str) -> str:
    """Start a flight in a session that waits, and return the session when it moves."""
    made = served.post("/api/sessions/create-demo", session_name=name, num_buildings=2)
    served.post("/api/start", duration=600, realtime_factor=5)
    eventually(lambda: served.get("/api/status")["sim_time"] > 1)
    return str(made["session_id"])


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    if os.environ.get("SESSIONSTORE_TEST_PG_DSN"):
        pytest.skip("the server of SESSIONSTORE_TEST_PG_DSN is not ours to kill")
    with running_server() as server:
        yield server


def test_a_postmaster_that_is_killed_under_the_server_costs_no_session(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    import psycopg

    url = with_settings(postgres.url, schema="served", timeout_s=1, retry_s=1)
    with served_process(tmp_path / "store", "--index", url) as served:
        ids = [served.post("/api/sessions", 201, session_name="before")["session_id"], fly(served, "Flying")]
        health = served.get("/api/health")
        assert health["status"] == "ok" and health["index"]["engine"] == "postgresql"
        postgres.kill()
        made = served.post("/api/sessions", 201, session_name="during")
        ids.append(made["session_id"])
        assert made["index"]["status"] == "pending" and "IndexUnavailable" in made["index"]["reason"]
        for _ in range(3):
            assert set(served.statuses(POLLED).values()) == {200}
        health = served.get("/api/health")
        assert health["healthy"] and health["status"] == "degraded" and not health["index"]["reachable"]
        assert "index cannot be used" in health["reason"] and health["sessions"]["pending"] == 3
        assert served.get("/api/sessions")["total"] == 3
        changed = served.client.patch(f"/api/sessions/{ids[0]}", json={"notes": "while it was away"})
        assert changed.status_code == 200
        assert served.post("/api/stop")["status"] == "stopped"
        ids.append(fly(served, "Also flying"))  # a whole flight from its creation to its end without the engine
        assert served.post("/api/stop")["replay_available"]
        postgres.start()
        eventually(lambda: served.get("/api/health")["status"] == "ok" and _pending(served) == 0)
        assert served.get("/api/sessions")["total"] == 4
    with psycopg.connect(postgres.url) as connection:
        rows = connection.execute("SELECT session_id, row::jsonb->>'status' FROM served.sessions").fetchall()
    assert sorted(name for name, _ in rows) == sorted(ids)
    assert dict(rows)[ids[1]] == dict(rows)[ids[3]] == "stopped"


def _pending(served: Served) -> Any:
    return served.get("/api/health")["sessions"].get("pending")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("mounting a tmpfs needs root and mount")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_disk_that_fills_up_in_flight_is_told_and_room_heals_it(small_disk: Path) -> None:
    with served_process(small_disk / "store") as served:
        session_id = fly(served, "Flying")
        fill_up(small_disk)
        waits = eventually(lambda: found if "problem" in (found := served.get("/api/state")) else None)
        assert waits["running"] and "the disk is full" in waits["problem"], "it waits 30 s, and answers meanwhile"
        over = eventually(lambda: found if not (found := served.get("/api/state"))["running"] else None)
        assert "No space left" in over["problem"] and str(small_disk) not in str(over["problem"])
        assert over["status"] in ("interrupted", "failed")
        eventually(lambda: not served.get("/api/simulations")["running"])  # its process ends a little later
        filler = fill_up(small_disk)  # what the flight's last attempt gave back
        answers = served.statuses(POLLED)
        assert answers.pop("/api/health") == 503 and set(answers.values()) == {200}
        assert "No space left" in served.client.get("/api/health").json()["reason"]
        for path in ("/api/sessions", "/api/sessions/create-demo", "/api/start"):
            reply = served.client.post(path, json={})
            assert reply.status_code == 507 and reply.json()["detail"] == "No space left on device", reply.text
        assert served.post("/api/stop")["stopped"] is False
        filler.unlink()
        assert served.get("/api/health")["healthy"]
        assert served.get(f"/api/sessions/{session_id}")["replay_available"]
        fly(served, "After")
        assert served.post("/api/stop")["status"] == "stopped"
        assert served.get("/api/sessions")["total"] == 2


def test_a_store_that_is_replaced_in_flight_is_read_as_it_is_now(tmp_path: Path) -> None:
    root = tmp_path / "store"
    with served_process(root) as served:
        old = fly(served, "Old")
        root.rename(tmp_path / "elsewhere")
        eventually(lambda: not served.get("/api/simulations")["running"])  # its session is gone: it ends
        assert set(served.statuses(POLLED).values()) == {200}
        assert served.get("/api/state")["status"] == "idle" and served.get("/api/sessions")["total"] == 0
        assert served.client.get(f"/api/sessions/{old}").status_code == 404
        new = fly(served, "New")
        assert served.post("/api/stop")["session_id"] == new
        shutil.rmtree(root)
        (tmp_path / "elsewhere").rename(root)
        assert [row["session_id"] for row in served.get("/api/sessions")["sessions"]] == [old]
        assert served.get(f"/api/sessions/{old}")["status"] in ("interrupted", "failed")
        fly(served, "Again")
        assert served.post("/api/stop")["status"] == "stopped"


def test_a_flight_whose_server_is_killed_is_stopped_and_stored(tmp_path: Path) -> None:
    """The flight's process notices that nobody leads it any more, and stores its session."""
    with served_process(tmp_path / "store") as served:
        session_id = fly(served, "Flying")
        served.process.kill()
        served.process.wait(60)
    with served_process(tmp_path / "store") as again:
        found = eventually(
            lambda: one if (one := again.get(f"/api/sessions/{session_id}"))["status"] != "running" else None
        )
        assert found["status"] == "stopped" and found["end_reason"] == "stopped: the server has gone"
        fly(again, "Next")
        assert again.post("/api/stop")["replay_available"]
