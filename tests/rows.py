"""Rows and filters for tests of indexes, made by hand or drawn at the limits of databases and Python."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from sessionstore.model.row import Owner, SessionRow
from sessionstore.query import And, Between, Compare, Filter, Has, Match, Not, Or, Search

IDS = [f"20261123143{number}-{name}" for number, name in enumerate(("A", "b", "Ö", "b-2", "Z", "東京"))]
#: Aimed at the limits: where databases and Python round, fold, order or end text in different ways.
NUMBERS = [
    0, -0.0, 1, 1.0, 5, 5.5, -5, 0.1, 0.30000000000000004, 1e16, 10**16, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63),
    2**64, 2**70 + 1, float(2**70), 1e23, 99999999999999991611392, 10**40, 1e300, 5e-324, 1.7976931348623157e308,
    10**400,
]  # fmt: skip
TEXTS = [
    "", "5", "true", "null", "a", "A", "ä", "ß", "SS", "ſ", "K", "İ", "[", "[5]", "{", "\\", 'a"b', "a\0b", "\0",
    "%", "_", "é", "e\u0301", "東京", "\U0001f681", "\uffff", "\U00010000", "line\nbreak", "'", "1e3", "-",
    "x" * 250 + "a", "x" * 250 + "b",
]  # fmt: skip
KEYS = ["a", "b", "A", "a.b", "0", "ä", 'q"', "b\\s", "per%cent", "with blank", "%s", "'", "\0", "[0]"]
scalars = (
    st.none() | st.booleans() | st.sampled_from(NUMBERS) | st.sampled_from(TEXTS) | st.integers() | st.text(max_size=4)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)
metadata = st.dictionaries(st.sampled_from(KEYS), values, max_size=4)
counts = st.none() | st.sampled_from([0, 1, 5, 2**63, 10**30])
seconds = st.none() | st.sampled_from([0.0, 0.1, 5.0, 8.5, 180.0, 1e16, 1e300])


@st.composite
def rows(draw: st.DrawFn) -> SessionRow:
    status = draw(st.sampled_from(["created", "running", "paused", "completed", "failed"]))
    return SessionRow(
        session_id=draw(st.sampled_from(IDS)),
        uuid=draw(st.sampled_from(["", "u1", "u2", "u3", "u4"])),
        rev=draw(st.sampled_from([0, 1, 2, 2**63 - 1, 2**63, 10**20])),
        size=draw(st.integers(-1, 2**40)),
        mtime_ns=draw(st.integers(-1, 2**62)),
        status=status,
        workflow_state=draw(st.sampled_from(["initializing", "SCAN", "ä"])),
        created_at=draw(st.sampled_from(["", "2026-11-23T14:30:00.000000Z", "2026-11-23T14:30:00.000001Z"])),
        updated_at="2026-11-23T15:00:00.000000Z",
        session_name=draw(st.none() | st.sampled_from(TEXTS)),
        duration_sim_s=draw(seconds),
        end_reason=draw(st.none() | st.sampled_from(["completed", "drone lost", ""])),
        num_drones=draw(st.sampled_from([0, 1, 5])),
        drones=draw(st.dictionaries(st.sampled_from(["scout", "tanker-mule"]), st.integers(0, 3), max_size=2)),
        tags=draw(st.lists(st.sampled_from(["a", "A", "storm", "ä", "[", "5", 'q"t']), max_size=2)),
        points=draw(counts),
        owner=Owner(host="h", pid=1) if status in ("running", "paused") else None,
        raw_metadata=msgspec.Raw(msgspec.json.encode(draw(metadata))),
    )


paths = st.one_of(
    st.sampled_from(
        [("session_id",), ("uuid",), ("rev",), ("status",), ("session_name",), ("created_at",), ("duration_sim_s",),
         ("end_reason",), ("num_drones",), ("num_buildings",), ("tags",), ("points",), ("problem",),
         ("drones", "scout"), ("drones",), ("metadata",), ("status", "x"), ("host",), ("copies",), ("openable",),
         ("size",)]
    ),
    st.lists(st.sampled_from(KEYS), min_size=1, max_size=3).map(lambda keys: ("metadata", *keys)),
)  # fmt: skip
compares = st.one_of(
    st.builds(Compare, paths, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), scalars | st.sampled_from(IDS)),
    st.builds(Compare, paths, st.just("~"), st.sampled_from(TEXTS) | st.text(max_size=2)),
    st.builds(Compare, st.just(("status",)), st.just("="), st.sampled_from(["interrupted", "failed", "running"])),
)
INSTANTS = ["", "2026-11-23T14:30:00.000000Z", "2026-11-23T14:30:00.000001Z", "2026-11-30T23:59:59.999999Z"]
numbers = st.sampled_from(NUMBERS) | st.integers()
betweens = st.one_of(
    st.builds(Between, paths, numbers, numbers),
    st.builds(Between, paths, st.sampled_from(TEXTS + IDS), st.sampled_from(TEXTS + IDS)),
    st.builds(Between, st.just(("created_at",)), st.sampled_from(INSTANTS), st.sampled_from(INSTANTS)),
)
PATTERNS = ["", "a", "^a$", "[A-Z]", "^$", ".", "\\d+", "a|b", "ä", "e\u0301?", "x{250}"]
matches = st.builds(Match, paths, st.sampled_from(PATTERNS), st.booleans())
leaves = st.one_of(
    compares,
    betweens,
    matches,
    st.builds(Has, paths),
    st.builds(Search, st.sampled_from(TEXTS + KEYS) | st.text(max_size=2)),
)


filters: st.SearchStrategy[Filter | None] = st.none() | st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=5,
)


def a_row(session_id: str, **fields: Any) -> SessionRow:
    """Return a row with this id and these fields; metadata as a dict."""
    known = {
        "uuid": f"uuid-{session_id}", "rev": 1, "size": 1, "mtime_ns": 1, "status": "created", "workflow_state": "SCAN",
        "created_at": "2026-11-23T14:30:00.000000Z", "updated_at": "2026-11-23T14:30:00.000000Z",
    }  # fmt: skip
    raw = msgspec.Raw(msgspec.json.encode(fields.pop("metadata", {})))
    return SessionRow(session_id=session_id, raw_metadata=raw, **{**known, **fields})
