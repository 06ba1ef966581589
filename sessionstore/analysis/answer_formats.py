"""The rows of an answer as bytes: CSV, JSON lines, Parquet, an Arrow stream; and as plain values for JSON.

Not here: the answer (analysis.query), tables on a terminal (cli.sql).
"""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa

FORMS = ("csv", "json", "parquet", "arrow")
_WHOLE_IN_DOUBLE = 1 << 53


def encoded(table: pa.Table, form: str) -> bytes:
    """Return the rows in one of :data:`FORMS`; json is one object a line."""
    if form == "csv":
        return csv_of(table)
    if form == "json":
        return b"\n".join([*map(msgspec.json.encode, table.to_pylist()), b""])
    sink = io.BytesIO()
    if form == "parquet":
        from pyarrow import parquet

        parquet.write_table(table, sink, compression="zstd")
    else:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    return sink.getvalue()


def csv_of(table: pa.Table) -> bytes:
    """Return the rows as CSV (RFC 4180): nested values as JSON, null as nothing."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(table.column_names)
    columns = [map(cell, column.to_pylist()) for column in table.columns]
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue().encode("utf-8", "surrogatepass")


def cell(value: Any) -> str:
    """Return one value as text."""
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode().strip('"')


def rows_of(table: pa.Table) -> list[tuple[Any, ...]]:
    """Return the rows for JSON: a whole number that a double does not hold is text."""
    return list(zip(*([_plain(value) for value in column.to_pylist()] for column in table.columns), strict=True))


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        whole = value == value.to_integral_value()
        return _plain(int(value)) if whole else float(value) if Decimal(repr(float(value))) == value else str(value)
    if type(value) is int and abs(value) > _WHOLE_IN_DOUBLE:
        return str(value)
    return value
