"""Two accounts with one store: what is made in a shared folder (setgid, group-writable) is writable for its group."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import sessionstore
from sessionstore import Database, JournalDatabase
from sessionstore.boxes.session_db_box import SessionDBBox
from sessionstore.disk import files
from sessionstore.maintenance.repairs.plan import repair
from sessionstore.store.history import History

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no groups of files")
GROUP = 4_321


@pytest.fixture(autouse=True)
def _strict_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    if os.geteuid() == 0:
        os.chown(folder, -1, GROUP)
    folder.chmod(0o2770)
    return folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("index", ["journal:", "sqlite:"])
def test_all_that_a_store_makes_in_a_shared_folder_is_for_its_group(shared: Path, index: str) -> None:
    with sessionstore.open(shared, index) as store:
        with store.record("flight") as session:
            session.motion.append("scout-1", t_s=0.1, position_m=(1, 0, 5))
        store.get("flight").update(notes="calm")
        store.create("gone")
        store.delete(store.get("gone").session_id)
        store.find()
        found = list(shared.rglob("*"))
    assert {path.name for path in found} >= {"session.json", "motion_history.jsonl", "format.json", "locks", "trash"}
    for path in filter(Path.exists, found):
        wanted = 0o2070 if path.is_dir() else 0o060
        assert mode(path) & wanted == wanted, f"{path}: {mode(path):o}"
        assert path.stat().st_gid == shared.stat().st_gid


def test_in_a_folder_that_is_not_shared_the_umask_decides(tmp_path: Path) -> None:
    for bits in (0o2755, 0o770):
        folder = tmp_path / f"{bits:o}"
        folder.mkdir()
        folder.chmod(bits)
        files.make_dir(folder / "inner")
        files.create(folder / "file", b"x")
        assert (mode(folder / "inner") & 0o777, mode(folder / "file")) == (0o700, 0o600)


def test_a_secret_in_a_shared_folder_is_for_its_owner_alone(shared: Path) -> None:
    files.create(shared / "token", b"x", mode=0o600)
    assert mode(shared / "token") == 0o600


@pytest.mark.parametrize("bits", [0o600, 0o640, 0o664, 0o444])
def test_a_replaced_file_keeps_its_mode(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "session.json"
    path.write_bytes(b"old")
    path.chmod(bits)
    files.put(path, b"new")
    assert path.read_bytes() == b"new" and mode(path) == bits


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root is missing")
def test_a_replaced_file_keeps_owner_and_group_where_that_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    path.write_bytes(b"old")
    os.chown(path, 1_234, GROUP)
    path.chmod(0o640)
    files.put(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid, mode(path)) == (1_234, GROUP, 0o640)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root is missing")
def test_a_replace_where_the_owner_may_not_be_given_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "session.json"
    path.write_bytes(b"old")
    os.chown(path, 1_234, GROUP)
    path.chmod(0o640)
    asked = []

    def refused(*given: int) -> None:
        asked.append(given[1:])
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refused)
    files.put(path, b"new")
    assert path.read_bytes() == b"new" and mode(path) == 0o640
    assert asked == [(1_234, -1), (-1, GROUP)]


@pytest.mark.parametrize("bits", [0o600, 0o640, 0o400])
def test_a_file_that_others_may_not_read_is_not_readable_while_it_is_replaced(
    tmp_path: Path, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.umask(0)
    path, seen = tmp_path / "session.json", list[int]()
    path.write_bytes(b"old")
    path.chmod(bits)

    def look(operation: str, place: str, payload: object) -> None:
        if operation == "write":
            seen.append(mode(Path(place)))

    monkeypatch.setattr(files, "observer", look)
    files.put(path, b"new")
    assert seen == [bits & 0o666] and mode(path) == bits


def _journal_rewritten(store: sessionstore.SessionStore) -> None:
    store.index._rows.compact()  # type: ignore[attr-defined]


REPLACING = {
    "update": lambda store: store.get("A").update(notes="x"),
    "metadata": lambda store: store.get("A").metadata.update(a=1),
    "data": lambda store: store.get("A").data.update(a=1),
    "tags": lambda store: store.get("A").tags.add("x"),
    "table": lambda store: store.get("A").table("ratings").insert({"stars": 5}),
    "edit and undo": lambda store: (store.edit("A", notes="x"), History(store).undo()),
    "box": lambda store: SessionDBBox(store=store).update_session(store.get("A").session_id, metadata={"a": 1}),
    "artifact": lambda store: store.get("A").artifacts.put("plan.txt", "new"),
    "rebuild": lambda store: store.rebuild(),
    "compaction": _journal_rewritten,
    "store settings": lambda store: store.root.configure(index="journal:"),
    "database": lambda store: Database(store.root.path / "drones.json").insert({"a": 1}),
    "journal database": lambda store: JournalDatabase(store.root.path / "drones.jsonl").insert({"a": 1}),
    "delete and restore": lambda store: (store.delete("A"), store.restore("A")),
    "append": lambda store: store.get("A").writer("events").append({"a": 1}),
    "repair of a stream": lambda store: repair(store.doctor().findings, store.root.path),
}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root is missing")
@pytest.mark.parametrize("name", REPLACING)
def test_every_replacing_write_keeps_a_mode_and_an_owner_that_were_given_by_hand(tmp_path: Path, name: str) -> None:
    store = sessionstore.open(tmp_path / "store")
    session = store.create("A")
    session.artifacts.put("plan.txt", "old")
    store.create("B")
    for tick in range(3):
        session.writer("events").append({"tick": tick})
    damaged = session.folder / "events.jsonl"
    if name == "repair of a stream":
        damaged.write_bytes(damaged.read_bytes().replace(b'"tick":1', b'"tick"x1'))
    Database(store.root.path / "drones.json").insert({"a": 0})
    JournalDatabase(store.root.path / "drones.jsonl").insert({"a": 0})
    store.edit("B", notes="x")
    for number, path in enumerate(sorted(path for path in store.root.path.rglob("*") if path.is_file())):
        os.chown(path, 1_000 + number, GROUP)
        path.chmod(0o640 if number % 2 else 0o604)
    before = _access(store.root.path)
    contents = {path: path.read_bytes() for path in before}
    REPLACING[name](store)
    after = _access(store.root.path)
    assert {path: found for path, found in after.items() if path in before} == before
    assert any(path.read_bytes() != contents.get(path) for path in after) or name in ("rebuild", "delete and restore")
    store.close()


def _access(folder: Path) -> dict[Path, tuple[int, int, int]]:
    found = {path: path.stat() for path in folder.rglob("*") if path.is_file() and "locks" not in path.parts}
    return {path: (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) for path, status in found.items()}


def as_account(uid: int, work: Callable[[], None]) -> None:
    """Do something as another account that shares the group, in a process of its own; it fails as that does."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([GROUP])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            work()
            code = 0
        finally:  # the child must not go on as a test
            traceback.print_exc()
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


def record(folder: Path, name: str) -> None:
    with sessionstore.open(folder) as store, store.record(name) as session:
        session.motion.append("scout-1", t_s=0.1, position_m=(1, 0, 5))


def change(folder: Path, name: str) -> None:
    with sessionstore.open(folder) as store:
        store.edit(name, notes="by the other account")
        writer = store.get(name).writer("events")
        writer.append({"kind": "seen"}, t_s=1.0)
        writer.close()
        store.delete(name)
        store.restore(name)
        store.create("gone")
        store.delete("gone")
        store.empty_trash()
        store.rebuild()
        assert store.doctor().healthy


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root is missing")
def test_two_accounts_record_and_change_the_sessions_of_each_other() -> None:
    place = Path(tempfile.mkdtemp(dir="/tmp"))  # that of pytest is for its own account
    try:
        place.chmod(0o755)
        record(place / "own", "first")
        change(place / "own", "first")  # all modules are imported now: the others may not be able to read them
        shared = place / "shared"
        shared.mkdir()
        os.chown(shared, -1, GROUP)
        shared.chmod(0o2770)
        as_account(1_001, lambda: record(shared, "ada"))
        as_account(1_002, lambda: record(shared, "bob"))
        as_account(1_002, lambda: change(shared, "ada"))
        as_account(1_001, lambda: change(shared, "bob"))
        found = list(shared.rglob("*"))
        assert {path.stat().st_uid for path in found} == {1_001, 1_002}
        assert {path.stat().st_gid for path in found} == {GROUP}
        for path in found:
            wanted = 0o2070 if path.is_dir() else 0o060
            assert mode(path) & wanted == wanted, f"{path}: {mode(path):o}"
    finally:
        shutil.rmtree(place)
