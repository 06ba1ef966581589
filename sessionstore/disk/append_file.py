"""One append-only file shared by many processes: opened, locked for one write, written whole, synced.

Between :meth:`AppendFile.lock` and ``unlock`` no other process writes; a failed write is truncated away, so that a full
disk leaves no torn line. The path is checked under the lock: a file that was deleted, moved to the trash or replaced by
a compaction is noticed before a byte is written to the wrong place.
Not here: the lines (session.stream_writer, index.journal.file), fsync in the background (session.stream_writer).
"""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, Protocol

from sessionstore.disk import files
from sessionstore.disk.locks import DEFAULT_TIMEOUT_S, lock_descriptor, unlock_descriptor
from sessionstore.errors import OutcomeUnknown, SessionGone, SessionStoreError, StoreUnusable, UnsafeFile

_fork_count = 0
_owners: weakref.WeakSet[Renewed] = weakref.WeakSet()


class Renewed(Protocol):
    """What holds a lock between threads, and gets a new one in a child process."""

    def renew_after_fork(self) -> None:
        """Forget a lock that another thread of the parent held."""
        ...


def renewed_after_fork(owner: Renewed) -> None:
    """Call ``owner.renew_after_fork()`` in every child: a lock that is held at a fork stays held there."""
    _owners.add(owner)


class AppendFile:
    """The open file; not safe for threads by itself.

    Args:
        path: made by the first lock, when its directory exists.
        durable: whether making it syncs the directory.
        pinned: the folder of the file must stay the same: another folder of that name is another session.
        missing: called before the file is made: it may put it in place, or raise.
        left_over: asked of an empty file under its lock; True: it counts for nothing and is removed, then looked for
            again.
    """

    def __init__(
        self,
        path: Path,
        durable: bool = True,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        pinned: bool = False,
        missing: Callable[[Path | str], None] | None = None,
        left_over: Callable[[Path | str], bool] | None = None,
    ) -> None:
        self.path = path
        self.descriptor = -1
        self._synced_when_closed = False  # by an unlock that failed
        self.opened = 0  # counts the files that were behind this path: a change makes offsets void
        self._text_path = str(path)
        self._bytes_path = os.fsencode(path)  # looked at before each write
        self._durable = durable
        self._timeout_s = timeout_s
        self._identity = (0, 0)
        self._folder: tuple[int, int] | None = None  # the one that the file was first opened in
        self._pinned, self._missing, self._left_over = pinned, missing, left_over
        self._forks = 0

    def lock(self, timeout_s: float | None = None) -> int:
        """Lock the file that the path names now, and return its size.

        Args:
            timeout_s: how long to wait for others, where not as long as usual.

        Raises: SessionGone (no such directory), UnsafeFile, LockTimeout, StoreUnusable: nothing is locked.
        """
        for _ in range(100):  # each round, the file was replaced between open and lock
            if self.descriptor < 0 or self._forks != _fork_count:
                self._open()
            try:
                wait_s = self._timeout_s if timeout_s is None else timeout_s
                lock_descriptor(self.descriptor, self._text_path, wait_s, asking=True)
                found = os.lstat(self._bytes_path)
                if (found.st_dev, found.st_ino) == self._identity:
                    if found.st_size or self._left_over is None:
                        return found.st_size
                    if self._left_over(self.path):
                        files.remove(self.path)
                    elif self.is_in_place():  # else its folder was moved before the other form was looked for
                        return found.st_size
            except (FileNotFoundError, NotADirectoryError):
                pass
            except BaseException as error:  # also Ctrl-C: a handle that lives on would keep everybody out
                self.close()  # and with it the lock
                if isinstance(error, OSError) and not isinstance(error, SessionStoreError):
                    raise files.refused(error, self.path) from error
                raise
            self.unlock()
            self.close()
        raise StoreUnusable(f"{self.path} is being replaced again and again")

    def unlock(self) -> None:
        """Let others write."""
        if self._forks != _fork_count:  # the lock is the parent's, and goes on
            self.close()
            return
        try:
            unlock_descriptor(self.descriptor)
        except OSError:
            with contextlib.suppress(OutcomeUnknown):  # else the next sync reports it
                self.sync()
                self._synced_when_closed = True
            self.close()  # and with it the lock

    def close(self) -> None:
        """Close the file; the next lock opens it again."""
        if self.descriptor >= 0:
            # Forgotten first: closed twice, the number could be another file by then.
            descriptor, self.descriptor = self.descriptor, -1
            with contextlib.suppress(OSError):  # nothing is waiting in it: every write went straight to the system
                os.close(descriptor)

    def __del__(self) -> None:
        self.close()

    def _open(self) -> None:
        self.close()
        self._check_folder()
        try:
            descriptor, found = files.opened_to_append(self._text_path, durable=self._durable, missing=self._missing)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise SessionGone(f"{self.path.parent} is gone; nothing was written to {self.path.name}") from error
        if self._pinned and found.st_nlink > 1:
            os.close(descriptor)
            raise UnsafeFile("it has a second name (a hard link): appending would change the other too", self.path)
        self.descriptor, self._forks, self._identity = descriptor, _fork_count, (found.st_dev, found.st_ino)
        self.opened += 1
        self._synced_when_closed = False

    def is_in_place(self) -> bool:
        """Whether the path still names the open file."""
        try:
            found = os.lstat(self._text_path)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def _check_folder(self) -> None:
        if not self._pinned:
            return
        found = files.status(self.path.parent)
        identity = None if found is None else (found.st_dev, found.st_ino)
        if identity is None or self._folder not in (None, identity):
            raise SessionGone(f"{self.path.parent} is gone, or another folder by now; nothing was written")
        self._folder = identity

    def write(self, data: bytes, size: int) -> int:
        """Append whole lines to the locked file of this size, and return its new size.

        Raises:
            StoreUnusable: nothing was written.
            OutcomeUnknown: a part may be there, and could not be taken back.
        """
        try:
            files.write_all(self.descriptor, data, self._text_path)
        except OSError as error:
            self.take_back(error, size)
        return size + len(data)

    def write_unlocked(self, data: bytes) -> int:
        """Append by one write, which the system puts behind those of all others; return where it ends.

        For a local file system whose kernel places each append; who reads must bear a torn end.

        Raises: SessionGone, UnsafeFile, StoreUnusable: nothing is there, or a part of it.
        """
        if self.descriptor < 0 or self._forks != _fork_count:
            self._open()
        with files.refusals(self.path):
            files.write_all(self.descriptor, data, self._text_path)
            return self.end()

    def end(self) -> int:
        """Return where the last write ended, which another one may have pushed further than was known before it."""
        return os.lseek(self.descriptor, 0, os.SEEK_CUR)

    def take_back(self, error: OSError, size: int) -> NoReturn:
        """Cut what a failed write left behind the size before it, and raise. Raises: as :meth:`write`."""
        try:
            files.truncate(self.descriptor, size, self._text_path)  # a short write must not become a torn line
        except OSError as second:
            reason = f"a write failed ({error.strerror}) and so did taking it back ({second.strerror})"
            raise OutcomeUnknown(error.errno, reason, self._text_path) from second
        raise files.refused(error, self.path) from error

    def sync(self) -> None:
        """Make what was written durable.

        Raises: OutcomeUnknown: and never to be tried again on this file, since the kernel forgets what failed.
        """
        if self.descriptor < 0:
            if self._synced_when_closed:
                return
            raise OutcomeUnknown("the file had to be closed before it was synced", self._text_path)
        try:
            files.sync_file(self.descriptor, self._text_path, data_only=True)
        except OSError as error:
            raise OutcomeUnknown(error.errno, f"fsync failed: {error.strerror}", self._text_path) from error

    def inherited(self) -> bool:
        """Whether the open file was opened before a fork, and is the parent's."""
        return self._forks != _fork_count


def _after_fork() -> None:
    """A child shares its parent's open files, and with them their locks: it opens its own."""
    global _fork_count
    _fork_count += 1
    for owner in list(_owners):
        owner.renew_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
