"""What a row of an index derives from a record: counts, figures and the origin of a merged session.

Values that were edited by hand into something else count as unknown.
Not here: the row itself (model.records).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sessionstore.model.records import SessionRecord

#: Counts stay below 2**53, where every JSON reader is exact.
MAX_COUNT = 1 << 53


def origin(merged_from: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return id and uuid of the original of a merged session; a note that was edited by hand names none."""
    found = [merged_from.get("session_id"), merged_from.get("uuid")]
    session_id, uuid = (value if isinstance(value, str) else None for value in found)
    return session_id, uuid


def kinds(drones: list[dict[str, Any]]) -> dict[str, int]:
    """Return how many drones there are of each kind."""
    found: dict[str, int] = {}
    for drone in drones:
        kind = str(drone.get("kind", "drone"))
        found[kind] = found.get(kind, 0) + 1
    return found


def figures(record: SessionRecord) -> tuple[int | None, float | None, int | None]:
    """Return points, metres and windows: the totals of a run that has ended, else how far it has come."""
    totals = {**record.progress, **mapping(record.performance_metrics.get("totals"))}
    points, windows = number(totals.get("points"), int), number(totals.get("windows_cleaned"), int)
    return points, number(totals.get("distance_m"), float), windows


def remark(record: SessionRecord, points: int | None) -> str | None:
    """Return what an end status does not say: time stood still, drones never moved, the planned end was not reached."""
    found = []
    still = mapping(record.performance_metrics.get("totals")).get("never_moved")
    if isinstance(still, list) and still:
        shown = ", ".join(map(str, still[:3])) + (" ..." if len(still) > 3 else "")
        found.append(f"never moved: {shown}")
    flown_s, planned_s = record.duration_sim_s, record.duration_planned_s
    if points is not None and points > 1 and flown_s == 0:
        found.append(f"time stood still: {points} points at 0 s")
    if planned_s is not None and flown_s is not None and flown_s < planned_s - max(1.0, planned_s / 100):
        found.append(f"ended at {flown_s:g} of {planned_s:g} s planned")
    return "; ".join(found) or None


def number(value: Any, kind: type[int] | type[float]) -> Any:
    """Return a figure that may have been edited by hand, or None when it is not a number."""
    usable = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MAX_COUNT
    return kind(value) if usable else None


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a value that should be an object, or an empty one."""
    return value if isinstance(value, Mapping) else {}
