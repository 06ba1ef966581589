"""The clock of a run: live, imported with a start, and in seconds since 1970; and what programs say during a run."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sessionstore.errors import InvalidRecord, TimeOrderError
from sessionstore.store import SessionStore

EPOCH_S = 1_790_000_000.25


def test_times_that_look_like_seconds_since_1970_are_asked_about(store: SessionStore) -> None:
    with store.record("x") as session:
        with pytest.raises(TimeOrderError, match=r'seconds since 1970 \(2026-09-21\); is it\?.*start="epoch"'):
            session.motion.append("a", t_s=EPOCH_S, position_m=(0, 0, 0))
        assert not session.tape("motion_history").exists()
    with store.record("y", start="keep") as session:
        session.motion.append("a", t_s=EPOCH_S, position_m=(0, 0, 0))
    assert session.duration_s == EPOCH_S
    with pytest.raises(InvalidRecord, match="zero, epoch or keep"):
        store.record("z", start="now")  # type: ignore[arg-type]


def test_epoch_times_count_from_the_first_one_and_give_the_records_instants(store: SessionStore) -> None:
    with store.record("x", start="epoch") as session:
        for tick in range(3):
            session.motion.append("a", t_s=EPOCH_S + tick, position_m=(tick, 0, 0))
        session.log("seen", t_s=EPOCH_S + 2)
    begun = datetime.fromtimestamp(EPOCH_S, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    record = session.record
    assert [line.t_s for line in session.tape("motion_history").read()] == [0.0, 1.0, 2.0]
    assert (record.started_at, record.duration_sim_s, record.duration_wall_s) == (begun, 2.0, 2.0)
    assert record.ended_at == begun.replace("50", "52", 1) or record.ended_at is not None
    assert session.metrics["drones"]["a"]["max_speed_mps"] == pytest.approx(1.0, abs=1e-3)
    last = list(session.tape("clock").read())[-1]
    assert last.t_s == 2.0 and last.data["utc"] == record.ended_at


def test_a_flight_that_was_flown_before_keeps_its_own_clock(store: SessionStore) -> None:
    with store.record("x", created_at="2019-05-01T10:00:00Z", started_at="2019-05-01T12:00:00+02:00") as session:
        session.motion.append("a", t_s=0, position_m=(0, 0, 0))
        session.motion.append("a", t_s=90.5, position_m=(1, 0, 0))
    record = session.record
    assert session.session_id.startswith("201905011000")
    assert (record.started_at, record.ended_at) == ("2019-05-01T10:00:00.000000Z", "2019-05-01T10:01:30.500000Z")
    assert record.duration_wall_s == 90.5 == record.duration_sim_s
    assert [line.data["utc"] for line in session.tape("clock").read()][-1] == record.ended_at


def test_a_metadata_value_that_is_refused_does_not_fail_the_run(
    store: SessionStore, caplog: pytest.LogCaptureFixture
) -> None:
    with store.record("x", metadata={"pilot": "Ada", "callback": print, "loss": float("nan")}) as session:
        session.log_params({"seed": 5, "model": object()})
        session.log_param("gain", float("inf"))
    assert session.status == "completed"
    assert session.metadata == {"pilot": "Ada", "loss": None, "seed": 5, "gain": None}
    assert session.record.extra["not_finite"] == {"/metadata/loss": "NaN", "/metadata/gain": "Infinity"}
    said = [line.data for line in session.tape("events").read()]
    assert [each["where"] for each in said] == ["metadata.callback", "metadata.model"]
    assert "has no JSON form" in said[0]["message"] and "metadata.model is left out" in caplog.text


def test_mlflow_names_are_there(store: SessionStore, tmp_path: Path) -> None:
    (tmp_path / "model.txt").write_text("weights")
    with store.record("x") as session:
        for step in range(3):
            session.log_metric("loss", 1 / (step + 1), step=step)
        session.log_metrics({"accuracy": 0.9})
        session.log_artifact(tmp_path / "model.txt")
        session.log_artifact(str(tmp_path / "model.txt"), "again.txt")  # as in MLflow, a text is a path
        session.log_artifact(b"raw", "raw.bin")
        for wrong in (b"raw", str(tmp_path / "gone.txt")):
            with pytest.raises(InvalidRecord):
                session.log_artifact(wrong)
    assert session.metrics["last"] == {"loss": pytest.approx(1 / 3), "accuracy": 0.9}
    assert [line.data.get("step") for line in session.tape("metrics").read()] == [0, 1, 2, None]
    assert set(session.artifacts) == {"model.txt", "again.txt", "raw.bin"}
    assert session.artifacts.read("again.txt") == b"weights"


def test_a_session_is_selected_by_its_parameters_or_made(store: SessionStore) -> None:
    one = store.session_for({"a": 1, "b": [1, 2]})
    assert store.session_for({"b": (1, 2), "a": 1}) == one and store.session_for({"a": 2}, name="two") != one
    assert one.metadata["params"] == {"a": 1, "b": [1, 2]} and len(store) == 2


def test_a_program_of_asyncio_records_without_blocking_its_loop(store: SessionStore) -> None:
    async def main() -> list[int]:
        ticks: list[int] = []

        async def other() -> None:
            while True:
                ticks.append(len(ticks))
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        async with await asyncio.to_thread(store.record, "x") as session:
            session.motion.append("a", t_s=0, position_m=(0, 0, 0))
        task.cancel()
        return ticks

    assert len(asyncio.run(main())) > 1
    assert store["x"].status == "completed"


def test_a_task_that_is_cancelled_stops_its_run(store: SessionStore) -> None:
    async def main() -> None:
        async with store.record("x"):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert store["x"].status == "stopped"


def test_the_log_handler_keeps_extra_fields_and_is_silent_after_the_end(
    store: SessionStore, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("mine")
    with store.record("x") as session:
        handler = session.handler()
        logger.addHandler(handler)
        logger.warning("battery %d", 5, extra={"drone": "a", "bad": object(), "n": 7, "t": 1, "level": 3, "t_s": 9})
    logger.warning("after the end")
    logger.removeHandler(handler)
    (line,) = session.tape("log").read()
    assert line.data.pop("bad").startswith("<object object")
    kept = {"n": 7, "t": 1, "extra": {"level": 3, "t_s": 9}}
    assert line.data == {"level": "warning", "message": "battery 5", "logger": "mine", "drone": "a", **kept}
    assert capsys.readouterr().err == ""


def test_rows_are_a_table_for_pandas_and_cannot_be_changed(store: SessionStore) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    store.create("x", metadata={"pilot": "Ada"}, tags=["a"])
    (row,) = store.find()
    with pytest.raises(AttributeError):
        row.status = "failed"
    row["tags"].append("b")
    row.metadata["pilot"] = "Bob"
    assert row.metadata["pilot"] == "Ada" and store.find()[0].tags == ["a"] and dict(row)["status"] == "created"
    frame = pandas.DataFrame(store.find())
    assert {"session_id", "status", "metadata"} <= set(frame.columns) and frame["session_name"].tolist() == ["x"]


@pytest.mark.parametrize("unit", ["milliseconds", "microseconds", "nanoseconds"])
def test_times_since_1970_in_another_unit_are_a_question_too(store: SessionStore, unit: str) -> None:
    t_s = int(1_790_000_000.5 * {"milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}[unit])
    for start in ("zero", "epoch"):
        wrong = pytest.raises(TimeOrderError, match=f"looks like {unit} since 1970.*divide")
        with store.record("x", start=start) as session, wrong:
            session.stream("metrics").append({"v": 1}, t_s=t_s)
    with store.record("x", start="keep") as session:
        session.stream("metrics").append({"v": 1}, t_s=t_s)
    assert session.tape("metrics").count() == 1


@pytest.mark.parametrize("t_s", [1e300, float("nan"), -1e300])
def test_an_instant_that_no_calendar_holds_is_a_typed_error(store: SessionStore, t_s: float) -> None:
    with store.record("x", start="epoch") as session, pytest.raises(TimeOrderError):
        session.motion.append("scout-1", t_s=t_s, position_m=(0, 0, 0))


@pytest.mark.parametrize("t_s", ["1", b"1", True, None, [1.0], "soon"])
def test_a_sim_time_of_a_wrong_type_is_refused_by_points_and_by_streams(store: SessionStore, t_s: Any) -> None:
    with store.record("x") as session:
        with pytest.raises(TimeOrderError, match="a number of seconds"):
            session.motion.append("scout-1", t_s=t_s, position_m=(0, 0, 0))
        if t_s is not None:  # a stream takes its latest time then
            with pytest.raises(TimeOrderError, match="a number of seconds"):
                session.stream("metrics").append({"v": 1}, t_s=t_s)
