"""The short way from the bytes of ``session.json`` to the row that an index keeps of it: a third of the time.

Decoding, shape and rules are one pass in C, into a type that only a file which is plainly right fits: one record of
this format with every field it has, known fields only, and no table but ours. Anything else is left to the long way
(documents, then records), which finds it right all the same or says what is wrong, with line and column. The row is
byte for byte the one that the long way gives.
Not here: reading the file (session.documents), what a row holds (row), the rules of each field (field_rules, record).
"""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sessionstore.errors import InvalidRecord
from sessionstore.model import json_text
from sessionstore.model.field_rules import MAX_COUNT
from sessionstore.model.instants import is_stored_form
from sessionstore.model.names import MAX_TYPED_BYTES
from sessionstore.model.provenance_text import IN_ITS_PLACE, KnownTexts
from sessionstore.model.record import FORMAT, RULES
from sessionstore.model.row import SessionRow, to_row

_Seconds = Annotated[int, Meta(ge=0, le=MAX_COUNT)] | Annotated[float, Meta(ge=0, le=MAX_COUNT)] | None
#: Where the rules are written differently here: a whole number stays one, as in the file, and a name needs to be
#: short only (no character takes more than four bytes, and halves of them were not decoded).
_IN_OTHER_WORDS: dict[str, Any] = {
    "format": Literal[FORMAT],
    "session_name": Annotated[str, Meta(max_length=MAX_TYPED_BYTES // 4)] | None,
    "duration_planned_s": _Seconds,
    "duration_sim_s": _Seconds,
    "duration_wall_s": _Seconds,
}
_FIELDS = {**RULES, **_IN_OTHER_WORDS}
#: Fields that folders of an earlier version lack.
_LATER: dict[str, Any] = {"lineage": msgspec.field(default_factory=list), "merged_from": None}
_Record: Any = msgspec.defstruct(
    "Record",
    [(name, kind) for name, kind in _FIELDS.items() if name not in _LATER]
    + [(name, _FIELDS[name], default) for name, default in _LATER.items()],
    forbid_unknown_fields=True,
    gc=False,
)


class _Document(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    session: dict[str, _Record]
    workflow: dict[str, dict[str, Any]] | UnsetType = UNSET


_known = KnownTexts()
_CUT_OUT = {"": IN_ITS_PLACE}
_IN_ITS_PLACE = msgspec.json.encode(_CUT_OUT)
_WORTH_CUTTING = 2048  # bytes of a document; a small provenance is parsed as fast as it is looked for
_decode, _encode = msgspec.json.Decoder(_Document).decode, msgspec.json.Encoder().encode
_NOT_PLAIN = (msgspec.MsgspecError, InvalidRecord, ValueError, RecursionError)


def row_of(data: bytes, status: os.stat_result, session_id: str) -> SessionRow | None:
    """Return the row that mirrors a record in a file of these bytes and this status; None: parse it in full."""
    try:
        around = _known.around(data, _IN_ITS_PLACE) if len(data) >= _WORTH_CUTTING else None
        document = _decode(data if around is None else around)
        ((doc_id, record),) = document.session.items()
        if around is not None and record.provenance != _CUT_OUT:
            return None  # it was cut out of another place
        for text in {record.created_at, record.updated_at, record.started_at, record.ended_at}:
            if text is not None and not is_stored_form(text):
                return None
        if not (_is_number(doc_id) and all(map(_is_number, document.workflow or ()))):
            return None
        record.metadata = msgspec.Raw(_encode(record.metadata))  # once, for the row and for the look at all keys
        if not json_text.is_whole(data if around is None else around, document):
            return None
        if around is None and len(data) >= _WORTH_CUTTING:
            _known.learn(data)
    except _NOT_PLAIN:
        return None
    record.session_id = session_id
    return to_row(record, status)


def _is_number(doc_id: str) -> bool:
    return doc_id.isascii() and doc_id.isdigit()
