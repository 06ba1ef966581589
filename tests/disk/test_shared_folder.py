"""Two accounts with one store: what is made in a shared folder (setgid, group-writable) is writable for its group."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sessionstore
from sessionstore.disk import files

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
