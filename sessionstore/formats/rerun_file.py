"""A session as a Rerun recording (.rrd), all of it on the timeline ``sim_time``, with a blueprint.

    /map/buildings/NAME         Mesh3D, from the ground to the roof
    /map/drones/NAME            Transform3D at each point, a Boxes3D as its body
    /map/paths/NAME             LineStrips3D, the whole path
    /geo/NAME                   GeoLineStrings, when the session has a GPS origin
    /scalars/STREAM/FIELD       Scalars: each numeric field; of motion points and of other streams with drones by drone
    /log, /events               TextLog

Units are those of the session: metres (east-north-up), seconds, radians. Left out: texts and lists within streams,
windows, artifacts, transitions. Memory holds the paths and one batch of each entity.
Not here: shapes of buildings (scene_shapes).
"""

from __future__ import annotations

import math
import os
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionstore.disk import files
from sessionstore.errors import Conflict
from sessionstore.formats.geodesy import Origin, origin_of
from sessionstore.formats.protocol import Options
from sessionstore.formats.scene_shapes import is_vector, prisms
from sessionstore.model.instants import instant, new_uuid
from sessionstore.session import frames, stream_names

if TYPE_CHECKING:
    from sessionstore.session import Session

TIMELINE = "sim_time"
_BATCH = 8192
_MOST_PATH_POINTS = 50_000
_BODY_HALF_SIZE_M = (0.4, 0.4, 0.15)
_LEVELS = {"debug": "DEBUG", "warning": "WARN", "error": "ERROR", "critical": "CRITICAL"}
_OWN_FIELDS = {"drone", "position", "velocity", "orientation"}


class RerunFile:
    """A recording of Rerun; it can be written."""

    name = "rerun"
    about = "recordings of Rerun (.rrd)"
    extensions = (".rrd",)
    requires = ("rerun",)
    extra = "rerun"

    def sniff(self, head: bytes, path: Path) -> float:
        """Return 0.0: it is written only."""
        return 0.0

    def write(self, session: Session, path: Path, options: Options) -> Path:
        """Write a session; the file has its name once it is whole. Raises: Conflict."""
        temporary = path.with_name(f".tmp-{new_uuid()}.rrd")
        try:
            _Writing(session, temporary).run()
            files.rename_new(temporary, path)
        except FileExistsError as error:
            raise Conflict(f"{path} exists already and was not changed") from error
        finally:
            if os.path.lexists(temporary):
                files.remove(temporary)
        files.prove_renamed(path.parent)
        return path


class _Writing:
    def __init__(self, session: Session, path: Path) -> None:
        import rerun

        self._rr, self._session, self._record = rerun, session, session.record
        self._out = rerun.RecordingStream("sessionstore", recording_id=session.uuid, send_properties=True)
        self._out.set_log_time_enabled(False)  # sim_time is the only timeline
        self._out.save(path)
        self._origin: Origin | None = origin_of(self._record.gps, session.session_id) if self._record.gps else None
        self._paths: dict[str, array[float]] = {}
        self._batches: dict[str, _Batch] = {}

    def run(self) -> None:
        try:
            self._describe()
            self._buildings()
            for name, tape in self._session.tapes().items():
                take = {stream_names.MOTION: self._motion, stream_names.LOG: self._log, stream_names.EVENTS: self._log}
                for line in tape.in_time():
                    take.get(name, self._other)(name, line.data, line.t_s)
            for batch in self._batches.values():
                batch.send()
            self._draw_paths()
        finally:
            self._out.flush()
            self._out.disconnect()

    def _describe(self) -> None:
        record, rr = self._record, self._rr
        self._out.send_recording_name(record.session_name or self._session.session_id)
        if started := record.started_at or record.created_at:
            self._out.send_recording_start_time_nanos(int(instant(started).timestamp() * 1e6) * 1000)
        self._out.log("map", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        self._out.send_blueprint(self._blueprint())

    def _blueprint(self) -> Any:
        import rerun.blueprint as views

        drawn: list[Any] = [views.Spatial3DView(origin="/map", name="flight")]
        if self._origin is not None:
            drawn.append(views.MapView(origin="/geo", name="map"))
        figures = [
            views.TimeSeriesView(origin=f"/scalars/{stream_names.MOTION}/{each}", name=each)
            for each in ("altitude_m", "speed_mps", "battery")
        ]
        texts = views.TextLogView(contents=["/log/**", "/events/**"], name="log and events")
        left = views.Vertical(views.Tabs(*drawn), texts, row_shares=[3, 1])
        return views.Blueprint(views.Horizontal(left, views.Vertical(*figures), column_shares=[2, 1]))

    def _buildings(self) -> None:
        for prism in prisms(self._session.tables().get("scene", {}).values()):
            corners, triangles = prism.mesh()
            mesh = self._rr.Mesh3D(
                vertex_positions=corners, triangle_indices=triangles, albedo_factor=[150, 150, 160, 255]
            )
            self._out.log(["map", "buildings", prism.name], mesh, static=True)

    # ------------------------------------------------------------ streams

    def _motion(self, name: str, point: Mapping[str, Any], t_s: float) -> None:
        drone, position = str(point.get("drone")), point.get("position")
        if not is_vector(position):
            return
        if drone not in self._paths:
            self._paths[drone] = array("d")
            body = self._rr.Boxes3D(half_sizes=[_BODY_HALF_SIZE_M], labels=[drone], colors=[[255, 140, 0]])
            self._out.log(["map", "drones", drone], body, static=True)
        self._paths[drone].extend(position)
        turned = point.get("orientation")
        rotation = frames.to_quaternion(*turned) if is_vector(turned) else (0.0, 0.0, 0.0, 1.0)
        self._batch(["map", "drones", drone], self._transforms).add(t_s, (position, rotation))
        velocity = point.get("velocity")
        values = {"altitude_m": position[2], **({"speed_mps": math.hypot(*velocity)} if is_vector(velocity) else {})}
        for field, value in _numbers(
            {**values, **{key: each for key, each in point.items() if key not in _OWN_FIELDS}}
        ):
            self._scalar([name, field, drone], t_s, value)

    def _log(self, name: str, line: Mapping[str, Any], t_s: float) -> None:
        kind = f"{line['kind']} " if name == stream_names.EVENTS and line.get("kind") else ""
        who = f"{line['drone']}: " if line.get("drone") else ""
        text = f"{who}{kind}{line.get('message', '')}".strip()
        level = _LEVELS.get(str(line.get("level")), "INFO")
        self._batch([name], self._texts).add(t_s, (text, level))

    def _other(self, name: str, line: Mapping[str, Any], t_s: float) -> None:
        drone = line.get("drone")
        for field, value in _numbers(line):
            self._scalar([name, field, *([str(drone)] if isinstance(drone, str) else [])], t_s, value)

    def _scalar(self, parts: list[str], t_s: float, value: float) -> None:
        self._batch(["scalars", *parts], self._scalars).add(t_s, value)

    def _batch(self, parts: list[str], columns: Any) -> _Batch:
        key = "/".join(parts)
        if key not in self._batches:
            self._batches[key] = _Batch(self._rr, self._out, self._rr.new_entity_path(parts), columns)
        return self._batches[key]

    def _transforms(self, rows: list[Any]) -> Any:
        return self._rr.Transform3D.columns(
            translation=[position for position, _ in rows], quaternion=[rotation for _, rotation in rows]
        )

    def _texts(self, rows: list[Any]) -> Any:
        return self._rr.TextLog.columns(text=[text for text, _ in rows], level=[level for _, level in rows])

    def _scalars(self, rows: list[Any]) -> Any:
        return self._rr.Scalars.columns(scalars=rows)

    def _draw_paths(self) -> None:
        for drone, numbers in self._paths.items():
            count = len(numbers) // 3
            step = max(1, math.ceil(count / _MOST_PATH_POINTS))
            places = [tuple(numbers[3 * index : 3 * index + 3]) for index in range(0, count, step)]
            strip = self._rr.LineStrips3D([places], colors=[[255, 140, 0]], radii=[0.05])
            self._out.log(["map", "paths", drone], strip, static=True)
            if self._origin is not None:
                places = [self._origin.to_geographic(*place)[:2] for place in places]
                self._out.log(
                    ["geo", drone], self._rr.GeoLineStrings(lat_lon=[places], colors=[[255, 140, 0]]), static=True
                )


class _Batch:
    """Rows of one entity, sent some thousand at a time."""

    def __init__(self, rr: Any, out: Any, entity: str, columns: Any) -> None:
        self._rr, self._out, self._entity, self._columns = rr, out, entity, columns
        self._times: list[float] = []
        self._rows: list[Any] = []

    def add(self, t_s: float, row: Any) -> None:
        self._times.append(t_s)
        self._rows.append(row)
        if len(self._rows) >= _BATCH:
            self.send()

    def send(self) -> None:
        if self._rows:
            times = self._rr.TimeColumn(TIMELINE, duration=self._times)
            self._out.send_columns(self._entity, indexes=[times], columns=self._columns(self._rows))
            self._times, self._rows = [], []


def _numbers(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the finite numbers of a record by field; those of an object within it as ``outer.inner``."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{inner}", number) for inner, number in _numbers(value))
        elif isinstance(value, bool | int | float) and math.isfinite(value):
            yield key, float(value)
