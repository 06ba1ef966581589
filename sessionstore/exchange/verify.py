"""Checking a bundle: every file of the manifest with its digest, and nothing else; hostile archives are refused.

Refused before anything of it is visible in a store: a wrong digest, a missing or additional file, names that leave the
folder, links and devices, two names that some file system takes for one, and archives that unpack to far more than
they weigh.
Not here: writing bundles (exchange.bundle), taking sessions out of them (exchange.merge).
"""

from __future__ import annotations

import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, cast

from sessionstore.disk import files
from sessionstore.errors import Corrupt, UnsafeFile
from sessionstore.exchange import bag
from sessionstore.exchange.bundle import TAR_ZST, TOP, ZIP, form_of
from sessionstore.exchange.trees import CHUNK_BYTES, FolderTree, Tree, ZipTree, problem_of_name, read_whole, twins
from sessionstore.layout import DOCUMENT
from sessionstore.model.names import is_portable_path

MAX_MEMBERS = 20_000_000
#: An archive may unpack to this many times its size once it unpacks to more than MIN_SUSPECT_BYTES.
MAX_RATIO = 200
MIN_SUSPECT_BYTES = 256 << 20
_MANIFEST, _TAGS = "manifest-sha256.txt", "tagmanifest-sha256.txt"
#: One of them makes a bag, so that a bag without the others is a damaged one.
_BAG = ("bagit.txt", _MANIFEST, _TAGS)
Progress = Callable[[int], None]


class Bundle:
    """A bundle that was opened and whose list of members is safe; its content is checked by :meth:`verify`.

    Args:
        path: a ``.zip``, a folder, or a ``.tar.zst`` (which is unpacked into ``scratch`` first).
        scratch: gives an empty folder on the disk of the store; needed for ``.tar.zst`` only.

    Raises: Corrupt, UnsafeFile: it is not a bundle, or a hostile one.
    """

    def __init__(self, path: Path, scratch: Callable[[], Path] | None = None) -> None:
        self.path = path
        form = form_of(path)
        if form == TAR_ZST:
            if scratch is None:
                raise Corrupt("a .tar.zst is unpacked before it is read", path)
            folder = scratch()
            _unpack_tar(path, folder)
            self._open_folder(_top_folder(folder))
            if not self.is_bag:  # also what is left of an archive whose end is not readable
                raise Corrupt("it has no checksums: not a bundle", path)
        elif form == ZIP:
            self._open_zip()
        else:
            self._open_folder(path)

    # ------------------------------------------------------------ opening

    def _open_folder(self, folder: Path) -> None:
        tree = FolderTree(folder)
        _refuse_unsafe(tree, self.path)
        self._whole: Tree = tree
        payload = folder / bag.PAYLOAD.rstrip("/") if self.is_bag else folder
        self._trees: list[Tree] = [
            FolderTree(Path(entry.path))
            for entry in sorted(files.entries(payload), key=lambda each: each.name)
            if entry.is_dir(follow_symlinks=False) and (Path(entry.path) / DOCUMENT).is_file()
        ]

    def _open_zip(self) -> None:
        try:
            archive = zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError) as error:
            raise Corrupt(f"not a readable ZIP: {error}", self.path) from error
        members = [member for member in archive.infolist() if not member.is_dir()]
        self._refuse_bomb(members)
        self._refuse_folders(archive)
        top = _common_top([member.filename for member in members])
        self._whole = ZipTree(archive, top, members)
        _refuse_unsafe(self._whole, self.path)
        prefix = top + bag.PAYLOAD if self.is_bag else top
        self._trees = list(_zip_sessions(archive, prefix, members))

    def _refuse_bomb(self, members: list[zipfile.ZipInfo]) -> None:
        total, packed = sum(member.file_size for member in members), max(1, self.path.stat().st_size)
        if len(members) > MAX_MEMBERS:
            raise UnsafeFile(f"{len(members)} members, at most {MAX_MEMBERS} are read", self.path)
        if total > MIN_SUSPECT_BYTES and total / packed > MAX_RATIO:
            raise UnsafeFile(f"unpacks to {total / packed:.0f} times its size", self.path)

    def _refuse_folders(self, archive: zipfile.ZipFile) -> None:
        for member in archive.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            if member.is_dir() and kind not in (0, stat.S_IFDIR):
                raise UnsafeFile(f"{member.filename}: it is not a folder", self.path)
            if member.is_dir() and (problem := problem_of_name(member.filename.rstrip("/"))):
                raise UnsafeFile(f"{member.filename}: {problem}", self.path)

    # ------------------------------------------------------------ reading

    @property
    def is_bag(self) -> bool:
        """Whether it carries checksums; a ZIP of session folders made by another program does not."""
        return any(name in self._whole.sizes for name in _BAG)

    def names(self) -> list[str]:
        """Return the relative names of all files in it."""
        return list(self._whole.sizes)

    def trees(self) -> list[Tree]:
        """Return the sessions in it."""
        return self._trees

    def verify(self, progress: Progress | None = None) -> int:
        """Compare each file with the manifest; return the number of payload files.

        Raises: Corrupt: naming the first file that is wrong, missing or additional.
        """
        if not self.is_bag:
            return sum(len(tree.sizes) for tree in self._trees)
        listed = _listed(self._tag(_TAGS), self._tag(_MANIFEST), set(self._whole.sizes), self.path)
        for name, digest in listed.items():
            chunks = self._whole.chunks(name, 0, self._whole.sizes[name])
            _compare({name: digest}, {name: _digest(chunks, progress)}, self.path)
        return sum(name.startswith(bag.PAYLOAD) for name in listed)

    def _tag(self, name: str) -> bytes:
        if name not in self._whole.sizes:
            raise Corrupt(f"{name} is missing", self.path)
        return read_whole(self._whole, name)


def verify_bundle(path: Path, progress: Progress | None = None, not_portable: list[str] | None = None) -> int:
    """Compare a bundle with its manifest where it is; nothing is unpacked. Return the number of payload files.

    Args:
        not_portable: gets the names that some operating system cannot store, folders once; its own name is one of them.

    Raises: Corrupt, UnsafeFile: the first thing that is wrong; a ZIP or folder without checksums is not a bundle.
    """
    if form_of(path) == TAR_ZST:
        names, count = _verify_tar(path, progress)
    else:
        bundle = Bundle(path)
        if not bundle.is_bag:
            raise Corrupt("it has no checksums: not a bundle", path)
        names, count = bundle.names(), bundle.verify(progress)
    if not_portable is not None:
        not_portable += unportable_names([path.name, *names])
    return count


def unportable_names(paths: Iterable[str]) -> list[str]:
    """Return the names among relative paths that some operating system cannot store, each once, up to that name."""
    found: dict[str, None] = {}
    for path in paths:
        parts = path.split("/")
        for number, part in enumerate(parts, 1):
            if not is_portable_path(part):
                found["/".join(parts[:number])] = None
                break
    return sorted(found)


def _verify_tar(path: Path, progress: Progress | None) -> tuple[list[str], int]:
    found: dict[str, str] = {}
    tags: dict[str, bytes] = {}
    for member, chunks in _tar_members(path):
        name = member.removeprefix(TOP)
        if name in (_TAGS, _MANIFEST):
            tags[name] = b"".join(chunks)
            chunks = iter([tags[name]])
        found[name] = _digest(chunks, progress)
    for name in (_TAGS, _MANIFEST):
        if name not in tags:
            raise Corrupt(f"{name} is missing", path)
    listed = _listed(tags[_TAGS], tags[_MANIFEST], set(found), path)
    _compare(listed, found, path)
    return list(found), sum(name.startswith(bag.PAYLOAD) for name in listed)


def _listed(tags: bytes, manifest: bytes, there: set[str], path: Path) -> dict[str, str]:
    """Return the digests that a bag lists, by name; all its files, and no others, are there. Raises: Corrupt."""
    try:
        listed = {**bag.parsed_manifest(tags), **bag.parsed_manifest(manifest)}
    except (ValueError, UnicodeDecodeError) as error:
        raise Corrupt(f"the manifest: {error}", path) from error
    if missing := sorted(set(listed) - there):
        raise Corrupt(f"{missing[0]} is missing ({len(missing)} in all)", path)
    if additional := sorted(there - set(listed) - {_TAGS}):
        raise Corrupt(f"{additional[0]} is not in the manifest ({len(additional)} in all)", path)
    return listed


def _compare(listed: dict[str, str], found: dict[str, str], path: Path) -> None:
    for name, digest in listed.items():
        if found[name] != digest:
            raise Corrupt(f"the checksum of {name} is wrong", path)


def _digest(chunks: Iterator[bytes], progress: Progress | None) -> str:
    found = sha256()
    for chunk in chunks:
        found.update(chunk)
        if progress is not None:
            progress(len(chunk))
    return found.hexdigest()


def _zip_sessions(archive: zipfile.ZipFile, prefix: str, members: list[zipfile.ZipInfo]) -> Iterator[Tree]:
    grouped: dict[str, list[zipfile.ZipInfo]] = {}
    for member in members:
        folder, slash, _ = member.filename.removeprefix(prefix).partition("/")
        if member.filename.startswith(prefix) and slash:
            grouped.setdefault(folder, []).append(member)
    for folder in sorted(grouped):
        tree = ZipTree(archive, f"{prefix}{folder}/", grouped[folder])
        if DOCUMENT in tree.sizes:
            yield tree


def _common_top(names: list[str]) -> str:
    """Return the one folder that holds the tags of a bag, or nothing."""
    tops = {name.partition("/")[0] for name in names if "/" in name}
    if len(tops) == 1 and all("/" in name for name in names):
        top = f"{tops.pop()}/"
        if any(f"{top}{tag}" in names for tag in _BAG):
            return top
    return ""


def _top_folder(folder: Path) -> Path:
    """Return the folder of the bag in an unpacked archive."""
    inside = files.entries(folder)
    if len(inside) == 1 and inside[0].is_dir(follow_symlinks=False):
        return Path(inside[0].path)
    return folder


def _refuse_unsafe(tree: Tree, path: Path) -> None:
    for name, reason in tree.unsafe.items():
        raise UnsafeFile(f"{name}: {reason}", path)


def _unpack_tar(path: Path, folder: Path) -> None:
    """Unpack a ``.tar.zst`` of plain files into an empty folder. Raises: Corrupt, UnsafeFile, StoreUnusable."""
    for name, chunks in _tar_members(path):
        place = folder / name
        files.make_dirs(place.parent)
        files.put(place, chunks, sync=False)


def _tar_members(path: Path) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield the plain files of a ``.tar.zst`` with their bytes, in order. Raises: Corrupt, UnsafeFile."""
    try:
        import zstandard
    except ImportError as error:
        raise ModuleNotFoundError(
            "zstandard is missing: pip install 'sessionstore[remote]'", name="zstandard"
        ) from error
    packed, unpacked, names = max(1, path.stat().st_size), 0, set[str]()
    try:
        with (
            os.fdopen(files.open_to_read(path), "rb") as raw,
            zstandard.ZstdDecompressor().stream_reader(raw) as plain,
            tarfile.open(fileobj=cast(IO[bytes], bounded := _Bounded(plain, packed, path)), mode="r|") as archive,
        ):
            for member in archive:
                if member.isdir():
                    continue
                unpacked += member.size
                _refuse_member(member, names, unpacked, packed, path)
                names.add(member.name)
                yield member.name, _pieces(archive.extractfile(member), zstandard.ZstdError, path)
            while bounded.read(1 << 16):
                pass  # the padding behind the last member: the checksum of the whole stands at the end
    except (tarfile.TarError, zstandard.ZstdError, EOFError) as error:
        raise Corrupt(f"not a readable .tar.zst: {error}", path) from error
    for name, first in twins(names).items():
        raise UnsafeFile(f"{name}: some file systems take it for {first!r}", path)


class _Bounded:
    """What is read of an archive, up to the bytes that its size allows: also headers, which tarfile reads whole."""

    def __init__(self, plain: IO[bytes] | Any, packed: int, path: Path) -> None:
        self._plain, self._path = plain, path
        self._left = max(MIN_SUSPECT_BYTES, packed * MAX_RATIO) + MIN_SUSPECT_BYTES

    def read(self, count: int) -> bytes:
        """Return the next bytes. Raises: UnsafeFile: it unpacks to too much."""
        data: bytes = self._plain.read(count)
        self._left -= len(data)
        if self._left < 0:
            raise UnsafeFile("unpacks to far more than its size", self._path)
        return data


def _refuse_member(member: tarfile.TarInfo, names: set[str], unpacked: int, packed: int, path: Path) -> None:
    if not member.isreg():
        raise UnsafeFile(f"{member.name}: it is not a plain file", path)
    if problem := problem_of_name(member.name):
        raise UnsafeFile(f"{member.name}: {problem}", path)
    if member.name in names:
        raise UnsafeFile(f"{member.name}: the archive holds the name twice", path)
    if len(names) > MAX_MEMBERS or (unpacked > MIN_SUSPECT_BYTES and unpacked / packed > MAX_RATIO):
        raise UnsafeFile("unpacks to far more than its size", path)


def _pieces(source: IO[bytes] | Any, damage: type[Exception], path: Path) -> Iterator[bytes]:
    """Yield the bytes of a member; its reader stands outside the loop over members. Raises: Corrupt."""
    try:
        while chunk := source.read(CHUNK_BYTES):
            yield chunk
    except (tarfile.TarError, damage, EOFError) as error:
        raise Corrupt(f"not a readable .tar.zst: {error}", path) from error
