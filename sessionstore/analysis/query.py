"""One SELECT over a store: its tables are made in a closed-off engine, then the statement runs.

Only a single SELECT (or EXPLAIN of one) is taken.
Not here: the engine and what it may do (analysis.engines), what the tables hold (analysis.sources, streams and tables),
which sessions are read (analysis.narrowing).
"""

from __future__ import annotations

import json
import math
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from sessionstore.analysis import engines, narrowing
from sessionstore.analysis.referenced import column_names
from sessionstore.analysis.sources import make_view, sources_of
from sessionstore.analysis.streams import LeftOut
from sessionstore.analysis.tables import DOCUMENT_TABLES, document_table, sessions_table
from sessionstore.analysis.verified_chunks import OutOfTime, deadline_s
from sessionstore.errors import InvalidQuery
from sessionstore.model.row import SessionRow
from sessionstore.session import stream_names
from sessionstore.store import SessionStore

MEMORY_MB = 1024
_EXPLAIN = re.compile(r"\s*explain\s+(?:analyze\s+)?", re.IGNORECASE)
_TEMPLATE = "SELECT session_id FROM sessions WHERE session_id = ''"


@dataclass(slots=True)
class Answer:
    """A relation that computes when it is asked, what was left out of its tables, and how many sessions were read."""

    relation: Any
    engine: Any
    left_out: LeftOut
    sessions_read: dict[str, int] = field(default_factory=dict)

    def first(self, max_rows: int, timeout_s: float | None = None) -> tuple[pa.Table, bool]:
        """Return the first rows, and whether there are more. Raises: as :meth:`table`."""
        with failures(), _time_limit(self.engine, timeout_s):
            found: pa.Table = self.relation.limit(max_rows + 1).to_arrow_table()
        return found.slice(0, max_rows), found.num_rows > max_rows

    def table(self, timeout_s: float | None = None, max_rows: int | None = None) -> pa.Table:
        """Return the rows. Raises: InvalidQuery: it fails, takes longer, needs more memory or has more rows."""
        with failures(), _time_limit(self.engine, timeout_s):
            relation = self.relation if max_rows is None else self.relation.limit(max_rows + 1)
            found: pa.Table = relation.to_arrow_table()
        if max_rows is not None and found.num_rows > max_rows:
            raise InvalidQuery(f"the answer has more than {max_rows} rows; add a LIMIT")
        return found


def ask(store: SessionStore, sql: str, memory_mb: int = MEMORY_MB, timeout_s: float | None = None) -> Answer:
    """Return the answer to one SELECT.

    Args:
        memory_mb: for all queries of this store that run at the same time and have the same limit.
        timeout_s: for reading what it needs, in seconds; :meth:`Answer.table` and ``first`` have their own.

    Raises: InvalidQuery: it is not one, names what is not there, or takes longer.
    """
    with failures(), _reading_limit(timeout_s):
        try:
            return _answer(store, sql, memory_mb, every_column=False)
        except duckdb.BinderException:
            return _answer(store, sql, memory_mb, every_column=True)  # its message names the columns that there are


def _answer(store: SessionStore, sql: str, memory_mb: int, every_column: bool) -> Answer:
    answer = Answer(None, engines.connection(store, memory_mb), LeftOut())
    _make_tables(store, _parsed(answer.engine, sql), answer, every_column)
    answer.relation = answer.engine.sql(sql)
    return answer


def _parsed(engine: Any, sql: str) -> dict[str, Any]:
    statements = engine.extract_statements(sql)
    kinds = [statement.type.name for statement in statements]
    if kinds not in (["SELECT"], ["EXPLAIN"]):
        raise InvalidQuery(f"one SELECT is taken, not {', '.join(kinds) or 'an empty text'}")
    text = _EXPLAIN.sub("", sql, count=1) if kinds == ["EXPLAIN"] else sql
    tree: dict[str, Any] = json.loads(_serialised(engine, text))
    if tree.get("error"):
        raise InvalidQuery(f"one SELECT is taken: {tree.get('error_message')}")
    return tree


def _serialised(engine: Any, sql: str) -> str:
    return str(_fetched(engine, "SELECT json_serialize_sql($1)", [sql])[0][0])


def _fetched(engine: Any, sql: str, values: list[str] | None = None) -> list[tuple[Any, ...]]:
    """Run one statement to its end: the engine takes no other one before."""
    found: list[tuple[Any, ...]] = engine.execute(sql, values or []).fetchall()
    return found


def _make_tables(store: SessionStore, tree: dict[str, Any], answer: Answer, every_column: bool) -> None:
    """Register each table that the statement names, and no other."""
    engine, names = answer.engine, {name.lower(): name for name in sorted(narrowing.table_names(tree))}
    rows = [row for row in store.find(sort="created_at") if row.host is None]
    session_ids = [row.session_id for row in rows if row.problem is None or store.root.folder(row.session_id).is_dir()]
    columns = _make_sessions(engine, rows) if narrowing.SESSIONS in names or narrowing.has_condition(tree) else set()
    for lower, name in names.items():
        if lower == narrowing.SESSIONS:
            continue
        wanted = _narrowed(engine, tree, name, session_ids, columns)
        if lower in DOCUMENT_TABLES:
            engine.register(name, document_table(store, lower, wanted, answer.left_out))
        elif (stream := _stream_name(store, name, session_ids)) is not None:
            some = None if every_column else column_names(tree, name)
            make_view(engine, name, sources_of(store.root, stream, wanted, answer.left_out, some))
        else:
            continue  # the engine names what is not there, or the statement defines it (WITH)
        answer.sessions_read[lower] = len(wanted)


def _make_sessions(engine: Any, rows: list[SessionRow]) -> set[str]:
    """Register the table of all sessions, and return its columns in small letters."""
    sessions = sessions_table(rows)
    engine.register("_sessions", sessions)
    _fetched(engine, "CREATE TEMP VIEW sessions AS SELECT * REPLACE (metadata::JSON AS metadata) FROM _sessions")
    return set(map(str.lower, sessions.column_names))


def _stream_name(store: SessionStore, name: str, session_ids: list[str]) -> str | None:
    """Return the stream of this name in any case: one of ours, or one that a session has."""
    if name.lower() in stream_names.KINDS:
        return name.lower()
    if not stream_names.is_stream_name(name):
        return None
    for session_id in session_ids:
        for found in store.catalog.session(session_id).tapes():
            if found.lower() == name.lower():
                return found
    return None


def _narrowed(engine: Any, tree: dict[str, Any], name: str, session_ids: list[str], columns: set[str]) -> list[str]:
    found = narrowing.conditions(tree, name, columns) if columns else None
    if found is None:
        return session_ids
    template = _serialised(engine, _TEMPLATE)
    wanted: set[str] = set()
    for condition in found:
        query = narrowing.sessions_query(condition, template)
        try:
            ((text,),) = _fetched(engine, "SELECT json_deserialize_sql($1::JSON)", [query])
            wanted.update(row[0] for row in _fetched(engine, text))
        except duckdb.Error:
            return session_ids  # the statement itself will say what is wrong with its condition
    return [session_id for session_id in session_ids if session_id in wanted]


def tables_of(store: SessionStore) -> list[str]:
    """Return the names of all tables: of records, of the streams of this program, and of streams of newest sessions."""
    rows = [row for row in store.find(limit=20) if row.host is None]
    streams = {name for row in rows for name in store.catalog.session(row.session_id).tapes()}
    return [narrowing.SESSIONS, *DOCUMENT_TABLES, *sorted({*stream_names.KINDS, *streams})]


@contextmanager
def failures() -> Iterator[None]:
    """Translate what the engine refuses. Raises: InvalidQuery."""
    try:
        yield
    except duckdb.Error as error:
        raise InvalidQuery(str(error).strip().partition("\n\nLINE")[0]) from error


@contextmanager
def _reading_limit(timeout_s: float | None) -> Iterator[None]:
    token = deadline_s.set(math.inf if timeout_s is None else time.monotonic() + timeout_s)
    try:
        yield
    except OutOfTime as error:
        raise InvalidQuery(f"the query took longer than {timeout_s:g} s") from error
    finally:
        deadline_s.reset(token)


@contextmanager
def _time_limit(engine: Any, timeout_s: float | None) -> Iterator[None]:
    if timeout_s is None:
        yield
        return
    timer = threading.Timer(timeout_s, engine.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    except duckdb.InterruptException as error:
        raise InvalidQuery(f"the query took longer than {timeout_s:g} s") from error
    finally:
        timer.cancel()
