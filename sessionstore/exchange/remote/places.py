"""Where the files of a remote store lie: listing, reading by ranges, writing; one class for all that fsspec opens.

A range has exactly the bytes that were asked for, or an error is raised. Each file has a version (ETag, or size and
time), so that a cache and a reader notice a change.
Not here: sessions in a ZIP (remote.zipped), retries (remote.faults), time limits (remote.connections), what the files
mean (remote.store).
"""

from __future__ import annotations

import copy
import os
import posixpath
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Any, Protocol

from sessionstore.disk import files
from sessionstore.errors import RemoteUnavailable
from sessionstore.exchange.remote import multipart, objects
from sessionstore.exchange.remote.connections import options
from sessionstore.exchange.remote.faults import Result, attempt, shown
from sessionstore.exchange.remote.file_facts import FileFacts, facts_of

#: Protocols whose fsspec name, or whose library, differs from the scheme that people type.
_SCHEMES = {"sftp": "ssh"}
_LIBRARIES = {"s3": "s3fs", "s3a": "s3fs", "ssh": "sshfs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs"}
_LIBRARIES |= {"abfs": "adlfs", "http": "aiohttp", "https": "aiohttp", "webdav": "webdav4"}


class Place(Protocol):
    """A folder of sessions that is read through a protocol."""

    url: str
    label: str

    def folders(self) -> list[str]:
        """Return the names of the folders at the top."""

    def files(self, folder: str) -> dict[str, FileFacts]:
        """Return the files below a folder, by their name relative to it; one that is not there holds none."""

    def facts(self, name: str) -> FileFacts:
        """Return size and version of one file as they are now. Raises: FileNotFoundError."""

    def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """Return the bytes of a range, or of the whole file. Raises: FileNotFoundError, RemoteUnavailable."""


class FsspecPlace:
    """A folder that fsspec opens.

    Raises: ModuleNotFoundError: naming the library and how it is installed; ValueError: an unknown protocol.
    """

    def __init__(self, url: str) -> None:
        self.url, self.label = url, shown(url)
        self.fs, self.base = opened(url)
        self._is_s3 = "s3" in self.fs.protocol
        self._made: set[str] = set()
        self._tries: int | None = None
        self._given_up = threading.Event()

    def give_up(self) -> None:
        """Let nothing be tried again here: each request that is under way ends after its present try."""
        self._given_up.set()

    def tried_once(self) -> FsspecPlace:
        """Return the same place, where each request is tried once; it may be used after :meth:`give_up`."""
        found = copy.copy(self)
        found._tries, found._given_up = 1, threading.Event()
        return found

    def _path(self, name: str) -> str:
        return f"{self.base}/{name}" if name else self.base

    def folders(self) -> list[str]:
        """Return the names of the folders at the top; see :class:`Place`."""
        return [posixpath.basename(path) for path, kind in self._ls("") if kind == "directory"]

    def _ls(self, name: str) -> Iterator[tuple[str, str]]:
        try:
            found = self._attempt(lambda: self.fs.ls(self._path(name), detail=True, refresh=True))
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in found:
            yield entry["name"].rstrip("/"), entry["type"]

    def files(self, folder: str) -> dict[str, FileFacts]:
        """Return the files below a folder; see :class:`Place`."""
        path = self._path(folder)
        self.fs.invalidate_cache(path)
        try:
            found = self._attempt(lambda: self.fs.find(path, detail=True))
        except FileNotFoundError:
            return {}
        start = len(self.fs._strip_protocol(path).rstrip("/")) + 1
        return {
            inner: facts_of(entry)
            for name, entry in found.items()
            if entry["type"] == "file" and (inner := name[start:])
        }

    def files_of(self, folders: Sequence[str], pool: Executor) -> dict[str, dict[str, FileFacts]]:
        """Return the files below each of some folders: on S3 by one request, when they stand near each other there."""
        found = objects.below(self.fs, self.base, folders, self._attempt) if self._is_s3 else {}
        missing = [folder for folder in folders if folder not in found]
        found |= zip(missing, pool.map(self.files, missing), strict=True)
        return found

    def _attempt(self, request: Callable[[], Result], url: str | None = None) -> Result:
        return attempt(url or self.url, request, self._tries, self._given_up)

    def facts(self, name: str) -> FileFacts:
        """Return size and version of one file; see :class:`Place`."""
        path = self._path(name)
        self.fs.invalidate_cache(posixpath.dirname(path))
        return facts_of(self._attempt(lambda: self.fs.info(path)))

    def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """Return the bytes of a range; see :class:`Place`."""
        if end is not None and end <= start:
            return b""

        def fetch() -> bytes:
            whole = start == 0 and end is None
            if whole and self._is_s3 and (small := objects.read_small(self.fs, self._path(name))) is not None:
                return small
            found = self.fs.cat_file(self._path(name), **({} if whole else {"start": start, "end": end}))
            data = bytes(found)
            wanted = None if end is None else end - start
            if wanted is not None and len(data) > wanted:  # a server without ranges sends the whole file
                data = data[start:end]
            if wanted is not None and len(data) != wanted:
                raise EOFError(f"{len(data)} bytes came where {wanted} were asked for")
            return data

        return self._attempt(fetch, f"{self.url.rstrip('/')}/{name}")

    # ------------------------------------------------------------ writing

    def put(self, name: str, data: bytes) -> None:
        """Write a small file whole. Raises: RemoteRefused, RemoteUnavailable."""
        self._make_parent(name)
        self._attempt(lambda: self.fs.pipe_file(self._path(name), data))

    def create(self, name: str, data: bytes) -> bool:
        """Write a small file where none is; return whether it was written.

        A service without a conditional put is asked first, which leaves a gap of one round trip.
        """
        self._make_parent(name)
        try:
            self._attempt(lambda: self.fs.pipe_file(self._path(name), data, mode="create"))
        except FileExistsError:
            return False
        except (TypeError, NotImplementedError):
            if self._attempt(lambda: self.fs.exists(self._path(name))):
                return False
            self.put(name, data)
        return True

    def send(self, local: str, name: str) -> bool:
        """Send a file of this machine, in parts when it is large; return whether the answer proves the bytes there.

        Raises: RemoteRefused, RemoteUnavailable.
        """
        if self._is_s3:
            if os.path.getsize(local) <= multipart.PART_BYTES:
                return self.send_data(files.read(local)[0], name)
            multipart.send(self.fs, self._path(name), local, self._attempt)
            return False
        self._make_parent(name)
        self._attempt(lambda: self.fs.put_file(local, self._path(name)))
        return False

    def send_data(self, data: bytes, name: str) -> bool:
        """Send the bytes of a small file; return whether the answer proves them there.

        Raises: RemoteRefused, RemoteUnavailable.
        """
        if self._is_s3:
            return objects.send(self.fs, self._path(name), data, self._attempt)
        self.put(name, data)
        return False

    def remove_all(self, names: Sequence[str]) -> None:
        """Remove files, on S3 by one request; those that are not there are fine."""
        if self._is_s3 and names:
            self._attempt(lambda: self.fs.rm([self._path(name) for name in names]))
            return
        for name in names:
            self.remove(name)

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is fine."""
        try:
            self._attempt(lambda: self.fs.rm_file(self._path(name)))
        except FileNotFoundError:
            return

    def _make_parent(self, name: str) -> None:
        folder = posixpath.dirname(self._path(name))
        if folder not in self._made and _has_folders(self.fs):
            self._attempt(lambda: self.fs.makedirs(folder, exist_ok=True))
            self._made.add(folder)


def _has_folders(fs: Any) -> bool:
    names = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
    return not {"s3", "gs", "gcs", "az", "abfs", "http", "https"} & set(names)


def opened(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it. Raises: ModuleNotFoundError, RemoteUnavailable."""
    scheme, _, rest = url.partition("://")
    scheme = _SCHEMES.get(scheme.lower(), scheme.lower())
    try:
        import fsspec

        fs, path = attempt(url, lambda: fsspec.core.url_to_fs(f"{scheme}://{rest}", **options(scheme)))
    except ImportError as error:
        library = _LIBRARIES.get(scheme, "fsspec")
        raise ModuleNotFoundError(
            f"{scheme}:// needs {library}: pip install 'sessionstore[remote]'", name=library
        ) from error
    except ValueError as error:
        raise RemoteUnavailable(f"{shown(url)} cannot be opened: {error}") from None
    if hasattr(fs, "retries"):  # of s3fs: five more for each of ours, so that a lost connection took minutes to report
        fs.retries = 1
    return fs, path.rstrip("/")
