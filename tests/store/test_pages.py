"""Pages of a store: which sessions there are is always right, and what is shown is what its file says."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

import sessionstore
from sessionstore.disk import files, filesystem
from sessionstore.errors import AmbiguousSession, SessionNotFound, StoreUnusable
from sessionstore.index.journal import columns
from sessionstore.index.journal.engine import JournalIndex
from sessionstore.index.journal.pages import PageView
from sessionstore.layout import StoreRoot
from sessionstore.store import SessionStore, pages
from sessionstore.store.pages import Agreements


@pytest.fixture(autouse=True)
def pages_of_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MIN_ROWS", 1)
    monkeypatch.setattr(columns, "_ROW_BYTES", 1)


@pytest.fixture
def six(store: SessionStore) -> SessionStore:
    for number in range(6):
        store.create(f"run {number}", metadata={"n": number})
    return store


@pytest.fixture
def rested(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every state of a folder counts as older than a tick of the clock."""
    monkeypatch.setattr(pages, "SETTLED_S", -1.0)


def names(store: SessionStore, where: str = "", limit: int = 50) -> list[str | None]:
    return [row.session_name for row in store.page(where, limit=limit).rows]


def edit_by_hand(store: SessionStore, name: str, **changes: object) -> None:
    path = store.get(name).folder / "session.json"
    document = json.loads(path.read_text())
    document["session"]["1"].update(changes)
    path.write_text(json.dumps(document, indent=2))


def test_a_page_shows_the_newest_and_says_how_many_there_are(six: SessionStore) -> None:
    found = six.page(limit=2)
    assert [row.session_name for row in found.rows] == ["run 5", "run 4"] and found.total == 6
    assert names(six, "metadata.n<2") == ["run 1", "run 0"]
    assert [row.session_name for row in six.page(sort="metadata.n", limit=2, offset=1).rows] == ["run 1", "run 2"]
    assert six.page(limit=0).total == 6 and six.find(limit=1)[0].session_name == "run 5"


def test_a_page_is_not_read_from_all_rows(six: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JournalIndex, "snapshot", None)
    assert names(six, "metadata.n>3") == ["run 5", "run 4"]
    assert len(six) == 6 and len(list(six)) == 6


def test_a_hand_edit_of_what_is_shown_is_shown(six: SessionStore) -> None:
    assert six.page(limit=3).total == 6
    edit_by_hand(six, "run 4", notes="looked at", metadata={"n": 44})
    assert [row.metadata["n"] for row in six.page(limit=3).rows] == [5, 44, 3]
    assert names(six, "metadata.n=44") == ["run 4"]


def test_a_hand_edit_of_what_is_not_shown_is_found_when_all_files_are_compared(six: SessionStore) -> None:
    assert names(six, "metadata.n=77") == []
    edit_by_hand(six, "run 2", metadata={"n": 77})
    assert names(six, "metadata.n=77") == []  # docs/promises.md says so
    began = six.compare()
    found = six.page("metadata.n=77")
    assert [row.session_name for row in found.rows] == ["run 2"]
    assert found.compared_at is not None and abs(found.compared_at - began) < 1


def test_when_files_were_compared_is_known_to_the_next_process(six: SessionStore) -> None:
    six.page()
    assert six.page().compared_at == 0
    six.compare()
    with sessionstore.open(six.root.path) as other:
        found = other.page()
    assert found.compared_at is not None and time.time() - found.compared_at < 60


def test_a_copied_folder_is_on_the_next_page(six: SessionStore, rested: None) -> None:
    six.page()
    shutil.copytree(six.get("run 3").folder, six.root.folder("202611231430-copy"))
    assert len(names(six)) == 7


def test_a_removed_folder_is_missing_and_a_deleted_session_is_gone(six: SessionStore, rested: None) -> None:
    six.page()
    shutil.rmtree(six.get("run 3").folder)
    six.delete("run 5")
    assert [row.status for row in six.page(sort="created_at").rows] == [*["created"] * 3, "missing", "created"]
    assert len(six) == 4
    with sessionstore.open(six.root.path) as other:
        assert [row.status for row in other.page('name="run 3"').rows] == ["missing"]


def test_a_damaged_record_on_the_page_says_so(six: SessionStore) -> None:
    six.page()
    (six.get("run 3").folder / "session.json").write_text("{")
    assert [row.status for row in six.page('name="run 3"').rows] == ["unreadable"]
    assert names(six, "status=unreadable") == ["run 3"]


def test_an_update_of_another_process_is_on_the_next_page(six: SessionStore) -> None:
    six.page()
    with sessionstore.open(six.root.path) as other:
        other.update("run 1", notes="by another", tags=["night"])
        other.create("run 6", metadata={"n": 6})
    assert names(six, "rev=2") == ["run 1"] and names(six, limit=2) == ["run 6", "run 5"]


def test_a_store_at_rest_is_not_scanned_by_any_process(
    six: SessionStore, rested: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    six.page()
    monkeypatch.setattr(StoreRoot, "_names", None)
    for _ in range(2):
        with sessionstore.open(six.root.path) as other:
            assert other.page().total == 6


class Stopped:
    """A clock of the file system that does not tick while a folder comes."""

    def __init__(self, root: StoreRoot, monkeypatch: pytest.MonkeyPatch) -> None:
        now_ns = time.time_ns()
        monkeypatch.setattr(StoreRoot, "state", lambda root: (1, 1, now_ns, now_ns))
        root._listing = None


def test_a_folder_that_comes_within_a_tick_of_the_clock_is_on_the_next_page(
    six: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    Stopped(six.root, monkeypatch)
    assert six.page().total == 6
    shutil.copytree(six.get("run 3").folder, six.root.folder("202611231430-copy"))
    assert six.page().total == 7


@pytest.mark.parametrize("method", ["is_local", "is_trusted"])
def test_a_time_that_is_trusted_too_early_is_noticed(
    method: str, six: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    Stopped(six.root, monkeypatch)
    if method == "is_trusted":
        monkeypatch.setattr(Agreements, method, lambda *_: True)
    else:  # of a network file system no time is trusted, however old
        monkeypatch.setattr(pages, "SETTLED_S", -1.0)
        monkeypatch.setattr(filesystem, method, lambda path: False)
    assert six.page().total == 6
    shutil.copytree(six.get("run 3").folder, six.root.folder("202611231430-copy"))
    assert six.page().total == (6 if method == "is_trusted" else 7)


@pytest.mark.parametrize("spoilt", [b"", b"{", b'{"root":[1,2],"names":"6-1"}', b'{"root":null,"names":7}', b"\xff"])
def test_a_damaged_note_of_the_agreement_costs_a_look_at_the_names(spoilt: bytes, six: SessionStore) -> None:
    six.page()
    six.compare()
    (six.root.private / "columns" / "agreement.json").write_bytes(spoilt)
    with sessionstore.open(six.root.path) as other:
        assert other.page().total == 6


def test_an_index_that_cannot_be_written_is_right_all_the_same(
    six: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    six.page()
    edit_by_hand(six, "run 4", metadata={"n": 44})
    shutil.copytree(six.get("run 3").folder, six.root.folder("202611231430-copy"))
    monkeypatch.setattr(filesystem, "refuse_unsafe", _refused)
    with sessionstore.open(six.root.path) as other:
        assert [row.metadata["n"] for row in other.page(limit=3).rows] == [5, 44, 3]
        assert other.page().total == 7 and other.notice is not None


def _refused(*_: object) -> None:
    from sessionstore.errors import UnsafeFilesystem

    raise UnsafeFilesystem("this is read only")


def test_pages_of_engines_without_columns_are_the_same(tmp_path: Path) -> None:
    with sessionstore.open(tmp_path, "sqlite:") as store:
        for number in range(4):
            store.create(f"run {number}", metadata={"n": number})
        found = store.page("metadata.n>0", limit=2)
        assert [row.session_name for row in found.rows] == ["run 3", "run 2"]
        assert (found.total, found.compared_at) == (3, None) and len(store) == 4
        store.compare()


def test_a_session_is_found_by_name_uuid_and_beginning_without_reading_all_rows(
    six: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, zebra = six.get("run 3"), six.create("zebra").session_id
    monkeypatch.setattr(JournalIndex, "snapshot", None)
    for key in ("run 3", wanted.session_id, wanted.record.uuid, wanted.session_id.partition("-")[2]):
        assert six.get(key).session_id == wanted.session_id
    assert six.get(zebra[:-1]).session_id == zebra
    with pytest.raises(AmbiguousSession, match=r"7 sessions fit .* \.\.\."):
        six.get(wanted.session_id[:4])


def test_two_of_a_name_are_ambiguous_and_one_that_is_missing_does_not_count(six: SessionStore, rested: None) -> None:
    second = six.create("run 3")
    with pytest.raises(AmbiguousSession, match="2 sessions fit 'run 3'"):
        six.get("run 3")
    shutil.rmtree(second.folder)
    assert six.get("run 3").record.metadata["n"] == 3


def test_a_session_that_was_renamed_by_hand_is_found_by_its_new_name_and_not_by_its_old_one(six: SessionStore) -> None:
    renamed = six.get("run 2").session_id
    edit_by_hand(six, "run 2", session_name="other")
    assert six.get("other").session_id == renamed
    edit_by_hand(six, "run 4", session_name="again")
    with pytest.raises(SessionNotFound):
        six.get("run 4")


def test_a_page_and_a_name_are_found_where_no_columns_can_be_written(
    six: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(six.root.private / "columns", ignore_errors=True)

    def refused(*_: object, **__: object) -> None:
        raise StoreUnusable(30, "Read-only file system", "columns")

    monkeypatch.setattr(files, "make_dir", refused)
    with sessionstore.open(six.root.path) as other:
        assert other.page('name="run 3"').total == 1
        assert other.get("run 4").record.metadata["n"] == 4


def test_comparing_all_makes_nothing_of_all_rows_and_finds_what_was_put_deleted_and_edited(
    six: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    six.page()
    six.create("late", metadata={"n": 6})
    six.delete("run 0")
    six.update("run 1", notes="changed")
    with monkeypatch.context() as unused:
        unused.setattr(PageView, "stamps", None)
        six.compare()
    edit_by_hand(six, "late", metadata={"n": 66})
    edit_by_hand(six, "run 3", metadata={"n": 33})
    six.compare()
    assert names(six, "metadata.n>5") == ["late", "run 3"] and len(six) == 6
    (six.get("run 4").folder / "session.json").unlink()
    six.compare()
    assert "run 4" not in names(six, "status=created")
