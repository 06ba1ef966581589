"""``list`` and ``show`` of programs that only append: what their streams say, as on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sessionstore.model import liveness
from sessionstore.session.stream_reader import Tape
from sessionstore.store import SessionStore

GONE = {"pid": 4_000_000, "pid_started": 1}


def flying(store: SessionStore, name: str) -> Any:
    recorder = store.record(name)
    for step in range(101):
        recorder.motion.append("rover", t_s=step * 0.5, position_m=(step, 0, 1))
    recorder.stream("motor").append({"rpm": 1}, 55.0)
    return recorder


def test_a_list_says_how_far_a_program_is_that_only_appends(run: Any, store: SessionStore) -> None:
    recorder = flying(store, "Gate Runner")
    columns = ("list", "--columns", "status,simulated,points")
    assert run(*columns).out.splitlines()[1].split() == ["running", "55.0", "s", "101"]
    recorder.motion.append("rover", t_s=60.0, position_m=(101, 0, 1))
    assert run(*columns).out.splitlines()[1].split() == ["running", "1", "min", "0", "s", "102"]
    store.get("Gate Runner").update(owner={**liveness.here(), **GONE})
    assert run(*columns).out.splitlines()[1].split() == ["interrupted", "1", "min", "0", "s", "102"]


def test_show_says_how_far_a_program_is_that_only_appends(run: Any, store: SessionStore) -> None:
    recorder = flying(store, "Gate Runner")
    assert "simulated  55.0 s" in run("show", "Gate Runner").out
    recorder.stream("motor").append({"rpm": 2}, 58.0)
    assert "simulated  58.0 s" in run("show", "Gate Runner").out


def test_a_list_of_runs_that_have_ended_opens_no_stream(
    run: Any, store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.record("Ended") as recorder:
        recorder.motion.append("rover", t_s=1.0, position_m=(0, 0, 1))
    read: list[Path] = []
    tail = Tape.last
    monkeypatch.setattr(Tape, "last", lambda tape: (read.append(tape.path), tail(tape))[1])
    assert run("list").out.splitlines()[1].startswith("completed")
    assert read == []
    recorder = flying(store, "Open")
    run("list", "--columns", "session,status")
    assert read == [], "nothing that is shown is in the streams"
    run("list")
    assert read
