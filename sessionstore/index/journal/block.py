"""The block of a journal: the rows of a file that was written anew, under one checksum in place of one a line.

    {"table":"sessions","id":-2,"doc":null,"bytes":1400,"crc":"...","c":"crc"}     first line: the 1,400 bytes behind it
    {"table":"sessions","id":4611686018427387904,"doc":{...},"c":"crc"}            are rows, and have this CRC-32
    ...                                                                            changes, line by line

A block holds each session once, oldest first, its number the hash of its id; so a reader needs neither the numbers nor
the checksums of the lines, nor to sort. Nothing of it is shown before all of it is proven; where the sum does not fit,
or bytes are missing, the lines are read one by one, which tells the damage. To who does not know it, the first line is
one that says nothing.
Not here: the file (index.journalfile), what is read line by line (index.journal).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from operator import attrgetter
from sys import intern
from zlib import crc32

import msgspec

from sessionstore.index.journal.file import SESSIONS, TABLE_BLOCK, is_whole, line_of
from sessionstore.model.records import SessionRow

#: What decoding raises when bytes are no line of ours.
NOT_WHOLE = (msgspec.MsgspecError, ValueError, RecursionError)
_HEAD = b'{"table":"sessions","id":-2,"doc":null,"bytes":'
_LONGEST_HEAD = 200
_LINES_AT_ONCE = 1000
_PIECE = 1 << 16  # up to this size, memory is used again for the next one


class _Told(msgspec.Struct):
    bytes: int
    crc: str


class _Line(msgspec.Struct, gc=False):
    doc: SessionRow


_decode_told = msgspec.json.Decoder(_Told).decode
_decode_lines = msgspec.json.Decoder(_Line).decode_lines
_session_id = attrgetter("session_id")
_encode = msgspec.json.Encoder().encode


def doc_id_of(session_id: str) -> int:
    """Return the number of a session's line: 63 bits of a hash, the same in every store."""
    return (int.from_bytes(hashlib.blake2b(session_id.encode(), digest_size=8).digest(), "big") >> 1) or 1


def settle(rows: Iterable[SessionRow]) -> None:
    """Let go of the bytes that rows were decoded from, and keep texts once that many of them have."""
    for row in rows:
        row.metadata = row.metadata.copy()  # as it comes it keeps the whole piece in memory
        row.status, row.workflow_state = intern(row.status), intern(row.workflow_state)
        if row.updated_at == row.created_at:
            row.updated_at = row.created_at
        elif row.updated_at == row.ended_at:
            row.updated_at = row.ended_at


def block_of(rows: Sequence[SessionRow]) -> list[bytes]:
    """Return rows as a block, in pieces of whole lines.

    Args:
        rows: each session once, ordered by creation.
    """
    pieces, size, crc = [], 0, 0
    for start in range(0, len(rows), _LINES_AT_ONCE):
        some = rows[start : start + _LINES_AT_ONCE]
        piece = b"".join([line_of(SESSIONS, doc_id_of(row.session_id), _encode(row)) for row in some])
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
    os.lseek(descriptor, 0, os.SEEK_SET)
    head = os.read(descriptor, _LONGEST_HEAD)
    raw = head[: head.find(b"\n")]
    if not raw.startswith(_HEAD) or not is_whole(raw):
        return None
    try:
        told = _decode_told(raw)
        os.lseek(descriptor, len(raw) + 1, os.SEEK_SET)
        rows = _read_rows(descriptor, told.bytes, told.crc)
    except NOT_WHOLE:
        return None
    return None if rows is None else (rows, len(raw) + 1 + told.bytes)


def _read_rows(descriptor: int, left: int, told_crc: str) -> dict[str, SessionRow] | None:
    rows: dict[str, SessionRow] = {}
    crc, rest = 0, b""
    while left and (part := os.read(descriptor, min(_PIECE, left))):
        left -= len(part)
        crc = crc32(part, crc)
        cut = part.rfind(b"\n") + 1
        if not cut:
            rest += part
            continue
        some = [line.doc for line in _decode_lines(b"".join((rest, memoryview(part)[:cut])))]
        settle(some)
        rows.update(zip(map(_session_id, some), some, strict=True))
        rest = part[cut:]
    return rows if not left and not rest and b"%08x" % crc == told_crc.encode() else None
