"""The rules of a record as quick tests: what passes here is right, what fails is judged by the schema, in its words.

A marshmallow validation costs 150 us and its import 50 ms; a record is read by every update, get and rebuild, and is
nearly always right. The tests may be stricter than :class:`~sessionstore.schemas.RecordSchema`, never laxer.
Not here: what is said about a field that is wrong (schemas).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from sessionstore.errors import InvalidRecord
from sessionstore.names import MAX_TYPED_BYTES
from sessionstore.records import MAX_COUNT, STATUSES, instant

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LARGEST = 1e300  # beyond, a whole number may be more than a float holds

_REQUIRED = frozenset(
    ("session_id", "uuid", "format", "rev", "status", "workflow_state", "created_at", "updated_at")
)  # fmt: skip


def keeps_rules(values: Mapping[str, Any], partial: bool = False) -> bool:
    """Whether each field surely holds what it may; False means: ask the schema.

    Args:
        values: fields of a record as plain data, none that is unknown.
        partial: required fields may be missing.
    """
    return (partial or values.keys() >= _REQUIRED) and all(
        name in _TESTS and _TESTS[name](value) for name, value in values.items()
    )


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_object(value: Any) -> bool:
    return type(value) is dict


def _are_objects(value: Any) -> bool:
    return type(value) is list and all(type(item) is dict for item in value)


def _is_short(value: Any) -> bool:
    return type(value) is str and 0 < len(value) <= 200


def _is_number(value: Any) -> bool:
    return type(value) in (float, int) and -_LARGEST < value < _LARGEST


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_COUNT


def _is_positive(value: Any) -> bool:
    return type(value) is int and 1 <= value <= MAX_COUNT


def _is_vector(value: Any) -> bool:
    return type(value) is list and len(value) == 3 and all(map(_is_number, value))


@lru_cache(maxsize=1024)
def _is_instant_text(value: str) -> bool:
    try:
        instant(value)
    except InvalidRecord:
        return False
    return True


def _is_instant(value: Any) -> bool:
    return type(value) is str and _is_instant_text(value)


def _or_null(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or test(value)


_seconds = _or_null(lambda value: _is_number(value) and value >= 0)
_TESTS: dict[str, Callable[[Any], bool]] = {
    "session_id": _is_text,
    "uuid": lambda value: type(value) is str and _UUID.fullmatch(value) is not None,
    "session_name": _or_null(lambda value: type(value) is str and value.isascii() and len(value) <= MAX_TYPED_BYTES),
    "format": _is_positive,
    "rev": _is_positive,
    "tags": lambda value: type(value) is list and len(value) <= 100 and all(map(_is_short, value)),
    "notes": _is_text,
    "status": lambda value: type(value) is str and value in STATUSES,
    "workflow_state": _is_short,
    "created_at": _is_instant,
    "updated_at": _is_instant,
    "started_at": _or_null(_is_instant),
    "ended_at": _or_null(_is_instant),
    "time_zone": _is_text,
    "duration_planned_s": _seconds,
    "duration_sim_s": _seconds,
    "duration_wall_s": _seconds,
    "end_reason": _or_null(_is_text),
    "base_position": _or_null(_is_vector),
    "base_orientation": _is_vector,
    "gps": _or_null(lambda value: type(value) is dict and all(map(_is_number, value.values()))),
    "num_buildings": _or_null(_is_count),
    "num_invisible_buildings": _or_null(_is_count),
    "drones": _are_objects,
    "metadata": _is_object,
    "progress": _is_object,
    "performance_metrics": _is_object,
    "streams": _is_object,
    "artifacts": _are_objects,
    "owner": _or_null(_is_object),
    "created_by": _is_text,
    "provenance": _is_object,
}
