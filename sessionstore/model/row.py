"""The row that an index keeps of a session: the listed fields of its record, and what is derived from the others.

Derived are counts, figures and the origin of a merged session; what was edited by hand into something else is unknown.
Not here: the listed fields themselves (record), reading a record (records), searching (query, index).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, KeysView, Mapping
from operator import attrgetter
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from sessionstore.model.field_rules import FINAL_STATUSES, MAX_COUNT, STATUSES
from sessionstore.model.record import INSTANTS, LISTED_FIELDS, ListedFields, SessionRecord
from sessionstore.query import MISSING, Field

#: What a reader may see in place of running or paused; it can be asked for in filters, and is never stored.
INTERRUPTED = "interrupted"


class Owner(msgspec.Struct, frozen=True, gc=False):
    """The process that records, as :func:`sessionstore.model.liveness.here` gave it."""

    host: str = ""
    boot_id: str = ""
    pid_namespace: str = ""
    pid: int = 0
    pid_started: int | None = None


class SessionRow(  # type: ignore[misc]  # a record may change, its row may not
    ListedFields, omit_defaults=True, frozen=True, gc=False, rename={"raw_metadata": "metadata"}
):
    """What lists and filters see of a record, and which file state it mirrors: its size in bytes, and when it last
    changed in ns (``mtime_ns``: the later of mtime and ctime, :func:`sessionstore.disk.files.changed_ns`); -1: no file.

    It cannot be changed (lists and dicts of it are copies), and reads as a mapping too: ``dict(row)``,
    ``row["status"]``, ``DataFrame(store.find())``.
    The metadata stays undecoded JSON until it is asked for: that makes a cold list three times as fast.
    """

    size: int = -1
    mtime_ns: int = -1
    num_drones: int = 0
    drones: dict[str, int] = {}  # noqa: RUF012  # msgspec copies it
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
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(FILTER_FIELDS)

    def __len__(self) -> int:
        return len(FILTER_FIELDS)

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain data, without the state of the file and the process."""
        return {name: self[name] for name in FILTER_FIELDS}


Mapping.register(SessionRow)


def _copied(slot: Any) -> property:
    """Return a property that gives a copy of what a slot holds: an index hands its rows to every reader."""
    read = slot.__get__
    return property(lambda row: read(row).copy())


for _name in ("tags", "drones"):
    setattr(SessionRow, _name, _copied(getattr(SessionRow, _name)))


def as_interrupted(row: SessionRow, reason: str) -> SessionRow:
    """Return the row of a run whose process is gone, as readers see it."""
    return msgspec.structs.replace(row, status=INTERRUPTED, problem=reason)


#: What a reader may see in place of a status: the process is gone, the record is broken, the folder is gone.
SHOWN_STATUSES = (*STATUSES, INTERRUPTED, "unreadable", "missing")


_KINDS: dict[Any, Any] = {
    str: "text", int: "number", float: "number", bool: "boolean", dict: "numbers", list: "list", tuple: "list",
    msgspec.Raw: "object",
}  # fmt: skip
_HINTS = get_type_hints(SessionRow)


def _filter_field(name: str) -> Field:
    """Return the type of a field for the filter language."""
    if name == "status":
        return Field("text", SHOWN_STATUSES)
    if name in INSTANTS:
        return Field("instant")
    hint = _HINTS[name]
    kind = get_args(hint)[0] if get_origin(hint) is UnionType else hint
    return Field(_KINDS[get_origin(kind) or kind])


#: The fields that filters, sorting and columns may name, with their types.
FILTER_FIELDS = {
    shown: _filter_field(name)
    for name, shown in zip(SessionRow.__struct_fields__, SessionRow.__struct_encode_fields__, strict=True)
    if name not in ("size", "mtime_ns", "owner")
}
FILTER_ALIASES = {
    "id": "session_id",
    "name": "session_name",
    "phase": "workflow_state",
    "windows": "windows_cleaned",
}


_encode = msgspec.json.Encoder().encode


_listed = attrgetter(*LISTED_FIELDS)


def to_row(record: SessionRecord, status: os.stat_result) -> SessionRow:
    """Return the row that mirrors a record in a file of this size and time."""
    points = distance_m = windows_cleaned = None
    if record.progress or record.performance_metrics:
        points, distance_m, windows_cleaned = _figures(record)
    drones = record.drones
    changed_ns, mtime_ns = status.st_ctime_ns, status.st_mtime_ns  # as files.changed_ns, without its calls
    if mtime_ns > changed_ns:
        changed_ns = mtime_ns
    return SessionRow(  # type: ignore[call-arg]  # by position: naming its fields takes eight times as long
        *_listed(record),
        status.st_size, changed_ns, len(drones), _kinds(drones) if drones else {},
        points, distance_m, windows_cleaned, None,
        _owner(record.owner) if record.status in ("running", "paused") else None,
        msgspec.Raw(_encode(record.metadata)),
        _remark(record, points) if record.status in FINAL_STATUSES else None,
        *(origin(record.merged_from) if record.merged_from else ()),
    )  # fmt: skip


def _owner(facts: dict[str, Any] | None) -> Owner:
    """Return who records; an unknown process if that cannot be read: then only the heartbeat decides."""
    try:
        return msgspec.convert(facts or {}, Owner)
    except msgspec.ValidationError:
        return Owner()


def origin(merged_from: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return id and uuid of the original of a merged session; a note that was edited by hand names none."""
    found = [merged_from.get("session_id"), merged_from.get("uuid")]
    session_id, uuid = (value if isinstance(value, str) else None for value in found)
    return session_id, uuid


def _kinds(drones: list[dict[str, Any]]) -> dict[str, int]:
    """Return how many drones there are of each kind."""
    found: dict[str, int] = {}
    for drone in drones:
        kind = str(drone.get("kind", "drone"))
        found[kind] = found.get(kind, 0) + 1
    return found


def _figures(record: SessionRecord) -> tuple[int | None, float | None, int | None]:
    """Return points, metres and windows: the totals of a run that has ended, else how far it has come."""
    totals = {**record.progress, **_mapping(record.performance_metrics.get("totals"))}
    points, windows = _number(totals.get("points"), int), _number(totals.get("windows_cleaned"), int)
    return points, _number(totals.get("distance_m"), float), windows


def _remark(record: SessionRecord, points: int | None) -> str | None:
    """Return what an end status does not say: time stood still, drones never moved, the planned end was not reached."""
    found = []
    still = _mapping(record.performance_metrics.get("totals")).get("never_moved")
    if isinstance(still, list) and still:
        shown = ", ".join(map(str, still[:3])) + (" ..." if len(still) > 3 else "")
        found.append(f"never moved: {shown}")
    flown_s, planned_s = record.duration_sim_s, record.duration_planned_s
    if points is not None and points > 1 and flown_s == 0:
        found.append(f"time stood still: {points} points at 0 s")
    if planned_s is not None and flown_s is not None and flown_s < planned_s - max(1.0, planned_s / 100):
        found.append(f"ended at {flown_s:g} of {planned_s:g} s planned")
    return "; ".join(found) or None


def _number(value: Any, kind: type[int] | type[float]) -> Any:
    """Return a figure that may have been edited by hand, or None when it is not a number."""
    usable = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MAX_COUNT
    return kind(value) if usable else None


def _mapping(value: Any) -> Mapping[str, Any]:
    """Return a value that should be an object, or an empty one."""
    return value if isinstance(value, Mapping) else {}
