"""The messages of an MCAP file in the order of the file, chunk by chunk in bounded memory.

The library reads records, decompresses and checks chunks; the messages within a chunk are taken apart here, which is
the loop that counts. Source: https://mcap.dev/spec
Not here: what a message means (mcap_file).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import Any, NamedTuple

_RECORD = struct.Struct("<BQ")
_MESSAGE = struct.Struct("<HIQQ")
_SCHEMA, _CHANNEL, _OF_MESSAGE = 3, 4, 5


class Sent(NamedTuple):
    """One message: its channel (with its schema, if any), when it was logged, and its bytes."""

    schema: Any
    channel: Any
    log_time_ns: int
    data: bytes


def messages(file: Any) -> Iterator[Sent]:
    """Yield the messages of a file. Raises: exceptions of mcap, ``struct.error``, KeyError: it is damaged there."""
    from mcap.records import Channel, Chunk, Message, Schema
    from mcap.stream_reader import StreamReader, get_chunk_data_stream

    known = _Known()
    for record in StreamReader(file, emit_chunks=True, validate_crcs=True).records:
        if isinstance(record, Chunk):
            stream, length = get_chunk_data_stream(record, validate_crc=True)
            yield from known.of_chunk(stream.read(length))
        elif isinstance(record, Message):
            schema, channel = known.channels[record.channel_id]
            yield Sent(schema, channel, record.log_time, record.data)
        elif isinstance(record, Schema):
            known.schemas[record.id] = record
        elif isinstance(record, Channel):
            known.add(record)


class _Known:
    """The schemas and channels so far."""

    def __init__(self) -> None:
        self.schemas: dict[int, Any] = {}
        self.channels: dict[int, tuple[Any, Any]] = {}

    def add(self, channel: Any) -> None:
        """Take in a channel; schema 0 means that it has none. Raises: KeyError: its schema was not defined."""
        self.channels[channel.id] = (self.schemas[channel.schema_id] if channel.schema_id else None, channel)

    def of_chunk(self, data: bytes) -> Iterator[Sent]:
        position, end, channels = 0, len(data), self.channels
        record, message = _RECORD.unpack_from, _MESSAGE.unpack_from
        while position < end:
            opcode, length = record(data, position)
            position += 9
            after = position + length
            if after > end:
                raise ValueError("a record is longer than its chunk")
            if opcode == _OF_MESSAGE:
                channel_id, _, log_time_ns, _ = message(data, position)
                schema, channel = channels[channel_id]
                yield Sent(schema, channel, log_time_ns, data[position + 22 : after])
            elif opcode in (_SCHEMA, _CHANNEL):
                self._define(opcode, data[position:after])
            position = after

    def _define(self, opcode: int, data: bytes) -> None:
        from mcap.data_stream import ReadDataStream
        from mcap.records import Channel, Schema

        stream = ReadDataStream(BytesIO(data))
        if opcode == _SCHEMA:
            schema = Schema.read(stream)
            self.schemas[schema.id] = schema
        else:
            self.add(Channel.read(stream))
