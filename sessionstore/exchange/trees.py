"""The files of one session, wherever they are: a folder, an archive, a remote store.

A tree lists plain files by their relative names and gives their bytes; a sealed stream of a folder is listed as the
plain one, with its bytes, so that copies of a session are compared and sent by their lines. Links, devices, names that
would leave the folder, and names that some file system takes for one are left out; they are listed as ``unsafe`` with
the reason.
Not here: what the files mean (session), archives as a whole (exchange.bundle), finding the trees (exchange.sources).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from sessionstore.disk import files
from sessionstore.errors import Corrupt, NewerFormat, StoreUnusable, UnsafeFile
from sessionstore.layout import DOCUMENT
from sessionstore.session import stream_names, stream_source
from sessionstore.session.sealed_form import SUFFIX

CHUNK_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_NAME_BYTES = 1024
_ROUNDS = 10


class Tree(Protocol):
    """The files of one session.

    Attributes:
        name: the name of the folder.
        sizes: bytes of each plain file, by its relative name with ``/``.
        unsafe: what was left out, by name, with the reason.
    """

    name: str
    sizes: dict[str, int]
    unsafe: dict[str, str]

    def chunks(self, file: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of a file from ``start`` up to ``end``.

        Raises: StoreUnusable: it cannot be read, or it is shorter than listed. Corrupt: its archive is damaged.
        """

    def changed(self, file: str) -> bool:
        """Whether a file was replaced since the tree was listed. Raises: StoreUnusable: it is gone."""


def read_whole(tree: Tree, file: str) -> bytes:
    """Return all bytes of a file. Raises: StoreUnusable."""
    if isinstance(tree, FolderTree):
        return tree.whole(file)
    return b"".join(tree.chunks(file, 0, tree.sizes[file]))


@lru_cache(maxsize=4096)
def problem_of_name(name: str) -> str | None:
    """Return why a relative name cannot be used on every system, or None."""
    parts = name.split("/")
    if not name or name.startswith("/") or "\\" in name or "\0" in name or (len(name) > 1 and name[1] == ":"):
        return "the name is absolute or holds a backslash"
    if any(part in ("", ".", "..") for part in parts):
        return "the name leaves its folder"
    if len(parts) > MAX_DEPTH or len(os.fsencode(name)) > MAX_NAME_BYTES:
        return "the name is too long or too deep"
    if any(ord(letter) < 32 for letter in name):
        return "the name holds a control character"
    return None


@lru_cache(maxsize=4096)
def folded(name: str) -> str:
    """Return what two names share when some file system takes them for one."""
    return unicodedata.normalize("NFKC", name).casefold()


def twins(names: Iterable[str]) -> dict[str, str]:
    """Return the names that some file system takes for an earlier one, each with that one."""
    seen: dict[str, str] = {}
    found = {}
    for name in sorted(names):
        first = seen.setdefault(folded(name), name)
        if first != name:
            found[name] = first
    return found


def _disappeared(error: FileNotFoundError | UnsafeFile, path: str) -> StoreUnusable:
    """Name what is wrong with a file that was listed and cannot be opened."""
    if isinstance(error, FileNotFoundError):
        return StoreUnusable(errno.ENOENT, "the file disappeared while it was copied", path)
    return StoreUnusable(None, "the file was replaced while it was copied", path)


def _is_stream(file: str) -> bool:
    return "/" not in file and file.endswith(stream_names.PLAIN)


class FolderTree:
    """The files of a session folder on this machine."""

    def __init__(self, folder: Path) -> None:
        self.name, self.folder, self._top = folder.name, folder, str(folder)
        self.sizes: dict[str, int] = {}
        self.unsafe: dict[str, str] = {}
        self._listed: tuple[int, int, int] | None = None
        self._sealed: set[str] = set()
        self._inodes: dict[str, int] = {}  # of files that are no streams
        self._list()

    def _list(self) -> None:
        for _ in range(_ROUNDS):  # each one, a stream was sealed or unsealed between its listing and a look at it
            for found in (self.sizes, self.unsafe, self._sealed):
                found.clear()
            try:
                self._scan(self._top, "", 0)
                break
            except FileNotFoundError:
                continue
        self.unsafe.update(_leave_out_twins(self.sizes))

    def _scan(self, folder: str, prefix: str, depth: int) -> None:
        for entry in sorted(files.entries(folder), key=lambda each: each.name):
            name = prefix + entry.name
            if entry.name.startswith(".tmp-"):
                continue  # a document that is being replaced at this moment
            try:
                mode = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                if _is_stream(name) or name.endswith(stream_names.SEALED):
                    raise
                continue
            if stat.S_ISDIR(mode.st_mode) and depth < MAX_DEPTH:
                self._scan(entry.path, f"{name}/", depth + 1)
            elif not stat.S_ISREG(mode.st_mode):
                self.unsafe[name] = "it is not a plain file"
            elif problem := problem_of_name(name):
                self.unsafe[name] = problem
            else:
                self._take(name, mode.st_size)
                if name == DOCUMENT:
                    self._listed = _state(mode)
                elif not _is_stream(name):
                    self._inodes[name] = mode.st_ino

    def _take(self, name: str, size: int) -> None:
        """List a file; a sealed stream under the name of the plain one, which counts where both are there."""
        plain = name.removesuffix(SUFFIX)
        if "/" in name or not name.endswith(stream_names.SEALED):
            if size or name not in self._sealed:
                self.sizes[name] = size
            return
        with contextlib.suppress(Corrupt, NewerFormat):
            with stream_source.opened_sealed(f"{self._top}/{name}") as sealed:
                size = sealed.size
            if not self.sizes.get(plain):
                self.sizes[plain] = size
                self._sealed.add(plain)
            return
        self.sizes[name] = size  # no sealed stream: a file like any other

    def changed(self, file: str) -> bool:
        """Whether the record was replaced since the tree was listed; see :class:`Tree`."""
        assert file == DOCUMENT, "of other files no state is kept"
        found = files.status(self.folder / file)
        if found is None:
            raise StoreUnusable(errno.ENOENT, "the session disappeared while it was copied", str(self.folder))
        return _state(found) != self._listed

    def whole(self, file: str) -> bytes:
        """Return the bytes of a file as listed, read at once: for small ones. Raises: StoreUnusable."""
        if file == DOCUMENT:
            return self._document()
        path, size = f"{self._top}/{file}", self.sizes[file]
        if file in self._sealed:
            return b"".join(self.chunks(file, 0, size))
        try:
            data, found = files.read(path)
        except (FileNotFoundError, UnsafeFile) as error:
            if self._is_sealed_by_now(file):
                return b"".join(self.chunks(file, 0, size))
            raise _disappeared(error, path) from error
        self._check_same(file, len(data), found.st_ino)
        return data[:size]

    def _document(self) -> bytes:
        """Return the record as it was when the files were listed: where it was replaced since, all are listed anew."""
        path = f"{self._top}/{DOCUMENT}"
        for _ in range(_ROUNDS):
            try:
                data, found = files.read(path)
            except (FileNotFoundError, UnsafeFile) as error:
                raise _disappeared(error, path) from error
            if _state(found) == self._listed and len(data) == found.st_size:
                return data
            self._list()
        raise StoreUnusable(None, "the record is replaced again and again while it is copied", path)

    def _check_same(self, file: str, size: int, inode: int) -> None:
        """Refuse a file that is shorter, or another one; one that is written may have grown. Raises: StoreUnusable."""
        path, listed = f"{self._top}/{file}", self.sizes[file]
        if size < listed:
            raise StoreUnusable(None, f"the file ends {listed - size} bytes early", path)
        if size > listed and inode != self._inodes.get(file, inode):
            raise StoreUnusable(None, "the file was replaced while it was copied", path)

    def _is_sealed_by_now(self, file: str) -> bool:
        if _is_stream(file) and stream_source.is_sealed(f"{self._top}/{file}"):
            self._sealed.add(file)
            return True
        return False

    def chunks(self, file: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of a file; see :class:`Tree`."""
        path = f"{self._top}/{file}"
        try:
            descriptor = -1 if file in self._sealed else files.open_to_read(path)
        except (FileNotFoundError, UnsafeFile) as error:
            if not self._is_sealed_by_now(file):
                raise _disappeared(error, path) from error
            descriptor = -1
        if descriptor < 0:
            yield from _unsealed(path, start, self.sizes[file] if end is None else end)
            return
        with os.fdopen(descriptor, "rb", buffering=0) as source, files.refusals(path):
            found = os.fstat(descriptor)
            self._check_same(file, found.st_size, found.st_ino)
            source.seek(start)
            yield from _limited(source.read, None if end is None else end - start, str(path))


class ZipTree:
    """The files of one folder inside a ZIP archive.

    Args:
        prefix: the folder in the archive, with ``/`` at its end.
        names: the members below it; their problems are checked here.
    """

    def __init__(self, archive: zipfile.ZipFile, prefix: str, members: Iterable[zipfile.ZipInfo]) -> None:
        self.name = prefix.rstrip("/").rpartition("/")[2]
        self._archive, self._prefix = archive, prefix
        self.sizes: dict[str, int] = {}
        self.unsafe: dict[str, str] = {}
        for member in members:
            name = member.filename.removeprefix(prefix)
            kind = member.external_attr >> 16
            if kind and stat.S_IFMT(kind) and not stat.S_ISREG(kind):
                self.unsafe[name] = "it is not a plain file"
            elif problem := problem_of_name(name):
                self.unsafe[name] = problem
            elif name in self.sizes:
                self.unsafe[name] = "the archive holds the name twice"
            else:
                self.sizes[name] = member.file_size
        self.unsafe.update(_leave_out_twins(self.sizes))
        self._status = _state(os.stat(str(archive.filename)))

    def changed(self, file: str) -> bool:
        """Whether the archive was replaced since it was opened and verified; see :class:`Tree`."""
        found = files.status(str(self._archive.filename), follow=True)
        return found is None or _state(found) != self._status

    def chunks(self, file: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of a file; see :class:`Tree`."""
        path = f"{self._archive.filename}:{self._prefix}{file}"
        try:
            with self._archive.open(self._prefix + file) as source:
                source.seek(start)
                yield from _limited(source.read, (self.sizes[file] if end is None else end) - start, path)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, StoreUnusable) as error:
            raise Corrupt(f"the archive is damaged: {error}", path) from error
        except OSError as error:
            raise files.refused(error, path) from error


def _state(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _unsealed(path: str, start: int, end: int) -> Iterator[bytes]:
    """Yield bytes of the lines of a sealed stream. Raises: StoreUnusable: there are fewer, or a member is damaged."""
    with contextlib.ExitStack() as stack:
        try:
            source = stack.enter_context(stream_source.opened(path))
        except (FileNotFoundError, UnsafeFile) as error:
            raise _disappeared(error, path) from error
        while start < end:
            chunk = source.bytes_at(min(CHUNK_BYTES, end - start), start)
            if not chunk or (damage := source.damage()) is not None:
                reason = damage if chunk else f"the file ends {end - start} bytes early"
                raise StoreUnusable(None, reason, f"{path}{SUFFIX}")
            yield chunk
            start += len(chunk)


def _limited(read: object, left: int | None, path: str) -> Iterator[bytes]:
    """Yield what ``read`` gives, at most ``left`` bytes. Raises: StoreUnusable: there are fewer."""
    assert callable(read)
    while left is None or left > 0:
        chunk = read(CHUNK_BYTES if left is None else min(left, CHUNK_BYTES))
        if not chunk:
            if left:
                raise StoreUnusable(None, f"the file ends {left} bytes early", path)
            return
        yield chunk
        left = None if left is None else left - len(chunk)


def _leave_out_twins(sizes: dict[str, int]) -> dict[str, str]:
    """Take names out of a listing that some file system takes for an earlier one; return them with the reason."""
    found = {name: f"some file systems take it for {first!r}" for name, first in twins(sizes).items()}
    for name in found:
        del sizes[name]
    return found


def is_session(tree: Tree) -> bool:
    """Whether a tree holds a session.json."""
    return DOCUMENT in tree.sizes
