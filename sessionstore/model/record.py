"""What a record and a row hold: the one description of each field, its type, its rule and its place in the file.

The file (:func:`SessionRecord.to_dict`), the quick test and the schema (:data:`RULES`), the row of an index (row), the
bodies of the HTTP API, filters and columns are all made from it: a new field is one line here.
Not here: what the types allow (field_rules), reading and changing a record (records), what only a row has (row).
"""

from __future__ import annotations

from typing import Annotated, Any, Self, get_args, get_origin, get_type_hints

import msgspec

from sessionstore.model import field_rules as rules
from sessionstore.model.field_rules import After, Rule
from sessionstore.model.instants import now_text

FORMAT = 1


class ListedFields(msgspec.Struct):
    """The fields that a record and its row share, since lists and filters see them."""

    session_id: str
    uuid: Annotated[str, Rule(rules.Uuid)]
    rev: Annotated[int, Rule(rules.Revision)]
    status: Annotated[str, Rule(rules.Status)]
    workflow_state: Annotated[str, Rule(rules.State)]  # empty until the program sets one
    created_at: Annotated[str, Rule(rules.Instant)]
    updated_at: Annotated[str, Rule(rules.Instant)]
    session_name: Annotated[str | None, Rule(rules.TypedName), After("uuid")] = None
    started_at: Annotated[str | None, Rule(rules.Instant | None)] = None
    ended_at: Annotated[str | None, Rule(rules.Instant | None)] = None
    duration_planned_s: Annotated[float | None, Rule(rules.Seconds)] = None
    duration_sim_s: Annotated[float | None, Rule(rules.Seconds)] = None
    duration_wall_s: Annotated[float | None, Rule(rules.Seconds)] = None
    end_reason: str | None = None
    num_buildings: Annotated[int | None, Rule(rules.Count)] = 0  # None: unknown (an old folder), which is not zero
    num_invisible_buildings: Annotated[int | None, Rule(rules.Count)] = 0
    tags: Annotated[list[str], Rule(rules.Labels), After("rev")] = []


class SessionRecord(ListedFields):
    """One session, as ``session.json`` holds it; instants are UTC texts (ISO 8601, Z), durations seconds, places m."""

    format: Annotated[int, Rule(rules.Format), After("session_name")] = FORMAT
    notes: Annotated[str, After("tags")] = ""
    time_zone: Annotated[str, After("ended_at")] = "UTC"
    base_position: Annotated[list[float] | None, Rule(rules.Vector | None), After("end_reason")] = msgspec.field(
        default_factory=lambda: [0.0, 0.0, 0.0]
    )
    base_orientation: Annotated[list[float], Rule(rules.Vector), After("base_position")] = msgspec.field(
        default_factory=lambda: [0.0, 0.0, 0.0]
    )
    gps: Annotated[dict[str, float] | None, Rule(dict[str, rules.Number] | None), After("base_orientation")] = None
    drones: list[dict[str, Any]] = []
    metadata: dict[str, Any] = {}
    progress: dict[str, Any] = {}
    performance_metrics: dict[str, Any] = {}
    streams: dict[str, Any] = {}  # how many records each stream ended with, by its name
    artifacts: list[dict[str, Any]] = []
    owner: dict[str, Any] | None = None
    created_by: str = ""
    provenance: dict[str, Any] = {}
    lineage: Annotated[list[str], Rule(list[rules.Label])] = []  # digests of earlier contents (model.lineage)
    merged_from: dict[str, Any] | None = None  # session_id, and for a diverged copy uuid and rev, of the original
    extra: dict[str, Any] = {}  # keys of the file that this version does not know

    @classmethod
    def new(cls, session_id: str, uuid: str, **fields: Any) -> Self:
        """Return the first revision of a record; what is not given is as it begins."""
        now = now_text()
        begin = {"rev": 1, "status": "created", "workflow_state": "", "created_at": now, "updated_at": now}
        return cls(session_id=session_id, uuid=uuid, **{**begin, **fields})

    def to_dict(self) -> dict[str, Any]:
        """Return the record as it stands in the file, keys in reading order."""
        return {**{name: getattr(self, name) for name in RECORD_FIELDS}, **self.extra}


_HINTS = {name: hint for name, hint in get_type_hints(SessionRecord, include_extras=True).items() if name != "extra"}


def _mark(name: str, kind: type) -> Any:
    return next((mark for mark in getattr(_HINTS[name], "__metadata__", ()) if isinstance(mark, kind)), None)


def _rule(name: str) -> Any:
    hint, rule = _HINTS[name], _mark(name, Rule)
    return rule.kind if rule is not None else get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _in_reading_order() -> tuple[str, ...]:
    order = [name for name in _HINTS if _mark(name, After) is None]
    waiting = {name: after.field for name in _HINTS if (after := _mark(name, After)) is not None}
    while waiting:
        name = next(name for name, before in waiting.items() if before in order)
        order.insert(order.index(waiting.pop(name)) + 1, name)
    return tuple(order)


RECORD_FIELDS = _in_reading_order()
LISTED_FIELDS = ListedFields.__struct_fields__
#: What each field may hold, as a type of msgspec with bounds.
RULES = {name: _rule(name) for name in RECORD_FIELDS}
#: What every file has: the fields without a default, and the number of the format.
REQUIRED = (*(each.name for each in msgspec.structs.fields(SessionRecord) if each.required), "format")
INSTANTS = tuple(name for name, kind in RULES.items() if kind in (rules.Instant, rules.Instant | None))
