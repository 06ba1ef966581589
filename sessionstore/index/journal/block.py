"""The block of a journal: the rows at the beginning of a compacted file, under one checksum for all.

    {"table":"sessions","id":-2,"doc":null,"bytes":1400,"crc":"...","c":"crc"}     first line: the 1,400 bytes behind it
    {"table":"sessions","id":4611686018427387904,"doc":{...},"c":"crc"}            are rows, and have this CRC-32
    ...                                                                            changes, line by line

A block holds each session once, oldest first, so a reader needs no line numbers, no checksums of lines and no sort.
No row is returned before the checksum of the whole block is verified; if it does not match, or bytes are missing, the
lines are read one by one, which locates the damage. Older readers take the first line for an empty entry.
Not here: the file (index.journal.file), the lines behind the block (index.journal.engine).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from sys import intern
from typing import TypeVar
from zlib import crc32

import msgspec

from sessionstore.index.journal.file import line_of
from sessionstore.index.journal.raw_tables import SESSIONS, TABLE_BLOCK, is_whole
from sessionstore.model.row import SessionRow

#: What decoding raises when bytes are not a line of a journal.
NOT_WHOLE = (msgspec.MsgspecError, ValueError, RecursionError)
_HEAD = b'{"table":"sessions","id":-2,"doc":null,"bytes":'
_LONGEST_HEAD = 200
_LINES_AT_ONCE = 1000
_CHUNK_BYTES = 1 << 16  # the allocator reuses memory up to this size


_Item = TypeVar("_Item")


class BlockHead(msgspec.Struct):
    bytes: int
    crc: str


class _Line(msgspec.Struct, gc=False):
    doc: SessionRow


_decode_head = msgspec.json.Decoder(BlockHead).decode
_decode_lines = msgspec.json.Decoder(_Line).decode_lines
_session_id = attrgetter("session_id")
_encode = msgspec.json.Encoder().encode


def doc_id_of(session_id: str) -> int:
    """Return the number of a session's line: 63 bits of a hash, the same in every store."""
    return (int.from_bytes(hashlib.blake2b(session_id.encode(), digest_size=8).digest(), "big") >> 1) or 1


def intern_rows(rows: Iterable[SessionRow]) -> None:
    """Copy metadata out of the decode buffer, and intern repeated strings."""
    change = msgspec.structs.force_setattr  # no other code has these rows yet
    for row in rows:
        change(row, "raw_metadata", row.raw_metadata.copy())  # Raw is a view: without a copy it pins the buffer
        change(row, "status", intern(row.status))
        change(row, "workflow_state", intern(row.workflow_state))
        if row.updated_at == row.created_at:
            change(row, "updated_at", row.created_at)
        elif row.updated_at == row.ended_at:
            change(row, "updated_at", row.ended_at)


def block_of(rows: Sequence[SessionRow]) -> list[bytes]:
    """Return rows as a block, in pieces of whole lines.

    Args:
        rows: each session once, ordered by creation.
    """
    return block_of_lines(rows, row_line)


def row_line(row: SessionRow) -> bytes:
    """Return the line of a row."""
    head = b'{"table":"sessions","id":%d,"doc":%s' % (doc_id_of(row.session_id), _encode(row))
    return b'%s,"c":"%08x"}\n' % (head, crc32(head))  # as line_of, whose call costs a fifth more


def block_of_lines(rows: Sequence[_Item], line: Callable[[_Item], bytes]) -> list[bytes]:
    """Return what stands for rows as :func:`block_of` does; ``line`` gives the line of each."""
    pieces, size, crc = [], 0, 0
    for start in range(0, len(rows), _LINES_AT_ONCE):
        piece = b"".join([line(row) for row in rows[start : start + _LINES_AT_ONCE]])
        size, crc = size + len(piece), crc32(piece, crc)
        pieces.append(piece)
    if pieces:
        head = line_of(SESSIONS, TABLE_BLOCK, b'null,"bytes":%d,"crc":"%08x"' % (size, crc))
        pieces[0] = head + pieces[0]
    return pieces


def read_block(descriptor: int) -> tuple[dict[str, SessionRow], int] | None:
    """Return the rows of the block at the beginning of a file, by session id and in their order, and where it ends.

    None when there is no block, or not the whole one that was written.
    """
    try:
        if (found := read_head(descriptor)) is None:
            return None
        sizes, begin = found
        os.lseek(descriptor, begin, os.SEEK_SET)
        rows = _read_rows(descriptor, sizes.bytes, sizes.crc)
    except NOT_WHOLE:
        return None
    return None if rows is None else (rows, begin + sizes.bytes)


def end_of_whole_block(descriptor: int) -> int:
    """Return where the block at the beginning of a file ends, once its checksum is verified; 0: there is none, or it
    is damaged."""
    try:
        if (found := read_head(descriptor)) is None:
            return 0
        (sizes, begin), crc = found, 0
        left = sizes.bytes
        os.lseek(descriptor, begin, os.SEEK_SET)
        while left and (part := os.read(descriptor, min(_CHUNK_BYTES, left))):
            left, crc = left - len(part), crc32(part, crc)
    except NOT_WHOLE:
        return 0
    return 0 if left or b"%08x" % crc != sizes.crc.encode() else begin + sizes.bytes


def decode_rows(data: bytes) -> list[SessionRow]:
    """Return the rows of whole lines; their checksums are for the caller. Raises: NOT_WHOLE."""
    return [line.doc for line in _decode_lines(data)]


def end_of_block(descriptor: int) -> int:
    """Return where the block at the beginning of a file ends by its first line, without reading it; 0 without one."""
    try:
        found = read_head(descriptor)
    except NOT_WHOLE:
        return 0
    return 0 if found is None else found[1] + found[0].bytes


def read_head(descriptor: int) -> tuple[BlockHead, int] | None:
    """Return the first line of a block, and where it ends. Raises: NOT_WHOLE."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    head = os.read(descriptor, _LONGEST_HEAD)
    raw = head[: head.find(b"\n")]
    if not raw.startswith(_HEAD) or not is_whole(raw):
        return None
    return _decode_head(raw), len(raw) + 1


def _read_rows(descriptor: int, left: int, expected_crc: str) -> dict[str, SessionRow] | None:
    rows: dict[str, SessionRow] = {}
    crc, rest = 0, b""
    while left and (part := os.read(descriptor, min(_CHUNK_BYTES, left))):
        left -= len(part)
        crc = crc32(part, crc)
        cut = part.rfind(b"\n") + 1
        if not cut:
            rest += part
            continue
        some = [line.doc for line in _decode_lines(b"".join((rest, memoryview(part)[:cut])))]
        intern_rows(some)
        rows.update(zip(map(_session_id, some), some, strict=True))
        rest = part[cut:]
    return rows if not left and not rest and b"%08x" % crc == expected_crc.encode() else None
