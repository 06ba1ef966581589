"""The words of all rows, as a search for a word sees them: one text of all sessions, searched without a row decoded.

Id, name, tags and metadata (keys and values) of each row, in folded case, stand one behind the other; a search is one
``bytes.find`` through them (some GB/s). The meaning is that of :class:`sessionstore.query.Search`: the text is in one
of these values, never across two.
Not here: rows that were written since (index.journal.pages), single fields (index.journal.field_column).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

import msgspec

from sessionstore.index.journal.block import NOT_WHOLE
from sessionstore.index.journal.column_file import ColumnFile, Damaged

KIND = "words"
_VALUE_ENDS, _ROW_ENDS = "\0", "\1"
_ROWS_AT_ONCE = 8192
_FEW = 7  # as a share of these: with more hits rows are gone through, not hits


#: What of a line is decoded: the values that :class:`sessionstore.query.Search` looks into.
_Doc: Any = msgspec.defstruct(
    "_Doc",
    [("session_id", str), ("session_name", str | None, None), ("tags", list[Any], []), ("metadata", Any, None)],
    gc=False,
)
_Line: Any = msgspec.defstruct("_Line", [("doc", _Doc)], gc=False)
_decode_lines = msgspec.json.Decoder(_Line).decode_lines


class TextColumn:
    """The texts; ``count`` rows."""

    def __init__(self, file: ColumnFile, count: int) -> None:
        self._file, self.count = file, count
        self.base = file.meta.get("base")
        if file.meta.get("kind") != KIND:
            raise Damaged("it is not the column of words")
        file.check_lengths({"starts": 8 * (count + 1)})

    def mask(self, text: str) -> bytearray | None:
        """Return which rows hold a text, in any case; None: it cannot be searched here. Raises: Damaged."""
        folded = text.casefold()
        if _VALUE_ENDS in folded or _ROW_ENDS in folded:
            return None
        if not folded:  # the id holds it
            return bytearray(b"\1") * self.count
        wanted, data = folded.encode("utf-8", "surrogatepass"), self._file.whole("words")
        starts = memoryview(self._file.whole("starts")).cast("Q")
        if starts[self.count] != len(data):
            raise Damaged("the words end elsewhere")
        mask, dense = bytearray(self.count), False
        for begin in range(0, self.count, _ROWS_AT_ONCE):
            end = min(begin + _ROWS_AT_ONCE, self.count)
            row = begin if dense else _mark_hits(mask, data, wanted, starts, begin, end)
            dense = row < end
            if dense:  # going through the rows is quicker than finding each hit
                rows = data[starts[row] : starts[end]].split(_ROW_ENDS.encode())
                mask[row:end] = bytes([wanted in each for each in rows[: end - row]])
                dense = mask.count(1, begin, end) > (end - begin) // _FEW
        return mask


def _mark_hits(mask: bytearray, data: bytes, wanted: bytes, starts: Any, row: int, end: int) -> int:
    """Mark the rows that hold a text, up to a row, or up to the one where there are many; return where it ended."""
    left = (end - row) // _FEW
    while left >= 0 and row < end:
        at = data.find(wanted, starts[row], starts[end])
        if at < 0:
            return end
        row = bisect_right(starts, at, row) - 1
        mask[row] = 1
        row, left = row + 1, left - 1
    return row


def words_of(data: bytes) -> list[bytes]:
    """Return the text of each line of a journal. Raises: Damaged."""
    try:
        return [_text(entry.doc) for entry in _decode_lines(data)]
    except NOT_WHOLE as error:
        raise Damaged(str(error)) from error


def _text(doc: Any) -> bytes:
    found: list[str] = [doc.session_id]
    _add(doc.session_name, found)
    _add(doc.tags, found)
    _add(doc.metadata, found)
    joined = _VALUE_ENDS.join(found).casefold().replace(_ROW_ENDS, _VALUE_ENDS)
    return joined.encode("utf-8", "surrogatepass")


def _add(value: Any, found: list[str]) -> None:
    """Add each text that a search looks into: keys too, and numbers as Python writes them."""
    if isinstance(value, str):
        found.append(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            found.append(key)
            _add(item, found)
    elif isinstance(value, list):
        for item in value:
            _add(item, found)
    elif value is not None:
        found.append(str(value))


def build(base: str, texts: Iterable[bytes]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return meta and sections of the column of these texts, one a row."""
    starts, parts, at = array("Q", [0]), [], 0
    for text in texts:
        parts.append(text)
        at += len(text) + 1
        starts.append(at)
    data = b"".join([_ROW_ENDS.encode().join(parts), _ROW_ENDS.encode() if parts else b""])
    return {"base": base, "kind": KIND}, {"words": data, "starts": starts.tobytes()}
