"""Modes of what is made and replaced: two accounts work with one store when its folder is shared.

In a shared folder (setgid, and writable for its group) new files and folders are writable for the group, also under a
strict umask; a file that is replaced keeps its mode, and its owner and group where the system allows that.
Not here: the writes themselves (disk.files, which alone calls these functions).
"""

from __future__ import annotations

import contextlib
import os
import stat

from sessionstore.disk.reading import AnyPath

_SHARED = stat.S_ISGID | stat.S_IWGRP
_CAN_CHANGE = hasattr(os, "fchmod")  # Windows has no modes and no groups


def is_shared(folder: str) -> bool:
    """Whether a folder is of a group, whose members write in it."""
    try:
        return os.stat(folder or ".").st_mode & _SHARED == _SHARED
    except OSError:  # the next operation in this folder says why
        return False


def share_file(descriptor: int, path: AnyPath) -> None:
    """Let the group write a new file in a shared folder."""
    if _CAN_CHANGE and is_shared(os.path.dirname(path)):
        with contextlib.suppress(PermissionError):  # a mount that has one mode for all
            os.fchmod(descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) | 0o060)


def share_folder(path: AnyPath) -> bool:
    """Let the group write in a new folder of a shared folder, and in the folders that will be made in it.

    Returns: whether it is shared; what is made in one that is not has the modes that it needs.
    """
    if not _CAN_CHANGE or not is_shared(os.path.dirname(path)):
        return False
    with contextlib.suppress(PermissionError):
        os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) | stat.S_ISGID | 0o070)
    return True


def keep_access(descriptor: int, old: os.stat_result | None) -> None:
    """Give a file that replaces another its mode, and its owner and group where that is allowed."""
    if not _CAN_CHANGE or old is None or not stat.S_ISREG(old.st_mode):
        return
    new = os.fstat(descriptor)
    for owner, group in ((old.st_uid, -1), (-1, old.st_gid)):  # a group of one's own may be given, another owner not
        if (owner, group) not in ((new.st_uid, -1), (-1, new.st_gid)):
            with contextlib.suppress(PermissionError):
                os.fchown(descriptor, owner, group)
    if stat.S_IMODE(old.st_mode) != stat.S_IMODE(new.st_mode):
        with contextlib.suppress(PermissionError):
            os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
