"""Where a store may lie: judged by the type in the mount table, refused at the first write, forced on request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import sessionstore
from sessionstore.disk import filesystem
from sessionstore.errors import StoreNotFound, UnsafeFilesystem

Mount = Callable[..., None]


@pytest.fixture
def mounted_as(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Mount]:
    """Return a function that makes the test's folder look mounted as a type of file system."""

    def mount(kind: str, options: str = "rw") -> None:
        point = str(tmp_path.resolve()).replace("\\", "\\134").replace(" ", "\\040")
        table = tmp_path / "mountinfo"
        table.write_text(
            f"22 1 0:1 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
            f"99 22 0:99 / {point} {options} - {kind} host:/share rw\n"
            "damaged line\n"
        )
        monkeypatch.setattr(filesystem, "_MOUNTS", str(table))
        filesystem._of_device.cache_clear()

    yield mount
    filesystem._of_device.cache_clear()


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse", "fuse.sshfs", "vboxsf", "virtiofs"])
def test_a_shared_file_system_is_refused_at_the_first_write(mounted_as: Mount, tmp_path: Path, kind: str) -> None:
    mounted_as(kind)
    with sessionstore.open(tmp_path / "store") as store:
        with pytest.raises(StoreNotFound):  # looking is allowed, and makes nothing
            store.find()
        with pytest.raises(UnsafeFilesystem, match=f"lies on {kind} .*SESSIONSTORE_FORCE=1"):
            store.create("refused")
        assert not (tmp_path / "store").exists()


def test_an_update_of_a_copied_folder_is_refused_too(mounted_as: Mount, tmp_path: Path) -> None:
    with sessionstore.open(tmp_path / "store") as store:
        session_id = store.create("made before").session_id
    mounted_as("nfs4")
    with sessionstore.open(tmp_path / "store") as store:
        before = store.get(session_id).record
        with pytest.raises(UnsafeFilesystem):
            store.update(session_id, notes="lost")
        assert store.get(session_id).record == before


def test_listing_copied_folders_writes_not_even_the_index(mounted_as: Mount, tmp_path: Path) -> None:
    with sessionstore.open(tmp_path / "store") as store:
        session_id = store.create("made before").session_id
        (tmp_path / "store" / "index.jsonl").unlink()
    mounted_as("cifs")
    with sessionstore.open(tmp_path / "store") as store:
        assert [row.session_id for row in store.find()] == [session_id]
        assert store.get("made before").session_id == session_id
    assert not (tmp_path / "store" / "index.jsonl").exists()


def test_force_writes_all_the_same(mounted_as: Mount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted_as("nfs")
    with sessionstore.open(tmp_path / "by argument", force=True) as store:
        store.update(store.create("one").session_id, notes="kept")
    monkeypatch.setenv("SESSIONSTORE_FORCE", "0")
    with sessionstore.open(tmp_path / "not forced") as store, pytest.raises(UnsafeFilesystem):
        store.create("two")
    monkeypatch.setenv("SESSIONSTORE_FORCE", "1")
    with sessionstore.open(tmp_path / "by environment") as store:
        assert store.create("three").record.status == "created"


@pytest.mark.parametrize(("kind", "safe"), [("ext4", True), ("btrfs", True), ("overlay", True), ("newfs", None)])
def test_local_and_unknown_ones_are_used(mounted_as: Mount, tmp_path: Path, kind: str, safe: bool | None) -> None:
    mounted_as(kind)
    found = filesystem.of(tmp_path / "not" / "there yet")
    assert (found.kind, found.safe, found.mount) == (kind, safe, str(tmp_path.resolve()))
    with sessionstore.open(tmp_path / "store") as store:
        store.create("fine")


def test_of_two_mounts_at_one_point_the_later_one_counts_and_blanks_in_names_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "two words"
    place.mkdir()
    point = str(place.resolve()).replace(" ", "\\040")
    table = tmp_path / "mountinfo"
    table.write_text(f"1 0 0:1 / {point} rw - nfs a rw\n2 1 0:2 / {point} ro,nosuid shared:3 - xfs b rw\n")
    monkeypatch.setattr(filesystem, "_MOUNTS", str(table))
    found = filesystem.of(place)
    assert (found.kind, found.safe, found.read_only) == ("xfs", True, True)


def test_without_a_mount_table_nothing_is_known_and_nothing_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(filesystem, "_MOUNTS", str(tmp_path / "no such table"))
    filesystem._of_device.cache_clear()
    assert filesystem.of(tmp_path).safe is None
    filesystem.refuse_unsafe(tmp_path)
    filesystem._of_device.cache_clear()


def test_a_neighbour_whose_name_begins_the_same_is_not_inside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data2").mkdir()
    table = tmp_path / "mountinfo"
    table.write_text(f"1 0 0:1 / / rw - ext4 a rw\n2 1 0:2 / {tmp_path.resolve()}/data rw - nfs b rw\n")
    monkeypatch.setattr(filesystem, "_MOUNTS", str(table))
    assert filesystem.of(tmp_path / "data2").kind == "ext4"
    assert filesystem.of(tmp_path / "data" / "x").kind == "nfs"
