"""A piece of work in a process of its own, seen from the process that waits for it."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from sessionstore.store import SessionStore
from sessionstore.sweeps import isolated, worker

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def test_work_that_ended_in_time_counts_as_done_though_its_end_is_looked_at_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The process that waits stood still for longer than the limit while the work ended."""
    read, write = os.pipe()
    looks: list[int] = []
    now_s = [0.0]

    def work(say: Callable[[dict[str, Any]], None]) -> None:
        say({isolated.BEGUN: "202601010000-x"})
        os.read(read, 1)  # its begin is heard before it goes on
        say({"result": 1})

    def late(wanted: list[int], *more: Any) -> Any:
        looks.append(1)
        if len(looks) == 3:  # the begin is heard, and nothing else has been said
            os.write(write, b"x")
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            now_s[0] += 1000.0
        return select.select(wanted, *more)

    monkeypatch.setattr(isolated, "select", SimpleNamespace(select=late))
    monkeypatch.setattr(isolated, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    ended = isolated.run(work, isolated.Limits(time_s=600.0), lambda: None)
    os.close(read)
    os.close(write)
    assert (ended.how, ended.said) == ("done", {isolated.BEGUN: "202601010000-x", "result": 1})
    assert len(looks) >= 3


def test_a_point_that_is_stopped_before_its_session_has_begun_has_not_failed(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was recorded as failed by KeyboardInterrupt, and the same command did not run it again."""

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(worker, "_loaded", lambda _: SimpleNamespace(record=interrupted))
    monkeypatch.setattr(worker, "mark_of", lambda _: {})
    task: Any = SimpleNamespace(name="s", program=b"", point=SimpleNamespace(number=1, parameters={}))
    with pytest.raises(KeyboardInterrupt):
        worker._record(task, str(store.root.path), None, lambda _: None)
    assert store.find() == []
