"""Checks of the environment of a store: its format, the file system, permission, space and the clock.

Not here: sessions (session_folders), the index (index_rows).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from sessionstore.disk import filesystem
from sessionstore.errors import Corrupt, NewerFormat, Unreadable
from sessionstore.maintenance.examination import Examination
from sessionstore.maintenance.findings import Finding
from sessionstore.model.instants import instant

#: Below these a recorder is about to fail, or has failed: a session of 300 s with 5 drones takes some 20 MB.
LOW_BYTES, OUT_BYTES, LOW_INODES = 1 << 30, 1 << 24, 1000
#: Clocks of hosts and disks differ a little; more than this is a wrong clock.
SKEW_S = 120.0


def check_format(examination: Examination) -> Iterator[Finding]:
    """Say whether this version may read the store at all."""
    try:
        examination.root.settings()
    except NewerFormat as error:
        yield Finding("format-newer", examination.place(error.path), error.reason)
    except (Corrupt, Unreadable) as error:
        yield Finding("format-unreadable", examination.place(error.path), str(error))


def check_file_system(examination: Examination) -> Iterator[Finding]:
    """Judge the file system by its type."""
    found = filesystem.of(examination.root.path)
    where = f"{found.mount or '.'} ({found.kind})"
    if found.safe is False:
        yield Finding("filesystem-unsafe", where, f"the store is on {found.kind}")
    elif found.safe is None:
        yield Finding("filesystem-unknown", where, f"the store is on {found.kind}")
    if found.read_only:
        yield Finding("filesystem-read-only", where, "it is mounted read-only")


def check_permission(examination: Examination) -> Iterator[Finding]:
    """Report the store's own folders that cannot be written; a read-only disk is a finding of its own."""
    root = examination.root
    if filesystem.of(root.path).read_only:
        return
    for folder in (root.path, root.private, root.staging, root.trash, root.claims, root.quarantine_folder):
        if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
            yield Finding("not-writable", str(folder), "this user may not write here")


def check_space(examination: Examination) -> Iterator[Finding]:
    """Say when bytes or inodes run out."""
    if not examination.root.path.is_dir() or not hasattr(os, "statvfs"):
        return
    free = os.statvfs(examination.root.path)
    left = free.f_bavail * free.f_frsize
    if left < LOW_BYTES:
        yield Finding("space-out" if left < OUT_BYTES else "space-low", ".", f"{left / 1e6:,.0f} MB are free")
    if free.f_files and free.f_favail < LOW_INODES:
        yield Finding("inodes-low", ".", f"{free.f_favail} inodes are free")


def check_clock(examination: Examination) -> Iterator[Finding]:
    """Report a clock that is behind the newest record of the store."""
    if not examination.newest:
        return
    ahead_s = instant(examination.newest).timestamp() - time.time()
    if ahead_s > SKEW_S:
        what = f"the newest record is {ahead_s:,.0f} s in the future ({examination.newest})"
        yield Finding("clock-behind", ".", what)
