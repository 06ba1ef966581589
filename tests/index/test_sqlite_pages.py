"""Pages and filters of an SQLite file, with the indexes that they make, are what looking at every row gives."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sessionstore
from sessionstore.index import PageOrder, SessionIndex, open_index
from sessionstore.index.filtering import sort_order
from sessionstore.index.sql import sqlite_indexes, sqlite_rows
from sessionstore.index.sql.rows import encoded
from sessionstore.index.sql.sqlite import SqliteIndex
from sessionstore.index.sql.sqlite_rows import FIELDS
from sessionstore.model.row import FILTER_FIELDS, SessionRow, as_interrupted
from sessionstore.query import Between, Compare, Filter, matcher, parse
from sessionstore.store import SessionStore
from tests.rows import NUMBERS, TEXTS, a_row, filters, rows


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row is enough for indexes and pages."""
    monkeypatch.setattr(sqlite_indexes, "MIN_ROWS", 1)


def linear(
    given: list[SessionRow], tree: Filter | None, order: PageOrder, why: dict[str, str]
) -> tuple[list[bytes], int]:
    """Return a page found by looking at every row, and how many fit."""
    shown = [as_interrupted(row, why[row.session_id]) if row.session_id in why else row for row in given]
    fits = matcher(tree, SessionRow.get)
    found = sorted(filter(fits, shown), key=lambda row: (row.created_at, row.session_id))
    sort = sort_order(("-" if order.descending else "") + order.path[0])
    found = found if sort is None else sort(found)
    begin = order.begin
    if order.behind is not None:
        begin = [row.session_id for row in found].index(order.behind) + 1
    end = None if order.limit is None else begin + order.limit
    return [encoded(row) for row in found[begin:end]], len(found)


fields = st.sampled_from([*FIELDS, "session_id"])
on_fields = st.builds(
    Compare,
    st.tuples(fields),
    st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
    st.none() | st.sampled_from(NUMBERS) | st.sampled_from(TEXTS) | st.sampled_from(["failed", "SCAN", "running"]),
) | st.builds(Between, st.tuples(fields), st.sampled_from([0, 1, 5, 2**53]), st.sampled_from([5, 5.5, 2**62, 2**63]))
orders = st.builds(
    PageOrder, st.tuples(fields), st.booleans(), st.integers(0, 3), st.none() | st.integers(0, 4), st.none()
)


@contextlib.contextmanager
def two_handles(tmp_path: Path) -> Iterator[tuple[SessionIndex, SqliteIndex]]:
    """Open one file twice, as two processes do; it is made anew."""
    for path in tmp_path.glob("index.sqlite*"):
        path.unlink()
    one, two = open_index("sqlite:", tmp_path), open_index("sqlite:", tmp_path)
    assert isinstance(two, SqliteIndex)
    with contextlib.closing(one), contextlib.closing(two):
        yield one, two


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_pages_and_filters_are_those_of_a_look_at_every_row(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The rows change while indexes come; who reads is not who writes."""
    with two_handles(tmp_path_factory.getbasetemp()) as (writer, reader):
        kept: dict[str, SessionRow] = {}
        for _ in range(3):
            put = data.draw(st.lists(rows(), min_size=1, max_size=5))
            writer.put(put, exact=True)
            kept.update((row.session_id, row) for row in put)
            for _ in range(3):
                tree = data.draw(on_fields | filters)
                order = data.draw(orders)
                active = [row.session_id for row in kept.values() if row.owner is not None]
                why = dict.fromkeys(data.draw(st.sets(st.sampled_from(active), max_size=1)) if active else (), "gone")
                everything = PageOrder(("created_at",), False)
                assert [encoded(row) for row in reader.find(tree, why)] == linear(
                    [*kept.values()], tree, everything, why
                )[0]
                view = reader.page_view()
                assert view is not None
                assert view.names() == kept.keys()
                assert dict(view.states()) == {name: (row.size, row.mtime_ns) for name, row in kept.items()}
                found = view.page(tree, order, why)
                if found is None:  # only all rows tell how an interrupted run is ordered
                    assert why and order.path[0] == "status"
                    continue
                assert ([encoded(row) for row in found.rows], found.total) == linear([*kept.values()], tree, order, why)
                _check_behind(view.page(tree, order._replace(begin=0, limit=None), why), order, view, tree, why, kept)
            if gone := data.draw(st.sets(st.sampled_from(sorted(kept)), max_size=1)):
                writer.remove(gone)
                kept = {name: row for name, row in kept.items() if name not in gone}
                if not kept:
                    return


def _check_behind(whole, order, view, tree, why, kept) -> None:  # type: ignore[no-untyped-def]
    for row in whole.rows[:2]:
        behind = order._replace(behind=row.session_id)
        found = view.page(tree, behind, why)
        assert [encoded(each) for each in found.rows] == linear([*kept.values()], tree, behind, why)[0]


def test_the_names_of_a_page_have_another_key_after_each_session_that_comes_or_goes(tmp_path: Path) -> None:
    with two_handles(tmp_path) as (writer, reader):
        writer.put([a_row("a")])
        seen: list[str] = []
        for change in (
            lambda: writer.put([a_row("b")]),
            lambda: writer.remove(["b"]),
            lambda: writer.put([a_row("c")]),  # it gets the number that the other one had
            lambda: writer.replace_all([a_row("d"), a_row("e")]),
        ):
            change()
            view = reader.page_view()
            assert view is not None and view.names_key() not in seen
            seen.append(view.names_key())
        writer.put([a_row("d", rev=2, status="failed")])
        view = reader.page_view()
        assert view is not None and view.names_key() == seen[-1]


def test_rows_of_two_stores_have_no_pages(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'shared.db'}"
    one, two = open_index(url, tmp_path / "one"), open_index(url, tmp_path / "two")
    assert isinstance(one, SqliteIndex)
    with contextlib.closing(one), contextlib.closing(two):
        one.put([a_row("a")])
        assert one.page_view() is not None
        two.put([a_row("b")])
        assert one.page_view() is None


def test_a_page_reads_the_rows_that_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    with two_handles(tmp_path) as (writer, reader):
        writer.put(
            [a_row(f"s{n:03}", status="failed" if n % 2 else "created", metadata={"n": n % 3}) for n in range(99)]
        )
        view = reader.page_view()
        assert view is not None
        whole = sqlite_rows.decoded

        def counting(found: list[tuple[bytes, bytes]], place: str) -> list[SessionRow]:
            decoded.append(len(found))
            return whole(found, place)

        monkeypatch.setattr(sqlite_rows, "decoded", counting)
        for text in ("", "status=failed", "metadata.n=2", "status=failed metadata.n=2"):
            found = view.page(parse(text, FILTER_FIELDS), PageOrder(("created_at",), True, 0, 5), {})
            assert found is not None and len(found.rows) == 5 and decoded.pop() == 5 and not decoded
    assert msgspec.json.decode(found.rows[0].raw_metadata) == {"n": 2}


def edit_by_hand(store: SessionStore, name: str, **changes: object) -> None:
    path = store.get(name).folder / "session.json"
    document = json.loads(path.read_text())
    document["session"]["1"].update(changes)
    path.write_text(json.dumps(document, indent=2))


def test_a_page_of_a_store_is_true_to_hand_edits_copies_and_removals(tmp_path: Path) -> None:
    with sessionstore.open(tmp_path, "sqlite:") as store:

        def shown(where: str = "", limit: int = 50) -> list[str | None]:
            return [row.session_name for row in store.page(where, limit=limit).rows]

        for number in range(6):
            store.create(f"run {number}", metadata={"n": number})
        assert store.page(limit=2).compared_at is not None  # it came from pages
        edit_by_hand(store, "run 4", metadata={"n": 44})
        edit_by_hand(store, "run 1", metadata={"n": 77})
        assert [row.metadata["n"] for row in store.page(limit=2).rows] == [5, 44]
        assert shown("metadata.n=44") == ["run 4"] and shown("metadata.n=77") == []  # docs/promises.md says so
        store.compare()
        assert shown("metadata.n=77") == ["run 1"]
        copy = tmp_path / "202001010000-copied"
        shutil.copytree(store.get("run 2").folder, copy)
        assert store.page().total == 7
        shutil.rmtree(copy)
        shutil.rmtree(store.get("run 0").folder)
        store.delete("run 5")
        found = store.page()
        assert found.total == 5 and "run 5" not in [row.session_name for row in found.rows]
        assert store.page("status=missing").total == 1
        (store.get("run 3").folder / "session.json").write_text("{")
        assert {row.status for row in store.page().rows} == {"created", "missing", "unreadable"}
        assert store.page("status=unreadable").total == 1
        assert store.notice is None


def test_an_interrupted_run_reads_as_such_on_every_page(tmp_path: Path) -> None:
    with sessionstore.open(tmp_path, "sqlite:") as store:
        store.create("rests")
        child = subprocess.run(
            [sys.executable, "-c", RUN_AND_DIE, str(tmp_path)], capture_output=True, text=True, timeout=60
        )
        assert child.returncode == -9, child.stderr
        for where in ("", "status=interrupted", "name=dies", "status=running"):
            found = store.page(where)
            assert found.compared_at is not None
            expected = [
                row for row in store.find() if where in ("", f"status={row.status}", f"name={row.session_name}")
            ]
            assert [encoded(row) for row in found.rows] == [encoded(row) for row in expected], where
        assert store.page("status=interrupted").total == 1 and store.page("status=running").total == 0


RUN_AND_DIE = """
import os, sys, sessionstore
recorder = sessionstore.open(sys.argv[1], "sqlite:").record("dies").__enter__()
os.kill(os.getpid(), 9)
"""
