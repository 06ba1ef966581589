"""A run on a disk that is full for a while: it waits, loses nothing, stores nothing twice; after 30 s it raises."""

from __future__ import annotations

import contextlib
import errno
import subprocess
import threading
import time
from collections.abc import Iterator
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


def fill(disk: Path) -> Path:
    """Use up the last byte, by a file that is returned."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return ballast


def test_a_disk_full_for_three_seconds_ends_no_run_and_loses_and_doubles_nothing(small_disk: Path) -> None:
    store = sessionstore.open(small_disk / "store")
    with store.record("run") as run:
        run.event("first", t_s=0.0)
        ballast = fill(small_disk)
        room = threading.Timer(3.0, ballast.unlink)
        room.start()
        began, slowest_s = time.monotonic(), 0.0
        for number in range(200):
            before = time.monotonic()
            run.motion.append("scout-1", t_s=number / 10, position_m=(number, 0, 5))
            run.log_metrics({"number": number, "long": "x" * 500}, t_s=number / 10)
            run.stream("extra").extend([{"number": number}, {"number": -number}], t_s=number / 10)
            if number % 50 == 0:
                run.update(notes=f"{number}")
            slowest_s = max(slowest_s, time.monotonic() - before)
        assert 2.0 < slowest_s < 6.0 and time.monotonic() - began < 10.0
        room.join()
    session = store.get("run")
    assert session.status == "completed" and session.record.notes == "150"
    assert [line.data["number"] for line in session.tape("metrics").read()] == list(range(200))
    assert [line.n for line in session.tape(MOTION_STREAM).read()] == list(range(200))
    expected = [each for number in range(200) for each in (number, -number)]
    assert [line.data["number"] for line in session.tape("extra").read()] == expected
    assert {finding.code for finding in store.doctor().findings} <= {"space-out"}  # the disk is small


def test_a_disk_that_stays_full_is_waited_for_once_and_then_each_write_raises_at_once(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(full_disk, "FULL_DISK_WAIT_S", 0.6)
    store = sessionstore.open(small_disk / "store")
    with store.record("run") as run:
        ballast = fill(small_disk)
        stored, took = 0, []
        for number in range(2000):
            began = time.monotonic()
            try:
                run.stream("extra").append({"number": number, "long": "x" * 500})
                stored += 1
            except StoreUnusable as error:
                assert error.errno == errno.ENOSPC
                took.append(time.monotonic() - began)
                if len(took) == 5:
                    break
        assert max(took) < 1.5 and sum(took) < 2.0, took
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
