"""A hand edit that keeps the file's size and sets its time back is seen like any other (ctime)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import sessionstore
from sessionstore import SessionStore


def edited_unseen(path: Path, old: bytes, new: bytes) -> None:
    """Change a file as ``rsync --inplace -t`` or ``touch -r`` leave it: other bytes, the size and mtime of before."""
    assert len(old) == len(new)
    before, data = path.stat(), path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)


@pytest.mark.parametrize("engine", ["journal", "sqlite"])
def test_a_listing_sees_an_edit_that_keeps_size_and_time(tmp_path: Path, engine: str) -> None:
    root = tmp_path / "store"
    store = sessionstore.open(root, index=f"sqlite:///{tmp_path}/index.db" if engine == "sqlite" else None)
    session = store.create("Flight", metadata={"pilot": "Anna"})
    assert [row.metadata["pilot"] for row in store.find()] == ["Anna"]
    edited_unseen(session.folder / "session.json", b"Anna", b"Bela")
    assert [row.metadata["pilot"] for row in store.find()] == ["Bela"]
    assert [row.session_id for row in store.find("metadata.pilot=Bela")] == [session.session_id]
    assert not store.find("metadata.pilot=Anna")


def test_a_handle_and_its_update_see_an_edit_that_keeps_size_and_time(tmp_path: Path) -> None:
    session = SessionStore(tmp_path / "store").create("Flight", metadata={"pilot": "Anna"})
    assert session.record.metadata["pilot"] == "Anna"
    edited_unseen(session.folder / "session.json", b"Anna", b"Bela")
    assert session.record.metadata["pilot"] == "Bela"
    session.update(notes="checked")
    assert session.record.metadata["pilot"] == "Bela", "an update keeps what the hand wrote"


def test_a_store_at_rest_is_read_once_and_then_only_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own writes leave rows that fit their files: the rename of a new file counts as a change of it too."""
    from sessionstore.store import folder_rows

    store = SessionStore(tmp_path / "store")
    for number in range(5):
        store.create(f"Flight {number}").update(notes="x" * number)
    reads: list[str] = []
    read = folder_rows.read_row
    monkeypatch.setattr(folder_rows, "read_row", lambda *given: reads.append(given[1]) or read(*given))
    assert len(store.find()) == 5 and len(SessionStore(tmp_path / "store").find()) == 5
    assert reads == []
