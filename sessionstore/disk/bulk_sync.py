"""Making many new files durable at once: one syncfs where the system has it, else an fsync for each.

syncfs reports write errors since Linux 5.8 (man 2 syncfs); on older kernels every file is synced by itself.
Not here: the files (disk.files), their names (a rename and an fsync of its directory come after).
"""

from __future__ import annotations

import errno
import os
import platform
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

from sessionstore.disk import files

_SYNCFS_FROM = (5, 8)


def sync_trees(folders: Iterable[Path]) -> None:
    """Make all files and folders below these durable; they are on one file system.

    Raises: StoreUnusable: nothing may be taken for durable.
    """
    found = list(folders)
    call = _syncfs()
    if call is None or len(found) < 2:
        for folder in found:
            _sync_each(folder)
        return
    for folder in found if files.observer is not None else ():
        for path, is_folder in _below(folder):
            files.note("fsync_dir" if is_folder else "fsync", path)
    with files.refusals(found[0]):
        descriptor = os.open(found[0], os.O_RDONLY)
        try:
            call(descriptor, found[0])
        finally:
            os.close(descriptor)


def _sync_each(folder: Path) -> None:
    with files.refusals(folder):
        for path, is_folder in _below(folder):
            if is_folder:
                files.sync_dir(path)
                continue
            descriptor = files.open_to_read(path)
            try:
                files.sync_file(descriptor, path)
            finally:
                os.close(descriptor)


def _below(folder: Path) -> Iterable[tuple[str, bool]]:
    """Yield all files below a folder, then the folders, the innermost first."""
    for inner, _, names in os.walk(folder, topdown=False):
        for name in names:
            yield os.path.join(inner, name), False
        yield inner, True


@lru_cache(maxsize=1)
def _syncfs() -> Callable[[int, Path], None] | None:
    """Return the system call, or None where it is missing or does not report errors."""
    if not sys.platform.startswith("linux"):
        return None
    numbers = platform.release().split(".")[:2]
    if not all(number.isdigit() for number in numbers) or tuple(map(int, numbers)) < _SYNCFS_FROM:
        return None
    import ctypes

    function = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if function is None:
        return None

    def call(descriptor: int, path: Path) -> None:
        if function(descriptor) != 0:
            number = ctypes.get_errno() or errno.EIO
            raise OSError(number, os.strerror(number), str(path))

    return call
