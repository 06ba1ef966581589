"""Sentences about a field that is wrong: marshmallow fields, made from the types of the field rules.

Used where people and programs hand data in (updates, hand edits, HTTP bodies, imports); a validation costs some 40 us.
Not here: the rules (field_rules, record), the quick test and the moves of a status (records).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

from marshmallow import RAISE, Schema, ValidationError, fields, validate
from msgspec import inspect

from sessionstore.errors import InvalidName, InvalidRecord
from sessionstore.model.record import REQUIRED, RULES


class Number(fields.Float):
    """A finite JSON number; text that looks like one is not."""

    def _validated(self, value: Any) -> float:
        if isinstance(value, str | bool):
            raise self.make_error("invalid")
        try:
            return super()._validated(value)
        except OverflowError as error:
            raise self.make_error("too_large") from error


def field_of(kind: Any, **more: Any) -> fields.Field[Any]:
    """Return the field that explains values of a ruled type; ``more`` as for a marshmallow field."""
    if get_origin(kind) is Literal:  # in the order in which it is written
        return fields.String(validate=validate.OneOf(get_args(kind)), **more)
    return _field(inspect.type_info(kind), [], more)


def _field(kind: inspect.Type, checks: list[Callable[[Any], Any]], more: dict[str, Any]) -> fields.Field[Any]:
    match kind:
        case inspect.Metadata(type=inner, extra=extra):
            return _field(inner, [*checks, *([_says(extra["check"])] if extra else [])], more)
        case inspect.UnionType(types=(inner, inspect.NoneType())):
            return _field(inner, checks, {"allow_none": True, **more})
        case inspect.StrType():
            return fields.String(validate=[*checks, *_length(kind)], **more)
        case inspect.IntType():
            return fields.Integer(strict=True, validate=[*checks, *_range(kind)], **more)
        case inspect.FloatType():
            return Number(validate=[*checks, *_range(kind)], **more)
        case inspect.ListType(item_type=item):
            return fields.List(_field(item, [], {}), validate=[*checks, *_length(kind)], **more)
        case inspect.DictType(value_type=value):
            held = None if isinstance(value, inspect.AnyType) else _field(value, [], {})
            return fields.Dict(keys=fields.String(), values=held, validate=checks, **more)
    raise TypeError(f"no field explains {kind}")


def _length(kind: Any) -> list[Callable[[Any], Any]]:
    least, most = kind.min_length, kind.max_length
    if least is None and most is None:
        return []
    return [validate.Length(equal=least) if least == most else validate.Length(min=least, max=most)]


def _range(kind: Any) -> list[Callable[[Any], Any]]:
    return [] if kind.ge is None and kind.le is None else [validate.Range(min=kind.ge, max=kind.le)]


def _says(check: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Return a validator that says what a check of the package says."""

    def validator(value: Any) -> None:
        try:
            check(value)
        except (InvalidName, InvalidRecord) as error:
            raise ValidationError(str(error)) from error

    return validator


class _Strict(Schema):
    class Meta:
        unknown = RAISE


#: The rules of a whole record; ``validate(data, partial=True)`` for changes.
RecordSchema = _Strict.from_dict(
    {name: field_of(kind, required=name in REQUIRED) for name, kind in RULES.items()}, name="RecordSchema"
)
