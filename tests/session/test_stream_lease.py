"""A recorder keeps the lock of its stream while it appends, and all other writers still get a turn."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sessionstore.disk import files
from sessionstore.disk.append_file import AppendFile
from sessionstore.errors import LockTimeout, SessionGone, StoreUnusable, StreamClosed
from sessionstore.session import stream_lease
from sessionstore.session.stream_lease import LeasedWriter
from sessionstore.session.stream_reader import Tape
from sessionstore.session.stream_writer import StreamWriter
from sessionstore.store import SessionStore

pytestmark = pytest.mark.skipif(os.name == "nt", reason="without flock no lock is kept")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


class Unwatched(stream_lease.Leases):
    """Leases that no thread looks at."""

    def watch(self, writer: LeasedWriter) -> None:
        """Do nothing: the other thread must not be slowed down instead, since it serves the tests that follow."""


@pytest.fixture
def never_looked_after(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease that is taken by every append, and that the thread does not look at."""
    monkeypatch.setattr(stream_lease, "_BURST_S", 1e9)
    monkeypatch.setattr(stream_lease, "leases", Unwatched())


def until(condition: Callable[[], bool], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.002)
    return found


def is_free(path: Path) -> bool:
    file = AppendFile(path)
    try:
        file.lock(0)
    except LockTimeout:
        return False
    finally:
        file.close()
    return True


def leased(path: Path, count: int = 3) -> LeasedWriter:
    writer = LeasedWriter(path, "os")
    for number in range(count):
        writer.append({"i": number}, float(number))
    return writer


@pytest.mark.usefixtures("never_looked_after")
def test_the_lock_is_kept_between_appends_and_given_back_at_the_end(path: Path) -> None:
    writer = leased(path)
    assert not is_free(path)
    writer.close()
    assert is_free(path) and Tape(path).check().whole
    with pytest.raises(StreamClosed):
        writer.append({"i": 9}, 9.0)
    assert is_free(path)


def test_a_writer_that_pauses_holds_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_lease, "_BURST_S", 1e9)
    writer = leased(path)
    assert until(lambda: is_free(path))
    writer.append({"i": 3}, 3.0)
    assert [line.n for line in Tape(path).read()] == [0, 1, 2, 3]


def _append_until(path: Path, stop: Path) -> None:
    stream_lease._BURST_S = 1e9
    stream_lease._SHARED_S = 0.05
    writer, number = LeasedWriter(path, "os"), 0
    while not stop.exists():
        for _ in range(50):
            writer.append({"w": "run", "i": number}, 1.0)
            number += 1
    writer.close()


@contextlib.contextmanager
def running(path: Path) -> Iterator[Any]:
    stop = path.with_suffix(".stop")
    process = multiprocessing.get_context("fork").Process(target=_append_until, args=(path, stop))
    process.start()
    try:
        assert until(lambda: Tape(path).count() > 100)
        yield process
    finally:
        stop.touch()
        if process.is_alive():
            os.kill(process.pid or 0, signal.SIGCONT)
        process.join()


def test_other_processes_append_while_a_recorder_does_and_nothing_is_lost(path: Path) -> None:
    with running(path), contextlib.closing(StreamWriter(path, "os")) as other:
        for number in range(20):
            other.append({"w": "other", "i": number}, 1.0)
    lines = list(Tape(path).read())
    assert [line.n for line in lines] == list(range(len(lines))) and Tape(path).check().whole
    for name in ("run", "other"):
        numbers = [line.data["i"] for line in lines if line.data["w"] == name]
        assert numbers == list(range(len(numbers))) and len(numbers) >= 20


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="this system does not say who holds a lock")
def test_a_stopped_recorder_is_named_to_the_writer_that_waits(path: Path) -> None:
    with running(path) as process:
        held = False
        for _ in range(50):  # it may be stopped at a moment at which it holds nothing
            os.kill(process.pid, signal.SIGSTOP)
            held = until(lambda: not is_free(path), 0.05)
            if held:
                break
            os.kill(process.pid, signal.SIGCONT)
            time.sleep(0.01)
        assert held
        with pytest.raises(LockTimeout, match=rf"not free within 0.1 s: process {process.pid} \(.*python.*\) holds it"):
            AppendFile(path).lock(0.1)


def test_a_killed_recorder_frees_its_stream_at_once(path: Path) -> None:
    with running(path) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert is_free(path)
        with contextlib.closing(StreamWriter(path)) as other:
            other.append({"w": "after"}, 2.0)
    assert Tape(path).check().whole


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.usefixtures("never_looked_after")
def test_a_forked_child_does_not_keep_the_lease_of_its_parent(path: Path) -> None:
    writer = leased(path)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(reading, 1)  # it lives on and does nothing
        os._exit(0)
    writer.close()
    free = is_free(path)
    os.write(writing, b"x")
    assert os.waitpid(child, 0)[1] == 0 and free
    for descriptor in (reading, writing):
        os.close(descriptor)


@pytest.mark.usefixtures("never_looked_after")
def test_a_session_that_this_process_deletes_is_gone_for_the_next_append(store: SessionStore) -> None:
    session = store.create("A")
    writer = leased(session.stream_path("events"))
    store.delete(session.session_id)
    with pytest.raises(SessionGone):
        writer.append({"i": 3}, 3.0)


def test_a_session_that_another_process_moves_is_gone_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_lease, "_BURST_S", 1e9)
    (tmp_path / "session").mkdir()
    writer = leased(tmp_path / "session" / "events.jsonl")
    subprocess.run(["mv", tmp_path / "session", tmp_path / "elsewhere"], check=True)
    stored = 3
    with pytest.raises(SessionGone):
        while stored < 10_000_000:
            writer.append({"i": stored}, 3.0)
            stored += 1
    assert Tape(tmp_path / "elsewhere" / "events.jsonl").count() == stored


@pytest.mark.usefixtures("never_looked_after")
def test_what_another_program_puts_behind_the_last_line_is_noticed_at_once(path: Path) -> None:
    writer = leased(path)
    with path.open("ab") as file:
        file.write(b'{"i":7')
    writer.append({"i": 3}, 3.0)
    assert [line.data["i"] for line in Tape(path).read()] == [0, 1, 2, 3]
    assert [each.read_bytes() for each in path.parent.glob("*.torn-*")] == [b'{"i":7']


@pytest.mark.usefixtures("never_looked_after")
def test_a_full_disk_takes_the_half_written_line_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, whole_write = leased(path), os.write
    before = path.read_bytes()

    def short_write(descriptor: int, data: bytes) -> int:
        whole_write(descriptor, data[:9])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "write", short_write)
        with pytest.raises(StoreUnusable, match="No space left"):
            writer.append({"i": 3}, 3.0)
    assert path.read_bytes() == before
    writer.append({"i": 3}, 3.0)
    assert Tape(path).check().whole and Tape(path).count() == 4


RECORDS = st.dictionaries(st.sampled_from(["x", "n", "<", "ü"]), st.none() | st.integers() | st.floats() | st.text())
TIMES = st.none() | st.integers(-3, 3) | st.floats(-1e300, 1e300) | st.sampled_from([0.0, -0.0, 0.1, 1e22, 1e-7])
STEPS = st.tuples(st.sampled_from(["append"] * 6 + ["extend", "mark", "attempt", "rest"]), RECORDS, TIMES)


@settings(max_examples=60)
@given(st.lists(STEPS, max_size=12))
@example([("append", {}, None), ("append", {}, None), ("append", {}, -0.0), ("append", {}, None)])
@example([("mark", {}, None), ("append", {}, None), ("append", {}, None)])
def test_a_lease_changes_no_byte(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, dict[str, Any], float | None]]
) -> None:
    folder = tmp_path_factory.mktemp("both")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream_lease, "_BURST_S", 1e9)
        for kind in (StreamWriter, LeasedWriter):
            writer = kind(folder / f"{kind.__name__}.jsonl", "os")
            for step, record, t_s in steps:
                if step == "append":
                    writer.append(record, t_s)
                elif step == "extend":
                    writer.extend([record, {}], t_s)
                elif step == "mark":
                    writer.mark({"said": 1})
                elif step == "attempt":
                    writer.begin_attempt(t_s or 0.0)
                else:
                    writer.rest()
            writer.close()
    found = [(folder / f"{kind.__name__}.jsonl") for kind in (StreamWriter, LeasedWriter)]
    assert not found[0].exists() or found[0].read_bytes() == found[1].read_bytes()


def test_a_recorder_records_through_leases(store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_lease, "_BURST_S", 1e9)
    kept = []
    write = LeasedWriter._append_leased
    monkeypatch.setattr(LeasedWriter, "_append_leased", lambda *given: kept.append(write(*given)) or kept[-1])
    with store.record("run") as session:
        for number in range(200):
            session.motion.append("a", t_s=number / 20, position_m=(number, 0, 1))
    assert kept.count(True) > 100
    assert session.tape("motion_history").count() == 200 and session.tape("motion_history").check().whole
    assert is_free(session.stream_path("motion_history")) and is_free(session.stream_path("clock"))
