"""What differs between sessions: parameters, metrics, and the first moment at which two flights part.

Two runs of one seed are the same byte for byte, so the motion is first compared as bytes; only from the first byte that
differs on are lines read and compared as data. Flights that differ from their first record on (another seed, another
fleet) are compared by role and beyond noise (role_differences).
Not here: charts (playback.charts), showing it (server.web).
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from sessionstore.errors import InvalidQuery
from sessionstore.model.record import SessionRecord
from sessionstore.playback import alignment
from sessionstore.playback.role_differences import Flight, flight_of, role_differences
from sessionstore.playback.stream_differences import stream_difference
from sessionstore.session import Session, stream_source
from sessionstore.session.motion import MOTION_STREAM
from sessionstore.session.stream_reader import Line, Tape
from sessionstore.session.stream_source import Source

MOST_SESSIONS = 6
_CHUNK = 1 << 20
_MOST_LINES = 200_000
_FIRST_S = 2.0
#: Fields that hold noise of sensors: two flights differ there from the first point on, which says nothing.
_NOISE = ("gps", "rssi_dbm")
_PARAMETERS = (
    "duration_planned_s", "num_buildings", "num_invisible_buildings", "base_position", "base_orientation",
    "status", "end_reason", "workflow_state", "tags", "created_by",
)  # fmt: skip
_ORIGIN = ("seed", "scenario_hash", "git_commit", "python")
_HASH = ("_hash", "sha256")  # the ends of names whose values say that something differs, not what


class Comparison(dict[str, Any]):
    """What differs between sessions, as plain data; in a notebook a table."""

    def _repr_html_(self) -> str:
        """Return parameters, metrics and the first difference for notebooks."""
        ids = [each["session_id"] for each in self["sessions"]]
        rows = [("", *ids)]
        rows += [(row["name"], *row["values"]) for row in (*self["parameters"], *self["metrics"])]
        for other, each in zip(ids[1:], self["first_differences"], strict=True):
            what = "never" if each is None else f"{each['field']} of {each['drone'] or 'all'} at {each['sim_time']:g} s"
            rows.append((f"first difference to {other}", what))
        cells = ("".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) for row in rows)
        return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


def compare(sessions: Sequence[Session], align: str = alignment.START) -> Comparison:
    """Return what differs: ``parameters`` (hashes last), ``metrics``: a value for each session; ``first_differences``.

    The last are those of the first session to each of the others; ``first_difference`` is the one to the second.
    ``by_role`` are all differences by role to each of the others (:func:`role_differences.role_differences`); the
    earliest is the first difference when the flights differ from their first record on, or when a fault struck in one
    flight only before or as they part. A first difference with ``noise`` true is of the noise of sensors alone.
    ``alignment`` says which moments belong together (see :func:`alignment.aligned`).

    Raises:
        InvalidQuery: fewer than two sessions, or more than six; or they cannot be aligned so.
    """
    if not 2 <= len(sessions) <= MOST_SESSIONS:
        raise InvalidQuery(f"between two and {MOST_SESSIONS} sessions are compared, not {len(sessions)}")
    found = [session.record for session in sessions]
    flights = [flight_of(session) for session in sessions]
    parameters = _table(
        [{**_parameters(record), **_faults(flight)} for record, flight in zip(found, flights, strict=True)]
    )
    metrics = _table([_metrics(record) for record in found])
    aligned = alignment.aligned(sessions, align)
    by_role = [
        role_differences(flights[0], other, moment - aligned["moments_s"][0])
        for other, moment in zip(flights[1:], aligned["moments_s"][1:], strict=True)
    ]
    differences = [first_of(sessions[0], other, rows) for other, rows in zip(sessions[1:], by_role, strict=True)]
    return Comparison(
        {
            "sessions": [_head(session, record) for session, record in zip(sessions, found, strict=True)],
            "parameters": _differing(parameters),
            "metrics": metrics,
            "first_difference": differences[0],
            "first_differences": differences,
            "by_role": by_role,
            "alignment": aligned,
        }
    )


def first_of(one: Session, other: Session, by_role: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the first difference that means something: of the records while they agreed before, else by role.

    Flights that were the same byte for byte past their first moment have one cause: the first record that differs, or
    the fault that struck one of them until then. Where no position differs, the streams of the programs are compared.
    """
    exact = first_difference(one, other)
    moments = [row for row in by_role if row["sim_time"] is not None]
    if exact is None or not moments:
        return exact or (moments[0] if moments else stream_difference(one, other, same_bytes))
    began = (one.tape(MOTION_STREAM).bounds() or (0.0, 0.0))[0]
    if exact.get("noise") or exact["sim_time"] <= began or not _alike(one, other, began):
        return moments[0]
    cause = [row for row in moments if row["field"] == "fault" and row["sim_time"] <= exact["sim_time"]]
    return cause[0] if cause else exact


def _alike(one: Session, other: Session, began: float) -> bool:
    """Return whether both flights have the same records at their first moment, noise included."""
    for until_s in (began + _FIRST_S, None):  # seldom is more than the first seconds needed
        for a, b in zip_longest(*(each.tape(MOTION_STREAM).in_time(to_s=until_s) for each in (one, other))):
            if a is None or b is None or a.data != b.data or a.t_s != b.t_s:
                return False
            if a.t_s > began:
                return True
    return True


def first_difference(one: Session, other: Session) -> dict[str, Any] | None:
    """Return the first moment at which two flights part: sim_time, drone, field, and both values; None for never."""
    left, right = one.tape(MOTION_STREAM), other.tape(MOTION_STREAM)
    offset = same_bytes(left, right)
    if offset is None:
        return None
    noise: dict[str, Any] | None = None  # returned when nothing else differs
    if all(tape.order().plain and tape.encoding() is None for tape in (left, right)):
        pairs = zip_longest(left.read(offset, damaged="skip"), right.read(offset, damaged="skip"))
    else:
        pairs = zip_longest(left.in_time(), right.in_time())
    for number, (a, b) in enumerate(pairs):
        if a is None or b is None:
            longer = a or b
            assert longer is not None
            gone = "the recording ends"
            return _difference(longer, "recording", "goes on" if a else gone, "goes on" if b else gone)
        for field in ("t_s", "drone", *sorted({*a.data, *b.data} - {"drone", *_NOISE})):
            left_value, right_value = _value(a, field), _value(b, field)
            if left_value != right_value:
                return _difference(min(a, b, key=lambda line: line.t_s), field, left_value, right_value)
        noisy = next((field for field in _NOISE if a.data.get(field) != b.data.get(field)), None)
        if noise is None and noisy is not None:
            noise = {**_difference(a, noisy, a.data.get(noisy), b.data.get(noisy)), "noise": True}
        if number > _MOST_LINES:
            break
    return noise


def _value(line: Line, field: str) -> Any:
    return line.t_s if field == "t_s" else line.data.get(field)


def _difference(line: Line, field: str, left: Any, right: Any) -> dict[str, Any]:
    name = "sim_time" if field == "t_s" else field
    return {"sim_time": line.t_s, "drone": line.data.get("drone"), "field": name, "a": left, "b": right}


def same_bytes(left: Tape, right: Tape) -> int | None:
    """Return where the first line begins that is not the same in both files; None when all bytes are."""
    try:
        with stream_source.opened(left.path) as ours, stream_source.opened(right.path) as theirs:
            return _first_other_line(ours, theirs)
    except FileNotFoundError:
        return 0 if left.size() != right.size() else None


def _first_other_line(ours: Source, theirs: Source) -> int | None:
    at = line_begin = 0
    while True:
        a, b = ours.bytes_at(_CHUNK, at), theirs.bytes_at(_CHUNK, at)
        if a == b:
            if not a:
                return None
            line_begin = at + a.rfind(b"\n") + 1 if b"\n" in a else line_begin
            at += len(a)
            continue
        same = a[: _common(a, b)]
        return at + same.rfind(b"\n") + 1 if b"\n" in same else line_begin


def _common(a: bytes, b: bytes) -> int:
    """Return how many bytes are the same from the start."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[:middle] == b[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _head(session: Session, record: SessionRecord) -> dict[str, Any]:
    kept = ("session_id", "session_name", "rev", "duration_sim_s", "drones", "end_reason")
    return {name: getattr(record, name) for name in kept} | {"status": session.status}


def _parameters(record: SessionRecord) -> dict[str, Any]:
    fleet: dict[str, int] = {}
    for drone in record.drones:
        kind = str(drone.get("kind", "drone"))
        fleet[kind] = fleet.get(kind, 0) + 1
    found = {name: getattr(record, name) for name in _PARAMETERS}
    found |= {f"drones.{kind}": number for kind, number in fleet.items()}
    found |= {name: record.provenance[name] for name in _ORIGIN if name in record.provenance}
    return found | _flat(record.metadata, "metadata")


def _faults(flight: Flight) -> dict[str, Any]:
    """Return the faults that struck, with drone and moment: a hash of the scenario says only that something differs."""
    struck: dict[str, list[str]] = {}
    for kind, drone, t_s in flight.faults or ():
        struck.setdefault(f"fault.{kind}", []).append(f"{drone or 'all'} at {t_s:g} s")
    return {name: ", ".join(moments) for name, moments in struck.items()}


def _metrics(record: SessionRecord) -> dict[str, Any]:
    times = {name: getattr(record, name) for name in ("duration_sim_s", "duration_wall_s")}
    return times | _flat({**record.progress, **record.performance_metrics.get("totals", {})}, "")


def _flat(value: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, inner in value.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(inner, Mapping):
            found |= _flat(inner, name)
        else:
            found[name] = inner
    return found


def _differing(parameters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows whose values differ, hashes last."""
    found = [row for row in parameters if any(value != row["values"][0] for value in row["values"])]
    return sorted(found, key=lambda row: row["name"].endswith(_HASH))


def _table(columns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = list(dict.fromkeys(name for column in columns for name in column))
    return [{"name": name, "values": [column.get(name) for column in columns]} for name in names]
