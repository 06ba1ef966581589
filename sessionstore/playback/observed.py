"""How far a session is whose record does not say it: from the ends of its streams.

A program that only appends writes its record at the end; until then, and after a kill, the streams are the source.
Not here: what a listing adds to the rows of open runs (store.open_runs), the whole recording (replay).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

from sessionstore.model.field_rules import FINAL_STATUSES
from sessionstore.session import Session
from sessionstore.session.handle import CLOCK_STREAM
from sessionstore.session.motion import MOTION_STREAM
from sessionstore.session.stream_reader import Tape

_MOST_LINES = 2000  # of the motion that are searched for drones that the record does not name


class Reach(NamedTuple):
    """The sim time of the last record of any stream but the clock, in seconds, and the number of motion points."""

    duration_sim_s: float
    points: int


def reach(tapes: Mapping[str, Tape]) -> Reach | None:
    """Return how far streams are, by their last records; None when they hold none."""
    lasts = {name: last for name, tape in tapes.items() if name != CLOCK_STREAM and (last := tape.last()) is not None}
    if not lasts:
        return None
    motion = lasts.get(MOTION_STREAM)
    return Reach(max(last.t_s for last in lasts.values()), 0 if motion is None else motion.n + 1)


def observed(session: Session, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the streams say where the record says nothing yet: ``observed`` with sim time, points and drones."""
    if record["status"] in FINAL_STATUSES and (record["drones"] or record["duration_sim_s"]):
        return {}
    tapes = session.tapes()
    far = reach(tapes)
    if far is None:
        return {}
    found: dict[str, Any] = far._asdict()
    if not record["drones"] and far.points:
        found["drones"] = [{"id": name} for name in _drones_of(tapes[MOTION_STREAM])]
    return {"observed": found}


def _drones_of(tape: Tape) -> list[str]:
    """Return the drones in the first and the last lines of the motion, in order of appearance."""
    names: dict[str, None] = {}
    for offset in (0, tape.last_lines(_MOST_LINES)):
        for line in itertools.islice(tape.read(offset, damaged="skip"), _MOST_LINES):
            if isinstance(name := line.data.get("drone"), str):
                names[name] = None
    return list(names)
