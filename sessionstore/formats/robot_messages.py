"""Messages of robots (ROS and Foxglove schemas): each topic a stream; poses, fixes, transforms and logs what they are.

    pose, odometry, transform from map, world or odom    motion points of a drone (ENU metres, as ROS does by REP 103)
    satellite fix                                        the origin (the first), and motion points where no pose came
    log                                                  the log

A drone is named by the child frame of a transform, else by the first part of its topic (``/uav1/odom`` is ``uav1``).
Not here: files and encodings (mcap_file, rosbag).
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sessionstore.errors import InvalidRecord
from sessionstore.formats.geodesy import Origin
from sessionstore.formats.topic_streams import TopicStreams
from sessionstore.session import frames

if TYPE_CHECKING:
    from sessionstore.formats.draft import SessionDraft
    from sessionstore.formats.protocol import ImportReport

_FIXED_FRAMES = ("", "map", "world", "odom", "earth")
_LOG_LEVELS = {1: "debug", 2: "info", 3: "warning", 4: "error", 5: "critical",
               10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}  # fmt: skip


class MessageSink:
    """Takes decoded messages; counts each of them in the report."""

    def __init__(self, into: SessionDraft, report: ImportReport) -> None:
        self._into, self._report = into, report
        self._streams = TopicStreams()
        self._origin: Origin | None = None
        self.points = 0

    def take(self, topic: str, schema: str, t_s: float, message: Any, is_json: bool = False) -> None:
        """Store one message; ``is_json`` when it holds JSON's own types only.

        A message that no stream can hold is counted as not stored, with the reason once.
        """
        stream = self._streams.of(topic)
        record = message if is_json else plain(message)
        if not isinstance(record, dict):
            record = {"value": record}
        try:
            self._into.stream(stream).append(record, t_s)
        except InvalidRecord as error:
            self._report.count(topic, records_out=0, stream=stream)
            reason = f"{topic}: messages were left out ({error})"[:300]
            if reason not in self._report.problems and len(self._report.problems) < 100:
                self._report.problems.append(reason)
            return
        self._report.count(topic, stream=stream)
        self._derive(topic, _kind(schema), t_s, record)

    def _derive(self, topic: str, kind: str, t_s: float, record: dict[str, Any]) -> None:
        drone = topic.strip("/").partition("/")[0] or "robot"
        if kind in ("Odometry", "PoseWithCovarianceStamped"):
            pose, twist = _inner(record, "pose"), _inner(record, "twist")
            self._point(drone, t_s, _inner(pose, "pose") or pose, _inner(twist, "twist") or twist)
        elif kind in ("PoseStamped", "PoseInFrame"):
            self._point(drone, t_s, _inner(record, "pose"), None)
        elif kind in ("NavSatFix", "LocationFix"):
            self._fix(drone, t_s, record)
        elif kind in ("TFMessage", "FrameTransforms"):
            for each in record.get("transforms") or ():
                self._transform(t_s, each)
        elif kind in ("TransformStamped", "FrameTransform"):
            self._transform(t_s, record)
        elif kind == "Log":
            level = record.get("level")
            name = str(level).lower() if isinstance(level, str) else _LOG_LEVELS.get(int(level or 2), "info")
            text = str(record.get("msg") or record.get("message") or "")
            self._into.log(text, {"fatal": "critical", "unknown": "info"}.get(name, name), t_s)

    def _transform(self, t_s: float, record: Any) -> None:
        header = _inner(record, "header")
        parent = str(record.get("parent_frame_id", header.get("frame_id", ""))).strip("/")
        child = str(record.get("child_frame_id", "")).strip("/")
        inner = _inner(record, "transform") or record
        if parent in _FIXED_FRAMES and child:
            pose = {"position": inner.get("translation"), "orientation": inner.get("rotation")}
            self._point(child.partition("/")[0], t_s, pose, None)

    def _fix(self, drone: str, t_s: float, record: dict[str, Any]) -> None:
        place = [record.get(each, 0.0) for each in ("latitude", "longitude", "altitude")]
        if not all(isinstance(each, int | float) and math.isfinite(each) for each in place[:2]) or not any(place[:2]):
            return
        altitude = place[2] if isinstance(place[2], int | float) and math.isfinite(place[2]) else 0.0
        if self._origin is None:
            self._origin = Origin(place[0], place[1], altitude)
            self._into.set(gps=self._origin.as_record())
        if drone not in self._into.motion.movements:
            position = self._origin.to_enu(place[0], place[1], altitude)
            self._into.motion.append(f"{drone}-gps", t_s, position)
            self.points += 1

    def _point(self, drone: str, t_s: float, pose: Mapping[str, Any], twist: Mapping[str, Any] | None) -> None:
        position = _vector(pose.get("position"), "xyz")
        if position is None:
            return
        turned = _vector(pose.get("orientation"), "xyzw")
        orientation = frames.from_quaternion(*turned) if turned is not None and any(turned) else None
        self._into.motion.append(drone, t_s, position, None, orientation, **_body_velocity(twist))
        self.points += 1


def _body_velocity(twist: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the linear velocity of an odometry under its own name: by REP 103 it is in the frame of the body."""
    linear = _vector((twist or {}).get("linear"), "xyz")
    return {"body_velocity": linear} if linear is not None else {}


def _vector(value: Any, axes: str) -> list[float] | None:
    """Return components; protobuf leaves out those that are 0."""
    if not isinstance(value, Mapping):
        return None
    found = [value.get(axis, 0.0) for axis in axes]
    return found if all(isinstance(each, int | float) and math.isfinite(each) for each in found) else None


def _inner(record: Any, key: str) -> dict[str, Any]:
    found = record.get(key) if isinstance(record, Mapping) else None
    return found if isinstance(found, dict) else {}


@lru_cache(maxsize=1024)
def _kind(schema: str) -> str:
    """Return the last part of a schema name: ``nav_msgs/msg/Odometry`` and ``foxglove.Odometry`` are one."""
    return re.split(r"[/.]", schema)[-1]


def plain(value: Any) -> Any:
    """Return a decoded message as JSON values; bytes become base64 under their own type."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return {"base64": base64.b64encode(bytes(value)).decode()}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    names = getattr(value, "__slots__", None) or vars(value).keys()
    return {name.lstrip("_"): plain(getattr(value, name)) for name in names if name != "__msgtype__"}
