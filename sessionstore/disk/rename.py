"""Renames that Python lacks: one that never replaces anything (renameat2), and one that waits for Windows.

Not here: what is renamed, and what happens where the system has no such call (files).
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable

from sessionstore.disk.reading import AnyPath

#: How many names this process has moved: a file that is kept open may be elsewhere by now.
moves = 0


def rename_noreplace(source: bytes, target: bytes) -> bool:
    """Rename by renameat2(RENAME_NOREPLACE), Linux 3.15 and glibc 2.28; False where the system has no such call."""
    global moves
    moves += 1
    call = _renameat2()
    if call is None:
        return False
    import ctypes

    if call(-100, source, -100, target, 1) == 0:  # AT_FDCWD = -100, RENAME_NOREPLACE = 1 (linux/fs.h)
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS):  # the kernel or this file system does not know the flag
        return False
    raise OSError(number, os.strerror(number), os.fsdecode(target))


def replace_patiently(source: AnyPath, target: AnyPath) -> None:
    """Replace a file on Windows, where a virus scanner or an editor may hold the target for a moment."""
    for attempt in range(10):
        try:
            os.replace(source, target)
            return
        except OSError as error:
            if getattr(error, "winerror", None) not in (5, 32, 33) or attempt == 9:
                raise
        time.sleep(0.05 * (attempt + 1))


_renameat2_found: list[Callable[[int, bytes, int, bytes, int], int] | None] = []


def _renameat2() -> Callable[[int, bytes, int, bytes, int], int] | None:
    if not _renameat2_found:
        import ctypes

        _renameat2_found.append(
            getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform.startswith("linux") else None
        )
    return _renameat2_found[0]
