"""One random program on all engines at once: results, order and filters are the same (T15).

The program puts, removes, replaces and searches rows; the answer of each engine is compared with a plain model, a dict
searched by :func:`sessionstore.query.matcher` alone.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

import sessionstore
from sessionstore.index import SessionIndex, open_index
from sessionstore.index.sql.rows import encoded
from sessionstore.index.sql.sqlite_conditions import SqliteNarrowing, exact
from sessionstore.model.row import FILTER_ALIASES, FILTER_FIELDS, SessionRow, as_interrupted
from sessionstore.query import Filter, matcher, parse
from sessionstore.store import SessionStore
from tests.index.third_party import OneFileIndex
from tests.postgres_server import drop_schema, new_schema, with_settings
from tests.rows import IDS, a_row, filters, rows


class Model:
    """What an index is: rows by id, searched by the filter itself."""

    def __init__(self) -> None:
        self.rows: dict[str, SessionRow] = {}

    def put(self, given: list[SessionRow]) -> None:
        self.rows.update((row.session_id, row) for row in given)

    def find(self, tree: Filter | None, interrupted: dict[str, str]) -> list[SessionRow]:
        shown = [
            as_interrupted(row, interrupted[name]) if name in interrupted else row for name, row in self.rows.items()
        ]
        fits = matcher(tree, SessionRow.get)
        return sorted((row for row in shown if fits(row)), key=lambda row: (row.created_at, row.session_id))


def as_bytes(found: list[SessionRow]) -> list[bytes]:
    return [encoded(row) for row in found]


Engines = dict[str, SessionIndex]


def machine_of(  # noqa: C901 a machine is a list of rules
    open_engines: Callable[[str], Engines], forget: Callable[[str], None]
) -> type[RuleBasedStateMachine]:
    """Return a machine; each of its programs has engines of its own, told apart by a name."""

    class Machine(RuleBasedStateMachine):
        @initialize()
        def begin(self) -> None:
            self.name = new_schema()
            self.model = Model()
            self.engines = open_engines(self.name)

        @rule(given=st.lists(rows(), max_size=4))
        def put(self, given: list[SessionRow]) -> None:
            self.model.put(given)
            for engine in self.engines.values():
                engine.put(given, exact=True)

        @rule(given=rows(), step=st.integers(0, 3))
        def report(self, given: SessionRow, step: int) -> None:
            """A writer's report is of the revision that is there, or a later one."""
            known = self.model.rows.get(given.session_id)
            rev = max(known.rev, 0) + step if known is not None else given.rev
            given = msgspec.structs.replace(given, rev=rev)
            self.model.put([given])
            for engine in self.engines.values():
                engine.put([given])

        @rule(gone=st.lists(st.sampled_from(IDS), max_size=3))
        def remove(self, gone: list[str]) -> None:
            for name in gone:
                self.model.rows.pop(name, None)
            for engine in self.engines.values():
                engine.remove(gone)

        @rule(given=st.lists(rows(), max_size=6, unique_by=lambda row: row.session_id))
        def replace_all(self, given: list[SessionRow]) -> None:
            self.model.rows = {row.session_id: row for row in given}
            for engine in self.engines.values():
                engine.replace_all(given)

        @rule(tree=filters, interrupted=st.lists(st.sampled_from(IDS), max_size=2))
        def find(self, tree: Filter | None, interrupted: list[str]) -> None:
            why = dict.fromkeys(interrupted, "process 1 is gone")
            expected = self.model.find(tree, why)
            for name, engine in self.engines.items():
                found = engine.find(tree, why)
                assert [row.session_id for row in found] == [row.session_id for row in expected], (name, tree)
                assert as_bytes(found) == as_bytes(expected), name

        @rule()
        def look(self) -> None:
            stamps = {name: (row.size, row.mtime_ns) for name, row in self.model.rows.items()}
            active = sorted(name for name, row in self.model.rows.items() if row.owner is not None)
            for name, engine in self.engines.items():
                found = {name: (stamp.size, stamp.mtime_ns) for name, stamp in engine.stamps().items()}
                assert found == stamps, name
                assert sorted(row.session_id for row in engine.active()) == active, name

        @rule()
        def open_again(self) -> None:
            self.close()
            self.engines = open_engines(self.name)

        def close(self) -> None:
            for engine in self.engines.values():
                engine.close()

        def teardown(self) -> None:
            if hasattr(self, "engines"):
                self.close()
                forget(self.name)

    return Machine


KEYED = "metadata.a,metadata.b,metadata.with blank"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_one_program_has_the_same_answers_on_every_engine(tmp_path: Path, shared_postgres: str) -> None:
    programs: list[str] = []

    def open_engines(name: str) -> Engines:
        root = tmp_path / name
        if name not in programs:
            programs.append(name)
            root.mkdir()
        urls = ["journal:", f"sqlite:?keys={KEYED}", with_settings(shared_postgres, schema=name, keys=KEYED)]
        return {url.partition(":")[0]: open_engine(url, root) for url in [*urls, "onefile:"]}

    machine = machine_of(open_engines, lambda name: drop_schema(shared_postgres, name))
    run_state_machine_as_test(machine, settings=settings(max_examples=200, stateful_step_count=50, deadline=None))
    assert len(programs) >= 200


def open_engine(url: str, root: Path) -> SessionIndex:
    """Open an engine of our own, or the third party's, which only its tests install."""
    return OneFileIndex(url, root) if url.startswith("onefile:") else open_index(url, root)


@pytest.fixture(params=["journal", "sqlite", "postgresql", "onefile"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SessionIndex]:
    url = f"{request.param}:"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    opened = open_engine(url, tmp_path)
    yield opened
    opened.close()


def test_looking_at_an_engine_makes_nothing(engine: SessionIndex, tmp_path: Path) -> None:
    assert engine.find() == [] and dict(engine.stamps()) == {} and list(engine.active()) == []
    assert engine.version() == engine.version()
    assert list(tmp_path.iterdir()) == []


def test_an_index_that_was_emptied_is_empty_at_once(engine: SessionIndex) -> None:
    engine.put([a_row("a")])
    assert [row.session_id for row in engine.find()] == ["a"]
    engine.replace_all([])
    assert engine.find() == [] and dict(engine.stamps()) == {}


NOTATIONS = [
    "status in (created,failed)", "status not in (failed)", "num_drones between 2 and 7", "points between 5 and 1e30",
    "points not between 5 and 6", 'name between A and b', "created_at=2026-11", "created_at=2026-11-24",
    "created_at>2026-11-23", "created_at!=2026-11-23", "started_at is null", "started_at is not null",
    "started_at between 2026 and 2027", "metadata.a between 2 and 6", "metadata.a between ab and b",
    "metadata.a in (1, x, null)", "metadata.a is null", "metadata.a is not null", 'metadata."a.b"=1',
    'metadata."a.b" is null', "name~/^[A-Z]/", "name~/^b/i", "tags~/^n.*t$/", "tags in (night, 5)",
    "metadata.a~/5|x/", "not metadata.a~/x/", "windows between 0 and 3", "num_buildings between 0 and 3",
    "num_buildings not between 0 and 3", "status=failed or created_at<2026-11-24 night",
]  # fmt: skip


def test_every_notation_finds_the_same_rows_on_every_engine(engine: SessionIndex) -> None:
    values: list[Any] = [1, 5, "x", "aba", None, [1, 10], ["b", 4], {"b": 1}, 5.5, True]
    given = [
        a_row(
            f"s{number:02}", status=("created", "failed", "completed")[number % 3], num_drones=number,
            points=number * 3,
            session_name=(None, "Butterfly", "bee", "Zoo")[number % 4],
            tags=[["night"], ["5", "day"], []][number % 3],
            started_at=None if number % 2 else f"2026-11-{10 + number}T00:00:00.000000Z",
            num_buildings=(0, 2, 9)[number % 3], windows_cleaned=None if number % 2 else number,
            created_at=f"2026-1{int(number > 0)}-2{number % 6}T14:30:00.000000Z",
            metadata={} if number == 11 else {"a": values[number % 10], "a.b": number % 2},
        )
        for number in range(12)
    ]  # fmt: skip
    engine.put(given)
    for text in NOTATIONS:
        tree = parse(text, FILTER_FIELDS, FILTER_ALIASES)
        fits = matcher(tree, SessionRow.get)
        expected = sorted(row.session_id for row in given if fits(row))
        assert sorted(row.session_id for row in engine.find(tree)) == expected, text
        assert 0 < len(expected) < 12, f"{text} tests nothing"


def test_a_tag_that_stands_twice_is_found_and_replaced(engine: SessionIndex) -> None:
    for tags in (["5", "5"], ["5", "a", "a"], []):
        engine.put([a_row("a", tags=tags), a_row("b", tags=["a"])])
        assert [row.session_id for row in engine.find(parse('tags="5"', FILTER_FIELDS))] == (["a"] if tags else [])
    engine.remove(["b"])
    assert engine.find(parse("tags=a", FILTER_FIELDS)) == []


def test_the_version_differs_after_each_kind_of_change(engine: SessionIndex) -> None:
    seen = [engine.version()]
    for change in (
        lambda: engine.put([a_row("a")]),
        lambda: engine.put([a_row("a", rev=2)]),
        lambda: engine.put([a_row("c")]),  # the latest change, so that removing the other row shows by itself
        lambda: engine.remove(["a"]),
        lambda: engine.replace_all([a_row("b")]),
    ):
        change()
        assert engine.version() == engine.version() != seen[-1]
        seen.append(engine.version())


def test_what_a_late_writer_reports_does_not_hide_a_newer_revision(engine: SessionIndex) -> None:
    if engine.url.startswith("journal:"):
        pytest.skip("the journal takes the last line; the next listing puts it right")
    engine.put([a_row("a", rev=5)])
    engine.put([a_row("a", rev=4), a_row("b", rev=2), a_row("b", rev=1)])
    assert [(row.session_id, row.rev) for row in engine.find()] == [("a", 5), ("b", 2)]
    engine.put([a_row("a", rev=3)], exact=True)
    engine.put([a_row("b", rev=1, uuid="another session in this folder")])
    assert [(row.session_id, row.rev) for row in engine.find()] == [("a", 3), ("b", 1)]


def test_a_failed_replace_leaves_what_was_there(engine: SessionIndex) -> None:
    engine.put([a_row("a")])

    def breaks() -> Iterator[SessionRow]:
        yield a_row("b")
        raise RuntimeError("the reader of the folders broke")

    with pytest.raises(RuntimeError):
        engine.replace_all(breaks())
    assert [row.session_id for row in engine.find()] == ["a"]


def test_health_names_the_engine_and_counts(engine: SessionIndex) -> None:
    engine.put([a_row(f"s{number}") for number in range(1201)])  # more than one statement takes
    health = engine.health()
    assert health["rows"] == 1201 and health["engine"] in engine.url and health["url"] == engine.url
    assert len(engine.find()) == len(engine.stamps()) == 1201


def test_threads_share_an_engine(engine: SessionIndex) -> None:
    with ThreadPoolExecutor(12) as pool:  # more than there are connections
        done = [pool.submit(engine.put, [a_row(f"t{number}")]) for number in range(60)]
        seen = [pool.submit(engine.find) for _ in range(20)]
        for future in [*done, *seen]:
            future.result()
    assert len(engine.find()) == 60


def _put_some(url: str, root: Path, name: str) -> None:
    opened = open_engine(url, root)
    for number in range(20):
        opened.put([a_row(f"{name}-{number}"), a_row("all", rev=number + 1)])
    opened.close()


def test_processes_share_an_engine(engine: SessionIndex, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_put_some, args=(_reopening(engine), tmp_path, f"p{n}")) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len(engine.find()) == len(engine.stamps()) == 61


def _reopening(engine: SessionIndex) -> str:
    return "sqlite:" if engine.url.startswith("sqlite") else engine.url


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_connections_of_its_own(engine: SessionIndex) -> None:
    engine.put([a_row("before")])
    child = os.fork()
    if not child:
        try:
            engine.put([a_row("child")])
            os._exit(0 if len(engine.find()) >= 2 else 1)
        except BaseException:  # noqa: BLE001 nothing of pytest may run twice
            os._exit(2)
    engine.put([a_row("parent")])
    _, status = os.waitpid(child, 0)
    assert status == 0
    assert sorted(row.session_id for row in engine.find()) == ["before", "child", "parent"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_does_not_speak_through_its_parent_s_connection(tmp_path: Path, postgres_url: str) -> None:
    engine: Any = open_index(postgres_url, tmp_path)

    def backend() -> int:
        with engine._pool.connection() as connection:
            return int(connection.info.backend_pid)

    engine.put([a_row("before")])
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.write(write, str(backend()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(read, 20)) != backend()
    os.close(read)
    os.close(write)
    engine.close()


def test_a_filter_is_found_by_an_index_and_not_by_looking_at_every_row(tmp_path: Path) -> None:
    """The plan of SQLite names the index of a key, of a field and of tags."""
    opened = open_index("sqlite:?keys=metadata.site", tmp_path)
    others = ("completed", "stopped", "created", "suspended")
    opened.replace_all(
        [
            a_row(
                f"s{n}",
                status="failed" if n % 10 == 7 else others[n % 4],
                tags=["a"],
                metadata={"site": n},
            )
            for n in range(3000)
        ]
    )
    narrowing = SqliteNarrowing()
    opened.find(parse("status=failed", FILTER_FIELDS))  # the first one makes the index
    with contextlib.closing(sqlite3.connect(tmp_path / "index.sqlite")) as connection:
        for text, index in {
            "metadata.site=17": "sessions_metadata.site",
            "status=failed metadata.site=17": "sessions_metadata.site",
            "metadata.site>2990": "sessions_metadata.site",
            "status=failed": "sessions_status",
            "tags=b": "PRIMARY KEY",
        }.items():
            tree = parse(text, FILTER_FIELDS)
            condition = exact(tree) or narrowing.of(tree)
            assert condition is not None
            plan = connection.execute(f"EXPLAIN QUERY PLAN SELECT row FROM sessions WHERE {condition[0]}", condition[1])
            steps = " ".join(step[3] for step in plan.fetchall())
            assert index in steps and "SCAN" not in steps, (text, steps)
    assert [row.session_id for row in opened.find(parse("status=failed metadata.site=17", FILTER_FIELDS))] == ["s17"]
    opened.close()


def test_a_store_works_on_an_engine_of_a_third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sessionstore.store.store.open_index", lambda url, root, *_: open_engine(url, root))
    with SessionStore(tmp_path, "onefile:") as store:
        made = [store.create(f"run {number}") for number in range(3)]
        made[0].update(tags=["x"])
        store.delete("run 1")
        assert [row.session_name for row in store.find("tags=x")] == ["run 0"] and store.notice is None
        (made[2].folder / "session.json").touch()
        assert [row.session_name for row in store.find()] == ["run 2", "run 0"]
        assert store.rebuild() == 2 and not store.watch().wait(0.01)
    assert (tmp_path / "onefile.json").exists() and not (tmp_path / "index.jsonl").exists()


def test_no_part_of_the_package_asks_for_a_certain_engine() -> None:
    """What an engine offers beyond the protocol is a protocol too: no getattr, no isinstance of one engine."""
    package = Path(sessionstore.__file__).parent
    pattern = re.compile(r"getattr\((?:[\w.]*\.)?index,|isinstance\([^)]*(?:Journal|Sqlite|Postgres)Index")
    found = [str(path) for path in package.rglob("*.py") if pattern.search(path.read_text())]
    assert found == []
    assert pattern.search('getattr(store.index, "forget", None)') and pattern.search("isinstance(index, JournalIndex)")
