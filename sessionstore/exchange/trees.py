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


@contextlib.contextmanager
def _disappearing(path: str) -> Iterator[None]:
    """Name what is wrong with a file that was listed and cannot be opened. Raises: StoreUnusable."""
    try:
        yield
    except FileNotFoundError as error:
        raise StoreUnusable(error.errno, "the file disappeared while it was copied", path) from error
    except UnsafeFile as error:
        raise StoreUnusable(None, "the file was replaced while it was copied", path) from error


class FolderTree:
    """The files of a session folder on this machine."""

    def __init__(self, folder: Path) -> None:
        self.name, self.folder, self._top = folder.name, folder, str(folder)
        self.sizes: dict[str, int] = {}
        self.unsafe: dict[str, str] = {}
        self._listed: tuple[int, int, int] | None = None
        self._sealed: set[str] = set()
        self._scan(str(folder), "", 0)
        self.unsafe.update(_leave_out_twins(self.sizes))

    def _scan(self, folder: str, prefix: str, depth: int) -> None:
        for entry in sorted(files.entries(folder), key=lambda each: each.name):
            name = prefix + entry.name
            if entry.name.startswith(".tmp-"):
                continue  # a document that is being replaced at this moment
            try:
                mode = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
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

    def _take(self, name: str, size: int) -> None:
        """List a file; a sealed stream under the name of the plain one, which counts where both are there."""
        plain = name.removesuffix(SUFFIX)
        if "/" in name or not name.endswith(stream_names.SEALED):
            if size or name not in self._sealed:
                self.sizes[name] = size
            return
        with contextlib.suppress(Corrupt, NewerFormat, FileNotFoundError):
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
        path, size = f"{self._top}/{file}", self.sizes[file]
        if file in self._sealed:
            return b"".join(self.chunks(file, 0, size))
        with _disappearing(path):
            data, _ = files.read(path)
        if len(data) < size:
            raise StoreUnusable(None, f"the file ends {size - len(data)} bytes early", path)
        return data[:size]

    def chunks(self, file: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of a file; see :class:`Tree`."""
        path = f"{self._top}/{file}"
        if file in self._sealed:
            yield from _unsealed(path, start, self.sizes[file] if end is None else end)
            return
        with _disappearing(path):
            descriptor = files.open_to_read(path)
        with os.fdopen(descriptor, "rb", buffering=0) as source, files.refusals(path):
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
        with _disappearing(path):
            source = stack.enter_context(stream_source.opened(path))
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
