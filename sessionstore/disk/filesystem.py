"""The file system of a path, and whether locks, renames and fsync can be trusted there.

A store belongs to the processes of one host: on a network or shared-folder file system a lock may hold on one machine
only, and two writers would silently lose each other's work. The type is read from the mount table (Linux); otherwise it
is ``unknown``, which is not refused. SESSIONSTORE_FORCE=1, or ``force=True``, uses such a place all the
same, at the user's own risk: one host, one user, and no promise.
Not here: the locks (disk.locks), the finding of the doctor (maintenance.checks.environment).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sessionstore.disk.reading import refusals
from sessionstore.errors import UnsafeFilesystem

FORCE_VARIABLE = "SESSIONSTORE_FORCE"
_MOUNTS = "/proc/self/mountinfo"
#: Local file systems with flock, atomic rename and fsync that the kernel itself keeps.
_SAFE = re.compile(
    "ext[234]|xfs|btrfs|f2fs|zfs|bcachefs|jfs|reiserfs|nilfs2|tmpfs|ramfs|rootfs|overlay|aufs|apfs|ntfs3|fuseblk|"
    "squashfs|erofs|iso9660"
)
#: Served by another machine, or by a program whose locks have no known meaning.
_UNSAFE = re.compile(
    r"nfs4?|cifs|smb[23]?|smbfs|9p|afs|ceph|coda|lustre|gfs2|ocfs2|glusterfs|gpfs|beegfs|orangefs|panfs|ncpfs|davfs|"
    r"acfs|unc|vboxsf|vmhgfs|virtiofs|prl_fs|fuse(\..+)?"
)


@dataclass(frozen=True, slots=True)
class FileSystem:
    """The file system of a path: type (``ext4``), mount point, and whether a store is safe there (None: unknown)."""

    kind: str
    mount: str
    safe: bool | None
    read_only: bool = False


def judge(kind: str) -> bool | None:
    """Return whether a store is safe on this type of file system; None for an unknown one."""
    if _UNSAFE.fullmatch(kind):
        return False
    return True if _SAFE.fullmatch(kind) else None


def of(path: Path) -> FileSystem:
    """Return the file system of a path, or of the nearest folder above it that exists."""
    real = os.path.realpath(_existing(path))
    if real.startswith(("\\\\", "//")):
        return FileSystem("unc", real, False)  # a share of Windows
    mount, kind, options = _mount_of(real)
    return FileSystem(kind, mount, judge(kind), "ro" in options)


def refuse_unsafe(path: Path, force: bool = False) -> None:
    """Let a write go on when the file system is safe or unknown, or when that was forced; asked once per device.

    Raises: UnsafeFilesystem, StoreUnusable: nothing was written.
    """
    if force or os.environ.get(FORCE_VARIABLE, "") not in ("", "0"):
        return
    with refusals(path):
        place = _existing(path)
        found = _of_device(os.stat(place).st_dev, place)
    if found.safe is False:
        raise UnsafeFilesystem(
            f"{path} lies on {found.kind} ({found.mount}), where locks between machines cannot be trusted; move the "
            f"store to a local disk, or set {FORCE_VARIABLE}=1 if only one host ever writes there"
        )


def is_local(path: Path) -> bool:
    """Whether the kernel itself keeps this existing path's file system, so that its times can be trusted."""
    try:
        return _of_device(os.stat(path).st_dev, _existing(path)).safe is True
    except OSError:
        return False


def is_ours(folder: Path) -> bool:
    """Whether a folder is there and of this user: what root makes in another's store, its owner cannot replace."""
    try:
        return os.stat(folder, follow_symlinks=False).st_uid == getattr(os, "geteuid", lambda: 0)()
    except OSError:
        return False


@lru_cache(maxsize=64)
def _of_device(device: int, place: str) -> FileSystem:
    return of(Path(place))


def _existing(path: Path) -> str:
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    return str(path)


def _mount_of(real: str) -> tuple[str, str, list[str]]:
    """Return mount point, type and options of the deepest mount above a path (proc(5), mountinfo)."""
    best = ("", "unknown", [""])
    try:
        # Bytes that are no UTF-8 may stand in the name of a mount that has nothing to do with us.
        lines = Path(_MOUNTS).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return best  # not Linux: nothing is known
    for line in lines:
        left, _, right = line.partition(" - ")
        fields, facts = left.split(" "), right.split(" ")
        if len(fields) < 6 or len(facts) < 3:
            continue
        point = _unescaped(fields[4])
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best[0]):  # of two at one point the later one covers the earlier
            best = (point, facts[0], fields[5].split(",") + facts[2].split(","))
    return best


def _unescaped(text: str) -> str:
    for code, char in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
        text = text.replace(code, char)
    return text
