"""Which records may differ from their rows, by what the kernel noted of their folders since they were compared.

A process that asks again and again need not look at every file each time (a stat each): the root and each session
folder are watched by inotify, and only what was written, replaced, copied, renamed or removed is compared. Nothing runs
between two questions; what happened waits in the kernel. Where too much happened, a folder cannot be watched, the
root is another folder by now, or after a fork, every file is compared again.
Not seen: a change through a hard link elsewhere, and of a file that is kept open until it is closed.
Not here: comparing (store.catalog, store.pages), the system calls (disk.inotify).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from sessionstore.disk import filesystem, inotify
from sessionstore.disk.append_file import renewed_after_fork
from sessionstore.index import View
from sessionstore.layout import DOCUMENT, StoreRoot

#: Of the watches that a user may have, this share: other programs (editors) need some.
SHARE = 0.75
#: Of sessions at least, and after this number of comparisons of all files, a process begins by itself.
MIN_SESSIONS, BEGIN_AFTER = 1000, 3
#: When it could not begin, it is tried again after this time.
RETRY_S = 60.0
_IN_ROOT = (
    inotify.CREATE | inotify.MOVED_TO | inotify.MOVED_FROM | inotify.DELETE | inotify.DELETE_SELF | inotify.MOVE_SELF
    | inotify.ONLYDIR
)  # fmt: skip
_IN_SESSION = (
    inotify.CLOSE_WRITE | inotify.MOVED_TO | inotify.MOVED_FROM | inotify.CREATE | inotify.DELETE | inotify.ATTRIB
    | inotify.ONLYDIR | inotify.DONT_FOLLOW
)  # fmt: skip
_LOST = inotify.OVERFLOW | inotify.UNMOUNT | inotify.DELETE_SELF | inotify.MOVE_SELF
_CAME, _WENT = inotify.CREATE | inotify.MOVED_TO, inotify.MOVED_FROM | inotify.DELETE


class _Lost(Exception):
    """Not all that happened is known."""


class _Watched:
    """One inotify instance on one root: the folders by the numbers of their watches, and what was written since."""

    def __init__(self, root: StoreRoot) -> None:
        """Watch all folders. Raises: OSError, _Lost."""
        self._text, self._identity = root.text, _identity(root.text)
        self._notes = inotify.Inotify()
        try:
            self._root = self._notes.add(root.text, _IN_ROOT)
            self._folders: dict[int, str] = {}
            self._watches: dict[str, int] = {}
            self.suspected: dict[str, int] = {}  # the sessions that may have changed, and the number of the last event
            self.last = 0
            self.verified: dict[type, Any] = {}  # the last view of each kind whose rows were all compared
            names = root.session_ids()
            if len(names) > inotify.most_watches() * SHARE:
                raise _Lost
            for name in names:
                self._watch(name)
        except BaseException:
            self._notes.close()
            raise

    def close(self) -> None:
        """End it."""
        self._notes.close()

    def take_in(self) -> None:
        """Take in what happened. Raises: OSError, _Lost."""
        if _identity(self._text) != self._identity:  # a folder above was renamed, or the root replaced
            raise _Lost
        for watch, what, name in self._notes.read():
            if what & _LOST:
                raise _Lost
            if watch == self._root:
                self._in_root(what, name)
            elif what & inotify.IGNORED:
                self._forget(watch)
            elif name == DOCUMENT and watch in self._folders:
                self._suspect(self._folders[watch])

    def _in_root(self, what: int, name: str) -> None:
        if not what & inotify.IS_DIR or name.startswith("."):
            return
        if what & _WENT:
            watch = self._watches.pop(name, None)
            if watch is not None:  # elsewhere it is no session of ours; renamed in here, it is watched anew
                self._folders.pop(watch, None)
                self._notes.remove(watch)
        elif what & _CAME:
            self._watch(name)
        self._suspect(name)  # after it is watched: what was in it before is compared now

    def _watch(self, name: str) -> None:
        try:
            watch = self._notes.add(f"{self._text}/{name}", _IN_SESSION)
        except (FileNotFoundError, NotADirectoryError):  # gone since, and noted; or a link
            return
        before = self._folders.get(watch)
        if before is not None and before != name:
            self._watches.pop(before, None)
        self._folders[watch] = name
        self._watches[name] = watch

    def _forget(self, watch: int) -> None:
        name = self._folders.pop(watch, None)
        if name is not None and self._watches.get(name) == watch:
            del self._watches[name]

    def _suspect(self, name: str) -> None:
        self.last += 1
        self.suspected[name] = self.last


class Asked(NamedTuple):
    """What was suspected before an index was looked at, and by whom; None: every file is to be compared."""

    suspected: Mapping[str, int]
    by: _Watched | None


_UNWATCHED = Asked({}, None)


class FileWatch:
    """Watches the files of one store once it has begun; safe for threads.

    A question has four steps: :meth:`ask`, look at the index, :meth:`suspects`, compare these, :meth:`compared`.
    """

    def __init__(self, root: StoreRoot) -> None:
        self._root = root
        self._mutex = threading.Lock()
        self._watched: _Watched | None = None
        self._passes = 0  # comparisons of all files by this process
        self._allowed = True
        self.is_on = False  # whether the files are watched
        self._not_before = 0.0
        renewed_after_fork(self)

    def renew_after_fork(self) -> None:
        """Leave the events to the parent."""
        self._mutex, self._passes = threading.Lock(), 0
        watched, self._watched, self.is_on = self._watched, None, False
        if watched is not None:
            watched.close()

    def begin(self) -> bool:
        """Watch the files from now on; return whether that can be. Every file is compared once more."""
        self._allowed = True
        if self.is_on:
            return True
        if not inotify.most_watches() or not filesystem.is_local(self._root.path):
            return False
        try:
            found = _Watched(self._root)
        except (OSError, _Lost):
            self._not_before = time.monotonic() + RETRY_S
            return False
        with self._mutex:
            before, self._watched, self.is_on = self._watched, found, True
        if before is not None:  # of a thread that was faster: what it had compared is compared again
            before.close()
        return True

    def end(self, for_good: bool = True) -> None:
        """Watch no more; for good: until :meth:`begin` is called."""
        with self._mutex:
            self._end()
            self._allowed = not for_good

    def _end(self) -> None:
        watched, self._watched, self._passes, self.is_on = self._watched, None, 0, False
        if watched is not None:
            watched.close()

    def ask(self) -> Asked:
        """Return what may have changed, before the index is looked at."""
        with self._mutex:
            if self._watched is None:
                return _UNWATCHED
            try:
                self._watched.take_in()
            except (OSError, _Lost):
                self._end()
                return _UNWATCHED
            return Asked(dict(self._watched.suspected), self._watched)

    def suspects(self, asked: Asked, view: View) -> set[str] | None:
        """Return the sessions whose files are to be compared with the rows of a view; None: all of them."""
        with self._mutex:
            watched = self._watched
            if watched is None or asked.by is not watched:
                return None
            earlier = watched.verified.get(type(view))
        if earlier is None or (changed := view.changed_since(earlier)) is None:
            return None
        return changed.union(asked.suspected)

    def is_verified(self, view: View) -> bool:
        """Whether the rows of a view are those whose files were compared, and the files are watched."""
        with self._mutex:
            earlier = None if self._watched is None else self._watched.verified.get(type(view))
        return earlier is not None and view.changed_since(earlier) == set()

    def compared(self, asked: Asked, view: View, stale: set[str]) -> None:
        """Note that the files were compared with the rows of a view, and which rows differ."""
        with self._mutex:
            watched = self._watched
            if watched is None or asked.by is not watched:
                return
            watched.verified[type(view)] = view
            for name, number in asked.suspected.items():
                if name not in stale and watched.suspected.get(name) == number:
                    del watched.suspected[name]
            for name in stale:
                watched.suspected.setdefault(name, 0)

    def count_pass(self) -> None:
        """Count a comparison of many files; a process that makes more of them had better watch."""
        self._passes += 1
        if self._passes >= BEGIN_AFTER and self._allowed and time.monotonic() >= self._not_before:
            self.begin()


def _identity(text: str) -> tuple[int, int]:
    found = os.stat(text)
    return found.st_dev, found.st_ino
