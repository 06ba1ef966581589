"""The rules of a record as quick tests: what passes is valid, what fails goes to the schema, which explains it.

A marshmallow validation costs 150 us and its import 50 ms; a record is read by every update, get and rebuild, and is
nearly always right. So msgspec tests the whole of it in 3 us, as a type with bounds; the tests may be stricter than
:class:`~sessionstore.model.schemas.RecordSchema`, never laxer.
Not here: what is said about a field that is wrong (schemas).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sessionstore.errors import InvalidRecord
from sessionstore.model.names import MAX_TYPED_BYTES
from sessionstore.model.records import MAX_COUNT, STATUSES, instant

_LARGEST = 1e300  # beyond, a whole number may be more than a float holds
_Short = Annotated[str, Meta(min_length=1, max_length=200)]
_Positive = Annotated[int, Meta(ge=1, le=MAX_COUNT)]
_Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)] | None
_Number = Annotated[float, Meta(gt=-_LARGEST, lt=_LARGEST)]
_Seconds = Annotated[float, Meta(ge=0, lt=_LARGEST)] | None
_Vector = Annotated[list[_Number], Meta(min_length=3, max_length=3)]
_Object = dict[str, Any]
#: ASCII, or any text without half a character that is surely short enough: none takes more than four bytes.
_TYPED_NAME = rf"\A(?:[\x00-\x7f]*|[^\ud800-\udfff]{{0,{MAX_TYPED_BYTES // 4}}})\Z"

REQUIRED: dict[str, Any] = {
    "session_id": str,
    "uuid": Annotated[str, Meta(pattern=r"\A[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")],
    "format": _Positive,
    "rev": _Positive,
    "status": Literal[STATUSES],
    "workflow_state": Annotated[str, Meta(max_length=200)],
    "created_at": str,
    "updated_at": str,
}
OPTIONAL: dict[str, Any] = {
    "session_name": Annotated[str, Meta(max_length=MAX_TYPED_BYTES, pattern=_TYPED_NAME)] | None,
    "tags": Annotated[list[_Short], Meta(max_length=100)],
    "notes": str,
    "started_at": str | None,
    "ended_at": str | None,
    "time_zone": str,
    "duration_planned_s": _Seconds,
    "duration_sim_s": _Seconds,
    "duration_wall_s": _Seconds,
    "end_reason": str | None,
    "base_position": _Vector | None,
    "base_orientation": _Vector,
    "gps": dict[str, _Number] | None,
    "num_buildings": _Count,
    "num_invisible_buildings": _Count,
    "drones": list[_Object],
    "metadata": _Object,
    "progress": _Object,
    "performance_metrics": _Object,
    "streams": _Object,
    "artifacts": list[_Object],
    "owner": _Object | None,
    "created_by": str,
    "provenance": _Object,
    "lineage": list[_Short],
    "merged_from": _Object | None,
}
RULED_FIELDS = (*REQUIRED, *OPTIONAL)
_INSTANTS = ("created_at", "updated_at", "started_at", "ended_at")


def _shape(required: Mapping[str, Any], optional: Mapping[str, Any]) -> type[msgspec.Struct]:
    fields: list[Any] = [*required.items(), *((name, kind | UnsetType, UNSET) for name, kind in optional.items())]
    return msgspec.defstruct("Shape", fields, forbid_unknown_fields=True, gc=False)


_WHOLE, _PARTIAL = _shape(REQUIRED, OPTIONAL), _shape({}, {**REQUIRED, **OPTIONAL})


def keeps_rules(values: Mapping[str, Any], partial: bool = False) -> bool:
    """Whether each field surely holds what it may; False means: ask the schema.

    Args:
        values: fields of a record as plain data, none that is unknown.
        partial: required fields may be missing.
    """
    try:
        msgspec.convert(values, _PARTIAL if partial else _WHOLE)
    except (msgspec.ValidationError, OverflowError, TypeError, UnicodeEncodeError):  # the last: half a character
        return False
    return all(_is_instant(values[name]) for name in _INSTANTS if values.get(name) is not None)


@lru_cache(maxsize=1024)
def _is_instant(value: str) -> bool:
    try:
        instant(value)
    except InvalidRecord:
        return False
    return True
