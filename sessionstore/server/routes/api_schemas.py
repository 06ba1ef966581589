"""Schemas of requests and replies (marshmallow): validation at the edge, and the source of the OpenAPI description.

Unknown fields and parameters are refused, numbers are numbers and not text, and every text and list has a limit.
Schemas stand at module level, since building one costs more than a hundred validations' worth.
Not here: the fields of a record and their rules (model.record), checks that need the store (the routes).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from marshmallow import INCLUDE, RAISE, Schema, ValidationError, fields, validate, validates_schema

from sessionstore.errors import InvalidName
from sessionstore.model import names
from sessionstore.model.record import RULES, SessionRecord
from sessionstore.model.schemas import Number as Number
from sessionstore.model.schemas import field_of

MAX_PAGE, DEFAULT_PAGE = 1000, 100
MAX_RECORDS, DEFAULT_RECORDS = 100_000, 1000
MAX_COUNT = 100_000
MAX_TEXT, MAX_ITEMS = 100_000, 10_000


class Strict(Schema):
    """Refuses what it does not know."""

    class Meta:
        unknown = RAISE


class QueryNumber(fields.Float):
    """A finite number in an address."""


def _typed_name(value: str) -> None:
    try:
        names.check_typed_name(value)
    except InvalidName as error:
        raise ValidationError(str(error)) from error


def text(most: int = 1000, **more: Any) -> fields.String:
    return fields.String(validate=validate.Length(max=most), **more)


def typed_name(**more: Any) -> fields.String:
    return fields.String(validate=[validate.Length(max=names.MAX_TYPED_BYTES), _typed_name], **more)


def whole(most: int = MAX_COUNT, least: int = 0, **more: Any) -> fields.Integer:
    return fields.Integer(strict=True, validate=validate.Range(min=least, max=most), **more)


def vector(**more: Any) -> fields.Field[Any]:
    number = Number(validate=validate.Range(min=-1e9, max=1e9))
    return fields.List(number, validate=validate.Length(equal=3), **more)


def seconds(**more: Any) -> Number:
    return Number(validate=validate.Range(min=0, max=1e9), **more)


# ---------------------------------------------------------------- queries

_FIELDS = "Only these fields, comma-separated; `metadata.site` is one key of the metadata."


class ListQuery(Strict):
    """Of lists of sessions."""

    where = text(4096, metadata={"description": "A filter, such as `status=failed and metadata.num_drones>5`."})
    sort = text(200, load_default="-created_at", metadata={"description": "A field, with - for descending."})
    limit = fields.Integer(load_default=DEFAULT_PAGE, validate=validate.Range(min=1, max=MAX_PAGE))
    cursor = text(2000, metadata={"description": "`next_cursor` of the page before."})
    offset = fields.Integer(
        load_default=0, validate=validate.Range(min=0, max=MAX_COUNT),
        metadata={"description": "How many rows are passed over: for a place in a long list. A cursor never skips."},
    )  # fmt: skip
    fields_ = text(2000, data_key="fields", metadata={"description": _FIELDS})
    format = fields.String(load_default="json", validate=validate.OneOf(("json", "csv")))


class FieldsQuery(Strict):
    """Of one session."""

    fields_ = text(2000, data_key="fields", metadata={"description": _FIELDS})


class ReplayQuery(Strict):
    """Of a stretch of a session."""

    start = QueryNumber(validate=validate.Range(min=0), metadata={"description": "sim_time in seconds."})
    end = QueryNumber(validate=validate.Range(min=0), metadata={"description": "sim_time in seconds, included."})
    step = QueryNumber(
        validate=validate.Range(min=0, min_inclusive=False),
        metadata={"description": "Interpolate at multiples of this many seconds."},
    )
    drones = text(10_000, metadata={"description": "Only these drones, comma-separated."})
    max_points = fields.Integer(
        validate=validate.Range(min=8, max=1_000_000),
        metadata={"description": "Maximum points for each drone; extremes are kept."},
    )
    scene = fields.Boolean(load_default=True, metadata={"description": "Whether buildings and base are wanted."})
    utc = fields.Boolean(load_default=False, metadata={"description": "Whether each point gets its UTC instant."})


def attempt() -> fields.Integer:
    """Which attempt of a resumed run."""
    about = "Of a resumed run, counted from 0; by default the latest."
    return fields.Integer(validate=validate.Range(min=0, max=10_000), metadata={"description": about})


class StreamQuery(Strict):
    """Of a piece of a stream."""

    offset = fields.Integer(load_default=0, validate=validate.Range(min=0, max=1 << 60))
    start = QueryNumber(validate=validate.Range(min=0), metadata={"description": "sim_time in seconds."})
    end = QueryNumber(validate=validate.Range(min=0), metadata={"description": "sim_time in seconds, included."})
    limit = fields.Integer(load_default=DEFAULT_RECORDS, validate=validate.Range(min=1, max=MAX_RECORDS))
    tail = fields.Integer(
        validate=validate.Range(min=1, max=MAX_RECORDS), metadata={"description": "Only the last N records."}
    )
    attempt = fields.Integer(
        validate=validate.Range(min=0, max=10_000),
        metadata={"description": "Without what is not of this attempt of a resumed run; by default all that is there."},
    )
    format = fields.String(load_default="json", validate=validate.OneOf(("json", "ndjson", "csv")))


class ListEventsQuery(Strict):
    """Of the events of the list."""

    since = text(
        64, metadata={"description": "The `revision` of the list that was read: an older one is answered by `reset`."}
    )


class LiveQuery(Strict):
    """Of a live view."""

    streams = text(2000, metadata={"description": "Which streams, comma-separated."})
    offset = text(20, metadata={"description": 'Bytes into the one stream asked for, or "end".'})
    cursor = text(
        4000,
        metadata={
            "description": "`stream:offset,stream:offset`, as event ids say; others with `offset=end`: their end."
        },
    )


# ---------------------------------------------------------------- bodies


#: What a session begins with, and what can be changed of it; each field is that of the record (model.record), bounded.
_GIVEN = (
    "session_name", "base_position", "base_orientation", "gps", "num_buildings", "num_invisible_buildings",
    "duration_planned_s", "tags", "notes", "drones", "metadata",
)  # fmt: skip
_CHANGED = (*_GIVEN, "status", "workflow_state", "end_reason", "duration_sim_s", "performance_metrics")


def of_record(names_of: Iterable[str]) -> dict[str, fields.Field[Any]]:
    """Return fields of a record for a body; null is taken where it is how the field begins."""
    begins_null = {each.name for each in msgspec.structs.fields(SessionRecord) if each.default is None}
    return {name: _bounded(field_of(RULES[name], allow_none=name in begins_null)) for name in names_of}


def _bounded(field: fields.Field[Any]) -> fields.Field[Any]:
    """Limit what a body may hold further than the record does: texts, keys, lists and numbers."""
    limit: validate.Validator | None = None
    match field:
        case fields.String():
            limit = validate.Length(max=names.MAX_TYPED_BYTES if field.validators else MAX_TEXT)
        case fields.Integer():
            limit = validate.Range(max=MAX_COUNT)
        case Number():
            limit = validate.Range(min=-1e9, max=1e9)
        case fields.List(inner=inner):
            _bounded(inner)
            limit = validate.Length(max=MAX_ITEMS)
        case fields.Dict(key_field=key, value_field=value):
            for each in (key, value):
                if each is not None:
                    _bounded(each)
    if limit is not None:
        field.validators.append(limit)
    return field


NewSession = Strict.from_dict({**of_record(_GIVEN), "seed": whole(2**63 - 1)}, name="NewSession")


class FleetDrone(Strict):
    """Some drones of one kind, or one with a name or a place."""

    type = text(100)
    kind = text(100)
    drone_type = text(100)
    count = whole(200, 1)
    name = text(64)
    position = vector()

    @validates_schema
    def _needs_kind(self, data: Mapping[str, Any], **_: object) -> None:
        if not any(data.get(name) for name in ("type", "kind", "drone_type")):
            raise ValidationError("the kind of the drone is missing", "type")
        if data.get("count", 1) > 1 and ("name" in data or "position" in data):
            raise ValidationError("a name or a place belongs to one drone", "count")


class FleetField(fields.Field[Any]):
    """A fleet: how many of each kind, or a list of drones; it comes out as the list."""

    _counts = fields.Dict(keys=text(100), values=whole(200, 1))
    _list = fields.List(fields.Nested(FleetDrone), validate=validate.Length(max=1000))

    def _deserialize(self, value: Any, attr: str | None, data: Any, **more: Any) -> Any:
        if isinstance(value, list):
            return self._list.deserialize(value, attr, data, **more)
        counts = self._counts.deserialize(value, attr, data, **more)
        return [{"type": kind, "count": count} for kind, count in counts.items()]


FLEET_METADATA = {"description": 'How many of each kind, {"scout": 2}, or a list, [{"type": "scout", "name": "Eye"}].'}


class DemoSession(Strict):
    """A session with random buildings that waits to be started."""

    drones = FleetField(metadata=FLEET_METADATA)
    fleet = FleetField(metadata={"description": "The same as `drones`."})

    session_name = typed_name(allow_none=True)
    num_buildings = whole(500, load_default=3)
    num_invisible_buildings = whole(500, load_default=0)
    base_position = vector()
    metadata = fields.Dict(keys=text(1000))
    seed = whole(2**63 - 1)


#: Fields to change; ``rev`` makes it a compare-and-set. Sent as application/json, ``metadata`` is replaced as a whole;
#: as application/merge-patch+json (RFC 7396) its keys are merged, and a key with null is removed.
SessionChange = Strict.from_dict(
    {
        "rev": whole(2**53, 1),
        **of_record(_CHANGED),
        "reason": text(1000, metadata={"description": "Goes into the history of status and workflow state."}),
    },
    name="SessionChange",
)


# ---------------------------------------------------------------- replies


class Open(Schema):
    """A reply may hold more than is described: what the user stored, and what later versions add."""

    class Meta:
        unknown = INCLUDE


class StepReply(Open):
    """How one step of a creation ended."""

    status = fields.String(validate=validate.OneOf(("done", "pending", "failed")))
    reason = fields.String(allow_none=True)


class CreatedReply(Open):
    """What a creation reports."""

    session_id = fields.String(required=True)
    uuid = fields.String()
    session_name = fields.String(allow_none=True)
    sanitised_name = fields.String(allow_none=True)
    session_dir_path = fields.String()
    directory = fields.Nested(StepReply)
    record = fields.Nested(StepReply)
    index = fields.Nested(StepReply)
    success = fields.Boolean(required=True)
    fallback_used = fields.Boolean()


class RecordReply(Open):
    """The record of a session, with what is answered at read time; further keys are the user's."""

    session_id = fields.String()
    uuid = fields.String()
    rev = fields.Integer()
    status = fields.String()
    workflow_state = fields.String()
    replay_available = fields.Boolean()
    session_dir_path = fields.String()


class ListReply(Open):
    """One page of sessions."""

    sessions = fields.List(fields.Dict(), required=True)
    total = fields.Integer(required=True)
    count = fields.Integer(required=True)
    next_cursor = fields.String(allow_none=True)
    revision = fields.String(metadata={"description": "Names this state of the list: see `since` of its events."})
    compared_at = fields.String(
        allow_none=True,
        metadata={"description": "Large stores: when all files were last compared with the list; null: never."},
    )


class ReplayReply(Open):
    """A stretch of a session."""

    session_id = fields.String(required=True)
    replay_available = fields.Boolean(required=True)
    motion_history = fields.Dict(required=True)
    start = fields.Float()
    end = fields.Float()
    thinned = fields.String()
    buildings = fields.List(fields.Dict())
    base_position = fields.List(fields.Float())
    base_orientation = fields.List(fields.Float())


class StreamReply(Open):
    """A piece of a stream."""

    stream = fields.String(required=True)
    records = fields.List(fields.Dict(), required=True)
    next_offset = fields.Integer(required=True)
    at_end = fields.Boolean(required=True)
    damaged = fields.List(fields.Dict(), required=True)


class AnyReply(Open):
    """An object."""

    success = fields.Boolean()


class ProblemReply(Open):
    """What went wrong (RFC 9457)."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    success = fields.Boolean()
    error = fields.String()


class HelloEvent(Open):
    """The first event of the list: ``reset`` says that changes were missed, and the list is to be read again."""

    generation = fields.Integer(required=True)
    reset = fields.Boolean(required=True)
    revision = fields.String(metadata={"description": "Of the list that later events change."})


class SessionsEvent(Open):
    """What changed in the list since the event before."""

    generation = fields.Integer(required=True)
    total = fields.Integer()
    changed = fields.List(fields.Dict(), metadata={"description": "Rows, as the list has them."})
    removed = fields.List(fields.String(), metadata={"description": "Ids of sessions that went."})
    reset = fields.Boolean()


class StreamEvent(Open):
    """One record of a stream; an event of a stream's name carries an array of them."""

    n = fields.Integer(required=True)
    t = fields.Float(required=True, metadata={"description": "sim_time in seconds."})


class EndEvent(Open):
    """The last event: the record as it ended, or only the id with status ``gone`` when the session was deleted."""

    session_id = fields.String(required=True)
    status = fields.String(required=True)


#: What server-sent events carry, by the name of the event; ``*`` stands for the names of streams (an array of records).
LIST_EVENTS: dict[str, Schema] = {"hello": HelloEvent(), "sessions": SessionsEvent()}
LIVE_EVENTS: dict[str, Schema] = {
    "*": StreamEvent(many=True), "session": RecordReply(), "end": EndEvent(), "error": ProblemReply(),
}  # fmt: skip
LIST_QUERY, FIELDS_QUERY, REPLAY_QUERY = ListQuery(), FieldsQuery(), ReplayQuery()
STREAM_QUERY, LIVE_QUERY, LIST_EVENTS_QUERY = StreamQuery(), LiveQuery(), ListEventsQuery()
NEW_SESSION, DEMO_SESSION, SESSION_CHANGE = NewSession(), DemoSession(), SessionChange()
SESSION_CHANGE.fields["workflow_state"].validators.append(validate.Length(min=1))
CREATED_REPLY, RECORD_REPLY, LIST_REPLY, REPLAY_REPLY = CreatedReply(), RecordReply(), ListReply(), ReplayReply()
STREAM_REPLY, ANY_REPLY, PROBLEM_REPLY = StreamReply(), AnyReply(), ProblemReply()
