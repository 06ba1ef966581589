"""Stores and streams of any size, made quickly: real folders and real lines, as the package would have written them.

Nothing is synced and no lock is taken: for scratch folders only.
Not here: what is measured on them (workloads).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

from sessionstore.bench.systems import log_record, session_of
from sessionstore.disk import files
from sessionstore.layout import DOCUMENT
from sessionstore.model import json_text
from sessionstore.model.record import SessionRecord
from sessionstore.model.row import SessionRow, to_row
from sessionstore.store import SessionStore


def fill_store(folder: Path, count: int, index: str | None = None) -> list[str]:
    """Make a store of ``count`` completed sessions; return their ids."""
    with SessionStore(folder, index) as store:
        store.root.prepare()
        rows = list(_folders(store, count))
        store.index.replace_all(rows)
    time.sleep(0.05)  # what is measured next must not share the second half of this write
    return [row.session_id for row in rows]


def _folders(store: SessionStore, count: int) -> Iterator[SessionRow]:
    for number in range(count):
        record = SessionRecord.new(**session_of(number), created_by="sessionstore bench", provenance=_PROVENANCE)
        path = os.path.join(store.root.path, record.session_id)
        files.make_dir(path)
        data = json_text.layout({"session": {"1": record.to_dict()}, "workflow": {}})
        yield to_row(record, files.create(os.path.join(path, DOCUMENT), data, sync=False))


#: As a program with forty packages has it: the sessions that one process made have it in common.
_PROVENANCE: dict[str, Any] = {
    "command": ["fly.py", "--scenario", "facade", "--minutes", "10"],
    "python": "3.11.7",
    "platform": "Linux-6.1.0-x86_64-with-glibc2.36",
    "host": "bench",
    "packages": {f"package-{number}": f"{number % 7}.{number}.1" for number in range(40)},
    "folder": "/home/bench/flights",
    "git": {"commit": "0" * 40, "branch": "main", "folder": ".", "dirty": False},
    "seed": 7,
}


def fill_stream(path: Path, count: int, hertz: float = 20.0, drones: int = 5) -> None:
    """Write a motion stream of ``count`` records, numbered and with checksums."""
    descriptor = files.open_to_append(path, durable=False)
    try:
        for begin in range(0, count, 50_000):
            lines = []
            for number in range(begin, min(count, begin + 50_000)):
                tick, drone = divmod(number, drones)
                head = b'{"n":%d,"t":%.2f,"drone":"scout-%d","position":[1.25,%d.5,30.0],"battery":0.93' % (
                    number, tick / hertz, drone, number % 1000,
                )  # fmt: skip
                lines.append(b'%s,"c":"%08x"}\n' % (head, crc32(head)))
            files.write_all(descriptor, b"".join(lines), path)
    finally:
        os.close(descriptor)


def sparse_stream(path: Path, count: int) -> int:
    """Make a file as long as a stream of ``count`` records: a hole, and its last records; return its size in bytes.

    Opening for append, appending, and reading the end see what they would see in the whole file.
    """
    tail = []
    for number in range(count - 1000, count):
        payload = b'"drone":"scout-1","position":[1.25,%d.5,30.0],"battery":0.93' % (number % 1000)
        head = b'{"n":%d,"t":%.2f,%s' % (number, number / 100, payload)
        tail.append(b'%s,"c":"%08x"}\n' % (head, crc32(head)))
    size = (count - 1000) * len(tail[-1])
    descriptor = files.open_to_append(path, durable=False)
    try:
        files.truncate(descriptor, size, path)
        files.write_all(descriptor, b"\n" + b"".join(tail), path)
    finally:
        os.close(descriptor)
    return size


def log_records(count: int) -> list[dict[str, Any]]:
    """Return records of a communication log."""
    return [log_record(number) for number in range(count)]
