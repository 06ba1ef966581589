"""The limit: the same job by hand, with nothing but what the disk demands.

One directory, one JSON file by temporary file and rename, one appended line of an index, flock around updates; with
``fsync`` the same with an fsync of file, directories and index. It checks nothing, knows no damage and no names.
The one place besides ``files`` that writes by itself: a limit that went through the package would measure the package.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import statistics
from pathlib import Path
from typing import Any

import msgspec

from sessionstore.bench.figures import Figure, Operation, duration
from sessionstore.bench.systems import System, session_of

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


#: A new folder with a new file takes 40 to 80 us where the file system hands out inodes fast; ten times that is slow.
FAST_INODE_S = 120e-6


def new_inode(folder: Path) -> Operation:
    """Return an operation that makes a folder and an empty file in it, and renames the folder: two new inodes."""
    numbers = itertools.count()

    def made() -> None:
        staged = f"{folder}/staged-{next(numbers)}"
        os.mkdir(staged)
        os.close(os.open(f"{staged}/file", os.O_CREAT | os.O_WRONLY))
        os.rename(staged, staged + "-named")

    return made


def inode_probe(folder: Path, size: int) -> tuple[Figure, bool]:
    """Measure bare new folders beside the creates; the figure names the state, fast or slow. Return it, and if fast."""
    made = new_inode(folder)
    values = [statistics.median(duration(made) for _ in range(50)) for _ in range(5)]
    fast = statistics.median(values) <= FAST_INODE_S
    state = "fast" if fast else "slow"
    return Figure("W1", "new folder and file", f"file system, {state} state", "s", values, size), fast


class Head(msgspec.Struct, gc=False):
    """What a listing needs of a line of the index; the metadata stays raw."""

    session_id: str
    status: str
    created_at: str
    metadata: msgspec.Raw = msgspec.Raw(b"{}")


class Limit(System):
    """The bare minimum; see the module."""

    durable = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._root = str(folder)
        flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY
        self._index = os.open(folder / "index.jsonl", flags, 0o666)
        self._lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o666)
        self._log = os.open(folder / "log.jsonl", flags, 0o666)

    def _sync(self, path: str) -> None:
        if self.durable:
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)

    def _put(self, folder: str, data: bytes) -> None:
        temporary = f"{folder}/.{os.getpid()}"
        descriptor = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o666)
        os.write(descriptor, data)
        if self.durable:
            os.fsync(descriptor)
        os.close(descriptor)
        os.replace(temporary, f"{folder}/session.json")
        self._sync(folder)

    def _tell(self, data: bytes) -> None:
        os.write(self._index, data + b"\n")
        if self.durable:
            os.fdatasync(self._index)

    def create(self, number: int) -> None:
        record = session_of(number)
        folder = f"{self._root}/{record['session_id']}-{os.getpid()}"
        os.mkdir(folder)
        data = _encode(record)
        self._put(folder, data)
        self._sync(self._root)
        self._tell(data)
        self.keys.append(folder)

    def fill(self, count: int) -> None:
        lines = []
        for number in range(count):
            record = session_of(number)
            lines.append(_encode(record) + b"\n")
            if number < 1000:  # those that are updated and got
                folder = f"{self._root}/{record['session_id']}-f"
                os.mkdir(folder)
                Path(folder, "session.json").write_bytes(lines[-1])
                self.keys.append(folder)
            else:
                os.mkdir(f"{self._root}/{record['session_id']}-f")
        os.write(self._index, b"".join(lines))

    def change(self, number: int, **changes: Any) -> None:
        folder = self.keys[number % len(self.keys)]
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        record = _decode(Path(folder, "session.json").read_bytes())
        record.update(changes)
        data = _encode(record)
        self._put(folder, data)
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        self._tell(data)

    def count_up(self, key: Any) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        record = _decode(Path(key, "session.json").read_bytes())
        record["metadata"]["count"] = record["metadata"].get("count", 0) + 1
        data = _encode(record)
        self._put(key, data)
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        self._tell(data)

    def counted(self, key: Any) -> int:
        return int(_decode(Path(key, "session.json").read_bytes())["metadata"].get("count", 0))

    def append(self, record: dict[str, Any]) -> None:
        os.write(self._log, _encode(record) + b"\n")
        if self.durable:
            os.fdatasync(self._log)

    def append_many(self, records: list[dict[str, Any]]) -> None:
        os.write(self._log, b"".join([_encode(record) + b"\n" for record in records]))
        if self.durable:
            os.fdatasync(self._log)

    def list_cold(self) -> int:
        return len(self.heads())

    def heads(self) -> list[Head]:
        """Return all heads, sorted by creation."""
        decode = msgspec.json.Decoder(Head).decode
        heads = list(map(decode, Path(self._root, "index.jsonl").read_bytes().splitlines()))
        heads.sort(key=lambda head: head.created_at)
        return heads

    def filter_cold(self) -> int:
        return sum(_decode(head.metadata).get("num_drones") == 5 for head in self.heads())

    def get(self, number: int) -> None:
        _decode(Path(self.keys[number % len(self.keys)], "session.json").read_bytes())

    def close(self) -> None:
        for descriptor in (self._index, self._lock, self._log):
            os.close(descriptor)


class DurableLimit(Limit):
    """The bare minimum that survives a power cut."""

    durable = True
