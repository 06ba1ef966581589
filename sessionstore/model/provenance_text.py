"""Where the provenance of a record stands in the text of its file, and that text cut out when it is known.

The sessions that one process made have one provenance, two thirds of their bytes: it need not be parsed with each.
Not here: what is in it (provenance), who replaces the part that was cut out (row_from_bytes, session.shared_parts).
"""

from __future__ import annotations

#: How many are known at most, and how long one may be, in bytes.
MOST, LONGEST = 16, 1 << 16
INDENT = "\n      "
_FIELD = INDENT.encode() + b'"provenance": '
_BEGIN, _END = _FIELD + b"{\n", INDENT.encode() + b"}"
#: Stands for the part that was cut out; a document that holds it itself is parsed in full.
IN_ITS_PLACE = 8_112_963_841_460_667
DIGITS = b"%d" % IN_ITS_PLACE


def place_of(data: bytes) -> tuple[int, int] | None:
    """Return where the text of the field begins and ends; no text in a document holds a line's end."""
    begin = data.find(_BEGIN)
    if begin < 0:
        return None
    begin += len(_FIELD)
    end = data.find(_END, begin) + len(_END)
    return (begin, end) if begin < end <= begin + LONGEST else None


class KnownTexts:
    """Texts that were proven right as a part of a whole document; the one that was met last stands first."""

    def __init__(self) -> None:
        self._texts: list[bytes] = []

    def around(self, data: bytes, stand_in: bytes) -> bytes | None:
        """Return a document with ``stand_in``, which holds :data:`DIGITS`, for the text; None where none is known."""
        if not self._texts or (begin := data.find(_BEGIN)) < 0:
            return None
        begin += len(_FIELD)
        for text in self._texts:
            if data.startswith(text, begin):
                if text is not self._texts[0]:
                    self._texts = [text, *(each for each in self._texts if each is not text)]
                found = b"".join((data[:begin], stand_in, data[begin + len(text) :]))
                return found if found.count(DIGITS) == 1 else None
        return None

    def learn(self, data: bytes) -> None:
        """Remember the text of a document that is right as a whole."""
        if (place := place_of(data)) is not None:
            self._texts = [data[place[0] : place[1]], *self._texts[: MOST - 1]]
