"""foxglove.FrameTransforms of one drone as bytes, without an object for each part: there are as many as motion points.

Field numbers: https://docs.foxglove.dev/docs/sdk/schemas/frame-transform; protobuf's wire format, all fields written.
Not here: when a transform is written (mcap_export).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

#: Fields 4 (translation: x, y, z) and 5 (rotation: x, y, z, w), each number a double behind its key.
_POSE = struct.Struct("<BBBdBdBdBBBdBdBdBd").pack
_TRANSFORM, _TIMESTAMP, _PARENT, _CHILD = 0x0A, 0x0A, 0x12, 0x1A
_SECONDS, _NANOS = 0x08, 0x10


class TransformBytes:
    """Encodes transforms from one frame to the frames of drones."""

    def __init__(self, parent: str) -> None:
        self._parent = _field(_PARENT, parent.encode())
        self._frames: dict[str, bytes] = {}
        self._stamp: tuple[int, bytes] = (-1, b"")

    def of(self, drone: str, ns: int, position: Sequence[float], rotation: Sequence[float]) -> bytes:
        """Return a message.

        Args:
            ns: since 1970. position: metres. rotation: a quaternion x, y, z, w.
        """
        if self._stamp[0] != ns:
            seconds, nanos = divmod(ns, 10**9)
            parts = bytes((_SECONDS,)) + _varint(seconds) + bytes((_NANOS,)) + _varint(nanos)
            self._stamp = (ns, _field(_TIMESTAMP, parts))
        names = self._frames.get(drone)
        if names is None:
            names = self._frames[drone] = self._parent + _field(_CHILD, drone.encode())
        x, y, z = position
        a, b, c, d = rotation
        pose = _POSE(0x22, 27, 0x09, x, 0x11, y, 0x19, z, 0x2A, 36, 0x09, a, 0x11, b, 0x19, c, 0x21, d)
        return _field(_TRANSFORM, b"%b%b%b" % (self._stamp[1], names, pose))


def _field(key: int, content: bytes) -> bytes:
    size = len(content)
    return b"%c%b%b" % (key, bytes((size,)) if size < 128 else _varint(size), content)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)
