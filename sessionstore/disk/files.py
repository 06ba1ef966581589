"""Every write of this package: create, replace, append, rename, remove and fsync; nothing else opens for writing.

What returned is done as promised: :func:`put` and :func:`create` are durable on return (unless ``sync=False``),
a reader sees the old bytes or the new ones, and an error before the replace leaves the old ones in place.
Not here: reading (disk.reading; re-exported here), locks (disk.locks), formats (session, index).

Operations, named as :data:`observer` receives them: open, write, fsync, replace, fsync_dir, mkdir, rename, unlink,
rmdir, truncate, utime. The protocol and its reasons: docs/promises.md.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from sessionstore.disk.reading import (
    BINARY,
    CLOEXEC,
    NOFOLLOW,
    NONBLOCK,
    NOT_PLAIN_ERRORS,
    TEMP_PREFIX,
    AnyPath,
    after_rename,
    changed_ns,
    entries,
    folder_names,
    is_folder,
    is_plain,
    is_still,
    open_to_read,
    opened,
    read,
    refusals,
    refused,
    status,
)  # fmt: skip
from sessionstore.disk.rename import rename_noreplace, replace_patiently
from sessionstore.disk.sharing import keep_access, share_file, share_folder
from sessionstore.errors import Conflict, OutcomeUnknown, UnsafeFile

__all__ = [
    "changed_ns", "entries", "folder_names", "is_folder", "is_plain", "open_to_read", "opened", "read", "refusals",
    "refused", "status",
]  # fmt: skip

#: Called with (operation, path, payload) before each system call that changes the disk; what it raises is raised there:
#: for tests. The payload: the bytes of a write, the target of a rename, the size of a truncate.
Observer = Callable[[str, str, bytes | str | int | None], None]
observer: Observer | None = None
Missing = Callable[[AnyPath], None]  # called before a file is made: it may put it in place, or raise

_WINDOWS = sys.platform == "win32"


def note(operation: str, path: AnyPath, payload: bytes | str | int | None = None) -> None:
    """Report the next operation to the observer, when there is one."""
    if observer is not None:
        observer(operation, str(path), payload)


def _open_new(path: AnyPath, mode: int = 0o666, shared: bool = True) -> int:
    note("open", path)
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | NOFOLLOW | CLOEXEC | BINARY, mode)
    if shared and mode == 0o666:  # not a secret
        share_file(descriptor, path)
    return descriptor


def open_to_append(path: AnyPath, *, durable: bool) -> int:
    """Return the descriptor that :func:`opened_to_append` does. Raises: as it does."""
    return opened_to_append(path, durable=durable)[0]


def opened_to_append(path: AnyPath, *, durable: bool, missing: Missing | None = None) -> tuple[int, os.stat_result]:
    """Return a descriptor that appends to (and reads) a plain file, made when it is not there; and its status.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such directory.
        UnsafeFile: a symlink, FIFO, device or directory is there.
        StoreUnusable: the file system refused.
    """
    flags = os.O_RDWR | os.O_APPEND | NOFOLLOW | NONBLOCK | CLOEXEC | BINARY
    with refusals(path):
        try:
            try:
                descriptor = os.open(path, flags)
            except FileNotFoundError:
                if missing is not None:
                    missing(path)
                note("open", path)
                descriptor = os.open(path, flags | os.O_CREAT, 0o666)
                share_file(descriptor, path)
        except OSError as error:
            if error.errno not in NOT_PLAIN_ERRORS and not isinstance(error, IsADirectoryError):
                raise
            raise UnsafeFile("not a plain file", str(path)) from error
        try:
            if not stat.S_ISREG((found := os.fstat(descriptor)).st_mode):
                raise UnsafeFile("not a plain file", str(path))
            if durable and found.st_size == 0:
                # An empty file may be new, made by us or by a process that failed, died or has not come to this line
                # yet: the writer of the first byte makes the name durable.
                sync_dir(os.path.dirname(path))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor, found


def write_all(descriptor: int, data: bytes, path: AnyPath) -> None:
    """Write every byte; a short write is continued, an error leaves a prefix."""
    note("write", path, data)
    written = os.write(descriptor, data)
    while written < len(data):  # RLIMIT_FSIZE, a full disk or a signal can end a write half-way
        written += os.write(descriptor, memoryview(data)[written:])


def sync_file(descriptor: int, path: AnyPath, *, data_only: bool = False) -> None:
    """Make the content of an open file durable; once it failed, the same file must not be trusted again."""
    note("fsync", path)
    if data_only and hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
    else:
        os.fsync(descriptor)


def sync_dir(path: AnyPath) -> None:
    """Make the names in a directory durable: a rename or create lives in its directory, not in the file.

    Raises: StoreUnusable, FileNotFoundError: the names are there, and may be lost.
    """
    with contextlib.closing(_Directory(path)) as directory:
        directory.sync()


class _Directory:
    """An open directory, which can be synced also after it was moved.

    Raises: StoreUnusable, FileNotFoundError.
    """

    def __init__(self, path: AnyPath) -> None:
        self.path, self._descriptor = path, -1
        if not _WINDOWS:  # has no such call; NTFS journals its directories
            with refusals(path):
                self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | CLOEXEC)

    def sync(self) -> None:
        """Make the names in it durable. Raises: StoreUnusable: they are there, and may be lost."""
        note("fsync_dir", self.path)
        if self._descriptor >= 0:
            with refusals(self.path):
                os.fsync(self._descriptor)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):  # what was synced is synced
                os.close(descriptor)

    __del__ = close


def _unknown(error: OSError, what: str, directory: AnyPath) -> OutcomeUnknown:
    return OutcomeUnknown(error.errno, f"{what}, but not proven durable: {error.strerror}", str(directory))


class Proof:
    """What is left to do until a visible change is durable; it is acknowledged only after :meth:`complete`."""

    def __init__(self, path: AnyPath) -> None:
        """Raises: StoreUnusable, FileNotFoundError: nothing changed."""
        folder, self._name = os.path.split(path)
        self._folder = _Directory(folder or ".")

    def complete(self) -> None:
        """Sync the directory that holds the new name.

        Raises: OutcomeUnknown: the new bytes are visible, but a power cut may bring the old ones back.
        """
        try:
            self._folder.sync()
        except OSError as error:
            raise _unknown(error, f"{self._name} was replaced", self._folder.path) from error
        finally:
            self._folder.close()
            del self._folder


def put(path: AnyPath, data: bytes | Iterable[bytes], *, sync: bool = True) -> os.stat_result:
    """Replace a file: afterwards it holds exactly ``data`` (whole or in parts), durably, and is younger than before.

    Raises:
        FileNotFoundError, StoreUnusable: nothing changed, no temporary file is left.
        OutcomeUnknown: the new bytes are visible, but a power cut may bring the old ones back.
    """
    written, proof = put_visible(path, data, sync=sync)
    if proof is not None:
        proof.complete()
    return written


def put_visible(
    path: AnyPath, data: bytes | Iterable[bytes], *, sync: bool = True, seen: os.stat_result | None = None
) -> tuple[os.stat_result, Proof | None]:
    """Replace a file as :func:`put` does, all but the last step: the caller may release a lock before the proof.

    The next writer's directory fsync also covers this rename.

    Args:
        seen: the status of the file that was read: refuse to replace another one, or to bring back one that was removed
            while the new one was written (rm -rf of its folder).

    Raises: FileNotFoundError, StoreUnusable; Conflict: it is not the file that was seen: nothing changed.
    """
    folder, name = os.path.dirname(path), f"{TEMP_PREFIX}{os.getpid():x}-{os.urandom(4).hex()}"  # fits 255 bytes
    temporary = f"{folder}/{name}" if folder else name
    old = status(path) if seen is None else seen
    try:  # the new one is never readable for more accounts than the old one
        descriptor = _open_new(temporary, 0o666 if old is None else old.st_mode & 0o666 or 0o600)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise refused(error, path) from error
    try:
        try:
            for part in (data,) if isinstance(data, bytes) else data:
                write_all(descriptor, part, temporary)
            written = _date_after(descriptor, temporary, old)
            if sync:
                sync_file(descriptor, temporary)
        finally:
            os.close(descriptor)
        proof = Proof(path) if sync else None
        if seen is not None and not is_still(path, seen):
            raise Conflict(f"{path} was changed by another program since it was read")
        note("replace", temporary, str(path))
        if _WINDOWS:
            replace_patiently(temporary, path)
        else:
            os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            note("unlink", temporary)
            os.unlink(temporary)
        if isinstance(error, FileNotFoundError) or not isinstance(error, OSError):
            raise
        raise refused(error, path) from error
    return after_rename(written, path), proof


def _date_after(descriptor: int, temporary: str, old: os.stat_result | None) -> os.stat_result:
    """Make a new file younger than the one it replaces, and as accessible; return its status.

    Clocks tick every 4 ms, and are set back; two states of one size within a tick would look the same to a reader."""
    new = os.fstat(descriptor)
    if old is None:
        return new
    if (new.st_mode, new.st_uid, new.st_gid) != (old.st_mode, old.st_uid, old.st_gid):
        keep_access(descriptor, old)
    later_ns = max(old.st_mtime_ns, old.st_ctime_ns) + 1
    if new.st_mtime_ns >= later_ns:
        return new
    note("utime", temporary, later_ns)
    os.utime(temporary, ns=(later_ns, later_ns))
    return os.fstat(descriptor)


def create(
    path: AnyPath, data: bytes | Iterable[bytes], *, sync: bool = True, mode: int = 0o666, shared: bool = True
) -> os.stat_result:
    """Write a new file that must not exist yet; its directory is for the caller to sync.

    Args:
        mode: who may read it (0o600 for secrets), less what the umask takes.
        shared: whether its folder may be a shared one: what :func:`make_dir` returned.

    Raises: FileExistsError, StoreUnusable: nothing changed, no file is left.
    """
    try:
        descriptor = _open_new(path, mode, shared)
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError as error:
        raise refused(error, path) from error
    try:
        try:
            for part in (data,) if isinstance(data, bytes) else data:
                write_all(descriptor, part, path)
            if sync:
                sync_file(descriptor, path)
            return os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        with contextlib.suppress(OSError):
            note("unlink", path)
            os.unlink(path)
        raise refused(error, path) from error


def make_dir(path: AnyPath, *, exist_ok: bool = False, sync: bool = False) -> bool:
    """Make one directory (its parent must exist); ``sync`` makes its name durable. Return whether a group shares it.

    Raises:
        FileExistsError: only without ``exist_ok``.
        StoreUnusable: nothing changed.
    """
    note("mkdir", path)
    try:
        os.mkdir(path)
    except FileExistsError:
        if not exist_ok or not is_folder(path):
            raise
        return True
    except OSError as error:
        raise refused(error, path) from error
    shared = share_folder(path)
    try:
        if sync:
            sync_dir(os.path.dirname(path) or ".")
    except OSError as error:
        with contextlib.suppress(OSError):  # or the next one would find it, and take its name for durable
            note("rmdir", path)
            os.rmdir(path)
        raise refused(error, path) from error
    return shared


def make_dirs(path: Path) -> None:
    """Make a directory and what is missing above it, each durable in its parent."""
    if not is_folder(path, follow=True):
        make_dirs(path.parent)
        make_dir(path, exist_ok=True, sync=True)


def rename_new(source: AnyPath, target: AnyPath) -> None:
    """Give a file or directory a name that is not taken; the directories are for the caller to sync.

    Raises:
        FileExistsError: the name is taken (a plain rename would replace an empty directory without a word).
        FileNotFoundError: the source is gone.
        StoreUnusable: nothing changed.
    """
    note("rename", source, str(target))
    try:
        if _WINDOWS:
            os.rename(source, target)  # refuses a taken name by itself
        elif not rename_noreplace(os.fsencode(source), os.fsencode(target)):
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
            os.rename(source, target)  # callers hold the store lock, so what is lost here is at worst an empty folder
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError as error:
        raise refused(error, target) from error


def prove_renamed(*directories: AnyPath) -> None:
    """Make a rename durable in each directory that it touched.

    Raises: OutcomeUnknown: the rename is visible, a power cut may undo it.
    """
    for directory in directories:
        try:
            sync_dir(directory)
        except OSError as error:
            raise _unknown(error, "the rename is visible", directory) from error


def remove_tree(path: AnyPath) -> None:
    """Remove a folder and all below it, following no link (used on staging, trash and quarantine only).

    Raises: StoreUnusable: part of it may be gone; what is left can be removed again.
    """
    note("rmdir", path)
    try:
        shutil.rmtree(path)
    except OSError as error:
        raise refused(error, path) from error


def truncate(descriptor: int, size: int, path: AnyPath) -> None:
    """Cut an open file back to ``size`` bytes (the bytes behind must be in quarantine, or never acknowledged)."""
    note("truncate", path, size)
    os.ftruncate(descriptor, size)


def remove(path: AnyPath) -> None:
    """Remove one file; one that is gone already is fine."""
    note("unlink", path)
    with contextlib.suppress(FileNotFoundError), refusals(path):
        os.unlink(path)
