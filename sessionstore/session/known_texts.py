"""Documents whose text this process laid out: a change replaces the lines of what changed, and keeps the others.

Laying out a record anew is a quarter of the work of an update, and most of its fields stay. A text that is known by its
hash is as the package lays it out; the new one is put together of its parts, and used when it holds exactly the new
tables, which a comparison in C of the whole shows. Else, and for a file that another program wrote, all is laid out.
Not here: the layout (model.json_text), reading and replacing the file (documents).
"""

from __future__ import annotations

from itertools import compress
from operator import is_not
from typing import Any

import msgspec

from sessionstore.model import json_text

Tables = dict[str, dict[str, Any]]

#: How many texts are known at most, and how long one may be, in bytes.
MOST, LONGEST = 4096, 1 << 16
_FIELDS = 20  # of a record: with this number of them it never fits one line
_BEGIN, _END = b'{\n  "session": {\n    "1": {\n      "', b"\n    }\n  }"
_SHARED = "provenance"
_NEXT_FIELD = b',\n      "'
_HISTORY, _EMPTY, _HISTORY_END = b',\n  "workflow": {', b"}", b"\n  }"
_encode, _format = msgspec.json.Encoder().encode, msgspec.json.format
_known: set[int] = set()


def remember(data: bytes) -> None:
    """Remember that this text was laid out by the package."""
    if len(data) <= LONGEST:
        if len(_known) >= MOST:
            _known.clear()
        _known.add(hash(data))


def is_known(data: bytes) -> bool:
    """Whether this text was laid out by this process."""
    return len(data) <= LONGEST and hash(data) in _known


def _field(name: str, value: Any) -> bytes:
    """Return the text of a field of the record, without the quote that it begins with."""
    text = json_text.laid_out(value, "\n      ").encode() if isinstance(value, dict | list) else _encode(value)
    return _encode(name)[1:] + b": " + text


class KnownText:
    """The text of a document, and its tables as they were read from it.

    Args:
        tables: before they are edited in place; values below a field or a transition are replaced, not edited.
    """

    __slots__ = ("_data", "_history", "_record", "_tables")

    def __init__(self, data: bytes, tables: Tables) -> None:
        self._data = data
        self._tables = dict(tables)
        self._record = dict(tables.get("session", {}).get("1", {}))
        self._history = dict(tables.get("workflow", {}))

    def changed(self, tables: Tables) -> bytes | None:
        """Return the text of the tables as they are now; None: all of it has to be laid out."""
        try:
            return self._put_together(tables)
        except (msgspec.MsgspecError, OverflowError, ValueError, TypeError, LookupError):
            return None

    def _put_together(self, tables: Tables) -> bytes | None:
        data, before = self._data, self._tables
        end = data.find(_END)
        if not data.startswith(_BEGIN) or end < 0 or list(tables) != list(before):
            return None
        if any(map(is_not, tables.values(), before.values())):
            return None
        (record,) = tables["session"].values()
        fields, rest = self._fields(data[len(_BEGIN) : end], record), self._rest(data[end:], tables.get("workflow", {}))
        if len(fields) < _FIELDS or rest is None:
            return None
        text = _BEGIN + _NEXT_FIELD.join(fields) + rest
        # Without blanks it is what C makes of the tables: nothing was missed, and nothing else changed. A part that was
        # known by its bytes, and is the same object still, needs no such proof.
        proof, holding = text, tables
        if type(fixed := record.get(_SHARED)) is json_text.Fixed and fixed is self._record.get(_SHARED):
            del fields[list(record).index(_SHARED)]
            proof = _BEGIN + _NEXT_FIELD.join(fields) + rest
            others = {name: value for name, value in record.items() if name != _SHARED}
            holding = {**tables, "session": {"1": others}}
        return text if _format(proof, indent=-1) == _encode(holding) else None

    def _fields(self, body: bytes, record: dict[str, Any]) -> list[bytes]:
        before, texts = self._record, body.split(_NEXT_FIELD)
        names = list(record)
        if names != list(before):
            known = {name: (text, before[name]) for name, text in zip(before, texts, strict=True)}
            return [
                known[name][0] if name in known and known[name][1] is value else _field(name, value)
                for name, value in record.items()
            ]
        for place in compress(range(len(names)), map(is_not, before.values(), record.values())):
            texts[place] = _field(names[place], record[names[place]])
        return texts

    def _rest(self, rest: bytes, history: dict[str, Any]) -> bytes | None:
        """Return what stands behind the record: transitions are added, no other table is changed."""
        before = self._history
        if len(history) == len(before):
            return rest
        added = {number: move for number, move in history.items() if number not in before}
        begin = rest.find(_HISTORY) + len(_HISTORY)
        if begin < len(_HISTORY):
            return None
        if not before and rest.startswith(_EMPTY, begin):
            return rest[: begin - 1] + json_text.laid_out(added, "\n  ").encode() + rest[begin + 1 :]
        end = rest.find(_HISTORY_END, begin)
        if end < 0 or not rest.startswith(b"\n", begin):  # on one line, or another table's end
            return None
        lines = [
            b",\n    " + _encode(number) + b": " + json_text.laid_out(move, "\n    ").encode()
            for number, move in added.items()
        ]
        return rest[:end] + b"".join(lines) + rest[end:]
