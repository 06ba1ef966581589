"""Watched files: what a process answers is what every folder holds, whatever happens to the folders meanwhile."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import sessionstore
from sessionstore.disk import inotify
from sessionstore.errors import StoreNotFound
from sessionstore.index.journal import columns
from sessionstore.store import SessionStore, catalog, watching
from sessionstore.store.folder_rows import MISSING_FOLDER, UNREADABLE, FolderRows

pytestmark = pytest.mark.skipif(not inotify.most_watches(), reason="no inotify here")


@pytest.fixture(autouse=True)
def pages_of_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MIN_ROWS", 1)
    monkeypatch.setattr(columns, "_ROW_BYTES", 1)


@pytest.fixture
def watched(store: SessionStore) -> SessionStore:
    for number in range(4):
        store.create(f"run {number}", metadata={"n": number})
    assert store.watch_files()
    store.compare()
    store.find()
    return store


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sessions whose files were looked at."""
    seen: list[str] = []
    stamp_of, edited = FolderRows.stamp_of, FolderRows.edited

    def counted(rows: FolderRows, session_id: str) -> object:
        seen.append(session_id)
        return stamp_of(rows, session_id)

    def counted_all(rows: FolderRows, states: object) -> Iterator[str]:
        seen.append("all")
        return edited(rows, states)  # type: ignore[arg-type]

    monkeypatch.setattr(FolderRows, "stamp_of", counted)
    monkeypatch.setattr(FolderRows, "edited", counted_all)
    return seen


def edit_by_hand(folder: Path, n: int) -> None:
    document = json.loads((folder / "session.json").read_text())
    document["session"]["1"]["metadata"] = {"n": n}
    (folder / "session.json").write_text(json.dumps(document))


def found(store: SessionStore, n: int) -> list[str]:
    return [row.session_id for row in store.page(f"metadata.n={n}").rows]


# ---------------------------------------------------------------- what it costs


def test_at_rest_no_file_is_looked_at(watched: SessionStore, looks: list[str]) -> None:
    assert len(watched.find("metadata.n>1")) == 2 and found(watched, 9) == []
    assert looks == []


def test_one_edit_costs_a_look_at_one_file(watched: SessionStore, looks: list[str]) -> None:
    session = watched.get("run 2")
    edit_by_hand(session.folder, 77)
    looks.clear()
    assert len(watched.find("metadata.n=77")) == 1
    assert set(looks) == {session.session_id}


def test_a_process_that_compares_all_files_again_and_again_begins_to_watch(
    store: SessionStore, looks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "MIN_SESSIONS", 2)
    for number in range(3):
        store.create(f"run {number}")
    for _ in range(watching.BEGIN_AFTER + 1):
        store.find()
    assert store.catalog.watching.is_on
    looks.clear()
    store.find()
    assert looks == []
    store.watch_files(False)
    for _ in range(5):
        store.find()
    assert not store.catalog.watching.is_on and looks == ["all"] * 5


# ---------------------------------------------------------------- what is seen


def test_a_page_says_that_files_were_compared_until_now(watched: SessionStore) -> None:
    edit_by_hand(watched.get("run 1").folder, 9)
    page = watched.page("metadata.n=9", limit=1)
    assert page.total == 1 and page.compared_at is not None
    edited_s = os.stat(watched.get("run 1").folder / "session.json").st_mtime
    assert page.compared_at >= edited_s - 0.02  # a tick of the clock of files


def test_a_session_that_is_copied_slowly_is_found_when_it_is_whole(watched: SessionStore) -> None:
    target = watched.root.folder("202611231430-copy")
    target.mkdir()
    watched.page()
    text = (watched.get("run 3").folder / "session.json").read_text().replace('"n": 3', '"n": 33')
    with (target / "session.json").open("w") as file:
        file.write(text[:100])
        file.flush()
        assert found(watched, 33) == []
        file.write(text[100:])
    assert found(watched, 33) == [target.name]
    os.utime(target / "session.json", (1_000_000_000, 1_000_000_000))  # as cp -a does last
    assert found(watched, 33) == [target.name]


def test_a_folder_of_another_name_that_becomes_a_session_is_found(watched: SessionStore) -> None:
    folder = watched.root.folder("night flight")
    folder.mkdir()
    assert watched.page().total == 4
    shutil.copy(watched.get("run 3").folder / "session.json", folder / "session.json")
    edit_by_hand(folder, 55)
    assert found(watched, 55) == [folder.name]


def test_a_session_that_was_renamed_by_hand_is_watched_under_its_new_name(watched: SessionStore) -> None:
    folder = watched.get("run 1").folder
    renamed = folder.rename(folder.with_name("202611231430-renamed"))
    watched.page()
    edit_by_hand(renamed, 88)
    assert found(watched, 88) == [renamed.name]
    back = renamed.rename(folder)
    edit_by_hand(back, 89)
    assert found(watched, 89) == [folder.name] and found(watched, 88) == []


def test_more_than_the_kernel_can_note_makes_all_files_compared(
    watched: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = watched.get("run 1")
    with monkeypatch.context() as overflowing:
        overflowing.setattr(inotify.Inotify, "read", lambda notes: [inotify.Event(-1, inotify.OVERFLOW, "")])
        edit_by_hand(session.folder, 66)
        assert len(watched.find("metadata.n=66")) == 1
    assert not watched.catalog.watching.is_on
    assert watched.watch_files() and len(watched.find("metadata.n=66")) == 1


def test_a_root_that_was_replaced_is_not_the_one_that_is_watched(watched: SessionStore, tmp_path: Path) -> None:
    root = watched.root.path
    shutil.copytree(root, tmp_path / "other")
    root.rename(tmp_path / "old")
    (tmp_path / "other").rename(root)
    edit_by_hand(root / watched.get("run 1").session_id, 44)
    assert len(watched.find("metadata.n=44")) == 1
    shutil.rmtree(root)
    with pytest.raises(StoreNotFound):
        watched.find()


def test_a_store_of_more_folders_than_may_be_watched_is_compared_as_before(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create("one")
    monkeypatch.setattr(inotify, "most_watches", lambda: 1)
    assert store.watch_files() is False
    edit_by_hand(store.get("one").folder, 5)
    assert len(store.find("metadata.n=5")) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_leaves_the_events_to_its_parent(watched: SessionStore) -> None:
    edit_by_hand(watched.get("run 1").folder, 71)
    child = os.fork()
    if child == 0:
        right = not watched.catalog.watching.is_on and len(watched.find("metadata.n=71")) == 1
        os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(watched.find("metadata.n=71")) == 1 and watched.catalog.watching.is_on


# ---------------------------------------------------------------- any program

IDS = [f"20261123143{number}-s{number}" for number in range(4)]


class World:
    """A watched store, and what people and other programs do to its folders."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = sessionstore.open(path / "store")
        self.other = sessionstore.open(path / "store")
        (path / "out").mkdir()
        document = self.store.create("first", metadata={"n": 0}).folder / "session.json"
        self.text = document.read_text()
        for name in IDS[:2]:
            self.copied(name, 1)
        assert self.store.watch_files()
        self.store.compare()
        self.store.find()

    def folder(self, name: str) -> Path:
        return self.path / "store" / name

    def document_of(self, name: str, n: int) -> str:
        text = json.loads(self.text)
        record = text["session"]["1"]
        record.update(session_id=name, metadata={"n": n}, session_name=name)
        record["uuid"] = record["uuid"][:-1] + name[-1]
        return json.dumps(text)

    def copied(self, name: str, n: int) -> None:
        self.folder(name).mkdir(exist_ok=True)
        self.edited(name, n)

    def edited(self, name: str, n: int) -> None:
        if self.folder(name).is_dir():
            (self.folder(name) / "session.json").write_text(self.document_of(name, n))

    def replaced(self, name: str, n: int) -> None:
        if self.folder(name).is_dir():
            (self.folder(name) / "new").write_text(self.document_of(name, n))
            (self.folder(name) / "new").rename(self.folder(name) / "session.json")

    def damaged(self, name: str, n: int) -> None:
        if self.folder(name).is_dir():
            (self.folder(name) / "session.json").write_text("{" * n)

    def emptied(self, name: str, n: int) -> None:
        (self.folder(name) / "session.json").unlink(missing_ok=True)

    def removed(self, name: str, n: int) -> None:
        shutil.rmtree(self.folder(name), ignore_errors=True)

    def renamed(self, name: str, n: int) -> None:
        target = IDS[n % len(IDS)]
        if self.folder(name).is_dir() and not self.folder(target).exists():
            self.folder(name).rename(self.folder(target))

    def moved_out(self, name: str, n: int) -> None:
        if self.folder(name).is_dir() and not (self.path / "out" / name).exists():
            self.folder(name).rename(self.path / "out" / name)

    def edited_outside(self, name: str, n: int) -> None:
        if (self.path / "out" / name).is_dir():
            (self.path / "out" / name / "session.json").write_text(self.document_of(name, n))

    def moved_in(self, name: str, n: int) -> None:
        if (self.path / "out" / name).is_dir() and not self.folder(name).exists():
            (self.path / "out" / name).rename(self.folder(name))

    def updated(self, name: str, n: int) -> None:
        if (self.folder(name) / "session.json").is_file() and "{{" not in self.folder(name).name:
            try:
                self.other.get(name).update(metadata={"n": n})
            except sessionstore.SessionStoreError:
                return  # it is damaged

    def listed(self, name: str, n: int) -> None:
        """Ask the page or the whole list, which share what was noted."""
        if n % 2:
            self.store.page()
        else:
            self.store.find()

    def truth(self) -> dict[str, tuple[str, object]]:
        """What a process that reads every folder says."""
        rows = FolderRows(self.store.root)
        return {row.session_id: _seen(row) for row in rows.read(rows.names())}

    def close(self) -> None:
        self.store.close()
        self.other.close()


def _seen(row: sessionstore.SessionRow) -> tuple[str, object]:
    return row.status, None if row.status == UNREADABLE else row.metadata.get("n")


ACTIONS: list[Callable[[World, str, int], None]] = [
    World.copied, World.edited, World.replaced, World.damaged, World.emptied, World.removed, World.renamed,
    World.moved_out, World.edited_outside, World.moved_in, World.updated, World.listed,
]  # fmt: skip
STEPS = st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(IDS), st.integers(1, 6)), max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@example([(World.renamed, IDS[0], 3), (World.listed, IDS[0], 1), (World.edited, IDS[3], 5)])
@example(
    [(World.moved_out, IDS[0], 3), (World.listed, IDS[0], 2), (World.moved_in, IDS[0], 5), (World.edited, IDS[0], 6)]
)
@given(STEPS)
def test_the_answers_are_those_of_a_process_that_reads_every_folder(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Callable[[World, str, int], None], str, int]]
) -> None:
    world = World(tmp_path_factory.mktemp("world"))
    try:
        for act, name, n in steps:
            act(world, name, n)
        truth = world.truth()
        by_number = {n: {name for name, seen in truth.items() if seen[1] == n} for n in range(7)}
        for n, expected in by_number.items():
            rows = world.store.page(f"metadata.n={n}").rows  # a damaged one keeps what was known of it
            assert {row.session_id for row in rows if row.status not in (MISSING_FOLDER, UNREADABLE)} == expected, n
        assert world.store.catalog.watching.is_on
        listed = {row.session_id: _seen(row) for row in world.store.find() if row.status != MISSING_FOLDER}
        assert listed == truth
        assert world.truth() == truth
    finally:
        world.close()
        shutil.rmtree(world.path)
