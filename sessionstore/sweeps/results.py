"""What the sessions of a sweep hold: a row for each point, and mean and interval over seeds.

Not here: the figures of a session (figures), running points (sweep), the page (server).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sessionstore.model.gc_pause import gc_paused
from sessionstore.model.row import SessionRow
from sessionstore.store import SessionStore
from sessionstore.sweeps.definition import SEED, Definition, Point
from sessionstore.sweeps.expressions import Expression
from sessionstore.sweeps.figures import Figures, Values, figures_of
from sessionstore.sweeps.folder import SweepFolder
from sessionstore.sweeps.statistics import Summary, summary

WAITING = "waiting"
#: Of several sessions of a point the first of these counts.
_RANK = ("completed", "running", "paused", "failed", "stopped", "interrupted", "created")
OBJECTIVE = "objective"


class Mark(msgspec.Struct, frozen=True, gc=False):
    """What the metadata of a session keep of its sweep."""

    id: str
    point: str
    attempt: int = 1


class _Metadata(msgspec.Struct, gc=False):
    sweep: Mark | None = None


class ResultRow(msgspec.Struct):
    """One point: its parameters, how far it is, and its figures."""

    number: int
    key: str
    parameters: dict[str, Any]
    status: str
    session_id: str | None
    values: Values
    reason: str = ""

    def plain(self) -> dict[str, Any]:
        """Return the row as one flat mapping."""
        head = {"number": self.number, "session_id": self.session_id, "status": self.status, "reason": self.reason}
        return {**head, **self.parameters, **self.values}


class Group(msgspec.Struct):
    """The points that differ in their seed alone: how many ended, and mean and interval of each figure."""

    parameters: dict[str, Any]
    completed: int
    failed: int
    figures: dict[str, Summary]
    sessions: list[str]


_metadata = msgspec.json.Decoder(_Metadata)


class Results:
    """The rows of a sweep at one moment."""

    def __init__(self, definition: Definition, rows: list[ResultRow]) -> None:
        self.definition, self.rows = definition, rows

    @property
    def parameters(self) -> list[str]:
        """The names of what varies, in the order of the definition."""
        found = dict.fromkeys(self.definition.varied())
        for row in self.rows[:1000]:
            found.update(dict.fromkeys(row.parameters))
        return list(found)

    @property
    def metrics(self) -> list[str]:
        """The names of all figures; the objective comes first."""
        found: dict[str, None] = {OBJECTIVE: None} if self.definition.objective else {}
        for row in self.rows:
            if not found.keys() >= row.values.keys():
                found.update(dict.fromkeys(row.values))
        return list(found)

    def groups(self) -> list[Group]:
        """Return the points without their seeds, with mean and 95 % interval; the best objective comes first."""
        by: dict[bytes, list[ResultRow]] = {}
        encode = msgspec.json.encode
        for row in self.rows:
            by.setdefault(encode({k: v for k, v in row.parameters.items() if k != SEED}), []).append(row)
        found = [_grouped(msgspec.json.decode(key), rows) for key, rows in by.items()]
        return sorted(found, key=self._order) if self.definition.objective else found

    def _order(self, group: Group) -> tuple[bool, float]:
        best = group.figures.get(OBJECTIVE)
        if best is None:
            return True, 0.0
        return False, best.mean if self.definition.minimise else -best.mean


def _grouped(parameters: dict[str, Any], rows: list[ResultRow]) -> Group:
    ended = [row for row in rows if row.status == "completed"]
    names = dict.fromkeys(name for row in ended for name in row.values)
    columns = {name: [row.values[name] for row in ended if name in row.values] for name in names}
    figures = {name: summary(values) for name, values in columns.items()}
    failed = sum(row.status == "failed" for row in rows)
    return Group(parameters, len(ended), failed, figures, [row.session_id for row in rows if row.session_id])


# ---------------------------------------------------------------- reading them


def sessions_of(store: SessionStore, sweep_id: str, verify: bool = False) -> dict[str, list[SessionRow]]:
    """Return the sessions of a sweep by point, the one that counts first. Raises: as ``store.find``."""
    found: dict[str, list[SessionRow]] = {}
    wanted = sweep_id.encode()
    for row in store.find(verify=verify):
        raw = row.raw_metadata
        if wanted not in bytes(raw):
            continue
        mark = _mark_of(raw)
        if mark is not None and mark.id == sweep_id:
            found.setdefault(mark.point, []).append(row)
    for rows in found.values():
        if len(rows) > 1:  # the first that completed; else the last attempt
            rows.sort(key=lambda row: row.created_at, reverse=all(row.status != "completed" for row in rows))
            rows.sort(key=lambda row: _RANK.index(row.status) if row.status in _RANK else len(_RANK))
    return found


def _mark_of(raw: Any) -> Mark | None:
    try:
        return _metadata.decode(raw).sweep
    except msgspec.MsgspecError:  # metadata of a user that has the same name
        return None


def results(store: SessionStore, folder: SweepFolder) -> Results:
    """Return the results of a sweep as they are now. Raises: SessionNotFound; as ``store.find``."""
    with gc_paused():
        definition, points = folder.definition(), folder.points()
        sessions = sessions_of(store, folder.sweep_id)
        first = {key: rows[0] for key, rows in sessions.items()}
        figures = figures_of(store, folder, [first[point.key] for point in points if point.key in first])
        objective = Expression(definition.objective) if definition.objective else None
        return Results(definition, [_row(point, first.get(point.key), figures, objective) for point in points])


def _row(
    point: Point, session: SessionRow | None, figures: Mapping[str, Figures], objective: Expression | None
) -> ResultRow:
    if session is None:
        return ResultRow(point.number, point.key, point.parameters, WAITING, None, {})
    known = figures.get(session.session_id)
    values = {} if known is None else known.values
    if objective is not None and values and (best := objective_of(objective, values, point.parameters)) is not None:
        values = {OBJECTIVE: best, **values}
    reason = session.problem or ("" if known is None else known.reason)
    return ResultRow(
        point.number, point.key, point.parameters, session.status, session.session_id, values, reason or ""
    )


def objective_of(objective: Expression, values: Values, parameters: Mapping[str, Any]) -> float | None:
    """Return the objective of a session: of its totals with or without ``totals.``, fields and parameters."""
    return objective.number(_Names(values, parameters))


class _Names(dict[str, Any]):
    """The names that an objective may use."""

    def __init__(self, values: Values, parameters: Mapping[str, Any]) -> None:
        super().__init__({**parameters, **values})
        for name, value in values.items():
            self[f"totals.{name}"] = value
