"""JSON Lines: an object a line; nested objects and short lists become columns (``pose.position.x``, ``position.0``).

Also a stream of a session (``motion_history.jsonl``), whose lines have their sim_time under ``t``.
Read line by line in constant memory.
Not here: what the columns are (plan).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sessionstore.formats.protocol import ImportReport, Options
from sessionstore.formats.tables import mapping
from sessionstore.formats.tables.delimited import MAX_LINE
from sessionstore.formats.tables.flight import flattened
from sessionstore.formats.tables.plan import Row
from sessionstore.formats.tables.reading import read_rows

if TYPE_CHECKING:
    from sessionstore.formats.draft import SessionDraft

#: The number and checksum of a line of a stream; they are not data.
_OF_A_STREAM = ("n", "c", "<")


class JsonLinesFormat:
    """Tables with a JSON object a line; option ``map`` (see sessionstore.formats.tables.mapping)."""

    name = "jsonl"
    about = "trajectories and other tables: a JSON object a line; --map names columns"
    extensions = (".jsonl", ".ndjson")
    requires: tuple[str, ...] = ()

    def sniff(self, head: bytes, path: Path) -> float:
        """Return 0.8 when the first line is a JSON object."""
        if path.is_dir():
            return 0.0
        first, newline, _ = head.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")
        if not first.startswith(b"{"):
            return 0.0
        try:
            whole = isinstance(json.loads(first), dict)
        except (ValueError, RecursionError):
            whole = False
        named = path.suffix.lower() in self.extensions
        if whole:
            return 0.8 if named or newline else 0.3
        return 0.5 if named else 0.0

    def read(self, path: Path, into: SessionDraft, options: Options) -> ImportReport:
        """Read a file. Raises: InvalidRecord: it holds no table, or its columns are not known; Corrupt."""
        report = ImportReport(str(path), self.name)
        given = mapping.parse(options.get("map"))
        rows = _Rows(path, report)
        read_rows(path, into, report, given, rows.read(), _columns, rows.where)
        if rows.others:
            report.notes.append(f"{rows.others} lines are not objects, or are marks of a stream, and are left out")
        if rows.ends_open and not any(problem.startswith("partial") for problem in report.problems):
            report.notes.append(f"it ends at byte {path.stat().st_size} without a line end: more may have been cut off")
        return report


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


class _Rows:
    def __init__(self, path: Path, report: ImportReport) -> None:
        self._path, self._report = path, report
        self._line = self._offset = 0
        self.others = 0
        self.ends_open = False

    def where(self) -> str:
        return f"line {self._line}, byte {self._offset}"

    def read(self) -> Iterator[tuple[int, Row]]:
        with self._path.open("rb") as file:
            for raw in iter(lambda: file.readline(MAX_LINE + 1), b""):
                self._line += 1
                self.ends_open = not raw.endswith(b"\n")
                if len(raw) > MAX_LINE:
                    raise ValueError(f"a line of more than {MAX_LINE} bytes")
                value = self._value(raw, file)
                if isinstance(value, dict) and value:
                    yield self._line, dict(flattened(_without_line_fields(value)))
                elif raw.strip():
                    self.others += 1
                    self._report.count("(other lines)", records_out=0, stream="")
                self._offset += len(raw)

    def _value(self, raw: bytes, file: object) -> object:
        text = raw.removeprefix(b"\xef\xbb\xbf").strip()
        if not text:
            return None
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            if self._line == 1 or not raw.endswith(b"\n"):
                raise
        self._report.count("(damaged lines)", records_out=0, stream="")
        if len(self._report.problems) < 20:
            self._report.problems.append(f"line {self._line}, byte {self._offset}: not JSON, left out")
        return None


def _without_line_fields(value: dict[str, object]) -> dict[str, object]:
    """Return a record of a stream without number and checksum; other objects as they are."""
    if not ("n" in value and "t" in value and "c" in value):
        return value
    inner = value.get("=")
    if isinstance(inner, dict):
        return {"t": value["t"], **inner}
    return {key: each for key, each in value.items() if key not in _OF_A_STREAM}
