"""Writers of streams: many at once, killed, forked, on a full disk, in the wrong place: what was acknowledged stays."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sessionstore.disk import files
from sessionstore.errors import (
    InvalidRecord,
    OutcomeUnknown,
    SessionGone,
    StoreUnusable,
    StreamClosed,
    UnsafeFile,
)
from sessionstore.session.stream_line import Line
from sessionstore.session.stream_reader import Tape
from sessionstore.session.stream_writer import StreamWriter, SyncMode, append_once
from sessionstore.store import SessionStore
from tests.small_stream import filled, values


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def test_threads_share_one_writer(path: Path) -> None:
    writer = StreamWriter(path)
    threads = [threading.Thread(target=lambda: [writer.append({"x": 1}) for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [line.n for line in Tape(path).read()] == list(range(800))


def test_a_record_made_of_the_last_one_sees_what_other_writers_wrote(path: Path) -> None:
    def count(last: Line | None) -> dict[str, int]:
        return {"x": 0 if last is None else last.data["x"] + 1}

    mine, other = StreamWriter(path), StreamWriter(path)
    for writer in (mine, mine, other, mine, other, other):
        writer.append_behind(count)
    other.append({"x": 6})
    mine.append({"x": 10}, t_s=2.0)
    other.append({"x": 20}, t_s=1.0)  # out of order: the order of the stream is noted in each line from here on
    append_once(path, count)
    assert [line.data["x"] for line in Tape(path).read()] == [0, 1, 2, 3, 4, 5, 6, 10, 20, 21]
    assert [line.t_s for line in Tape(path).in_time()] == [0, 0, 0, 0, 0, 0, 0, 1, 2, 2]
    assert [line.n for line in Tape(path).read()] == list(range(10))
    assert Tape(path).check().whole and mine.last_t_s == 2.0


def test_a_record_behind_the_last_one_is_stored_as_any_other_also_out_of_order_and_in_a_new_attempt(
    tmp_path: Path,
) -> None:
    paths = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    for path, behind in zip(paths, (False, True), strict=True):
        writer = StreamWriter(path)
        for number, t_s in enumerate((1.0, 5.0, 2.0)):
            writer.append({"x": number}, t_s=t_s)
        writer.begin_attempt(3.0)
        for number in (3, 4):
            if behind:
                writer.append_behind(lambda last, number=number: {"x": number})
            else:
                StreamWriter(path).append({"x": number})  # of another process, which reads the end first
            writer.append({"x": -number}, t_s=2.5)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_record_that_cannot_be_made_leaves_the_stream_and_its_lock_as_they_were(path: Path) -> None:
    writer = StreamWriter(path)
    writer.append({"x": 1})
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError):
        writer.append_behind(lambda last: {"x": 1 // 0})
    with pytest.raises(InvalidRecord):
        writer.append_behind(lambda last: {"x": object()})
    assert path.read_bytes() == before
    StreamWriter(path).append({"x": 2})
    writer.append_behind(lambda last: {"x": last.data["x"] + 1 if last else 0})
    assert [line.data["x"] for line in Tape(path).read()] == [1, 2, 3]


def _append_in_a_loop(path: Path, label: int, count: int) -> None:
    writer = StreamWriter(path)
    for number in range(count):
        writer.append({"w": label, "i": number})
    writer.close()


def test_four_processes_append_to_one_stream_and_lose_nothing(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_append_in_a_loop, args=(path, label, 500)) for label in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    lines = list(Tape(path).read())
    assert [line.n for line in lines] == list(range(2000))
    for label in range(4):
        assert [line.data["i"] for line in lines if line.data["w"] == label] == list(range(500))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_takes_a_lock_of_its_own(path: Path) -> None:
    writer = StreamWriter(path)
    writer.append({"who": "parent"})
    child = os.fork()
    if child == 0:
        for _ in range(300):
            writer.append({"who": "child"})
        os._exit(0)
    for _ in range(300):
        writer.append({"who": "parent"})
    assert os.waitpid(child, 0)[1] == 0
    assert [line.n for line in Tape(path).read()] == list(range(601))


def _append_for_ever(path: Path) -> None:
    writer = StreamWriter(path)
    number = 0
    while True:
        writer.append({"i": number})
        os.write(1, b"%d\n" % number)
        number += 1


def test_a_killed_writer_loses_nothing_that_was_acknowledged(path: Path, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1)
        _append_for_ever(path)
    os.close(writing)
    acknowledged = b""
    while acknowledged.count(b"\n") < 200:
        acknowledged += os.read(reading, 4096)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while part := os.read(reading, 4096):
        acknowledged += part
    os.close(reading)
    last = int(acknowledged.splitlines()[-1])
    found = values(path)
    assert found == list(range(len(found))) and len(found) >= last + 1


def test_a_closed_writer_takes_no_more(path: Path) -> None:
    writer = StreamWriter(path)
    writer.append({"i": 0})
    writer.close()
    writer.close()
    with pytest.raises(StreamClosed):
        writer.append({"i": 1})


def test_a_writer_whose_folder_went_away_says_so(tmp_path: Path) -> None:
    (tmp_path / "session").mkdir()
    writer = StreamWriter(tmp_path / "session" / "log.jsonl")
    writer.append({"i": 0})
    (tmp_path / "session").rename(tmp_path / "gone")
    with pytest.raises(SessionGone):
        writer.append({"i": 1})
    assert values(tmp_path / "gone" / "log.jsonl") == [0]


def test_a_full_disk_takes_the_half_written_line_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = StreamWriter(filled(path))
    writer.append({"i": 5}, t_s=3)
    before = path.read_bytes()
    whole_write = os.write

    def short_write(descriptor: int, data: bytes) -> int:
        if len(data) > 20:
            whole_write(descriptor, data[:20])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "write", short_write)
        with pytest.raises(StoreUnusable, match="No space left"):
            writer.append({"i": 6}, t_s=3)
    assert path.read_bytes() == before
    writer.append({"i": 6}, t_s=4)
    assert values(path) == list(range(7))


def test_a_writer_whose_half_written_line_cannot_be_taken_back_takes_no_more(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = StreamWriter(filled(path), "os")

    def half(descriptor: int, data: bytes, path: object) -> None:
        os.write(descriptor, data[:10])
        raise OSError(errno.ENOSPC, "no space")

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(files, "write_all", half)
        broken.setattr(files, "truncate", refuse)
        with pytest.raises(OutcomeUnknown, match="so did taking it back"):
            writer.append({"i": 5})
    with pytest.raises(StreamClosed, match="takes no more"):
        writer.append({"i": 6})
    with pytest.raises(OutcomeUnknown):
        writer.close()
    with contextlib.closing(StreamWriter(path)) as another:  # which cuts the torn end
        another.append({"i": 7})
    assert values(path) == [0, 1, 2, 3, 4, 7]


@pytest.mark.parametrize("sync", ["full", "batch"])
def test_a_failed_fsync_is_never_tried_again(path: Path, sync: SyncMode, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = StreamWriter(filled(path), sync)
    calls = []

    def fail(descriptor: int) -> None:
        calls.append(descriptor)
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fdatasync", fail)
        with pytest.raises(OutcomeUnknown):
            writer.append({"i": 5}, t_s=3)
            writer.flush()
    with pytest.raises(StreamClosed, match="fsync failed"):
        writer.append({"i": 6}, t_s=3)
    assert len(calls) == len(set(calls)) >= 1  # of each file once: writers of other tests are synced meanwhile
    with pytest.raises(OutcomeUnknown):
        writer.close()


def test_links_pipes_and_folders_in_place_of_a_stream_are_refused(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("secret\n")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "folder.jsonl").mkdir()
    for name in ("link", "pipe", "folder"):
        with pytest.raises(UnsafeFile):
            StreamWriter(tmp_path / f"{name}.jsonl").append({"i": 0})
        with pytest.raises(UnsafeFile):
            list(Tape(tmp_path / f"{name}.jsonl").read())
    assert (tmp_path / "target").read_text() == "secret\n"


def test_a_file_that_another_folder_shares_by_a_hard_link_is_never_appended_to(store: SessionStore) -> None:
    """``cp -al`` gives a copy the very files: what is appended here would appear there."""
    session = store.create("A")
    with contextlib.closing(session.writer("events")) as writer:
        writer.append({"v": 1})
    copy = store.root.path.parent / "copy.jsonl"
    os.link(session.stream_path("events"), copy)
    before = copy.read_bytes()
    with pytest.raises(UnsafeFile, match="hard link"):
        session.writer("events").append({"v": 2})
    assert copy.read_bytes() == before
    assert [line.data for line in session.tape("events").read()] == [{"v": 1}]
    copy.unlink()
    session.writer("events").append({"v": 2})
    assert session.tape("events").count() == 2


def test_a_program_that_ends_without_closing_has_synced_what_it_appended(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from sessionstore.disk import files\n"
        "from sessionstore.session.stream_writer import StreamWriter\n"
        "writer = StreamWriter(Path(sys.argv[1]), sync='batch')\n"
        "writer.append({'v': 1})\n"
        "files.observer = lambda operation, path, payload: print(operation, flush=True)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "s.jsonl")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "fsync\n"
