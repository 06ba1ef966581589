"""A copy on another machine: names that it would not keep are told, although the copy here reads the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import sessionstore
from sessionstore.maintenance.checks.portability import verify_moved


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Loss.jsonl", "one file with Loss.jsonl on macOS and Windows"),
        ("con.jsonl", "con.jsonl: not a name on every operating system"),
        ("loss.", "loss.: not a name on every operating system"),
        ("fine.jsonl", ""),
    ],
)
def test_names_that_another_machine_would_not_keep_are_told(tmp_path: Path, name: str, told: str) -> None:
    store = sessionstore.open(tmp_path / "store")
    session_id = store.create("walk").session_id
    with store.start(session_id) as run:
        run.stream("loss").append({"v": 1}, 1.0)
    folder = store.root.folder(session_id)
    shutil.copy(folder / "loss.jsonl", folder / name)
    [moved] = verify_moved(store.root, [session_id])
    assert moved.same is (not told) and told in "; ".join(moved.differs)


def test_a_folder_that_another_machine_cannot_store_is_told(tmp_path: Path) -> None:
    store = sessionstore.open(tmp_path / "store")
    folder = store.root.folder(store.create("walk").session_id)
    folder.rename(folder.with_name("a?b"))
    [moved] = verify_moved(store.root, ["a?b"])
    assert moved.differs == ["a?b: not a name on every operating system"]
