"""Sessions in the layout of the old system, for the tools that still want it.

What is unknown is left out, never written as 0; importing an export gives the same motion.
Not here: reading that layout (layout).
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec

from sessionstore.disk import files
from sessionstore.errors import Conflict, SessionStoreError
from sessionstore.legacy.layout import BUILDINGS, ML, MOTION, STREAM_FILES, SUMMARY
from sessionstore.model import json_text
from sessionstore.model.instants import instant as instant_of
from sessionstore.model.record import SessionRecord
from sessionstore.session import Session, stream_names
from sessionstore.session.handle import CLOCK_STREAM
from sessionstore.session.motion import MOTION_STREAM

Timestamps = Literal["iso", "epoch", "none"]


def export_legacy(session: Session, place: Path, timestamps: Timestamps = "iso") -> Path:
    """Write a session as a folder of the old system in ``place``, and return it.

    Args:
        timestamps: how the UTC instant of a point is written, where it is known.

    Raises:
        Conflict: there is such a folder; nothing was written.
        SessionGone, Corrupt, StoreUnusable: a part may be written.
    """
    folder = place / session.session_id
    record = session.record
    files.make_dirs(place)
    try:
        files.make_dir(folder)
    except FileExistsError as error:
        raise Conflict(f"there is a {folder} already") from error
    clock = Clock(session)
    motion = _motion(session, clock, timestamps)
    buildings = [row for row in session.tables().get("scene", {}).values() if row.get("kind") == "building"]
    known = record.num_buildings is not None
    content: dict[str, Any] = {
        MOTION: motion,
        SUMMARY: _summary(record, motion, clock),
        **({BUILDINGS: _buildings(session.session_id, buildings)} if known or buildings else {}),
    }
    names = {stream: name for name, stream in reversed(STREAM_FILES.items())}
    for stream, tape in session.tapes().items():
        rows = (
            [{**line.data, "sim_time": line.t_s} for line in tape.in_time(damaged="raise")] if stream in names else None
        )
        if rows is not None:
            content[names[stream]] = rows
    if (decisions := _decisions(session)) is not None:
        content[ML] = decisions
    for name, value in content.items():
        files.put(folder / name, msgspec.json.format(msgspec.json.encode(value), indent=1))
    return folder


class Clock:
    """The UTC instant of a sim_time, from the sparse track in ``clock.jsonl``; None where it is unknown."""

    def __init__(self, session: Session) -> None:
        self._moments: list[float] = []
        self._instants: list[datetime] = []
        for line in session.tape(CLOCK_STREAM).in_time():
            try:
                instant = instant_of(str(line.data.get("utc")))
            except SessionStoreError:
                continue
            self._moments.append(line.t_s)
            self._instants.append(instant)

    def utc(self, t_s: float) -> datetime | None:
        """Return the instant, between two pairs by interpolation, outside of them by the nearest one."""
        if not self._moments:
            return None
        after = min(max(bisect_right(self._moments, t_s), 1), len(self._moments) - 1)
        if len(self._moments) == 1:
            return self._instants[0] + timedelta(seconds=t_s - self._moments[0])
        first, then = self._moments[after - 1], self._moments[after]
        span = self._instants[after] - self._instants[after - 1]
        if then <= first or not first <= t_s <= then:
            nearest = after - 1 if t_s < first else after
            return self._instants[nearest] + timedelta(seconds=t_s - self._moments[nearest])
        return self._instants[after - 1] + span * ((t_s - first) / (then - first))


def _motion(session: Session, clock: Clock, timestamps: Timestamps) -> dict[str, list[dict[str, Any]]]:
    drones: dict[str, list[dict[str, Any]]] = {}
    for line in session.tape(MOTION_STREAM).in_time(damaged="raise"):
        point = dict(line.data)
        drone = point.pop("drone", None)
        if not isinstance(drone, str):
            continue
        if "quaternion" in point:
            point["orientation"] = point.pop("quaternion")
        point["sim_time"] = line.t_s
        utc = clock.utc(line.t_s) if timestamps != "none" else None
        if utc is not None:
            point["timestamp"] = json_text.utc_text(utc) if timestamps == "iso" else round(utc.timestamp(), 6)
        drones.setdefault(drone, []).append(point)
    return drones


def _summary(record: SessionRecord, motion: dict[str, Any], clock: Clock) -> dict[str, Any]:
    ids = [str(drone.get("id")) for drone in record.drones] or list(motion)
    facts = {
        "session_id": record.session_id,
        "session_name": record.session_name,
        "creation_time": record.created_at,
        "status": record.status,
        "end_reason": record.end_reason,
        "workflow_state": record.workflow_state,
        "num_drones": len(ids),
        "drones": ids,
        "total_points": sum(map(len, motion.values())),
        "duration": record.duration_sim_s,
        "base_position": record.base_position,
        "num_buildings": record.num_buildings,
        "num_invisible_buildings": record.num_invisible_buildings,
        "metadata": {key: value for key, value in record.metadata.items() if not key.startswith("legacy_")},
    }
    return {key: value for key, value in facts.items() if value is not None}


def _buildings(session_id: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return buildings with size and dimensions, since some tools read the one and some the other."""
    listed = []
    for row in rows:
        size = {} if row.get("size") is None else {"size": row["size"], "dimensions": row["size"]}
        listed.append({key: value for key, value in row.items() if key not in ("kind", "size")} | size)
    return {"session_id": session_id, "count": len(listed), "buildings": listed}


def _decisions(session: Session) -> dict[str, Any] | None:
    rows = [line.data for line in session.tape(stream_names.TRAINING).in_time(damaged="raise")]
    if not rows:
        return None
    columns = (("features", "features"), ("decisions", "decision"), ("outcomes", "outcome"))
    return {name: [row.get(key) for row in rows] for name, key in columns}
