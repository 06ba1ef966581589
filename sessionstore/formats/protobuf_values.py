"""A protobuf message as a record: the fields that are set, by their names; several times as fast as ``MessageToDict``.

Numbers stay numbers (64-bit integers too), bytes become base64, enumerations their names, instants and durations the
text of protobuf's JSON. Other messages of ``google.protobuf`` become what protobuf's JSON makes of them.
Not here: messages of files (mcap_file).
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

Convert = Callable[[Any], Any]


class ProtobufValues:
    """Converts messages; what a type of message needs is found out once."""

    def __init__(self) -> None:
        self._fields: dict[str, dict[int, tuple[str, Convert | None]]] = {}

    def of(self, message: Any) -> dict[str, Any]:
        """Return the fields of a message that are set."""
        kind = message.DESCRIPTOR
        known = self._fields.get(kind.full_name)
        if known is None:
            known = self._fields[kind.full_name] = {
                each.number: (each.name, self._convert(each)) for each in kind.fields
            }
        found = {}
        for field, value in message.ListFields():
            name, convert = known[field.number]
            found[name] = value if convert is None else convert(value)
        return found

    def _convert(self, field: Any) -> Convert | None:
        """Return what makes a value of JSON of a field; None: it is one."""
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            inner = self._single(field.message_type.fields_by_name["value"])
            return lambda value: {_key(key): inner(each) if inner else each for key, each in value.items()}
        single = self._single(field)
        if not field.is_repeated:
            return single
        return list if single is None else lambda value: [single(each) for each in value]

    def _single(self, field: Any) -> Convert | None:
        if field.message_type is not None:
            return _well_known if field.message_type.full_name.startswith("google.protobuf.") else self.of
        if field.enum_type is not None:
            names = {each.number: each.name for each in field.enum_type.values}
            return lambda value: names.get(value, value)
        return _base64 if field.type == field.TYPE_BYTES else None


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _key(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def _well_known(message: Any) -> Any:
    from google.protobuf.json_format import MessageToDict

    if message.DESCRIPTOR.name in ("Timestamp", "Duration"):
        return message.ToJsonString()
    return MessageToDict(message, preserving_proto_field_name=True)
