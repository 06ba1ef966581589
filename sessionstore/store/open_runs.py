"""What a listing adds to the rows of runs that are open, computed when it is looked at and stored nowhere.

A run whose process was killed shows the points and the distance that its stream holds; one whose process is suspended
says so. A stream that was read once is read again only when it has changed.
Not here: which rows a filter fits (catalog), the verdict alive or gone (model.liveness).
"""

from __future__ import annotations

import math
import os
from typing import Any

import msgspec

from sessionstore.disk import files
from sessionstore.layout import StoreRoot
from sessionstore.model import liveness
from sessionstore.model.row import INTERRUPTED, SessionRow
from sessionstore.session import stream_source
from sessionstore.session.motion import MOTION_STREAM
from sessionstore.session.stream_reader import Tape

#: Of a longer stream the points are counted and the distance stays what the run said last: a listing must not hang.
_READ_BYTES = 64 << 20
_Figures = tuple[int, float | None]


#: The figures of streams that were read, by file and its state; dropped when there are many.
_known: dict[str, tuple[tuple[int, int], _Figures]] = {}
_MAX_KNOWN = 1000


def completed(root: StoreRoot, rows: list[SessionRow]) -> list[SessionRow]:
    """Return the rows, those of open runs with what is known of them now."""
    return [row if row.owner is None or row.host is not None else _completed(root, row) for row in rows]


def _completed(root: StoreRoot, row: SessionRow) -> SessionRow:
    if row.status == INTERRUPTED:
        points, distance_m = _figures(root, row.session_id)
        if points <= (row.points or 0):
            return row
        distance_m = row.distance_m if distance_m is None else distance_m
        return msgspec.structs.replace(row, points=points, distance_m=distance_m)
    beat = stream_source.status(f"{root.text}/{row.session_id}/clock.jsonl")
    owner: Any = msgspec.to_builtins(row.owner)
    silence = liveness.why_silent(owner, None if beat is None else beat.st_mtime)
    return row if silence is None else msgspec.structs.replace(row, remark=silence)


def _figures(root: StoreRoot, session_id: str) -> _Figures:
    path = root.path / session_id / f"{MOTION_STREAM}.jsonl"
    found = stream_source.status(path)
    if found is None:
        return 0, None
    key, state = str(path), (found.st_size, files.changed_ns(found))
    if key not in _known or _known[key][0] != state:
        if len(_known) >= _MAX_KNOWN:
            _known.clear()
        _known[key] = state, _figures_of(Tape(path), found)
    return _known[key][1]


def _figures_of(tape: Tape, status: os.stat_result) -> _Figures:
    """Return points and metres of a motion stream; what cannot be read of it is passed over, doctor reports it."""
    if status.st_size > _READ_BYTES:
        return tape.count(), None
    points, distance_m, last = 0, 0.0, dict[Any, list[float]]()
    for line in tape.read(damaged="skip"):
        points += 1
        drone, position = line.data.get("drone"), line.data.get("position")
        if (
            not isinstance(position, list)
            or len(position) != 3
            or not all(isinstance(x, int | float) for x in position)
        ):
            continue
        key = str(drone)
        if key in last:
            distance_m += math.dist(last[key], position)
        last[key] = position
    return points, round(distance_m, 3) if math.isfinite(distance_m) else None
