"""Where the files of a remote store lie: listing, reading by ranges, writing; one class for all that fsspec opens.

A range has exactly the bytes that were asked for, or an error is raised. Each file has a version (ETag, or size and
time), so that a cache and a reader notice a change.
Not here: sessions in a ZIP (remote.zipped), retries (remote.faults), what the files mean (remote.store).
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sessionstore.errors import RemoteUnavailable
from sessionstore.exchange.remote import multipart
from sessionstore.exchange.remote.faults import attempt, shown

#: Protocols whose fsspec name, or whose library, differs from the scheme that people type.
_SCHEMES = {"sftp": "ssh"}
_LIBRARIES = {"s3": "s3fs", "s3a": "s3fs", "ssh": "sshfs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs"}
_LIBRARIES |= {"abfs": "adlfs", "http": "aiohttp", "https": "aiohttp", "webdav": "webdav4"}


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Size in bytes, and what changes when the content does; an empty version is not known."""

    size: int
    version: str


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

    def _path(self, name: str) -> str:
        return f"{self.base}/{name}" if name else self.base

    def folders(self) -> list[str]:
        """Return the names of the folders at the top; see :class:`Place`."""
        return [posixpath.basename(path) for path, kind in self._ls("") if kind == "directory"]

    def _ls(self, name: str) -> Iterator[tuple[str, str]]:
        try:
            found = attempt(self.url, lambda: self.fs.ls(self._path(name), detail=True, refresh=True))
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in found:
            yield entry["name"].rstrip("/"), entry["type"]

    def files(self, folder: str) -> dict[str, FileFacts]:
        """Return the files below a folder; see :class:`Place`."""
        path = self._path(folder)
        self.fs.invalidate_cache(path)
        try:
            found = attempt(self.url, lambda: self.fs.find(path, detail=True))
        except FileNotFoundError:
            return {}
        start = len(self.fs._strip_protocol(path).rstrip("/")) + 1
        return {
            inner: facts_of(entry)
            for name, entry in found.items()
            if entry["type"] == "file" and (inner := name[start:])
        }

    def facts(self, name: str) -> FileFacts:
        """Return size and version of one file; see :class:`Place`."""
        path = self._path(name)
        self.fs.invalidate_cache(posixpath.dirname(path))
        return facts_of(attempt(self.url, lambda: self.fs.info(path)))

    def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """Return the bytes of a range; see :class:`Place`."""
        if end is not None and end <= start:
            return b""

        def fetch() -> bytes:
            whole = start == 0 and end is None
            found = self.fs.cat_file(self._path(name), **({} if whole else {"start": start, "end": end}))
            data = bytes(found)
            wanted = None if end is None else end - start
            if wanted is not None and len(data) > wanted:  # a server without ranges sends the whole file
                data = data[start:end]
            if wanted is not None and len(data) != wanted:
                raise EOFError(f"{len(data)} bytes came where {wanted} were asked for")
            return data

        return attempt(f"{self.url.rstrip('/')}/{name}", fetch)

    # ------------------------------------------------------------ writing

    def put(self, name: str, data: bytes) -> None:
        """Write a small file whole. Raises: RemoteRefused, RemoteUnavailable."""
        self._make_parent(name)
        attempt(self.url, lambda: self.fs.pipe_file(self._path(name), data))

    def create(self, name: str, data: bytes) -> bool:
        """Write a small file where none is; return whether it was written.

        A service without a conditional put is asked first, which leaves a gap of one round trip.
        """
        self._make_parent(name)
        try:
            attempt(self.url, lambda: self.fs.pipe_file(self._path(name), data, mode="create"))
        except FileExistsError:
            return False
        except (TypeError, NotImplementedError):
            if attempt(self.url, lambda: self.fs.exists(self._path(name))):
                return False
            self.put(name, data)
        return True

    def send(self, local: str, name: str) -> None:
        """Send a file of this machine, in parts when it is large. Raises: RemoteRefused, RemoteUnavailable."""
        self._make_parent(name)
        if "s3" in self.fs.protocol and os.path.getsize(local) > multipart.PART_BYTES:
            multipart.send(self.fs, self._path(name), local, lambda request: attempt(self.url, request))
            return
        attempt(self.url, lambda: self.fs.put_file(local, self._path(name)))

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is fine."""
        try:
            attempt(self.url, lambda: self.fs.rm_file(self._path(name)))
        except FileNotFoundError:
            return

    def _make_parent(self, name: str) -> None:
        if _has_folders(self.fs):
            attempt(self.url, lambda: self.fs.makedirs(posixpath.dirname(self._path(name)), exist_ok=True))


def _has_folders(fs: Any) -> bool:
    names = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
    return not {"s3", "gs", "gcs", "az", "abfs", "http", "https"} & set(names)


def opened(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it. Raises: ModuleNotFoundError, RemoteUnavailable."""
    scheme, _, rest = url.partition("://")
    scheme = _SCHEMES.get(scheme.lower(), scheme.lower())
    try:
        import fsspec

        fs, path = attempt(url, lambda: fsspec.core.url_to_fs(f"{scheme}://{rest}", **_options(scheme)))
    except ImportError as error:
        library = _LIBRARIES.get(scheme, "fsspec")
        raise ModuleNotFoundError(
            f"{scheme}:// needs {library}: pip install 'sessionstore[remote]'", name=library
        ) from error
    except ValueError as error:
        raise RemoteUnavailable(f"{shown(url)} cannot be opened: {error}") from None
    return fs, path.rstrip("/")


def _options(scheme: str) -> Mapping[str, Any]:
    options: dict[str, Any] = {"use_listings_cache": False} if scheme in ("s3", "s3a", "http", "https") else {}
    if scheme in ("s3", "s3a"):
        options |= {"config_kwargs": {"connect_timeout": 10, "read_timeout": 30, "max_pool_connections": 32,
                                        "retries": {"total_max_attempts": 1}}}  # fmt: skip  # attempt() tries again
    return options


def facts_of(entry: Mapping[str, Any]) -> FileFacts:
    """Return size and version out of what fsspec says of a file."""
    mark = entry.get("ETag") or entry.get("etag") or entry.get("content_md5")
    mark = mark or entry.get("mtime") or entry.get("LastModified") or entry.get("created") or ""
    mark = mark.timestamp() if isinstance(mark, datetime) else mark
    size = int(entry.get("size") or 0)
    return FileFacts(size, f"{mark}/{size}" if mark else "")
