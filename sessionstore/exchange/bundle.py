"""Bundles: sessions as one BagIt bag, a ZIP, a ``.tar.zst`` or a folder; the same sessions give the same bytes.

Members are sorted and carry a fixed time; nothing is held as a whole. A ZIP stores its members uncompressed, so that
a window of a stream can be read out of the middle of it, also over HTTP. A stream that still grows is taken up to its
last whole line. A session whose record cannot be read is packed as it is; a merge leaves it out, with the reason.
Not here: checking a bundle (exchange.verify), taking sessions out of it (exchange.merge), its tags (exchange.bag).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from sessionstore.disk import files
from sessionstore.disk.bulk_sync import sync_trees
from sessionstore.errors import Conflict, InvalidName
from sessionstore.exchange import bag, run_crate
from sessionstore.exchange.archives import ArchiveWriter, TarZstWriter, ZipWriter
from sessionstore.exchange.compare import STREAM_SUFFIX
from sessionstore.exchange.trees import CHUNK_BYTES, Tree, is_session, read_whole
from sessionstore.layout import DOCUMENT

TAR_ZST, ZIP = ".tar.zst", ".zip"
#: The folder of the bag inside an archive (RFC 8493, section 4).
TOP = "sessions/"

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class _Member:
    """One file of a bag: its bytes, or for a large one its size and what yields them."""

    name: str
    data: bytes | None
    size: int = 0
    chunks: Iterable[bytes] = ()


def pack(trees: Iterable[Tree], form: str, progress: Progress | None = None) -> Iterator[bytes]:
    """Yield the bytes of a bundle of these sessions.

    Args:
        form: ``.zip`` or ``.tar.zst``.
        progress: called with the number of payload bytes that were added.

    Raises: StoreUnusable: a file cannot be read; the bundle is not complete.
    """
    writer: ArchiveWriter = ZipWriter() if form == ZIP else TarZstWriter()
    for member in _members(trees, progress):
        if member.data is None:
            yield from writer.add_large(TOP + member.name, member.size, member.chunks)
        else:
            writer.add(TOP + member.name, member.data)
        yield from writer.take()
    writer.close()
    yield from writer.take(all_of_it=True)


def write_bundle(trees: list[Tree], path: Path, progress: Progress | None = None) -> None:
    """Write a bundle to a new file or folder, durably.

    Raises: Conflict: there is something of this name; as :func:`pack`. Nothing is left when it fails.
    """
    form = form_of(new_place(path))
    if form is not None:
        files.put(path, pack(trees, form, progress))
        return
    files.make_dir(path, sync=True)
    try:
        for member in _members(trees, progress):
            files.make_dirs((path / member.name).parent)
            files.create(path / member.name, member.chunks if member.data is None else member.data, sync=False)
        sync_trees([path])
    except BaseException:
        files.remove_tree(path)
        raise


def new_place(path: str | Path) -> Path:
    """Return where a bundle may be written. Raises: Conflict: there is something; InvalidName: another suffix."""
    place = Path(path).expanduser()
    form_of(place)
    if os.path.lexists(place):
        raise Conflict(f"{place} exists already and was not changed")
    return place


def form_of(path: Path) -> str | None:
    """Return ``.zip``, ``.tar.zst``, or None for a folder. Raises: InvalidName: another suffix of an archive."""
    for form in (TAR_ZST, ZIP):
        if path.name.lower().endswith(form):
            return form
    if path.suffix.lower() in (".tar", ".gz", ".tgz", ".7z", ".bz2", ".xz", ".rar", ".zst"):
        raise InvalidName(f"a bundle is a .zip, a .tar.zst or a folder, not {path.name!r}")
    return None


def _members(trees: Iterable[Tree], progress: Progress | None) -> Iterator[_Member]:
    """Yield each member: the payload first, then the tags, which need its digests."""
    digests: dict[str, str] = {}
    sizes: dict[str, int] = {}
    records: list[run_crate.Described] = []
    listed: dict[str, dict[str, int]] = {}
    for tree in sorted(trees, key=lambda each: each.name):
        document = read_whole(tree, DOCUMENT) if is_session(tree) else None
        if document is not None and (record := run_crate.described(document, tree.name)) is not None:
            records.append(record)
        mine = listed[tree.name] = {}
        prefix = f"{bag.PAYLOAD}{tree.name}/"
        for file in sorted(tree.sizes):
            name = prefix + file
            data = document if file == DOCUMENT else _small(tree, file)
            if data is None:
                size = _whole_size(tree, file)
                yield _Member(name, None, size, _digested(tree.chunks(file, 0, size), name, digests, progress))
            else:
                size, digests[name] = len(data), sha256(data).hexdigest()
                yield _Member(name, data)
                if progress is not None:
                    progress(size)
            sizes[name] = mine[file] = size
    described = bag.crate(records, listed)
    name = bag.PAYLOAD + bag.CRATE
    sizes[name], digests[name] = len(described), sha256(described).hexdigest()
    yield _Member(name, described)
    for tag, data in bag.tag_files(digests, sizes).items():
        yield _Member(tag, data)


def _digested(
    chunks: Iterable[bytes], name: str, digests: dict[str, str], progress: Progress | None
) -> Iterator[bytes]:
    """Yield the chunks of a large file; its digest is taken beside, while the next one is read and written."""
    found = sha256()
    with ThreadPoolExecutor(1) as beside:
        last: Future[None] | None = None
        for chunk in chunks:
            if last is not None:
                last.result()  # at most one chunk waits
            last = beside.submit(found.update, chunk)
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
