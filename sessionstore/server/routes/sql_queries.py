"""SQL over HTTP: one SELECT, read-only, within limits of time, memory and rows; and the tables for completion.

Who may call is decided as for every route (loopback, or a token). Two queries run at once, others wait for them.
Not here: what a statement can do (analysis.query), the page (web).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from marshmallow import Schema, fields, validate

from sessionstore.server.http.csv_text import CSV
from sessionstore.server.http.operations import Call, Operation
from sessionstore.server.http.problems import ApiProblem
from sessionstore.server.http.reply import JSON, Reply, json_reply
from sessionstore.server.routes import api_schemas

MEMORY_MB = 1024
MAX_ROWS, MAX_SHOWN = 1_000_000, 10_000
_AT_ONCE = threading.BoundedSemaphore(2)
TYPES = {
    "json": JSON,
    "csv": CSV,
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}


class SqlBody(api_schemas.Strict):
    """One SELECT."""

    query = api_schemas.text(20_000, required=True)
    format = fields.String(load_default="json", validate=validate.OneOf(tuple(TYPES)))
    limit = fields.Integer(
        load_default=1000, validate=validate.Range(min=1, max=MAX_ROWS), strict=True,
        metadata={"description": f"Maximum rows; of json at most {MAX_SHOWN}."},
    )  # fmt: skip
    timeout = fields.Float(
        load_default=10.0, validate=validate.Range(min=0, max=60, min_inclusive=False),
        metadata={"description": "Seconds."},
    )  # fmt: skip


class SqlReply(Schema):
    """The rows of an answer."""

    columns = fields.List(fields.Dict(), required=True, metadata={"description": "name and type of each."})
    rows = fields.List(fields.List(fields.Raw(allow_none=True)), required=True)
    more = fields.Boolean(required=True, metadata={"description": "Whether the limit cut rows off."})
    left_out = fields.List(fields.String(), required=True, metadata={"description": "Lines that are not trusted."})
    seconds = fields.Float(required=True)


class TablesReply(Schema):
    """The tables that a query can name."""

    tables = fields.List(fields.Dict(), required=True, metadata={"description": "name and columns of each."})


def run_query(call: Call) -> Reply:
    """Answer one SELECT over all sessions."""
    with _engine():
        from sessionstore.analysis.answer_formats import encoded, rows_of
        from sessionstore.analysis.query import ask
    body, began = call.body, time.monotonic()
    form, limit = body["format"], body["limit"] if body["format"] != "json" else min(body["limit"], MAX_SHOWN)
    with _turn(body["timeout"]):
        answer = ask(call.context.store, body["query"], MEMORY_MB, body["timeout"])
        left_s = max(0.01, body["timeout"] - (time.monotonic() - began))
        table, more = answer.first(limit, left_s)
    left_out = answer.left_out.sentences()
    if form != "json":
        headers = {"x-more-rows": str(more).lower(), "x-left-out": str(len(left_out))}
        return Reply(encoded(table, form), content_type=TYPES[form], headers=headers)
    return json_reply(
        {
            "columns": [{"name": field.name, "type": str(field.type)} for field in table.schema],
            "rows": rows_of(table),
            "more": more,
            "left_out": left_out,
            "seconds": round(time.monotonic() - began, 4),
        }
    )


def list_tables(call: Call) -> Reply:
    """Return the tables and their columns, as the newest sessions have them."""
    with _engine():
        from sessionstore.analysis.table_names import described_tables
    found = described_tables(call.context.store)
    return json_reply({"tables": [{"name": name, "columns": columns} for name, columns in found.items()]})


@contextmanager
def _engine() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        detail = f"{error.name} is missing on the server: pip install 'sessionstore[analysis]'"
        raise ApiProblem(503, "extra-missing", detail) from error


@contextmanager
def _turn(timeout_s: float) -> Iterator[None]:
    if not _AT_ONCE.acquire(timeout=timeout_s):
        raise ApiProblem(503, "busy", "other queries are running; try again")
    try:
        yield
    finally:
        _AT_ONCE.release()


def operations() -> list[Operation]:
    """Return the routes of this module."""
    common: dict[str, Any] = {"tag": "analysis"}
    return [
        Operation(
            "POST", "/api/sql", run_query, "Answer one SELECT over all sessions", body=SqlBody(), body_optional=False,
            reply=SqlReply(), problems=(400, 503), **common,
            description="Read-only: nothing of the store is changed, and no file is opened by the statement.",
        ),
        Operation(
            "GET", "/api/sql/tables", list_tables, "List the tables and columns of queries", reply=TablesReply(),
            problems=(503,), **common,
        ),
    ]  # fmt: skip
