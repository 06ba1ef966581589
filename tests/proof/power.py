"""Power cuts on real file systems: ext4 and XFS on a loop file, shut down without flushing their log, mounted again.

The ioctl is EXT4_IOC_SHUTDOWN / XFS_IOC_GOINGDOWN (0x8004587d) with 2, "no log flush": what the file system had not yet
written is gone, as in a power cut. The child's acknowledgements go to a pipe outside.
LazyFS, which drops what was not synced in any order, is neither a Debian nor a PyPI package, so that no machine which
installs from there alone can build it; the states that it would show are enumerated by crash_states, without FUSE.
Not here: what the child does (operations), what may be left (oracle).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import select
import shutil
import signal
import struct
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.proof import operations, oracle
from tests.proof.operations import OPERATIONS
from tests.proof.syscalls import Server, Trial, allowed_after, drain, in_flight

_SHUTDOWN, _NO_LOG_FLUSH = 0x8004587D, 2
#: How to make each file system, and in how many bytes (XFS takes no less).
KINDS = {"ext4": (["mkfs.ext4", "-q", "-F"], 48 << 20), "xfs": (["mkfs.xfs", "-q", "-f"], 320 << 20)}
#: A recorder writes in the background too: its steps are told by no acknowledgement.
NAMES = [name for name in OPERATIONS if name not in ("record", "lose_index", "damage_index")]


@dataclass
class Cuts:
    """How many cuts there were, how many hit an operation, and what was wrong after them."""

    count: int = 0
    within: int = 0
    acknowledged: int = 0
    wrong: list[str] = field(default_factory=list)
    operations: Counter[str] = field(default_factory=Counter)


class LoopDisk:
    """One file system in a file, made once with a store on it, and mounted afresh for each cut."""

    def __init__(self, kind: str, scratch: Path) -> None:
        make, size = KINDS[kind]
        self.kind, self.image, self.master, self.mount = kind, scratch / "disk", scratch / "master", scratch / "mount"
        self.mount.mkdir(parents=True)
        with self.master.open("wb") as file:
            file.truncate(size)
        path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
        subprocess.run([*make, str(self.master)], check=True, env={**os.environ, "PATH": path})
        with self.mounted(self.master):
            self.begin = operations.begin(self.mount / "store")

    @contextlib.contextmanager
    def mounted(self, image: Path) -> Iterator[Path]:
        """Mount an image, and unmount it."""
        subprocess.run(["mount", "-t", self.kind, "-o", "loop", str(image), str(self.mount)], check=True)
        try:
            yield self.mount
        finally:
            subprocess.run(["umount", str(self.mount)], check=True)

    def fresh(self) -> Path:
        """Return a new copy of the disk as it was made."""
        subprocess.run(["cp", "--sparse=always", str(self.master), str(self.image)], check=True)
        return self.image

    def shut_down(self) -> None:
        """Cut the power."""
        descriptor = os.open(self.mount, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(descriptor)


def cut(kind: str, count: int, scratch: Path, names: list[str] | None = None, length: int = 6) -> Cuts:
    """Cut the power so many times, each at another moment of another sequence, and judge what is left.

    Raises: OSError, CalledProcessError: the file system cannot be made or mounted here.
    """
    disk, server, result = LoopDisk(kind, scratch), Server(scratch), Cuts()
    rng = random.Random(kind)
    try:
        span_s = 0.05
        for _ in range(count):
            sequence = tuple(rng.choices(names or NAMES, k=length))
            with disk.mounted(disk.fresh()):
                trial, done = _run_and_cut(disk, server, sequence, rng.uniform(0, span_s))
                # Half of the cuts should come before the end: the span follows the speed of this machine.
                span_s = max(0.005, span_s * (0.9 if done else 1.1))
            allowed, wrong = allowed_after(trial, sequence, disk.begin)
            with disk.mounted(disk.image):
                wrong += oracle.judge(disk.mount / "store", allowed, power=True)
            result.count += 1
            result.within += not done
            result.operations[in_flight(trial, sequence)] += not done
            result.acknowledged += sum(words[0] == "done" for words in trial.said)
            result.wrong += [f"{kind}: {', '.join(sequence)}: {trial.said}: {each}" for each in wrong]
    finally:
        server.close()
        shutil.rmtree(scratch, ignore_errors=True)
    return result


def _freeze(pid: int) -> None:
    """Stop a process, as a power cut does: a shutdown alone lets it go on, and XFS tells the fsync of what the shutdown
    has just thrown away that all is well, since nothing of it is waiting any more."""
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, signal.SIGSTOP)
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "RS":
            pass  # within microseconds; D is a process inside an fsync, which stops when that returns


def _run_and_cut(disk: LoopDisk, server: Server, names: tuple[str, ...], after_s: float) -> tuple[Trial, bool]:
    """Start a sequence, cut the power after a while, end the process; return what it said, and whether it was done."""
    with server.started(names, disk.mount / "store", disk.begin) as (pid, go, report):
        os.write(go, b"g")
        select.select([], [], [], after_s)
        _freeze(pid)
        disk.shut_down()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        status = server.ended()
        said = drain(report)
    wanted = len(list(operations.possible(names, disk.begin)))
    return Trial(said, os.WIFSIGNALED(status)), sum(words[0] == "done" for words in said) == wanted
