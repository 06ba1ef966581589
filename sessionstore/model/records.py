"""Reading and changing a record: the rules are kept, and what breaks them is reported with line and column.

A record that was written keeps the rules of its fields; one that was edited by hand is checked when it is read. Keys
that this version does not know are kept. Statuses are a closed list with allowed moves; ``interrupted`` is what a
reader finds (liveness), and never stored. msgspec tests a record quickly, marshmallow explains what is wrong.
Not here: the fields (record), rows (row), the file (session.documents), who may change it (store).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from sessionstore.errors import Corrupt, IllegalTransition, InvalidRecord, NewerFormat
from sessionstore.model import json_text
from sessionstore.model.instants import all_stored, canonical
from sessionstore.model.record import FORMAT, INSTANTS, REQUIRED, RULES, SessionRecord

_logger = logging.getLogger("sessionstore")

_MOVES = {
    "created": {"running", "stopped", "failed"},
    "running": {"paused", "completed", "stopped", "failed"},
    "paused": {"running", "completed", "stopped", "failed"},
    "completed": set[str](),
    "stopped": set[str](),
    "failed": set[str](),
}
#: Fields of free form, in which a NaN or an infinity becomes null; the record then has a key ``not_finite`` with the
#: JSON Pointer (RFC 6901) and the name of each.
OPEN_FIELDS = frozenset(("metadata", "progress", "performance_metrics", "drones"))
NOT_FINITE = "not_finite"
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


def _shape(required: Collection[str]) -> type[msgspec.Struct]:
    """Return a type that fits records which keep the rules; it tests the whole of one in 3 us."""
    fields: list[Any] = [(name, RULES[name]) for name in required]
    fields += [(name, kind | UnsetType, UNSET) for name, kind in RULES.items() if name not in required]
    return msgspec.defstruct("Shape", fields, forbid_unknown_fields=True, gc=False)


_WHOLE, _PARTIAL = _shape(REQUIRED), _shape(())


def keeps_rules(values: Mapping[str, Any], partial: bool = False) -> bool:
    """Whether each field surely holds what it may, instants in their stored form; False means: ask the schema.

    Args:
        values: fields of a record as plain data.
        partial: required fields may be missing.
    """
    try:
        msgspec.convert(values, _PARTIAL if partial else _WHOLE)
    except (msgspec.ValidationError, OverflowError, TypeError, UnicodeEncodeError):  # the last: half a character
        return False
    instants = [text for name in INSTANTS if (text := values.get(name)) is not None]
    return not instants or all_stored(instants)


@lru_cache(maxsize=1)
def _schema() -> Any:
    """Return the marshmallow schema, made once and imported late (50 ms)."""
    from sessionstore.model.schemas import RecordSchema

    return RecordSchema()


def _check(values: dict[str, Any], partial: bool = False) -> list[tuple[tuple[str | int, ...], str]]:
    """Return what is wrong with fields of a record, as (path, reason); put their instants into the stored form.

    A marshmallow validation costs 150 us: it is asked only when the quick test is not sure.
    """
    if keeps_rules(values, partial):
        return []
    if not (problems := _flat(_schema().validate(values, partial=partial))):
        values.update((name, canonical(values[name])) for name in INSTANTS if values.get(name) is not None)
    return problems


def check_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes of an update as plain data that the record may hold.

    NaN and infinities in the fields of :data:`OPEN_FIELDS` become null; ``not_finite`` then names each of them.

    Raises: InvalidRecord: naming each field that is unknown, not for hand, or wrong.
    """
    kept = [name for name in changes if name in STORE_FIELDS]
    if kept:
        raise InvalidRecord(f"{', '.join(kept)}: kept by the store, cannot be set")
    copy = json_text.copied_surely(changes)
    if copy is not None and keeps_rules(copy, partial=True):
        found: dict[str, Any] = copy
        return found
    not_finite: dict[str, str] = {}
    plain = {name: _plain_field(name, value, not_finite) for name, value in changes.items()}
    if problems := _check(plain, partial=True):
        raise InvalidRecord("; ".join(f"{'.'.join(map(str, path))}: {reason}" for path, reason in problems))
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


def read_record(
    tables: Mapping[str, Any], data: bytes, path: str, session_id: str, checked: bool = False
) -> SessionRecord:
    """Return the record in the tables of a session.json; its id is the name of the folder that holds it.

    Args:
        checked: whether it was found to keep the rules before these very bytes were written.

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
    known, extra = dict(document), {}
    if not document.keys() <= RULES.keys():
        known = {key: value for key, value in document.items() if key in RULES}
        extra = {key: value for key, value in document.items() if key not in RULES}
    if not checked and (problems := _check(known)):
        raise _corrupt(problems, data, path, doc_id)
    if type(provenance := known.get("provenance")) is json_text.Fixed:  # shared: who gets the record may change its own
        known = {**known, "provenance": provenance.copied()}
    return SessionRecord(**{**known, "session_id": session_id}, extra=extra)


def _corrupt(problems: list[tuple[tuple[str | int, ...], str]], data: bytes, path: str, doc_id: str) -> Corrupt:
    """Return the error that names all that is wrong with a record, each with its place, in the order of the file."""
    found = []
    for keys, reason in problems:
        place = json_text.locate(data, ["session", doc_id, *keys])
        if place == (None, None):
            place = json_text.locate(data, ["session", doc_id])
        found.append((place[0] or 0, place[1] or 0, f"{'.'.join(map(str, keys))}: {reason}"))
    (line, column, first), *others = sorted(found)
    more = "".join(f"; line {line}, column {column}: {reason}" for line, column, reason in others)
    return Corrupt(f"{first}{more}", path, None, line or None, column or None)


def _flat(problems: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], str]]:
    """Return marshmallow's nested messages as (path, reason)."""
    if isinstance(problems, Mapping):
        return [
            item for key, inner in problems.items() for item in _flat(inner, (*path, key) if key != "_schema" else path)
        ]
    return [(path, " ".join(problems) if isinstance(problems, list) else str(problems))]
