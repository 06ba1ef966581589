"""The story of an engine that fails: the same before, during and after whatever the fault is.

The session is created and recorded in its folder, the report says pending and why, nothing waits longer than told, a
listing answers from the folders with a notice, and when the engine is back every row arrives, once.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import sessionstore
from sessionstore.boxes.session_creator_box import SessionCreatorBox
from sessionstore.boxes.session_db_box import SessionDBBox
from sessionstore.store import SessionStore
from tests.postgres_server import with_settings

TIMEOUT_S = 1.0
RETRY_S = 2.0
SLACK_S = 8.0  # what a loaded machine may add to a wait; the bounds prove that none is endless


def eventually(condition: Callable[[], bool], within_s: float = 60.0) -> None:
    """Ask again and again until it is so."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < seconds


class HandClock:
    """Seconds that pass only once the test says so: a slow machine asks the engine no earlier than another."""

    def __init__(self) -> None:
        self._runs = False

    def run(self) -> None:
        self._runs = True

    def __call__(self) -> float:
        return time.monotonic() if self._runs else 0.0


class Outage:
    """The story that every fault has: before, during, after."""

    def __init__(self, folder: Path, url: str) -> None:
        self.store: SessionStore = sessionstore.open(folder, with_settings(url, timeout_s=TIMEOUT_S, retry_s=RETRY_S))
        self.box = SessionCreatorBox(SessionDBBox(store=self.store))
        self.ids: list[str] = []
        self.clock = HandClock()
        if breaker := getattr(self.store.index, "_breaker", None):  # none where the driver is missing
            breaker._clock = self.clock

    def before(self) -> None:
        report = self.box.create_session("before")
        assert report["index"] == {"status": "done", "reason": None}, report
        self.ids.append(report["session_id"])
        assert len(self.store.find()) == 1 and self.store.notice is None

    def during(self, why: str, refused_at_once: bool = False) -> None:
        """Args: refused_at_once: the answer needs no wait, so that the engine is asked each time."""
        with at_most(TIMEOUT_S + SLACK_S):
            report = self.box.create_session("during", metadata={"n": 1})
        assert report["success"] and report["directory"]["status"] == report["record"]["status"] == "done"
        assert report["index"]["status"] == "pending" and why in report["index"]["reason"], report["index"]
        second = self.box.create_session("during again")
        assert second["index"]["status"] == "pending" and why in second["index"]["reason"]
        if not refused_at_once:  # the failed engine is left alone: the full time is waited for once
            assert f"asked again in {RETRY_S:.1f} s" in second["index"]["reason"]
        self.ids += [report["session_id"], second["session_id"]]
        with self.store.record("recorded") as run:
            run.motion.append("scout-1", t_s=0.05, position_m=(0, 0, 5))
            self.ids.append(run.session_id)
        assert self.store.get("recorded").status == "completed"
        with at_most(TIMEOUT_S + SLACK_S):
            assert sorted(row.session_id for row in self.store.find()) == sorted(self.ids)
        assert self.store.notice is not None and why in self.store.notice
        assert [row.session_name for row in self.store.find("metadata.n=1")] == ["during"]

    def after(self) -> None:
        """The rows arrive by themselves with the next thing that is done, each once."""
        self.clock.run()
        eventually(lambda: self.box.create_session("after")["index"]["status"] == "done")
        names = self.indexed()
        assert len(names) == len(set(names)) and set(self.ids) <= set(names)
        self.store.find()
        assert self.store.notice is None
        assert self.indexed() == sorted(path.name for path in self.store.root.path.iterdir() if path.name[:2] == "20")
        by_name = {row.session_id: row for row in self.store.index.find()}
        assert by_name[self.ids[-1]].status == "completed"
        self.store.close()

    def indexed(self) -> list[str]:
        return sorted(row.session_id for row in self.store.index.find())
