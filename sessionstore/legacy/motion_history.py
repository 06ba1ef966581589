"""Old motion: which moment each point belongs to, and which points cannot be placed at all.

The axis is sim_time where the points have it. Where they have only timestamps, it is the time since the first of them;
where both are given, a point without sim_time is placed by its timestamp. A point without a moment or a place is
counted and left out; the original file keeps it. Not here: reading the file (tolerant), the other files (layout).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Any

from sessionstore.errors import Corrupt, InvalidRecord
from sessionstore.legacy import instants
from sessionstore.legacy.instants import Instant
from sessionstore.model import json_text

_SIM_KEYS = ("sim_time", "sim_time_s", "simulation_time")
_STAMP_KEYS = ("timestamp", "time", "utc")
_NAME_KEYS = ("drone", "drone_name", "drone_id", "name", "id")
_LIST_KEYS = ("motion_history", "points", "history", "positions")
_TAKEN = {*_SIM_KEYS, *_STAMP_KEYS, "position", "velocity", "orientation"}
#: Pairs of sim_time and UTC are kept this far apart: between them a reader interpolates.
_CLOCK_STEP_S = 1.0

Point = tuple[float, str, dict[str, Any]]


@dataclass(slots=True)
class OldMotion:
    """All points in order of time, pairs of (sim_time in s, UTC text), and when sim_time 0 was, if anybody knows."""

    points: list[Point] = field(default_factory=list)
    drones: list[str] = field(default_factory=list)
    clock: list[tuple[float, str]] = field(default_factory=list)
    axis: str = ""
    began: datetime | None = None
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Raw:
    drone: str
    data: dict[str, Any]
    sim_s: float | None
    stamp: Instant


def read_motion(value: Any, zone: tzinfo | None) -> OldMotion:
    """Return the motion in the value of a motion_history.json.

    Raises:
        Corrupt: it has none of the known shapes.
        InvalidRecord: all its times lack a zone, and none was stated.
    """
    motion = OldMotion()
    lost: Counter[str] = Counter()
    raw = [_raw(drone, data, zone) for drone, data in _points(value, motion, lost)]
    _choose_axis(motion, raw, lost)
    last: dict[str, float] = {}
    for each in raw:
        record, t_s = _record(each, lost), _moment(motion, each)
        if t_s is None:
            lost["points without a usable time left out"] += 1
        elif record is not None:
            lost["points out of order, sorted by time"] += t_s < last.get(each.drone, 0.0)
            last[each.drone] = max(t_s, last.get(each.drone, 0.0))
            motion.points.append((t_s, each.drone, record))
    motion.points.sort(key=lambda point: point[0])  # stable: the drones of one moment keep their order
    _keep_clock(motion, raw)
    motion.problems += [f"{count} {what}" for what, count in lost.items() if count]
    folded = Counter(name.casefold() for name in motion.drones)
    motion.problems += [
        f"drones whose names differ by case only: {name}" for name, count in folded.items() if count > 1
    ]
    return motion


def _points(value: Any, motion: OldMotion, lost: Counter[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (drone, point) of each shape that was ever written."""
    if isinstance(value, dict) and len(value) <= 3:
        value = next((value[key] for key in ("motion_history", "drones") if isinstance(value.get(key), dict)), value)
    if isinstance(value, list):
        groups: dict[str, list[Any]] = {}
        for item in value:
            name = (
                next((item[key] for key in _NAME_KEYS if isinstance(item.get(key), str)), None)
                if isinstance(item, dict)
                else None
            )
            if name is None:
                lost["points that name no drone left out"] += 1
            else:
                groups.setdefault(name, []).append({key: each for key, each in item.items() if key not in _NAME_KEYS})
        value = groups
    if not isinstance(value, dict):
        raise Corrupt(f"motion is an object of drones or a list of points, not {type(value).__name__}")
    for drone, points in value.items():
        if isinstance(points, dict):
            points = next((points[key] for key in _LIST_KEYS if isinstance(points.get(key), list)), None)
        if not isinstance(points, list):
            motion.problems.append(f"{drone}: not a list of points, left out")
            continue
        motion.drones.append(drone)
        for data in points:
            if isinstance(data, dict):
                yield drone, data
            else:
                lost["points that are no objects left out"] += 1


def _raw(drone: str, data: dict[str, Any], zone: tzinfo | None) -> _Raw:
    sim_s = next((data[key] for key in _SIM_KEYS if data.get(key) is not None), None)
    usable = isinstance(sim_s, int | float) and not isinstance(sim_s, bool) and math.isfinite(sim_s) and sim_s >= 0
    stamp = next((data[key] for key in _STAMP_KEYS if data.get(key) is not None), None)
    return _Raw(drone, data, float(sim_s) if usable and sim_s is not None else None, instants.read(stamp, zone))


# ---------------------------------------------------------------- the axis


def _choose_axis(motion: OldMotion, raw: list[_Raw], lost: Counter[str]) -> None:
    kinds = Counter(each.stamp.kind for each in raw)
    without_zone = sum(each.stamp.kind == "naive" and each.stamp.utc is None for each in raw)
    known = [each for each in raw if each.stamp.utc is not None]
    if any(each.sim_s is not None for each in raw):
        motion.axis = "sim_time"
        both = next((each for each in known if each.sim_s is not None), None)
        if both is not None and both.stamp.utc is not None and both.sim_s is not None:
            motion.began = _before(both.stamp.utc, both.sim_s)
        if without_zone:
            lost["timestamps without a zone not used (say --zone)"] = without_zone
    elif without_zone:
        raise InvalidRecord(f"{without_zone} points have only timestamps without a zone: name the zone with --zone")
    elif known:
        motion.axis = "timestamp"
        motion.began = min(each.stamp.utc for each in known if each.stamp.utc is not None)
        motion.problems.append("no sim_time: the time since the first timestamp stands for it")
    elif kinds["seconds"]:
        motion.axis = "timestamp as seconds"
        motion.problems.append("the timestamps are small numbers: taken as sim_time in seconds")


def _before(utc: datetime, seconds: float) -> datetime | None:
    """Return the instant so long before another; None where no calendar goes back so far."""
    try:
        return utc - timedelta(seconds=seconds)
    except OverflowError:
        return None


def _moment(motion: OldMotion, each: _Raw) -> float | None:
    if motion.axis == "timestamp as seconds":
        return each.stamp.seconds
    if each.sim_s is not None or motion.began is None or each.stamp.utc is None:
        return each.sim_s
    since_s = (each.stamp.utc - motion.began).total_seconds()
    return since_s if since_s >= 0 else None


def _keep_clock(motion: OldMotion, raw: list[_Raw]) -> None:
    """Keep a sparse track of (sim_time, UTC)."""
    pairs = sorted(
        (t_s, each.stamp.utc)
        for each in raw
        if each.stamp.utc is not None and (t_s := _moment(motion, each)) is not None
    )
    for t_s, utc in pairs:
        if not motion.clock or t_s - motion.clock[-1][0] >= _CLOCK_STEP_S:
            motion.clock.append((t_s, json_text.utc_text(utc)))
    if pairs and motion.clock[-1][0] < pairs[-1][0]:
        motion.clock.append((pairs[-1][0], json_text.utc_text(pairs[-1][1])))


# ---------------------------------------------------------------- one point


def _record(each: _Raw, lost: Counter[str]) -> dict[str, Any] | None:
    """Return a point as the stream holds it; None when it has no place."""
    position = numbers(_listed(each.data.get("position"), "xyz"), 3)
    if position is None:
        lost["points without a usable position left out"] += 1
        return None
    record: dict[str, Any] = {"drone": each.drone, "position": position}
    if each.data.get("velocity") is not None:
        velocity = numbers(_listed(each.data["velocity"], "xyz"), 3)
        if velocity is None:
            lost["velocities that are no three numbers left out"] += 1
        else:
            record["velocity"] = velocity
    if each.data.get("orientation") is not None:
        record |= _orientation(each.data["orientation"])
    for key, value in each.data.items():
        if key not in _TAKEN and key != "drone":
            record[f"legacy_{key}" if key in ("n", "t", "c") else key] = value
    return record


def _orientation(value: Any) -> dict[str, Any]:
    """Return roll, pitch, yaw as such, four numbers as a quaternion in the order they had, all else as it stood."""
    if isinstance(value, dict):
        angles = numbers([value.get(key) for key in ("roll", "pitch", "yaw")], 3)
        value = angles if angles is not None else _listed(value, "xyzw")
    if (angles := numbers(value, 3)) is not None:
        return {"orientation": angles}
    if (quaternion := numbers(value, 4)) is not None:
        return {"quaternion": quaternion}
    return {"legacy_orientation": value}


def _listed(value: Any, axes: str) -> Any:
    if not isinstance(value, dict):
        return value
    return [value[axis] for axis in axes] if all(axis in value for axis in axes) else value


def numbers(value: Any, count: int) -> list[float] | None:
    """Return a list of this many finite numbers, or None for anything else."""
    if not isinstance(value, list) or len(value) != count:
        return None
    if any(isinstance(each, bool) or not isinstance(each, int | float) or not math.isfinite(each) for each in value):
        return None
    return value
