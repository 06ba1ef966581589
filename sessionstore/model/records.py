"""What a session is: the record in ``session.json``, its rules, and the row that an index keeps of it.

A record that was written keeps the rules of :class:`RecordSchema`; one that was edited by hand is checked against them
when it is read, and what is wrong is reported with line and column. Keys that this version does not know are kept.
Statuses are a closed list with allowed moves; ``interrupted`` is never stored, it is what a reader finds (liveness).
Not here: the file (session.documents), who may change it (store), searching (query, index).

On the edge, where people and programs hand data in, marshmallow checks it; inside, msgspec reads rows.
"""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Iterator, KeysView, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any

import msgspec

from sessionstore.errors import Corrupt, IllegalTransition, InvalidRecord, NewerFormat
from sessionstore.model import json_text
from sessionstore.model.instants import canonical as canonical
from sessionstore.model.instants import instant as instant
from sessionstore.model.instants import is_canonical as is_canonical
from sessionstore.model.instants import new_uuid as new_uuid
from sessionstore.model.instants import now_text as now_text
from sessionstore.model.instants import uuid_after as uuid_after
from sessionstore.model.row_fields import MAX_COUNT as MAX_COUNT
from sessionstore.model.row_fields import figures, kinds, origin, remark
from sessionstore.query import MISSING, Field

_logger = logging.getLogger("sessionstore")

FORMAT = 1
STATUSES = ("created", "running", "paused", "completed", "stopped", "failed")
FINAL_STATUSES = ("completed", "stopped", "failed")
#: What a reader may see in place of running or paused; it can be asked for in filters, and is never stored.
INTERRUPTED = "interrupted"
_MOVES = {
    "created": {"running", "stopped", "failed"},
    "running": {"paused", "completed", "stopped", "failed"},
    "paused": {"running", "completed", "stopped", "failed"},
    "completed": set[str](),
    "stopped": set[str](),
    "failed": set[str](),
}


@dataclass(slots=True)
class SessionRecord:
    """One session, as ``session.json`` holds it; instants are UTC texts (ISO 8601, Z), durations seconds, places m."""

    session_id: str
    uuid: str
    session_name: str | None = None
    format: int = FORMAT
    rev: int = 1
    tags: list[str] = field(default_factory=list)
    notes: str = ""
    status: str = "created"
    workflow_state: str = ""  # empty until the program sets one
    created_at: str = ""
    updated_at: str = ""
    started_at: str | None = None
    ended_at: str | None = None
    time_zone: str = "UTC"
    duration_planned_s: float | None = None
    duration_sim_s: float | None = None
    duration_wall_s: float | None = None
    end_reason: str | None = None
    base_position: list[float] | None = field(default_factory=lambda: [0.0, 0.0, 0.0])
    base_orientation: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    gps: dict[str, float] | None = None
    num_buildings: int | None = 0  # None: unknown (an old folder), which is not zero
    num_invisible_buildings: int | None = 0
    drones: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    progress: dict[str, Any] = field(default_factory=dict)
    performance_metrics: dict[str, Any] = field(default_factory=dict)
    streams: dict[str, Any] = field(default_factory=dict)  # how many records each stream ended with, by its name
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    owner: dict[str, Any] | None = None
    created_by: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)
    lineage: list[str] = field(default_factory=list)  # digests of earlier contents (model.lineage)
    merged_from: dict[str, Any] | None = None  # session_id, and for a diverged copy uuid and rev, of the original
    extra: dict[str, Any] = field(default_factory=dict)  # keys of the file that this version does not know

    def to_dict(self) -> dict[str, Any]:
        """Return the record as it stands in the file, keys in reading order."""
        return {**{name: getattr(self, name) for name in RECORD_FIELDS}, **self.extra}


RECORD_FIELDS = tuple(each.name for each in fields(SessionRecord) if each.name != "extra")
_KNOWN = frozenset(RECORD_FIELDS)
#: Fields of free form, in which a NaN or an infinity becomes null; the record then has a key ``not_finite`` with the
#: JSON Pointer (RFC 6901) and the name of each.
OPEN_FIELDS = frozenset(("metadata", "progress", "performance_metrics", "drones"))
NOT_FINITE = "not_finite"
_INSTANT_FIELDS = ("created_at", "updated_at", "started_at", "ended_at")
#: What the store alone writes; an update that names one of them is refused.
STORE_FIELDS = (
    "session_id",
    "uuid",
    "format",
    "rev",
    "created_at",
    "updated_at",
    "time_zone",
    "created_by",
    "lineage",
    "merged_from",
)


# ---------------------------------------------------------------- rules


@lru_cache(maxsize=1)
def _schema() -> Any:
    """Return the marshmallow schema, made once (117 us) and imported late (50 ms)."""
    from sessionstore.model.schemas import RecordSchema

    return RecordSchema()


def _problems(values: Mapping[str, Any], partial: bool = False) -> Any:
    """Return what is wrong with fields of a record, as marshmallow says it; it is asked only when there may be."""
    from sessionstore.model.shapes import keeps_rules

    return {} if keeps_rules(values, partial) else _schema().validate(values, partial=partial)


def check_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes of an update as plain data that the record may hold.

    NaN and infinities in the fields of :data:`OPEN_FIELDS` become null; ``not_finite`` then names each of them.

    Raises: InvalidRecord: naming each field that is unknown, not for hand, or wrong.
    """
    kept = [name for name in changes if name in STORE_FIELDS]
    if kept:
        raise InvalidRecord(f"{', '.join(kept)}: kept by the store, cannot be set")
    not_finite: dict[str, str] = {}
    plain = {name: _plain_field(name, value, not_finite) for name, value in changes.items()}
    problems = _problems(plain, partial=True)
    if problems:
        raise InvalidRecord("; ".join(f"{'.'.join(map(str, path))}: {reason}" for path, reason in _flat(problems)))
    for name in _INSTANT_FIELDS:
        if plain.get(name) is not None:
            plain[name] = canonical(plain[name])
    return {**plain, NOT_FINITE: not_finite} if not_finite else plain


def _plain_field(name: str, value: Any, not_finite: dict[str, str]) -> Any:
    if name not in OPEN_FIELDS:
        return json_text.plain(value, f"record.{name}")
    found: dict[str, str] = {}
    plain = json_text.plain(value, f"record.{name}", found)
    for pointer, word in found.items():
        not_finite[f"/{name}{pointer}"] = word
        _logger.warning("%s%s is %s, and is stored as null", name, pointer.replace("/", "."), word)
    return plain


def check_move(old: str, new: str) -> None:
    """Allow a status to follow another (staying is always allowed).

    Raises: IllegalTransition: naming what is allowed.
    """
    if new != old and new not in _MOVES.get(old, set()):
        allowed = ", ".join(sorted(_MOVES.get(old, set()))) or "nothing: it has ended"
        raise IllegalTransition(f"a session that is {old} cannot become {new} (allowed: {allowed})")


def read_record(tables: Mapping[str, Any], data: bytes, path: str, session_id: str) -> SessionRecord:
    """Return the record in the tables of a session.json; its id is the name of the folder that holds it.

    Raises:
        NewerFormat: written by a newer version.
        Corrupt: no record, or one that breaks the rules, with line and column.
    """
    table = tables.get("session")
    if not table:
        raise Corrupt("there is no table 'session' with a record", path, None, 1, 1)
    if len(table) > 1:
        raise Corrupt(
            "the table 'session' holds more than one record", path, None, *json_text.locate(data, ["session"])
        )
    ((doc_id, document),) = table.items()
    number = document.get("format")
    if isinstance(number, int) and number > FORMAT:
        raise NewerFormat(f"format {number}, this version reads up to {FORMAT}", path)
    known, extra = document, {}
    if not document.keys() <= _KNOWN:
        known = {key: value for key, value in document.items() if key in _KNOWN}
        extra = {key: value for key, value in document.items() if key not in _KNOWN}
    for keys, reason in _flat(_problems(known)):
        place = json_text.locate(data, ["session", doc_id, *keys])
        if place == (None, None):
            place = json_text.locate(data, ["session", doc_id])
        raise Corrupt(f"{'.'.join(map(str, keys))}: {reason}", path, None, *place)
    instants = {name: canonical(known[name]) for name in _INSTANT_FIELDS if known.get(name) is not None}
    return SessionRecord(**{**known, **instants, "session_id": session_id}, extra=extra)


def _flat(problems: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], str]]:
    """Return marshmallow's nested messages as (path, reason)."""
    if isinstance(problems, Mapping):
        return [
            item for key, inner in problems.items() for item in _flat(inner, (*path, key) if key != "_schema" else path)
        ]
    return [(path, " ".join(problems) if isinstance(problems, list) else str(problems))]


# ---------------------------------------------------------------- what an index keeps


class Owner(msgspec.Struct, frozen=True, gc=False):
    """The process that records, as :func:`sessionstore.model.liveness.here` gave it."""

    host: str = ""
    boot_id: str = ""
    pid_namespace: str = ""
    pid: int = 0
    pid_started: int | None = None


class SessionRow(msgspec.Struct, omit_defaults=True, frozen=True, gc=False, rename={"raw_metadata": "metadata"}):
    """The part of a record that lists and filters see, and which file state it mirrors: its size in bytes, and
    when it last changed in ns (``mtime_ns``: the later of mtime and ctime, :func:`sessionstore.disk.files.changed_ns`).

    It cannot be changed, and reads as a mapping too: ``dict(row)``, ``row["status"]``, ``DataFrame(store.find())``.
    The metadata stays undecoded JSON until it is asked for: that makes a cold list three times as fast.
    """

    session_id: str
    uuid: str
    rev: int
    size: int
    mtime_ns: int
    status: str
    workflow_state: str
    created_at: str
    updated_at: str
    session_name: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    duration_planned_s: float | None = None
    duration_sim_s: float | None = None
    duration_wall_s: float | None = None
    end_reason: str | None = None
    num_buildings: int | None = 0
    num_invisible_buildings: int | None = 0
    num_drones: int = 0
    drones: dict[str, int] = {}
    tags: list[str] = []
    points: int | None = None
    distance_m: float | None = None
    windows_cleaned: int | None = None
    problem: str | None = None  # why the record cannot be read, for the rows that stand for a broken session
    owner: Owner | None = None
    raw_metadata: msgspec.Raw = msgspec.Raw(b"{}")
    remark: str | None = None  # what is remarkable of a run that has ended, or is open: it stood still, it is suspended
    merged_from: str | None = None  # the id that it had in the store it was merged from
    merged_uuid: str | None = None  # of a diverged copy: the uuid of the session that it is a copy of
    # Answered when an index that several hosts share is read, never stored:
    host: str | None = None  # None: in this store
    store: str | None = None  # the folder of the store on that host
    openable: bool = True  # its folder can be reached from here
    copies: tuple[str, ...] = ()  # host:folder of each copy, once there is one elsewhere

    def get(self, path: tuple[str, ...]) -> Any:
        """Return the value under a path of the filter language, or :data:`~sessionstore.query.MISSING`."""
        value: Any = getattr(self, path[0])
        for key in path[1:]:
            if not isinstance(value, Mapping) or key not in value:
                return MISSING
            value = value[key]
        return value

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata as a dict of its own, decoded by each look."""
        return self.decoded_metadata()

    def decoded_metadata(self) -> dict[str, Any]:
        """Return the metadata as a dict of its own."""
        value: dict[str, Any] = msgspec.json.decode(self.raw_metadata)
        return value

    def keys(self) -> KeysView[str]:
        """Return the names of the fields, as filters and columns name them."""
        return FILTER_FIELDS.keys()

    def __getitem__(self, name: str) -> Any:
        if name not in FILTER_FIELDS:
            raise KeyError(name)
        value = getattr(self, name)
        return copy.copy(value) if isinstance(value, dict | list) else value

    def __iter__(self) -> Iterator[str]:
        return iter(FILTER_FIELDS)

    def __len__(self) -> int:
        return len(FILTER_FIELDS)

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain data, without the state of the file and the process."""
        return {name: self[name] for name in FILTER_FIELDS}


Mapping.register(SessionRow)


def as_interrupted(row: SessionRow, reason: str) -> SessionRow:
    """Return the row of a run whose process is gone, as readers see it."""
    return msgspec.structs.replace(row, status=INTERRUPTED, problem=reason)


#: What a reader may see in place of a status: the process is gone, the record is broken, the folder is gone.
SHOWN_STATUSES = (*STATUSES, INTERRUPTED, "unreadable", "missing")


def _filter_field(name: str) -> Field:
    """Return the type of a field for the filter language."""
    if name == "status":
        return Field("text", SHOWN_STATUSES)
    if name.endswith("_at"):
        return Field("instant")
    if name in ("metadata", "drones"):
        return Field("object" if name == "metadata" else "numbers")
    if name in ("tags", "copies"):
        return Field("list")
    if name == "openable":
        return Field("boolean")
    return Field("number" if name in _NUMBER_FIELDS else "text")


_NUMBER_FIELDS = {
    "rev", "duration_planned_s", "duration_sim_s", "duration_wall_s", "num_buildings", "num_invisible_buildings",
    "num_drones", "points", "distance_m", "windows_cleaned",
}  # fmt: skip
#: The fields that filters, sorting and columns may name, with their types.
FILTER_FIELDS = {
    name: _filter_field(name)
    for name in SessionRow.__struct_encode_fields__
    if name not in ("size", "mtime_ns", "owner")
}
FILTER_ALIASES = {
    "id": "session_id",
    "name": "session_name",
    "phase": "workflow_state",
    "windows": "windows_cleaned",
}


_encode = msgspec.json.Encoder().encode


def to_row(record: SessionRecord, status: os.stat_result) -> SessionRow:
    """Return the row that mirrors a record in a file of this size and time."""
    points = distance_m = windows_cleaned = None
    if record.progress or record.performance_metrics:
        points, distance_m, windows_cleaned = figures(record)
    drones = record.drones
    changed_ns, mtime_ns = status.st_ctime_ns, status.st_mtime_ns  # as files.changed_ns, without its calls
    if mtime_ns > changed_ns:
        changed_ns = mtime_ns
    return SessionRow(  # in the order of its fields: naming them takes three times as long
        record.session_id, record.uuid, record.rev, status.st_size, changed_ns,
        record.status, record.workflow_state, record.created_at, record.updated_at,
        record.session_name, record.started_at, record.ended_at,
        record.duration_planned_s, record.duration_sim_s, record.duration_wall_s, record.end_reason,
        record.num_buildings, record.num_invisible_buildings,
        len(drones), kinds(drones) if drones else {}, record.tags, points, distance_m, windows_cleaned, None,
        _owner(record.owner) if record.status in ("running", "paused") else None,
        msgspec.Raw(_encode(record.metadata)),
        remark(record, points) if record.status in FINAL_STATUSES else None,
        *(origin(record.merged_from) if record.merged_from else ()),
    )  # fmt: skip


def _owner(facts: dict[str, Any] | None) -> Owner:
    """Return who records; an unknown process if that cannot be read: then only the heartbeat decides."""
    try:
        return msgspec.convert(facts or {}, Owner)
    except msgspec.ValidationError:
        return Owner()
