"""Sessions as tables for other programs: Parquet and CSV files of streams, one file or a folder partitioned by session.

A folder has ``STREAM/session_id=ID/part-0.parquet`` (or ``.csv``) for each stream and session, and ``sessions`` beside
them: DuckDB, pandas, polars and Spark read it as one table a stream. One file holds one stream, by default the motion,
of one session or of several with the column ``session_id``. Lines that cannot be trusted are left out, with a warning.
Not here: reading such files (formats.tables), the columns themselves (analysis.streams).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionstore.disk import files
from sessionstore.errors import Conflict, InvalidQuery
from sessionstore.formats.protocol import Options
from sessionstore.formats.tables.delimited import CsvFormat
from sessionstore.formats.tables.parquet import ParquetFormat
from sessionstore.session import stream_names

if TYPE_CHECKING:
    from sessionstore.session import Session


class ParquetTables(ParquetFormat):
    """Parquet: read as a recording, written as tables."""

    def write(self, session: Session, path: Path, options: Options) -> Path:
        """Write one stream of a session to a file. Args: options: ``stream``, by default the motion."""
        return self.write_together([session], path, options)

    def write_together(self, sessions: Sequence[Session], path: Path, options: Options) -> Path:
        """Write one stream of several sessions to a file, with their ids. Raises: Conflict: it exists."""
        return _write_file(sessions, path, "parquet", options)

    def write_partitions(self, session: Session, folder: Path) -> Iterator[Path]:
        """Write all streams of a session below a folder, and yield the files. Raises: Conflict: one exists."""
        return _partitions(session, folder, "parquet")


class CsvTables(CsvFormat):
    """CSV: read as a recording, written as tables; nested values as JSON in a cell."""

    def write(self, session: Session, path: Path, options: Options) -> Path:
        """Write one stream of a session to a file. Args: options: ``stream``, by default the motion."""
        return self.write_together([session], path, options)

    def write_together(self, sessions: Sequence[Session], path: Path, options: Options) -> Path:
        """Write one stream of several sessions to a file, with their ids. Raises: Conflict: it exists."""
        return _write_file(sessions, path, "csv", options)

    def write_partitions(self, session: Session, folder: Path) -> Iterator[Path]:
        """Write all streams of a session below a folder, and yield the files. Raises: Conflict: one exists."""
        return _partitions(session, folder, "csv")


def _write_file(sessions: Sequence[Session], path: Path, form: str, options: Options) -> Path:
    encoded, frame, together = _tools()
    name = options.get("stream", stream_names.MOTION)
    tables = [frame(session, name, form="arrow") for session in sessions]
    _create(path, encoded(together(tables), form))
    return path


def _partitions(session: Session, folder: Path, form: str) -> Iterator[Path]:
    encoded, frame, _ = _tools()
    for name in session.tapes():
        table = frame(session, name, form="arrow").drop_columns(["session_id"])
        if table.num_rows:
            yield _place(folder / name, session, form, encoded(table, form))
    from sessionstore.analysis.tables import sessions_table

    table = sessions_table([session.row()]).drop_columns(["session_id"])
    yield _place(folder / "sessions", session, form, encoded(table, form))


def _place(folder: Path, session: Session, form: str, data: bytes) -> Path:
    path = folder / f"session_id={session.session_id}" / f"part-0.{form}"
    _create(path, data)
    return path


def _create(path: Path, data: bytes) -> None:
    files.make_dirs(path.parent)
    try:
        files.create(path, data)
    except FileExistsError as error:
        raise Conflict(f"{path} exists already and was not changed") from error


def _tools() -> tuple[Callable[..., bytes], Callable[..., Any], Callable[..., Any]]:
    try:
        from sessionstore.analysis.answer_formats import encoded
        from sessionstore.analysis.arrow_columns import together
        from sessionstore.analysis.frames import stream_frame
    except ModuleNotFoundError as error:
        raise InvalidQuery(f"{error.name} is missing: pip install 'sessionstore[analysis]'") from error
    return encoded, stream_frame, together
