"""CSV and its relatives: any usual delimiter, encoding and decimal mark, with or without a header.

Read row by row in constant memory. A line of more than 1 MiB ends the import, with the reason.
Not here: how the file is written (dialect), what the columns are (plan).
"""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionstore.errors import InvalidRecord
from sessionstore.formats.protocol import ImportReport, Options
from sessionstore.formats.tables import dialect, mapping
from sessionstore.formats.tables.dialect import COMMENT, Dialect
from sessionstore.formats.tables.flight import flattened
from sessionstore.formats.tables.plan import Row
from sessionstore.formats.tables.reading import read_rows

if TYPE_CHECKING:
    from sessionstore.formats.draft import SessionDraft

HEAD_BYTES = 1 << 16
MAX_LINE = 1 << 20
_EXTENSIONS = (".csv", ".tsv", ".tab", ".txt", ".dat")
#: First bytes of texts that are something else.
_OTHER = (b"{", b"[", b"<", b"%PDF", b"#!", b"#VRML")


class CsvFormat:
    """Tables with one row a line; option ``map`` (see sessionstore.formats.tables.mapping)."""

    name = "csv"
    about = "trajectories and other tables: CSV, TSV, columns of spaces; --map names columns"
    extensions = _EXTENSIONS
    requires: tuple[str, ...] = ()

    def sniff(self, head: bytes, path: Path) -> float:
        """Return at most 0.7: a text whose first lines have the same number of cells."""
        text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
        if path.is_dir() or not text or text.startswith(_OTHER):
            return 0.0
        if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
            return 0.0
        named = path.suffix.lower() in _EXTENSIONS[:3]
        try:
            found = dialect.find(head, mapping.Mapping())
        except (csv.Error, UnicodeError):
            return 0.0
        regular = len(found.header) > 1
        if named:
            return 0.7 if regular else 0.4
        return 0.4 if regular and found.has_numbers else 0.0

    def read(self, path: Path, into: SessionDraft, options: Options) -> ImportReport:
        """Read a file. Raises: InvalidRecord: it holds no table, or its columns are not known; Corrupt."""
        report = ImportReport(str(path), self.name)
        given = mapping.parse(options.get("map"))
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        try:
            found = dialect.find(head, given)
        except (LookupError, UnicodeError) as error:
            raise InvalidRecord(f"{path.name} cannot be read as {given.encoding}: {error}") from error
        given.decimal = found.decimal
        report.notes.extend(found.notes)
        rows = _Rows(path, found, report)
        read_rows(path, into, report, given, rows.read(), lambda sample: _columns(found.header, sample), rows.where)
        rows.end()
        return report


def _columns(header: list[str], sample: Sequence[Row]) -> list[str]:
    """Return the columns of the header, and those of lists and objects in cells."""
    inner = dict.fromkeys(name for row in sample for name in row)
    return [*(name for name in header if name in inner or not sample), *(name for name in inner if name not in header)]


class _Rows:
    def __init__(self, path: Path, found: Dialect, report: ImportReport) -> None:
        self._path, self._dialect, self._report = path, found, report
        self._line = 0
        self._repaired = 0
        self._last = "\n"
        self._comments = 0
        self._short = False
        self._nested: list[str] | None = None

    def where(self) -> str:
        return f"line {self._line}"

    def read(self) -> Iterator[tuple[int, Row]]:
        header = self._dialect.header
        errors = "surrogateescape" if self._dialect.encoding.startswith("utf-8") else "replace"
        with self._path.open(encoding=self._dialect.encoding, errors=errors, newline="") as file:
            lines = self._lines(file)
            for _ in range(self._dialect.header_line):
                next(lines, None)
            for row in self._split(lines):
                if not row or not any(row):
                    continue
                if row[0].startswith(COMMENT):
                    self._comments += 1
                elif [cell.strip() for cell in row] == header:
                    self._report.count("(repeated header)", records_out=0, stream="")
                else:
                    self._short = len(row) < len(header)
                    yield self._line, self._opened(self._named(header, row))

    def _named(self, header: list[str], row: list[str]) -> dict[str, Any]:
        if len(row) <= len(header):
            return dict(zip(header, row, strict=False))
        more = {f"column {n}": cell for n, cell in enumerate(row[len(header) :], len(header) + 1) if cell.strip()}
        return {**dict(zip(header, row, strict=False)), **more}

    def _opened(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row with its lists and objects as columns (``position.0``), where its first row has some."""
        if self._nested is None:
            self._nested = [name for name, cell in row.items() if cell[:1] in ("[", "{") and cell[-1:] in ("]", "}")]
        for name in self._nested:
            with contextlib.suppress(ValueError, RecursionError):
                row[name] = json.loads(row.get(name) or "null")
        return dict(flattened(row)) if self._nested else row

    def _split(self, lines: Iterator[str]) -> Iterator[list[str]]:
        if self._dialect.delimiter == " ":
            return (self._dialect.cells_of(line) for line in lines)
        return csv.reader(lines, delimiter=self._dialect.delimiter, skipinitialspace=True)

    def _lines(self, file: Any) -> Iterator[str]:
        for line in iter(lambda: file.readline(MAX_LINE + 1), ""):
            if len(line) > MAX_LINE:
                raise csv.Error(f"a line of more than {MAX_LINE} characters")
            self._line += 1
            self._last = line[-1]
            yield line if line.isascii() else self._repair(line)

    def _repair(self, line: str) -> str:
        """Return a line with bytes that are not UTF-8 taken as cp1252."""
        try:
            line.encode()
        except UnicodeEncodeError:
            self._repaired += 1
            return line.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
        return line

    def end(self) -> None:
        """Report what is odd about the file as a whole."""
        report = self._report
        if self._repaired:
            report.notes.append(f"encoding: {self._repaired} lines are not UTF-8 and were read as cp1252")
        if self._comments:
            report.notes.append(f"{self._comments} lines of comments are left out")
        if any(problem.startswith("partial") for problem in report.problems):
            return
        if self._last not in "\r\n":
            size = self._path.stat().st_size
            text = f"it ends at byte {size}, in line {self._line}, without a line end"
            if self._short:
                report.problems.append(f"partial: {text} and with less cells than columns")
            else:
                report.notes.append(f"{text}: its last row may be cut")


def first_lines(path: Path, count: int) -> list[bytes]:
    """Return the first lines of a file, each of at most 1 MiB."""
    with path.open("rb") as file:
        return [line for _ in itertools.repeat(None, count) if (line := file.readline(MAX_LINE))]
