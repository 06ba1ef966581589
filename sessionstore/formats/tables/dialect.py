"""How a text file of rows is written: encoding, delimiter, decimal mark, comments, header; found in its first bytes.

Not here: reading all rows (delimited).
"""

from __future__ import annotations

import codecs
import csv
import re
from dataclasses import dataclass, field

from sessionstore.formats.tables import cells
from sessionstore.formats.tables.mapping import Mapping

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_DELIMITERS = ",;\t|"
_SPACES = re.compile(r"[ \t]+")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
_DECIMAL_POINT = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?")
COMMENT = "#"


@dataclass(slots=True)
class Dialect:
    """How a file is written; ``delimiter`` " " is any number of spaces."""

    encoding: str = "utf-8"
    delimiter: str = ","
    decimal: str = "."
    header: list[str] = field(default_factory=list)
    header_line: int = 0  # the line of the header, counted from 1; 0: there is none
    notes: list[str] = field(default_factory=list)
    has_numbers: bool = False  # in a row below the header with as many cells

    def cells_of(self, line: str) -> list[str]:
        """Return the cells of one line without line ends in quotes."""
        if self.delimiter == " ":
            return _SPACES.split(line.strip())
        return next(csv.reader([line], delimiter=self.delimiter, skipinitialspace=True), [])


def encoding_of(head: bytes) -> tuple[str, str | None]:
    """Return the encoding of a text from its first bytes, and a note where it is guessed."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name, None
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(head)
    except UnicodeDecodeError:
        return "cp1252", "encoding: not UTF-8; cp1252 is taken (encoding=...: another)"
    return "utf-8", None


def find(head: bytes, given: Mapping) -> Dialect:
    """Return how a file is written.

    Args:
        head: its first bytes, with whole lines where it has any.

    Raises: LookupError: no such encoding. UnicodeDecodeError: not in the encoding that was given.
    """
    encoding, note = encoding_of(head) if given.encoding is None else (given.encoding, None)
    found = Dialect(encoding, notes=[note] if note else [])
    lines = codecs.getincrementaldecoder(encoding)("replace").decode(head).splitlines()
    if len(lines) > 1 and not head.endswith((b"\n", b"\r")):
        lines.pop()
    if lines and lines[0].lower().startswith("sep=") and len(lines[0].strip()) == 5:  # written by Excel
        found.delimiter = lines[0].strip()[4]
        lines[0] = ""
    else:
        found.delimiter = _delimiter_of([line for line in lines if _is_content(line)])
    found.delimiter = given.delimiter or found.delimiter
    _find_header(found, lines)
    rows = [found.cells_of(line) for line in lines[found.header_line :][:20] if _is_content(line)]
    found.has_numbers = any(
        len(row) == len(found.header) and any(cells.number(cell, ",") is not None for cell in row) for row in rows
    )
    found.decimal = given.decimal or _decimal_of(found, lines)
    return found


def _is_content(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith(COMMENT)


def _delimiter_of(lines: list[str]) -> str:
    """Return what splits the first lines into the same number of cells, at least two."""
    some = lines[:50]
    best = (0.0, ",")
    for delimiter in _DELIMITERS:
        counts = [len(row) for row in csv.reader(some, delimiter=delimiter)]
        usual = max(set(counts), key=counts.count, default=0)
        agreement = counts.count(usual) / len(counts) if counts else 0.0
        if usual > 1 and (score := agreement + usual / 1000) > best[0]:
            best = (score, delimiter)
    if best[0] < 0.5 and some:
        counts = [len(_SPACES.split(line.strip())) for line in some]
        if min(counts) > 1 and counts.count(counts[-1]) > len(counts) / 2:
            return " "
    return best[1]


def _find_header(found: Dialect, lines: list[str]) -> None:
    """Set the header: the first line whose cells are names, also in a comment above rows of as many cells."""
    comment: tuple[int, list[str]] | None = None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if line.lstrip().startswith(COMMENT):
            comment = (number, found.cells_of(line.lstrip().lstrip("# ")))
            continue
        row = found.cells_of(line)
        if any(cells.number(cell, ",") is not None or cells.instant(cell) is not None for cell in row):
            if comment is not None and len(comment[1]) == len(row) > 1:
                found.header_line, found.header = comment[0], _names(comment[1])
            else:
                found.header = [f"column {each}" for each in range(1, len(row) + 1)]
                found.notes.append("header: none; columns are named by number (--map t=1,x=2,y=3,z=4)")
            return
        if len(row) > 1 or number == len(lines) or len(lines) < 3:
            found.header_line, found.header = number, _names(row)
            return
        found.notes.append(f"line {number} stands above the header and is left out: {line.strip()[:80]!r}")


def _names(row: list[str]) -> list[str]:
    """Return names of columns, each once: an empty one by its number, a second one with _2."""
    names: list[str] = []
    taken: set[str] = set()
    for number, cell in enumerate(row, 1):
        name = label = cell.strip().strip("\ufeff\"'") or f"column {number}"
        count = 1
        while name in taken:
            count += 1
            name = f"{label}_{count}"
        taken.add(name)
        names.append(name)
    return names


def _decimal_of(found: Dialect, lines: list[str]) -> str:
    if found.delimiter == ",":
        return "."
    row = [cell.strip() for line in lines[found.header_line :][:50] for cell in found.cells_of(line)]
    commas = sum(1 for cell in row if _DECIMAL_COMMA.fullmatch(cell))
    points = sum(1 for cell in row if _DECIMAL_POINT.fullmatch(cell))
    if commas > points:
        found.notes.append("decimal mark: a comma, guessed (decimal=point: not)")
        return ","
    return "."
