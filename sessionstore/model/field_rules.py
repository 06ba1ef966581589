"""What a field of a record may hold: types with bounds, which msgspec tests in 3 us and marshmallow explains (schemas).

Bounds that include their limit (``ge``, ``le``, lengths) and lists of values are the rule. A pattern and a bound that
excludes its limit belong to the quick test alone: it may be stricter than the rule, never laxer; ``extra["check"]`` is
then the exact rule, a function that raises.
Not here: which fields there are (record), sentences about a value that is wrong (schemas).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

from msgspec import Meta

from sessionstore.errors import InvalidRecord
from sessionstore.model.instants import instant
from sessionstore.model.names import MAX_TYPED_BYTES, check_typed_name

STATUSES = ("created", "running", "paused", "completed", "stopped", "failed")
FINAL_STATUSES = ("completed", "stopped", "failed")
#: Counts stay below 2**53, where every JSON reader is exact.
MAX_COUNT = 1 << 53
_LARGEST = 1e300  # beyond, a whole number may be more than a float holds


class Rule(NamedTuple):
    """Stands in the annotation of a field: the type with its bounds, where the attribute has a simpler type."""

    kind: Any


class After(NamedTuple):
    """Stands in the annotation of a field: in the file it follows this one."""

    field: str


def _uuid(value: str) -> None:
    try:
        UUID(value)
    except ValueError as error:
        raise InvalidRecord("not a UUID") from error


#: ASCII, or any text without half a character that is surely short enough: none takes more than four bytes.
_TYPED = rf"\A(?:[\x00-\x7f]{{0,{MAX_TYPED_BYTES}}}|[^\ud800-\udfff]{{0,{MAX_TYPED_BYTES // 4}}})\Z"
_UUID = r"\A[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z"

Uuid = Annotated[str, Meta(pattern=_UUID, extra={"check": _uuid})]
TypedName = Annotated[str, Meta(pattern=_TYPED, extra={"check": check_typed_name})] | None
Instant = Annotated[str, Meta(extra={"check": instant})]
Status: Any = Literal[STATUSES]
State = Annotated[str, Meta(max_length=200)]
Label = Annotated[str, Meta(min_length=1, max_length=200)]
Labels = Annotated[list[Label], Meta(max_length=100)]
Format = Annotated[int, Meta(ge=1, lt=MAX_COUNT)]
Revision = Annotated[int, Meta(ge=1, le=MAX_COUNT)]
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)] | None
Number = Annotated[float, Meta(gt=-_LARGEST, lt=_LARGEST)]
Seconds = Annotated[float, Meta(ge=0, lt=_LARGEST)] | None
Vector = Annotated[list[Number], Meta(min_length=3, max_length=3)]
