"""Reading a file: all of it as it is, from a plain file only, with as few system calls as that takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sessionstore.disk import files
from sessionstore.errors import UnsafeFile


@pytest.mark.parametrize("size", [0, 1, 4096, 1 << 20, (1 << 20) + 1])
def test_a_file_is_read_whole(size: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(size))
    data, status = files.read(path)
    assert data == path.read_bytes() and status.st_size == size and status.st_ino == path.stat().st_ino


@pytest.mark.parametrize("more", [1, 4096, (2 << 20) + 1])
def test_what_grows_while_it_is_read_is_read_to_its_end(
    more: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"begin")
    fstat = os.fstat

    def grown(descriptor: int) -> os.stat_result:
        found = fstat(descriptor)
        with path.open("ab") as file:
            file.write(b"x" * more)
        return found

    monkeypatch.setattr(os, "fstat", grown)
    data, status = files.read(path)
    monkeypatch.undo()
    assert data == b"begin" + b"x" * more == path.read_bytes()
    assert status.st_size == 5  # who compares it with the file sees that it has changed since


def test_what_is_no_plain_file_is_refused_and_closed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("secret")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for name in ("link", "folder", "fifo"):
        with pytest.raises(UnsafeFile):
            files.read(tmp_path / name)
    assert before == (len(os.listdir("/proc/self/fd")) if before else 0)
    with pytest.raises(FileNotFoundError):
        files.read(tmp_path / "nothing")
