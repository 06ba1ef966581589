"""PX4 logs, written message by message."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field

SYNC = b"\x2f\x73\x13\x20\x25\x0c\xbb\x12"
FORMATS = (
    "vehicle_local_position:uint64_t timestamp;float x;float y;float z;float vx;float vy;float vz;"
    "double ref_lat;double ref_lon;float ref_alt;",
    "vehicle_attitude:uint64_t timestamp;float[4] q;",
    "battery_status:uint64_t timestamp;float remaining;uint8_t count;uint8_t[3] _padding0;",
    "esc:uint64_t timestamp;int32_t rpm;float[2] volt;bool on;uint8_t[7] _padding0;",
    "escs:uint64_t timestamp;uint8_t _padding0;int8_t count;esc[2] each;char[5] name;uint16_t[1] one;int64_t big;",
    "late:uint64_t timestamp;uint64_t serial;double value;",
    "timeless:uint8_t value;",
)
#: Padding at the end of a message is not written.
LAYOUTS = ("<Q6f2df", "<Q4f", "<QfB", "<Qi2fB", "<QBb" + "Qi2f?7x" * 2 + "5sHq", "<QQd", "<B")
NAMES = [each.partition(":")[0] for each in FORMATS]


@dataclass
class Log:
    """A log that is being written."""

    parts: list[bytes] = field(default_factory=lambda: [b"ULog\x01\x12\x35\x01" + struct.pack("<Q", 77)])

    def put(self, kind: str, body: bytes) -> None:
        self.parts.append(struct.pack("<HB", len(body), ord(kind)) + body)

    def topic(self, number: int, name: str, instance: int = 0) -> None:
        self.put("A", struct.pack("<BH", instance, number) + name.encode())

    def row(self, number: int, layout: str, *values: object) -> None:
        self.put("D", struct.pack("<H", number) + struct.pack(layout, *values))

    def keyed(self, kind: str, key: str, value: bytes, head: bytes = b"") -> None:
        self.put(kind, head + bytes((len(key),)) + key.encode() + value)

    @property
    def size(self) -> int:
        return sum(map(len, self.parts))

    def bytes(self) -> bytes:
        return b"".join(self.parts)


def varied_log(seed: int, rows: int = 4000, appended: bool = False, timeless: bool = False) -> bytes:
    """Return a log with every kind of message and field, several instances, late topics and rows out of order.

    The library ends at a message without a timestamp (``timeless``).
    """
    chance, log = random.Random(seed), Log()
    flags = len(log.parts)
    log.put("B", bytes(40))
    for text in FORMATS:
        log.put("F", text.encode())
    log.keyed("I", "char[3] sys", b"px4")
    log.keyed("I", "uint32_t release", struct.pack("<I", 17))
    for begins in (0, 1, 0):
        log.keyed("M", "char[2] perf", b"ab", bytes((begins,)))
    log.keyed("P", "float MPC_A", struct.pack("<f", 0.25))
    for number, name in enumerate(NAMES[:5]):
        log.topic(number, name)
    log.topic(40, "esc", 1)
    for count in range(rows):
        if count == rows // 2:
            log.topic(5, "late")
            if timeless:
                log.topic(6, "timeless")
            if appended:
                offset = struct.pack("<Q", log.size)
                log.parts[flags] = struct.pack("<HB", 40, ord("B")) + bytes(8) + b"\x01" + bytes(7) + offset + bytes(16)
        _row(
            log,
            chance,
            chance.choice(
                [0, 1, 2, 3, 4, 5, 40, *([6] if timeless else [])] if count >= rows // 2 else [0, 1, 2, 3, 4, 40]
            ),
            count,
        )
        if count % 97 == 0:
            _other(log, chance, count)
    return log.bytes()


def _row(log: Log, chance: random.Random, number: int, count: int) -> None:
    t = 1_000_000 + count * 700 - chance.choice((0, 0, 0, 900))
    real = [chance.choice((chance.uniform(-99, 99), float("nan"), float("inf"), 0.1)) for _ in range(8)]
    if number == 0:
        log.row(0, LAYOUTS[0], t, *[chance.uniform(-9, 9) for _ in range(6)], 47.4, 8.5, 488.0)
    elif number == 1:
        log.row(1, LAYOUTS[1], t, *[chance.uniform(-1, 1) for _ in range(4)])
    elif number == 2:
        log.row(2, LAYOUTS[2], t, chance.random(), 3)
    elif number in (3, 40):
        log.row(number, LAYOUTS[3], t, chance.randint(-(2**31), 2**31 - 1), real[0], real[1], 1)
    elif number == 4:
        each = (t, -5, real[2], real[3], True)
        log.row(4, LAYOUTS[4], t, 9, -8, *each, *each, b"DDx\x00\xff", 65535, -(2**63) + count)
    elif number == 5:
        log.row(5, LAYOUTS[5], t, 2**64 - 1 - count, real[4])
    else:
        log.row(6, LAYOUTS[6], 1)


def _other(log: Log, chance: random.Random, count: int) -> None:
    kind = chance.choice("LCOPSQRZ")
    if kind == "L":
        log.put("L", struct.pack("<BQ", ord(chance.choice("01234567")), 1_000_000 + count) + b"said \xc3\xa9\xff")
    elif kind == "C":
        log.put("C", struct.pack("<BHQ", ord("4"), 3, 1_000_000 + count) + b"tagged")
    elif kind == "O":
        log.put("O", struct.pack("<H", 12))
    elif kind == "P":
        log.keyed("P", "int32_t MAV_ID", struct.pack("<i", count))
    elif kind == "S":
        log.put("S", SYNC)
    elif kind == "Q":
        log.keyed("Q", "int32_t MAV_ID", struct.pack("<i", 1), b"\x01")
    else:
        log.put(kind, b"of another version")
