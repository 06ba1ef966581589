"""Sessions in a ZIP, on this machine or behind a URL, read where they lie.

Only the list of members and the ranges that are asked for are transferred; a member that is stored uncompressed, as
:mod:`sessionstore.exchange.bundle` writes it, is read by ranges, a compressed one as a whole. Unsafe names
are left out.
Not here: the checksums of a bundle (exchange.verify), plain folders (remote.places).
"""

from __future__ import annotations

import io
import os
import struct
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

from sessionstore.disk import files
from sessionstore.errors import Corrupt, RemoteUnavailable, StoreNotFound
from sessionstore.exchange import bag
from sessionstore.exchange.remote.faults import attempt, shown
from sessionstore.exchange.remote.file_facts import FileFacts, facts_of
from sessionstore.exchange.remote.places import opened
from sessionstore.exchange.trees import problem_of_name
from sessionstore.layout import DOCUMENT

ReadRange = Callable[[int, int], bytes]
_LOCAL_HEADER = struct.Struct("<26xHH")
_BUFFER_BYTES = 1 << 18


class ZipPlace:
    """The session folders of a ZIP; see :class:`sessionstore.exchange.remote.places.Place`.

    Raises: StoreNotFound: there is no such file; Corrupt: it is not a readable ZIP.
    """

    def __init__(self, url: str) -> None:
        self.url, self.label = url, shown(url)
        self._lock = threading.Lock()
        self._read_range, self._facts = _remote(url) if "://" in url else _local(Path(url))
        raw = io.BufferedReader(_Ranged(self._facts.size, self._read_range), _BUFFER_BYTES)
        try:
            self._archive = zipfile.ZipFile(raw)
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise Corrupt(f"not a readable ZIP: {error}", self.label) from None
        self._members: dict[str, dict[str, zipfile.ZipInfo]] = {}
        self._group()

    def _group(self) -> None:
        """Sort the members by session: a folder that holds a session.json."""
        members = [member for member in self._archive.infolist() if not member.is_dir()]
        documents = [member.filename for member in members if member.filename.rpartition("/")[2] == DOCUMENT]
        prefixes = {name.removesuffix(DOCUMENT) for name in documents if "/" in name}
        for member in members:
            parts = member.filename.split("/")
            for depth in range(1, len(parts)):
                prefix = "/".join(parts[:depth]) + "/"
                inner = member.filename.removeprefix(prefix)
                if prefix in prefixes:
                    if problem_of_name(member.filename) is None:
                        self._members.setdefault(parts[depth - 1], {}).setdefault(inner, member)
                    break

    def folders(self) -> list[str]:
        """Return the names of the sessions."""
        return [name for name in self._members if name != bag.PAYLOAD.rstrip("/")]

    def holds(self, session_id: str) -> bool:
        """Whether there is a session of this id."""
        return session_id in self._members

    def files(self, folder: str) -> dict[str, FileFacts]:
        """Return the files of a session."""
        return {name: self._facts_of(member) for name, member in self._members.get(folder, {}).items()}

    def _facts_of(self, member: zipfile.ZipInfo) -> FileFacts:
        return FileFacts(member.file_size, f"{self._facts.version}/{member.header_offset}/{member.CRC:08x}")

    def facts(self, name: str) -> FileFacts:
        """Return size and version of one file. Raises: FileNotFoundError."""
        return self._facts_of(self._member(name))

    def _member(self, name: str) -> zipfile.ZipInfo:
        folder, _, inner = name.partition("/")
        try:
            return self._members[folder][inner]
        except KeyError:
            raise FileNotFoundError(f"{self.label} holds no {name}") from None

    def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """Return the bytes of a range. Raises: FileNotFoundError, Corrupt, RemoteUnavailable."""
        member = self._member(name)
        end = member.file_size if end is None else min(end, member.file_size)
        if end <= start:
            return b""
        if member.compress_type == zipfile.ZIP_STORED and (start, end) != (0, member.file_size):
            begin = self._begin(member)
            return self._read_range(begin + start, begin + end)
        try:
            with self._lock:
                return self._archive.read(member)[start:end]  # checks the CRC
        except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
            raise Corrupt(f"the archive is damaged: {error}", f"{self.label}/{name}") from None

    def _begin(self, member: zipfile.ZipInfo) -> int:
        header = self._read_range(member.header_offset, member.header_offset + 30)
        name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
        return member.header_offset + 30 + int(name_bytes) + int(extra_bytes)


class _Ranged(io.RawIOBase):
    """A file that can be sought, made of range reads."""

    def __init__(self, size: int, read_range: ReadRange) -> None:
        self._size, self._read_range, self._position = size, read_range, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("negative position")
        self._position = base + offset
        return self._position

    def readinto(self, target: object) -> int:
        view = memoryview(target).cast("B")  # type: ignore[arg-type]
        end = min(self._size, self._position + len(view))
        if end <= self._position:
            return 0
        data = self._read_range(self._position, end)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)


def _local(path: Path) -> tuple[ReadRange, FileFacts]:
    found = files.status(path, follow=True)
    if found is None:
        raise StoreNotFound(f"{path} does not exist")
    real = os.path.realpath(path)

    def read_range(start: int, end: int) -> bytes:
        with files.opened(real) as descriptor, os.fdopen(os.dup(descriptor), "rb", buffering=0) as source:
            source.seek(start)
            data = source.read(end - start)
        if data is None or len(data) != end - start:
            raise Corrupt("the archive became shorter while it was read", path)
        return data

    return read_range, FileFacts(found.st_size, f"{found.st_mtime_ns}/{found.st_size}")


def _remote(url: str) -> tuple[ReadRange, FileFacts]:
    fs, path = opened(url)
    try:
        facts = facts_of(attempt(url, lambda: fs.info(path)))
    except FileNotFoundError:
        raise StoreNotFound(f"{shown(url)} does not exist") from None

    def read_range(start: int, end: int) -> bytes:
        def fetch() -> bytes:
            data = bytes(fs.cat_file(path, start=start, end=end))
            if len(data) == facts.size > end - start:  # a server without ranges
                data = data[start:end]
            if len(data) != end - start:
                raise EOFError(f"{len(data)} bytes came where {end - start} were asked for")
            return data

        try:
            return attempt(url, fetch)
        except FileNotFoundError:
            raise RemoteUnavailable(f"{shown(url)} was removed while it was read") from None

    return read_range, facts
