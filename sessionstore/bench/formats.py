"""F1 to F3: importing a PX4 log beside pyulog's own reading, and MCAP out and in beside the libraries' own loops.

All in one process, in turn; a store is made anew for each import. A library that is not installed is left out.
Not here: whether what arrives is right (tests/formats).
"""

from __future__ import annotations

import importlib
import itertools
import json
import math
import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sessionstore
from sessionstore.bench import OURS
from sessionstore.bench.figures import Figure, Target, in_turn

if TYPE_CHECKING:
    from sessionstore.bench.workloads import Bench

_MOST_MESSAGES = 400_000
_LARGE_LOG = 1_900_000  # messages of a log of 100 MB
_DRONES = 20
_TOPICS = 8


def formats(bench: Bench) -> None:
    """F1 to F3."""
    folder = bench.scratch / "formats"
    folder.mkdir(parents=True)
    count = min(bench.plan.stream_records, _MOST_MESSAGES)
    try:
        for needed, part in (("pyulog", _read_ulog), ("foxglove", _write_mcap), ("mcap", _read_mcap)):
            try:
                importlib.import_module(needed)
            except ModuleNotFoundError:
                bench.figures.left_out[needed] = "not installed"
                continue
            part(bench, folder, count)
    finally:
        shutil.rmtree(folder)


def _compared(
    bench: Bench, workload: str, case: str, works: dict[str, Callable[[], int]], against: str, target: Target
) -> None:
    """Let each contestant work in turn; figures are messages a second."""

    def rate(work: Callable[[], int]) -> float:
        begin = time.perf_counter()
        done = work()
        return done / (time.perf_counter() - begin)

    values = in_turn(works, bench.plan.rounds, rate)
    for name in works:
        mine: dict[str, Any] = {"against": against, "target": target} if name == OURS else {}
        bench.figures.add(Figure(workload, case, name, "/s", values[name], **mine))


def _import(folder: Path, path: Path) -> int:
    place = folder / "imported"
    shutil.rmtree(place, ignore_errors=True)
    with sessionstore.open(place) as store:
        report = store.import_file(path)
    return sum(topic.messages_in for topic in report.topics.values())


# ------------------------------------------------------------------ F1


def _read_ulog(bench: Bench, folder: Path, count: int) -> None:
    import pyulog

    path = folder / "flight.ulg"
    path.write_bytes(ulog_of(_LARGE_LOG if bench.plan.stream_records > count else count))

    def theirs() -> int:
        return sum(len(topic.data["timestamp"]) for topic in pyulog.ULog(str(path)).data_list)

    works = {"pyulog": theirs, OURS: lambda: _import(folder, path)}
    _compared(bench, "F1", f"ULog, {path.stat().st_size >> 20} MiB", works, "pyulog", Target("ratio", ">=", 1 / 1.3))


def ulog_of(count: int) -> bytes:
    """Return a PX4 log of eight topics with ten floats each; one of them is the local position."""
    axes = "float x;float y;float z;float vx;float vy;float vz;double ref_lat;double ref_lon;float ref_alt;"
    parts = [b"ULog\x01\x12\x35\x01", struct.pack("<Q", 0)]

    def put(kind: bytes, body: bytes) -> None:
        parts.append(struct.pack("<Hc", len(body), kind) + body)

    for topic in range(_TOPICS):
        name = "vehicle_local_position" if not topic else f"topic_{topic}"
        fields = axes if not topic else "".join(f"float f{each};" for each in range(10))
        put(b"F", f"{name}:uint64_t timestamp;{fields}".encode())
    for topic in range(_TOPICS):
        name = "vehicle_local_position" if not topic else f"topic_{topic}"
        put(b"A", struct.pack("<BH", 0, topic) + name.encode())
    place, values = struct.Struct("<HQ6f2df"), struct.Struct("<HQ10f")
    for number in range(count):
        topic, at_us = number % _TOPICS, 1_000_000 + number * 500
        wave = math.sin(number / 1000)
        if topic:
            put(b"D", values.pack(topic, at_us, *(wave * each for each in range(1, 11))))
        else:
            put(b"D", place.pack(0, at_us, wave, -wave, -5.0, 0.1, 0.2, 0.0, 47.4, 8.5, 488.0))
    return b"".join(parts)


# ------------------------------------------------------------------ F2, F3


def _flown(folder: Path, points: int) -> Any:
    store = sessionstore.open(folder / "flown")
    with store.record("flight", sync="os") as session:
        for step in range(points // _DRONES):
            session.motion.extend(
                [
                    {
                        "drone": f"drone-{number}",
                        "position": [step / 7, number * 2.1, 5.0 + math.sin(step / 100)],
                        "velocity": [1.0, 0.0, 0.25],
                        "orientation": [0.01, -0.02, step / 1000],
                        "battery": 0.9,
                    }
                    for number in range(_DRONES)
                ],
                t_s=step * 0.05,
            )
    return store.get("flight")


def _write_mcap(bench: Bench, folder: Path, count: int) -> None:
    session = _flown(folder, count // 2)  # each point is two messages: as it was, and a transform
    numbers = itertools.count()

    def ours() -> int:
        path = folder / f"ours-{next(numbers)}.mcap"
        session.export(path)
        found = _messages_in(path)
        path.unlink()
        return found

    def theirs() -> int:
        return _foxglove_loop(folder / f"theirs-{next(numbers)}.mcap", count)

    works = {"foxglove-sdk": theirs, OURS: ours}
    _compared(bench, "F2", "MCAP out", works, "foxglove-sdk", Target("median", ">=", 200_000))


def _messages_in(path: Path) -> int:
    from mcap.reader import make_reader

    with path.open("rb") as file:
        summary: Any = make_reader(file).get_summary()
    return int(summary.statistics.message_count)


def _foxglove_loop(path: Path, count: int) -> int:
    """Log as many messages as we write: half of them JSON that is ready, half transforms."""
    import foxglove
    from foxglove import channels
    from foxglove import messages as m

    context = foxglove.Context()
    writer = foxglove.open_mcap(path, context=context)
    plain = foxglove.Channel("/plain", schema={"type": "object"}, message_encoding="json", context=context)
    moved = channels.FrameTransformsChannel("/tf", context=context)
    for number in range(count // 2):
        ns = number * 1_000_000
        row = {"drone": "drone-1", "position": [number / 7, 2.1, 5.0], "velocity": [1.0, 0.0, 0.25], "battery": 0.9}
        plain.log(json.dumps(row).encode(), log_time=ns)
        transform = m.FrameTransform(
            timestamp=m.Timestamp(*divmod(ns, 10**9)),
            parent_frame_id="map",
            child_frame_id="drone-1",
            translation=m.Vector3(x=number / 7, y=2.1, z=5.0),
            rotation=m.Quaternion(x=0.0, y=0.0, z=0.0, w=1.0),
        )
        moved.log(m.FrameTransforms(transforms=[transform]), log_time=ns)
    writer.close()
    path.unlink()
    return count


def _read_mcap(bench: Bench, folder: Path, count: int) -> None:
    from mcap.reader import make_reader

    def loop(path: Path) -> int:
        with path.open("rb") as file:
            sent = make_reader(file).iter_messages(log_time_order=False)
            return sum(json.loads(message.data) is not None for _, _, message in sent)

    foreign = folder / "foreign.mcap"
    _write_foreign(foreign, count)
    works = {"mcap, json": lambda: loop(foreign), OURS: lambda: _import(folder, foreign)}
    _compared(bench, "F3", "MCAP in", works, "mcap, json", Target("median", ">=", 100_000))


def _write_foreign(path: Path, count: int) -> None:
    """Write JSON messages as another recorder does: poses and numbers on ten topics."""
    from mcap.writer import Writer

    with path.open("wb") as file:
        writer: Any = Writer(file)
        writer.start()
        schema = writer.register_schema("Telemetry", "jsonschema", b'{"type":"object"}')
        topics = [writer.register_channel(f"/robot/topic_{number}", "json", schema) for number in range(10)]
        for number in range(count):
            row = {"a": number / 7, "b": number, "list": [1.0, 2.5, number / 3], "name": "robot", "ok": True}
            ns = 1_790_000_000 * 10**9 + number * 1_000_000
            writer.add_message(topics[number % 10], ns, json.dumps(row).encode(), ns)
        writer.finish()
