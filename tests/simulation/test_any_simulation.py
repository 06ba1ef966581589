"""Any other simulation: a simpy model records itself through the same recorder in ten lines."""

from __future__ import annotations

import pytest

import sessionstore
from sessionstore.store import SessionStore

simpy = pytest.importorskip("simpy", reason="simpy is not installed: the example with a third-party simulation")


def test_a_simpy_model_records_itself_in_ten_lines(store: SessionStore) -> None:
    # the example begins
    def courier(env, session, speed_mps=4.0):  # type: ignore[no-untyped-def]
        while True:
            session.motion.append("courier-1", env.now, [speed_mps * (env.now % 60), 0.0, 0.0])
            if env.now % 60 == 0:
                session.event("round", "a new round begins", t_s=env.now)
            yield env.timeout(0.5)

    with sessionstore.open(store.root.path) as opened, opened.record("Courier", seed=1) as session:
        env = simpy.Environment()
        env.process(courier(env, session))
        env.run(until=300)
    # the example ends

    found = store.get("Courier")
    assert found.record.status == "completed" and found.replay_available
    assert found.record.duration_sim_s == 299.5
    assert found.record.performance_metrics["drones"]["courier-1"]["points"] == 600
    assert sum(1 for line in found.tape("events").read() if line.data["kind"] == "round") == 5


def test_an_exception_in_a_simpy_process_marks_the_session_failed(store: SessionStore) -> None:
    def breaks(env):  # type: ignore[no-untyped-def]
        yield env.timeout(3)
        raise RuntimeError("the chain came off")

    with pytest.raises(RuntimeError), store.record("Broken") as session:
        env = simpy.Environment()
        env.process(breaks(env))
        env.run(until=10)
    record = store.get("Broken").record
    assert record.status == "failed" and "the chain came off" in str(record.end_reason)
    assert session.session_id == record.session_id
