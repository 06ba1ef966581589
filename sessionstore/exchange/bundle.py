"""Bundles: sessions as one BagIt bag, a ZIP, a ``.tar.zst`` or a folder; the same sessions give the same bytes.

Members are sorted and carry a fixed time; nothing is held as a whole. A ZIP stores its members uncompressed, so that
a window of a stream can be read out of the middle of it, also over HTTP. A stream that still grows is taken up to its
last whole line. A session whose record cannot be read is packed as it is; a merge leaves it out, with the reason.
Not here: checking a bundle (exchange.verify), taking sessions out of it (exchange.merge), its tags (exchange.bag).
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import IO, Protocol, cast

from sessionstore.disk import files
from sessionstore.disk.bulk_sync import sync_trees
from sessionstore.errors import Conflict, InvalidName, StoreUnusable, Unreadable
from sessionstore.exchange import bag
from sessionstore.exchange.compare import STREAM_SUFFIX
from sessionstore.exchange.trees import CHUNK_BYTES, Tree, is_session, read_whole
from sessionstore.layout import DOCUMENT
from sessionstore.model.records import SessionRecord, read_record
from sessionstore.session.documents import tables_of

TAR_ZST, ZIP = ".tar.zst", ".zip"
#: The folder of the bag inside an archive (RFC 8493, section 4).
TOP = "sessions/"
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = 0o644

Progress = Callable[[int], None]


class _Writer(Protocol):
    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        """Write one member of known size."""

    def take(self) -> bytes:
        """Return the bytes that are ready, and forget them."""

    def close(self) -> None:
        """Write what follows the last member."""


class _Pipe(io.RawIOBase):
    """A sink that cannot be sought and is emptied as it fills."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


class _ZipWriter:
    def __init__(self) -> None:
        self._pipe = _Pipe()
        self._archive = zipfile.ZipFile(self._pipe, "w", zipfile.ZIP_STORED)

    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        info = zipfile.ZipInfo(name, _ZIP_TIME)
        info.external_attr = (stat.S_IFREG | _FILE_MODE) << 16
        info.create_system = 3  # Unix, on every system: the same bytes
        info.file_size = size
        with self._archive.open(info, "w", force_zip64=size >= 1 << 31) as member:
            for chunk in chunks:
                member.write(chunk)

    def take(self) -> bytes:
        return self._pipe.take()

    def close(self) -> None:
        self._archive.close()


class _TarWriter:
    def __init__(self) -> None:
        try:
            import zstandard
        except ImportError as error:
            raise ModuleNotFoundError(
                "zstandard is missing: pip install 'sessionstore[remote]', or pack a .zip", name="zstandard"
            ) from error
        self._pipe = _Pipe()
        self._packed = zstandard.ZstdCompressor(level=3, write_checksum=True).stream_writer(
            cast(IO[bytes], self._pipe), closefd=False
        )
        self._archive = tarfile.open(fileobj=self._packed, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115 closed by close()

    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = size, _FILE_MODE, 0
        reader = _Reader(chunks)
        self._archive.addfile(info, reader)  # type: ignore[arg-type]
        reader.finish()

    def take(self) -> bytes:
        return self._pipe.take()

    def close(self) -> None:
        self._archive.close()
        self._packed.close()  # type: ignore[no-untyped-call]


class _Reader:
    """A file that gives chunks, as tarfile reads it."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self._rest = iter(chunks), b""

    def read(self, count: int) -> bytes:
        parts, missing = [self._rest], count - len(self._rest)
        while missing > 0 and (chunk := next(self._chunks, b"")):
            parts.append(chunk)
            missing -= len(chunk)
        data = b"".join(parts)
        self._rest = data[count:]
        return data[:count]

    def finish(self) -> None:
        """Run the chunks to their end, where their digest is taken. Raises: StoreUnusable: the file grew."""
        if self._rest or any(self._chunks):
            raise StoreUnusable(None, "a file grew while it was packed")


def pack(trees: Iterable[Tree], form: str, progress: Progress | None = None) -> Iterator[bytes]:
    """Yield the bytes of a bundle of these sessions.

    Args:
        form: ``.zip`` or ``.tar.zst``.
        progress: called with the number of payload bytes that were added.

    Raises: StoreUnusable: a file cannot be read; the bundle is not complete.
    """
    writer: _Writer = _ZipWriter() if form == ZIP else _TarWriter()
    for name, size, chunks in _members(trees, progress):
        writer.add(TOP + name, size, chunks)
        yield writer.take()
    writer.close()
    yield writer.take()


def write_bundle(trees: list[Tree], path: Path, progress: Progress | None = None) -> None:
    """Write a bundle to a new file or folder, durably.

    Raises: Conflict: there is something of this name; as :func:`pack`. Nothing is left when it fails.
    """
    form = form_of(path)
    if os.path.lexists(path):
        raise Conflict(f"{path} exists already and was not changed")
    if form is not None:
        files.put(path, pack(trees, form, progress))
        return
    files.make_dir(path, sync=True)
    try:
        for name, _, chunks in _members(trees, progress):
            files.make_dirs((path / name).parent)
            files.create(path / name, chunks, sync=False)
        sync_trees([path])
    except BaseException:
        files.remove_tree(path)
        raise


def form_of(path: Path) -> str | None:
    """Return ``.zip``, ``.tar.zst``, or None for a folder. Raises: InvalidName: another suffix of an archive."""
    for form in (TAR_ZST, ZIP):
        if path.name.lower().endswith(form):
            return form
    if path.suffix.lower() in (".tar", ".gz", ".tgz", ".7z", ".bz2", ".xz", ".rar", ".zst"):
        raise InvalidName(f"a bundle is a .zip, a .tar.zst or a folder, not {path.name!r}")
    return None


def _members(trees: Iterable[Tree], progress: Progress | None) -> Iterator[tuple[str, int, Iterable[bytes]]]:
    """Yield name, size and chunks of each member: the payload first, then the tags, which need its digests."""
    digests: dict[str, str] = {}
    sizes: dict[str, int] = {}
    records: list[SessionRecord] = []
    listed: dict[str, dict[str, int]] = {}
    for tree in sorted(trees, key=lambda each: each.name):
        document = read_whole(tree, DOCUMENT) if is_session(tree) else None
        if document is not None and (record := _record(tree, document)) is not None:
            records.append(record)
        for file in sorted(tree.sizes):
            name = f"{bag.PAYLOAD}{tree.name}/{file}"
            data = document if file == DOCUMENT else _small(tree, file)
            size = len(data) if data is not None else _whole_size(tree, file)
            sizes[name] = size
            chunks = [data] if data is not None else tree.chunks(file, 0, size)
            yield name, size, _digested(chunks, name, digests, progress)
        listed[tree.name] = {file: sizes[f"{bag.PAYLOAD}{tree.name}/{file}"] for file in tree.sizes}
    described = bag.crate(records, listed)
    name = bag.PAYLOAD + bag.CRATE
    sizes[name] = len(described)
    yield name, len(described), _digested([described], name, digests, progress)
    for tag, data in bag.tag_files(digests, sizes).items():
        yield tag, len(data), [data]


def _record(tree: Tree, data: bytes) -> SessionRecord | None:
    """Return the record of a session, or None for one that cannot be read: its files are packed as they are."""
    path = f"{tree.name}/{DOCUMENT}"
    try:
        return read_record(tables_of(data, path), data, path, tree.name)
    except Unreadable:
        return None


def _digested(
    chunks: Iterable[bytes], name: str, digests: dict[str, str], progress: Progress | None
) -> Iterator[bytes]:
    found = sha256()
    for chunk in chunks:
        found.update(chunk)
        yield chunk
        if progress is not None:
            progress(len(chunk))
    digests[name] = found.hexdigest()


def _small(tree: Tree, file: str) -> bytes | None:
    """Return the bytes of a small file that are taken, read at once; None for a larger one."""
    if tree.sizes[file] > CHUNK_BYTES:
        return None
    data = read_whole(tree, file)
    if not file.endswith(STREAM_SUFFIX) or "/" in file:
        return data
    return data[: data.rfind(b"\n") + 1]


def _whole_size(tree: Tree, file: str) -> int:
    """Return the bytes of a file that are taken: a stream ends with its last whole line."""
    size = tree.sizes[file]
    if not file.endswith(STREAM_SUFFIX) or "/" in file:
        return size
    end = size
    while end > 0:
        start = max(0, end - CHUNK_BYTES)
        with contextlib.closing(tree.chunks(file, start, end)) as chunks:  # type: ignore[type-var]
            place = b"".join(chunks).rfind(b"\n")
        if place >= 0:
            return start + place + 1
        end = start
    return 0
