"""T10 for sealed streams: whatever a disk does to one, what is read was written, in its order, and the check says so.

Kills, errors and power cuts while a stream is sealed or unsealed: the operations ``seal`` and ``unseal`` (operations).
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sessionstore.errors import SessionStoreError
from sessionstore.session import sealing
from sessionstore.session.stream_reader import Tape
from sessionstore.session.stream_source import sealed_path
from sessionstore.session.stream_writer import StreamWriter
from tests.proof.tally import tally
from tests.proof.volumes import PROOF

COUNT = 24


def damages(data: bytes, step: int) -> Iterator[tuple[str, bytes]]:
    """Yield what a disk makes of a sealed stream: cut and changed at one byte in so many."""
    rng = random.Random(1)
    for at in range(0, len(data), step):
        yield f"byte {at} changed", data[:at] + bytes([data[at] ^ rng.randrange(1, 256)]) + data[at + 1 :]
        yield f"cut at {at}", data[:at]
    for size in (1, 16, 512):
        yield f"{size} zeros behind", data + bytes(size)
        yield f"{size} zeros at the end", data[:-size] + bytes(size)
    yield "twice", data + data


def read(path: Path) -> list[Any]:
    """Return the values of all lines that a reader is given; any error must be one of ours."""
    found: list[Any] = []
    with contextlib.suppress(SessionStoreError):
        found += (line.data["v"] for line in Tape(path).read(damaged="skip"))
    return found


def is_noticed(path: Path) -> bool:
    """Whether the stream's check says that something is wrong."""
    try:
        return not Tape(path).check().whole
    except SessionStoreError:
        return True


@pytest.mark.timeout(600)
def test_every_damage_of_a_sealed_stream_is_noticed_and_what_is_read_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "MEMBER_BYTES", 300)
    monkeypatch.setattr("sessionstore.session.sealed_form.MEMBER_BYTES", 300)
    path = tmp_path / "samples.jsonl"
    writer = StreamWriter(path, "os")
    writer.extend({"v": number} for number in range(COUNT))
    writer.close()
    assert sealing.seal_stream(path) and not path.exists()
    file, written = sealed_path(path), list(range(COUNT))
    whole = file.read_bytes()
    with tally("T10 damaged sealed streams: cut at each byte, each byte changed, zeros") as count:
        for what, data in damages(whole, 1 if PROOF != "ci" else 7):
            file.write_bytes(data)
            count(inputs=1)
            found = read(path)
            if [value for value in written if value in set(found)] != found:
                count.wrong.append(f"{what}: read {found}")
            if found != written and not is_noticed(path):
                count.wrong.append(f"{what}: {len(found)} of {COUNT} lines, and no check says so")
            if file.read_bytes() != data:
                count.wrong.append(f"{what}: reading changed the file")
        file.write_bytes(whole)
        assert read(path) == written
