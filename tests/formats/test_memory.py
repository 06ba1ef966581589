"""Memory of an import does not grow with the file, measured in a process of its own."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sessionstore.store import SessionStore
from tests.formats.ulog_files import FORMATS, NAMES, Log

_PROGRAM = """
import resource, sys
import sessionstore
with sessionstore.open(sys.argv[1]) as store:
    report = store.import_file(sys.argv[2], dry_run=True)
    assert report.state == "would import", report.reason
    print(sum(each.messages_in for each in report.topics.values()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
_LARGE = 12_000_000
#: What the process may need more for the twelve times larger file: a fraction of it.
_MORE_KIB = 4 << 10


def _csv(path: Path, size: int) -> None:
    row = "{0},d{1},{0}.25,1.5,12.5,0.9,{2}\n"
    _written(path, "time,drone,x,y,z,battery,note\n", lambda n: row.format(n / 50, n % 4, "w" * 500), size)


def _jsonl(path: Path, size: int) -> None:
    _written(path, "", lambda n: json.dumps({"t": n / 50, "position": [n, 1, 5], "note": "w" * 500}) + "\n", size)


def _written(path: Path, head: str, row: Callable[[int], str], size: int) -> None:
    with path.open("w") as file:
        written, n = file.write(head), 0
        while written < size:
            written += file.write(row(n))
            n += 1


def _mcap(path: Path, size: int) -> None:
    pytest.importorskip("mcap")
    pytest.importorskip("foxglove")
    from mcap.writer import CompressionType, Writer

    with path.open("wb") as file:
        writer = Writer(file, chunk_size=1 << 18, compression=CompressionType.NONE)
        writer.start()
        channel = writer.register_channel("/wind", "json", writer.register_schema("Wind", "jsonschema", b"{}"))
        data = json.dumps({"speed": 5, "note": "w" * 4000}).encode()
        for n in range(size // len(data)):
            writer.add_message(channel, log_time=n * 10**7, publish_time=0, data=data)
        writer.finish()


def _ulog(path: Path, size: int) -> None:
    pytest.importorskip("numpy")
    row = struct.Struct("<HBHQ6f2df").pack
    log = Log()
    log.put("F", FORMATS[0].encode())
    log.topic(0, NAMES[0])
    with path.open("wb") as file:
        written, n = file.write(log.bytes()), 0
        while written < size:
            written += file.write(row(54, ord("D"), 0, 1000 + n * 4000, n, 1, -5, 1, 0, 0, 47.4, 8.5, 488))
            n += 1


@pytest.mark.slow
@pytest.mark.parametrize("write", [_csv, _jsonl, _mcap, _ulog], ids=["csv", "jsonl", "mcap", "ulog"])
def test_a_file_twelve_times_as_large_needs_no_more_memory(
    store: SessionStore, tmp_path: Path, write: Callable[[Path, int], None]
) -> None:
    peaks = []
    for size in (_LARGE // 12, _LARGE):
        path = tmp_path / f"file-{size}"
        write(path, size)
        command = [sys.executable, "-c", _PROGRAM, str(store.root.path), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        messages, peak_kib = map(int, done.stdout.split())
        assert messages > size // 5000
        peaks.append(peak_kib)
    assert peaks[1] - peaks[0] < _MORE_KIB, peaks
