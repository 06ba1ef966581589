"""Which pairs of session folders a merge has compared before, so that an unchanged pair is not read again.

Of a pair that was ``same`` or ``ahead``, one digest is kept over (name, inode, size, mtime, ctime) of all files on both
sides. A program that writes to a file can set its size and mtime back, but not its ctime. A pair is kept only when all
its files had settled before the comparison began: two changes within one tick of the clock look the same. It is used
only where the file system keeps a ctime of its own, and never where it would decide what is written.
What is kept is derived: a file that is gone, damaged or of another version is made again by the next merge.
Not here: comparing the content (exchange.compare).
"""

from __future__ import annotations

import contextlib
import re
import stat
import time
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import msgspec

from sessionstore.disk import files, filesystem
from sessionstore.errors import SessionStoreError
from sessionstore.layout import SETTLED_S, StoreRoot

FOLDER = "compared"
#: Raised when the rules of exchange.compare change, so that earlier answers no longer count.
VERSION = 1
#: Sources that are remembered; the ones that were not merged for the longest time are forgotten.
MAX_SOURCES = 32
#: File systems that set the ctime themselves at every change (vfat and NTFS from Windows do not).
_KEEPS_CTIME = re.compile("ext[234]|xfs|btrfs|f2fs|zfs|bcachefs|tmpfs|overlay")
#: Enough where times are kept in nanoseconds: the kernel's clock ticks every 10 ms at most.
_FINE_SETTLED_S = 0.1

Kept = Literal["same", "ahead"]


class Pair(msgspec.Struct, array_like=True, gc=False):
    """One pair: how ours stands to theirs, our id, the uuid of the family, and the digest of the state of all files."""

    relation: Kept
    session_id: str
    root_uuid: str
    digest: str


class _Kept(msgspec.Struct):
    version: int
    source: str
    pairs: dict[str, Pair]


_encode, _decoder = msgspec.json.Encoder().encode, msgspec.json.Decoder(_Kept)


class KnownPairs:
    """The pairs of one store and the folders that sessions were taken from."""

    def __init__(self, root: StoreRoot) -> None:
        self._root, self._folder = root, root.private / FOLDER
        self._sources: dict[str, dict[str, Pair]] = {}
        self._changed: set[str] = set()
        self._trusted = {root.path: keeps_ctime(root.path)}

    def find(self, theirs: Path) -> Pair | None:
        """Return what is known of a folder of the source, when neither side changed since."""
        pair = self._of(theirs.parent).get(theirs.name)
        if pair is None:
            return None
        now = _state(str(theirs), f"{self._root.text}/{pair.session_id}")
        return pair if now is not None and now[0] == pair.digest else None

    def keep(self, theirs: Path, relation: Kept, session_id: str, root_uuid: str, began_ns: int) -> None:
        """Keep the answer of a comparison that began at a time, when no file changed since shortly before it."""
        if not self._trusts(theirs.parent):
            return
        now = _state(str(theirs), f"{self._root.text}/{session_id}")
        if now is not None and _settled(now[1], began_ns):
            self._of(theirs.parent)[theirs.name] = Pair(relation, session_id, root_uuid, now[0])
            self._changed.add(str(theirs.parent))

    def save(self) -> None:
        """Write what was added; a disk that refuses keeps nothing, and the next merge compares again."""
        with contextlib.suppress(SessionStoreError, OSError, UnicodeEncodeError):
            for source in self._changed:
                files.make_dirs(self._folder)
                data = _encode(_Kept(VERSION, source, self._sources[source]))
                files.put(self._path(source), data, sync=False)
            if self._changed:
                self._forget_oldest()
        self._changed.clear()

    def _of(self, folder: Path) -> dict[str, Pair]:
        source = str(folder)
        if source not in self._sources:
            self._sources[source] = self._read(source) if self._trusts(folder) else {}
        return self._sources[source]

    def _trusts(self, folder: Path) -> bool:
        if folder not in self._trusted:
            self._trusted[folder] = keeps_ctime(folder)
        return self._trusted[folder] and self._trusted[self._root.path]

    def _read(self, source: str) -> dict[str, Pair]:
        try:
            found = _decoder.decode(files.read(self._path(source))[0])
        except (SessionStoreError, OSError, msgspec.MsgspecError):
            return {}
        return found.pairs if (found.version, found.source) == (VERSION, source) else {}

    def _path(self, source: str) -> Path:
        return self._folder / f"{blake2b(source.encode(errors='surrogateescape'), digest_size=12).hexdigest()}.json"

    def _forget_oldest(self) -> None:
        found = sorted(files.entries(self._folder), key=lambda each: each.stat().st_mtime_ns)
        for entry in found[:-MAX_SOURCES]:
            files.remove(entry.path)


def keeps_ctime(folder: Path) -> bool:
    """Whether the file system of a folder notes every change of a file by itself."""
    return bool(_KEEPS_CTIME.fullmatch(filesystem.of(folder).kind))


def _state(*folders: str) -> tuple[str, int] | None:
    """Return a digest of the state of all files below folders, and their newest ctime; None: no answer."""
    found: list[tuple[str, int, int, int, int]] = []
    try:
        for folder in folders:
            _look(folder, "", found)
            found.append(("", 0, 0, 0, 0))
        digest = blake2b(_encode(found), digest_size=16).hexdigest()
    except (OSError, SessionStoreError, UnicodeEncodeError):  # the last: a name that is no text
        return None
    return digest, max(each[4] for each in found)


def _look(folder: str, prefix: str, found: list[tuple[str, int, int, int, int]]) -> None:
    for entry in sorted(files.entries(folder), key=lambda each: each.name):
        status, name = entry.stat(follow_symlinks=False), prefix + entry.name
        if stat.S_ISDIR(status.st_mode):
            found.append((name, status.st_mode, 0, 0, 0))
            _look(entry.path, f"{name}/", found)
        else:
            found.append((name, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))


def _settled(newest_ns: int, began_ns: int) -> bool:
    """Whether a change after ``newest_ns`` and before ``began_ns`` would have given another time."""
    settled_s = _FINE_SETTLED_S if newest_ns % 1000 else SETTLED_S
    return 0 < newest_ns < began_ns - settled_s * 1e9


def now_ns() -> int:
    """Return the time at which a comparison begins, as file systems note it."""
    return time.time_ns()
