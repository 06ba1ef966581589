"""inotify(7): the kernel notes what happens in watched folders; reading the notes costs nothing while nothing happens.

Linux only, by the system calls of the C library. The numbers are those of linux/inotify.h.
Not here: what the events mean for a store (store.watching), whether a file system is local (disk.filesystem).
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

ATTRIB, CLOSE_WRITE, MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x4, 0x8, 0x40, 0x80, 0x100, 0x200
DELETE_SELF, MOVE_SELF = 0x400, 0x800
UNMOUNT, OVERFLOW, IGNORED = 0x2000, 0x4000, 0x8000
ONLYDIR, DONT_FOLLOW, IS_DIR = 0x1000000, 0x2000000, 0x40000000
_MOST_WATCHES = "/proc/sys/fs/inotify/max_user_watches"
_BUFFER_BYTES = 1 << 18
_HEAD = struct.Struct("iIII")


class Event(NamedTuple):
    """One note: the number of the watch (-1: of none), what happened, and the name within the folder."""

    watch: int
    what: int
    name: str


@lru_cache(maxsize=1)
def _library() -> Any:
    """Return the C library, or None where it has no such calls."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "inotify_init1"):
        return None
    library.inotify_add_watch.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32]
    library.inotify_rm_watch.argtypes = [ctypes.c_int, ctypes.c_int]
    return library


def most_watches() -> int:
    """Return how many watches the programs of one user may have together; 0: there is no inotify."""
    if _library() is None:
        return 0
    try:
        return int(Path(_MOST_WATCHES).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


class Inotify:
    """An instance of its own. Raises: OSError: there is no inotify, or the user has too many instances."""

    def __init__(self) -> None:
        self.descriptor = -1
        library = _library()
        if library is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        self._add, self._remove = library.inotify_add_watch, library.inotify_rm_watch
        self.descriptor = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.descriptor < 0:
            raise _failure()

    def __del__(self) -> None:
        self.close()

    def add(self, folder: str, events: int) -> int:
        """Watch a folder; return its number, the same one for the same folder. Raises: OSError."""
        found: int = self._add(self.descriptor, os.fsencode(folder), events)
        if found < 0:
            raise _failure(folder)
        return found

    def remove(self, watch: int) -> None:
        """Watch a folder no more; one that is gone is watched no more by itself."""
        self._remove(self.descriptor, watch)

    def read(self) -> list[Event]:
        """Return the events since the last call, oldest first. Raises: OSError."""
        found: list[Event] = []
        while True:
            try:
                data = os.read(self.descriptor, _BUFFER_BYTES)
            except BlockingIOError:
                return found
            at = 0
            while at < len(data):
                watch, what, _, length = _HEAD.unpack_from(data, at)
                at += _HEAD.size
                found.append(Event(watch, what, os.fsdecode(data[at : at + length].rstrip(b"\0")) if length else ""))
                at += length

    def close(self) -> None:
        """End it; in a forked child the parent's goes on."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _failure(path: str | None = None) -> OSError:
    import ctypes

    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), path)
