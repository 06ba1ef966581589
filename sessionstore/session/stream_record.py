"""What a record of a stream may be: an object of JSON values, checked and encoded before anything is written.

Its values are stored by the one table of :mod:`sessionstore.model.values`; what holds JSON's own types only is encoded
as it is. Refused: what that table refuses, and more than 1 MiB. NaN and infinities become null, counted in "nan".
Not here: number, sim_time and checksum around it (stream_line), metadata of the session (model.records).
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sessionstore.errors import InvalidRecord
from sessionstore.model import values
from sessionstore.model.values import Plain, is_json
from sessionstore.session.stream_line import NESTED, OWN_KEYS

MAX_RECORD_BYTES = 1 << 20  # a kill tears large appends: 27 of 40 at 8 MiB (measured)
_encode, _encode_lines = msgspec.json.Encoder().encode, msgspec.json.Encoder().encode_lines


def payload_of(record: Mapping[str, Any]) -> bytes:
    """Return a record as the JSON object that a line holds. Raises: InvalidRecord."""
    kind = type(record)
    plain = (kind is dict and is_json(record)) or kind is Plain
    if plain:
        try:
            payload = _encode(record)
        except (TypeError, ValueError, OverflowError):
            return _closely(record, plain)
        # find costs half of what "in" does
        if payload.find(b"null") < 0 and len(payload) <= MAX_RECORD_BYTES and OWN_KEYS.isdisjoint(record):
            return payload
    return _closely(record, plain)


def payloads_of(records: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """Return what :func:`payload_of` gives of each record; those of a plain batch are encoded at once.

    Raises: InvalidRecord: of the first record that is none.
    """
    if set(map(type, records)) == {dict} and all(map(is_json, records)):
        with contextlib.suppress(TypeError, ValueError, OverflowError):  # said of the record that it is about
            data = _encode_lines(records)
            if data.find(b"null") < 0 and OWN_KEYS.isdisjoint(itertools.chain.from_iterable(records)):
                payloads = data[:-1].split(b"\n")  # a newline within a text is escaped
                if max(map(len, payloads)) <= MAX_RECORD_BYTES:
                    return payloads
    return list(map(payload_of, records))


def _closely(record: Mapping[str, Any], plain: bool) -> bytes:
    """Return what :func:`payload_of` does of any record, or say what is wrong with it. Raises: InvalidRecord."""
    not_finite = 0
    if not plain:
        record, not_finite = _converted(record)
    try:
        payload = _encode(record)
    except (TypeError, ValueError, OverflowError) as error:  # UnicodeEncodeError is a ValueError
        values.plain(record, "record", {})  # says what is wrong, and where
        raise InvalidRecord(f"a record cannot be stored: {error}") from error
    if plain and b"null" in payload:
        not_finite = _count_not_finite(record)
    if not_finite and "nan" not in record:
        record = {**record, "nan": not_finite}
        payload = _encode(record)
    if len(payload) > MAX_RECORD_BYTES:
        raise InvalidRecord(f"a record has at most {MAX_RECORD_BYTES} bytes, this one {len(payload)}")
    return payload if OWN_KEYS.isdisjoint(record) else b'{"%b":%b}' % (NESTED.encode(), payload)


def _converted(record: Any) -> tuple[dict[str, Any], int]:
    """Return a record with values of JSON only, and how many of its numbers are not finite. Raises: InvalidRecord."""
    not_finite: dict[str, str] = {}
    try:
        found = values.plain(record, "record", not_finite)
    except RecursionError as error:
        raise InvalidRecord(f"record: nested beyond {values.MAX_DEPTH} levels, or it holds itself") from error
    if type(found) is not dict:
        raise InvalidRecord(f"a record is an object with text keys, not {type(record).__name__}")
    return found, len(not_finite)


def _count_not_finite(value: Any) -> int:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return sum(map(_count_not_finite, value.values()))
    return sum(map(_count_not_finite, value)) if isinstance(value, list | tuple) else 0
