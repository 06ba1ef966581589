"""Locks between processes and threads: held for milliseconds, freed at once when the holder dies, never stolen.

:class:`Locks` gives the store lock and one of 256 session locks, as lock files that are never deleted and never
taken for stale; :func:`lock_descriptor` locks an append-only file by its own descriptor, a hundred times cheaper.
The store lock is filelock's; a session's, taken by every update, is the same system call without its 57 us of Python.
Lock order: store, then one session, then the index or a stream; never the other way, never two sessions.
Not here: which operation needs which lock (store), file systems whose locks cannot be trusted (filesystem).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sessionstore.disk import bell, files, filesystem
from sessionstore.errors import LockTimeout, StoreUnusable

if TYPE_CHECKING:
    from filelock import BaseFileLock

DEFAULT_TIMEOUT_S = 10.0
_SHORTEST_S, _LONGEST_S = 0.0001, 0.004
_POLL_S = 0.002  # a lock is held for about a millisecond: waiting longer than twice that wastes a turn


class _Known(NamedTuple):
    """One lock object of filelock, and the descriptor of its last acquisition."""

    lock: BaseFileLock
    opened: deque[int]


class _OfThread(threading.local):
    """The lock objects of one thread, by path, and the process that made them.

    Each thread has its own objects: replacing one after a failed release leaves those of the other threads valid.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.known: dict[str, _Known] = {}


class Locks:
    """The lock files of one store.

    A fixed number of slots, since a lock file must never be deleted: one per session would pile up for ever.
    """

    def __init__(self, folder: Path, timeout_s: float = DEFAULT_TIMEOUT_S, force: bool = False) -> None:
        self._folder, self._text_folder = folder, str(folder)  # joining Paths is slow
        self._timeout_s = timeout_s
        self._force = force  # use a file system whose locks cannot be trusted all the same
        self._mine = _OfThread()
        self._prepared = False

    def store(self, timeout_s: float | None = None) -> contextlib.AbstractContextManager[None]:
        """Hold the store lock: creating, deleting, restoring, compacting."""
        return self._hold("store", self._timeout_s if timeout_s is None else timeout_s)

    def session(self, session_id: str) -> contextlib.AbstractContextManager[None]:
        """Hold the lock of one session (shared with 1 in 256 others): documents and status."""
        return _Slot(self, f"{self._text_folder}/{_slot_of(session_id)}")

    @property
    def timeout_s(self) -> float:
        """How long a lock is waited for."""
        return self._timeout_s

    def file_of(self, path: str) -> tuple[int, os.stat_result]:
        """Open a lock file, made when it is not there. Raises: StoreUnusable, UnsafeFilesystem."""
        if not self._prepared:
            self._prepare()
        try:
            return files.opened_to_append(path, durable=False)
        except FileNotFoundError as error:  # the folder went away: the store was moved or removed
            self._prepared = False
            if files.is_folder(self._folder.parent) and not files.is_folder(self._folder):
                return self.file_of(path)  # only the lock files were removed, by hand
            raise files.refused(error, path) from error

    def _prepare(self) -> None:
        if not self._prepared:
            filesystem.refuse_unsafe(self._folder, self._force)
            files.make_dirs(self._folder)
            self._prepared = True

    @contextlib.contextmanager
    def _hold(self, name: str, timeout_s: float) -> Iterator[None]:
        from filelock import Timeout

        path = f"{self._text_folder}/{name}.lock"
        known = self._lock(path)
        try:
            known.lock.acquire(timeout=timeout_s, poll_interval=_POLL_S)
        except Timeout as error:
            raise LockTimeout(f"{path} was not free within {timeout_s:.3g} s") from error
        except OSError as error:
            raise files.refused(error, path) from error
        except RuntimeError as error:  # filelock refuses to use the lock object in its present state
            raise StoreUnusable(errno.ENOLCK, f"cannot lock: {error}", path) from error
        try:
            yield
        finally:
            outermost = known.lock.lock_counter == 1
            try:
                with contextlib.suppress(OSError):  # the operation is complete; the lock is freed below
                    known.lock.release()
            finally:
                if outermost and known.lock.is_locked:
                    self._abandon(path, known)

    def _lock(self, path: str) -> _Known:
        if self._mine.pid != os.getpid():  # filelock refuses a lock object that was made before a fork
            self._mine.pid, self._mine.known = os.getpid(), {}
        known = self._mine.known.get(path)
        if known is None:
            from filelock import FileLock

            self._prepare()
            os.close(self.file_of(path)[0])  # made with the mode that a shared folder needs
            opened: deque[int] = deque(maxlen=1)
            # A soft lock outlives its holder's crash, so a file system without flock is refused instead.
            lock = FileLock(path, fallback_to_soft=False, on_acquired=opened.append)
            known = self._mine.known[path] = _Known(lock, opened)
        return known

    def _abandon(self, path: str, known: _Known) -> None:
        """Free a lock that the system refused to unlock: close its file, and forget the object that counts it as held.

        filelock keeps the number of the descriptor, and unlocks and closes that number later. If it were closed here,
        another file could have the number by then; so the null device takes the number until filelock closes it.
        """
        self._mine.known.pop(path, None)
        with contextlib.suppress(OSError):
            null = os.open(os.devnull, os.O_RDONLY)
            try:
                os.dup2(null, known.opened[-1], inheritable=False)  # closes the lock file, and that frees the lock
            finally:
                os.close(null)
        with contextlib.suppress(OSError):
            known.lock.release(force=True)


@lru_cache(maxsize=1024)
def _slot_of(session_id: str) -> str:
    return "session-" + hashlib.blake2b(session_id.encode(), digest_size=1).hexdigest() + ".lock"


class _Slot:
    """One lock file, opened and locked within a ``with``; an object for one use.

    Opened anew each time: a descriptor that is kept would live on in a forked child, and with it a dead parent's lock.
    Each open has a lock of its own, so that threads exclude each other too.
    """

    __slots__ = ("_descriptor", "_locks", "_path")

    def __init__(self, locks: Locks, path: str) -> None:
        self._locks, self._path, self._descriptor = locks, path, -1

    def __enter__(self) -> None:
        path = self._path
        while True:
            self._descriptor, found = self._locks.file_of(path)
            try:
                lock_descriptor(self._descriptor, path, self._locks.timeout_s)
                if _names(path, found):
                    return
            except BaseException:  # also Ctrl-C: it would stay locked
                self._free()
                raise
            self._free()

    def __exit__(self, *_: object) -> None:
        self._free()

    def _free(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            try:
                with contextlib.suppress(OSError):  # what was done is done, and the close below frees it as well
                    unlock_descriptor(descriptor)  # a child forked meanwhile has the file open too
            finally:
                with contextlib.suppress(OSError):  # or what was done would go unproven
                    os.close(descriptor)

    __del__ = _free  # an interrupt came between locking and the block


def _names(path: str, opened: os.stat_result) -> bool:
    """Whether the path still names the open file: a lock file may have been deleted by hand."""
    try:
        found = os.lstat(path)
        return (found.st_ino, found.st_dev) == (opened.st_ino, opened.st_dev)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise files.refused(error, path) from error


def lock_descriptor(descriptor: int, path: str, timeout_s: float = DEFAULT_TIMEOUT_S, asking: bool = False) -> None:
    """Lock an open file for this descriptor; the system frees it when the descriptor closes or the process dies.

    Args:
        asking: whether a holder that keeps the lock between its writes is asked to free it (see :mod:`bell`).

    Raises:
        LockTimeout: a stopped process may hold it, which is named where the system says so; nothing changed.
        StoreUnusable: the file system has no locks.
    """
    try:
        if _try_lock(descriptor):
            return
        with bell.ringing(os.path.dirname(path) or ".") if asking else contextlib.nullcontext():
            _wait(descriptor, path, timeout_s)
    except LockTimeout:
        raise
    except OSError as error:
        raise StoreUnusable(error.errno, f"cannot lock: {error.strerror}", path) from error


def _wait(descriptor: int, path: str, timeout_s: float) -> None:
    begin = time.monotonic()
    while not _try_lock(descriptor):
        waited = time.monotonic() - begin
        if waited > timeout_s:
            raise LockTimeout(f"{path} was not free within {timeout_s:.3g} s{bell.holder_of(descriptor)}")
        time.sleep(min(_LONGEST_S, _SHORTEST_S + waited / 4))


if os.name == "nt":
    import msvcrt

    _FAR = 0x7FFF_0000  # a byte far behind any content: Windows locks keep others from reading what they cover

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except PermissionError:
            return False
        return True

    def unlock_descriptor(descriptor: int) -> None:
        """Unlock a file locked by :func:`lock_descriptor`."""
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined,unused-ignore]
else:
    import fcntl

    _EXCLUSIVE = fcntl.LOCK_EX | fcntl.LOCK_NB
    _UNLOCK = fcntl.LOCK_UN

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, _EXCLUSIVE)
        except BlockingIOError:
            return False
        return True

    def unlock_descriptor(descriptor: int) -> None:
        """Unlock a file locked by :func:`lock_descriptor`."""
        fcntl.flock(descriptor, _UNLOCK)
