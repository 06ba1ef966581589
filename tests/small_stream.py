"""A stream of a few numbered records, and what it holds."""

from __future__ import annotations

from pathlib import Path

from sessionstore.session.stream_reader import Tape
from sessionstore.session.stream_writer import StreamWriter


def filled(path: Path, count: int = 5) -> Path:
    writer = StreamWriter(path)
    for number in range(count):
        writer.append({"i": number}, t_s=number / 2)
    writer.close()
    return path


def values(path: Path) -> list[int]:
    return [line.data["i"] for line in Tape(path).read()]
