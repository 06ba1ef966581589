"""A sealed session answers every request as it did before: replay, charts, streams, series, SQL, page, exports."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from sessionstore.session import sealing
from sessionstore.simulation.hmrs_simulation_live import HMRSSimulationLive
from sessionstore.simulation.running.scenarios import Group, Scenario
from tests.server.conftest import Running

PATHS = (
    "", "/replay", "/replay?start=2&end=9", "/replay?step=0.5", "/replay?max_points=50", "/streams", "/alerts",
    "/attempts",
    "/streams/motion_history", "/streams/motion_history?tail=20", "/streams/events", "/streams/clock", "/track?start=1",
    "/streams/motion_history?start=3&end=5", "/fields", "/facades", "/figures", "/moment?t=7",
    "/series?stream=motion_history&field=battery", "/series?stream=motion_history&field=position&derive=norm",
    "/xy?x=motion_history.battery&y=motion_history.t", "/export/csv", "/transitions", "/document",
)  # fmt: skip
QUESTIONS = (
    "select count(*), max(sim_time), avg(battery) from motion_history",
    "select drone, min(n), max(n) from motion_history group by drone order by drone",
    "select * from events order by session_id, n limit 20",
)


@pytest.fixture(scope="module")
def flown(shared: Running) -> str:
    plan = Scenario(name="Sealed").with_options(
        seed=3, duration_s=15.0, buildings=2, fleet=(Group("scout", 1), Group("climber", 1))
    )
    live = HMRSSimulationLive(plan, training_sessions_dir=shared.store.root.path, session_name="Sealed")
    session_id = live.run()
    live.session_db_box.close()
    return session_id


def answers(served: Running, session_id: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in PATHS:
        reply = served.client.get(f"/api/sessions/{session_id}{path}")
        text = re.sub(r'"(stored_bytes|sealed)":[^,}]+', "", reply.text)
        found[path] = reply.status_code, text if reply.status_code < 400 else reply.json().get("type")
    for sql in QUESTIONS:
        reply = served.client.post("/api/sql", json={"query": sql})
        found[sql] = reply.status_code, json.loads(reply.text).get("rows")
    return found


def test_a_sealed_session_answers_every_request_as_before(shared: Running, flown: str) -> None:
    session = shared.store.get(flown)
    before = answers(shared, flown)
    assert {path: status for path, (status, _) in before.items() if status != 200} == {}
    sealed = [each for each in session.seal() if each.sealed]
    assert "motion_history" in {each.stream for each in sealed}
    assert not (session.folder / "motion_history.jsonl").exists()
    after = answers(shared, flown)
    assert [path for path in before if before[path] != after[path]] == []
    assert any(each["sealed"] for each in shared.client.get(f"/api/sessions/{flown}/streams").json()["streams"])
    sealing.unseal(session)
    assert answers(shared, flown) == before
