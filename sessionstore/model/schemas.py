"""The marshmallow schema of the session record: one place that says what each field may hold.

Used on the edges only (updates, hand edits, HTTP bodies, imports), since a validation costs some 40 us.
Not here: the record itself (records), which status may follow which (records.check_move).
"""

from __future__ import annotations

from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from sessionstore.errors import InvalidName, InvalidRecord
from sessionstore.model import names
from sessionstore.model.records import MAX_COUNT, STATUSES, instant


def _instant(value: str) -> None:
    try:
        instant(value)
    except InvalidRecord as error:
        raise ValidationError(str(error)) from error


def _typed_name(value: str) -> None:
    try:
        names.check_typed_name(value)
    except InvalidName as error:
        raise ValidationError(str(error)) from error


def _uuid(value: str) -> None:
    from uuid import UUID

    try:
        UUID(value)
    except ValueError as error:
        raise ValidationError("not a UUID") from error


class _Number(fields.Float):
    """A finite JSON number; text that looks like one is not."""

    def _validated(self, value: Any) -> float:
        if isinstance(value, str | bool):
            raise self.make_error("invalid")
        return super()._validated(value)


def _seconds() -> fields.Field[Any]:
    return _Number(allow_none=True, validate=validate.Range(min=0))


def _count() -> fields.Field[Any]:
    return fields.Integer(strict=True, allow_none=True, validate=validate.Range(min=0, max=MAX_COUNT))  # None: unknown


def _vector() -> fields.Field[Any]:
    return fields.List(_Number(), validate=validate.Length(equal=3))


def _when() -> fields.Field[Any]:
    return fields.String(allow_none=True, validate=_instant)


class RecordSchema(Schema):
    """The rules of :class:`~sessionstore.model.records.SessionRecord`; ``validate(data, partial=True)`` for changes."""

    class Meta:
        unknown = RAISE

    session_id = fields.String(required=True)
    uuid = fields.String(required=True, validate=_uuid)
    session_name = fields.String(allow_none=True, validate=_typed_name)
    format = fields.Integer(strict=True, required=True, validate=validate.Range(min=1))
    rev = fields.Integer(strict=True, required=True, validate=validate.Range(min=1, max=MAX_COUNT))
    tags = fields.List(fields.String(validate=validate.Length(min=1, max=200)), validate=validate.Length(max=100))
    notes = fields.String()
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    workflow_state = fields.String(required=True, validate=validate.Length(max=200))
    created_at = fields.String(required=True, validate=_instant)
    updated_at = fields.String(required=True, validate=_instant)
    started_at = _when()
    ended_at = _when()
    time_zone = fields.String()
    duration_planned_s = _seconds()
    duration_sim_s = _seconds()
    duration_wall_s = _seconds()
    end_reason = fields.String(allow_none=True)
    base_position = fields.List(_Number(), validate=validate.Length(equal=3), allow_none=True)
    base_orientation = _vector()
    gps = fields.Dict(keys=fields.String(), values=_Number(), allow_none=True)
    num_buildings = _count()
    num_invisible_buildings = _count()
    drones = fields.List(fields.Dict(keys=fields.String()))
    metadata = fields.Dict(keys=fields.String())
    progress = fields.Dict(keys=fields.String())
    performance_metrics = fields.Dict(keys=fields.String())
    streams = fields.Dict(keys=fields.String())
    artifacts = fields.List(fields.Dict(keys=fields.String()))
    owner = fields.Dict(keys=fields.String(), allow_none=True)
    created_by = fields.String()
    provenance = fields.Dict(keys=fields.String())
    lineage = fields.List(fields.String(validate=validate.Length(min=1, max=200)))
    merged_from = fields.Dict(keys=fields.String(), allow_none=True)
