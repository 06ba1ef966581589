"""A run on a disk that is full for a while: it waits, loses nothing, stores nothing twice; after 30 s it raises."""

from __future__ import annotations

import contextlib
import errno
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import sessionstore
from sessionstore.errors import StoreUnusable
from sessionstore.session import full_disk
from sessionstore.session.motion import MOTION_STREAM
from tests.proof.volumes import need_root


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB in memory."""
    need_root()
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True)
    if done.returncode:
        pytest.skip(f"mounting is missing: {done.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


class HandClock:
    """The clock of the wait: its seconds pass in no time, so that no bound depends on the machine."""

    def __init__(self) -> None:
        self.waited_s = 0.0
        self.when_over: tuple[float, Callable[[], object]] | None = None
        self._mutex = threading.Lock()

    def monotonic(self) -> float:
        return self.waited_s

    def sleep(self, seconds: float) -> None:
        time.sleep(0.001)  # other threads of the run write too
        with self._mutex:
            self.waited_s += seconds
            if self.when_over is not None and self.waited_s >= self.when_over[0]:
                self.when_over[1]()
                self.when_over = None


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    hand = HandClock()
    monkeypatch.setattr(full_disk, "time", hand)
    return hand


def fill(disk: Path) -> Path:
    """Use up the last byte, by a file that is returned."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return ballast


def test_a_disk_full_for_three_seconds_ends_no_run_and_loses_and_doubles_nothing(
    small_disk: Path, clock: HandClock
) -> None:
    store = sessionstore.open(small_disk / "store")
    with store.record("run") as run:
        run.event("first", t_s=0.0)
        ballast = fill(small_disk)
        clock.when_over = (3.0, ballast.unlink)
        for number in range(200):
            run.motion.append("scout-1", t_s=number / 10, position_m=(number, 0, 5))
            run.log_metrics({"number": number, "long": "x" * 500}, t_s=number / 10)
            run.stream("extra").extend([{"number": number}, {"number": -number}], t_s=number / 10)
            if number % 50 == 0:
                run.update(notes=f"{number}")
        assert 3.0 <= clock.waited_s < 6.0  # a pause is a second at most, of the run and of its clock
    session = store.get("run")
    assert session.status == "completed" and session.record.notes == "150"
    assert [line.data["number"] for line in session.tape("metrics").read()] == list(range(200))
    assert [line.n for line in session.tape(MOTION_STREAM).read()] == list(range(200))
    expected = [each for number in range(200) for each in (number, -number)]
    assert [line.data["number"] for line in session.tape("extra").read()] == expected
    assert {finding.code for finding in store.doctor().findings} <= {"space-out"}  # the disk is small


def test_a_disk_that_stays_full_is_waited_for_once_and_then_each_write_raises_at_once(
    small_disk: Path, clock: HandClock
) -> None:
    store = sessionstore.open(small_disk / "store")
    with store.record("run") as run:
        ballast = fill(small_disk)
        stored, waited = 0, []
        for number in range(2000):
            try:
                run.stream("extra").append({"number": number, "long": "x" * 500})
                stored += 1
            except StoreUnusable as error:
                assert error.errno == errno.ENOSPC
                waited.append(clock.waited_s)
                if len(waited) == 5:
                    break
        assert len(waited) == 5 and waited[0] > 29.9 and waited[-1] < 32.0, waited
        ballast.unlink()
        run.stream("extra").append({"number": -1})
    lines = [line.data["number"] for line in store.get("run").tape("extra").read()]
    assert lines == [*range(stored), -1]
    assert store.get("run").status == "completed"


def test_other_errors_are_not_waited_for() -> None:
    calls = []

    def write() -> None:
        calls.append(1)
        raise StoreUnusable(errno.EIO, "Input/output error", "x")

    with pytest.raises(StoreUnusable):
        full_disk.FullDiskWait("run").call("events", write)
    assert len(calls) == 1
