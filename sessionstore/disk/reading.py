"""Reading, safe against the content of a copied folder: no symlink is followed, no FIFO is waited for.

A refused system call is StoreUnusable; a missing file is FileNotFoundError or None.
Not here: writing (disk.files).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Protocol

from sessionstore.errors import SessionStoreError, StoreUnusable, UnsafeFile

NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
NONBLOCK = getattr(os, "O_NONBLOCK", 0)  # a plain open of a FIFO waits for ever
CLOEXEC = getattr(os, "O_CLOEXEC", 0)
BINARY = getattr(os, "O_BINARY", 0)
_READ_FLAGS = os.O_RDONLY | NOFOLLOW | NONBLOCK | CLOEXEC | BINARY
TEMP_PREFIX = ".tmp-"  # of the file that will take another one's place
NOT_PLAIN_ERRORS = (errno.ELOOP, errno.ENXIO)  # what O_NOFOLLOW says to a link, and a socket to an open

AnyPath = str | Path


class Elsewhere(Protocol):
    """A file whose place here is taken by an empty one of its size, while its bytes lie elsewhere."""

    def fetch(self) -> None:
        """Put the bytes in place. Raises: SessionStoreError."""

    def size(self) -> int:
        """Return the bytes of the file."""

    def read_at(self, count: int, offset: int) -> bytes:
        """Return up to that many bytes from an offset on, fewer at the end only. Raises: SessionStoreError."""


#: The files of remote stores that are open in this process, by path; nearly always there are none (exchange.remote).
elsewhere: MutableMapping[str, Elsewhere] = {}


def refused(error: OSError, path: AnyPath) -> StoreUnusable:
    """Return the NotApplied form of a failed system call, errno and path kept."""
    return StoreUnusable(error.errno, error.strerror or str(error), str(path))


@contextlib.contextmanager
def refusals(path: AnyPath) -> Iterator[None]:
    """Turn an OSError into StoreUnusable; a missing file stays FileNotFoundError."""
    try:
        yield
    except (SessionStoreError, FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise refused(error, path) from error


def status(path: AnyPath, *, follow: bool = False) -> os.stat_result | None:
    """Return the status of what a path names; None when nothing is there. Raises: StoreUnusable."""
    try:
        return os.stat(path, follow_symlinks=follow)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise refused(error, path) from error


def stamp_of(status: os.stat_result) -> tuple[int, int, int, int]:
    """Return what changes when a file does: inode, size and both times (never one alone)."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def is_still(path: AnyPath, seen: os.stat_result) -> bool:
    """Whether a path names the very file that was seen, unchanged. Raises: OSError: nothing is there, or no answer."""
    return stamp_of(os.lstat(path)) == stamp_of(seen)


def after_rename(written: os.stat_result, path: AnyPath) -> os.stat_result:
    """Return the status of a file after its rename, which sets the ctime; as before when another program touched it."""
    with contextlib.suppress(OSError):
        now = os.lstat(path)
        if (now.st_ino, now.st_size, now.st_mtime_ns) == (written.st_ino, written.st_size, written.st_mtime_ns):
            return now
    return written


def changed_ns(status: os.stat_result) -> int:
    """Return when a file last changed, in ns since 1970: the later of mtime and ctime.

    A program can set the mtime of a file that it edited back (``touch -r``, ``rsync -t``), but not the ctime.
    """
    mtime_ns, ctime_ns = status.st_mtime_ns, status.st_ctime_ns
    return mtime_ns if mtime_ns > ctime_ns else ctime_ns


def is_folder(path: AnyPath, *, follow: bool = False) -> bool:
    """Whether a directory is there (with ``follow`` also a link to one). Raises: StoreUnusable: no answer."""
    found = status(path, follow=follow)
    return found is not None and stat.S_ISDIR(found.st_mode)


def holds(folder: str, name: str) -> bool:
    """Whether a real folder, no link to one, has an entry of this name. Raises: StoreUnusable: no answer."""
    return is_folder(folder) and status(f"{folder}/{name}") is not None


def entries(path: AnyPath) -> list[os.DirEntry[str]]:
    """Return what is in a directory; one that is not there holds nothing. Raises: StoreUnusable."""
    try:
        with os.scandir(path) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise refused(error, path) from error


@contextlib.contextmanager
def folder_opened(path: AnyPath) -> Iterator[int | None]:
    """Give a descriptor of a folder, from which many paths within it are looked up faster; None where there is none."""
    if os.stat not in os.supports_dir_fd:
        yield None
        return
    try:
        descriptor = os.open(path, _READ_FLAGS)
    except OSError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def folder_names(path: AnyPath) -> Iterator[str]:
    """Yield the names of the directories in a directory, as they come; what is not there holds none.

    Raises: StoreUnusable.
    """
    try:
        with os.scandir(path) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    yield entry.name
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise refused(error, path) from error


def is_emptied(path: AnyPath) -> bool:
    """Whether a folder is gone, or holds nothing but temporary files of a replace: what was in it was removed."""
    try:
        with refusals(path), os.scandir(path) as found:
            return all(each.name.startswith(TEMP_PREFIX) for each in found)
    except (FileNotFoundError, NotADirectoryError):
        return True


def is_plain(status: os.stat_result) -> bool:
    """Whether it is a regular file."""
    return stat.S_ISREG(status.st_mode)


def open_to_read(path: AnyPath) -> int:
    """Return a descriptor of a plain file.

    Raises:
        FileNotFoundError: nothing is there.
        UnsafeFile: a symlink, FIFO, device or directory is there.
        StoreUnusable: the file system refused.
    """
    return _opened_plain(path)[0]


def _opened_plain(path: AnyPath) -> tuple[int, os.stat_result]:
    if elsewhere and (remote := elsewhere.get(str(path))) is not None:
        remote.fetch()
    try:
        descriptor = os.open(path, _READ_FLAGS)
        return descriptor, checked(descriptor, path)
    except (FileNotFoundError, NotADirectoryError, SessionStoreError):
        raise
    except OSError as error:
        if error.errno in NOT_PLAIN_ERRORS:
            raise UnsafeFile("not a plain file", str(path)) from error
        raise refused(error, path) from error


def checked(descriptor: int, path: AnyPath) -> os.stat_result:
    """Return the status of an open plain file; anything else is closed. Raises: UnsafeFile."""
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode):
            return found
        raise UnsafeFile("not a plain file", str(path))
    except BaseException:
        os.close(descriptor)
        raise


@contextlib.contextmanager
def opened(path: AnyPath) -> Iterator[int]:
    """Give a descriptor of a plain file for reading, and close it. Raises: as :func:`open_to_read`."""
    descriptor = open_to_read(path)
    try:
        with refusals(path):
            yield descriptor
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def read_plainly(folder: int, name: str, limit: int) -> tuple[bytes, os.stat_result] | None:
    """Return the bytes and the status of a file below an open folder, by four calls; None: :func:`read` says why not.

    Args:
        folder: a descriptor; see :func:`folder_opened`.
        limit: bytes; a larger file is not read.
    """
    if elsewhere:
        return None
    try:
        descriptor = os.open(name, _READ_FLAGS, dir_fd=folder)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        size = found.st_size
        if size > limit or not stat.S_ISREG(found.st_mode):
            return None
        data = os.read(descriptor, size + 1)
        return (data, found) if len(data) == size else None  # it is being written: it is looked at again
    except OSError:
        return None
    finally:
        try:  # noqa: SIM105  # a context manager costs as much as a system call
            os.close(descriptor)
        except OSError:  # what was read is read
            pass


def read(path: AnyPath, limit: int | None = None) -> tuple[bytes, os.stat_result]:
    """Return the bytes of a plain file and the status of the very file they came from.

    Args:
        limit: refuse a file of more bytes, before it is read.

    Raises: as :func:`open_to_read`; UnsafeFile: it is larger than the limit.
    """
    descriptor, found = _opened_plain(path)
    try:
        if limit is not None and found.st_size > limit:
            raise UnsafeFile(f"it has {found.st_size:,} bytes; at most {limit:,} are read", str(path))
        wanted = found.st_size + 1
        data = os.read(descriptor, wanted)
        if len(data) < wanted:  # less than was asked for is the end
            return data, found
        parts = [data]  # it has grown meanwhile
        while part := os.read(descriptor, 1 << 20):
            parts.append(part)
        return b"".join(parts), found
    except OSError as error:
        raise refused(error, path) from error
    finally:
        with contextlib.suppress(OSError):  # what was read is read
            os.close(descriptor)
