"""Protobuf messages as records: what protobuf's own JSON makes of them, with numbers as numbers."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("google.protobuf")
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.json_format import MessageToDict

from sessionstore.formats.protobuf_values import ProtobufValues

_T = descriptor_pb2.FieldDescriptorProto
_FIELDS = (
    ("f", _T.TYPE_DOUBLE, ""), ("i", _T.TYPE_INT64, ""), ("b", _T.TYPE_BYTES, ""), ("s", _T.TYPE_STRING, ""),
    ("ok", _T.TYPE_BOOL, ""), ("e", _T.TYPE_ENUM, ".t.Kind"), ("at", _T.TYPE_MESSAGE, ".google.protobuf.Timestamp"),
    ("sub", _T.TYPE_MESSAGE, ".t.M"), ("any", _T.TYPE_MESSAGE, ".google.protobuf.Struct"),
)  # fmt: skip


def message() -> Any:
    from google.protobuf import struct_pb2, timestamp_pb2

    pool = descriptor_pool.DescriptorPool()
    for other in (struct_pb2, timestamp_pb2):
        pool.AddSerializedFile(other.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="t", syntax="proto3")
    file.dependency.extend((struct_pb2.DESCRIPTOR.name, timestamp_pb2.DESCRIPTOR.name))
    kind = file.enum_type.add(name="Kind")
    kind.value.add(name="NONE", number=0)
    kind.value.add(name="SOME", number=7)
    body = file.message_type.add(name="M")
    for number, (name, of, kind_name) in enumerate(_FIELDS, 1):
        for label, more in ((_T.LABEL_OPTIONAL, ""), (_T.LABEL_REPEATED, "_list")):
            body.field.add(
                name=name + more, number=number * 2 + bool(more), type=of, label=label, type_name=kind_name or None
            )
    entry = body.nested_type.add(name="MapEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_T.TYPE_INT32, label=_T.LABEL_OPTIONAL)
    entry.field.add(name="value", number=2, type=_T.TYPE_MESSAGE, label=_T.LABEL_OPTIONAL, type_name=".t.M")
    body.field.add(name="map", number=99, type=_T.TYPE_MESSAGE, label=_T.LABEL_REPEATED, type_name=".t.M.MapEntry")
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.M"))


def test_a_message_becomes_what_the_library_makes_of_it_but_numbers_stay_numbers() -> None:
    made = message()
    whole = made(f=0.5, f_list=[1.0, 2.0], b=b"\xff", s="x", s_list=["a"], ok=True, e=7, e_list=[7, 0, 9])
    whole.at.seconds = 5
    whole.sub.sub.f = 2.5
    whole.sub_list.add(s="y")
    whole.any.update({"a": [1, None]})
    whole.map[3].s = "z"
    expected = MessageToDict(whole, preserving_proto_field_name=True)
    assert ProtobufValues().of(whole) == expected and len(expected) == 13
    assert ProtobufValues().of(made(i=2**62, i_list=[-1])) == {"i": 2**62, "i_list": [-1]}
    assert ProtobufValues().of(made()) == {}
