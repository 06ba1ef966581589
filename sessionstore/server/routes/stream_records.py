"""Pieces of a stream, by offset, by moment or from its end, as JSON or as JSON Lines.

A piece has at most the number of records asked for, and some megabytes; ``next_offset`` is where the next one begins.
Damaged lines are skipped and reported.
Not here: following (live), reading (session.stream_reader).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sessionstore.server.http.csv_text import CSV, csv_text
from sessionstore.server.http.reply import NDJSON, Reply, encode, json_reply
from sessionstore.session.stream_reader import Damage, Line, Tape

MAX_PIECE_BYTES = 8 << 20


def piece_of(name: str, tape: Tape, query: Mapping[str, Any]) -> Reply:
    """Return the piece that a query asks for."""
    damaged: list[Damage] = []
    lines, offset = read_lines(tape, query, damaged)
    records = [line.to_json() for line in lines]
    last = tape.last()
    at_end = last is None or offset >= last.end
    headers = {"x-next-offset": str(offset), "x-at-end": str(at_end).lower(), "x-damaged": str(len(damaged))}
    if query["format"] == "csv":
        return Reply(csv_text(records), content_type=CSV, headers=headers)
    if query["format"] == "ndjson":
        return Reply(b"".join(encode(record) + b"\n" for record in records), content_type=NDJSON, headers=headers)
    return json_reply(
        {
            "stream": name,
            "records": records,
            "next_offset": offset,
            "at_end": at_end,
            "damaged": [{"offset": each.offset, "end": each.end, "reason": each.reason} for each in damaged],
        }
    )


def read_lines(tape: Tape, query: Mapping[str, Any], damaged: list[Damage]) -> tuple[list[Line], int]:
    """Return the lines, and the offset behind the last one that was read."""
    offset = min(query["offset"], tape.size())
    if "tail" in query:
        offset = tape.last_lines(query["tail"])
    if "start" in query:
        offset = max(offset, tape.seek(query["start"]))
    end_s = query.get("end")
    most = query.get("tail", query["limit"])
    found: list[Line] = []
    begin = offset
    order = tape.order() if "attempt" in query else None
    for line in tape.read(offset, damaged="skip", on_damage=damaged.append):
        if end_s is not None and line.t_s > end_s:
            break
        offset = line.end
        if order is not None and order.replaced(line, query["attempt"]):
            continue
        found.append(line)
        if len(found) >= most or offset - begin > MAX_PIECE_BYTES:
            break
    return found, offset
