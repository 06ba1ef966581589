"""The engine that is kept for a store: no query sees another's tables, and it goes with its store."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path

import pytest

pytest.importorskip("duckdb")

from sessionstore.analysis import engines
from sessionstore.analysis.query import ask
from sessionstore.errors import InvalidQuery
from sessionstore.store import SessionStore


def test_each_query_has_tables_of_its_own(store: SessionStore) -> None:
    store.create("One")
    before = ask(store, "select count(*) c from sessions")
    store.create("Two")
    assert ask(store, "select count(*) c from sessions").table().to_pylist() == [{"c": 2}]
    assert before.table().to_pylist() == [{"c": 1}]
    with pytest.raises(InvalidQuery, match="_sessions"):
        ask(store, "select * from _sessions").table()


@pytest.mark.parametrize(
    "sql",
    [
        "select * from enable_logging()",
        "select * from add_grammar_extension('x')",
        "select * from query('create table left_behind as select 1')",
        "select * from query('set threads = 90')",
    ],
)
def test_no_query_changes_the_engine_for_the_next(store: SessionStore, sql: str) -> None:
    with pytest.raises(InvalidQuery):
        ask(store, sql).table()
    settings = "select name, value from duckdb_settings() where name in ('threads', 'enable_logging', 'TimeZone')"
    other = SessionStore(store.root.path)
    assert ask(store, settings).table() == ask(other, settings).table()
    assert ask(store, "select * from duckdb_tables() where not internal").table().num_rows == 0


def test_an_engine_goes_with_its_store_and_answers_outlive_it(tmp_path: Path) -> None:
    store = SessionStore(tmp_path)
    store.create("One")
    relation = store.sql("select count(*) from sessions")
    assert len(engines._engines.get(store, {})) == 1
    kept = len(engines._engines)
    store.close()
    del store
    gc.collect()
    assert len(engines._engines) < kept
    assert relation.fetchall() == [(1,)]


def test_queries_in_threads_answer_each_their_own(store: SessionStore) -> None:
    store.create("One")
    found: dict[int, object] = {}

    def work(number: int) -> None:
        found[number] = ask(store, f"select count(*) + {number} v from sessions").table().to_pylist()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == {number: [{"v": 1 + number}] for number in range(8)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_has_an_engine_of_its_own(store: SessionStore) -> None:
    store.create("One")
    sql = "select count(*) c from sessions"
    ask(store, sql).table()
    child = os.fork()
    if child == 0:
        right = ask(store, sql).table().to_pylist() == [{"c": 1}]
        os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
