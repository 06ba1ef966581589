"""T5, T6: a disk that is full, out of inodes, read-only or forbidden, a limit too small: told, and harmless."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import sessionstore
from sessionstore.errors import OutcomeUnknown, SessionStoreError, StoreUnusable
from sessionstore.store import SessionStore
from tests.proof import operations, oracle
from tests.proof.operations import OPERATIONS, World
from tests.proof.volumes import need, need_root

pytestmark = [
    pytest.mark.proof,
    pytest.mark.row("T5, T6 disk, inodes, quota or descriptors used up; read-only; no permission; fsync refused later"),
]
NAMES = ["create", "update", "insert", "append", "extend", "delete"]


@contextlib.contextmanager
def tmpfs(place: Path, options: str) -> Iterator[Path]:
    """Mount a small file system in memory."""
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True)
    if done.returncode:
        pytest.skip(f"mounting is missing: {done.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def try_everything(path: Path, world: World) -> tuple[World, list[str]]:
    """Do each operation once; return what the store should hold now, and what was not told as it should be."""
    wrong, refused = [], 0
    with sessionstore.open(path) as store:
        for number, name in enumerate(NAMES, 2):
            steps = OPERATIONS[name].steps(world, number)
            assert steps is not None
            try:
                OPERATIONS[name].perform(store, number)
                world = steps[-1]
            except OutcomeUnknown as error:
                wrong.append(f"{name}: {error}")
            except StoreUnusable:
                refused += 1
    return world, wrong if refused else ["nothing was refused"]


def fill(folder: Path) -> None:
    """Use up the last byte."""
    with contextlib.suppress(OSError), (folder / "ballast").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def use_up_inodes(folder: Path) -> None:
    """Use up the last inode."""
    with contextlib.suppress(OSError):
        for number in range(10_000):
            (folder / f"ballast-{number}").touch()


@pytest.mark.parametrize("options, exhaust", [("size=256k", fill), ("size=16m,nr_inodes=60", use_up_inodes)])
def test_a_full_disk_refuses_and_takes_nothing(options: str, exhaust: Callable[[Path], None], scratch: Path) -> None:
    need_root()
    with tmpfs(scratch / "small", options) as small:
        world = operations.begin(small / "store")
        exhaust(small)
        world, wrong = try_everything(small / "store", world)
        assert wrong == []
        assert oracle.judge(small / "store", [world], power=False, afterwards=False) == []
        for path in small.glob("ballast*"):
            path.unlink()
        assert oracle.judge(small / "store", [world], power=False) == []
        assert list((small / "store").glob("**/.tmp-*")) == []


def test_a_file_size_limit_cuts_writes_short_and_nothing_is_torn(scratch: Path) -> None:
    """RLIMIT_FSIZE ends a write half-way: the first call writes a part, the second fails."""
    world = operations.begin(scratch / "store")
    path = scratch / "store"
    size = next(path.glob("*-A/samples.jsonl")).stat().st_size
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, size + 20))
            _, wrong = try_everything(path, world)
            status = 0 if wrong in ([], ["nothing was refused"]) else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    live = {"A": world.live["A"], "B": world.live["B"]}
    deleted = World({"B": live["B"]}, {"A": live["A"]})
    assert oracle.judge(path, [World(live), deleted], power=False) == []


def test_a_read_only_disk_lists_and_reads_and_refuses_to_write(scratch: Path) -> None:
    need_root()
    with tmpfs(scratch / "small", "size=4m") as small:
        world = operations.begin(small / "store")
        (small / "store" / "index.jsonl").unlink()
        subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
        with sessionstore.open(small / "store") as store:
            found, wrong = oracle.seen(store)
            assert wrong == []
            assert sorted(found.live) == ["A", "B"]
            for name in NAMES:
                with pytest.raises(SessionStoreError):
                    OPERATIONS[name].perform(store, 5)
        subprocess.run(["mount", "-o", "remount,rw", str(small)], check=True)
        assert oracle.judge(small / "store", [world], power=False) == []


def test_another_user_without_the_right_to_write_reads_and_is_refused(scratch: Path) -> None:
    need_root()
    setpriv = need("setpriv")
    operations.begin(scratch / "store")
    subprocess.run(["chmod", "-R", "a+rX,go-w", str(scratch)], check=True)
    program = (
        "import sys, sessionstore\n"
        "from sessionstore.errors import StoreUnusable\n"
        "store = sessionstore.open(sys.argv[1])\n"
        "assert sorted(row.session_name for row in store.find()) == ['A', 'B']\n"
        "session = store.get('A')\n"
        "for write in (lambda: store.create('C'), lambda: session.update(notes='x'), lambda: store.delete('A')):\n"
        "    try:\n"
        "        write()\n"
        "    except StoreUnusable:\n"
        "        continue\n"
        "    raise AssertionError('written')\n"
    )
    python = os.path.realpath(shutil.which("python3", path="/usr/bin:/bin") or "/usr/bin/python3")
    # The interpreter and the packages must be readable by that user; where they are not, this cannot be tried.
    import sys

    probe = [setpriv, "--reuid=65534", "--clear-groups", os.path.realpath(sys.executable), "-c"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HOME": "/tmp"}
    if subprocess.run(
        [*probe, "import sessionstore.store.store"], env=environment, capture_output=True, cwd="/"
    ).returncode:
        pytest.skip(f"an interpreter that another user may run is missing ({python} lacks the packages)")
    done = subprocess.run([*probe, program, str(scratch / "store")], env=environment, capture_output=True, cwd="/")
    assert done.returncode == 0, done.stderr.decode()


def test_too_many_open_files_refuses_and_takes_nothing(scratch: Path) -> None:
    world = operations.begin(scratch / "store")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with sessionstore.open(scratch / "store") as store:
                store.find()
                store.get("A").update(notes="warm")
                resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
                with contextlib.suppress(OSError):
                    while True:
                        os.open("/dev/null", os.O_RDONLY)
                status = 0 if _all_refused(store) else 3
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert oracle.judge(scratch / "store", [world], power=False) == []


def _all_refused(store: SessionStore) -> bool:
    refused = 0
    for name in ("create", "update", "insert", "delete"):
        try:
            OPERATIONS[name].perform(store, 5)
        except SessionStoreError:
            refused += 1
    return refused == 4


@pytest.mark.slow
def test_an_fsync_that_fails_in_the_background_is_told_at_the_next_call(scratch: Path) -> None:
    """T5 for sync=batch: after one failed fsync the writer takes no more; it never tries the same file again."""
    need_root()
    need("strace")
    program = (
        "import sys, time, sessionstore\n"
        "from sessionstore.errors import StreamClosed, OutcomeUnknown\n"
        "writer = sessionstore.open(sys.argv[1]).get('A').writer('samples', 'batch')\n"
        "writer.append({'v': 2})\n"
        "deadline = time.monotonic() + 30\n"
        "while time.monotonic() < deadline:\n"
        "    try:\n"
        "        writer.append({'v': 3})\n"
        "    except StreamClosed as error:\n"
        "        assert 'fsync' in str(error), error\n"
        "        break\n"
        "    time.sleep(0.01)\n"
        "else:\n"
        "    raise AssertionError('nobody was told')\n"
        "for last in (writer.flush, writer.close):\n"
        "    try:\n"
        "        last()\n"
        "    except (StreamClosed, OutcomeUnknown):\n"
        "        continue\n"
        "    raise AssertionError(last)\n"
    )
    operations.begin(scratch / "store")
    import sys

    command = ["strace", "-f", "-qq", "-o", str(scratch / "log"), "-e", "trace=fdatasync"]
    command += ["-e", "inject=fdatasync:error=EIO:when=1", os.path.realpath(sys.executable), "-c", program]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    done = subprocess.run([*command, str(scratch / "store")], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
