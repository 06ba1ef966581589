"""E5: filters, pages and counts on the SQLite index, beside the same questions in raw sqlite3, in turns.

The raw side is a table made by hand for these questions: a column for each field and key that is asked for, the indexes
that suit them, and tags in a table of their own. Both fetch the rows and return the names of the sessions, oldest first
(a page: newest first, with the number of all that fit).
Not here: the other engines (engines), the rows (rows).
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from sessionstore.bench.figures import Figure, Target, duration
from sessionstore.bench.rows import KEYS, a_row, fill
from sessionstore.bench.workloads import Bench
from sessionstore.index import Paged, PageOrder, SessionIndex, open_index
from sessionstore.model.row import FILTER_ALIASES, FILTER_FIELDS
from sessionstore.query import parse

_RAW, _OURS = "raw sqlite3", "sqlite"
_TARGET = Target("ratio", "<=", 1.3)
_TURNS, _EACH = 15, 4
_COLUMNS = (
    "session_id", "session_name", "status", "workflow_state", "created_at", "updated_at", "duration_sim_s",
    "num_drones", "points", "distance_m", "tags", "metadata", "batch",
)  # fmt: skip
_MADE = f"""
CREATE TABLE s (id INTEGER PRIMARY KEY, {", ".join(_COLUMNS)});
CREATE TABLE tags (tag, id, PRIMARY KEY (tag, id)) WITHOUT ROWID;
"""
_INDEXED = """
CREATE INDEX s_created ON s (created_at, session_id);
CREATE INDEX s_status ON s (status, created_at, session_id);
CREATE INDEX s_batch ON s (batch, created_at, session_id);
ANALYZE;
"""
_FETCHED = ", ".join(_COLUMNS[:-1])
_OLDEST, _NEWEST = "ORDER BY created_at, session_id", "ORDER BY created_at DESC, session_id DESC"


class Question(NamedTuple):
    """A filter, the same one as SQL, and the size of the page that is asked for (None: all rows)."""

    filter: str
    sql: str
    limit: int | None = None


QUESTIONS = {
    "status=failed": Question("status=failed", "status = 'failed'"),
    "metadata.batch=17": Question("metadata.batch=17", "batch = 17"),
    "status=failed metadata.batch=17": Question("status=failed metadata.batch=17", "status = 'failed' AND batch = 17"),
    "tags=rare": Question("tags=rare", "id IN (SELECT id FROM tags WHERE tag = 'rare')"),
    "newest 50": Question("", "1", 50),
    "newest 50 of status=failed": Question("status=failed", "status = 'failed'", 50),
    "newest 50 of metadata.batch=17": Question("metadata.batch=17", "batch = 17", 50),
    "count of status=failed": Question("status=failed", "status = 'failed'", 0),
}
Answer = tuple[list[str | None], int]


def filters(bench: Bench) -> None:
    """E5: each question, in turns with the raw driver."""
    folder, sessions = bench.folder("filters"), max(bench.plan.scale_sizes)
    index = open_index(f"sqlite:?keys={','.join(KEYS)}", folder)
    fill(index, sessions)
    with contextlib.closing(index), contextlib.closing(_raw(folder, sessions)) as raw:
        for case, question in QUESTIONS.items():
            sides = {_RAW: _asked_raw(raw, question), _OURS: _asked(index, question)}
            answers = [ask() for ask in sides.values()]  # the first time makes our index
            if answers[0] != answers[1]:
                raise RuntimeError(f"{case}: the answers differ")
            found: dict[str, list[float]] = {name: [] for name in sides}
            for turn in range(_TURNS * bench.plan.rounds):
                for name in (list(sides), list(sides)[::-1])[turn % 2]:
                    found[name].append(min(duration(sides[name]) for _ in range(_EACH)))
            bench.figures.add(Figure("E5", case, _RAW, "s", found[_RAW], sessions))
            bench.figures.add(Figure("E5", case, _OURS, "s", found[_OURS], sessions, _RAW, _TARGET))


def _asked(index: SessionIndex, question: Question) -> Callable[[], Answer]:
    tree = parse(question.filter, FILTER_FIELDS, FILTER_ALIASES) if question.filter else None
    order = PageOrder(("created_at",), True, 0, question.limit)

    def page() -> Answer:
        view = index.page_view() if isinstance(index, Paged) else None
        found = None if view is None else view.page(tree, order, {})
        if found is None:
            raise RuntimeError("the SQLite index gave no page")
        return [row.session_name for row in found.rows], found.total

    def all_rows() -> Answer:
        rows = index.find(tree)
        return [row.session_name for row in rows], len(rows)

    return all_rows if question.limit is None else page


def _asked_raw(connection: sqlite3.Connection, question: Question) -> Callable[[], Answer]:
    text = f"SELECT {_FETCHED} FROM s WHERE {question.sql} "

    def page() -> Answer:
        (total,) = connection.execute(f"SELECT count(*) FROM s WHERE {question.sql}").fetchone()
        rows = connection.execute(f"{text} {_NEWEST} LIMIT ?", [question.limit]).fetchall()
        return [row[1] for row in rows], total

    def all_rows() -> Answer:
        rows = connection.execute(f"{text} {_OLDEST}").fetchall()
        return [row[1] for row in rows], len(rows)

    return all_rows if question.limit is None else page


def _raw(folder: Path, sessions: int) -> sqlite3.Connection:
    """Make the table by hand, filled with the rows that the index holds."""
    connection = sqlite3.connect(folder / "raw.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(_MADE)
    connection.execute("BEGIN")
    for number in range(sessions):
        row = a_row(number)
        metadata: dict[str, Any] = row.metadata
        values = [row[name] for name in _COLUMNS[:-3]]
        values += [msgspec.json.encode(row.tags).decode(), bytes(row.raw_metadata).decode(), metadata["batch"]]
        connection.execute(f"INSERT INTO s VALUES (?{', ?' * len(_COLUMNS)})", [number, *values])
        connection.executemany("INSERT INTO tags VALUES (?, ?)", [(tag, number) for tag in row.tags])
    connection.execute("COMMIT")
    connection.executescript(_INDEXED)
    return connection
