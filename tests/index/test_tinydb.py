"""TinyDB's public behaviour, on both of our storages: a program written for TinyDB works, and is safe to share."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tinydb import TinyDB, where
from tinydb.middlewares import CachingMiddleware
from tinydb.operations import add, decrement, delete, increment
from tinydb.operations import set as set_field
from tinydb.table import Document

from sessionstore.errors import Conflict, Corrupt, InvalidRecord
from sessionstore.index.journal.tinydb_storage import JournalDatabase, JournalStorage
from sessionstore.session.documents import Database, DocumentStorage

Opener = Callable[[], TinyDB]
STORAGES = {"document": DocumentStorage, "journal": JournalStorage}
DATABASES = {"document": Database, "journal": JournalDatabase}


@pytest.fixture(params=["document", "journal"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def open_db(kind: str, tmp_path: Path) -> Iterator[Opener]:
    opened = []

    def opener() -> TinyDB:
        opened.append(DATABASES[kind](tmp_path / "db"))
        return opened[-1]

    yield opener
    for database in opened:
        database.close()


@pytest.fixture
def db(open_db: Opener) -> TinyDB:
    database = open_db()
    database.insert_multiple([{"n": 1, "c": "a"}, {"n": 2, "c": "b"}, {"n": 3, "c": "a"}])
    return database


def test_documents_are_numbered_from_one(db: TinyDB) -> None:
    assert [document.doc_id for document in db.all()] == [1, 2, 3]
    assert db.insert({"n": 4}) == 4
    assert db.insert_multiple([{"n": 5}, {"n": 6}]) == [5, 6]
    assert len(db) == 6 and [document["n"] for document in db] == [1, 2, 3, 4, 5, 6]


def test_search_get_contains_and_count(db: TinyDB) -> None:
    assert [document["n"] for document in db.search(where("c") == "a")] == [1, 3]
    assert db.get(where("n") == 2) == {"n": 2, "c": "b"} and db.get(doc_id=3)["n"] == 3
    assert db.get(doc_id=99) is None and db.get(where("n") == 99) is None
    assert [document["n"] for document in db.get(doc_ids=[1, 3])] == [1, 3]
    assert db.contains(where("n") == 1) and not db.contains(where("n") == 9) and db.contains(doc_id=2)
    assert db.count(where("c") == "a") == 2


def test_updates_with_fields_and_operations(db: TinyDB) -> None:
    assert db.update({"c": "z"}, where("n") == 1) == [1]
    assert db.update(increment("n"), where("c") == "a") == [3]
    assert db.update(delete("c"), doc_ids=[2]) == [2]
    assert db.update(add("n", 10)) == [1, 2, 3]
    assert db.update_multiple([(decrement("n"), where("n") == 12), (set_field("c", 0), where("n") == 14)]) == [2, 3]
    assert db.all() == [{"n": 11, "c": "z"}, {"n": 11}, {"n": 14, "c": 0}]


def test_upsert_by_query_and_by_number(db: TinyDB) -> None:
    assert db.upsert({"c": "q"}, where("n") == 2) == [2]
    assert db.upsert({"n": 9}, where("n") == 9) == [4]
    assert db.upsert(Document({"n": 50}, doc_id=50)) == [50]
    assert db.insert({"n": 51}) == 51
    with pytest.raises(ValueError, match="already exists"):
        db.insert(Document({}, doc_id=50))
    with pytest.raises(ValueError):
        db.insert([1, 2])  # type: ignore[arg-type]


def test_remove_and_truncate(db: TinyDB) -> None:
    assert db.remove(where("c") == "a") == [1, 3]
    assert db.remove(doc_ids=[2, 77]) == [2]
    assert len(db) == 0
    db.insert({"n": 1})
    db.truncate()
    assert db.all() == [] and db.insert({"n": 1}) == 1


def test_tables_are_apart_and_can_be_dropped(db: TinyDB) -> None:
    table = db.table("notes")
    table.insert({"text": "x"})
    assert db.tables() == {"_default", "notes"} and len(db) == 3 and len(table) == 1
    assert db.table("notes") is table
    db.drop_table("notes")
    assert db.tables() == {"_default"}
    db.drop_tables()
    assert db.tables() == set() and len(db) == 0 and db.insert({"n": 1}) == 1


def test_an_update_that_fails_changes_nothing(db: TinyDB) -> None:
    def spoil(document: dict[str, Any]) -> None:
        document["n"] = 100
        if document["c"] == "b":
            raise RuntimeError("half-way")

    before = db.all()
    with pytest.raises(RuntimeError):
        db.update(spoil)
    assert db.all() == before


def test_a_document_given_out_is_a_copy(db: TinyDB) -> None:
    db.get(doc_id=1)["n"] = 1000
    db.all()[0]["n"] = 1000
    assert db.get(doc_id=1)["n"] == 1


def test_numpy_goes_in_and_nan_does_not(db: TinyDB) -> None:
    db.insert({"array": np.arange(3), "scalar": np.float64(2.5), "flag": np.bool_(True), "big": 2**70})
    assert db.get(doc_id=4) == {"array": [0, 1, 2], "scalar": 2.5, "flag": True, "big": 2**70}
    with pytest.raises(InvalidRecord, match=r"_default\.5\.x"):
        db.insert({"x": float("nan")})
    assert len(db) == 4


def test_a_second_handle_sees_and_continues_what_the_first_wrote(db: TinyDB, open_db: Opener) -> None:
    other = open_db()
    assert other.search(where("c") == "a") == db.search(where("c") == "a")  # both have cached the query now
    assert other.insert({"n": 4, "c": "a"}) == 4
    assert db.insert({"n": 5, "c": "a"}) == 5
    other.update({"c": "z"}, where("n") == 1)
    assert [document["n"] for document in db.search(where("c") == "a")] == [3, 4, 5]


def test_tinydbs_own_class_never_loses_an_update(kind: str, tmp_path: Path) -> None:
    one, two = (TinyDB(tmp_path / "db", storage=STORAGES[kind]) for _ in range(2))
    one.insert({"n": 1})
    two.insert({"n": 2})
    one.update({"seen": True}, where("n") == 2)
    assert two.all() == [{"n": 1}, {"n": 2, "seen": True}]


def test_caching_middleware_writes_when_it_closes(kind: str, tmp_path: Path) -> None:
    for opened_class in (TinyDB, DATABASES[kind]):
        with opened_class(tmp_path / "db", storage=CachingMiddleware(STORAGES[kind])) as cached:
            cached.insert({"n": 1})
            cached.table("t").insert({"n": 2})
    fresh = DATABASES[kind](tmp_path / "db")
    assert len(fresh) == 2 and len(fresh.table("t")) == 2


def test_a_cache_that_is_out_of_date_is_refused_not_written(tmp_path: Path) -> None:
    cached = TinyDB(tmp_path / "db", storage=CachingMiddleware(DocumentStorage))
    cached.insert({"n": 1})
    Database(tmp_path / "db").insert({"n": 2})
    with pytest.raises(Conflict):
        cached.close()
    assert Database(tmp_path / "db").all() == [{"n": 2}]


def test_a_damaged_file_is_an_error_and_is_left_alone(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "db"
    path.write_bytes(b'{"_default": {"1": {"n": \n')
    with pytest.raises(Corrupt):
        DATABASES[kind](path).insert({"n": 1})
    with pytest.raises(Corrupt):
        DATABASES[kind](path).all()
    assert path.read_bytes() == b'{"_default": {"1": {"n": \n'


def test_a_journal_write_costs_one_line_whatever_is_there(tmp_path: Path) -> None:
    database = JournalDatabase(tmp_path / "db", sync=False)
    database.insert_multiple([{"n": number} for number in range(5000)])
    before = (tmp_path / "db").stat().st_size
    database.insert({"n": "new"})
    database.update({"n": "other"}, doc_ids=[17])
    database.remove(doc_ids=[18])
    assert (tmp_path / "db").stat().st_size - before < 250


def test_a_journal_compacts_when_most_of_it_is_superseded(tmp_path: Path) -> None:
    database, reader = JournalDatabase(tmp_path / "db", sync=False), JournalDatabase(tmp_path / "db")
    database.insert_multiple([{"n": 0}, {"n": 1}])
    for number in range(1100):
        database.update({"n": number}, doc_ids=[1])
    assert len((tmp_path / "db").read_bytes().splitlines()) < 200
    assert reader.all() == database.all() == [{"n": 1099}, {"n": 1}]


def _count_up(kind: str, path: Path, times: int) -> None:
    database = DATABASES[kind](path)
    for _ in range(times):
        database.update(increment("n"), doc_ids=[1])
        database.table("inserted").insert({})


def test_four_processes_lose_no_increment_and_share_no_number(kind: str, tmp_path: Path) -> None:
    DATABASES[kind](tmp_path / "db").insert({"n": 0})
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_count_up, args=(kind, tmp_path / "db", 40)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    database = DATABASES[kind](tmp_path / "db")
    assert database.get(doc_id=1)["n"] == 160
    assert [document.doc_id for document in database.table("inserted")] == list(range(1, 161))


def test_truncating_a_table_starts_the_numbers_anew(db: TinyDB) -> None:
    table = db.table("t")
    table.insert_multiple([{}, {}])
    table.truncate()
    assert table._get_next_id() == 1
    table.truncate()
    assert table.insert({"n": 1}) == 1 and len(table) == 1


def test_an_id_of_another_kind_names_no_document(db: TinyDB) -> None:
    assert db.get(doc_id="one") is None and db.get(doc_ids=["one", 2])[0]["n"] == 2  # type: ignore[call-overload]
    assert not db.contains(doc_id="one")  # type: ignore[arg-type]
