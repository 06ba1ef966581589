"""What a record of a stream may be: an object of JSON values, checked and encoded before anything is written.

Refused: keys without a text form, two keys that are the same as text (1 and "1"), nesting
beyond 200 levels, values without a JSON form, and more than 1 MiB. NaN and infinities become null, counted in "nan".
Not here: number, sim_time and checksum around it (stream_line), metadata of the session (model.records).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from sessionstore.errors import InvalidRecord
from sessionstore.model import json_text
from sessionstore.session.stream_line import NESTED, OWN_KEYS

MAX_RECORD_BYTES = 1 << 20  # a kill tears large appends: 27 of 40 at 8 MiB (measured)
_encode = msgspec.json.Encoder(enc_hook=json_text.foreign).encode
_DEEP_BYTES = 2 * json_text.MAX_DEPTH  # that many brackets take at least


def payload_of(record: Mapping[str, Any]) -> bytes:
    """Return a record as the JSON object that a line holds. Raises: InvalidRecord."""
    if type(record) is not dict:
        if not isinstance(record, Mapping):
            raise InvalidRecord(f"a record is an object with text keys, not {type(record).__name__}")
        record = dict(record)
    try:
        payload = _encode(record)
        if b"null" in payload and "nan" not in record and (count := _count_not_finite(record)):
            record = {**record, "nan": count}
            payload = _encode(record)
        if payload.count(b"{") > 1 or (len(payload) > _DEEP_BYTES and payload.count(b"[") >= json_text.MAX_DEPTH):
            _check_keys_and_depth(payload)
        try:
            "".join(record)  # the fastest way to see that all keys are texts, and so cannot collide
        except TypeError:
            _check_keys_and_depth(payload)
    except (TypeError, ValueError, RecursionError) as error:  # UnicodeEncodeError is a ValueError
        raise InvalidRecord(f"a record cannot be stored: {_reason(error)}") from error
    if len(payload) > MAX_RECORD_BYTES:
        raise InvalidRecord(f"a record has at most {MAX_RECORD_BYTES} bytes, this one {len(payload)}")
    return payload if OWN_KEYS.isdisjoint(record) else b'{"%b":%b}' % (NESTED.encode(), payload)


def _reason(error: Exception) -> str:
    deep = isinstance(error, RecursionError)
    return f"nested beyond {json_text.MAX_DEPTH} levels, or it holds itself" if deep else str(error)


def _check_keys_and_depth(payload: bytes) -> None:
    """Raises: ValueError: two keys are the same as text, or the value is nested too deeply."""
    if json_text.nested_beyond_limit(payload):
        raise ValueError(f"nested beyond {json_text.MAX_DEPTH} levels")
    json_text.refuse_duplicate_keys(payload)


def _count_not_finite(value: Any) -> int:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, Mapping):
        return sum(map(_count_not_finite, value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return sum(map(_count_not_finite, value))
    to_list = getattr(value, "tolist", None)
    return _count_not_finite(to_list()) if callable(to_list) else 0
