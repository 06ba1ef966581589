"""Parquet files, read in batches (pyarrow); structures and short lists become columns, as with JSON Lines.

Not here: what the columns are (plan), writing (analysis).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionstore.errors import InvalidRecord
from sessionstore.formats.protocol import ImportReport, Options
from sessionstore.formats.tables import mapping
from sessionstore.formats.tables.flight import flattened
from sessionstore.formats.tables.plan import Row
from sessionstore.formats.tables.reading import read_rows

if TYPE_CHECKING:
    from sessionstore.formats.draft import SessionDraft

_BATCH_ROWS = 4096


class ParquetFormat:
    """Tables in Parquet; option ``map`` (see sessionstore.formats.tables.mapping)."""

    name = "parquet"
    about = "trajectories and other tables in Parquet; --map names columns"
    extensions = (".parquet", ".pq")
    requires = ("pyarrow",)

    def sniff(self, head: bytes, path: Path) -> float:
        """Return 0.9 for the magic bytes."""
        return 0.9 if head.startswith(b"PAR1") else 0.0

    def read(self, path: Path, into: SessionDraft, options: Options) -> ImportReport:
        """Read a file. Raises: InvalidRecord: its columns are not known; Corrupt: damaged (its end holds its plan)."""
        report = ImportReport(str(path), self.name)
        given = mapping.parse(options.get("map"))
        rows = _Rows(path)
        read_rows(path, into, report, given, rows.read(), _columns, rows.where)
        return report


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


class _Rows:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._row = 0

    def where(self) -> str:
        return f"row {self._row}"

    def read(self) -> Iterator[tuple[int, Row]]:
        import pyarrow.parquet as pq

        with pq.ParquetFile(self._path, memory_map=False) as file:
            names = [str(name) for name in file.schema_arrow.names]
            if len(set(names)) < len(names):
                raise InvalidRecord(f"{self._path.name} has two columns of one name")
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                columns = [_values(batch.column(number)) for number in range(batch.num_columns)]
                for row in zip(*columns, strict=True):
                    self._row += 1
                    yield self._row, dict(flattened(dict(zip(names, row, strict=True))))


def _values(column: Any) -> list[Any]:
    """Return Python values; instants with nanoseconds as whole nanoseconds since 1970, so that none is rounded."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        column = column.cast(pa.int64())
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
    found: list[Any] = column.to_pylist()
    return found
