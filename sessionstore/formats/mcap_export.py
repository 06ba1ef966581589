"""A session as MCAP for Foxglove.

    /tf                        foxglove.FrameTransforms, from ``map`` to each drone
    /scene                     foxglove.SceneUpdate: buildings as triangles, and a cube for each drone in its frame
    /location/DRONE            foxglove.LocationFix, when the session has a GPS origin
    /log                       foxglove.Log
    /sessionstore/STREAM       each stream as JSON with a schema, sim_time under ``@t``: the file can be imported again

Times are those of the wall clock at sim_time 0 plus sim_time. Left out: artifacts, transitions.
Not here: reading (mcap_file).
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from sessionstore.disk import files
from sessionstore.formats.geodesy import Origin, origin_of
from sessionstore.formats.mcap_file import OWN, TIME
from sessionstore.formats.mcap_transforms import TransformBytes
from sessionstore.formats.scene_shapes import Prism, is_vector, prisms
from sessionstore.model.instants import instant, new_uuid
from sessionstore.session import frames, stream_names

if TYPE_CHECKING:
    from sessionstore.session import Session

_KEPT = ("session_name", "metadata", "tags", "notes", "status", "workflow_state", "started_at", "ended_at", "gps",
         "base_position", "base_orientation", "drones", "duration_sim_s", "end_reason")  # fmt: skip
_encode = msgspec.json.Encoder().encode
_NOT_TURNED = (0.0, 0.0, 0.0, 1.0)
_DERIVED = {"sessionstore": "derived"}


def write_mcap(session: Session, path: Path) -> Path:
    """Write a session; the file has its name once it is whole. Raises: Conflict."""
    import foxglove

    temporary = path.with_name(f".tmp-{new_uuid()}.mcap")
    context = foxglove.Context()
    writer = foxglove.open_mcap(temporary, context=context)
    try:
        try:
            _Writing(session, context).run()
        finally:
            writer.close()
        files.rename_new(temporary, path)
    finally:
        if os.path.lexists(temporary):
            files.remove(temporary)
    files.prove_renamed(path.parent)
    return path


class _Writing:
    def __init__(self, session: Session, context: Any) -> None:
        import foxglove
        from foxglove import channels, messages

        record = session.record
        self._messages, self._channels = messages, channels
        self._moment: tuple[float, int, Any] = (math.nan, 0, None)
        self._session, self._record, self._context = session, record, context
        started = record.started_at or record.created_at
        self._start_ns = int(instant(started).timestamp() * 1e6) * 1000 if started else 0
        self._origin: Origin | None = origin_of(record.gps, session.session_id) if record.gps else None
        self._encoded = TransformBytes("map")
        self._transforms = foxglove.Channel(
            "/tf", schema=messages.FrameTransforms.get_schema(), message_encoding="protobuf", context=context,
            metadata=_DERIVED,
        )  # fmt: skip
        self._scene = channels.SceneUpdateChannel("/scene", context=context, metadata=_DERIVED)
        self._log = channels.LogChannel("/log", context=context, metadata=_DERIVED)
        self._places: dict[str, Any] = {}

    def run(self) -> None:
        document = self._record.to_dict()
        self._json("session", {key: document[key] for key in _KEPT if document.get(key) is not None}, 0.0)
        rows = list(self._session.tables().get("scene", {}).values())
        if rows:
            self._json("scene", {"rows": rows}, 0.0)
        self._write_scene(rows)
        for name, tape in self._session.tapes().items():
            channel = self._channel(name)
            take = {stream_names.MOTION: self._motion, stream_names.LOG: self._line}.get(name)
            for line in tape.in_time():
                self._put(channel, line.data, line.t_s)
                if take is not None:
                    take(line.data, line.t_s)

    def _at(self, t_s: float) -> tuple[float, int, Any]:
        """Return sim_time, nanoseconds and stamp of a moment; the points of a fleet have one moment."""
        if self._moment[0] != t_s:
            ns = max(0, self._start_ns + round(t_s * 1e9))
            self._moment = (t_s, ns, self._messages.Timestamp(*divmod(ns, 10**9)))
        return self._moment

    def _ns(self, t_s: float) -> int:
        return self._at(t_s)[1]

    def _stamp(self, t_s: float) -> Any:
        return self._at(t_s)[2]

    def _channel(self, name: str) -> Any:
        import foxglove

        schema = {"type": "object", "title": name, "properties": {TIME: {"type": "number"}}}
        return foxglove.Channel(OWN + name, schema=schema, message_encoding="json", context=self._context)

    def _json(self, name: str, content: Mapping[str, Any], t_s: float) -> None:
        self._put(self._channel(name), content, t_s)

    def _put(self, channel: Any, content: Mapping[str, Any], t_s: float) -> None:
        channel.log(_encode({**content, TIME: t_s}), log_time=self._at(t_s)[1])

    def _write_scene(self, rows: list[Any]) -> None:
        m = self._messages
        entities = []
        for prism in prisms(rows):
            shape = _triangles(prism, m.Color(r=0.6, g=0.6, b=0.65, a=0.8))
            entities.append(m.SceneEntity(timestamp=self._stamp(0), frame_id="map", id=prism.name, triangles=[shape]))
        for drone in self._record.drones:
            cube = _cube((0.8, 0.8, 0.3), m.Color(r=1.0, g=0.5, b=0.0, a=1.0))
            name = str(drone.get("id"))
            entities.append(
                m.SceneEntity(
                    timestamp=self._stamp(0), frame_id=name, id=f"drone {name}", frame_locked=True, cubes=[cube]
                )
            )
        if entities:
            self._scene.log(m.SceneUpdate(entities=entities), log_time=self._ns(0))

    def _motion(self, point: Mapping[str, Any], t_s: float) -> None:
        drone, position = point.get("drone"), point.get("position")
        if drone is None or not is_vector(position):
            return
        angles = point.get("orientation")
        rotation = frames.to_quaternion(*angles) if is_vector(angles) else _NOT_TURNED
        ns = self._at(t_s)[1]
        self._transforms.log(self._encoded.of(str(drone), ns, position, rotation), log_time=ns)
        if self._origin is not None:
            self._place(str(drone), self._origin.to_geographic(*position), t_s)

    def _place(self, drone: str, place: tuple[float, float, float], t_s: float) -> None:
        m = self._messages
        if drone not in self._places:
            self._places[drone] = self._channels.LocationFixChannel(
                f"/location/{drone}", context=self._context, metadata=_DERIVED
            )
        latitude, longitude, altitude = place
        fix = m.LocationFix(
            timestamp=self._stamp(t_s), frame_id=drone, latitude=latitude, longitude=longitude, altitude=altitude
        )
        self._places[drone].log(fix, log_time=self._ns(t_s))

    def _line(self, line: Mapping[str, Any], t_s: float) -> None:
        m = self._messages
        names = {"debug": "Debug", "warning": "Warning", "error": "Error", "critical": "Fatal"}
        level = getattr(m.LogLevel, names.get(str(line.get("level")), "Info"))
        text = str(line.get("message", ""))
        self._log.log(m.Log(timestamp=self._stamp(t_s), level=level, message=text), log_time=self._ns(t_s))


def _at_rest() -> Any:
    from foxglove import messages as m

    return m.Pose(position=m.Vector3(x=0.0, y=0.0, z=0.0), orientation=m.Quaternion(x=0.0, y=0.0, z=0.0, w=1.0))


def _triangles(prism: Prism, color: Any) -> Any:
    from foxglove import messages as m

    corners, triangles = prism.mesh()
    points = [m.Point3(x=x, y=y, z=z) for x, y, z in corners]
    indices = [index for triangle in triangles for index in triangle]
    return m.TriangleListPrimitive(pose=_at_rest(), points=points, color=color, indices=indices)


def _cube(size: Any, color: Any) -> Any:
    from foxglove import messages as m

    return m.CubePrimitive(pose=_at_rest(), size=m.Vector3(x=size[0], y=size[1], z=size[2]), color=color)
